//! The objects of a repository, who promises them, and the next thing to ask of it.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use crate::oci::{Digest, MediaKind, Tag};
use crate::registry::{Depth, Way};
use crate::report::{Defect, Kind, Outcome, Reason};
use crate::sweep::contradiction::Image;
use crate::sweep::form::{Form, ReadBy, media_type};
use crate::sweep::judge;
use crate::sweep::referrers::Question;

/// The two places of a repository where content is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::sweep) enum Endpoint {
    Manifests,
    Blobs,
}

/// A position in [`Walk::nodes`].
pub(in crate::sweep) type NodeId = u32;
/// A position in [`Walk::tags`].
pub(in crate::sweep) type TagId = u32;

/// Visits of one look to an object that is promised with several sizes.
const MOST_VISITS: u8 = 3;

/// Who promises a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sweep) enum Parent {
    Tag(TagId),
    Node(NodeId),
    /// The caller, by digest.
    Caller,
}

/// A promise: an edge of the graph, kept with its end.
pub(in crate::sweep) struct Edge {
    pub(in crate::sweep) parent: Parent,
    pub(in crate::sweep) kind: Kind,
    /// What a document says of its end. Tags and callers say nothing.
    pub(in crate::sweep) promised: Option<Box<Promised>>,
}

/// What a document says of what it promises.
pub(in crate::sweep) struct Promised {
    pub(in crate::sweep) size: Option<u64>,
    pub(in crate::sweep) media_type: Box<str>,
    pub(in crate::sweep) platform: Option<Box<str>>,
    /// What it unpacks to, by the config, if it is a layer that is to be unpacked.
    pub(in crate::sweep) diff_id: Option<Box<Digest>>,
}

/// What came of an object. Nearly all are intact, and there are many, so that the rest is kept elsewhere.
enum Came {
    NotYet,
    Intact,
    Otherwise(Box<Outcome>),
}

/// A length that may be unknown, in half the memory of an `Option`. None is as long as its greatest number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::sweep) struct Length(u64);

impl From<Option<u64>> for Length {
    fn from(length: Option<u64>) -> Self {
        Self(length.unwrap_or(u64::MAX))
    }
}

impl Length {
    pub(in crate::sweep) fn get(self) -> Option<u64> {
        (self.0 != u64::MAX).then_some(self.0)
    }
}

/// An object of the repository, asked for once however many promise it.
pub(in crate::sweep) struct Node {
    pub(in crate::sweep) digest: Digest,
    pub(in crate::sweep) endpoint: Endpoint,
    pub(in crate::sweep) nesting: u8,
    pub(in crate::sweep) edges: Vec<Edge>,
    came: Came,
    pub(in crate::sweep) length: Length,
    /// The size that it was looked at by.
    pub(in crate::sweep) asked: Length,
    /// How often it was looked at: a registry may state another size each time.
    pub(in crate::sweep) visits: u8,
    /// How closely it was looked at, if it is a blob.
    pub(in crate::sweep) depth: Option<Depth>,
    /// What it is and what it is said to be, if it is a document that was read.
    pub(in crate::sweep) form: Option<Form>,
    /// Whether it was pushed since the last sweep, as far as that shows; of a blob, whether a manifest that
    /// promises it was.
    pub(in crate::sweep) is_new: bool,
    /// What it is as an image.
    pub(in crate::sweep) image: Image,
}

impl Node {
    /// An object of which nothing was seen yet.
    pub(in crate::sweep) fn new(
        digest: Digest,
        endpoint: Endpoint,
        nesting: u8,
        edge: Edge,
    ) -> Self {
        Self {
            digest,
            endpoint,
            nesting,
            edges: vec![edge],
            came: Came::NotYet,
            length: None.into(),
            asked: None.into(),
            visits: 0,
            depth: None,
            form: None,
            is_new: false,
            image: Image::None,
        }
    }

    /// What came of it, once it was looked at.
    pub(in crate::sweep) fn outcome(&self) -> Option<&Outcome> {
        match &self.came {
            Came::NotYet => None,
            Came::Intact => Some(&Outcome::Intact),
            Came::Otherwise(outcome) => Some(outcome),
        }
    }

    pub(in crate::sweep) fn is_intact(&self) -> bool {
        matches!(self.came, Came::Intact)
    }

    pub(in crate::sweep) fn set_outcome(&mut self, outcome: Option<Outcome>) {
        self.came = match outcome {
            None => Came::NotYet,
            Some(Outcome::Intact) => Came::Intact,
            Some(outcome) => Came::Otherwise(Box::new(outcome)),
        };
    }

    /// The size to look at it by: of several that are promised, the one that it turned out to have.
    pub(in crate::sweep) fn size(&self) -> Option<u64> {
        let sizes = || self.edges.iter().filter_map(Edge::size);
        sizes()
            .find(|size| Some(*size) == self.length.get())
            .or_else(|| sizes().next())
    }

    /// Whether it was looked at by a wrong size, while another promise has the right one.
    pub(in crate::sweep) fn was_misjudged(&self) -> bool {
        let is_size = |defect: &Defect| defect.reason == Reason::SizeMismatch;
        let is_wrong = matches!(self.outcome(), Some(Outcome::Broken(defect)) if is_size(defect));
        let may_go = self.visits < MOST_VISITS;
        is_wrong
            && may_go
            && self.length.get().is_some()
            && self.asked != self.length
            && self.size() == self.length.get()
    }

    /// In which way one of its promises is wrong about it, though it is whole in itself.
    pub(in crate::sweep) fn contradiction(&self, edge: &Edge) -> Option<Defect> {
        let read_by = match edge.parent {
            Parent::Tag(_) | Parent::Caller => ReadBy::Header,
            // By a tag of cosign's.
            Parent::Node(_) if edge.promised.is_none() => ReadBy::Header,
            Parent::Node(_) => ReadBy::Promise(edge.media_type()),
        };
        judge::size(edge.size(), self.length.get())
            .or_else(|| media_type(read_by, self.form.as_ref()))
            .or_else(|| self.image.contradiction())
    }

    /// Whether all that promise it promise a type that clients do not know.
    pub(in crate::sweep) fn is_of_unknown_type(&self) -> bool {
        self.edges.iter().all(|edge| {
            matches!(edge.parent, Parent::Node(_))
                && edge.kind != Kind::Referrer
                && MediaKind::from_media_type(edge.media_type()) == MediaKind::Unknown
        })
    }

    /// What was promised: by the most direct of the promises, a tag's before a parent's.
    pub(in crate::sweep) fn kind(&self) -> Kind {
        self.edges
            .iter()
            .min_by_key(|edge| edge.rank())
            .map_or(Kind::Manifest, |edge| edge.kind)
    }
}

impl Edge {
    /// From a tag, or the caller.
    pub(in crate::sweep) fn from_outside(parent: Parent, kind: Kind) -> Self {
        Self {
            parent,
            kind,
            promised: None,
        }
    }

    pub(in crate::sweep) fn size(&self) -> Option<u64> {
        self.promised.as_ref()?.size
    }

    pub(in crate::sweep) fn media_type(&self) -> &str {
        let promised = self.promised.as_ref();
        promised.map_or("", |promised| &promised.media_type)
    }

    pub(in crate::sweep) fn platform(&self) -> Option<&str> {
        self.promised.as_ref()?.platform.as_deref()
    }

    pub(in crate::sweep) fn diff_id(&self) -> Option<&Digest> {
        self.promised.as_ref()?.diff_id.as_deref()
    }

    pub(in crate::sweep) fn rank(&self) -> u8 {
        match self.parent {
            Parent::Tag(_) => 0,
            Parent::Caller => 1,
            Parent::Node(_) => 2,
        }
    }
}

/// Which objects of a repository are known: the positions of nodes, found by where they are asked for and their digest.
#[derive(Default)]
pub(in crate::sweep) struct NodeIndex {
    ids: HashTable<NodeId>,
    state: RandomState,
}

impl NodeIndex {
    /// The position among `nodes` of an object, if it is there.
    pub(in crate::sweep) fn find(
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

    /// Takes a position among `nodes` out.
    pub(in crate::sweep) fn remove(&mut self, nodes: &[Node], id: NodeId) {
        let node = &nodes[id as usize];
        let hash = self.state.hash_one((node.endpoint, &node.digest));
        if let Ok(found) = self.ids.find_entry(hash, |known| *known == id) {
            found.remove();
        }
    }

    /// Adds a position among `nodes`, whose object was not there so far.
    pub(in crate::sweep) fn add(&mut self, nodes: &[Node], id: NodeId) {
        let hash = |id: &NodeId| {
            let node = &nodes[*id as usize];
            self.state.hash_one((node.endpoint, &node.digest))
        };
        self.ids.insert_unique(hash(&id), id, hash);
    }
}

/// The next thing to ask of a repository.
pub(in crate::sweep) enum Step {
    List,
    IsKnown,
    Resolve(TagId, Tag, Way),
    Manifest(NodeId, Digest, Keeper),
    Blob(NodeId, Digest, Option<u64>),
    Attached(NodeId, Question),
}

/// Where a manifest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sweep) enum Keeper {
    Manifests,
    /// With the manifests or the blobs: a child of a type that clients do not know.
    Either,
}
