//! The second look: nothing is called broken on one.
//!
//! Each suspicion is looked at again over a new connection, after the registry has shown that it
//! answers at all. What has changed meanwhile (a push, a deletion, a clean-up) is dropped; where the
//! registry cannot be asked, the suspicion becomes an obstacle and not a finding.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;

use super::judge::{self, Judged};
use super::walk::{Endpoint, Suspicion};
use crate::model::{
    Defect, Depth, Digest, Finding, Obstacle, ObstacleReason, Outcome, Reason, Reference,
    Repository, Tag,
};
use crate::registry::{Answer, Registry};

/// What a suspicion came to.
pub(super) enum Confirmed {
    /// It holds.
    Broken(Box<Finding>),
    /// It could not be held against the registry again.
    Unverified(Repository, Obstacle),
    /// It no longer holds.
    Dropped,
}

/// An object that was found intact in this sweep: if the registry answers for it, it answers.
pub(super) type Control = Option<(Repository, Digest)>;

/// Whether the registry answers at all right now. An outage makes every negative worthless.
pub(super) async fn answers<R: Registry>(registry: &R, control: &Control) -> Result<(), Obstacle> {
    let Some((repository, digest)) = control else {
        return registry.ping().await;
    };
    match registry
        .manifest(repository, &Reference::Digest(digest.clone()))
        .await
    {
        // Deleted meanwhile: the registry knows so, and says it.
        Answer::Found(_) | Answer::Absent(_) => Ok(()),
        Answer::Failing(refusal) => Err(Obstacle::new(
            ObstacleReason::RegistryError,
            format!(
                "{} answers {}, though it answered well before",
                refusal.request, refusal.status
            ),
        )),
        Answer::Unknown(obstacle) => Err(obstacle),
    }
}

/// Looks at every suspicion again, `concurrency` of them at a time. `registry` is one whose
/// connections are new.
pub(super) async fn confirm<R: Registry>(
    registry: &R,
    suspicions: &[Suspicion],
    control: &Control,
    are_listed: bool,
    concurrency: usize,
    mut done: impl FnMut(usize, Confirmed),
) {
    let outage = answers(registry, control).await.err();
    let present = Present::look(
        registry,
        suspicions,
        are_listed,
        concurrency,
        outage.is_some(),
    )
    .await;
    let look = |(position, suspicion)| {
        let (outage, present) = (&outage, &present);
        async move {
            let confirmed = match outage {
                Some(obstacle) => unverified(suspicion, obstacle),
                None => again(registry, suspicion, present, control.is_some()).await,
            };
            (position, confirmed)
        }
    };
    let looks = futures::stream::iter(suspicions.iter().enumerate()).map(look);
    let mut looks = looks.buffer_unordered(concurrency);
    while let Some((position, confirmed)) = looks.next().await {
        done(position, confirmed);
    }
}

fn unverified(suspicion: &Suspicion, obstacle: &Obstacle) -> Confirmed {
    Confirmed::Unverified(suspicion.finding.repository.clone(), obstacle.clone())
}

/// What the tags concerned look like now.
struct Present {
    /// The tags that each repository lists, where a tag leads nowhere and it matters.
    listed: BTreeMap<Repository, Result<BTreeSet<Tag>, Obstacle>>,
    /// Where each tag points to: `None` if nowhere.
    points_to: BTreeMap<(Repository, Tag), Result<Option<Digest>, Outcome>>,
}

impl Present {
    async fn look<R: Registry>(
        registry: &R,
        suspicions: &[Suspicion],
        are_listed: bool,
        concurrency: usize,
        is_outage: bool,
    ) -> Self {
        let mut tags = BTreeSet::new();
        let mut lists = BTreeSet::new();
        for suspicion in suspicions.iter().filter(|_| !is_outage) {
            let finding = &suspicion.finding;
            tags.extend(
                finding
                    .tags
                    .iter()
                    .map(|tag| (finding.repository.clone(), tag.clone())),
            );
            if suspicion.endpoint.is_none() && are_listed {
                lists.insert(finding.repository.clone());
            }
        }
        let points_to = tags.into_iter().map(|(repository, tag)| async move {
            let seen = points_to(registry, &repository, &tag).await;
            ((repository, tag), seen)
        });
        let points_to = futures::stream::iter(points_to)
            .buffer_unordered(concurrency)
            .collect()
            .await;
        let listed = lists.into_iter().map(|repository| async move {
            let listing = registry.tags(&repository).await;
            let tags = listing
                .obstacle
                .map_or(Ok(listing.items.into_iter().collect()), Err);
            (repository, tags)
        });
        let listed = futures::stream::iter(listed)
            .buffer_unordered(concurrency)
            .collect()
            .await;
        Self { listed, points_to }
    }

    /// The tags of a suspicion that still are as they were, or what keeps us from knowing.
    fn unchanged(&self, suspicion: &Suspicion) -> Result<Vec<Tag>, Obstacle> {
        let finding = &suspicion.finding;
        let mut unchanged = Vec::new();
        let mut obstacle = None;
        for (tag, before) in finding.tags.iter().zip(&suspicion.pointed_to) {
            match self
                .points_to
                .get(&(finding.repository.clone(), tag.clone()))
            {
                Some(Ok(now)) if now == before => unchanged.push(tag.clone()),
                Some(Err(Outcome::Unverified(why))) => obstacle = Some(why.clone()),
                // A tag that was not readable before, and still is not.
                Some(Err(_)) if before.is_none() => unchanged.push(tag.clone()),
                Some(_) | None => {}
            }
        }
        match (unchanged.is_empty(), obstacle) {
            (true, Some(obstacle)) => Err(obstacle),
            _ => Ok(unchanged),
        }
    }

    fn is_listed(&self, repository: &Repository, tag: &Tag) -> Result<bool, Obstacle> {
        match self.listed.get(repository) {
            None => Ok(true),
            Some(Ok(tags)) => Ok(tags.contains(tag)),
            Some(Err(obstacle)) => Err(obstacle.clone()),
        }
    }
}

async fn points_to<R: Registry>(
    registry: &R,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Digest>, Outcome> {
    match judge::tag(registry.resolve(repository, tag).await) {
        Ok(resolved) => Ok(Some(super::digest_of(&resolved))),
        Err(Outcome::Broken(defect)) if defect.reason == Reason::NotFound => Ok(None),
        Err(outcome) => Err(outcome),
    }
}

async fn again<R: Registry>(
    registry: &R,
    suspicion: &Suspicion,
    present: &Present,
    has_control: bool,
) -> Confirmed {
    let tags = match present.unchanged(suspicion) {
        Ok(tags) if tags.is_empty() && !suspicion.is_named => return Confirmed::Dropped,
        Ok(tags) => tags,
        Err(obstacle) => return unverified(suspicion, &obstacle),
    };
    let finding = &suspicion.finding;
    let outcome = match (suspicion.endpoint, &finding.digest) {
        (Some(Endpoint::Manifests), Some(digest)) => {
            let reference = Reference::Digest(digest.clone());
            let answer = registry.manifest(&finding.repository, &reference).await;
            promised_size(judge::manifest(Some(digest), answer).0, finding)
        }
        (Some(Endpoint::Blobs), Some(digest)) => {
            let depth = finding.depth.max(depth_of(&finding.defect));
            let answer = registry
                .blob(&finding.repository, digest, finding.size, depth)
                .await;
            promised_size(judge::blob(digest, finding.size, answer), finding)
        }
        _ => dangling(suspicion, present),
    };
    match outcome {
        Outcome::Broken(defect) if defect.reason == Reason::Unreadable && !has_control => {
            // Nothing in this registry was ever readable, so this may not be the object's fault.
            let Some(status) = defect.evidence.status else {
                return Confirmed::Dropped;
            };
            let detail = format!(
                "{} answers {status}, and nothing else was found to answer better",
                defect.evidence.request
            );
            unverified(
                suspicion,
                &Obstacle::new(ObstacleReason::RegistryError, detail),
            )
        }
        Outcome::Broken(defect) => Confirmed::Broken(Box::new(Finding {
            tags,
            defect,
            confirmations: finding.confirmations + 1,
            ..finding.clone()
        })),
        Outcome::Unverified(obstacle) => unverified(suspicion, &obstacle),
        Outcome::Intact | Outcome::Skipped(_) => Confirmed::Dropped,
    }
}

/// A digest that was seen to mismatch is only seen again by reading everything.
fn depth_of(defect: &Defect) -> Depth {
    match defect.reason {
        Reason::DigestMismatch => Depth::Digest,
        _ => Depth::Head,
    }
}

/// An object that is whole may yet have another size than its manifest says.
fn promised_size(judged: Judged, finding: &Finding) -> Outcome {
    match (judged.outcome, judge::size(finding.size, judged.length)) {
        (Outcome::Intact, Some(defect)) => Outcome::Broken(defect),
        (outcome, _) => outcome,
    }
}

/// A tag that led nowhere, and does again if it is still there.
fn dangling(suspicion: &Suspicion, present: &Present) -> Outcome {
    let finding = &suspicion.finding;
    let is_listed = |tag: &Tag| present.is_listed(&finding.repository, tag);
    match finding.tags.first().map(is_listed) {
        Some(Ok(true)) => Outcome::Broken(finding.defect.clone()),
        Some(Err(obstacle)) => Outcome::Unverified(obstacle),
        Some(Ok(false)) | None => Outcome::Intact,
    }
}
