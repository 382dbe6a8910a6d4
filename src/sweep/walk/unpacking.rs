//! Layers that are unpacked: asked for once their config has said what they unpack to, and held against that.

use super::Walk;
use super::graph::{Edge, Endpoint, NodeId, Parent};
use crate::oci::{Descriptor, Digest};
use crate::registry::{Depth, Unpack};
use crate::report::{Defect, Kind};
use crate::sweep::contradiction::{self, Image};
use crate::sweep::judge::Judged;

impl Walk {
    /// Takes the layers out of a manifest whose config has to be read before them. Whether it did.
    pub(super) fn hold_layers(&mut self, id: NodeId, layers: &mut Vec<Descriptor>) -> bool {
        let is_image = self.nodes[id as usize].image != Image::None;
        let is_held = is_image && layers.iter().any(|layer| self.is_unpacked(&layer.digest));
        if is_held {
            self.layers.held.insert(id, std::mem::take(layers));
        }
        is_held
    }

    /// Whether a layer is to be unpacked: as all are at that depth, or in its turn, or because unpacking found it broken.
    fn is_unpacked(&self, layer: &Digest) -> bool {
        let past = self.history.past_of(Endpoint::Blobs, layer);
        self.depth == Depth::Unpack
            || self.layers.is_due(layer)
            || past.and_then(|past| past.depth) == Some(Depth::Unpack)
    }

    /// How closely a blob has to be looked at as a config by which layers are to be unpacked.
    pub(in crate::sweep) fn unpacks_by(&self, id: NodeId) -> Option<Depth> {
        (!self.waiting_for(id).is_empty()).then_some(Depth::Unpack)
    }

    /// Whether a config is still to be answered.
    pub(super) fn is_awaited(&self, config: &Digest) -> bool {
        let node = self.known.find(&self.nodes, Endpoint::Blobs, config);
        node.is_some_and(|id| self.nodes[id as usize].outcome().is_none())
    }

    /// Takes up the layers of a manifest whose config says this of them, or of which it says nothing.
    pub(super) fn let_layers_go(&mut self, id: NodeId, diff_ids: &[Digest]) {
        let layers = self.layers.held.remove(&id).unwrap_or_default();
        let is_said = diff_ids.len() == layers.len();
        for (position, layer) in layers.into_iter().enumerate() {
            // What is encrypted is not unpacked without its key.
            let is_readable = is_said && !layer.media_type.ends_with("+encrypted");
            let is_it = is_readable && self.is_unpacked(&layer.digest);
            let diff_id = diff_ids.get(position).filter(|_| is_it);
            self.describe_layer(id, layer, diff_id.cloned());
        }
    }

    /// Takes up what waited for a config.
    pub(super) fn config_answered(&mut self, edges: &[NodeId], diff_ids: &[Digest]) {
        for manifest in edges {
            self.let_layers_go(*manifest, diff_ids);
        }
    }

    /// The manifests that wait for a config.
    pub(super) fn waiting_for(&self, id: NodeId) -> Vec<NodeId> {
        if self.layers.held.is_empty() {
            return Vec::new();
        }
        let edges = self.nodes[id as usize].edges.iter();
        let edges = edges.filter(|edge| edge.kind == Kind::Config);
        let parents = edges.filter_map(|edge| match edge.parent {
            Parent::Node(parent) => Some(parent),
            Parent::Tag(_) | Parent::Caller => None,
        });
        parents
            .filter(|parent| self.layers.are_held(*parent))
            .collect()
    }

    /// What a layer is to unpack to, by all configs that say so.
    pub(in crate::sweep) fn diff_ids(&self, id: NodeId) -> Vec<Digest> {
        let edges = self.nodes[id as usize].edges.iter();
        let mut diff_ids: Vec<_> = edges.filter_map(Edge::diff_id).cloned().collect();
        diff_ids.sort_unstable();
        diff_ids.dedup();
        diff_ids
    }

    /// How to unpack a layer that is to unpack to these. What that hashes to is told by SHA-256, whatever a config
    /// has: all clients compare that (containerd, pkg/archive/compression and core/diff, `digest.Canonical`).
    pub(in crate::sweep) fn unpack(&self, id: NodeId, diff_ids: &[Digest]) -> Option<Unpack> {
        if diff_ids.is_empty() {
            return None;
        }
        let edges = self.nodes[id as usize].edges.iter();
        let mut types = edges.map(Edge::media_type);
        Some(Unpack {
            // containerd tries what Docker's plain types hold (core/images/mediatypes.go, `DiffCompression`).
            is_packed: types.any(|media_type| {
                media_type.rsplit('.').next() != Some("tar")
                    || !media_type.starts_with("application/vnd.oci.")
            }),
            most: self.layers.most,
        })
    }

    /// Whether a promise needs a look at what it promises, whoever saw that intact.
    pub(super) fn needs_look(&self, digest: &Digest, edge: &Edge) -> bool {
        let is_new = |diff_id| !self.history.is_unpacked(digest, diff_id);
        self.needs_config(edge) || edge.diff_id().is_some_and(is_new)
    }

    /// Notes what a layer unpacks to. Whether all that promise it say so.
    pub(super) fn layer_seen(&mut self, id: NodeId, judged: &Judged) -> bool {
        let diff_ids = self.diff_ids(id);
        let layer = self.nodes[id as usize].digest.clone();
        let is_it = |diff_id: &&Digest| judged.unpacks_to.as_ref().is_none_or(|it| it == *diff_id);
        for diff_id in diff_ids.iter().filter(is_it) {
            self.history.note_unpacked(&layer, diff_id);
        }
        let is_all = diff_ids.iter().all(|diff_id| is_it(&diff_id));
        if let Some(unpacks_to) = judged.unpacks_to.clone().filter(|_| !is_all) {
            self.layers.others.insert(id, unpacks_to);
        }
        is_all
    }

    /// In which way a promise is wrong about what a layer unpacks to.
    pub(super) fn other_layer(&self, id: NodeId, edge: &Edge) -> Option<Defect> {
        let unpacks_to = self.layers.others.get(&id)?;
        contradiction::diff_id(edge.diff_id()?, unpacks_to)
    }
}
