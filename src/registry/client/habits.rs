//! What a registry turned out not to do, though it serves the very objects: remembered for as long as
//! one sweep takes.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The habits of a registry, as far as they were met.
#[derive(Default)]
pub(super) struct Habits {
    /// Whether HEAD of a tag is about another manifest than GET, or fails where GET does not.
    tags_by_get: AtomicBool,
    /// HEAD of manifests that are known.
    pub(super) manifest_heads: Tries,
    /// HEAD of blobs.
    pub(super) heads: Economy,
    /// Ranges of blobs.
    pub(super) ranges: Economy,
}

impl Habits {
    /// Whether tags have to be asked for as clients do.
    pub(super) fn wants_tags_by_get(&self) -> bool {
        self.tags_by_get.load(Ordering::Relaxed)
    }

    pub(super) fn ask_tags_by_get(&self) {
        self.tags_by_get.store(true, Ordering::Relaxed);
    }
}

/// A cheap request in place of a whole GET. It is given up once it failed for an object that a whole
/// GET got, unless it ever worked: then that was about the object.
#[derive(Default)]
pub(super) struct Economy(AtomicU8);

const WORKS: u8 = 1;
const FAILS: u8 = 2;

impl Economy {
    pub(super) fn works(&self) {
        self.0.store(WORKS, Ordering::Relaxed);
    }

    /// It failed, and a whole GET of the same object did not.
    pub(super) fn fails(&self) {
        _ = self
            .0
            .compare_exchange(0, FAILS, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FAILS
    }
}

/// A cheap request that is given up once it failed some times and never worked, or said what was not so a few
/// times: what it says to one may be about the object.
#[derive(Default)]
pub(super) struct Tries {
    fails: AtomicU8,
    lies: AtomicU8,
    works: AtomicBool,
}

impl Tries {
    const MOST_FAILS: u8 = 8;
    const MOST_LIES: u8 = 3;

    pub(super) fn works(&self) {
        self.works.store(true, Ordering::Relaxed);
    }

    pub(super) fn fails(&self) {
        if self.fails.load(Ordering::Relaxed) < Self::MOST_FAILS {
            self.fails.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It said something else than what is so.
    pub(super) fn lies(&self) {
        if self.lies.load(Ordering::Relaxed) < Self::MOST_LIES {
            self.lies.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn has_worked(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// Whether it failed so many times, and never worked.
    pub(super) fn has_only_failed(&self, times: u8) -> bool {
        self.fails.load(Ordering::Relaxed) >= times && !self.has_worked()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.has_only_failed(Self::MOST_FAILS)
            || self.lies.load(Ordering::Relaxed) >= Self::MOST_LIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ever_worked_is_not_given_up() {
        let economy = Economy::default();
        economy.fails();
        assert!(economy.is_given_up());
        economy.works();
        economy.fails();
        assert!(!economy.is_given_up());
    }
}
