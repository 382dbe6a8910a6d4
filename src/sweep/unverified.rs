//! UnverifiedCounts, counted by reason: thousands of objects are often kept from a verdict by one cause.

use crate::registry::Unverified;

/// How many objects each reason keeps from a verdict, each with the unverified reason first met, by reason. There
/// are few of them, and in an outage there is one of these lists for each repository.
#[derive(Default)]
pub(super) struct UnverifiedCounts(Vec<(Unverified, u64)>);

impl UnverifiedCounts {
    /// Counts one object.
    pub(super) fn push(&mut self, why: &Unverified) {
        self.add(why, 1);
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
