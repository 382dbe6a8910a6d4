//! Visits: one question to the registry each, with the judgement of its answer, run side by side.

use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use super::judge::{self, Judged};
use super::known_manifests::Recall;
use super::progress::Progress;
use super::reading::{Plan, Reading, Shared};
use super::repeats::{Repeated, Repeats};
use super::resolve::{self, Pointed};
use super::walk::Object;
use super::walk::Walk;
use super::walk::{Endpoint, NodeId, TagId};
use super::walk::{Keeper, Step};
use crate::oci::{Digest, Document, Reference, Repository, Tag};
use crate::registry::{Answer, ListEnd, Listing, Registry, Way};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Outcome, Reason};

/// A question.
pub(super) enum Visit {
    Tags {
        repository: Repository,
        /// How often to ask while there is none.
        times: u32,
    },
    /// Whether the registry knows a repository whose list of tags it does not give.
    IsKnown { repository: Repository },
    Resolve {
        repository: Repository,
        id: TagId,
        tag: Tag,
        way: Way,
        recall: Recall,
        repeated: Repeated,
    },
    Manifest {
        repository: Repository,
        id: NodeId,
        digest: Digest,
        keeper: Keeper,
        recall: Recall,
        repeated: Repeated,
    },
    Blob {
        repository: Repository,
        id: NodeId,
        digest: Digest,
        size: Option<u64>,
        plan: Plan,
        repeated: Repeated,
    },
}

impl Visit {
    /// The question that a walk has next.
    pub(super) fn of(
        step: Step,
        walk: &Walk,
        reading: &mut Reading,
        repeats: &mut Repeats,
        recall: &Recall,
    ) -> Self {
        let repository = walk.repository().clone();
        let history = walk.history();
        // Most repositories have no past, and most objects are asked about.
        let has_past = history.has_past();
        match step {
            Step::List => Self::Tags {
                repository,
                times: repeats.of_list(history, walk.is_unlisted()),
            },
            Step::IsKnown => Self::IsKnown { repository },
            Step::Resolve(id, tag, way) => {
                let object = has_past.then(|| Object::Tag(tag.clone()));
                Self::Resolve {
                    repository,
                    id,
                    repeated: repeats.of(history, object.as_ref()),
                    recall: recall.clone(),
                    tag,
                    way,
                }
            }
            Step::Manifest(id, digest, keeper) => {
                let object = has_past.then(|| Object::Content(Endpoint::Manifests, digest.clone()));
                Self::Manifest {
                    repository,
                    id,
                    repeated: repeats.of(history, object.as_ref()),
                    recall: if history.looks == 0 && !has_past {
                        recall.clone()
                    } else {
                        recall.clone().by_get()
                    },
                    digest,
                    keeper,
                }
            }
            Step::Blob(id, digest, size) => {
                let object = has_past.then(|| Object::Content(Endpoint::Blobs, digest.clone()));
                let past = object.as_ref().and_then(|object| history.past(object));
                let before = past.and_then(|past| past.depth).max(history.read_at);
                let plan = reading.plan(&digest, size, before, walk.is_new(id));
                let mut repeated = repeats.of(history, object.as_ref());
                if plan.depth == Depth::Digest {
                    // To read gigabytes a dozen times costs more than it tells.
                    repeated.left = 1;
                }
                Self::Blob {
                    repository,
                    id,
                    digest,
                    size,
                    plan,
                    repeated,
                }
            }
        }
    }
}

/// A digest that no bytes are known to have: what a registry answers for it, it answers for what it does
/// not have.
pub(super) fn nothing() -> Digest {
    let text = format!("sha256:{}", "0".repeat(64));
    text.parse().expect("64 hexadecimal digits")
}

/// What a visit saw.
pub(super) enum Seen {
    Tags(Listing<Tag>),
    /// Whether the registry knows the repository.
    IsKnown(bool),
    Resolved(TagId, Result<Pointed, Outcome>),
    /// The last says whether it was pushed since the last sweep, as far as that shows.
    Manifest(NodeId, Digest, Judged, Option<Document>, bool),
    Blob(NodeId, Digest, Depth, Judged),
    /// A blob of a registry that gave itself away as a pull-through cache.
    CachedBlob,
    /// The visit ended without a result: a fault of this program.
    Lost(Unverified),
}

impl Seen {
    /// Whether this may be the sign of an outage: a failure that may pass, or a 5xx.
    pub(super) fn is_trouble(&self) -> bool {
        let outcome = match self {
            Self::Tags(listing) => {
                return matches!(&listing.end, ListEnd::Failed(why) if why.is_transient());
            }
            Self::IsKnown(_) | Self::Resolved(_, Ok(_)) | Self::CachedBlob | Self::Lost(_) => {
                return false;
            }
            Self::Resolved(_, Err(outcome)) => outcome,
            Self::Manifest(_, _, judged, _, _) | Self::Blob(_, _, _, judged) => &judged.outcome,
        };
        match outcome {
            Outcome::Unverified(why) => why.is_transient(),
            Outcome::Broken(defect) => defect.reason == Reason::Unreadable,
            Outcome::Intact => false,
        }
    }
}

impl Visit {
    async fn run<R: Registry>(self, registry: R) -> Seen {
        match self {
            Self::Tags { repository, times } => {
                Seen::Tags(tags(&registry, &repository, times).await)
            }
            Self::IsKnown { repository } => is_known(&registry, &repository).await,
            Self::Resolve {
                repository,
                id,
                tag,
                way,
                recall,
                mut repeated,
            } => loop {
                let seen = resolve::judge(registry.resolve(&repository, &tag, way).await);
                if way == Way::Both && seen.is_ok() {
                    recall.pulled(&repository);
                }
                let outcome = seen.as_ref().err().cloned().unwrap_or(Outcome::Intact);
                match repeated.take(&outcome) {
                    None => {}
                    Some(Outcome::Intact) => return Seen::Resolved(id, seen),
                    Some(outcome) => return Seen::Resolved(id, Err(outcome)),
                }
            },
            Self::Manifest {
                repository,
                id,
                digest,
                keeper,
                recall,
                mut repeated,
            } => {
                if keeper == Keeper::Manifests
                    && let Some((judged, document)) =
                        recall.look(&registry, &repository, &digest).await
                {
                    return Seen::Manifest(id, digest, judged, Some(document), false);
                }
                let is_new = recall.is_new(&digest);
                loop {
                    let (judged, document) = match keeper {
                        Keeper::Manifests => {
                            look_at_manifest(&registry, &repository, &digest, &recall).await
                        }
                        Keeper::Either => look_at_document(&registry, &repository, &digest).await,
                    };
                    if let Some(outcome) = repeated.take(&judged.outcome) {
                        let judged = Judged { outcome, ..judged };
                        return Seen::Manifest(id, digest, judged, document, is_new);
                    }
                }
            }
            Self::Blob {
                repository,
                id,
                digest,
                size,
                plan: Plan { depth, shared },
                repeated,
            } => {
                let blob = BlobVisit {
                    registry: &registry,
                    repository: &repository,
                    id,
                    digest,
                    size,
                    repeated,
                };
                blob.run(depth, shared).await
            }
        }
    }
}

/// A question for a blob.
struct BlobVisit<'a, R> {
    registry: &'a R,
    repository: &'a Repository,
    id: NodeId,
    digest: Digest,
    size: Option<u64>,
    repeated: Repeated,
}

impl<R: Registry> BlobVisit<'_, R> {
    async fn run(self, depth: Depth, shared: Shared) -> Seen {
        match shared {
            Shared::No => self.look(depth).await,
            Shared::Here(outcome) => {
                let seen = self.look(depth).await;
                let is_intact = matches!(&seen, Seen::Blob(_, _, _, judged) if judged.outcome == Outcome::Intact);
                // Nobody may wait for it.
                _ = outcome.send(Some(is_intact));
                seen
            }
            Shared::Elsewhere(mut outcome) => {
                let again = Self {
                    digest: self.digest.clone(),
                    repeated: self.repeated.clone(),
                    ..self
                };
                let seen = self.look(Depth::Head).await;
                if !matches!(&seen, Seen::Blob(_, _, _, judged) if judged.outcome == Outcome::Intact)
                {
                    return seen;
                }
                // Whoever reads them may have come to no end.
                let read = outcome.wait_for(Option::is_some).await;
                if read.is_ok_and(|read| *read == Some(true)) {
                    return seen;
                }
                again.look(depth).await
            }
        }
    }

    async fn look(mut self, depth: Depth) -> Seen {
        let (digest, size) = (self.digest, self.size);
        loop {
            let answer = self
                .registry
                .blob(self.repository, &digest, size, depth)
                .await;
            if matches!(&answer, Answer::Found(look) if look.is_from_cache) {
                return Seen::CachedBlob;
            }
            let judged = judge::blob(&digest, size, answer);
            if let Some(outcome) = self.repeated.take(&judged.outcome) {
                return Seen::Blob(self.id, digest, depth, Judged { outcome, ..judged });
            }
        }
    }
}

/// A repository's list of tags, asked for so many times while it is not there or empty.
async fn tags<R: Registry>(registry: &R, repository: &Repository, times: u32) -> Listing<Tag> {
    let mut listing = registry.tags(repository).await;
    for _ in 1..times {
        let is_empty = listing.end == ListEnd::Whole && listing.items.is_empty();
        if !is_empty && !matches!(listing.end, ListEnd::Absent(_)) {
            break;
        }
        listing = registry.tags(repository).await;
    }
    listing
}

/// Whether a registry answers for a manifest as for one of a repository that it knows; or its list of tags,
/// which is not there, if it is there now: another replica may have it.
async fn is_known<R: Registry>(registry: &R, repository: &Repository) -> Seen {
    let reference = Reference::Digest(nothing());
    let is_known = match registry.manifest(repository, &reference).await {
        Answer::Absent(refusal) => refusal.code.as_deref() == Some("MANIFEST_UNKNOWN"),
        Answer::Found(_) | Answer::Failing(_) | Answer::Unverified(_) => false,
    };
    let again = registry.tags(repository).await;
    match again.end {
        ListEnd::Absent(_) => Seen::IsKnown(is_known),
        ListEnd::Whole | ListEnd::Failed(_) => Seen::Tags(again),
    }
}

async fn look_at_manifest<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
    recall: &Recall,
) -> (Judged, Option<Document>) {
    let reference = Reference::Digest(digest.clone());
    let answer = registry.manifest(repository, &reference).await;
    let body = match &answer {
        Answer::Found(body) => Some(body.clone()),
        _ => None,
    };
    let seen = judge::manifest(Some(digest), answer);
    if let Some(body) = body.filter(|_| seen.0.outcome == Outcome::Intact) {
        recall.keep(digest, &body);
    }
    seen
}

/// Looks at a child of a type that clients do not know: containerd has it as a blob, others may have
/// it as a manifest.
async fn look_at_document<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
) -> (Judged, Option<Document>) {
    match registry.config(repository, digest).await {
        Answer::Found(body) => judge::kept_as_blob(digest, &body),
        Answer::Absent(refusal) => {
            let reference = Reference::Digest(digest.clone());
            let answer = match registry.manifest(repository, &reference).await {
                // Distribution fails where it has, or had, a blob of that digest.
                Answer::Failing(_) => Answer::Absent(refusal),
                answer => answer,
            };
            judge::manifest(Some(digest), answer)
        }
        answer => judge::manifest(Some(digest), answer),
    }
}

/// The visits that are under way, each with the number of its walk. Dropping it ends them.
pub(super) struct Running {
    tasks: JoinSet<Seen>,
    /// There are few, so that to look through them takes less than to hash a number.
    walks: Vec<(Id, usize, bool)>,
    progress: Arc<Progress>,
    /// How many of them ask for blobs.
    pub(super) blobs: usize,
}

impl Running {
    pub(super) fn new(progress: &Arc<Progress>) -> Self {
        Self {
            tasks: JoinSet::new(),
            walks: Vec::new(),
            progress: Arc::clone(progress),
            blobs: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn start<R: Registry>(&mut self, registry: &R, walk: usize, visit: Visit) {
        let is_blob = matches!(visit, Visit::Blob { .. });
        // The runtime moves a task about before it runs, and this one is large.
        let task = self.tasks.spawn(Box::pin(visit.run(registry.clone())));
        self.walks.push((task.id(), walk, is_blob));
        self.blobs += usize::from(is_blob);
    }

    /// The next visit that ends, or `None` if none is under way.
    pub(super) async fn next(&mut self) -> Option<(usize, Seen)> {
        let (id, seen) = match self.tasks.join_next_with_id().await? {
            Ok(ended) => ended,
            // A panic must not take the sweep with it, nor pass for a result.
            Err(error) => {
                let detail = format!("a visit was lost by a fault of this program: {error}");
                (
                    error.id(),
                    Seen::Lost(Unverified::new(UnverifiedReason::Protocol, detail)),
                )
            }
        };
        let place = self.walks.iter().position(|(of, ..)| *of == id)?;
        let (_, walk, is_blob) = self.walks.swap_remove(place);
        self.blobs -= usize::from(is_blob);
        self.progress.look();
        Some((walk, seen))
    }
}
