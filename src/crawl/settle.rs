//! The end of a walk: from what was seen to what it means, and from a broken object up the graph to
//! every tag that it breaks.

use std::collections::BTreeSet;

use super::nearby;
use super::obstacles::Obstacles;
use super::room::Room;
use super::tally::Tally;
use super::walk::{Edge, Endpoint, Node, NodeId, Parent, TagId, TagState, Walk};
use crate::model::{
    Bracket, Defect, Depth, Digest, Exposed, Finding, Image, Kind, Mode, Nearby, Obstacle,
    ObstacleReason, Outcome, Reason, Repository, Tag,
};

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
    /// The images that the caller named.
    pub(super) images: Vec<Image>,
    /// What garbage collection would break; `None` if nothing, or if that is not known.
    pub(super) exposed: Option<Exposed>,
    pub(super) obstacles: Obstacles,
    pub(super) tally: Tally,
}

/// What an outcome comes to.
pub(super) enum InMode {
    Settled,
    Broken(Defect),
    Absent(Defect),
    Unverified(Obstacle),
}

impl InMode {
    /// What was not asked for before the sweep was cut short.
    pub(super) fn left_over(cut_short: Option<&Obstacle>) -> Self {
        let lost = || {
            Obstacle::new(
                ObstacleReason::Protocol,
                "it was lost by a fault of this program",
            )
        };
        Self::Unverified(cut_short.cloned().unwrap_or_else(lost))
    }
}

/// The indexes and manifests that promise a node.
fn parents(node: &Node) -> impl Iterator<Item = NodeId> {
    node.edges.iter().filter_map(|edge| match edge.parent {
        Parent::Node(parent) => Some(parent),
        Parent::Tag(_) | Parent::Caller => None,
    })
}

/// What leads to an object: found by going up the graph.
#[derive(Default)]
struct Trail {
    tags: BTreeSet<TagId>,
    platforms: BTreeSet<Box<str>>,
    is_named: bool,
    /// Whether there is more, and no room for it.
    is_cut: bool,
}

impl Walk {
    /// Ends the walk. `cut_short` says why it ended with things left to ask.
    pub(super) fn finish(
        mut self,
        depth: Depth,
        cut_short: Option<&Obstacle>,
        room: &mut Room,
    ) -> Walked {
        room.begin();
        let mut suspicions = Vec::new();
        self.note_unlisted(cut_short);
        let mut unverified = self.settle_tags(depth, cut_short, &mut suspicions);
        let sparse = self.indexes_with_a_child();
        let mut unverified_nodes = Vec::new();
        for (id, node) in (0..).zip(&self.nodes) {
            let in_mode = match &node.outcome {
                Some(outcome) => self.in_this_mode(outcome, node.kind()),
                None => InMode::left_over(cut_short),
            };
            match in_mode {
                InMode::Broken(defect) => {
                    suspicions.push(self.suspicion(id, &defect, |_| true, depth, room));
                }
                InMode::Absent(defect)
                    if self.mode == Mode::Mirror
                        && !parents(node).all(|parent| sparse.contains(&parent)) =>
                {
                    suspicions.push(self.suspicion(id, &defect, |_| true, depth, room));
                }
                InMode::Absent(_) => self.tally.absent += 1,
                InMode::Unverified(obstacle) => {
                    self.obstacles.push(&obstacle);
                    unverified_nodes.push(id);
                }
                InMode::Settled => suspicions.extend(self.wrong_promise(id, depth, room)),
            }
        }
        let above = self.trail(unverified_nodes, |_| true, usize::MAX);
        unverified.extend(above.tags);
        self.tally.tags_checked = (self.tags.len() - unverified.len()) as u64;
        match room.obstacle() {
            // Which tags are intact is not known then.
            Some(obstacle) => self.obstacles.push(&obstacle),
            None => self.add_siblings(&mut suspicions, &unverified),
        }
        Walked {
            images: self.images(cut_short),
            exposed: self.exposed(),
            repository: self.repository,
            suspicions,
            obstacles: self.obstacles,
            tally: self.tally,
        }
    }

    /// Tags that lead nowhere are suspicions; gives those of which nothing is known.
    fn settle_tags(
        &mut self,
        depth: Depth,
        cut_short: Option<&Obstacle>,
        suspicions: &mut Vec<Suspicion>,
    ) -> BTreeSet<TagId> {
        let mut unverified = BTreeSet::new();
        for (id, state) in (0..).zip(&self.tags) {
            let in_mode = match &state.resolved {
                Some(Err(outcome)) => self.in_this_mode(outcome, Kind::Tag),
                Some(Ok(_)) => InMode::Settled,
                None => InMode::left_over(cut_short),
            };
            match in_mode {
                InMode::Broken(defect) => suspicions.push(self.dangling_tag(state, defect, depth)),
                InMode::Unverified(obstacle) => {
                    self.obstacles.push(&obstacle);
                    unverified.insert(id);
                }
                InMode::Absent(_) | InMode::Settled => {}
            }
        }
        unverified
    }

    /// Nothing to look at in a walk that has not ended: its list was still under way.
    fn note_unlisted(&mut self, cut_short: Option<&Obstacle>) {
        if let Some(obstacle) = cut_short
            && self.tags.is_empty()
            && self.nodes.is_empty()
        {
            self.obstacles.push(obstacle);
        }
    }

    /// What an outcome means in this mode, for an object of which this kind was promised.
    pub(super) fn in_this_mode(&self, outcome: &Outcome, kind: Kind) -> InMode {
        let defect = match outcome {
            Outcome::Broken(defect) => defect,
            Outcome::Unverified(obstacle) => return InMode::Unverified(obstacle.clone()),
            Outcome::Intact | Outcome::Skipped(_) => return InMode::Settled,
        };
        match (self.mode, kind, defect.reason) {
            // Sparse copies leave children out on purpose.
            (Mode::Mirror | Mode::PullThrough, Kind::Child, Reason::NotFound) => {
                InMode::Absent(defect.clone())
            }
            // A cache says 404 and 500 also when its upstream refuses it or cannot be reached.
            (Mode::PullThrough, _, Reason::NotFound | Reason::Unreadable) => {
                let evidence = &defect.evidence;
                InMode::Unverified(Obstacle::new(
                    ObstacleReason::RegistryError,
                    format!(
                        "{} answers {}, which a cache also does when its upstream refuses it",
                        evidence.request, evidence.observed
                    ),
                ))
            }
            _ => InMode::Broken(defect.clone()),
        }
    }

    /// The indexes that have a child: only of these may others be left out on purpose.
    fn indexes_with_a_child(&self) -> BTreeSet<NodeId> {
        let is_gone = |node: &&Node| matches!(&node.outcome, Some(Outcome::Broken(defect)) if defect.reason == Reason::NotFound);
        let there = self.nodes.iter().filter(|node| !is_gone(node));
        there.flat_map(parents).collect()
    }

    /// Notes with each suspicion the nearest tag under which everything is as promised.
    fn add_siblings(&self, suspicions: &mut [Suspicion], unverified: &BTreeSet<TagId>) {
        if suspicions.is_empty() {
            return;
        }
        let affected = suspicions.iter().map(|suspicion| &suspicion.finding.tags);
        let affected: BTreeSet<Tag> = affected.flatten().cloned().collect();
        let intact = |(id, state): (TagId, &TagState)| {
            let digest = state.resolved.as_ref()?.as_ref().ok()?;
            let is_intact = !unverified.contains(&id) && !affected.contains(&state.tag);
            is_intact.then(|| (state.tag.clone(), digest.clone()))
        };
        let intact: Vec<_> = (0..).zip(&self.tags).filter_map(intact).collect();
        for Suspicion { finding, .. } in suspicions {
            finding.nearby.sibling = nearby::nearest(&finding.tags, &intact).cloned();
        }
    }

    /// The manifests that are there, that an index names and that no tag does.
    fn exposed(&self) -> Option<Exposed> {
        let is_known = |state: &TagState| match &state.resolved {
            Some(Err(Outcome::Broken(defect))) => defect.reason == Reason::NotFound,
            resolved => matches!(resolved, Some(Ok(_))),
        };
        if !self.has_all_tags || !self.tags.iter().all(is_known) {
            return None;
        }
        let is_exposed = |node: &&Node| {
            let is_there = matches!(node.outcome, Some(Outcome::Intact | Outcome::Skipped(_)));
            let is_manifest = node.endpoint == Endpoint::Manifests;
            let by_index = |edge: &Edge| matches!(edge.parent, Parent::Node(_));
            is_manifest && is_there && node.edges.iter().all(by_index)
        };
        let nodes = self.nodes.iter().filter(is_exposed);
        let mut digests: Vec<_> = nodes.map(|node| node.digest.clone()).collect();
        digests.sort_unstable();
        let manifests = digests.len() as u64;
        digests.truncate(Exposed::NAMED);
        digests.shrink_to_fit();
        (manifests > 0).then(|| Exposed {
            repository: self.repository.clone(),
            manifests,
            digests,
        })
    }

    fn dangling_tag(&self, state: &TagState, defect: Defect, depth: Depth) -> Suspicion {
        Suspicion {
            finding: Finding {
                repository: self.repository.clone(),
                kind: Kind::Tag,
                digest: None,
                media_type: None,
                size: None,
                tags: vec![state.tag.clone()],
                platforms: Vec::new(),
                parent: None,
                defect,
                depth,
                confirmations: 0,
                nearby: Nearby::default(),
                bracket: Bracket::default(),
            },
            endpoint: None,
            pointed_to: vec![None],
            is_named: false,
        }
    }

    /// An object that is whole in itself, and that something promises with another size or type.
    fn wrong_promise(&self, id: NodeId, depth: Depth, room: &mut Room) -> Option<Suspicion> {
        let node = &self.nodes[id as usize];
        let is_wrong = |edge: &Edge| node.contradiction(edge).is_some();
        let defect = node
            .edges
            .iter()
            .find_map(|edge| node.contradiction(edge))?;
        Some(self.suspicion(id, &defect, is_wrong, depth, room))
    }

    /// A suspicion against a node, on account of those of its promises that `is_broken` picks.
    fn suspicion(
        &self,
        id: NodeId,
        defect: &Defect,
        is_broken: impl Fn(&Edge) -> bool,
        depth: Depth,
        room: &mut Room,
    ) -> Suspicion {
        let node = &self.nodes[id as usize];
        let broken = node.edges.iter().filter(|edge| is_broken(edge));
        let edge = broken.min_by_key(|edge| edge.rank());
        let trail = self.trail(vec![id], is_broken, room.most());
        room.take(trail.tags.len() + trail.platforms.len(), trail.is_cut);
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
                depth: node.depth.unwrap_or(depth),
                confirmations: 0,
                nearby: Nearby::default(),
                bracket: Bracket::default(),
            },
            endpoint: Some(node.endpoint),
            pointed_to,
            is_named: trail.is_named,
        }
    }

    /// Goes up from `nodes` to everything that leads to them, at first over the promises that
    /// `is_broken` picks, and no further than to `most` tags.
    fn trail(&self, nodes: Vec<NodeId>, is_broken: impl Fn(&Edge) -> bool, most: usize) -> Trail {
        let mut trail = Trail::default();
        let mut seen: BTreeSet<NodeId> = nodes.iter().copied().collect();
        let mut above: Vec<(NodeId, bool)> = nodes.into_iter().map(|id| (id, true)).collect();
        while let Some((id, is_first)) = above.pop() {
            for edge in &self.nodes[id as usize].edges {
                if is_first && !is_broken(edge) {
                    continue;
                }
                if trail.tags.len().max(trail.platforms.len()) >= most {
                    trail.is_cut = true;
                    return trail;
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
