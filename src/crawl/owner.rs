//! The one task that owns a sweep: what is waiting, what is being walked, and what is under way.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::Policy;
use super::confirm::{self, Confirmed};
use super::control::{self, Controls};
use super::judge::Pointed;
use super::ledger::Ledger;
use super::nearby::{self, Whereabouts};
use super::progress::WaitReason;
use super::room::Room;
use super::scope::Source;
use super::scrub::{Reading, Turn};
use super::visit::{Running, Seen, Visit};
use super::walk::{Endpoint, Walk};
use crate::model::{
    Counts, Exemption, Listed, Mode, Obstacle, ObstacleReason, Outcome, Reference, Repository,
    Sweep, Tag,
};
use crate::registry::{ListEnd, Listing, Registry};

/// Obstacles and 5xx in a row after which the registry is asked whether it is there at all.
const SUSPICIOUS_ROW: u32 = 16;

/// Blobs at a time, and blobs in all, until a registry counts as none that downloads what it is asked
/// for: a cache fills its disk with no more than this before it is recognised.
const BLOBS_ON_PROBATION: usize = 3;
const PROBATION: u32 = 200;

const LOOKS_LIKE_A_CACHE: &str = "this looks like a pull-through cache, which downloads every blob that \
     it is asked for; the sweep has stopped: say --mode pull-through";

/// What helps where there is no catalog, or none for us.
const NO_CATALOG: &str =
    "; if this registry offers no catalog, name its repositories with --repo or --repos-file";

/// The state of a sweep.
pub(super) struct Crawl<'a, R> {
    registry: R,
    policy: &'a Policy,
    /// Repositories not begun yet.
    waiting: VecDeque<Repository>,
    /// Repositories being walked, by the number that their visits carry.
    walks: Vec<Option<Walk>>,
    running: Running,
    ledger: Ledger,
    room: Room,
    reading: Reading<'a>,
    controls: Controls,
    whereabouts: Whereabouts,
    troubles_in_a_row: u32,
    /// Blobs that were not answered as a cache answers.
    blobs_seen: u32,
    /// Whether the list of what there is is in doubt: something that was listed, or seen broken, was not
    /// there when it was asked for, or the sweep broke off.
    pub(super) is_in_doubt: bool,
}

impl<'a, R: Registry> Crawl<'a, R> {
    pub(super) fn new(registry: R, policy: &'a Policy) -> Self {
        Self {
            ledger: Ledger::new(policy, registry.traffic()),
            registry,
            policy,
            waiting: VecDeque::new(),
            walks: Vec::new(),
            room: Room::default(),
            running: Running::new(&policy.progress),
            reading: Reading::new(policy),
            controls: Controls::default(),
            whereabouts: Whereabouts::default(),
            troubles_in_a_row: 0,
            blobs_seen: 0,
            is_in_doubt: false,
        }
    }

    /// Runs to the end. An obstacle is an outage that ended it early.
    pub(super) async fn run(&mut self, deadline: Option<Instant>) -> Option<Obstacle> {
        if let Err(obstacle) = self.seed().await {
            self.ledger.listing_failed(obstacle);
            return None;
        }
        loop {
            while self.running.len() < self.policy.concurrency.get() {
                let Some((walk, visit)) = self.next() else {
                    break;
                };
                self.running.start(&self.registry, walk, visit);
            }
            let Some((walk, seen)) = self.running.next().await else {
                break;
            };
            if let Some(obstacle) = self.absorb(walk, seen) {
                return Some(obstacle);
            }
            if self.troubles_in_a_row >= SUSPICIOUS_ROW {
                if let Err(obstacle) = control::answers(&self.registry, &self.controls).await {
                    return Some(obstacle);
                }
                self.troubles_in_a_row = 0;
            }
        }
        self.confirm(deadline).await;
        if self.is_in_doubt
            && let Err(obstacle) = self.is_still_there().await
        {
            self.ledger.listing_failed(obstacle);
        }
        None
    }

    /// Asks whether the registry still is the one that was listed. A store that is unmounted or
    /// emptied under it answers 404 to everything, which is what a registry without tags does.
    async fn is_still_there(&self) -> Result<(), Obstacle> {
        control::answers(&self.registry, &self.controls).await?;
        if self.controls.is_empty() && self.policy.scope.source == Source::Catalog {
            let listing = self.registry.repositories().await;
            if listing.items.is_empty() {
                let detail = "the catalog is empty now, and was not a moment ago";
                return Err(Obstacle::new(ObstacleReason::RegistryError, detail));
            }
        }
        Ok(())
    }

    /// Finds out where to begin.
    async fn seed(&mut self) -> Result<(), Obstacle> {
        self.registry.ping().await?;
        let policy = self.policy;
        match &policy.scope.source {
            Source::Catalog => {
                let listing = self.registry.repositories().await;
                if let ListEnd::Absent(refusal) = listing.end {
                    let detail =
                        format!("{} answers {}{NO_CATALOG}", refusal.request, refusal.status);
                    return Err(Obstacle::new(ObstacleReason::Protocol, detail));
                }
                self.ledger.skip(Exemption::InvalidName, listing.invalid);
                if let ListEnd::Failed(mut obstacle) = listing.end {
                    if !obstacle.is_transient() {
                        // Many registries refuse a catalog, each in its own words.
                        obstacle.detail += NO_CATALOG;
                    }
                    // What was listed before it is swept all the same.
                    self.ledger.listing_failed(obstacle);
                }
                self.wait_for(listing.items);
            }
            Source::Repositories(named) => {
                self.ledger.listed(Listed::Named);
                self.wait_for(named.clone());
            }
            Source::Images(images) => {
                let names = images.iter();
                let names = names.map(|(name, reference)| reference.in_repository(name));
                self.ledger.listed(Listed::Images(names.collect()));
                self.begin_images(images);
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, repositories: Vec<Repository>) {
        let (repositories, left_out) = self.policy.scope.repositories(repositories);
        self.ledger.skip(Exemption::RepositoryFilter, left_out);
        self.ledger.repositories_listed(repositories.len());
        self.waiting.extend(repositories);
    }

    fn begin_images(&mut self, images: &[(Repository, Reference)]) {
        let mut by_repository = BTreeMap::<_, Vec<_>>::new();
        for (repository, reference) in images {
            by_repository
                .entry(repository.clone())
                .or_default()
                .push(reference);
        }
        self.ledger.repositories_listed(by_repository.len());
        for (repository, references) in by_repository {
            let mut walk = Walk::new(repository, self.policy.mode);
            walk.documents = Some(BTreeMap::new());
            for reference in references {
                match reference {
                    Reference::Tag(tag) => walk.add_tags(vec![tag.clone()]),
                    Reference::Digest(digest) => walk.add_named(digest.clone()),
                }
            }
            self.walks.push(Some(walk));
        }
    }

    /// The next question. A repository that is slow leaves half of the places to the others.
    fn next(&mut self) -> Option<(usize, Visit)> {
        let share = self.policy.concurrency.get().div_ceil(2);
        let next = self.go_on(share).or_else(|| self.begin());
        next.or_else(|| self.go_on(usize::MAX))
    }

    /// Of a repository that is open and has fewer than `most` questions under way.
    fn go_on(&mut self, most: usize) -> Option<(usize, Visit)> {
        let walks = self.walks.iter_mut().enumerate();
        for (number, walk) in walks.filter_map(|(number, walk)| Some((number, walk.as_mut()?))) {
            if walk.under_way >= most {
                continue;
            }
            let blobs_may_go =
                self.blobs_seen >= PROBATION || self.running.blobs < BLOBS_ON_PROBATION;
            let Some(step) = walk.next(blobs_may_go) else {
                continue;
            };
            walk.under_way += 1;
            let repository = walk.repository.clone();
            let visit = Visit::of(step, repository, &mut self.reading);
            return Some((number, visit));
        }
        None
    }

    /// The tags of a repository that is waiting.
    fn begin(&mut self) -> Option<(usize, Visit)> {
        let repository = self.waiting.pop_front()?;
        let mut walk = Walk::new(repository.clone(), self.policy.mode);
        walk.under_way = 1;
        let free = self.walks.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.walks.push(None);
            self.walks.len() - 1
        });
        self.walks[number] = Some(walk);
        Some((number, Visit::Tags { repository }))
    }

    /// Takes in what a visit saw. What it gives is a reason to end the sweep at once.
    fn absorb(&mut self, number: usize, seen: Seen) -> Option<Obstacle> {
        let walk = self.walks[number].as_mut()?;
        walk.under_way -= 1;
        self.troubles_in_a_row = if seen.is_trouble() {
            self.troubles_in_a_row + 1
        } else {
            0
        };
        match seen {
            Seen::Tags(listing) => {
                self.is_in_doubt |= matches!(listing.end, ListEnd::Absent(_));
                take_tags(walk, listing, self.policy);
            }
            Seen::Resolved(id, Ok(Pointed { digest, manifest })) => {
                let node = walk.tag_seen(id, Ok(digest.clone()));
                if let (Some(node), Some((judged, document))) = (node, manifest)
                    && walk.came_along(node)
                {
                    if judged.is_whole_manifest() {
                        self.whereabouts
                            .seen(Endpoint::Manifests, &digest, &walk.repository);
                        self.controls.manifest_is_intact(&walk.repository, digest);
                    }
                    walk.manifest_seen(node, judged, document);
                }
            }
            Seen::Resolved(id, Err(outcome)) => _ = walk.tag_seen(id, Err(outcome)),
            Seen::Manifest(id, digest, judged, document) => {
                if judged.is_whole_manifest() {
                    self.whereabouts
                        .seen(Endpoint::Manifests, &digest, &walk.repository);
                    self.controls.manifest_is_intact(&walk.repository, digest);
                }
                walk.manifest_seen(id, judged, document);
            }
            Seen::Blob(id, digest, depth, judged) => {
                self.blobs_seen = self.blobs_seen.saturating_add(1);
                self.reading.seen(&digest, depth, &judged);
                if judged.outcome == Outcome::Intact {
                    let repository = &walk.repository;
                    self.whereabouts.seen(Endpoint::Blobs, &digest, repository);
                    let length = judged.length;
                    self.controls.blob_is_intact(repository, digest, length);
                }
                walk.blob_seen(id, depth, judged);
            }
            Seen::CachedBlob => {
                self.ledger.warn(LOOKS_LIKE_A_CACHE);
                return Some(Obstacle::new(ObstacleReason::Protocol, LOOKS_LIKE_A_CACHE));
            }
            Seen::Lost(obstacle) => walk.obstruct(&obstacle),
        }
        if walk.is_done()
            && let Some(walk) = self.walks[number].take()
        {
            self.ledger
                .walked(walk.finish(self.policy.depth, None, &mut self.room));
        }
        None
    }

    /// Waits, and looks again at everything that seems broken.
    async fn confirm(&mut self, deadline: Option<Instant>) {
        let suspicions = self.ledger.suspicions();
        if suspicions.is_empty() {
            return;
        }
        // Rather an early second look than none before the deadline.
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.map_or(self.policy.confirm_after, |left| {
            self.policy.confirm_after.min(left / 2)
        });
        tracing::warn!(
            suspicions = suspicions.len(),
            ?wait,
            "looking again at what seems broken"
        );
        let progress = &self.policy.progress;
        progress.sleep(WaitReason::SecondLook, wait).await;
        let registry = self.registry.reconnected();
        let are_listed = !matches!(self.policy.scope.source, Source::Images(_));
        let concurrency = self.policy.concurrency.get();
        let ledger = &mut self.ledger;
        let is_in_doubt = &mut self.is_in_doubt;
        let done = |position, confirmed: Confirmed| {
            *is_in_doubt |= matches!(confirmed, Confirmed::Dropped);
            ledger.confirmed(position, confirmed);
        };
        confirm::confirm(
            &registry,
            &suspicions,
            &self.controls,
            are_listed,
            concurrency,
            done,
        )
        .await;
        let findings = self.ledger.findings();
        nearby::look(&registry, &self.whereabouts, findings, concurrency).await;
    }

    /// Ends the sweep, with what is left to ask put down to `cut_short`.
    pub(super) fn finish(mut self, cut_short: Option<Obstacle>) -> Sweep {
        if let Some(obstacle) = &cut_short {
            if self.is_in_doubt {
                self.ledger.listing_failed(obstacle.clone());
            }
            for walk in self.walks.into_iter().flatten() {
                let walked = walk.finish(self.policy.depth, Some(obstacle), &mut self.room);
                self.ledger.walked(walked);
            }
            self.ledger.not_reached(self.waiting, obstacle);
        }
        for notice in self.registry.notices() {
            self.ledger.warn(&format!("the registry says: {notice}"));
        }
        if let Some(warning) = self.reading.warning() {
            self.ledger.warn(&warning);
        }
        let certificate_expires_at = self.registry.certificate_end();
        let access = self.registry.access();
        let sweep = self.ledger.close(self.registry.traffic(), cut_short);
        Sweep {
            counts: Counts {
                scrubbed_bytes: self.reading.bytes(),
                ..sweep.counts
            },
            scrub_period: self.policy.scrub.as_ref().map(Turn::period),
            access,
            certificate_expires_at,
            ..sweep
        }
    }
}

/// Adds what is in scope of a repository's tags.
fn take_tags(walk: &mut Walk, listing: Listing<Tag>, policy: &Policy) {
    walk.tally.skip(Exemption::InvalidName, listing.invalid);
    let is_named = policy.scope.source != Source::Catalog;
    match &listing.end {
        ListEnd::Absent(refusal) if is_named => {
            let detail = format!(
                "the registry does not know it: {} answers {}",
                refusal.request, refusal.status
            );
            // Many registries say so, too, of what these credentials may not see.
            walk.obstruct(&Obstacle::new(ObstacleReason::Forbidden, detail));
        }
        ListEnd::Failed(obstacle) => walk.obstruct(obstacle),
        ListEnd::Absent(_) | ListEnd::Whole => {}
    }
    let is_whole = !matches!(listing.end, ListEnd::Failed(_)) && listing.invalid == 0;
    let (tags, left_out, beyond) = policy.scope.tags(listing.items);
    walk.has_all_tags = is_whole && left_out + beyond == 0;
    walk.tally.skip(Exemption::TagFilter, left_out);
    walk.tally.skip(Exemption::TagsPerRepo, beyond);
    if policy.mode == Mode::PullThrough {
        // To ask a cache for a tag is to have it stored.
        walk.tally.skip(Exemption::PullThrough, tags.len() as u64);
    } else {
        walk.add_tags(tags);
    }
}
