//! One repository's graph of promises: what was asked, what is still to ask, and who promised it.
//!
//! It lives while its repository is walked; `settle` says what it comes to in the end.

use std::collections::BTreeMap;

use super::graph::{Edge, Endpoint, Node, NodeId, Parent, TagId};
use super::history::{History, Past};
use super::judge::{self, Judged};
use super::known::Known;
use super::obstacles::Obstacles;
use super::promises::Promises;
use super::tag_list::TagList;
use super::tally::Tally;
use crate::model::{
    Depth, Descriptor, Digest, Document, Exemption, Kind, MediaKind, Mode, Obstacle,
    ObstacleReason, Outcome, Repository, Tag, is_foreign_layer,
};

/// Indexes inside indexes that are followed. Real ones have one or two levels.
const DEEPEST_NESTING: u8 = 8;

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
    /// What was seen of it before.
    pub(super) history: History,
    /// Its list of tags, as far as that is read.
    pub(super) list: TagList,
    pub(super) tags: Vec<TagState>,
    /// Whether these are all the tags that the repository has.
    pub(super) has_all_tags: bool,
    next_tag: TagId,
    /// What documents promised so far.
    promises: Promises,
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
    List,
    IsKnown,
    Resolve(TagId, Tag),
    Manifest(NodeId, Digest),
    Blob(NodeId, Digest, Option<u64>),
}

impl Walk {
    pub(super) fn new(repository: Repository, mode: Mode, history: History) -> Self {
        Self {
            repository,
            mode,
            history,
            list: TagList::default(),
            tags: Vec::new(),
            has_all_tags: false,
            next_tag: 0,
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
    pub(super) fn add_tags(&mut self, tags: impl IntoIterator<Item = Tag>) {
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
        if let Some(step) = self.list.ask.take() {
            return Some(step);
        }
        let may_go =
            |id: &NodeId| blobs_may_go || self.nodes[*id as usize].endpoint == Endpoint::Manifests;
        if let Some(position) = self.to_visit.iter().rposition(may_go) {
            let id = self.to_visit.remove(position);
            let node = &mut self.nodes[id as usize];
            node.asked = node.size();
            let digest = node.digest.clone();
            return Some(match node.endpoint {
                Endpoint::Manifests => Step::Manifest(id, digest),
                Endpoint::Blobs => Step::Blob(id, digest, node.asked),
            });
        }
        if self.list.is_awaited {
            return None;
        }
        let state = self.tags.get(self.next_tag as usize)?;
        self.next_tag += 1;
        Some(Step::Resolve(self.next_tag - 1, state.tag.clone()))
    }

    /// Whether there is nothing left to ask and nothing under way.
    pub(super) fn is_done(&self) -> bool {
        let has_all = self.list.ask.is_none() && self.next_tag as usize == self.tags.len();
        self.under_way == 0 && self.to_visit.is_empty() && has_all
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
        let node = &self.nodes[id as usize];
        let was_counted = self
            .history
            .seen(Endpoint::Manifests, &node.digest)
            .is_some();
        let before = was_counted.then(|| self.tally.clone());
        match document.as_ref().map(|document| document.kind) {
            Some(MediaKind::Index) => self.tally.indexes += 1,
            Some(_) => self.tally.manifests += 1,
            None => {}
        }
        self.node_seen(id, judged);
        if let Some(document) = document {
            if let Some(documents) = &mut self.documents {
                documents.insert(id, document.clone());
            }
            self.expand(id, document);
        }
        if let Some(before) = before {
            self.tally = before;
        }
    }

    /// Notes what a blob turned out to be.
    pub(super) fn blob_seen(&mut self, id: NodeId, depth: Depth, judged: Judged) {
        self.nodes[id as usize].depth = Some(depth);
        let past = self.past(id).map(|past| past.times_broken);
        if !matches!(judged.outcome, Outcome::Unverified(_)) && past.unwrap_or_default() == 0 {
            self.tally.blobs += 1;
        }
        self.node_seen(id, judged);
        self.look_again_if_misjudged(id);
        if past.is_some() {
            return;
        }
        let node = &mut self.nodes[id as usize];
        // Nobody will ask who promised what is there, and there are many of these.
        let is_whole = |edge: &Edge| judge::size(edge.size, node.length).is_none();
        if node.outcome == Some(Outcome::Intact) && node.edges.iter().all(is_whole) {
            node.edges = Vec::new();
        }
    }

    /// What was seen of a node before, if it was broken.
    pub(super) fn past(&self, id: NodeId) -> Option<&Past> {
        let node = &self.nodes[id as usize];
        self.history.past_of(node.endpoint, &node.digest)
    }

    /// A blob that is not as long as one manifest says may be just as long as another one does.
    fn look_again_if_misjudged(&mut self, id: NodeId) {
        let node = &mut self.nodes[id as usize];
        if node.was_misjudged() {
            node.outcome = None;
            self.tally.blobs = self.tally.blobs.saturating_sub(1);
            self.to_visit.push(id);
        }
    }

    fn node_seen(&mut self, id: NodeId, judged: Judged) {
        if let Some(exemption) = judged.exemption {
            self.tally.skip(exemption, 1);
        }
        let node = &mut self.nodes[id as usize];
        node.length = judged.length;
        node.outcome = Some(judged.outcome);
    }

    fn expand(&mut self, id: NodeId, document: Document) {
        let nesting = self.nodes[id as usize].nesting + 1;
        if nesting > DEEPEST_NESTING && !document.children.is_empty() {
            self.obstacles.push(&Obstacle::new(
                ObstacleReason::TooLarge,
                format!(
                    "indexes are nested more than {DEEPEST_NESTING} deep under {}",
                    self.nodes[id as usize].digest
                ),
            ));
            return;
        }
        let digest = &self.nodes[id as usize].digest;
        let (obstacle, is_bomb) = self.promises.take(digest, &document, self.tags.len());
        if let Some(obstacle) = &obstacle {
            self.obstacles.push(obstacle);
        }
        if is_bomb {
            return;
        }
        for child in document.children {
            let endpoint = child_endpoint(&child);
            let kind = if endpoint == Endpoint::Manifests {
                Kind::Child
            } else {
                Kind::Layer
            };
            self.describe(id, endpoint, kind, nesting, child);
        }
        if let Some(config) = document.config {
            self.describe(id, Endpoint::Blobs, Kind::Config, nesting, config);
        }
        for layer in document.layers {
            if is_foreign_layer(&layer.media_type) {
                self.tally.skip(Exemption::ForeignLayer, 1);
            } else {
                self.describe(id, Endpoint::Blobs, Kind::Layer, nesting, layer);
            }
        }
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
        let edge = Edge {
            parent: Parent::Node(parent),
            kind,
            size: entry.size,
            media_type: entry.media_type,
            platform: entry.platform,
        };
        let exemption = match endpoint {
            Endpoint::Blobs if self.mode == Mode::PullThrough => Some(Exemption::PullThrough),
            Endpoint::Blobs if entry.is_inline => Some(Exemption::InlineData),
            _ => None,
        };
        match exemption {
            Some(exemption) => self.tally.skip(exemption, 1),
            None => _ = self.promise(endpoint, entry.digest, nesting, edge),
        }
    }

    /// Adds a promise. The object is put on the list of what is to be asked unless it is known.
    fn promise(&mut self, endpoint: Endpoint, digest: Digest, nesting: u8, edge: Edge) -> NodeId {
        if let Some(id) = self.known.find(&self.nodes, endpoint, &digest) {
            let has_past = self.past(id).is_some();
            let node = &mut self.nodes[id as usize];
            let is_settled = endpoint == Endpoint::Blobs
                && !has_past
                && node.outcome == Some(Outcome::Intact)
                && judge::size(edge.size, node.length).is_none();
            if !is_settled {
                node.edges.push(edge);
                self.look_again_if_misjudged(id);
            }
            return id;
        }
        let id = NodeId::try_from(self.nodes.len()).expect("fewer objects than memory could hold");
        // A blob that an earlier look saw intact is not read again.
        let seen = Some(endpoint).filter(|endpoint| *endpoint == Endpoint::Blobs);
        let seen = seen.filter(|_| self.history.past_of(endpoint, &digest).is_none());
        let seen = seen.and_then(|endpoint| self.history.seen(endpoint, &digest));
        self.nodes.push(Node {
            digest,
            endpoint,
            nesting,
            edges: vec![edge],
            outcome: seen.map(|_| Outcome::Intact),
            length: seen.flatten(),
            asked: None,
            depth: None,
        });
        self.known.add(&self.nodes, id);
        if seen.is_none() {
            self.to_visit.push(id);
        }
        id
    }
}

/// Where a child of an index is asked for. Build caches (BuildKit's) are indexes of layers, which are
/// blobs, whatever the specification says; a registry has no manifest for them.
pub(super) fn child_endpoint(child: &Descriptor) -> Endpoint {
    let media_type = child
        .media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let is_manifest = media_type.is_empty()
        || MediaKind::from_media_type(media_type) != MediaKind::Unknown
        || media_type.ends_with("json");
    if is_manifest {
        Endpoint::Manifests
    } else {
        Endpoint::Blobs
    }
}
