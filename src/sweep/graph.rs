//! The objects of a repository, and who promises them.

use super::form::{Form, ReadBy, media_type};
use super::judge;
use crate::oci::{Digest, MediaKind};
use crate::registry::Depth;
use crate::report::{Defect, Kind, Outcome, Reason};

/// The two places of a repository where content is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Endpoint {
    Manifests,
    Blobs,
}

/// A position in [`Walk::nodes`].
pub(super) type NodeId = u32;
/// A position in [`Walk::tags`].
pub(super) type TagId = u32;

/// Visits of one look to an object that is promised with several sizes.
const MOST_VISITS: u8 = 3;

/// Who promises a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Tag(TagId),
    Node(NodeId),
    /// The caller, by digest.
    Caller,
}

/// A promise: an edge of the graph, kept with its end.
pub(super) struct Edge {
    pub(super) parent: Parent,
    pub(super) kind: Kind,
    pub(super) size: Option<u64>,
    pub(super) media_type: Box<str>,
    pub(super) platform: Option<Box<str>>,
}

/// An object of the repository, asked for once however many promise it.
pub(super) struct Node {
    pub(super) digest: Digest,
    pub(super) endpoint: Endpoint,
    pub(super) nesting: u8,
    pub(super) edges: Vec<Edge>,
    pub(super) outcome: Option<Outcome>,
    pub(super) length: Option<u64>,
    /// The size that it was looked at by.
    pub(super) asked: Option<u64>,
    /// How often it was looked at: a registry may state another size each time.
    pub(super) visits: u8,
    /// How closely it was looked at, if it is a blob.
    pub(super) depth: Option<Depth>,
    /// What it is and what it is said to be, if it is a document that was read.
    pub(super) form: Option<Form>,
}

impl Node {
    /// The size to look at it by: of several that are promised, the one that it turned out to have.
    pub(super) fn size(&self) -> Option<u64> {
        let sizes = || self.edges.iter().filter_map(|edge| edge.size);
        sizes()
            .find(|size| Some(*size) == self.length)
            .or_else(|| sizes().next())
    }

    /// Whether it was looked at by a wrong size, while another promise has the right one.
    pub(super) fn was_misjudged(&self) -> bool {
        let is_size = |defect: &Defect| defect.reason == Reason::SizeMismatch;
        let is_wrong = matches!(&self.outcome, Some(Outcome::Broken(defect)) if is_size(defect));
        let may_go = self.visits < MOST_VISITS;
        is_wrong
            && may_go
            && self.length.is_some()
            && self.asked != self.length
            && self.size() == self.length
    }

    /// In which way one of its promises is wrong about it, though it is whole in itself.
    pub(super) fn contradiction(&self, edge: &Edge) -> Option<Defect> {
        let read_by = match edge.parent {
            Parent::Tag(_) | Parent::Caller => ReadBy::Header,
            Parent::Node(_) => ReadBy::Promise(&edge.media_type),
        };
        judge::size(edge.size, self.length).or_else(|| media_type(read_by, self.form.as_ref()))
    }

    /// Whether all that promise it promise a type that clients do not know.
    pub(super) fn is_of_unknown_type(&self) -> bool {
        self.edges.iter().all(|edge| {
            matches!(edge.parent, Parent::Node(_))
                && MediaKind::from_media_type(&edge.media_type) == MediaKind::Unknown
        })
    }

    /// What was promised: by the most direct of the promises, a tag's before a parent's.
    pub(super) fn kind(&self) -> Kind {
        self.edges
            .iter()
            .min_by_key(|edge| edge.rank())
            .map_or(Kind::Manifest, |edge| edge.kind)
    }
}

impl Edge {
    pub(super) fn rank(&self) -> u8 {
        match self.parent {
            Parent::Tag(_) => 0,
            Parent::Caller => 1,
            Parent::Node(_) => 2,
        }
    }
}
