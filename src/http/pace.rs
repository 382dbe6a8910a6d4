//! Politeness towards one host: how many requests at a time, and when to wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::classify::Failure;
use super::meter::Meter;
use crate::model::ObstacleReason;

/// The longest wait that a sweep sits out. A registry that asks for more is left alone, and what
/// was to be asked of it is unverified.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// The pause after a first refusal that names none, doubled up to [`LONGEST_UNASKED`] while the
/// refusals go on (containers/image backs off from 2 to 60 seconds).
const FIRST_UNASKED: Duration = Duration::from_secs(2);
const LONGEST_UNASKED: Duration = Duration::from_secs(60);

/// One host's permits and its shared pause.
pub(super) struct Pool {
    permits: Semaphore,
    pause: Mutex<Pause>,
    meter: Arc<Meter>,
}

struct Pause {
    until: Option<Instant>,
    unasked: Duration,
}

impl Pool {
    pub(super) fn new(concurrency: usize, meter: Arc<Meter>) -> Self {
        Self {
            meter,
            permits: Semaphore::new(concurrency),
            pause: Mutex::new(Pause {
                until: None,
                unasked: FIRST_UNASKED,
            }),
        }
    }

    /// Waits for a free place and for the end of a pause, whichever is later.
    ///
    /// Gives `rate_limited`, at once, if the host asked for a longer pause than a sweep waits.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let permit = self.permits.acquire().await.map_err(|_| {
            Failure::new(
                ObstacleReason::Cancelled,
                "the pool of connections is closed",
            )
        })?;
        // Another request may extend the pause while this one sleeps.
        while let Some(left) = self.left() {
            if left > LONGEST_PAUSE {
                let detail = format!(
                    "the registry asks to be left alone for {} s",
                    left.as_secs()
                );
                return Err(Failure {
                    retry_after: Some(left),
                    ..Failure::new(ObstacleReason::RateLimited, detail)
                });
            }
            tokio::time::sleep(left).await;
        }
        Ok(permit)
    }

    /// Notes that the host refused to be asked more, for as long as it says or else for a while
    /// that doubles.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        let mut pause = self.lock();
        let length = retry_after.unwrap_or(pause.unasked);
        // Requests that were under way together are refused together: that is one refusal.
        if pause.until.is_none_or(|until| until <= Instant::now()) && retry_after.is_none() {
            pause.unasked = (pause.unasked * 2).min(LONGEST_UNASKED);
        }
        let now = Instant::now();
        let (earlier, until) = (pause.until.unwrap_or(now).max(now), now + length);
        self.meter
            .throttled(until.saturating_duration_since(earlier));
        pause.until = Some(earlier.max(until));
    }

    /// Notes that the host answers again.
    pub(super) fn answered(&self) {
        self.lock().unasked = FIRST_UNASKED;
    }

    fn left(&self) -> Option<Duration> {
        let until = self.lock().until?;
        until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_end_of_the_pause() {
        let pool = Pool::new(2, Arc::default());
        let start = Instant::now();
        pool.throttled(Some(Duration::from_secs(7)));
        pool.throttled(Some(Duration::from_secs(3)));
        let (a, b) = tokio::join!(pool.enter(), pool.enter());
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_too_long_is_an_obstacle_at_once() {
        let pool = Pool::new(1, Arc::default());
        pool.throttled(Some(Duration::from_secs(3600)));
        let start = Instant::now();
        let failure = pool.enter().await.map(drop).expect_err("too long to wait");
        assert_eq!(failure.obstacle.reason, ObstacleReason::RateLimited);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(3600)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn unasked_pauses_double_until_an_answer() {
        let pool = Pool::new(1, Arc::default());
        let mut waits = Vec::new();
        for _ in 0..3 {
            pool.throttled(None);
            let start = Instant::now();
            drop(pool.enter().await);
            waits.push(start.elapsed().as_secs());
        }
        pool.answered();
        pool.throttled(None);
        let start = Instant::now();
        drop(pool.enter().await);
        waits.push(start.elapsed().as_secs());
        assert_eq!(waits, [2, 4, 8, 2]);
    }
}
