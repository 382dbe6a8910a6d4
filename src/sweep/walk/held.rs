//! Layers that wait for their config, and those that are others than it says.

use std::collections::HashMap;

use super::graph::NodeId;
use crate::oci::{Descriptor, Digest};

/// What is known of layers that are unpacked.
pub(super) struct Layers {
    /// The most bytes to unpack of one.
    pub(super) most: u64,
    /// Those of manifests whose config is not read yet.
    pub(super) held: HashMap<NodeId, Vec<Descriptor>>,
    /// What those unpack to of which a config says otherwise.
    pub(super) others: HashMap<NodeId, Digest>,
}

impl Layers {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            held: HashMap::new(),
            others: HashMap::new(),
        }
    }

    pub(super) fn are_held(&self, manifest: NodeId) -> bool {
        self.held.contains_key(&manifest)
    }
}
