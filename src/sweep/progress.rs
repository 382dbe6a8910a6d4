//! How far sweeps have come, for whoever watches them: a few counters that cost next to nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the sweeps that share it have done so far.
#[derive(Debug, Default)]
pub struct Progress {
    repositories: AtomicU64,
    finished: AtomicU64,
    objects: AtomicU64,
    suspicions: AtomicU64,
    wait: Mutex<Option<Wait>>,
}

/// Why nothing is asked at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// What it is for.
    pub reason: WaitReason,
    /// When it ends.
    pub until: Instant,
}

/// What a sweep waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// What seems broken is looked at again.
    SecondLook,
    /// A push may still settle.
    Push,
    /// What is intact is looked at again: a clean-up may be about to take it.
    Recheck,
}

impl Progress {
    /// Repositories in scope, as far as they are listed.
    #[must_use]
    pub fn repositories(&self) -> u64 {
        self.repositories.load(Ordering::Relaxed)
    }

    /// Those of them that were walked to their end.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Tags, manifests and blobs that were asked for, lists included.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Objects that seem broken, or were found to be.
    #[must_use]
    pub fn suspicions(&self) -> u64 {
        self.suspicions.load(Ordering::Relaxed)
    }

    /// What is waited for, if anything is.
    #[must_use]
    pub fn wait(&self) -> Option<Wait> {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(&self, repositories: u64) {
        self.repositories.fetch_add(repositories, Ordering::Relaxed);
    }

    pub(super) fn finish(&self, suspicions: u64) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.suspicions.fetch_add(suspicions, Ordering::Relaxed);
    }

    pub(super) fn look(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// Sleeps, and lets it be known why.
    pub async fn sleep(&self, reason: WaitReason, duration: Duration) {
        let until = Instant::now() + duration;
        let set = |wait| *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = wait;
        set(Some(Wait { reason, until }));
        tokio::time::sleep_until(until).await;
        set(None);
    }
}
