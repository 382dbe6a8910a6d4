//! The walk over a registry: from its catalog to every layer, and from every negative to a second
//! look.
//!
//! One task, `owner`, owns everything that changes: the repositories being walked, the set of
//! running visits, and the ledger of what was found. A visit is one question to the registry and the
//! judgement of its answer; it knows nothing of the others.

mod control;
mod coverage;
mod expand;
mod form;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/sweep.rs"]
pub(crate) mod fuzzing;
mod graph;
mod history;
mod judge;
mod known;
mod ledger;
mod look;
mod nearby;
mod notices;
mod obstacles;
mod owner;
mod progress;
mod promises;
mod recheck;
mod repeats;
mod resolve;
mod room;
mod scope;
mod scrub;
mod seed;
mod settle;
mod suspicion;
mod tag_list;
mod tally;
mod tree;
mod verify;
mod visit;
mod walk;

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use progress::{Progress, Wait, WaitReason};
pub use scope::{Filter, Scope, Source};
pub use scrub::{Scrub, Turn};
pub use verify::{Expectations, platform, verify};

use crate::registry::Registry;
use crate::registry::{Depth, Obstacle, ObstacleReason};
use crate::report::{Mode, Record, Sweep};
use owner::Crawl;

/// How to sweep.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The registry's name, for the report.
    pub registry: String,
    /// What to look at.
    pub scope: Scope,
    /// How closely to look at blobs.
    pub depth: Depth,
    /// Which blobs to read in full all the same, because it is their turn.
    pub scrub: Option<Turn>,
    /// What kind of registry it is.
    pub mode: Mode,
    /// Picks the tag of each repository that is asked for by GET, too: with each number the next one.
    pub turn: u64,
    /// What nothing to check comes to.
    pub empty: Empty,
    /// Visits at a time.
    pub concurrency: NonZeroUsize,
    /// How long to wait before a negative is looked at again.
    pub confirm_after: Duration,
    /// When to end the sweep, whatever is left.
    pub deadline: Option<Duration>,
    /// Where to note how far it is; several sweeps may share it.
    pub progress: Arc<Progress>,
}

impl Policy {
    /// How `probe --once` sweeps a registry of this name, but for the options: what is in this scope at depth
    /// `tail`, one visit at a time, with a recheck after 30 seconds and without a deadline.
    #[must_use]
    pub fn new(registry: impl Into<String>, scope: Scope) -> Self {
        Self {
            registry: registry.into(),
            scope,
            depth: Depth::Tail,
            scrub: None,
            mode: Mode::Private,
            turn: 0,
            empty: Empty::Unverified,
            concurrency: NonZeroUsize::MIN,
            confirm_after: Duration::from_secs(30),
            deadline: None,
            progress: Arc::default(),
        }
    }
}

/// What a sweep comes to that finds nothing to check: an empty registry answers as one that lost its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// It is intact.
    Allowed,
    /// It is intact if nothing was ever known of the registry.
    AllowedIfAlwaysSo,
    /// It is unverified.
    Unverified,
}

/// Sweeps a registry of which this much is `known` from before. Always gives a [`Sweep`]: one that is cancelled, or runs into its deadline, an
/// outage or a fault of this program, is partial and says so.
pub async fn sweep<R: Registry>(
    registry: &R,
    policy: &Policy,
    known: &Record,
    cancel: &CancellationToken,
) -> Sweep {
    let mut crawl = Crawl::new(registry.clone(), policy, known);
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
        ran = AssertUnwindSafe(crawl.run(deadline)).catch_unwind() => ran.unwrap_or_else(|_| {
            let detail = "the sweep broke off by a fault of this program; standard error says which";
            crawl.is_in_doubt = true;
            Some(Obstacle::new(ObstacleReason::Protocol, detail))
        }),
    };
    crawl.finish(cut_short)
}
