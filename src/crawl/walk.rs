//! One repository's graph of promises: what was asked, what is still to ask, and who promised it.
//!
//! It lives while its repository is walked; `settle` says what it comes to in the end.

use std::collections::BTreeMap;

use super::form::{Form, ReadBy, media_type};
use super::judge::{self, Judged};
use super::known::Known;
use super::obstacles::Obstacles;
use super::promises::Promises;
use super::tally::Tally;
use super::way::{self, Way};
use crate::model::{
    Defect, Depth, Digest, Document, Kind, MediaKind, Mode, Obstacle, Outcome, Reason, Repository,
    Tag,
};

/// The two places of a repository where content is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Manifests,
    Blobs,
}

/// A position in [`Walk::nodes`].
pub(super) type NodeId = u32;
/// A position in [`Walk::tags`].
pub(super) type TagId = u32;

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
    asked: Option<u64>,
    /// How closely it was looked at, if it is a blob.
    pub(super) depth: Option<Depth>,
    /// What it is and what it is said to be, if it is a document that was read.
    pub(super) form: Option<Form>,
}

impl Node {
    /// The size to look at it by: of several that are promised, the one that it turned out to have.
    fn size(&self) -> Option<u64> {
        let sizes = || self.edges.iter().filter_map(|edge| edge.size);
        sizes()
            .find(|size| Some(*size) == self.length)
            .or_else(|| sizes().next())
    }

    /// Whether it was looked at by a wrong size, while another promise has the right one.
    fn was_misjudged(&self) -> bool {
        let is_size = |defect: &Defect| defect.reason == Reason::SizeMismatch;
        let is_wrong = matches!(&self.outcome, Some(Outcome::Broken(defect)) if is_size(defect));
        is_wrong && self.length.is_some() && self.asked != self.length && self.size() == self.length
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
    fn is_of_unknown_type(&self) -> bool {
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

/// A tag and what is known of it.
pub(super) struct TagState {
    pub(super) tag: Tag,
    /// `Ok` once it is resolved, `Err` if that came to something else than a digest.
    pub(super) resolved: Option<Result<Digest, Outcome>>,
}

/// The graph of one repository.
pub(super) struct Walk {
    pub(super) repository: Repository,
    pub(super) mode: Mode,
    pub(super) tags: Vec<TagState>,
    /// Whether these are all the tags that the repository has.
    pub(super) has_all_tags: bool,
    next_tag: TagId,
    /// The tag whose turn it is to be asked for by GET, too.
    pulled: Option<TagId>,
    /// What documents promised so far.
    pub(super) promises: Promises,
    pub(super) nodes: Vec<Node>,
    pub(super) known: Known,
    to_visit: Vec<NodeId>,
    /// Requests of this walk that are under way.
    pub(super) under_way: usize,
    /// Why the walk is not whole, apart from its nodes and tags.
    pub(super) obstacles: Obstacles,
    pub(super) tally: Tally,
    /// The manifests as they were read, where they are to be kept.
    pub(super) documents: Option<BTreeMap<NodeId, Document>>,
}

/// The next thing to ask of a repository.
pub(super) enum Step {
    Resolve(TagId, Tag, Way),
    Manifest(NodeId, Digest),
    /// A child of a type that clients do not know, wherever it is kept.
    Document(NodeId, Digest),
    Blob(NodeId, Digest, Option<u64>),
}

impl Walk {
    pub(super) fn new(repository: Repository, mode: Mode) -> Self {
        Self {
            repository,
            mode,
            tags: Vec::new(),
            has_all_tags: false,
            next_tag: 0,
            pulled: None,
            promises: Promises::default(),
            nodes: Vec::new(),
            known: Known::default(),
            to_visit: Vec::new(),
            under_way: 0,
            obstacles: Obstacles::default(),
            tally: Tally::default(),
            documents: None,
        }
    }

    /// Adds the tags to walk from.
    pub(super) fn add_tags(&mut self, tags: Vec<Tag>) {
        self.tally.tags_listed += tags.len() as u64;
        self.tags.extend(tags.into_iter().map(|tag| TagState {
            tag,
            resolved: None,
        }));
    }

    /// Adds a manifest that the caller names by digest.
    pub(super) fn add_named(&mut self, digest: Digest) {
        let edge = Edge {
            parent: Parent::Caller,
            kind: Kind::Manifest,
            size: None,
            media_type: Box::default(),
            platform: None,
        };
        self.promise(Endpoint::Manifests, digest, 0, edge);
    }

    /// Notes what kept a part of the repository from being seen at all.
    pub(super) fn obstruct(&mut self, obstacle: &Obstacle) {
        self.obstacles.push(obstacle);
    }

    /// What to ask next, children before further tags so that little is held open. `None` while
    /// everything known is asked, or only blobs are left and they have to wait.
    pub(super) fn next(&mut self, blobs_may_go: bool) -> Option<Step> {
        let may_go =
            |id: &NodeId| blobs_may_go || self.nodes[*id as usize].endpoint == Endpoint::Manifests;
        if let Some(position) = self.to_visit.iter().rposition(may_go) {
            let id = self.to_visit.remove(position);
            let node = &mut self.nodes[id as usize];
            node.asked = node.size();
            let digest = node.digest.clone();
            let may_be_a_blob = self.mode != Mode::PullThrough && node.is_of_unknown_type();
            return Some(match node.endpoint {
                Endpoint::Manifests if may_be_a_blob => Step::Document(id, digest),
                Endpoint::Manifests => Step::Manifest(id, digest),
                Endpoint::Blobs => Step::Blob(id, digest, node.asked),
            });
        }
        let turn = self.next_tag;
        // The manifest that comes along with the first tag may be that of the next ones, too.
        let comes_along = turn == 1 && self.under_way > 0 && self.documents.is_none();
        if turn as usize == self.tags.len() || (comes_along && self.is_first_tag_awaited()) {
            return None;
        }
        self.next_tag += 1;
        let (id, way) = self.in_turn(turn);
        Some(Step::Resolve(id, self.tags[id as usize].tag.clone(), way))
    }

    fn is_first_tag_awaited(&self) -> bool {
        let first = self
            .pulled
            .and_then(|pulled| self.tags.get(pulled as usize));
        first.is_some_and(|state| state.resolved.is_none())
    }

    /// The tag that is asked for in this place, and how. What a client pulls is what GET gives. Of all
    /// that a sweep finds by HEAD, one tag of each repository is asked for by GET, too, before the
    /// others, so that the manifest need not be asked for again; and what the caller named, always.
    fn in_turn(&mut self, turn: TagId) -> (TagId, Way) {
        let (repository, tags) = (&self.repository, self.tags.len());
        let pulled = *self
            .pulled
            .get_or_insert_with(|| way::in_turn(repository, tags));
        match turn {
            _ if self.documents.is_some() => (turn, Way::Get),
            0 => (pulled, Way::Both),
            turn if turn <= pulled => (turn - 1, Way::Head),
            turn => (turn, Way::Head),
        }
    }

    /// Whether there is nothing left to ask and nothing under way.
    pub(super) fn is_done(&self) -> bool {
        self.under_way == 0 && self.to_visit.is_empty() && self.next_tag as usize == self.tags.len()
    }

    /// Notes where a tag points to. The manifest there is asked for unless it came along.
    pub(super) fn tag_seen(&mut self, id: TagId, seen: Result<Digest, Outcome>) -> Option<NodeId> {
        let node = seen.as_ref().ok().map(|digest| {
            let edge = Edge {
                parent: Parent::Tag(id),
                kind: Kind::Tag,
                size: None,
                media_type: Box::default(),
                platform: None,
            };
            self.promise(Endpoint::Manifests, digest.clone(), 0, edge)
        });
        self.tags[id as usize].resolved = Some(seen);
        node
    }

    /// Takes a node off the list of what is to be asked, because its answer came along with another.
    /// Whether it was on it.
    pub(super) fn came_along(&mut self, id: NodeId) -> bool {
        let waiting = self.to_visit.iter().rposition(|waiting| *waiting == id);
        waiting
            .map(|position| self.to_visit.swap_remove(position))
            .is_some()
    }

    /// Notes what a manifest turned out to be, and what it promises in turn.
    pub(super) fn manifest_seen(&mut self, id: NodeId, judged: Judged, document: Option<Document>) {
        match document.as_ref().map(|document| document.kind) {
            Some(MediaKind::Index) => self.tally.indexes += 1,
            Some(_) => self.tally.manifests += 1,
            None if judged.outcome == Outcome::Intact => self.tally.blobs += 1,
            None => {}
        }
        self.node_seen(id, judged);
        if let Some(document) = document {
            if let Some(documents) = &mut self.documents {
                documents.insert(id, document.clone());
            }
            self.take(id, document);
        }
    }

    /// Notes what a blob turned out to be.
    pub(super) fn blob_seen(&mut self, id: NodeId, depth: Depth, judged: Judged) {
        let is_broken = matches!(judged.outcome, Outcome::Broken(_));
        let closer = judged.depth.filter(|_| is_broken).unwrap_or(depth);
        self.nodes[id as usize].depth = Some(depth.max(closer));
        if !matches!(judged.outcome, Outcome::Unverified(_)) {
            self.tally.blobs += 1;
        }
        self.node_seen(id, judged);
        self.look_again_if_misjudged(id);
        let node = &mut self.nodes[id as usize];
        // Nobody will ask who promised what is there, and there are many of these.
        let is_whole = |edge: &Edge| judge::size(edge.size, node.length).is_none();
        if node.outcome == Some(Outcome::Intact) && node.edges.iter().all(is_whole) {
            node.edges = Vec::new();
        }
    }

    /// A blob that is not as long as one manifest says may be just as long as another one does.
    fn look_again_if_misjudged(&mut self, id: NodeId) {
        let node = &mut self.nodes[id as usize];
        if node.was_misjudged() {
            node.outcome = None;
            self.tally.blobs -= 1;
            self.to_visit.push(id);
        }
    }

    fn node_seen(&mut self, id: NodeId, judged: Judged) {
        if let Some(exemption) = judged.exemption {
            self.tally.skip(exemption, 1);
        }
        let node = &mut self.nodes[id as usize];
        node.length = judged.length;
        node.form = judged.form;
        node.outcome = Some(judged.outcome);
    }

    /// Adds a promise. The object is put on the list of what is to be asked unless it is known.
    pub(super) fn promise(
        &mut self,
        endpoint: Endpoint,
        digest: Digest,
        nesting: u8,
        edge: Edge,
    ) -> NodeId {
        if let Some(id) = self.known.find(&self.nodes, endpoint, &digest) {
            let node = &mut self.nodes[id as usize];
            let is_settled = endpoint == Endpoint::Blobs
                && node.outcome == Some(Outcome::Intact)
                && judge::size(edge.size, node.length).is_none();
            if !is_settled {
                node.edges.push(edge);
                self.look_again_if_misjudged(id);
            }
            return id;
        }
        let id = NodeId::try_from(self.nodes.len()).expect("fewer objects than memory could hold");
        self.nodes.push(Node {
            digest,
            endpoint,
            nesting,
            edges: vec![edge],
            outcome: None,
            length: None,
            asked: None,
            depth: None,
            form: None,
        });
        self.known.add(&self.nodes, id);
        self.to_visit.push(id);
        id
    }
}
