//! The ledger: what the walks came to, added up to a [`Sweep`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Policy;
use super::counts::Tally;
use super::counts::UnverifiedCounts;
use super::policy::Need;
use super::progress::Progress;
use super::reading::Read;
use super::walk::Endpoint;
use super::walk::Past;
use super::walk::{Suspicion, Walked, settle_image};
use crate::oci::{Printable, Repository};
use crate::registry::Traffic;
use crate::registry::{Access, Unverified, UnverifiedReason};
use crate::report::{
    Counts, Coverage, Exposed, Finding, Image, Listed, Presence, Reason, Record, Referrers,
    RepositoryResult, Shard, SkipReason, Sweep, UnverifiedObjects,
};

/// Everything known so far of one sweep.
pub(super) struct Ledger {
    registry: String,
    started_at: SystemTime,
    shard: Option<Shard>,
    run_id: Option<Printable>,
    interval: Option<Duration>,
    depth: crate::registry::Depth,
    pub(super) mode: crate::report::Mode,
    before: Traffic,
    pub(super) need: Need,
    listed: Listed,
    pub(super) repositories_listed: u64,
    pub(super) repositories_of_other_shards: u64,
    pub(super) tally: Tally,
    /// The repositories that were reached, and the number of tags in their lists.
    pub(super) reached: BTreeMap<Repository, u64>,
    pub(super) missing: BTreeMap<Repository, Presence>,
    out_of_scope: Vec<Repository>,
    /// Whether any manifest, or any blob, was there when it was asked for.
    pub(super) is_there: BTreeSet<Endpoint>,
    /// How many were not, in how many repositories.
    pub(super) absent: BTreeMap<Endpoint, (u64, usize)>,
    pub(super) findings: Vec<Finding>,
    suspected: Vec<Finding>,
    /// Tags that no list has and for which a page is answered.
    pub(super) deleted_by_page: Vec<Finding>,
    images: Vec<Image>,
    exposed: Vec<Exposed>,
    referrers: Option<Referrers>,
    progress: Arc<Progress>,
    pub(super) warnings: Vec<String>,
    pub(super) unverified: BTreeMap<Option<Repository>, UnverifiedCounts>,
    /// Objects without a verdict by repository, where that is told for the registry as a whole.
    pub(super) unverified_together: BTreeMap<Repository, u64>,
}

/// What the registry's client and the policy know at the end.
pub(super) struct Ending {
    pub(super) access: Access,
    pub(super) traffic: Traffic,
    pub(super) certificate_expires_at: Option<SystemTime>,
    pub(super) read: Read,
}

impl Ledger {
    pub(super) fn new(policy: &Policy, known: &Record, before: Traffic) -> Self {
        let takes = |name: &&Repository| policy.scope.takes(name);
        let out_of_scope = known.repositories.keys().filter(|name| !takes(name));
        Self {
            registry: policy.registry.clone(),
            started_at: SystemTime::now(),
            shard: policy.scope.shard,
            run_id: policy.run_id.clone(),
            interval: policy.interval,
            depth: policy.depth,
            mode: policy.mode,
            before,
            need: Need::of(policy, known),
            listed: Listed::Catalog,
            repositories_listed: 0,
            repositories_of_other_shards: 0,
            tally: Tally::default(),
            reached: BTreeMap::new(),
            missing: BTreeMap::new(),
            out_of_scope: out_of_scope.cloned().collect(),
            is_there: BTreeSet::new(),
            absent: BTreeMap::new(),
            findings: Vec::new(),
            suspected: Vec::new(),
            deleted_by_page: Vec::new(),
            images: Vec::new(),
            exposed: Vec::new(),
            referrers: None,
            progress: Arc::clone(&policy.progress),
            warnings: Vec::new(),
            unverified: BTreeMap::new(),
            unverified_together: BTreeMap::new(),
        }
    }

    pub(super) fn listed(&mut self, listed: Listed) {
        self.listed = listed;
    }

    pub(super) fn listing_failed(&mut self, why: Unverified) {
        self.obstruct(None, &why);
        self.listed = Listed::Failed(why);
    }

    pub(super) fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    pub(super) fn repositories_listed(&mut self, count: usize) {
        self.repositories_listed += count as u64;
        self.progress.list(count as u64);
    }

    /// Repositories that are another shard's to look at.
    pub(super) fn repositories_of_other_shards(&mut self, count: u64) {
        self.repositories_of_other_shards += count;
    }

    pub(super) fn skip(&mut self, skip_reason: SkipReason, count: u64) {
        self.tally.skip(skip_reason, count);
    }

    pub(super) fn obstruct(&mut self, repository: Option<Repository>, why: &Unverified) {
        if let Some(repository) = &repository {
            self.reached.entry(repository.clone()).or_default();
        }
        self.unverified.entry(repository).or_default().push(why);
    }

    /// Notes that a look at a repository has ended, be it the last one or not.
    pub(super) fn looked(&mut self, walked: &Walked, is_first: bool) {
        self.is_there.extend(&walked.is_there);
        if is_first {
            self.progress.finish(walked.suspicions.len() as u64);
        }
    }

    /// Takes up a repository after the last look at it.
    pub(super) fn walked(&mut self, mut walked: Walked) {
        let repository = walked.repository.clone();
        for suspicion in std::mem::take(&mut walked.suspicions) {
            let Suspicion {
                object,
                mut finding,
                agrees,
                is_page_for_unlisted,
            } = suspicion;
            let past = walked.history.past(&object);
            let times = past.map_or(0, |past| past.times_broken);
            if is_page_for_unlisted {
                self.deleted_by_page.push(finding);
            } else if agrees || finding.defect.reason == Reason::Inconsistent {
                finding.confirmations = times.max(1);
                self.findings.push(finding);
            } else {
                let evidence = &finding.defect.evidence;
                let detail = format!(
                    "{} in one look, and otherwise in another",
                    evidence.answer()
                );
                let why = Unverified::new(UnverifiedReason::RegistryError, detail);
                walked.unverified.push(&why);
            }
        }
        for object in &walked.intact_again {
            let past = walked.history.past(object);
            let is_known = |past: &Past| past.is_known && past.times_broken > 0;
            if past.is_some_and(is_known) {
                let detail =
                    format!("{object} was broken before, seemed so at first, and is intact now");
                let why = Unverified::new(UnverifiedReason::RegistryError, detail);
                walked.unverified.push(&why);
            }
        }
        if walked.presence != Presence::There {
            self.missing.insert(repository.clone(), walked.presence);
        }
        self.take(walked);
    }

    /// Takes up a repository of which a look was cut short, or never begun.
    pub(super) fn cut_short(&mut self, mut walked: Walked, why: &Unverified) {
        for suspicion in std::mem::take(&mut walked.suspicions) {
            walked.unverified.push(why);
            self.suspected.push(suspicion.finding);
        }
        if walked.unverified.is_empty() && !walked.doubtful.is_empty() {
            walked.unverified.push(why);
        }
        self.take(walked);
    }

    fn take(&mut self, walked: Walked) {
        // What was known and is gone is neither reached nor missed.
        let is_gone = walked.presence == Presence::Gone && walked.unverified.is_empty();
        if !is_gone {
            self.reached
                .insert(walked.repository.clone(), walked.tags_known);
        }
        for (endpoint, count) in walked.absent {
            let (objects, repositories) = self.absent.entry(endpoint).or_default();
            *objects += count;
            *repositories += 1;
        }
        let mut unverified = walked.unverified;
        unverified.add_missing(walked.limits);
        if !unverified.is_empty() {
            let known = self.unverified.entry(Some(walked.repository)).or_default();
            for (why, count) in unverified.into_iter() {
                known.add(&why, count);
            }
        }
        self.images.extend(walked.images);
        self.exposed.extend(walked.exposed);
        if let Some(referrers) = walked.referrers {
            self.referrers.get_or_insert_default().add(referrers);
        }
        let mut tally = walked.tally;
        tally.tags_checked = tally.tags_listed.saturating_sub(walked.unverified_tags);
        self.tally.add(tally);
    }

    /// Notes a repository that was never begun.
    pub(super) fn not_reached(&mut self, repository: Repository, why: &Unverified) {
        self.obstruct(Some(repository), why);
    }

    /// Whether anything was kept from a verdict that may pass: then there may be more than was seen.
    pub(super) fn has_trouble(&self) -> bool {
        let mut groups = self.unverified.values();
        groups.any(|counts| counts.has(Unverified::is_transient))
    }

    pub(super) fn findings(&mut self) -> &mut [Finding] {
        &mut self.findings
    }

    /// Takes back the findings for which `why` gives a reason.
    pub(super) fn take_back(&mut self, why: impl Fn(&Finding) -> Option<Unverified>) {
        for finding in std::mem::take(&mut self.findings) {
            match why(&finding) {
                Some(why) => self.obstruct(Some(finding.repository), &why),
                None => self.findings.push(finding),
            }
        }
    }

    /// Adds up.
    pub(super) fn close(mut self, ending: Ending, cut_short: Option<Unverified>) -> Sweep {
        if self.reached.is_empty()
            && self.unverified.is_empty()
            && let Some(why) = cut_short
        {
            self.listing_failed(why);
        }
        self.settle_storage();
        self.settle_coverage();
        let repositories = self.repositories();
        let counts = self.counts(&repositories, &ending);
        self.warnings.extend(self.tally.notices.sentences());
        for findings in [&mut self.findings, &mut self.suspected] {
            findings.sort_by_cached_key(Finding::rank);
        }
        for image in &mut self.images {
            let unverified = self.unverified.get(&Some(image.repository.clone()));
            settle_image(
                image,
                &self.findings,
                unverified.and_then(UnverifiedCounts::first),
            );
        }
        self.exposed
            .sort_unstable_by(|a, b| a.repository.cmp(&b.repository));
        Sweep {
            registry: self.registry,
            access: ending.access,
            started_at: self.started_at,
            finished_at: SystemTime::now(),
            shard: self.shard,
            run_id: self.run_id,
            interval: self.interval,
            depth: self.depth,
            mode: self.mode,
            listed: self.listed,
            counts,
            repositories,
            missing: self.missing.into_iter().collect(),
            out_of_scope: self.out_of_scope,
            findings: self.findings,
            suspected: self.suspected,
            images: self.images,
            unmet: Vec::new(),
            in_use: None,
            documents: None,
            referrers: self.referrers,
            exposed: self.exposed,
            unverified: groups(self.unverified),
            skipped: self.tally.skipped,
            warnings: self.warnings,
            scrub_period: ending.read.in_full_every,
            read_every: ending.read.every,
            oldest_read_at: ending.read.oldest(),
            reads: ending.read.reads,
            certificate_expires_at: ending.certificate_expires_at,
        }
    }

    fn repositories(&self) -> Vec<RepositoryResult> {
        let mut broken = BTreeMap::<_, u64>::new();
        for finding in &self.findings {
            *broken.entry(&finding.repository).or_default() += 1;
        }
        let result = |(name, tags): (&Repository, &u64)| {
            let unverified = self.unverified.get(&Some(name.clone()));
            RepositoryResult {
                name: name.clone(),
                broken: broken.get(name).copied().unwrap_or_default(),
                unverified: unverified.map_or(0, UnverifiedCounts::count)
                    + self
                        .unverified_together
                        .get(name)
                        .copied()
                        .unwrap_or_default(),
                tags: *tags,
            }
        };
        self.reached.iter().map(result).collect()
    }

    fn counts(&self, repositories: &[RepositoryResult], ending: &Ending) -> Counts {
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
            platform_mismatches: tally.platform_mismatches,
            requests: ending.traffic.requests - self.before.requests,
            bytes: ending.traffic.bytes - self.before.bytes,
            blobs_read: ending.read.blobs,
            blobs_put_off: ending.read.put_off,
            scrubbed_bytes: ending.read.bytes,
        }
    }
}

fn groups(unverified: BTreeMap<Option<Repository>, UnverifiedCounts>) -> Vec<UnverifiedObjects> {
    let groups = unverified.into_iter().flat_map(|(repository, unverified)| {
        let group = move |(why, count)| UnverifiedObjects {
            repository: repository.clone(),
            why,
            count,
        };
        unverified.into_iter().map(group)
    });
    groups.collect()
}
