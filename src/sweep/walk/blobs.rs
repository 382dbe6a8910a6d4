//! What blobs turned out to be: nearly all are intact, and there are many, so that little is kept of those.

use super::Walk;
use super::graph::{Edge, Endpoint, NodeId};
use crate::oci::Digest;
use crate::registry::Depth;
use crate::report::Outcome;
use crate::sweep::judge::{self, Judged};

impl Walk {
    /// Notes what a blob turned out to be.
    pub(in crate::sweep) fn blob_seen(&mut self, id: NodeId, depth: Depth, judged: Judged) {
        let is_broken = matches!(judged.outcome, Outcome::Broken(_));
        let closer = judged.depth.filter(|_| is_broken).unwrap_or(depth);
        self.nodes[id as usize].depth = Some(depth.max(closer));
        if let Some(config) = judged.config {
            self.config_seen(id, config);
        }
        let waiting = self.waiting_for(id);
        let diff_ids = judged.diff_ids.clone();
        let is_intact = judged.outcome == Outcome::Intact;
        let is_as_said = !is_intact || self.layer_seen(id, &judged);
        let past = self.past(id).map(|past| past.times_broken);
        if !matches!(judged.outcome, Outcome::Unverified(_)) && past.unwrap_or_default() == 0 {
            self.tally.blobs += 1;
        }
        self.node_seen(id, judged);
        self.look_again_if_misjudged(id);
        self.config_answered(&waiting, &diff_ids);
        if past.is_some() || !is_as_said {
            return;
        }
        let node = &mut self.nodes[id as usize];
        let length = node.length.get();
        let is_whole = |edge: &Edge| judge::size(edge.size(), length).is_none();
        if node.is_intact() && node.edges.iter().all(is_whole) {
            // Nobody will ask who promised what is there.
            node.edges = Vec::new();
            self.let_go(id);
        }
    }

    /// Keeps of an intact blob no more than that it is, and how long: a repository may have millions.
    fn let_go(&mut self, id: NodeId) {
        if self.documents.is_some() {
            return;
        }
        self.known.remove(&self.nodes, id);
        let node = &self.nodes[id as usize];
        let length = node.length.get();
        self.history.note_seen(node.endpoint, &node.digest, length);
        self.is_any_blob_there = true;
        self.free.push(id);
    }

    /// Whether this sweep saw a blob intact that has the promised size: nobody will ask who promised it.
    pub(super) fn was_seen_intact(&mut self, digest: &Digest, size: Option<u64>) -> bool {
        if self.documents.is_some() || self.history.past_of(Endpoint::Blobs, digest).is_some() {
            return false;
        }
        let length = self.history.seen(Endpoint::Blobs, digest);
        let is_seen = length.is_some_and(|length| judge::size(size, length).is_none());
        self.is_any_blob_there |= is_seen;
        is_seen
    }

    /// A blob that is not as long as one manifest says may be just as long as another one does.
    pub(super) fn look_again_if_misjudged(&mut self, id: NodeId) {
        let node = &mut self.nodes[id as usize];
        if node.was_misjudged() {
            node.set_outcome(None);
            self.tally.blobs = self.tally.blobs.saturating_sub(1);
            self.to_visit.push(id);
        }
    }
}
