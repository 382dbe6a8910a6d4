//! One repository's graph of promises: what was asked, what is still to ask, and who promised it.
//!
//! It lives while its repository is walked. What outlives it is a [`Walked`]: suspicions to confirm,
//! obstacles, and counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::judge::{self, Judged};
use crate::model::{
    Defect, Depth, Descriptor, Digest, Document, Exemption, Finding, Kind, MediaKind, Mode,
    Obstacle, ObstacleReason, Outcome, Repository, Tag, is_foreign_layer,
};

/// Indexes inside indexes that are followed. Real ones have one or two levels.
const DEEPEST_NESTING: u8 = 8;

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
enum Parent {
    Tag(TagId),
    Node(NodeId),
    /// The caller, by digest.
    Caller,
}

/// A promise: an edge of the graph, kept with its end.
struct Edge {
    parent: Parent,
    kind: Kind,
    size: Option<u64>,
    media_type: Box<str>,
    platform: Option<Box<str>>,
}

/// An object of the repository, asked for once however many promise it.
struct Node {
    digest: Digest,
    endpoint: Endpoint,
    nesting: u8,
    edges: Vec<Edge>,
    outcome: Option<Outcome>,
    length: Option<u64>,
}

/// A tag and what is known of it.
struct TagState {
    tag: Tag,
    /// `Ok` once it is resolved, `Err` if that came to something else than a digest.
    resolved: Option<Result<Digest, Outcome>>,
}

/// The graph of one repository.
pub(super) struct Walk {
    pub(super) repository: Repository,
    mode: Mode,
    tags: Vec<TagState>,
    next_tag: TagId,
    nodes: Vec<Node>,
    by_key: HashMap<(Endpoint, Digest), NodeId>,
    to_visit: Vec<NodeId>,
    /// Requests of this walk that are under way.
    pub(super) under_way: usize,
    /// Why the walk is not whole, apart from its nodes and tags.
    obstacles: Vec<Obstacle>,
    pub(super) tally: Tally,
}

/// What a walk adds to the sweep's counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) tags_listed: u64,
    pub(super) tags_checked: u64,
    pub(super) indexes: u64,
    pub(super) manifests: u64,
    pub(super) blobs: u64,
    pub(super) absent: u64,
    pub(super) skipped: BTreeMap<Exemption, u64>,
}

impl Tally {
    pub(super) fn skip(&mut self, exemption: Exemption, count: u64) {
        if count > 0 {
            *self.skipped.entry(exemption).or_default() += count;
        }
    }
}

/// The next thing to ask of a repository.
pub(super) enum Step {
    Resolve(TagId, Tag),
    Manifest(NodeId, Digest),
    Blob(NodeId, Digest, Option<u64>),
}

/// A finding that one look suggests, and what is needed for the second.
#[derive(Clone)]
pub(super) struct Suspicion {
    pub(super) finding: Finding,
    /// Where the object is asked for; `None` for a tag that leads nowhere.
    pub(super) endpoint: Option<Endpoint>,
    /// The digest that each of the finding's tags pointed to, in the order of the tags.
    pub(super) pointed_to: Vec<Option<Digest>>,
    /// Whether the caller named the object, or one above it, by digest: then no tag must hold.
    pub(super) is_named: bool,
}

/// A walk that has ended.
pub(super) struct Walked {
    pub(super) repository: Repository,
    pub(super) suspicions: Vec<Suspicion>,
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) tally: Tally,
}

impl Walk {
    pub(super) fn new(repository: Repository, mode: Mode) -> Self {
        Self {
            repository,
            mode,
            tags: Vec::new(),
            next_tag: 0,
            nodes: Vec::new(),
            by_key: HashMap::new(),
            to_visit: Vec::new(),
            under_way: 0,
            obstacles: Vec::new(),
            tally: Tally::default(),
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
    pub(super) fn obstruct(&mut self, obstacle: Obstacle) {
        self.obstacles.push(obstacle);
    }

    /// What to ask next, children before further tags so that little is held open. `None` while
    /// everything known is asked.
    pub(super) fn next(&mut self) -> Option<Step> {
        if let Some(id) = self.to_visit.pop() {
            let node = &self.nodes[id as usize];
            let digest = node.digest.clone();
            return Some(match node.endpoint {
                Endpoint::Manifests => Step::Manifest(id, digest),
                Endpoint::Blobs => {
                    Step::Blob(id, digest, node.edges.iter().find_map(|edge| edge.size))
                }
            });
        }
        let state = self.tags.get(self.next_tag as usize)?;
        self.next_tag += 1;
        Some(Step::Resolve(self.next_tag - 1, state.tag.clone()))
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
            None => {}
        }
        self.node_seen(id, judged);
        if let Some(document) = document {
            self.expand(id, document);
        }
    }

    /// Notes what a blob turned out to be.
    pub(super) fn blob_seen(&mut self, id: NodeId, judged: Judged) {
        if !matches!(judged.outcome, Outcome::Unverified(_)) {
            self.tally.blobs += 1;
        }
        self.node_seen(id, judged);
        let node = &mut self.nodes[id as usize];
        // Nobody will ask who promised what is there, and there are many of these.
        let is_whole = |edge: &Edge| judge::size(edge.size, node.length).is_none();
        if node.outcome == Some(Outcome::Intact) && node.edges.iter().all(is_whole) {
            node.edges = Vec::new();
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
            self.obstacles.push(Obstacle::new(
                ObstacleReason::TooLarge,
                format!(
                    "indexes are nested more than {DEEPEST_NESTING} deep under {}",
                    self.nodes[id as usize].digest
                ),
            ));
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
        if endpoint == Endpoint::Blobs && self.mode == Mode::PullThrough {
            self.tally.skip(Exemption::PullThrough, 1);
            return;
        }
        let inline = entry
            .data
            .as_deref()
            .and_then(|data| judge::inline(&entry.digest, data));
        match inline {
            Some(Outcome::Skipped(exemption)) if endpoint == Endpoint::Blobs => {
                self.tally.skip(exemption, 1);
            }
            Some(outcome @ Outcome::Broken(_)) => {
                let id = self.promise(endpoint, entry.digest, nesting, edge);
                if self.came_along(id) {
                    self.nodes[id as usize].outcome = Some(outcome);
                }
            }
            _ => {
                self.promise(endpoint, entry.digest, nesting, edge);
            }
        }
    }

    /// Adds a promise. The object is put on the list of what is to be asked unless it is known.
    fn promise(&mut self, endpoint: Endpoint, digest: Digest, nesting: u8, edge: Edge) -> NodeId {
        if let Some(&id) = self.by_key.get(&(endpoint, digest.clone())) {
            let node = &mut self.nodes[id as usize];
            let is_settled = endpoint == Endpoint::Blobs
                && node.outcome == Some(Outcome::Intact)
                && judge::size(edge.size, node.length).is_none();
            if !is_settled {
                node.edges.push(edge);
            }
            return id;
        }
        let id = NodeId::try_from(self.nodes.len()).expect("fewer objects than memory could hold");
        self.by_key.insert((endpoint, digest.clone()), id);
        self.nodes.push(Node {
            digest,
            endpoint,
            nesting,
            edges: vec![edge],
            outcome: None,
            length: None,
        });
        self.to_visit.push(id);
        id
    }
}

/// Where a child of an index is asked for. Build caches (BuildKit's) are indexes of layers, which are
/// blobs, whatever the specification says; a registry has no manifest for them.
fn child_endpoint(child: &Descriptor) -> Endpoint {
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

/// What leads to an object: found by going up the graph.
#[derive(Default)]
struct Trail {
    tags: BTreeSet<TagId>,
    platforms: BTreeSet<Box<str>>,
    is_named: bool,
}

impl Walk {
    /// Ends the walk. `cut_short` says why it ended with things left to ask.
    pub(super) fn finish(mut self, depth: Depth, cut_short: Option<&Obstacle>) -> Walked {
        if let Some(obstacle) = cut_short {
            for node in self.nodes.iter_mut().filter(|node| node.outcome.is_none()) {
                node.outcome = Some(Outcome::Unverified(obstacle.clone()));
            }
            for state in self
                .tags
                .iter_mut()
                .filter(|state| state.resolved.is_none())
            {
                state.resolved = Some(Err(Outcome::Unverified(obstacle.clone())));
            }
        }
        let mut suspicions = self.dangling_tags(depth);
        let mut unverified_tags = BTreeSet::new();
        for (id, state) in (0..).zip(&self.tags) {
            if let Some(Err(Outcome::Unverified(obstacle))) = &state.resolved {
                self.obstacles.push(obstacle.clone());
                unverified_tags.insert(id);
            }
        }
        let mut unverified_nodes = Vec::new();
        for (id, node) in (0..).zip(&self.nodes) {
            match &node.outcome {
                Some(Outcome::Unverified(obstacle)) => {
                    self.obstacles.push(obstacle.clone());
                    unverified_nodes.push(id);
                }
                Some(Outcome::Broken(defect)) if self.is_allowed_absence(node, defect) => {
                    self.tally.absent += 1;
                }
                Some(Outcome::Broken(defect)) => {
                    suspicions.push(self.suspicion(id, defect, |_| true, depth));
                }
                _ => suspicions.extend(self.wrong_size(id, depth)),
            }
        }
        unverified_tags.append(&mut self.trail(unverified_nodes, |_| true).tags);
        self.tally.tags_checked = (self.tags.len() - unverified_tags.len()) as u64;
        Walked {
            repository: self.repository,
            suspicions,
            obstacles: self.obstacles,
            tally: self.tally,
        }
    }

    /// Sparse copies leave children out on purpose.
    fn is_allowed_absence(&self, node: &Node, defect: &Defect) -> bool {
        self.mode != Mode::Private
            && defect.reason == crate::model::Reason::NotFound
            && node.edges.iter().all(|edge| edge.kind == Kind::Child)
    }

    fn dangling_tags(&self, depth: Depth) -> Vec<Suspicion> {
        let broken = self.tags.iter().filter_map(|state| match &state.resolved {
            Some(Err(Outcome::Broken(defect))) => Some((state, defect)),
            _ => None,
        });
        broken
            .map(|(state, defect)| Suspicion {
                finding: Finding {
                    repository: self.repository.clone(),
                    kind: Kind::Tag,
                    digest: None,
                    media_type: None,
                    size: None,
                    tags: vec![state.tag.clone()],
                    platforms: Vec::new(),
                    parent: None,
                    defect: defect.clone(),
                    depth,
                    confirmations: 0,
                },
                endpoint: None,
                pointed_to: vec![None],
                is_named: false,
            })
            .collect()
    }

    /// Two promises of different sizes for one digest: the object is whole, and one of them is wrong.
    fn wrong_size(&self, id: NodeId, depth: Depth) -> Option<Suspicion> {
        let node = &self.nodes[id as usize];
        let is_wrong = |edge: &Edge| judge::size(edge.size, node.length).is_some();
        let defect = node
            .edges
            .iter()
            .find_map(|edge| judge::size(edge.size, node.length))?;
        Some(self.suspicion(id, &defect, is_wrong, depth))
    }

    /// A suspicion against a node, on account of those of its promises that `is_broken` picks.
    fn suspicion(
        &self,
        id: NodeId,
        defect: &Defect,
        is_broken: impl Fn(&Edge) -> bool,
        depth: Depth,
    ) -> Suspicion {
        let node = &self.nodes[id as usize];
        // A tag's promise is the most direct one, then the caller's, then a parent's.
        let rank = |edge: &&Edge| match edge.parent {
            Parent::Tag(_) => 0,
            Parent::Caller => 1,
            Parent::Node(_) => 2,
        };
        let edge = node
            .edges
            .iter()
            .filter(|edge| is_broken(edge))
            .min_by_key(rank);
        let trail = self.trail(vec![id], is_broken);
        let resolved = |id: &TagId| {
            let state = &self.tags[*id as usize];
            let digest = state
                .resolved
                .as_ref()
                .and_then(|resolved| resolved.as_ref().ok())
                .cloned();
            (state.tag.clone(), digest)
        };
        let (tags, pointed_to) = trail.tags.iter().map(resolved).unzip();
        let parent = edge.and_then(|edge| match edge.parent {
            Parent::Node(parent) => Some(self.nodes[parent as usize].digest.clone()),
            _ => None,
        });
        let media_type = edge.map(|edge| crate::model::shorten(&edge.media_type, 128));
        Suspicion {
            finding: Finding {
                repository: self.repository.clone(),
                kind: edge.map_or(Kind::Manifest, |edge| edge.kind),
                digest: Some(node.digest.clone()),
                media_type: media_type.filter(|media_type| !media_type.is_empty()),
                size: edge.and_then(|edge| edge.size),
                tags,
                platforms: trail.platforms.into_iter().map(String::from).collect(),
                parent,
                defect: defect.clone(),
                depth,
                confirmations: 0,
            },
            endpoint: Some(node.endpoint),
            pointed_to,
            is_named: trail.is_named,
        }
    }

    /// Goes up from `nodes` to everything that leads to them, at first over the promises that
    /// `is_broken` picks.
    fn trail(&self, nodes: Vec<NodeId>, is_broken: impl Fn(&Edge) -> bool) -> Trail {
        let mut trail = Trail::default();
        let mut seen: BTreeSet<NodeId> = nodes.iter().copied().collect();
        let mut above: Vec<(NodeId, bool)> = nodes.into_iter().map(|id| (id, true)).collect();
        while let Some((id, is_first)) = above.pop() {
            for edge in &self.nodes[id as usize].edges {
                if is_first && !is_broken(edge) {
                    continue;
                }
                trail.platforms.extend(edge.platform.clone());
                match edge.parent {
                    Parent::Tag(tag) => _ = trail.tags.insert(tag),
                    Parent::Caller => trail.is_named = true,
                    Parent::Node(parent) if seen.insert(parent) => above.push((parent, false)),
                    Parent::Node(_) => {}
                }
            }
        }
        trail
    }
}
