//! The loop of one registry: sweep, publish, wait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Target;
use super::in_use::InUseWatch;
use super::publish::Publish;
use super::repair_source::look_elsewhere;
use super::status::StatusBoard;
use crate::registry::client::HttpRegistry;
use crate::report::{Record, Report, Sweep, Verdict};
use crate::{render, sweep};

/// How long a whole result may take to be handed on once the loop was told to end.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Sweeps a registry at once and then every `interval`, until it is cancelled. A sweep that is
/// cancelled is told to nobody: it is not a result, and what was known stays.
pub(super) async fn watch(
    target: Target,
    interval: Duration,
    publish: Publish,
    board: Arc<StatusBoard>,
    cancel: CancellationToken,
) {
    let name = target.policy.registry.clone();
    let mut pace = Pace::new(interval);
    // What the last sweep was warned of.
    let mut warned = Vec::new();
    let mut target = target;
    target.policy.turn = fastrand::u64(..);
    loop {
        board.begin(&name);
        let known = board.record(&name);
        target.policy.turn = target.policy.turn.wrapping_add(1);
        target.read_files_again();
        target.prepare(&publish, &known).await;
        // A crash in one sweep, which would be a bug, ends neither the loop nor those of the others.
        let sweep = AssertUnwindSafe(sweep(target.clone(), &known, &cancel))
            .catch_unwind()
            .await;
        // It is copied if anybody holds it when the sweep is taken in.
        drop(known);
        // What was whole before it was cancelled is a result.
        let is_whole = matches!(&sweep, Ok(Ok(sweep)) if sweep.is_complete());
        if cancel.is_cancelled() && !is_whole {
            board.process_metrics.sweep(&name, "cancelled");
            return;
        }
        let has_run = matches!(&sweep, Ok(Ok(sweep)) if has_run(sweep));
        match sweep {
            Ok(Ok(sweep)) => {
                if let Some(record) = board.end(&name, sweep) {
                    record.last.iter().for_each(|last| log(last, &mut warned));
                    let (changed, known) = ([record], Arc::clone(&board));
                    let publishing = publish.publish(&changed, move || known.records());
                    let keeping =
                        publish.keep(target.policy.known_manifests().into_iter().collect());
                    let publishing = async { tokio::join!(publishing, keeping).0 };
                    tokio::select! {
                        errors = publishing => errors.iter().for_each(|_| board.process_metrics.push_failed()),
                        () = cancelled_for(&cancel, LAST_PUSH) => return,
                    }
                }
            }
            Ok(Err(error)) => tracing::error!(registry = %name, "there was no sweep: {error}"),
            Err(_) => {
                tracing::error!(registry = %name, "the sweep crashed, which is a bug; the next one is not affected");
            }
        }
        let due = pace.due(has_run, Instant::now(), fastrand::f64());
        board.wait(&name, due);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = cancel.cancelled() => return,
        }
    }
}

/// Whether a sweep looked at anything: otherwise it failed as a whole, or there was nothing.
fn has_run(sweep: &Sweep) -> bool {
    sweep.is_complete() || sweep.counts.tags.checked > 0 || !sweep.findings.is_empty()
}

/// Waits until it is cancelled, and then this long.
pub(super) async fn cancelled_for(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

/// With a new client each time: credentials, certificates and addresses may have changed.
async fn sweep(
    mut target: Target,
    known: &Record,
    cancel: &CancellationToken,
) -> Result<Sweep, crate::registry::client::ClientError> {
    let in_use = InUseWatch::begin(&mut target, known, cancel).await;
    let registry = HttpRegistry::new(target.http)?;
    let mut sweep = sweep::sweep(&registry, &target.policy, known, cancel).await;
    InUseWatch::end(in_use, &registry, &target.policy, &mut sweep, cancel).await;
    look_elsewhere(&mut sweep, &target.repair_from, cancel).await;
    Ok(sweep)
}

/// Logs what a sweep came to, and what it was `warned` of that the one before was not.
fn log(report: &Report, warned: &mut Vec<String>) {
    let (sweep, verdict) = (&report.sweep, report.verdict.word());
    let registry = &sweep.registry;
    for warning in &sweep.warnings {
        if !warned.contains(warning) {
            tracing::warn!(registry, "{warning}");
        }
    }
    warned.clone_from(&sweep.warnings);
    let (broken, unverified) = (sweep.findings.len(), sweep.unverified_objects());
    let tags = sweep.counts.tags.checked;
    let shard = sweep.shard.map(tracing::field::display);
    if report.verdict == Verdict::Intact {
        tracing::info!(registry, shard, verdict, tags, "swept");
        return;
    }
    let (first_broken, first_unverified) = (
        render::log::first_broken(report),
        render::log::first_unverified(report),
    );
    tracing::warn!(
        registry,
        shard,
        verdict,
        broken,
        unverified,
        tags,
        first_broken,
        first_unverified,
        "swept"
    );
}

/// How long after a first sweep that failed as a whole the next one comes; the time doubles up to the interval. The
/// registry may be started together with the probe.
const SOON: Duration = Duration::from_secs(10);

/// When sweeps are due.
struct Pace {
    /// The beginning of the first sweep that ran, as far as one has.
    first: Instant,
    interval: Duration,
    /// How long to wait for the next, until one has run.
    soon: Option<Duration>,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self {
            first: Instant::now(),
            interval,
            soon: Some(SOON),
        }
    }

    fn due(&mut self, has_run: bool, now: Instant, chance: f64) -> Instant {
        if let Some(soon) = self.soon.filter(|soon| !has_run && *soon < self.interval) {
            self.soon = Some(soon * 2);
            self.first = now + soon;
            return self.first;
        }
        self.soon = None;
        next(self.first, self.interval, now, chance)
    }
}

/// The part of an interval by which a sweep may be put off, so that many probes that were started
/// together do not go on asking together.
const JITTER: f64 = 0.02;

/// When the next sweep is due: the first point after `now` of a grid that begins with the first one, so that
/// lateness neither adds up nor is made up for. A sweep that took longer than the interval leaves out
/// the points that it missed. `chance` is from 0 to 1 and puts the sweep off a little.
fn next(first: Instant, interval: Duration, now: Instant, chance: f64) -> Instant {
    let passed = now.saturating_duration_since(first).as_secs_f64() / interval.as_secs_f64();
    let point = interval.mul_f64(passed.floor() + 1.0);
    first + point + interval.mul_f64(JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn minutes(count: u32, after: Duration, chance: f64) -> f64 {
        let first = Instant::now();
        let due = next(first, MINUTE * count, first + after, chance);
        due.duration_since(first).as_secs_f64() / 60.0
    }

    #[test]
    fn lateness_does_not_add_up_and_is_not_made_up_for() {
        for (after, expected) in [
            (0, 15.0),
            (1, 15.0),
            (14, 15.0),
            (15, 30.0),
            (16, 30.0),
            (50, 60.0),
        ] {
            let due = minutes(15, MINUTE * after, 0.0);
            assert!((due - expected).abs() < 1e-6, "{after} min: {due}");
        }
    }

    #[test]
    fn after_a_first_sweep_that_failed_the_next_come_soon() {
        let due = |interval: Duration, runs: &[bool]| {
            let (mut pace, began) = (Pace::new(interval), Instant::now());
            pace.first = began;
            let mut now = began;
            let mut waits = Vec::new();
            for has_run in runs {
                let due = pace.due(*has_run, now, 0.0);
                waits.push(due.duration_since(now).as_secs());
                now = due;
            }
            waits
        };
        let quarter = MINUTE * 15;
        let failed = [false; 9];
        let waits = due(quarter, &failed);
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        // Once one has run, failures wait for the interval, from where it began.
        let waits = due(quarter, &[false, false, true, false, false]);
        assert_eq!(waits, [10, 20, 900, 900, 900]);
        assert_eq!(due(quarter, &[true, false]), [900, 900]);
        assert_eq!(due(Duration::from_secs(5), &[false, false]), [5, 5]);
    }

    #[test]
    fn chance_puts_it_off_a_little() {
        let due = minutes(15, MINUTE, 1.0);
        assert!((due - 15.3).abs() < 1e-6, "{due}");
    }
}
