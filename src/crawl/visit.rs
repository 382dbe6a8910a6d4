//! Visits: one question to the registry each, with the judgement of its answer, run side by side.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use super::judge::{self, Judged, Pointed};
use super::progress::Progress;
use super::scrub::Reading;
use super::walk::{NodeId, Step, TagId};
use super::way::Way;
use crate::model::{
    Depth, Digest, Document, Obstacle, ObstacleReason, Outcome, Reason, Reference, Repository, Tag,
};
use crate::registry::{Answer, ListEnd, Listing, Registry, Resolved};

/// A question.
pub(super) enum Visit {
    Tags {
        repository: Repository,
    },
    Resolve {
        repository: Repository,
        id: TagId,
        tag: Tag,
        way: Way,
    },
    Manifest {
        repository: Repository,
        id: NodeId,
        digest: Digest,
    },
    /// A child of a type that clients do not know, wherever it is kept.
    Document {
        repository: Repository,
        id: NodeId,
        digest: Digest,
    },
    Blob {
        repository: Repository,
        id: NodeId,
        digest: Digest,
        size: Option<u64>,
        depth: Depth,
    },
}

impl Visit {
    /// The question that a walk has next.
    pub(super) fn of(step: Step, repository: Repository, reading: &mut Reading) -> Self {
        match step {
            Step::Resolve(id, tag, way) => Self::Resolve {
                repository,
                id,
                tag,
                way,
            },
            Step::Document(id, digest) => Self::Document {
                repository,
                id,
                digest,
            },
            Step::Manifest(id, digest) => Self::Manifest {
                repository,
                id,
                digest,
            },
            Step::Blob(id, digest, size) => Self::Blob {
                repository,
                id,
                depth: reading.depth(&digest, size),
                digest,
                size,
            },
        }
    }
}

/// What a visit saw.
pub(super) enum Seen {
    Tags(Listing<Tag>),
    Resolved(TagId, Result<Pointed, Outcome>),
    Manifest(NodeId, Digest, Judged, Option<Document>),
    Blob(NodeId, Digest, Depth, Judged),
    /// A blob of a registry that gave itself away as a pull-through cache.
    CachedBlob,
    /// The visit ended without a result: a fault of this program.
    Lost(Obstacle),
}

impl Seen {
    /// Whether this may be the sign of an outage: an obstacle that may pass, or a 5xx.
    pub(super) fn is_trouble(&self) -> bool {
        let outcome = match self {
            Self::Tags(listing) => {
                return matches!(&listing.end, ListEnd::Failed(obstacle) if obstacle.is_transient());
            }
            Self::Resolved(_, Ok(_)) | Self::CachedBlob | Self::Lost(_) => return false,
            Self::Resolved(_, Err(outcome)) => outcome,
            Self::Manifest(_, _, judged, _) | Self::Blob(_, _, _, judged) => &judged.outcome,
        };
        match outcome {
            Outcome::Unverified(obstacle) => obstacle.is_transient(),
            Outcome::Broken(defect) => defect.reason == Reason::Unreadable,
            Outcome::Intact | Outcome::Skipped(_) => false,
        }
    }
}

impl Visit {
    async fn run<R: Registry>(self, registry: R) -> Seen {
        match self {
            Self::Tags { repository } => Seen::Tags(registry.tags(&repository).await),
            Self::Resolve {
                repository,
                id,
                tag,
                way,
            } => {
                let answer = resolve(&registry, &repository, &tag, way).await;
                Seen::Resolved(id, judge::tag(answer))
            }
            Self::Manifest {
                repository,
                id,
                digest,
            } => {
                let (judged, document) = look_at_manifest(&registry, &repository, &digest).await;
                Seen::Manifest(id, digest, judged, document)
            }
            Self::Document {
                repository,
                id,
                digest,
            } => {
                let (judged, document) = look_at_document(&registry, &repository, &digest).await;
                Seen::Manifest(id, digest, judged, document)
            }
            Self::Blob {
                repository,
                id,
                digest,
                size,
                depth,
            } => {
                let answer = registry.blob(&repository, &digest, size, depth).await;
                if matches!(&answer, Answer::Found(look) if look.is_from_cache) {
                    return Seen::CachedBlob;
                }
                let judged = judge::blob(&digest, size, answer);
                Seen::Blob(id, digest, depth, judged)
            }
        }
    }
}

/// Asks for a tag in this way. The manifest that comes along need not be asked for again.
async fn resolve<R: Registry>(
    registry: &R,
    repository: &Repository,
    tag: &Tag,
    way: Way,
) -> Answer<Resolved> {
    if way == Way::Get {
        return registry.resolve_by_get(repository, tag, None).await;
    }
    match registry.resolve(repository, tag).await {
        Answer::Found(Resolved {
            stated: Some(head),
            body: None,
        }) if way == Way::Both => registry.resolve_by_get(repository, tag, Some(&head)).await,
        answer => answer,
    }
}

async fn look_at_manifest<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
) -> (Judged, Option<Document>) {
    let reference = Reference::Digest(digest.clone());
    let answer = registry.manifest(repository, &reference).await;
    judge::manifest(Some(digest), answer)
}

/// Looks at a child of a type that clients do not know: containerd has it as a blob, others may have
/// it as a manifest.
pub(super) async fn look_at_document<R: Registry>(
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
    walks: HashMap<Id, (usize, bool)>,
    progress: Arc<Progress>,
    /// How many of them ask for blobs.
    pub(super) blobs: usize,
}

impl Running {
    pub(super) fn new(progress: &Arc<Progress>) -> Self {
        Self {
            tasks: JoinSet::new(),
            walks: HashMap::new(),
            progress: Arc::clone(progress),
            blobs: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn start<R: Registry>(&mut self, registry: &R, walk: usize, visit: Visit) {
        let is_blob = matches!(visit, Visit::Blob { .. });
        let task = self.tasks.spawn(visit.run(registry.clone()));
        self.walks.insert(task.id(), (walk, is_blob));
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
                    Seen::Lost(Obstacle::new(ObstacleReason::Protocol, detail)),
                )
            }
        };
        let (walk, is_blob) = self.walks.remove(&id)?;
        self.blobs -= usize::from(is_blob);
        self.progress.look();
        Some((walk, seen))
    }
}
