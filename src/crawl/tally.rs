//! What a walk counts as it goes.

use std::collections::BTreeMap;

use super::notices::Notices;
use crate::model::Exemption;

/// What a walk adds to the sweep's counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) tags_listed: u64,
    pub(super) tags_checked: u64,
    pub(super) indexes: u64,
    pub(super) manifests: u64,
    pub(super) blobs: u64,
    pub(super) absent: u64,
    pub(super) notices: Notices,
    pub(super) skipped: BTreeMap<Exemption, u64>,
}

impl Tally {
    pub(super) fn skip(&mut self, exemption: Exemption, count: u64) {
        if count > 0 {
            *self.skipped.entry(exemption).or_default() += count;
        }
    }
}
