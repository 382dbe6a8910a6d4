//! The ledger: what the walks came to, added up to a [`Sweep`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::Policy;
use super::confirm::Confirmed;
use super::obstacles::Obstacles;
use super::progress::Progress;
use super::settle::{Suspicion, Walked};
use super::tally::Tally;
use super::tree;
use crate::model::{
    Access, Counts, Coverage, Exemption, Exposed, Finding, Image, Listed, Obstacle, ObstacleReason,
    Repository, RepositoryResult, Sweep, Unverified,
};
use crate::registry::Traffic;

/// Everything known so far of one sweep.
pub(super) struct Ledger {
    registry: String,
    started_at: SystemTime,
    depth: crate::model::Depth,
    mode: crate::model::Mode,
    before: Traffic,
    listed: Listed,
    repositories_listed: u64,
    tally: Tally,
    reached: BTreeSet<Repository>,
    /// `None` once it is confirmed, dropped or given up.
    suspicions: Vec<Option<Suspicion>>,
    findings: Vec<Finding>,
    images: Vec<Image>,
    exposed: Vec<Exposed>,
    progress: Arc<Progress>,
    warnings: Vec<String>,
    unverified: BTreeMap<Option<Repository>, Obstacles>,
}

impl Ledger {
    pub(super) fn new(policy: &Policy, before: Traffic) -> Self {
        Self {
            registry: policy.registry.clone(),
            started_at: SystemTime::now(),
            depth: policy.depth,
            mode: policy.mode,
            before,
            listed: Listed::Catalog,
            repositories_listed: 0,
            tally: Tally::default(),
            reached: BTreeSet::new(),
            suspicions: Vec::new(),
            findings: Vec::new(),
            images: Vec::new(),
            exposed: Vec::new(),
            progress: Arc::clone(&policy.progress),
            warnings: Vec::new(),
            unverified: BTreeMap::new(),
        }
    }

    pub(super) fn listed(&mut self, listed: Listed) {
        self.listed = listed;
    }

    pub(super) fn listing_failed(&mut self, obstacle: Obstacle) {
        self.obstruct(None, &obstacle);
        self.listed = Listed::Failed(obstacle);
    }

    pub(super) fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    pub(super) fn repositories_listed(&mut self, count: usize) {
        self.repositories_listed += count as u64;
        self.progress.list(count as u64);
    }

    pub(super) fn skip(&mut self, exemption: Exemption, count: u64) {
        self.tally.skip(exemption, count);
    }

    fn obstruct(&mut self, repository: Option<Repository>, obstacle: &Obstacle) {
        if let Some(repository) = &repository {
            self.reached.insert(repository.clone());
        }
        self.unverified
            .entry(repository)
            .or_default()
            .push(obstacle);
    }

    /// Takes up a walk that has ended.
    pub(super) fn walked(&mut self, walked: Walked) {
        self.reached.insert(walked.repository.clone());
        if !walked.obstacles.is_empty() {
            let unverified = self.unverified.entry(Some(walked.repository)).or_default();
            for (obstacle, count) in walked.obstacles.into_iter() {
                unverified.add(&obstacle, count);
            }
        }
        self.images.extend(walked.images);
        self.exposed.extend(walked.exposed);
        self.progress.finish(walked.suspicions.len() as u64);
        self.suspicions
            .extend(walked.suspicions.into_iter().map(Some));
        let (sum, part) = (&mut self.tally, walked.tally);
        sum.tags_listed += part.tags_listed;
        sum.tags_checked += part.tags_checked;
        sum.indexes += part.indexes;
        sum.manifests += part.manifests;
        sum.blobs += part.blobs;
        sum.absent += part.absent;
        sum.notices.add(part.notices);
        part.skipped
            .into_iter()
            .for_each(|(exemption, count)| sum.skip(exemption, count));
    }

    /// Notes repositories that were never begun.
    pub(super) fn not_reached(
        &mut self,
        repositories: impl IntoIterator<Item = Repository>,
        why: &Obstacle,
    ) {
        for repository in repositories {
            self.obstruct(Some(repository), why);
        }
    }

    pub(super) fn suspicions(&self) -> Vec<Suspicion> {
        self.suspicions.iter().flatten().cloned().collect()
    }

    pub(super) fn findings(&mut self) -> &mut [Finding] {
        &mut self.findings
    }

    /// Notes what became of the suspicion at `position` of [`Self::suspicions`].
    pub(super) fn confirmed(&mut self, position: usize, confirmed: Confirmed) {
        if self.suspicions[position].take().is_none() {
            return;
        }
        match confirmed {
            Confirmed::Broken(finding) => self.findings.push(*finding),
            Confirmed::Unverified(repository, obstacle) => {
                self.obstruct(Some(repository), &obstacle);
            }
            Confirmed::Dropped => {}
        }
    }

    /// Adds up.
    pub(super) fn close(mut self, after: Traffic, cut_short: Option<Obstacle>) -> Sweep {
        self.give_up(cut_short);
        let repositories = self.repositories();
        let counts = self.counts(&repositories, after);
        let is_found_empty = self.findings.is_empty() && self.unverified.is_empty();
        // A cache's tags are left alone.
        let is_cache = self.tally.skipped.contains_key(&Exemption::PullThrough);
        if is_found_empty && !is_cache {
            self.warnings.extend(nothing_to_check(&counts));
        }
        self.warnings.extend(self.tally.notices.sentences());
        self.findings.sort_by_cached_key(|finding| {
            let (digest, tags) = (finding.digest.clone(), finding.tags.clone());
            (finding.repository.clone(), finding.kind, digest, tags)
        });
        for image in &mut self.images {
            let obstacles = self.unverified.get(&Some(image.repository.clone()));
            tree::settle(image, &self.findings, obstacles.and_then(Obstacles::first));
        }
        self.exposed
            .sort_unstable_by(|a, b| a.repository.cmp(&b.repository));
        Sweep {
            registry: self.registry,
            access: Access::default(),
            started_at: self.started_at,
            finished_at: SystemTime::now(),
            depth: self.depth,
            mode: self.mode,
            listed: self.listed,
            counts,
            repositories,
            findings: self.findings,
            images: self.images,
            unmet: Vec::new(),
            remembered: Vec::new(),
            exposed: self.exposed,
            unverified: groups(self.unverified),
            skipped: self.tally.skipped,
            warnings: self.warnings,
            scrub_period: None,
            certificate_expires_at: None,
        }
    }

    /// What had no second look before the end has no verdict.
    fn give_up(&mut self, cut_short: Option<Obstacle>) {
        for suspicion in std::mem::take(&mut self.suspicions).into_iter().flatten() {
            let obstacle = cut_short.clone().unwrap_or_else(|| {
                Obstacle::new(ObstacleReason::Cancelled, "there was no second look")
            });
            self.obstruct(Some(suspicion.finding.repository), &obstacle);
        }
        if self.reached.is_empty()
            && self.unverified.is_empty()
            && let Some(obstacle) = cut_short
        {
            self.listing_failed(obstacle);
        }
    }

    fn repositories(&self) -> Vec<RepositoryResult> {
        let mut broken = BTreeMap::<_, u64>::new();
        for finding in &self.findings {
            *broken.entry(&finding.repository).or_default() += 1;
        }
        let result = |name: &Repository| {
            let obstacles = self.unverified.get(&Some(name.clone()));
            RepositoryResult {
                name: name.clone(),
                broken: broken.get(name).copied().unwrap_or_default(),
                unverified: obstacles.map_or(0, Obstacles::count),
            }
        };
        self.reached.iter().map(result).collect()
    }

    fn counts(&self, repositories: &[RepositoryResult], after: Traffic) -> Counts {
        let verified = repositories.iter().filter(|result| result.unverified == 0);
        let tally = &self.tally;
        Counts {
            repositories: Coverage {
                listed: self.repositories_listed,
                checked: verified.count() as u64,
            },
            tags: Coverage {
                listed: tally.tags_listed,
                checked: tally.tags_checked,
            },
            indexes: tally.indexes,
            manifests: tally.manifests,
            blobs: tally.blobs,
            absent: tally.absent,
            requests: after.requests - self.before.requests,
            bytes: after.bytes - self.before.bytes,
            scrubbed_bytes: 0,
        }
    }
}

fn groups(unverified: BTreeMap<Option<Repository>, Obstacles>) -> Vec<Unverified> {
    let groups = unverified.into_iter().flat_map(|(repository, obstacles)| {
        let group = move |(obstacle, count)| Unverified {
            repository: repository.clone(),
            obstacle,
            count,
        };
        obstacles.into_iter().map(group)
    });
    groups.collect()
}

/// What a reader should know about a sweep that found nothing.
fn nothing_to_check(counts: &Counts) -> Option<String> {
    let why = if counts.repositories.listed == 0 {
        "the registry lists no repository (or none to these credentials, or none that the filters take)"
    } else if counts.tags.listed + counts.manifests + counts.indexes == 0 {
        "no repository in scope has a tag"
    } else {
        return None;
    };
    Some(format!("there was nothing to check: {why}"))
}
