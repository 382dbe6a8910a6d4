//! What a registry turned out not to do, though it serves the very objects: remembered for as long as
//! one sweep takes.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The habits of a registry, as far as they were met.
#[derive(Default)]
pub(super) struct Habits {
    /// Whether HEAD of a tag is about another manifest than GET, or fails where GET does not.
    tags_by_get: AtomicBool,
    /// HEAD of manifests that are known.
    pub(super) manifest_heads: Economy,
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
/// One object for which it failed, and two.
const DOUBT: u8 = 3;
const DOUBTS: u8 = 4;

impl Economy {
    pub(super) fn works(&self) {
        self.0.store(WORKS, Ordering::Relaxed);
    }

    /// It failed, and a whole GET of the same object did not.
    pub(super) fn fails(&self) {
        self.unless_it_worked(|_| FAILS);
    }

    /// It failed for an object, and what a GET of that gives is not known: given up at the third.
    pub(super) fn seems_to_fail(&self) {
        self.unless_it_worked(|state| match state {
            0 => DOUBT,
            DOUBT => DOUBTS,
            _ => FAILS,
        });
    }

    fn unless_it_worked(&self, next: impl Fn(u8) -> u8) {
        let next = |state| (state != WORKS).then(|| next(state));
        _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FAILS
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

    #[test]
    fn what_may_be_about_the_object_is_given_up_at_the_third() {
        let economy = Economy::default();
        for is_given_up in [false, false, true] {
            economy.seems_to_fail();
            assert_eq!(economy.is_given_up(), is_given_up);
        }
        let economy = Economy::default();
        economy.works();
        (0..5).for_each(|_| economy.seems_to_fail());
        assert!(!economy.is_given_up());
    }
}
