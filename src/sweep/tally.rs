//! What a walk counts as it goes.

use std::collections::BTreeMap;

use super::notices::Notices;
use crate::report::SkipReason;

/// What a walk adds to the sweep's counts.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub(super) tags_listed: u64,
    pub(super) tags_checked: u64,
    pub(super) indexes: u64,
    pub(super) manifests: u64,
    pub(super) blobs: u64,
    pub(super) absent: u64,
    pub(super) notices: Notices,
    pub(super) skipped: BTreeMap<SkipReason, u64>,
}

impl Tally {
    pub(super) fn skip(&mut self, skip_reason: SkipReason, count: u64) {
        if count > 0 {
            *self.skipped.entry(skip_reason).or_default() += count;
        }
    }

    /// Adds what another walk counted.
    pub(super) fn add(&mut self, other: Self) {
        self.tags_listed += other.tags_listed;
        self.tags_checked += other.tags_checked;
        self.indexes += other.indexes;
        self.manifests += other.manifests;
        self.blobs += other.blobs;
        self.absent += other.absent;
        self.notices.add(other.notices);
        let skipped = other.skipped.into_iter();
        skipped.for_each(|(skip_reason, count)| self.skip(skip_reason, count));
    }
}
