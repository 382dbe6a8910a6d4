//! What a repository's list of tags comes to, and what it says of tags that are not there.

use std::collections::BTreeSet;

use super::graph::Step;
use super::look::{Doubtful, Look};
use super::tag_list::{TagList, TagListEnd, has_returned};
use super::{TagState, Walk};
use crate::oci::Tag;
use crate::registry::{ListEnd, Listing, NAME_UNKNOWN, Refusal, Wanted};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Defect, Mode, Presence, Reason, SkipReason};
use crate::sweep::policy::Policy;
use crate::sweep::scope::Source;

impl Walk {
    /// The list of each look of this sweep, this one included.
    fn lists(&self) -> impl Iterator<Item = &TagList> {
        self.history.lists.iter().chain([&self.list])
    }

    /// Has the list of tags asked for, before anything else. `is_listed` says whether a list of repositories, or
    /// the caller, names this one.
    pub(in crate::sweep) fn read_list(&mut self, is_listed: bool) {
        self.list.is_unlisted = !is_listed;
        self.list.ask = Some(Step::List);
        self.list.is_awaited = true;
        self.list.sought.clone_from(self.history.known_tags());
    }

    /// Begins another look with what was not plainly intact in the one before.
    pub(in crate::sweep) fn begin_again(&mut self, doubtful: Doubtful) {
        self.list.takes_new_tags = doubtful.list;
        self.list.sought.extend(doubtful.tags.iter().cloned());
        self.add_tags(doubtful.tags);
        for digest in doubtful.named {
            self.add_named(digest);
        }
    }

    /// Notes how the list of tags ended. A list that is not there is settled by one request for a manifest.
    pub(super) fn list_seen(
        &mut self,
        tags: &[Tag],
        left_out: u64,
        end: ListEnd,
        is_catalog: bool,
    ) {
        self.list.is_awaited = false;
        self.list.end = match end {
            ListEnd::Whole => {
                let mut lacks = std::mem::take(&mut self.list.sought);
                if !lacks.is_empty() {
                    for tag in tags {
                        lacks.remove(tag);
                    }
                }
                let count = tags.len() as u64 + left_out;
                TagListEnd::Whole {
                    tags: count,
                    lacks,
                    is_shorter: count < self.history.tags_known,
                }
            }
            // Of a repository that the catalog lacks, any code of a registry says that it is gone.
            ListEnd::Absent(refusal)
                if !self.list.is_unlisted && refusal.code.as_deref() != Some(NAME_UNKNOWN) =>
            {
                TagListEnd::Failed(Unverified::new(
                    UnverifiedReason::Protocol,
                    format!(
                        "{} answers {} {}; only {NAME_UNKNOWN} would say that the repository is not there",
                        refusal.request,
                        refusal.status,
                        refusal.code.unwrap_or_default()
                    ),
                ))
            }
            ListEnd::Absent(refusal) => {
                if !self.list.is_unlisted && is_catalog {
                    self.list.ask = Some(Step::IsKnown);
                    self.list.is_awaited = true;
                }
                TagListEnd::Absent {
                    refusal,
                    is_known: None,
                }
            }
            ListEnd::Failed(why) => TagListEnd::Failed(why),
        };
    }

    /// Notes whether the registry knows the repository though it has no list of its tags.
    pub(in crate::sweep) fn is_known(&mut self, answer: bool) {
        self.list.is_awaited = false;
        if let TagListEnd::Absent { is_known, .. } = &mut self.list.end {
            *is_known = Some(answer);
        }
    }

    /// Adds the tags in scope that the list has, as far as this look is to take them.
    pub(super) fn add_listed(&mut self, mut tags: Vec<Tag>) {
        if self.history.looks > 0 {
            if !self.list.takes_new_tags {
                return;
            }
            let begun: BTreeSet<_> = self.tags.iter().map(|state| &state.tag).collect();
            tags.retain(|tag| !begun.contains(tag) && !self.history.is_intact_tag(tag));
        }
        self.tally.tags_listed += tags.len() as u64;
        self.add_tags(tags);
    }

    /// What the list of tags comes to.
    pub(super) fn settle_list(&self, look: &mut Look) {
        match &self.list.end {
            TagListEnd::Unread => {}
            TagListEnd::Whole { tags: 0, .. } | TagListEnd::Absent { .. }
                if self.list.is_unlisted =>
            {
                look.presence = Presence::Gone;
                // What is known to be broken is looked for all the same, and then all there is.
                look.is_list_doubtful = self.history.has_past();
                if has_returned(self.lists().flat_map(TagList::shows_repository)) {
                    look.is_contested = true;
                    look.unverified.push(&Unverified::new(
                        UnverifiedReason::RegistryError,
                        "the catalog or its list of tags has it in one look, and not in another",
                    ));
                }
            }
            TagListEnd::Whole { is_shorter, .. } => {
                look.is_list_doubtful = *is_shorter;
            }
            TagListEnd::Failed(why) => {
                look.unverified.push(why);
                look.is_list_doubtful = why.may_change();
                // Who answers for a tag of it does not hide it.
                let is_resolved = |state: &TagState| matches!(state.resolved, Some(Ok(_)));
                let is_hidden = why.is_refusal() && !self.tags.iter().any(is_resolved);
                if is_hidden && self.list.is_unlisted {
                    look.presence = Presence::Refused;
                }
            }
            // Distribution says so of a repository that has lost its last tag.
            TagListEnd::Absent {
                is_known: Some(true),
                ..
            } if self.has_no_tags_known() => {}
            TagListEnd::Absent { refusal, is_known } => {
                look.presence = Presence::Gone;
                look.is_list_doubtful = true;
                look.is_contested = true;
                look.unverified.push(&unlisted(refusal, *is_known));
            }
        }
    }

    /// Whether no look, and no sweep before this one, knows of any tag.
    fn has_no_tags_known(&self) -> bool {
        self.history.tags_known == 0 && !self.history.has_past() && self.tags.is_empty()
    }

    /// Whether a tag that is not there was deleted: a list that was read to its end lacks it. In the first
    /// look it stood in the list.
    pub(super) fn is_deleted(&self, tag: &Tag, defect: &Defect) -> Result<bool, Unverified> {
        if self.history.looks == 1 || defect.reason != Reason::NotFound {
            return Ok(false);
        }
        if let TagListEnd::Failed(why) = &self.list.end {
            return Err(why.clone());
        }
        let is_deleted = self.list.shows_tag(tag) == Some(false);
        if is_deleted && has_returned(self.lists().filter_map(|list| list.shows_tag(tag))) {
            let detail = format!("the list of tags has {tag} in one look, and not in another");
            return Err(Unverified::new(UnverifiedReason::RegistryError, detail));
        }
        Ok(is_deleted)
    }

    /// Whether the list of tags lacks a tag that was looked for.
    pub(super) fn lacks(&self, tag: &Tag) -> bool {
        match &self.list.end {
            TagListEnd::Whole { lacks, .. } => lacks.contains(tag),
            TagListEnd::Unread => false,
            TagListEnd::Absent { .. } | TagListEnd::Failed(_) => true,
        }
    }

    pub(super) fn tags_in_list(&self) -> u64 {
        match &self.list.end {
            TagListEnd::Whole { tags, .. } => *tags,
            // Those that came before it ended.
            TagListEnd::Unread | TagListEnd::Absent { .. } | TagListEnd::Failed(_) => {
                self.tags.len() as u64
            }
        }
    }
}

/// Why nothing can be said of a repository that is listed and whose list of tags is not there.
fn unlisted(refusal: &Refusal, is_known: Option<bool>) -> Unverified {
    let Refusal {
        request,
        status,
        code,
        ..
    } = refusal;
    let code = code.as_deref().unwrap_or_default();
    match is_known {
        // Many registries say so, too, of what these credentials may not see.
        None => Unverified::new(
            UnverifiedReason::UnknownRepository,
            format!("{request} answers {status} {code}"),
        ),
        Some(true) => Unverified::new(
            UnverifiedReason::RegistryError,
            format!("it had tags, and now {request} answers {status} {code}"),
        ),
        Some(false) => Unverified::new(
            UnverifiedReason::RegistryError,
            format!("the catalog lists it, and {request} answers {status} {code}"),
        ),
    }
}

/// Takes in the list of a repository's tags: adds what is in scope of them in the first look, and in later
/// ones what no look has seen yet, if the list was in doubt.
pub(in crate::sweep) fn take_tags(walk: &mut Walk, listing: Listing<Tag>, policy: &Policy) {
    let is_first = walk.history.looks == 0;
    let has_invalid = listing.invalid > 0;
    if is_first {
        walk.tally.skip(SkipReason::InvalidName, listing.invalid);
    }
    let is_catalog = policy.scope.source == Source::Catalog;
    // What a filter leaves out now is not looked for in the list, which may come without it.
    let is_wanted = |tag: &Tag| policy.scope.wants_tag(tag) == Wanted::Here;
    walk.list.sought.retain(is_wanted);
    walk.list_seen(&listing.items, listing.left_out, listing.end, is_catalog);
    let (tags, left_out, beyond) = policy.scope.tags(listing.items);
    let left_out = left_out + listing.left_out;
    if is_first {
        let is_whole = !matches!(walk.list.end, TagListEnd::Failed(_)) && !has_invalid;
        walk.has_all_tags = is_whole && left_out + beyond == 0;
        walk.tally.skip(SkipReason::TagFilter, left_out);
        walk.tally.skip(SkipReason::TagsPerRepo, beyond);
    }
    if policy.mode == Mode::PullThrough {
        // To ask a cache for a tag is to have it stored.
        walk.tally.skip(SkipReason::PullThrough, tags.len() as u64);
    } else {
        walk.add_listed(tags);
    }
}
