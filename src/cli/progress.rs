//! Progress on a terminal: one line on standard error, drawn over and over, and out of the way of
//! everything else that is written there.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sweep::{Progress, Wait, WaitReason};

/// What is done sooner than this needs no line.
const PATIENCE: Duration = Duration::from_millis(400);
const REDRAW: Duration = Duration::from_millis(200);

/// The beginning of the line, and the end of whatever stands in it.
const CLEAR: &str = "\r\x1b[K";

/// Where progress is shown, if it is.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    is_shown: bool,
    is_drawn: Arc<Mutex<bool>>,
}

impl Screen {
    pub(super) fn new(is_shown: bool) -> Self {
        Self {
            is_shown,
            is_drawn: Arc::default(),
        }
    }

    /// Standard error for something else than progress.
    pub(super) fn stderr(&self) -> io::Stderr {
        self.draw("");
        io::stderr()
    }

    /// Does some work and shows how far it is.
    pub(super) async fn during<T>(&self, progress: &Progress, work: impl Future<Output = T>) -> T {
        if !self.is_shown {
            return work.await;
        }
        let done = tokio::select! {
            biased;
            done = work => done,
            never = self.watch(progress) => match never {},
        };
        self.draw("");
        done
    }

    async fn watch(&self, progress: &Progress) -> Infallible {
        let start = Instant::now();
        tokio::time::sleep(PATIENCE).await;
        loop {
            let text = line(progress, start.elapsed());
            // A line that wraps could not be drawn over.
            let room = terminal_size::terminal_size_of(io::stderr())
                .map_or(80, |(width, _)| usize::from(width.0))
                .saturating_sub(1);
            let text: String = text.chars().take(room).collect();
            self.draw(&text);
            tokio::time::sleep(REDRAW).await;
        }
    }

    /// Puts `text` in place of what was drawn before.
    fn draw(&self, text: &str) {
        if !self.is_shown {
            return;
        }
        let mut is_drawn = self.is_drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_drawn || !text.is_empty() {
            let mut stderr = io::stderr().lock();
            // A terminal that is gone needs no progress.
            let _ = write!(stderr, "{CLEAR}{text}").and_then(|()| stderr.flush());
        }
        *is_drawn = !text.is_empty();
    }
}

/// How far it is, in a line.
fn line(progress: &Progress, elapsed: Duration) -> String {
    let (listed, finished) = (progress.repositories(), progress.finished());
    let (objects, suspicions) = (progress.objects(), progress.suspicions());
    let wait = progress.wait();
    let mut clauses = Vec::new();
    if listed > 0 {
        clauses.push(format!("{finished} of {listed} repositories"));
    }
    let rate = u128::from(objects) * 1000 / elapsed.as_millis().max(1);
    clauses.push(match wait {
        None => format!("{objects} objects ({rate}/s)"),
        Some(_) => format!("{objects} objects"),
    });
    if suspicions > 0 {
        clauses.push(format!("{suspicions} suspicious"));
    }
    clauses.extend(match wait {
        Some(wait) => Some(waiting(wait)),
        None => left(listed, finished, elapsed),
    });
    clauses.join(", ")
}

fn waiting(Wait { reason, until }: Wait) -> String {
    let left = seconds(until.saturating_duration_since(Instant::now()));
    match reason {
        WaitReason::SecondLook => format!("looking again in {left}"),
        WaitReason::Push => format!("not all there, looking again in {left}"),
        WaitReason::Recheck => format!("intact, looking once more in {left}"),
    }
}

/// The time that is left if what is left takes as long as what is done.
fn left(listed: u64, finished: u64, elapsed: Duration) -> Option<String> {
    if finished == 0 || finished >= listed || elapsed < Duration::from_secs(2) {
        return None;
    }
    let parts = u32::try_from(finished).ok()?;
    let left = elapsed / parts * u32::try_from(listed - finished).ok()?;
    Some(format!("{} left", seconds(left)))
}

/// A duration in whole seconds, rounded up.
fn seconds(duration: Duration) -> String {
    let rounded = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_told_once_it_can_be_guessed() {
        let second = Duration::from_secs;
        assert_eq!(left(100, 25, second(10)).as_deref(), Some("30s left"));
        assert_eq!(left(100, 99, second(3_600)).as_deref(), Some("37s left"));
        for (listed, finished, elapsed) in [(100, 0, 10), (100, 100, 10), (0, 0, 10), (100, 1, 1)] {
            assert_eq!(left(listed, finished, second(elapsed)), None);
        }
    }

    #[test]
    fn a_line_before_anything_is_known() {
        let progress = Progress::default();
        assert_eq!(line(&progress, Duration::ZERO), "0 objects (0/s)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_says_what_it_is_for() {
        for (reason, expected) in [
            (WaitReason::SecondLook, "looking again in 25s"),
            (WaitReason::Push, "not all there, looking again in 25s"),
            (WaitReason::Recheck, "intact, looking once more in 25s"),
        ] {
            let until = Instant::now() + Duration::from_millis(24_500);
            assert_eq!(waiting(Wait { reason, until }), expected);
        }
    }

    #[tokio::test]
    async fn work_is_done_whether_or_not_anybody_watches() {
        for is_shown in [false, true] {
            let screen = Screen::new(is_shown);
            let done = screen.during(&Progress::default(), async { 7 }).await;
            assert_eq!(done, 7);
        }
    }
}
