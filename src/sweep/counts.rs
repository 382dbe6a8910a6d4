//! What a walk counts as it goes, and what keeps objects from a verdict, counted by reason: thousands are
//! often kept from it by one cause.

use std::collections::BTreeMap;

use super::notices::Notices;
use crate::registry::Unverified;
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
    pub(super) platform_mismatches: u64,
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
        self.platform_mismatches += other.platform_mismatches;
        self.notices.add(other.notices);
        let skipped = other.skipped.into_iter();
        skipped.for_each(|(skip_reason, count)| self.skip(skip_reason, count));
    }
}

/// How many objects each reason keeps from a verdict, each with the first detail. There
/// are few of them, and in an outage there is one of these lists for each repository.
#[derive(Default)]
pub(super) struct UnverifiedCounts(Vec<(Unverified, u64)>);

impl UnverifiedCounts {
    /// Counts one object.
    pub(super) fn push(&mut self, why: &Unverified) {
        self.add(why, 1);
    }

    /// Whether anything is kept from a verdict by such a reason.
    pub(super) fn has(&self, is_it: fn(&Unverified) -> bool) -> bool {
        self.0.iter().any(|(why, _)| is_it(why))
    }

    /// Counts some objects.
    pub(super) fn add(&mut self, why: &Unverified, count: u64) {
        let known = self
            .0
            .binary_search_by_key(&why.reason, |(known, _)| known.reason);
        match known {
            Ok(position) => self.0[position].1 += count,
            Err(position) => {
                self.0.reserve_exact(1);
                self.0.insert(position, (why.clone(), count));
            }
        }
    }

    /// Takes up those of reasons that are not among these.
    pub(super) fn add_missing(&mut self, others: Self) {
        for (why, count) in others.0 {
            if self.0.iter().all(|(known, _)| known.reason != why.reason) {
                self.add(&why, count);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of them, if there is any.
    pub(super) fn first(&self) -> Option<&Unverified> {
        self.0.first().map(|(why, _)| why)
    }

    /// The number of objects in all.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Unverified, u64)> {
        self.0.into_iter()
    }
}
