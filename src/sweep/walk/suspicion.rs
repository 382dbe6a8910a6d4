//! Suspicions: from a broken object up the graph to every tag that it breaks.

use std::collections::{BTreeSet, HashMap};

use super::configs::Contradictions;
use super::graph::{Edge, NodeId, Parent, TagId};
use super::history::Object;
use super::look::{Look, Suspicion};
use super::{TagState, Walk};
use crate::oci::{Digest, Printable, Tag};
use crate::registry::Depth;
use crate::report::{Bracket, Defect, Finding, Kind, Nearby, Reason};
use crate::sweep::memory_limits::NamesLimit;
use crate::sweep::nearby;

/// What leads to an object: found by going up the graph.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) tags: BTreeSet<TagId>,
    /// Those of images that it is attached to.
    pub(super) attached_to: BTreeSet<TagId>,
    platforms: BTreeSet<Box<str>>,
    /// Manifests that the caller named.
    pub(super) named: BTreeSet<NodeId>,
    /// Whether there is more, and no room for it.
    is_cut: bool,
}

impl Walk {
    /// Notes with each suspicion the nearest tag under which everything is as promised. Only the first look
    /// sees all tags.
    pub(super) fn add_siblings(&self, look: &mut Look) {
        if look.suspicions.is_empty() {
            return;
        }
        if self.history.looks > 1 {
            for Suspicion {
                object, finding, ..
            } in &mut look.suspicions
            {
                let past = self.history.past(object);
                finding.nearby.sibling = past.and_then(|past| past.sibling.clone());
            }
            return;
        }
        let affected = look.suspicions.iter();
        let affected = affected.flat_map(|suspicion| &suspicion.finding.tags);
        let affected: BTreeSet<Tag> = affected.cloned().collect();
        let intact = |(id, state): (TagId, &TagState)| {
            let digest = self.pointed_to(state)?;
            let is_intact = !look.unverified_tags.contains(&id) && !affected.contains(&state.tag);
            is_intact.then(|| (state.tag.clone(), digest.clone()))
        };
        let intact: Vec<_> = (0..).zip(&self.tags).filter_map(intact).collect();
        let platforms = self.platforms_of_tags();
        for Suspicion { finding, .. } in &mut look.suspicions {
            // What a lost manifest held is not known, so that nothing is known to be like it.
            if finding.is_root_lost() {
                continue;
            }
            let is_alike = |(tag, _): &&(Tag, Digest)| {
                let mut tags = finding.tags.iter();
                tags.all(|own| platforms.get(own) == platforms.get(tag))
            };
            let alike = intact.iter().filter(is_alike);
            finding.nearby.sibling = nearby::older(&finding.tags, alike).cloned();
        }
    }

    /// The platforms of the index that each tag leads to. An image alone has them in its config, which is not kept.
    fn platforms_of_tags(&self) -> HashMap<&Tag, BTreeSet<&str>> {
        let mut tags_of = HashMap::<NodeId, Vec<&Tag>>::new();
        for (root, node) in (0..).zip(&self.nodes) {
            for edge in &node.edges {
                if let Parent::Tag(tag) = edge.parent {
                    let tag = &self.tags[tag as usize].tag;
                    tags_of.entry(root).or_default().push(tag);
                }
            }
        }
        let mut platforms = HashMap::<&Tag, BTreeSet<&str>>::new();
        for edge in self.nodes.iter().flat_map(|node| &node.edges) {
            // Attestations are of no platform, and come and go.
            if let (Parent::Node(root), Kind::Child, Some(platform)) =
                (edge.parent, edge.kind, edge.platform())
                && !platform.starts_with("unknown")
            {
                for tag in tags_of.get(&root).into_iter().flatten() {
                    platforms.entry(tag).or_default().insert(platform);
                }
            }
        }
        platforms
    }

    pub(super) fn dangling_tag(&self, state: &TagState, defect: Defect, depth: Depth) -> Finding {
        Finding {
            repository: self.repository.clone(),
            kind: Kind::Tag,
            digest: None,
            media_type: None,
            size: None,
            tags: vec![state.tag.clone()],
            attached_to: Vec::new(),
            platforms: Vec::new(),
            parent: None,
            defect,
            depth,
            confirmations: 0,
            nearby: Nearby::default(),
            bracket: Bracket::default(),
        }
    }

    /// An object that is whole in itself, and that something promises with another size or type, or that its own config
    /// contradicts.
    pub(super) fn wrong_promise(
        &self,
        id: NodeId,
        contradictions: &Contradictions,
        depth: Depth,
        room: &mut NamesLimit,
    ) -> Option<Suspicion> {
        let node = &self.nodes[id as usize];
        let wrong = |edge: &Edge| {
            let of_platform = || contradictions.of(id, edge).cloned();
            let of_layer = || self.other_layer(id, edge);
            node.contradiction(edge)
                .or_else(of_platform)
                .or_else(of_layer)
        };
        let defect = node.edges.iter().find_map(wrong)?;
        // Only a look at its config shows that.
        let is_contradicted = defect.reason == Reason::Contradiction;
        let depth = depth.max(if is_contradicted { Depth::Tail } else { depth });
        Some(self.suspicion(id, &defect, |edge| wrong(edge).is_some(), depth, room))
    }

    /// A suspicion against a node, on account of those of its promises that `is_broken` picks.
    pub(super) fn suspicion(
        &self,
        id: NodeId,
        defect: &Defect,
        is_broken: impl Fn(&Edge) -> bool,
        depth: Depth,
        room: &mut NamesLimit,
    ) -> Suspicion {
        let node = &self.nodes[id as usize];
        let broken = node.edges.iter().filter(|edge| is_broken(edge));
        let edge = broken.min_by_key(|edge| edge.rank());
        let trail = self.trail(vec![id], is_broken, room.most());
        let named = trail.tags.len() + trail.attached_to.len() + trail.platforms.len();
        room.take(named, trail.is_cut);
        let states = trail.tags.iter().map(|id| &self.tags[*id as usize]);
        let pointed_to = states.filter_map(|state| self.pointed_to(state));
        let pointed_to: BTreeSet<_> = pointed_to.cloned().collect();
        let object = Object::Content(node.endpoint, node.digest.clone());
        let parent = edge.and_then(|edge| match edge.parent {
            Parent::Node(parent) => Some(self.nodes[parent as usize].digest.clone()),
            _ => None,
        });
        let media_type = edge.map(|edge| Printable::cut(edge.media_type(), 128));
        Suspicion {
            is_page_for_unlisted: false,
            agrees: self.was_broken_last(&object),
            object,
            finding: Finding {
                repository: self.repository.clone(),
                kind: edge.map_or(Kind::Manifest, |edge| edge.kind),
                digest: Some(node.digest.clone()),
                media_type: media_type.filter(|media_type| !media_type.is_empty()),
                size: edge.and_then(Edge::size),
                tags: self.names(&trail.tags),
                attached_to: self.names(&trail.attached_to),
                platforms: trail.platforms.into_iter().map(Printable::from).collect(),
                parent,
                defect: defect.clone(),
                depth: node.depth.unwrap_or(depth),
                confirmations: 0,
                nearby: Nearby {
                    pointed_to: pointed_to.into_iter().collect(),
                    ..Nearby::default()
                },
                bracket: Bracket::default(),
            },
        }
    }

    fn names(&self, tags: &BTreeSet<TagId>) -> Vec<Tag> {
        let tags = tags.iter().map(|id| self.tags[*id as usize].tag.clone());
        let tags: BTreeSet<_> = tags.collect();
        tags.into_iter().collect()
    }

    /// Goes up from `nodes` to everything that leads to them, at first over the promises that
    /// `is_broken` picks, and no further than to `most` tags.
    pub(super) fn trail(
        &self,
        nodes: Vec<NodeId>,
        is_broken: impl Fn(&Edge) -> bool,
        most: usize,
    ) -> Trail {
        let mut trail = Trail::default();
        // Over one of what is attached, it leads to images that can be pulled all the same.
        let mut seen: BTreeSet<(NodeId, bool)> = nodes.iter().map(|id| (*id, false)).collect();
        let mut above: Vec<_> = nodes.into_iter().map(|id| (id, false, true)).collect();
        while let Some((id, is_attached, is_first)) = above.pop() {
            for edge in &self.nodes[id as usize].edges {
                if is_first && !is_broken(edge) {
                    continue;
                }
                let is_attached = is_attached || edge.kind == Kind::Referrer;
                let tags = trail.tags.len().max(trail.attached_to.len());
                if tags.max(trail.platforms.len()) >= most {
                    trail.is_cut = true;
                    return trail;
                }
                let platform = edge.platform().filter(|_| !is_attached);
                trail.platforms.extend(platform.map(Box::from));
                match edge.parent {
                    Parent::Tag(tag) if is_attached => _ = trail.attached_to.insert(tag),
                    Parent::Tag(tag) => _ = trail.tags.insert(tag),
                    Parent::Caller => _ = trail.named.insert(id),
                    Parent::Node(parent) if seen.insert((parent, is_attached)) => {
                        above.push((parent, is_attached, false));
                    }
                    Parent::Node(_) => {}
                }
            }
        }
        trail
    }
}
