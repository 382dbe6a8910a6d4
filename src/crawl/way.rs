//! How a tag is asked for, and which of a repository's tags by GET.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::SystemTime;

use super::walk::TagId;
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

/// The tag of so many whose turn it is: another one in each sweep, by and by each of them.
pub(super) fn in_turn(repository: &Repository, tags: usize) -> TagId {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let minutes = now.unwrap_or_default().as_secs() / 60;
    let mut hasher = DefaultHasher::new();
    (repository, minutes).hash(&mut hasher);
    let turn = hasher.finish() % (tags.max(1) as u64);
    TagId::try_from(turn).unwrap_or_default()
}
