//! Whether a sweep saw enough for a verdict: something that it looked at, and a storage that has anything.

use super::ledger::Ledger;
use super::policy::{MANY_OBJECTS, MANY_REPOSITORIES};
use super::walk::Endpoint;
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Finding, Mode, SkipReason};

impl Ledger {
    /// Where many objects of several repositories were asked for and not one was there, the storage is away:
    /// said once, of the registry, and of no object.
    pub(super) fn settle_storage(&mut self) {
        for (place, (objects, repositories)) in std::mem::take(&mut self.absent) {
            let is_absent = |finding: &Finding| {
                let is_here = finding.kind.is_blob() == (place == Endpoint::Blobs);
                is_here && finding.defect.is_absence()
            };
            if self.is_there.contains(&place)
                || !self.findings.iter().any(is_absent)
                || objects < MANY_OBJECTS
                || repositories < MANY_REPOSITORIES
            {
                continue;
            }
            let what = match place {
                Endpoint::Manifests => "tags and manifests",
                Endpoint::Blobs => "configs and layers",
            };
            let detail = format!(
                "none of the {objects} {what} in {repositories} repositories is there, as when the storage is \
                 not mounted or is another one"
            );
            let why = Unverified::new(UnverifiedReason::StorageUnavailable, detail);
            let (absent, others) = std::mem::take(&mut self.findings)
                .into_iter()
                .partition::<Vec<_>, _>(is_absent);
            self.findings = others;
            let told = self.unverified.entry(None).or_default();
            told.add(&why, objects);
            for finding in absent {
                *self
                    .unverified_together
                    .entry(finding.repository)
                    .or_default() += 1;
            }
        }
    }

    /// A verdict needs something that was looked at.
    pub(super) fn settle_coverage(&mut self) {
        let tally = &self.tally;
        let objects = tally.tags_listed + tally.indexes + tally.manifests + tally.blobs;
        let has_repositories =
            self.repositories_listed > 0 || self.repositories_of_other_shards > 0;
        let is_covered = if self.mode == Mode::PullThrough {
            // A cache's tags are left alone.
            has_repositories
        } else {
            // What other shards have is not known here; a filter of tags that takes nothing is.
            let is_filtered = tally.skipped.contains_key(&SkipReason::TagFilter);
            objects > 0 || self.repositories_of_other_shards > 0 && !is_filtered
        };
        if is_covered || !self.findings.is_empty() || !self.unverified.is_empty() {
            return;
        }
        let what = if has_repositories {
            "no repository in scope has a tag in scope"
        } else {
            "the registry lists no repository (or none to these credentials, or none that the filters take)"
        };
        let what = format!("there was nothing to check: {what}");
        match self.need.judge(&what, has_repositories) {
            Some(why) => {
                // Lists that lost everything do not say what is gone, and clear nothing.
                self.missing.clear();
                self.unverified_together
                    .extend(self.reached.keys().map(|name| (name.clone(), 1)));
                self.obstruct(None, &why);
            }
            None => self.warnings.push(what),
        }
    }
}
