//! Visits: one question to the registry each, with the judgement of its answer, run side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use super::judge::Judged;
use super::looking::{BlobVisit, is_known, look_at_known, tags};
use super::progress::Progress;
use super::reading::{Bytes, Plan, Reading};
use super::recall::Recall;
use super::referrers::{Question, Told};
use super::repeats::{Repeated, Repeats};
use super::resolve::{self, Pointed};
use super::seen::Seen;
use super::walk::Object;
use super::walk::Walk;
use super::walk::{Endpoint, NodeId, TagId};
use super::walk::{Keeper, Step};
use crate::oci::{Digest, Reference, Repository, Tag};
use crate::registry::{Depth, Named, Unpack, Unverified, UnverifiedReason};
use crate::registry::{Registry, Way};
use crate::report::Outcome;

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
        is_config: bool,
        unpack: Option<Unpack>,
        plan: Plan,
        repeated: Repeated,
    },
    /// What is attached to an image.
    Attached(AskAttached),
    /// None any more: what it would see.
    GivenUp(Box<Seen>),
}

/// A question about what is attached to an image.
pub(super) struct AskAttached {
    pub(super) repository: Repository,
    pub(super) id: NodeId,
    pub(super) question: Question,
}

impl AskAttached {
    async fn answer<R: Registry>(&self, registry: &R) -> Told {
        self.question.clone().ask(registry, &self.repository).await
    }
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
            Step::Attached(id, question) => Self::Attached(AskAttached {
                repository,
                id,
                question,
            }),
            Step::Blob(id, digest, size) => Self::of_blob(walk, id, digest, size, reading, repeats),
        }
    }
}

impl Visit {
    /// The visit, or what it comes to where it would ask for an image that is withheld.
    pub(super) fn unless_withheld(self, withheld: &BTreeMap<Named, Unverified>) -> Self {
        if withheld.is_empty() {
            return self;
        }
        let why = |repository: &Repository, reference| {
            let why = withheld.get(&(repository.clone(), reference))?;
            Some(Outcome::Unverified(why.clone()))
        };
        let seen = match &self {
            Self::Resolve {
                repository,
                id,
                tag,
                ..
            } => why(repository, Reference::Tag(tag.clone()))
                .map(|outcome| Seen::Resolved(*id, Err(outcome))),
            Self::Manifest {
                repository,
                id,
                digest,
                ..
            } => why(repository, Reference::Digest(digest.clone())).map(|outcome| {
                Seen::Manifest(*id, digest.clone(), Judged::of(outcome), None, false)
            }),
            _ => None,
        };
        seen.map_or(self, |seen| Self::GivenUp(Box::new(seen)))
    }

    fn of_blob(
        walk: &Walk,
        id: NodeId,
        digest: Digest,
        size: Option<u64>,
        reading: &mut Reading,
        repeats: &mut Repeats,
    ) -> Self {
        let (repository, history) = (walk.repository().clone(), walk.history());
        let object = history
            .has_past()
            .then(|| Object::Content(Endpoint::Blobs, digest.clone()));
        let past = object.as_ref().and_then(|object| history.past(object));
        let is_config = walk.is_config(id);
        let before = past.and_then(|past| past.depth);
        let before = before
            .max(walk.contradicted_before(id))
            .max(walk.unpacks_by(id));
        // What was pushed is read at once, where bytes are read at all.
        let at_once = reading.depth.min(Depth::Tail);
        let pushed = walk.is_new(id).then_some(at_once);
        // What another look asks for again was in doubt: it is looked at as closely as it may have been.
        let doubted = (history.looks > 0).then_some(at_once);
        let wanted = history.read_at.max(pushed).max(doubted);
        let diff_ids = walk.diff_ids(id);
        let is_read = if is_config {
            Bytes::Config
        } else {
            Bytes::Layer(&diff_ids)
        };
        let plan = reading.plan((&digest, &walk.turns_of(id)), size, before, wanted, is_read);
        let unpack = walk.unpack(id, &diff_ids);
        let mut repeated = repeats.of(history, object.as_ref());
        if plan.depth >= Depth::Digest {
            // To read gigabytes a dozen times costs more than it tells.
            repeated.left = 1;
        }
        Self::Blob {
            repository,
            id,
            digest,
            size,
            is_config,
            unpack,
            plan,
            repeated,
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
                if let Some(outcome) = repeated.take(&outcome) {
                    return Seen::Resolved(id, or(outcome, seen));
                }
            },
            Self::Manifest {
                repository,
                id,
                digest,
                keeper,
                recall,
                repeated,
            } => {
                let place = (&repository, id, digest, keeper);
                look_at_known(&registry, place, &recall, repeated).await
            }
            Self::Blob {
                repository,
                id,
                digest,
                size,
                is_config,
                unpack,
                plan,
                repeated,
            } => {
                let blob = BlobVisit {
                    registry: &registry,
                    repository: &repository,
                    id,
                    digest,
                    size,
                    is_config,
                    unpack,
                    repeated,
                };
                blob.run(plan.depth, plan.shared).await
            }
            Self::Attached(ask) => Seen::Attached(ask.id, ask.answer(&registry).await),
            Self::GivenUp(seen) => *seen,
        }
    }
}

/// What was seen of a tag, if that is what several looks agree on.
fn or(outcome: Outcome, seen: Result<Pointed, Outcome>) -> Result<Pointed, Outcome> {
    match outcome {
        Outcome::Intact => seen,
        outcome => Err(outcome),
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
