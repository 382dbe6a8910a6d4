//! What a document promises: taken up into the graph of its repository, or left out on purpose.

use super::Walk;
use super::graph::{Edge, Endpoint, NodeId, Parent, Promised};
use crate::oci::{Descriptor, Digest, Document, MediaKind};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Kind, Mode, SkipReason};
use crate::sweep::form::Form;
use crate::sweep::notices::Notice;
use crate::sweep::policy::Objects;

/// Indexes inside indexes that are followed. Real ones have one or two levels.
const DEEPEST_NESTING: u8 = 8;

/// The longest manifest that containers/image reads (image/docker/docker_image_src.go), and about what
/// containerd reads by a tag.
const LARGE: u64 = 4 << 20;

impl Walk {
    /// Notes what readers should know of a document that was read, and takes up what it promises.
    pub(super) fn take(&mut self, id: NodeId, document: Document) {
        self.note(id, &document);
        self.expand(id, document, Kind::Child);
    }

    fn note(&mut self, id: NodeId, document: &Document) {
        let node = &self.nodes[id as usize];
        if !node.is_intact() {
            return;
        }
        let is = |form: fn(&Form) -> bool| node.form.as_ref().is_some_and(form);
        let is_named = |edge: &Edge| !matches!(edge.parent, Parent::Node(_));
        let is_odd_child =
            !node.edges.iter().any(is_named) && is(|form| !form.is_readable_by_header());
        let is_ambiguous = document.has_history && document.kind != MediaKind::Schema1;
        let has_bytes = |blob: &Descriptor| blob.size != Some(0);
        let mut blobs = document.layers.iter().chain(&document.config);
        for (is_so, notice) in [
            (
                document.kind == MediaKind::Index && document.children.is_empty(),
                Notice::NoChildren,
            ),
            (!blobs.all(has_bytes), Notice::NoBytes),
            (
                node.length.get().is_some_and(|length| length > LARGE),
                Notice::Large,
            ),
            (is(Form::is_of_its_own), Notice::OwnType),
            (is_odd_child || is_ambiguous, Notice::RefusedByOthers),
        ] {
            if is_so {
                let notices = &mut self.tally.notices;
                notices.note(notice, &self.repository, &node.digest);
            }
        }
    }

    /// Takes up what a document promises, its children as this kind.
    pub(super) fn expand(&mut self, id: NodeId, mut document: Document, kind: Kind) {
        let nesting = self.nodes[id as usize].nesting + 1;
        if nesting > DEEPEST_NESTING && !document.children.is_empty() {
            self.unverified.push(&Unverified::new(
                UnverifiedReason::TooLarge,
                format!(
                    "indexes are nested more than {DEEPEST_NESTING} deep under {}",
                    self.nodes[id as usize].digest
                ),
            ));
            return;
        }
        let digest = &self.nodes[id as usize].digest;
        let (why, is_bomb) = self.promises.take(digest, &document, self.tags.len());
        if let Some(why) = &why {
            self.unverified.push(why);
        }
        if is_bomb {
            return;
        }
        for child in document.children {
            let endpoint = match kind {
                Kind::Referrer => Endpoint::Manifests,
                _ => child_endpoint(&child),
            };
            let kind = if endpoint == Endpoint::Manifests {
                kind
            } else {
                Kind::Layer
            };
            self.describe(id, endpoint, kind, nesting, child);
        }
        let is_unpacked = self.hold_layers(id, &mut document.layers);
        if let Some(config) = document.config {
            let digest = config.digest.clone();
            self.describe(id, Endpoint::Blobs, Kind::Config, nesting, config);
            if is_unpacked && !self.is_awaited(&digest) {
                self.let_layers_go(id, &[]);
            }
        }
        for layer in document.layers {
            self.describe(id, Endpoint::Blobs, Kind::Layer, nesting, layer);
        }
    }

    /// Takes up a layer of a manifest, and what it unpacks to by the config.
    pub(super) fn describe_layer(
        &mut self,
        id: NodeId,
        layer: Descriptor,
        diff_id: Option<Digest>,
    ) {
        let nesting = self.nodes[id as usize].nesting + 1;
        self.describe_as(id, Endpoint::Blobs, Kind::Layer, nesting, (layer, diff_id));
    }

    /// Takes up one descriptor of a document.
    fn describe(
        &mut self,
        parent: NodeId,
        endpoint: Endpoint,
        kind: Kind,
        nesting: u8,
        entry: Descriptor,
    ) {
        self.describe_as(parent, endpoint, kind, nesting, (entry, None));
    }

    fn describe_as(
        &mut self,
        parent: NodeId,
        endpoint: Endpoint,
        kind: Kind,
        nesting: u8,
        (entry, diff_id): (Descriptor, Option<Digest>),
    ) {
        if let Some(skip_reason) = skip_reason(endpoint, kind, self.mode, &entry) {
            self.tally.skip(skip_reason, 1);
            return;
        }
        if endpoint == Endpoint::Blobs && self.objects == Objects::Manifests {
            return;
        }
        let (digest, size) = (entry.digest, entry.size);
        let promised = Promised {
            size,
            media_type: entry.media_type,
            platform: entry.platform,
            diff_id: diff_id.map(Box::new),
        };
        let edge = Edge {
            parent: Parent::Node(parent),
            kind,
            promised: Some(Box::new(promised)),
        };
        if endpoint == Endpoint::Blobs
            && !self.needs_look(&digest, &edge)
            && self.was_seen_intact(&digest, size)
        {
            return;
        }
        self.promise(endpoint, digest, nesting, edge);
    }
}

/// Where a child of an index is asked for.
pub(super) fn child_endpoint(child: &Descriptor) -> Endpoint {
    if child.is_manifest() {
        Endpoint::Manifests
    } else {
        Endpoint::Blobs
    }
}

/// Why what a document names is not asked for, if it is not.
pub(super) fn skip_reason(
    endpoint: Endpoint,
    kind: Kind,
    mode: Mode,
    entry: &Descriptor,
) -> Option<SkipReason> {
    match endpoint {
        Endpoint::Manifests => None,
        Endpoint::Blobs if kind == Kind::Layer && entry.is_elsewhere() => {
            Some(SkipReason::ForeignLayer)
        }
        Endpoint::Blobs if mode == Mode::PullThrough => Some(SkipReason::PullThrough),
        Endpoint::Blobs => entry.is_inline.then_some(SkipReason::InlineData),
    }
}
