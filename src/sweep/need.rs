//! What a sweep that looks at nothing is held against.

use super::policy::{Empty, Policy};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::Record;

/// Objects that are not there, of at least this many and in at least so many repositories, while nothing
/// is: then the storage is away. One image, or a registry of one tag, may be plainly broken.
pub(super) const MANY_OBJECTS: u64 = 8;
pub(super) const MANY_REPOSITORIES: usize = 3;

/// What a sweep that looks at nothing is held against.
pub(super) struct Need {
    empty: Empty,
    /// Repositories in scope that were known, how many of them had tags, and how many tags.
    repositories: usize,
    tagged: usize,
    tags: u64,
}

impl Need {
    pub(super) fn of(policy: &Policy, known: &Record) -> Self {
        let in_scope = known.repositories.iter();
        let in_scope = in_scope.filter(|(name, _)| policy.scope.takes(name));
        let tagged = in_scope.clone().filter(|(_, known)| known.tags > 0);
        Self {
            empty: policy.empty,
            tags: tagged.clone().map(|(_, known)| known.tags).sum(),
            tagged: tagged.count(),
            repositories: in_scope.count(),
        }
    }

    /// What keeps a sweep that looked at nothing from a verdict. `has_repositories` says whether any was
    /// listed: repositories that never had a tag are an answer.
    pub(super) fn judge(&self, what: &str, has_repositories: bool) -> Option<Unverified> {
        let is_much = self.tagged >= MANY_REPOSITORIES && self.tags >= MANY_OBJECTS;
        let reason = match self.empty {
            Empty::Allowed => return None,
            _ if is_much => UnverifiedReason::StorageUnavailable,
            Empty::AllowedIfAlwaysSo
                if self.tagged == 0 && (has_repositories || self.repositories == 0) =>
            {
                return None;
            }
            Empty::Unverified | Empty::AllowedIfAlwaysSo => UnverifiedReason::NothingListed,
        };
        let detail = if self.repositories > 0 {
            format!(
                "{what}, and {} repositories with {} tags were known; if that is right, say --allow-empty",
                self.repositories, self.tags
            )
        } else {
            what.to_owned()
        };
        Some(Unverified::new(reason, detail))
    }
}
