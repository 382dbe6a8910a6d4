//! How many tags the suspicions of a sweep may name: objects times tags is more than any memory holds.

use crate::registry::{Unverified, UnverifiedReason};

/// Tags and platforms that the suspicions of a sweep name in all. Where thousands of tags share thousands
/// of broken objects, each of these would name each of those; and each name takes more than a kilobyte until
/// it is in a report, if it is as long as names may be.
const MOST_NAMED: usize = 50_000;
/// Tags that a suspicion names where there is room for no more.
const FEWEST_NAMED: usize = 10;

/// How many tags the suspicions of a sweep may name yet.
pub(super) struct Room {
    left: usize,
    /// Suspicions of one walk that do not name all their tags.
    short: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            left: MOST_NAMED,
            short: 0,
        }
    }
}

impl Room {
    /// Begins with another walk.
    pub(super) fn begin(&mut self) {
        self.short = 0;
    }

    /// How many tags or platforms the next suspicion may name.
    pub(super) fn most(&self) -> usize {
        self.left.max(FEWEST_NAMED)
    }

    /// Notes how many a suspicion names, and whether it would have named more.
    pub(super) fn take(&mut self, named: usize, is_cut: bool) {
        self.left = self.left.saturating_sub(named);
        self.short += u64::from(is_cut);
    }

    /// What keeps a walk's suspicions from naming all their tags, if something does.
    pub(super) fn why(&self) -> Option<Unverified> {
        let detail = || {
            format!(
                "{} broken objects are shared by more tags than there is room for: each is told with \
                 {FEWEST_NAMED} or more of them",
                self.short
            )
        };
        (self.short > 0).then(|| Unverified::new(UnverifiedReason::TooLarge, detail()))
    }
}
