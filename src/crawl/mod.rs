//! The walk over a registry: from its catalog to every layer, and from every negative to a second
//! look.
//!
//! One task, [`sweep`], owns everything that changes: the repositories being walked, the set of
//! running visits, and the ledger of what was found. A visit is one question to the registry and the
//! judgement of its answer; it knows nothing of the others.

mod confirm;
mod judge;
mod ledger;
mod scope;
mod visit;
mod walk;

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use scope::{Filter, Scope, Source};

use crate::model::{
    Depth, Digest, Exemption, Listed, Mode, Obstacle, ObstacleReason, Outcome, Reference,
    Repository, Sweep,
};
use crate::registry::{Registry, Resolved};
use confirm::{Confirmed, Control};
use ledger::Ledger;
use visit::{Running, Seen, Visit};
use walk::{Step, Walk};

/// How to sweep.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The registry's name, for the report.
    pub registry: String,
    /// What to look at.
    pub scope: Scope,
    /// How closely to look at blobs.
    pub depth: Depth,
    /// What kind of registry it is.
    pub mode: Mode,
    /// Visits at a time.
    pub concurrency: NonZeroUsize,
    /// How long to wait before a negative is looked at again.
    pub confirm_after: Duration,
    /// When to end the sweep, whatever is left.
    pub deadline: Option<Duration>,
}

/// Obstacles in a row after which the registry is asked whether it is there at all.
const SUSPICIOUS_ROW: u32 = 16;

/// What helps where there is no catalog, or none for us.
const NO_CATALOG: &str =
    "; if this registry offers no catalog, name its repositories with --repo or --repos-file";

/// Sweeps a registry. Always gives a [`Sweep`]: one that is cancelled, or runs into its deadline or
/// an outage, is partial and says so.
pub async fn sweep<R: Registry>(
    registry: &R,
    policy: &Policy,
    cancel: &CancellationToken,
) -> Sweep {
    let mut crawl = Crawl::new(registry.clone(), policy);
    let deadline = policy.deadline.map(|deadline| Instant::now() + deadline);
    let timer = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let cut_short = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            Some(Obstacle::new(ObstacleReason::Cancelled, "the sweep was told to stop"))
        }
        () = timer => {
            let length = policy.deadline.unwrap_or_default();
            let detail = format!("the sweep's {} were up", humantime::format_duration(length));
            Some(Obstacle::new(ObstacleReason::Deadline, detail))
        }
        outage = crawl.run(deadline) => outage,
    };
    crawl.finish(cut_short)
}

/// The state of a sweep.
struct Crawl<'a, R> {
    registry: R,
    policy: &'a Policy,
    /// Repositories not begun yet.
    waiting: VecDeque<Repository>,
    /// Repositories being walked, by the number that their visits carry.
    walks: Vec<Option<Walk>>,
    running: Running,
    ledger: Ledger,
    /// Blobs that were read whole and found intact, wherever: their bytes need no second reading.
    fully_read: HashSet<Digest>,
    control: Control,
    obstacles_in_a_row: u32,
}

impl<'a, R: Registry> Crawl<'a, R> {
    fn new(registry: R, policy: &'a Policy) -> Self {
        Self {
            ledger: Ledger::new(policy, registry.traffic()),
            registry,
            policy,
            waiting: VecDeque::new(),
            walks: Vec::new(),
            running: Running::default(),
            fully_read: HashSet::new(),
            control: None,
            obstacles_in_a_row: 0,
        }
    }

    /// Runs to the end. An obstacle is an outage that ended it early.
    async fn run(&mut self, deadline: Option<Instant>) -> Option<Obstacle> {
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
            self.absorb(walk, seen);
            if self.obstacles_in_a_row >= SUSPICIOUS_ROW {
                if let Err(obstacle) = confirm::answers(&self.registry, &self.control).await {
                    return Some(obstacle);
                }
                self.obstacles_in_a_row = 0;
            }
        }
        self.confirm(deadline).await;
        None
    }

    /// Finds out where to begin.
    async fn seed(&mut self) -> Result<(), Obstacle> {
        self.registry.ping().await?;
        let policy = self.policy;
        match &policy.scope.source {
            Source::Catalog => {
                let listing = self.registry.repositories().await;
                if let Some(refusal) = listing.absent {
                    let detail =
                        format!("{} answers {}{NO_CATALOG}", refusal.request, refusal.status);
                    return Err(Obstacle::new(ObstacleReason::Protocol, detail));
                }
                self.ledger.skip(Exemption::InvalidName, listing.invalid);
                if let Some(mut obstacle) = listing.obstacle {
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
                let name = |(repository, reference): &(Repository, Reference)| match reference {
                    Reference::Tag(tag) => format!("{repository}:{tag}"),
                    Reference::Digest(digest) => format!("{repository}@{digest}"),
                };
                let names = images.iter().map(name).collect();
                self.ledger.listed(Listed::Images(names));
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
        let mut by_repository = std::collections::BTreeMap::<_, Vec<_>>::new();
        for (repository, reference) in images {
            by_repository
                .entry(repository.clone())
                .or_default()
                .push(reference);
        }
        self.ledger.repositories_listed(by_repository.len());
        for (repository, references) in by_repository {
            let mut walk = Walk::new(repository, self.policy.mode);
            for reference in references {
                match reference {
                    Reference::Tag(tag) => walk.add_tags(vec![tag.clone()]),
                    Reference::Digest(digest) => walk.add_named(digest.clone()),
                }
            }
            self.walks.push(Some(walk));
        }
    }

    /// The next question: of a repository that is open, or the tags of one that is waiting.
    fn next(&mut self) -> Option<(usize, Visit)> {
        for (number, walk) in self.walks.iter_mut().enumerate() {
            let Some(walk) = walk else { continue };
            let Some(step) = walk.next() else { continue };
            walk.under_way += 1;
            let repository = walk.repository.clone();
            let visit = match step {
                Step::Resolve(id, tag) => Visit::Resolve {
                    repository,
                    id,
                    tag,
                },
                Step::Manifest(id, digest) => Visit::Manifest {
                    repository,
                    id,
                    digest,
                },
                Step::Blob(id, digest, size) => {
                    let is_read =
                        self.policy.depth == Depth::Digest && self.fully_read.contains(&digest);
                    let depth = if is_read {
                        Depth::Tail
                    } else {
                        self.policy.depth
                    };
                    Visit::Blob {
                        repository,
                        id,
                        digest,
                        size,
                        depth,
                    }
                }
            };
            return Some((number, visit));
        }
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

    /// Takes in what a visit saw.
    fn absorb(&mut self, number: usize, seen: Seen) {
        let Some(walk) = self.walks[number].as_mut() else {
            return;
        };
        walk.under_way -= 1;
        match seen.obstacle() {
            Some(obstacle) if obstacle.is_transient() => self.obstacles_in_a_row += 1,
            Some(_) => {}
            None => self.obstacles_in_a_row = 0,
        }
        match seen {
            Seen::Tags(listing) => {
                let is_named = self.policy.scope.source != Source::Catalog;
                walk.tally.skip(Exemption::InvalidName, listing.invalid);
                if let Some(refusal) = listing.absent.filter(|_| is_named) {
                    let detail = format!(
                        "the registry does not know it: {} answers {}",
                        refusal.request, refusal.status
                    );
                    walk.obstruct(Obstacle::new(ObstacleReason::Protocol, detail));
                }
                listing
                    .obstacle
                    .into_iter()
                    .for_each(|obstacle| walk.obstruct(obstacle));
                let (tags, left_out, beyond) = self.policy.scope.tags(listing.items);
                walk.tally.skip(Exemption::TagFilter, left_out);
                walk.tally.skip(Exemption::TagsPerRepo, beyond);
                walk.add_tags(tags);
            }
            Seen::Resolved(id, Ok(Resolved::Digest(digest))) => _ = walk.tag_seen(id, Ok(digest)),
            Seen::Resolved(id, Ok(Resolved::Manifest(body))) => {
                let digest = Digest::sha256(&body.bytes);
                let node = walk.tag_seen(id, Ok(digest));
                if let Some(node) = node.filter(|node| walk.came_along(*node)) {
                    let (judged, document) =
                        judge::manifest(None, crate::registry::Answer::Found(body));
                    walk.manifest_seen(node, judged, document);
                }
            }
            Seen::Resolved(id, Err(outcome)) => _ = walk.tag_seen(id, Err(outcome)),
            Seen::Manifest(id, digest, judged, document) => {
                if judged.outcome == Outcome::Intact {
                    self.control = Some((walk.repository.clone(), digest));
                }
                walk.manifest_seen(id, judged, document);
            }
            Seen::Blob(id, digest, depth, judged) => {
                if depth == Depth::Digest && judged.outcome == Outcome::Intact {
                    self.fully_read.insert(digest);
                }
                walk.blob_seen(id, judged);
            }
            Seen::Lost(obstacle) => walk.obstruct(obstacle),
        }
        if walk.is_done()
            && let Some(walk) = self.walks[number].take()
        {
            self.ledger.walked(walk.finish(self.policy.depth, None));
        }
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
        tracing::info!(
            suspicions = suspicions.len(),
            ?wait,
            "looking again at what seems broken"
        );
        tokio::time::sleep(wait).await;
        let registry = self.registry.reconnected();
        let are_listed = !matches!(self.policy.scope.source, Source::Images(_));
        let concurrency = self.policy.concurrency.get();
        let ledger = &mut self.ledger;
        let done = |position, confirmed: Confirmed| ledger.confirmed(position, confirmed);
        confirm::confirm(
            &registry,
            &suspicions,
            &self.control,
            are_listed,
            concurrency,
            done,
        )
        .await;
    }

    /// Ends the sweep, with what is left to ask put down to `cut_short`.
    fn finish(mut self, cut_short: Option<Obstacle>) -> Sweep {
        if let Some(obstacle) = &cut_short {
            for walk in self.walks.into_iter().flatten() {
                self.ledger
                    .walked(walk.finish(self.policy.depth, Some(obstacle)));
            }
            self.ledger.not_reached(self.waiting, obstacle);
        }
        self.ledger.close(self.registry.traffic(), cut_short)
    }
}

/// The digest that a tag points to. A registry that does not state one is taken at its bytes.
fn digest_of(resolved: &Resolved) -> Digest {
    match resolved {
        Resolved::Digest(digest) => digest.clone(),
        Resolved::Manifest(body) => Digest::sha256(&body.bytes),
    }
}
