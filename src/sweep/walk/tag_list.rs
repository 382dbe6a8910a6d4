//! A repository's list of tags, as one look had it.

use std::collections::BTreeSet;

use super::graph::Step;
use crate::oci::Tag;
use crate::registry::{Refusal, Unverified};

/// The list of a repository's tags.
#[derive(Default)]
pub(super) struct TagList {
    /// Whether the repository stands in no list of repositories, and is looked at because it was known.
    pub(super) is_unlisted: bool,
    /// What is to be asked before any tag.
    pub(super) ask: Option<Step>,
    /// Whether the list, or what settles that it is not there, is still to come.
    pub(super) is_awaited: bool,
    /// Whether tags are to be looked at that no look before has seen.
    pub(super) takes_new_tags: bool,
    /// Tags that the list is to be searched for.
    pub(super) sought: BTreeSet<Tag>,
    pub(super) end: TagListEnd,
}

/// What a list of tags turned out to be.
#[derive(Default)]
pub(super) enum TagListEnd {
    /// It is not asked for, or was not answered yet.
    #[default]
    Unread,
    /// It was read to its end.
    Whole {
        /// How many tags are in it, whatever the filters.
        tags: u64,
        /// Of the tags that were looked for, those that are not in it.
        lacks: BTreeSet<Tag>,
        /// Whether it has fewer tags than the last sweep saw.
        is_shorter: bool,
    },
    /// The registry says that it does not know the repository.
    Absent {
        /// What it said.
        refusal: Refusal,
        /// Whether it answers for a manifest as for one of a repository that it knows; `None` if it was
        /// not asked.
        is_known: Option<bool>,
    },
    /// It could not be read, or not to its end.
    Failed(Unverified),
}

impl TagList {
    /// What was seen of the repository, in its order: whether it is there.
    pub(super) fn shows_repository(&self) -> impl Iterator<Item = bool> {
        let in_catalog = (!self.is_unlisted).then_some(true);
        let in_list = match &self.end {
            TagListEnd::Absent { .. } => Some(false),
            TagListEnd::Whole { tags: 0, .. } if self.is_unlisted => Some(false),
            TagListEnd::Whole { tags: 1.., .. } => Some(true),
            TagListEnd::Unread | TagListEnd::Whole { .. } | TagListEnd::Failed(_) => None,
        };
        in_catalog.into_iter().chain(in_list)
    }

    /// Whether a tag that was looked for is in it.
    pub(super) fn shows_tag(&self, tag: &Tag) -> Option<bool> {
        match &self.end {
            TagListEnd::Absent { .. } => Some(false),
            TagListEnd::Whole { lacks, .. } => Some(!lacks.contains(tag)),
            TagListEnd::Unread | TagListEnd::Failed(_) => None,
        }
    }
}

/// Whether something was gone and there again: it was not simply deleted.
pub(super) fn has_returned(seen: impl Iterator<Item = bool>) -> bool {
    let mut is_gone = false;
    for is_there in seen {
        if is_gone && is_there {
            return true;
        }
        is_gone = !is_there;
    }
    false
}
