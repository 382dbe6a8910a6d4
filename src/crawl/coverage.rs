//! Whether a sweep saw enough for a verdict: something that it looked at, and a storage that has anything.

use std::collections::BTreeSet;

use super::graph::Endpoint;
use super::ledger::Ledger;
use super::{Empty, Policy};
use crate::model::{Finding, Mode, Obstacle, ObstacleReason, Reason, Record};

/// Objects that are not there, of at least this many and in at least so many repositories, while nothing
/// is: then the storage is away. One image, or a registry of one tag, may be plainly broken.
const MANY_OBJECTS: usize = 8;
const MANY_REPOSITORIES: usize = 3;

/// What a sweep that looked at nothing comes to.
pub(super) enum Need {
    /// It says so.
    Nothing,
    /// It is no verdict.
    Something,
    /// It is no verdict: this many tags in so many repositories were known.
    Known { repositories: usize, tags: u64 },
}

impl Need {
    pub(super) fn of(policy: &Policy, known: &Record) -> Self {
        let in_scope = known.repositories.iter();
        let in_scope = in_scope.filter(|(name, _)| policy.scope.takes(name));
        let tags = in_scope.clone().map(|(_, known)| known.tags).sum();
        let repositories = in_scope.count();
        match policy.empty {
            Empty::Allowed => Self::Nothing,
            _ if repositories > 0 => Self::Known { repositories, tags },
            Empty::AllowedIfAlwaysSo => Self::Nothing,
            Empty::Unverified => Self::Something,
        }
    }

    fn judge(&self, what: &str) -> Option<Obstacle> {
        let (reason, detail) = match self {
            Self::Nothing => return None,
            Self::Something => (ObstacleReason::NothingListed, what.to_owned()),
            Self::Known { repositories, tags } => {
                let is_much = *repositories >= MANY_REPOSITORIES && *tags >= MANY_OBJECTS as u64;
                let reason = if is_much {
                    ObstacleReason::StorageUnavailable
                } else {
                    ObstacleReason::NothingListed
                };
                let known = format!("{repositories} repositories with {tags} tags were known");
                (
                    reason,
                    format!("{what}, and {known}; if that is right, say --allow-empty"),
                )
            }
        };
        Some(Obstacle::new(reason, detail))
    }
}

impl Ledger {
    /// Where many objects of several repositories were asked for and not one was there, the storage is away:
    /// said once, of the registry, and of no object.
    pub(super) fn settle_storage(&mut self) {
        for place in [Endpoint::Manifests, Endpoint::Blobs] {
            let is_absent = |finding: &Finding| {
                let is_here = finding.kind.is_blob() == (place == Endpoint::Blobs);
                let reason = finding.defect.reason;
                is_here && matches!(reason, Reason::NotFound | Reason::StorageMissing)
            };
            let absent = self.findings.iter().filter(|finding| is_absent(finding));
            let repositories: BTreeSet<_> = absent.clone().map(|f| &f.repository).collect();
            let (objects, repositories) = (absent.count(), repositories.len());
            if self.is_there.contains(&place)
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
            told.add(&obstacle, objects as u64);
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
        let is_covered = match self.mode {
            // A cache's tags are left alone.
            Mode::PullThrough => has_repositories,
            // What the others have is not known here.
            _ => objects > 0 || self.repositories_of_other_shards > 0,
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
        match self.coverage.judge(&what) {
            Some(obstacle) => {
                // A list that lost everything does not say what is gone.
                self.missing.clear();
                self.obstruct(None, &obstacle);
            }
            None => self.warnings.push(what),
        }
    }
}
