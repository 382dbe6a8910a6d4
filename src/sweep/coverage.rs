//! Whether a sweep saw enough for a verdict: something that it looked at, and a storage that has anything.

use super::graph::Endpoint;
use super::ledger::Ledger;
use super::{Empty, Policy};
use crate::registry::{Obstacle, ObstacleReason};
use crate::report::{Finding, Mode, Record, SkipReason};

/// Objects that are not there, of at least this many and in at least so many repositories, while nothing
/// is: then the storage is away. One image, or a registry of one tag, may be plainly broken.
const MANY_OBJECTS: u64 = 8;
const MANY_REPOSITORIES: usize = 3;

/// What a sweep that looks at nothing is held against.
pub(super) struct Need {
    empty: Empty,
    /// Repositories in scope that were known, how many of them had tags, and how many tags.
    repositories: usize,
    tagged: usize,
    tags: u64,
}

impl Need {
    pub(super) fn of(policy: &Policy, known: &Record) -> Self {
        let in_scope = known.repositories.iter();
        let in_scope = in_scope.filter(|(name, _)| policy.scope.takes(name));
        let tagged = in_scope.clone().filter(|(_, known)| known.tags > 0);
        Self {
            empty: policy.empty,
            tags: tagged.clone().map(|(_, known)| known.tags).sum(),
            tagged: tagged.count(),
            repositories: in_scope.count(),
        }
    }

    /// What keeps a sweep that looked at nothing from a verdict. `has_repositories` says whether any was
    /// listed: repositories that never had a tag are an answer.
    fn judge(&self, what: &str, has_repositories: bool) -> Option<Obstacle> {
        let is_much = self.tagged >= MANY_REPOSITORIES && self.tags >= MANY_OBJECTS;
        let reason = match self.empty {
            Empty::Allowed => return None,
            _ if is_much => ObstacleReason::StorageUnavailable,
            Empty::AllowedIfAlwaysSo
                if self.tagged == 0 && (has_repositories || self.repositories == 0) =>
            {
                return None;
            }
            Empty::Unverified | Empty::AllowedIfAlwaysSo => ObstacleReason::NothingListed,
        };
        let detail = if self.repositories > 0 {
            format!(
                "{what}, and {} repositories with {} tags were known; if that is right, say --allow-empty",
                self.repositories, self.tags
            )
        } else {
            what.to_owned()
        };
        Some(Obstacle::new(reason, detail))
    }
}

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
            let obstacle = Obstacle::new(ObstacleReason::StorageUnavailable, detail);
            let (absent, others) = std::mem::take(&mut self.findings)
                .into_iter()
                .partition::<Vec<_>, _>(is_absent);
            self.findings = others;
            let told = self.unverified.entry(None).or_default();
            told.add(&obstacle, objects);
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
            Some(obstacle) => {
                // Lists that lost everything do not say what is gone, and clear nothing.
                self.missing.clear();
                self.unverified_together
                    .extend(self.reached.keys().map(|name| (name.clone(), 1)));
                self.obstruct(None, &obstacle);
            }
            None => self.warnings.push(what),
        }
    }
}
