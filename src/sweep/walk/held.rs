//! Layers that wait for their config, and those that are others than it says.

use std::collections::HashMap;
use std::sync::Arc;

use super::graph::NodeId;
use crate::oci::{Descriptor, Digest};
use crate::sweep::policy::Policy;
use crate::sweep::schedule::Turn;

/// What is known of layers that are unpacked.
pub(super) struct Layers {
    /// The most bytes to unpack of one.
    pub(super) most: u64,
    /// Whose turn it is to be read in full, where those are unpacked.
    due: Option<Arc<Turn>>,
    /// Those of manifests whose config is not read yet.
    pub(super) held: HashMap<NodeId, Vec<Descriptor>>,
    /// What those unpack to of which a config says otherwise.
    pub(super) others: HashMap<NodeId, Digest>,
}

impl Layers {
    pub(super) fn new(policy: &Policy) -> Self {
        let due = policy.owed.digest.as_ref();
        let due = due.filter(|_| policy.owed.unpacks);
        Self {
            most: policy.unpack_max_bytes,
            due: due.map(|(turn, _)| Arc::clone(turn)),
            held: HashMap::new(),
            others: HashMap::new(),
        }
    }

    /// Whether it is a layer's turn to be unpacked.
    pub(super) fn is_due(&self, layer: &Digest) -> bool {
        self.due.as_ref().is_some_and(|turn| turn.is_due(layer))
    }

    pub(super) fn are_held(&self, manifest: NodeId) -> bool {
        self.held.contains_key(&manifest)
    }
}
