//! How a tag is asked for, and which of a repository's tags by GET.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::SystemTime;

use super::graph::TagId;
use crate::model::Repository;

/// How to ask for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By HEAD, which costs least.
    Head,
    /// By GET, as whoever pulls it.
    Get,
    /// By both, to see whether they are about the same.
    Both,
}

/// The turn of a sweep that begins now.
#[must_use]
pub fn turn(now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}

/// Of so many tags the one that a turn picks: in the long run each of them.
pub(super) fn in_turn(repository: &Repository, tags: usize, turn: u64) -> TagId {
    let mut hasher = DefaultHasher::new();
    (repository, turn).hash(&mut hasher);
    let id = hasher.finish() % (tags.max(1) as u64);
    TagId::try_from(id).unwrap_or_default()
}
