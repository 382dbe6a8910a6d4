//! The second look: nothing is called broken on one.
//!
//! Each suspicion is looked at again over a new connection, after the registry has shown that it
//! answers at all. What has changed meanwhile (a push, a deletion, a clean-up) is dropped; where the
//! registry cannot be asked, the suspicion becomes an obstacle and not a finding.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::StreamExt as _;

use super::judge::{self, Judged};
use super::settle::Suspicion;
use super::walk::Endpoint;
use crate::model::{
    Defect, Depth, Digest, Finding, Obstacle, ObstacleReason, Outcome, Reason, Reference,
    Repository, Tag,
};
use crate::registry::{Answer, Registry, Resolved};

/// Further looks at what was broken in the first and intact in the second. One of two replicas that
/// disagree shows itself in them but for one time in sixty-four.
const FURTHER_LOOKS: u32 = 6;

/// What a suspicion came to.
pub(super) enum Confirmed {
    /// It holds.
    Broken(Box<Finding>),
    /// It could not be held against the registry again.
    Unverified(Repository, Obstacle),
    /// It no longer holds.
    Dropped,
}

/// Objects that were found intact in this sweep, the latest of each kind: if the registry answers for
/// them, it answers. Manifests and blobs may fail apart, for they are stored and served apart.
#[derive(Default)]
pub(super) struct Controls {
    /// Manifests of different repositories, for one of them may be deleted meanwhile.
    manifests: VecDeque<(Repository, Digest)>,
    blob: Option<(Repository, Digest, Option<u64>)>,
}

/// Manifests that are kept as controls.
const CONTROLS: usize = 4;

impl Controls {
    pub(super) fn manifest_is_intact(&mut self, repository: &Repository, digest: Digest) {
        self.manifests.retain(|(of, _)| of != repository);
        self.manifests.truncate(CONTROLS - 1);
        self.manifests.push_front((repository.clone(), digest));
    }

    pub(super) fn blob_is_intact(
        &mut self,
        repository: &Repository,
        digest: Digest,
        length: Option<u64>,
    ) {
        self.blob = Some((repository.clone(), digest, length));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Whether something of the same kind was ever readable.
    fn has_kind_of(&self, suspicion: &Suspicion) -> bool {
        match suspicion.endpoint {
            Some(Endpoint::Blobs) => self.blob.is_some(),
            Some(Endpoint::Manifests) | None => !self.manifests.is_empty(),
        }
    }
}

/// Whether the registry answers at all right now, and with the same store. An outage makes every
/// negative worthless; so does a volume that is gone, behind which everything is "not found".
pub(super) async fn answers<R: Registry>(
    registry: &R,
    controls: &Controls,
) -> Result<(), Obstacle> {
    if controls.manifests.is_empty() {
        registry.ping().await?;
    }
    let mut is_there = controls.manifests.is_empty();
    for (repository, digest) in &controls.manifests {
        let reference = Reference::Digest(digest.clone());
        is_there = answered(registry.manifest(repository, &reference).await)?;
        if is_there {
            break;
        }
    }
    if !is_there {
        let detail = "nothing that was intact a moment ago is there any more, as when a store is \
                      unmounted or emptied";
        return Err(Obstacle::new(ObstacleReason::RegistryError, detail));
    }
    if let Some((repository, digest, size)) = &controls.blob {
        answered(registry.blob(repository, digest, *size, Depth::Tail).await)?;
    }
    Ok(())
}

/// Whether an object is there, or what keeps the registry from saying.
fn answered<T>(answer: Answer<T>) -> Result<bool, Obstacle> {
    match answer {
        Answer::Found(_) => Ok(true),
        Answer::Absent(_) => Ok(false),
        Answer::Failing(refusal) => {
            let (request, status) = (refusal.request, refusal.status);
            let detail = format!("{request} answers {status}, though it answered well before");
            Err(Obstacle::new(ObstacleReason::RegistryError, detail))
        }
        Answer::Unknown(obstacle) => Err(obstacle),
    }
}

/// Looks at every suspicion again, `concurrency` of them at a time. `registry` is one whose
/// connections are new; `are_listed` says whether tags came from a list that can be asked for again.
pub(super) async fn confirm<R: Registry>(
    registry: &R,
    suspicions: &[Suspicion],
    controls: &Controls,
    are_listed: bool,
    concurrency: usize,
    mut done: impl FnMut(usize, Confirmed),
) {
    if let Err(outage) = answers(registry, controls).await {
        for (position, suspicion) in suspicions.iter().enumerate() {
            done(position, unverified(suspicion, outage.clone()));
        }
        return;
    }
    let present = Present::look(registry, suspicions, are_listed, concurrency).await;
    let look = |(position, suspicion)| {
        let second = SecondLook {
            registry,
            present: &present,
            controls,
        };
        async move { (position, second.confirm(suspicion).await) }
    };
    let looks = futures::stream::iter(suspicions.iter().enumerate()).map(look);
    let mut looks = looks.buffer_unordered(concurrency);
    while let Some((position, confirmed)) = looks.next().await {
        done(position, confirmed);
    }
}

fn unverified(suspicion: &Suspicion, obstacle: Obstacle) -> Confirmed {
    Confirmed::Unverified(suspicion.finding.repository.clone(), obstacle)
}

/// What the tags concerned look like now.
struct Present {
    /// The tags that each repository lists, where one of them leads nowhere.
    listed: BTreeMap<Repository, Result<BTreeSet<Tag>, Obstacle>>,
    /// Where each tag points to, where something below it is broken.
    points_to: BTreeMap<(Repository, Tag), Result<Digest, Outcome>>,
}

impl Present {
    async fn look<R: Registry>(
        registry: &R,
        suspicions: &[Suspicion],
        are_listed: bool,
        concurrency: usize,
    ) -> Self {
        let (mut tags, mut lists) = (BTreeSet::new(), BTreeSet::new());
        for Suspicion {
            finding, endpoint, ..
        } in suspicions
        {
            let repository = &finding.repository;
            if endpoint.is_some() {
                tags.extend(
                    finding
                        .tags
                        .iter()
                        .map(|tag| (repository.clone(), tag.clone())),
                );
            } else if are_listed {
                lists.insert(repository.clone());
            }
        }
        let points_to = tags.into_iter().map(|(repository, tag)| async move {
            let seen = judge::tag(registry.resolve(&repository, &tag).await);
            ((repository, tag), seen.map(Resolved::into_digest))
        });
        let listed = lists.into_iter().map(|repository| async move {
            let listing = registry.tags(&repository).await;
            let tags = listing
                .obstacle
                .map_or(Ok(listing.items.into_iter().collect()), Err);
            (repository, tags)
        });
        Self {
            points_to: futures::stream::iter(points_to)
                .buffer_unordered(concurrency)
                .collect()
                .await,
            listed: futures::stream::iter(listed)
                .buffer_unordered(concurrency)
                .collect()
                .await,
        }
    }

    /// The tags of a suspicion that still are what they were, or what keeps us from knowing.
    fn unchanged(&self, suspicion: &Suspicion) -> Result<Vec<Tag>, Obstacle> {
        let finding = &suspicion.finding;
        if suspicion.endpoint.is_none() {
            return self.still_listed(finding);
        }
        let mut unchanged = Vec::new();
        let mut obstacle = None;
        for (tag, before) in finding.tags.iter().zip(&suspicion.pointed_to) {
            match self
                .points_to
                .get(&(finding.repository.clone(), tag.clone()))
            {
                Some(Ok(now)) if Some(now) == before.as_ref() => unchanged.push(tag.clone()),
                Some(Err(Outcome::Unverified(why))) => obstacle = Some(why.clone()),
                // It fails now: that is another suspicion, for the next sweep to follow.
                Some(Err(_) | Ok(_)) | None => {}
            }
        }
        match obstacle {
            Some(obstacle) if unchanged.is_empty() => Err(obstacle),
            _ => Ok(unchanged),
        }
    }

    fn still_listed(&self, finding: &Finding) -> Result<Vec<Tag>, Obstacle> {
        let mut tags = finding.tags.clone();
        match self.listed.get(&finding.repository) {
            Some(Err(obstacle)) => return Err(obstacle.clone()),
            Some(Ok(listed)) => tags.retain(|tag| listed.contains(tag)),
            // The caller named the tag, whether or not it is listed.
            None => {}
        }
        Ok(tags)
    }
}

/// What a second look needs.
struct SecondLook<'a, R> {
    registry: &'a R,
    present: &'a Present,
    controls: &'a Controls,
}

impl<R: Registry> SecondLook<'_, R> {
    async fn confirm(&self, suspicion: &Suspicion) -> Confirmed {
        let tags = match self.present.unchanged(suspicion) {
            Ok(tags) if tags.is_empty() && !suspicion.is_named => return Confirmed::Dropped,
            Ok(tags) => tags,
            Err(obstacle) => return unverified(suspicion, obstacle),
        };
        let finding = &suspicion.finding;
        match self.look(suspicion).await {
            Outcome::Broken(defect)
                if defect.reason == Reason::Unreadable && !self.controls.has_kind_of(suspicion) =>
            {
                // Nothing of its kind was ever readable here, so it may not be the object's fault.
                let evidence = &defect.evidence;
                let detail = format!(
                    "{} answers {}, and nothing else was found to answer better",
                    evidence.request, evidence.observed
                );
                unverified(
                    suspicion,
                    Obstacle::new(ObstacleReason::RegistryError, detail),
                )
            }
            Outcome::Broken(defect) => Confirmed::Broken(Box::new(Finding {
                tags,
                defect,
                confirmations: 1,
                ..finding.clone()
            })),
            Outcome::Unverified(obstacle) => unverified(suspicion, obstacle),
            Outcome::Intact | Outcome::Skipped(_) => self.alternates(suspicion, tags).await,
        }
    }

    /// What was broken and is intact now was repaired, or is answered for by replicas that disagree.
    async fn alternates(&self, suspicion: &Suspicion, tags: Vec<Tag>) -> Confirmed {
        for further in 1..=FURTHER_LOOKS {
            match self.look(suspicion).await {
                Outcome::Intact | Outcome::Skipped(_) => {}
                Outcome::Unverified(obstacle) => return unverified(suspicion, obstacle),
                Outcome::Broken(Defect { evidence, .. }) => {
                    let mut finding = Finding {
                        tags,
                        confirmations: 1,
                        ..suspicion.finding.clone()
                    };
                    let observed = format!(
                        "{} in 2 of {} looks, and in the others what was promised",
                        evidence.observed,
                        further + 2
                    );
                    let evidence = crate::model::Evidence {
                        observed,
                        ..evidence
                    };
                    finding.defect = Defect {
                        reason: Reason::Inconsistent,
                        evidence,
                    };
                    return Confirmed::Broken(Box::new(finding));
                }
            }
        }
        Confirmed::Dropped
    }

    async fn look(&self, suspicion: &Suspicion) -> Outcome {
        let finding = &suspicion.finding;
        let repository = &finding.repository;
        match (suspicion.endpoint, &finding.digest, finding.tags.first()) {
            (Some(Endpoint::Manifests), Some(digest), _) => {
                let reference = Reference::Digest(digest.clone());
                let answer = self.registry.manifest(repository, &reference).await;
                promised_size(judge::manifest(Some(digest), answer).0, finding)
            }
            (Some(Endpoint::Blobs), Some(digest), _) => {
                let depth = finding.depth.max(depth_of(&finding.defect));
                let answer = self
                    .registry
                    .blob(repository, digest, finding.size, depth)
                    .await;
                promised_size(judge::blob(digest, finding.size, answer), finding)
            }
            (_, _, Some(tag)) => match judge::tag(self.registry.resolve(repository, tag).await) {
                Ok(_) => Outcome::Intact,
                Err(outcome) => outcome,
            },
            (_, _, None) => Outcome::Intact,
        }
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
