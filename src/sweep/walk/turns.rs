//! Which tag of a repository is asked for by GET, too, and in which order tags are asked for.

use super::Walk;
use super::graph::TagId;
use super::history::Object;
use crate::oci::Tag;
use crate::registry::Way;
use crate::sweep::resolve;

impl Walk {
    pub(in crate::sweep) fn tag(&self, id: TagId) -> &Tag {
        &self.tags[id as usize].tag
    }

    pub(super) fn is_first_tag_awaited(&self) -> bool {
        let first = self
            .pulled
            .and_then(|pulled| self.tags.get(pulled as usize));
        first.is_some_and(|state| state.resolved.is_none())
    }

    /// The tag that is asked for in this place, and how. What a client pulls is what GET gives. Of all
    /// that a sweep finds by HEAD, one tag of each repository is asked for by GET, too, before the
    /// others; so is a tag that was seen broken, and what the caller named.
    pub(super) fn in_turn(&mut self, turn: TagId) -> (TagId, Way) {
        if self.documents.is_some() {
            return (turn, Way::Both);
        }
        if turn == 0 {
            self.pulled = self.whose_turn();
        }
        let id = match self.pulled {
            Some(pulled) if turn == 0 => pulled,
            Some(pulled) if turn <= pulled => turn - 1,
            _ => turn,
        };
        let was_broken = || {
            let tag = &self.tags[id as usize].tag;
            self.history.has_past() && self.history.past(&Object::Tag(tag.clone())).is_some()
        };
        let way = if self.pulled == Some(id) || was_broken() {
            Way::Both
        } else {
            Way::Cheap
        };
        (id, way)
    }

    /// The tag that is asked for by GET, too: in later looks the same as in the first, if it is among
    /// those that are looked at again.
    fn whose_turn(&mut self) -> Option<TagId> {
        if let Some(pulled) = &self.history.pulled {
            let mut tags = (0..).zip(&self.tags);
            return tags
                .find(|(_, state)| state.tag == *pulled)
                .map(|(id, _)| id);
        }
        if self.is_pulled_lately {
            return None;
        }
        let id = resolve::in_turn(&self.repository, self.tags.len(), self.turn);
        self.history.pulled = Some(self.tags[id as usize].tag.clone());
        Some(id)
    }

    /// Asks for no tag by GET, because that was done lately.
    pub(in crate::sweep) fn pull_no_tag(&mut self) {
        self.is_pulled_lately = true;
    }
}
