//! How to sweep: what to look at, how closely, and for how long.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::progress::Progress;
use super::scope::Scope;
use super::scrub::Turn;
use crate::registry::Depth;
use crate::report::Mode;

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
