//! The trees of the images that the caller named, from the documents that their walk has kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Walk;
use super::expand::{child_endpoint, skip_reason};
use super::graph::{Edge, Endpoint, NodeId, Parent};
use super::settle::InMode;
use crate::oci::{Descriptor, Digest, Document, MediaKind, Printable, Reference};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Finding, Image, Kind, Node, Outcome, SkipReason, State};

impl Walk {
    /// The images that the caller named, as this look saw them. `cut_short` says why it ended with things
    /// left to ask.
    pub(super) fn images(&self, cut_short: Option<&Unverified>) -> Vec<Image> {
        let Some(documents) = &self.documents else {
            return Vec::new();
        };
        let image = |reference, kind, digest: Result<&Digest, State>| {
            let mut tree = Tree {
                walk: self,
                documents,
                cut_short,
                seen: BTreeSet::new(),
            };
            Image {
                repository: self.repository.clone(),
                reference,
                root: tree.root(kind, digest),
            }
        };
        let tags = self.tags.iter().map(|state| {
            let digest = match &state.resolved {
                Some(Ok(id)) => Ok(&self.nodes[*id as usize].digest),
                Some(Err(outcome)) => Err(self.state(outcome, Kind::Tag)),
                None => Err(of_mode(InMode::left_over(cut_short))),
            };
            image(Reference::Tag(state.tag.clone()), Kind::Tag, digest)
        });
        let is_named = |edge: &Edge| edge.parent == Parent::Caller;
        let named = self.nodes.iter();
        let named = named.filter(|node| node.edges.iter().any(is_named));
        let named = named.map(|node| {
            let reference = Reference::Digest(node.digest.clone());
            image(reference, Kind::Manifest, Ok(&node.digest))
        });
        tags.chain(named).collect()
    }

    fn state(&self, outcome: &Outcome, kind: Kind) -> State {
        of_mode(self.in_this_mode(outcome, kind))
    }
}

fn of_mode(in_mode: InMode) -> State {
    match in_mode {
        InMode::Settled => State::Intact,
        InMode::Broken(defect) => State::Broken(defect),
        InMode::Absent(_) => State::Absent,
        InMode::Unverified(why) => State::Unverified(why),
    }
}

/// The tree of one image in the making.
struct Tree<'a> {
    walk: &'a Walk,
    documents: &'a BTreeMap<NodeId, Document>,
    cut_short: Option<&'a Unverified>,
    /// What has its children in the tree already. What is named again and again is told once.
    seen: BTreeSet<NodeId>,
}

impl Tree<'_> {
    fn root(&mut self, kind: Kind, digest: Result<&Digest, State>) -> Node {
        let mut root = Node {
            kind,
            digest: None,
            document: None,
            media_type: None,
            size: None,
            platform: None,
            state: State::Intact,
            is_repeated: false,
            children: Vec::new(),
        };
        match digest {
            Ok(digest) => {
                root.digest = Some(digest.clone());
                self.look_up(Endpoint::Manifests, digest, &mut root);
            }
            Err(state) => root.state = state,
        }
        root
    }

    fn node(&mut self, kind: Kind, endpoint: Endpoint, entry: &Descriptor) -> Node {
        let skip_reason = skip_reason(endpoint, kind, self.walk.mode, entry);
        let media_type = Printable::cut(&entry.media_type, 128);
        let mut node = Node {
            kind,
            digest: Some(entry.digest.clone()),
            document: None,
            media_type: (!media_type.is_empty()).then_some(media_type),
            size: entry.size,
            platform: entry.platform.as_deref().map(Printable::from),
            state: State::Intact,
            is_repeated: false,
            children: Vec::new(),
        };
        match skip_reason {
            Some(skip_reason) => node.state = State::Skipped(skip_reason),
            None => self.look_up(endpoint, &entry.digest, &mut node),
        }
        node
    }

    /// Notes what came of an object, and adds what it promises.
    fn look_up(&mut self, endpoint: Endpoint, digest: &Digest, node: &mut Node) {
        let known = self.walk.known.find(&self.walk.nodes, endpoint, digest);
        let Some(id) = known else {
            let detail = "the indexes above it are nested too deep to be followed";
            node.state = State::Unverified(Unverified::new(UnverifiedReason::TooLarge, detail));
            return;
        };
        let known = &self.walk.nodes[id as usize];
        node.state = match known.outcome() {
            Some(outcome) => self.walk.state(outcome, known.kind()),
            None => of_mode(InMode::left_over(self.cut_short)),
        };
        node.size = node.size.or(known.length.get());
        let Some(document) = self.documents.get(&id) else {
            return;
        };
        node.document = Some(document.kind);
        if document.kind == MediaKind::Unknown && node.state == State::Intact {
            // It is there, and nobody knows what it leads to.
            node.state = State::Skipped(SkipReason::UnknownMediaType);
        }
        node.is_repeated = !self.seen.insert(id);
        if node.is_repeated {
            return;
        }
        for child in &document.children {
            let endpoint = child_endpoint(child);
            let kind = match endpoint {
                Endpoint::Manifests => Kind::Child,
                Endpoint::Blobs => Kind::Layer,
            };
            node.children.push(self.node(kind, endpoint, child));
        }
        let config = document.config.iter().map(|config| (Kind::Config, config));
        let layers = document.layers.iter().map(|layer| (Kind::Layer, layer));
        for (kind, blob) in config.chain(layers) {
            node.children.push(self.node(kind, Endpoint::Blobs, blob));
        }
        if self.walk.attachments.has_asked(id) {
            let walk = self.walk;
            let is_attached =
                |edge: &Edge| edge.kind == Kind::Referrer && edge.parent == Parent::Node(id);
            let attached = walk.nodes.iter();
            for found in attached.filter(|node| node.edges.iter().any(is_attached)) {
                let child = self.root(Kind::Referrer, Ok(&found.digest));
                node.children.push(child);
            }
        }
    }
}

/// Takes up what the looks came to: only what they agree on is broken. `why` is a reason of the
/// repository, if it has one.
pub(in crate::sweep) fn settle_image(
    image: &mut Image,
    findings: &[Finding],
    why: Option<&Unverified>,
) {
    let repository = &image.repository;
    let here = findings
        .iter()
        .filter(|finding| finding.repository == *repository);
    let here: Vec<_> = here.collect();
    let reference = &image.reference;
    let is_about = |finding: &Finding, node: &Node| match (&finding.digest, reference) {
        (None, Reference::Tag(tag)) => node.digest.is_none() && finding.tags.contains(tag),
        (digest, _) => *digest == node.digest,
    };
    let mut nodes = vec![&mut image.root];
    while let Some(node) = nodes.pop() {
        let finding = here.iter().find(|finding| is_about(finding, node));
        node.state = match (&node.state, finding, why) {
            (_, Some(finding), _) => State::Broken(finding.defect.clone()),
            (State::Broken(_), None, Some(why)) => State::Unverified(why.clone()),
            (State::Broken(_), None, None) => State::Changed,
            (state, None, _) => state.clone(),
        };
        nodes.extend(&mut node.children);
    }
}
