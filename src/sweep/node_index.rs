//! Which objects of a repository are known: an index into its nodes that holds no digest a second
//! time, because a repository of 200,000 tags has half a million of them.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::graph::{Endpoint, Node, NodeId};
use crate::oci::Digest;

/// The positions of nodes, found by where they are asked for and their digest.
#[derive(Default)]
pub(super) struct NodeIndex {
    ids: HashTable<NodeId>,
    state: RandomState,
}

impl NodeIndex {
    /// The position among `nodes` of an object, if it is there.
    pub(super) fn find(
        &self,
        nodes: &[Node],
        endpoint: Endpoint,
        digest: &Digest,
    ) -> Option<NodeId> {
        let is_it = |id: &NodeId| {
            let node = &nodes[*id as usize];
            node.endpoint == endpoint && node.digest == *digest
        };
        let hash = self.state.hash_one((endpoint, digest));
        self.ids.find(hash, is_it).copied()
    }

    /// Adds a position among `nodes`, whose object was not there so far.
    pub(super) fn add(&mut self, nodes: &[Node], id: NodeId) {
        let hash = |id: &NodeId| {
            let node = &nodes[*id as usize];
            self.state.hash_one((node.endpoint, &node.digest))
        };
        self.ids.insert_unique(hash(&id), id, hash);
    }
}
