//! Visits: one question to the registry each, with the judgement of its answer, run side by side.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

use super::judge::{self, Judged};
use super::walk::{NodeId, TagId};
use crate::model::{
    Depth, Digest, Document, Obstacle, ObstacleReason, Outcome, Reference, Repository, Tag,
};
use crate::registry::{Listing, Registry, Resolved};

/// A question.
pub(super) enum Visit {
    Tags {
        repository: Repository,
    },
    Resolve {
        repository: Repository,
        id: TagId,
        tag: Tag,
    },
    Manifest {
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

/// What a visit saw.
pub(super) enum Seen {
    Tags(Listing<Tag>),
    Resolved(TagId, Result<Resolved, Outcome>),
    Manifest(NodeId, Digest, Judged, Option<Document>),
    Blob(NodeId, Digest, Depth, Judged),
    /// The visit ended without a result: a fault of this program.
    Lost(Obstacle),
}

impl Seen {
    /// What kept the visit from seeing anything.
    pub(super) fn obstacle(&self) -> Option<&Obstacle> {
        let outcome = match self {
            Self::Tags(listing) => return listing.obstacle.as_ref(),
            Self::Lost(obstacle) => return Some(obstacle),
            Self::Resolved(_, Ok(_)) => return None,
            Self::Resolved(_, Err(outcome)) => outcome,
            Self::Manifest(_, _, judged, _) | Self::Blob(_, _, _, judged) => &judged.outcome,
        };
        match outcome {
            Outcome::Unverified(obstacle) => Some(obstacle),
            _ => None,
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
            } => Seen::Resolved(id, judge::tag(registry.resolve(&repository, &tag).await)),
            Self::Manifest {
                repository,
                id,
                digest,
            } => {
                let reference = Reference::Digest(digest.clone());
                let answer = registry.manifest(&repository, &reference).await;
                let (judged, document) = judge::manifest(Some(&digest), answer);
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
                let judged = judge::blob(&digest, size, answer);
                Seen::Blob(id, digest, depth, judged)
            }
        }
    }
}

/// The visits that are under way, each with the number of its walk. Dropping it ends them.
#[derive(Default)]
pub(super) struct Running {
    tasks: JoinSet<Seen>,
    walks: HashMap<Id, usize>,
}

impl Running {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn start<R: Registry>(&mut self, registry: &R, walk: usize, visit: Visit) {
        let task = self.tasks.spawn(visit.run(registry.clone()));
        self.walks.insert(task.id(), walk);
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
        self.walks.remove(&id).map(|walk| (walk, seen))
    }
}
