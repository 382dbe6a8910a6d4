//! The second look: nothing is called broken on one.
//!
//! Each suspicion is looked at again over a new connection, after the registry has shown that it
//! answers at all; then its tags are, and then the object once more. What has changed meanwhile (a
//! push, a deletion, a clean-up) is dropped; where the registry cannot be asked, the suspicion becomes
//! an obstacle and not a finding.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;

use super::control::{Controls, answers};
use super::form::{ReadBy, media_type};
use super::judge::{self, Judged};
use super::settle::Suspicion;
use super::visit::look_at_document;
use super::walk::Endpoint;
use crate::model::{
    Defect, Depth, Digest, Finding, Kind, MediaKind, Obstacle, ObstacleReason, Outcome, Reason,
    Reference, Repository, Tag,
};
use crate::registry::{ListEnd, Registry};

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
    let second = SecondLook {
        registry,
        controls,
        are_listed,
    };
    // What is broken must be so on either side of the look at its tags: clients may delete it before,
    // and put it back after.
    let looks = suspicions.iter().map(|suspicion| second.look(suspicion));
    let looks: Vec<_> = futures::stream::iter(looks)
        .buffered(concurrency)
        .collect()
        .await;
    let seen = suspicions.iter().zip(looks).enumerate();
    let seen = seen.map(|(position, (suspicion, seen))| (position, suspicion, seen));
    let mut again = Vec::new();
    let mut last_words = Vec::new();
    for (position, confirmed) in second.round(seen.collect(), concurrency).await {
        match confirmed {
            // A tag may be deleted and pushed again at any moment, so it takes two rounds.
            Confirmed::Broken(finding) if suspicions[position].endpoint.is_none() => {
                again.push((
                    position,
                    &suspicions[position],
                    Outcome::Broken(finding.defect),
                ));
            }
            confirmed => last_words.push((position, confirmed)),
        }
    }
    last_words.append(&mut second.round(again, concurrency).await);
    // A network that broke down in the meantime fails on the broken and on the intact alike.
    let outage = if last_words.iter().any(|(_, word)| is_like_an_outage(word)) {
        answers(registry, controls).await.err()
    } else {
        None
    };
    for (position, word) in last_words {
        match &outage {
            Some(outage) if is_like_an_outage(&word) => {
                done(position, unverified(&suspicions[position], outage.clone()));
            }
            _ => done(position, word),
        }
    }
}

/// Whether a network or a registry in trouble could have made such a finding.
fn is_like_an_outage(confirmed: &Confirmed) -> bool {
    let reason = match confirmed {
        Confirmed::Broken(finding) => finding.defect.reason,
        Confirmed::Unverified(..) | Confirmed::Dropped => return false,
    };
    matches!(
        reason,
        Reason::ShortRead | Reason::Unreadable | Reason::Inconsistent
    )
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
        suspicions: impl Iterator<Item = &Suspicion>,
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
            let answer = if are_listed {
                registry.resolve(&repository, &tag).await
            } else {
                registry.resolve_by_get(&repository, &tag, None).await
            };
            let seen = judge::tag(answer).map(|pointed| pointed.digest);
            ((repository, tag), seen)
        });
        let listed = lists.into_iter().map(|repository| async move {
            let listing = registry.tags(&repository).await;
            let tags = match listing.end {
                ListEnd::Failed(obstacle) => Err(obstacle),
                ListEnd::Whole | ListEnd::Absent(_) => Ok(listing.items.into_iter().collect()),
            };
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
    controls: &'a Controls,
    are_listed: bool,
}

impl<R: Registry> SecondLook<'_, R> {
    /// Looks at the tags of suspicions that were just seen as they are, and then at what is broken
    /// once more.
    async fn round(
        &self,
        seen: Vec<(usize, &Suspicion, Outcome)>,
        concurrency: usize,
    ) -> Vec<(usize, Confirmed)> {
        let suspicions = seen.iter().map(|(_, suspicion, _)| *suspicion);
        let present = &self.present(suspicions, concurrency).await;
        let confirm = |(position, suspicion, seen)| async move {
            (position, self.confirm(suspicion, seen, present).await)
        };
        let confirmed = futures::stream::iter(seen).map(confirm);
        confirmed.buffer_unordered(concurrency).collect().await
    }

    async fn present<'s>(
        &self,
        suspicions: impl Iterator<Item = &'s Suspicion>,
        concurrency: usize,
    ) -> Present {
        Present::look(self.registry, suspicions, self.are_listed, concurrency).await
    }

    /// What a suspicion comes to that was `seen` so in its second look, before its tags were.
    async fn confirm(&self, suspicion: &Suspicion, seen: Outcome, present: &Present) -> Confirmed {
        let tags = match present.unchanged(suspicion) {
            Ok(tags) if tags.is_empty() && !suspicion.is_named => return Confirmed::Dropped,
            Ok(tags) => tags,
            Err(obstacle) => return unverified(suspicion, obstacle),
        };
        let seen = match seen {
            Outcome::Broken(_) => self.look(suspicion).await,
            seen => seen,
        };
        match seen {
            Outcome::Broken(defect)
                if defect.reason == Reason::Unreadable
                    && !self.controls.has_kind_of(suspicion.endpoint) =>
            {
                // Nothing of its kind was ever readable here, so it may not be the object's fault.
                let evidence = &defect.evidence;
                let detail = format!(
                    "{} answers {}, and nothing else was found to answer better",
                    evidence.request, evidence.observed
                );
                let obstacle = Obstacle::new(ObstacleReason::RegistryError, detail);
                unverified(suspicion, obstacle)
            }
            Outcome::Broken(defect) => {
                Confirmed::Broken(Box::new(finding(suspicion, tags, defect)))
            }
            Outcome::Unverified(obstacle) => unverified(suspicion, obstacle),
            Outcome::Intact | Outcome::Skipped(_) => self.alternates(suspicion).await,
        }
    }

    /// What was broken and is intact now was repaired, or is answered for by replicas that disagree.
    async fn alternates(&self, suspicion: &Suspicion) -> Confirmed {
        // Clients that delete a tag and push it again take it away for one while at a time; replicas
        // take turns.
        let is_tag = suspicion.endpoint.is_none();
        let looks = if is_tag {
            2 * FURTHER_LOOKS
        } else {
            FURTHER_LOOKS
        };
        let (mut was_gone, mut was_back) = (false, false);
        for _ in 0..looks {
            match self.look(suspicion).await {
                Outcome::Intact | Outcome::Skipped(_) => was_back = was_gone,
                Outcome::Broken(_) if is_tag && !was_back => was_gone = true,
                Outcome::Unverified(obstacle) => return unverified(suspicion, obstacle),
                Outcome::Broken(defect) => return self.inconsistent(suspicion, defect).await,
            }
        }
        // What was not there and is there now was pushed in the meantime, and is the next sweep's. What
        // arrived otherwise than promised was there all along and was not followed, so that nobody has
        // seen what it promises.
        let is_new = suspicion.finding.defect.reason == Reason::NotFound;
        if suspicion.endpoint == Some(Endpoint::Manifests) && !is_new {
            let evidence = &suspicion.finding.defect.evidence;
            let detail = format!(
                "{} answered {} at first and is intact now; what it leads to was not looked at",
                evidence.request, evidence.observed
            );
            return unverified(
                suspicion,
                Obstacle::new(ObstacleReason::RegistryError, detail),
            );
        }
        Confirmed::Dropped
    }

    /// Answers that contradict each other are a finding if the tags still are what they were.
    async fn inconsistent(&self, suspicion: &Suspicion, defect: Defect) -> Confirmed {
        let after = self.present(std::iter::once(suspicion), 1).await;
        let tags = match after.unchanged(suspicion) {
            Ok(tags) if tags.is_empty() && !suspicion.is_named => return Confirmed::Dropped,
            Ok(tags) => tags,
            Err(obstacle) => return unverified(suspicion, obstacle),
        };
        let mut evidence = defect.evidence;
        evidence.observed += " in some looks, and what was promised in others";
        let defect = Defect {
            reason: Reason::Inconsistent,
            evidence,
        };
        Confirmed::Broken(Box::new(finding(suspicion, tags, defect)))
    }

    async fn look(&self, suspicion: &Suspicion) -> Outcome {
        let finding = &suspicion.finding;
        let repository = &finding.repository;
        let media_type = finding.media_type.as_deref();
        let is_unknown = media_type.map(MediaKind::from_media_type) == Some(MediaKind::Unknown);
        match (suspicion.endpoint, &finding.digest, finding.tags.first()) {
            (Some(Endpoint::Manifests), Some(digest), _) if is_unknown => {
                let look = look_at_document(self.registry, repository, digest);
                as_promised(look.await.0, finding)
            }
            (Some(Endpoint::Manifests), Some(digest), _) => {
                let reference = Reference::Digest(digest.clone());
                let answer = self.registry.manifest(repository, &reference).await;
                as_promised(judge::manifest(Some(digest), answer).0, finding)
            }
            (Some(Endpoint::Blobs), Some(digest), _) => {
                let depth = finding.depth.max(depth_of(&finding.defect));
                let answer = self
                    .registry
                    .blob(repository, digest, finding.size, depth)
                    .await;
                as_promised(judge::blob(digest, finding.size, answer), finding)
            }
            (_, _, Some(tag)) => match judge::tag(self.registry.resolve(repository, tag).await) {
                Ok(_) => Outcome::Intact,
                Err(outcome) => outcome,
            },
            (_, _, None) => Outcome::Intact,
        }
    }
}

/// What a suspicion holds of, by its second look: those of its `tags` that still are what they were.
fn finding(suspicion: &Suspicion, tags: Vec<Tag>, defect: Defect) -> Finding {
    let mut finding = suspicion.finding.clone();
    let pairs = finding.tags.iter().zip(&suspicion.pointed_to);
    let still = pairs.filter(|(tag, _)| tags.contains(tag));
    let pointed_to: BTreeSet<_> = still.filter_map(|(_, digest)| digest.clone()).collect();
    finding.nearby.pointed_to = pointed_to.into_iter().collect();
    Finding {
        tags,
        defect,
        confirmations: 1,
        ..finding
    }
}

/// A digest that was seen to mismatch is only seen again by reading everything.
fn depth_of(defect: &Defect) -> Depth {
    match defect.reason {
        Reason::DigestMismatch => Depth::Digest,
        _ => Depth::Head,
    }
}

/// An object that is whole may yet be another than its manifest says.
fn as_promised(judged: Judged, finding: &Finding) -> Outcome {
    let read_by = match (finding.kind, &finding.media_type) {
        (Kind::Child, media_type) => ReadBy::Promise(media_type.as_deref().unwrap_or_default()),
        _ => ReadBy::Header,
    };
    let contradiction = judge::size(finding.size, judged.length)
        .or_else(|| media_type(read_by, judged.form.as_ref()));
    match (judged.outcome, contradiction) {
        (Outcome::Intact, Some(defect)) => Outcome::Broken(defect),
        (outcome, _) => outcome,
    }
}
