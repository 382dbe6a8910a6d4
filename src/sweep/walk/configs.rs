//! What the configs of images say, held against their manifests and indexes.

use std::collections::HashMap;

use super::Walk;
use super::graph::{Edge, Endpoint, NodeId, Parent};
use crate::oci::{Descriptor, Digest, Document, ImageConfig, MediaKind, Platform, is_of_an_image};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Defect, Kind, PlatformMismatch, SkipReason};
use crate::sweep::contradiction::{Image, Misplaced, Places};
use crate::sweep::notices::Notice;

/// The longest config that is read whole and held against its manifest: what podman, skopeo and CRI-O read
/// (containers/image, `MaxConfigBodySize`).
const LARGEST_CONFIG: u64 = 4 << 20;

/// Why the config of an image is not held against its manifest.
fn not_read(config: &Descriptor) -> Option<Unverified> {
    let size = config.size.filter(|size| *size > LARGEST_CONFIG)?;
    let most = LARGEST_CONFIG >> 20;
    let digest = &config.digest;
    let detail = format!("the config {digest} has {size} bytes, and up to {most} MiB are compared");
    Some(Unverified::new(UnverifiedReason::TooLarge, detail))
}

/// Children of which their index promises another platform than their config, by both and the platform.
#[derive(Default)]
pub(super) struct Contradictions(HashMap<(NodeId, NodeId, Platform), Defect>);

impl Contradictions {
    pub(super) fn of(&self, child: NodeId, edge: &Edge) -> Option<&Defect> {
        let Parent::Node(index) = edge.parent else {
            return None;
        };
        if self.0.is_empty() {
            return None;
        }
        let platform = Platform::of_child(edge.platform()?);
        self.0.get(&(index, child, platform))
    }
}

impl Walk {
    /// Notes what of a manifest its config is to be held against, and what that says, if this sweep has read it.
    pub(super) fn note_image(
        &mut self,
        id: NodeId,
        document: &Document,
        config: Option<ImageConfig>,
    ) {
        let digest = document.config.as_ref().map(|config| &config.digest);
        let inline = || digest.and_then(ImageConfig::of_nothing);
        let config = config.or_else(|| inline().filter(|_| self.reads_configs()));
        let node = &mut self.nodes[id as usize];
        node.image = Image::of(document, config);
        let is_artifact = document.kind == MediaKind::Manifest && node.image == Image::None;
        let is_counted = is_artifact && node.is_intact();
        if is_counted && self.reads_configs() {
            self.tally.skip(SkipReason::Artifact, 1);
        }
        let is_image = self.nodes[id as usize].image != Image::None;
        let config = document
            .config
            .as_ref()
            .filter(|_| is_image && self.reads_configs());
        if let Some(why) = config.and_then(not_read) {
            self.unverified.push(&why);
        }
    }

    fn reads_configs(&self) -> bool {
        self.depth >= Depth::Tail
    }

    /// Whether a blob is to be read whole and as a config.
    pub(in crate::sweep) fn is_config(&self, id: NodeId) -> bool {
        let node = &self.nodes[id as usize];
        let is_config =
            |edge: &Edge| edge.kind == Kind::Config && is_of_an_image(edge.media_type());
        node.size().is_some_and(|size| size <= LARGEST_CONFIG) && node.edges.iter().any(is_config)
    }

    /// The digests in whose turns a blob is read: its own, and of a config also that of each index above it, so that one
    /// sweep sees whether the children of an index are in each other's places.
    pub(in crate::sweep) fn turns_of(&self, id: NodeId) -> Vec<&Digest> {
        let node = |parent: Parent| match parent {
            Parent::Node(parent) => Some(&self.nodes[parent as usize]),
            Parent::Tag(_) | Parent::Caller => None,
        };
        let configs = self.nodes[id as usize].edges.iter();
        let configs = configs.filter(|edge| edge.kind == Kind::Config);
        let manifests = configs.filter_map(|edge| node(edge.parent));
        let children = manifests.flat_map(|manifest| &manifest.edges);
        let indexes = children.filter_map(|edge| node(edge.parent));
        let own = std::iter::once(&self.nodes[id as usize]);
        own.chain(indexes).map(|node| &node.digest).collect()
    }

    /// How closely a blob has to be looked at because a manifest that names it was contradicted by it before.
    pub(in crate::sweep) fn contradicted_before(&self, id: NodeId) -> Option<Depth> {
        if !self.history.has_past() {
            return None;
        }
        let mut edges = self.nodes[id as usize].edges.iter();
        edges
            .any(|edge| self.needs_config(edge))
            .then_some(Depth::Tail)
    }

    /// Whether a promise is that of a config that has to be read, whoever saw it intact: its manifest was contradicted
    /// by it, and only what it says clears that.
    pub(super) fn needs_config(&self, edge: &Edge) -> bool {
        let Parent::Node(parent) = edge.parent else {
            return false;
        };
        let node = &self.nodes[parent as usize];
        let was_contradicted =
            || self.past(parent).and_then(|past| past.depth) >= Some(Depth::Tail);
        edge.kind == Kind::Config
            && (self.layers.are_held(parent)
                || matches!(node.image, Image::Unread(_)) && was_contradicted())
    }

    /// Takes up what a config says, for all manifests that name it.
    pub(super) fn config_seen(&mut self, id: NodeId, config: ImageConfig) {
        let edges = &self.nodes[id as usize].edges;
        let edges = edges.iter().filter(|edge| edge.kind == Kind::Config);
        let parents: Vec<_> = edges
            .filter_map(|edge| match edge.parent {
                Parent::Node(parent) => Some(parent),
                Parent::Tag(_) | Parent::Caller => None,
            })
            .collect();
        for parent in parents {
            let image = &mut self.nodes[parent as usize].image;
            *image = image.read(config);
        }
    }

    /// The children that cannot run as their index promises. What may well run is noted.
    pub(super) fn contradictions(&mut self) -> Contradictions {
        let mut all = Vec::new();
        for (id, node) in (0..).zip(&self.nodes) {
            let Image::Read(_, config) = node.image else {
                continue;
            };
            for edge in &node.edges {
                if let (Parent::Node(index), Some(platform)) = (edge.parent, edge.platform()) {
                    let promised = Platform::of_child(platform);
                    all.extend(Misplaced::of((index, id), promised, config));
                }
            }
        }
        let places = Places::of(&all);
        let mut contradictions = Contradictions::default();
        for wrong in all {
            let is_broken = self.platform_mismatch == PlatformMismatch::Fail;
            if is_broken || places.is_contradiction(&wrong) {
                let promise = (wrong.index, wrong.child, wrong.promised);
                contradictions.0.insert(promise, wrong.defect());
            } else {
                let digest: &Digest = &self.nodes[wrong.child as usize].digest;
                let was_counted = self.history.seen(Endpoint::Manifests, digest).is_some();
                self.tally.platform_mismatches += u64::from(!was_counted);
                let notices = &mut self.tally.notices;
                notices.note(Notice::OtherPlatform, &self.repository, digest);
            }
        }
        contradictions
    }
}
