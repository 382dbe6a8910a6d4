//! One repository's graph of promises: what was asked, what is still to ask, and who promised it.
//!
//! It lives while its repository is walked; `settle` says what it comes to in the end.

mod attached;
mod attachments;
mod blobs;
mod configs;
mod expand;
mod graph;
mod held;
mod history;
mod images;
mod lists;
mod look;
mod settle;
mod suspicion;
mod tag_list;
mod turns;
mod unpacking;

use std::collections::BTreeMap;

pub(super) use graph::{Endpoint, Keeper, NodeId, Step, TagId};
pub(super) use history::{History, Object, Past};
pub(super) use images::settle_image;
pub(super) use lists::take_tags;
pub(super) use look::{Suspicion, Walked};
pub(super) use settle::page;

use attachments::Attachments;
use graph::{Edge, Node, NodeIndex, Parent};
use held::Layers;
use tag_list::TagList;

use super::counts::{Tally, UnverifiedCounts};
use super::form::Form;
use super::judge::{self, Judged};
use super::memory_limits::PromiseLimit;
use super::policy::{Objects, Policy};
use super::scope::Source;
use crate::oci::{Digest, Document, ImageConfig, MediaKind, Repository, Tag};
use crate::registry::{Depth, Unverified};
use crate::report::{Kind, Mode, Outcome, PlatformMismatch};

/// A tag and what is known of it.
struct TagState {
    tag: Tag,
    /// Where it points to, once it is resolved; `Err` if that came to something else than a digest.
    resolved: Option<Result<NodeId, Box<Outcome>>>,
}

/// The graph of one repository.
pub(super) struct Walk {
    repository: Repository,
    mode: Mode,
    objects: Objects,
    platform_mismatch: PlatformMismatch,
    /// How closely its blobs are looked at, other than those that are known.
    depth: Depth,
    layers: Layers,
    attachments: Attachments,
    /// What was seen of it before.
    history: History,
    /// Its list of tags, as far as that is read.
    list: TagList,
    tags: Vec<TagState>,
    /// Whether these are all the tags that the repository has.
    has_all_tags: bool,
    next_tag: TagId,
    /// The sweep's turn, which picks the tag that is asked for by GET, too.
    turn: u64,
    /// That tag.
    pulled: Option<TagId>,
    /// Whether no tag is to be asked for by GET in the first look.
    is_pulled_lately: bool,
    /// What documents promised so far.
    promises: PromiseLimit,
    nodes: Vec<Node>,
    known: NodeIndex,
    /// Of the nodes, those that nobody needs any more.
    free: Vec<NodeId>,
    /// Whether a blob was there of which no node tells any more.
    is_any_blob_there: bool,
    to_visit: Vec<NodeId>,
    /// Requests of this walk that are under way.
    under_way: usize,
    /// Why the walk is not whole, apart from its nodes and tags.
    unverified: UnverifiedCounts,
    tally: Tally,
    /// The manifests as they were read, where they are to be kept.
    documents: Option<BTreeMap<NodeId, Document>>,
}

impl Walk {
    pub(super) fn new(repository: Repository, policy: &Policy, history: History) -> Self {
        let is_named = matches!(policy.scope.source, Source::Images(_));
        Self {
            mode: policy.mode,
            objects: policy.objects,
            platform_mismatch: policy.platform_mismatch,
            depth: policy.depth_of_blobs(),
            attachments: Attachments::new(policy, &repository),
            layers: Layers::new(policy),
            repository,
            history,
            list: TagList::default(),
            tags: Vec::new(),
            has_all_tags: false,
            next_tag: 0,
            turn: policy.turn,
            pulled: None,
            is_pulled_lately: false,
            promises: PromiseLimit::default(),
            nodes: Vec::new(),
            known: NodeIndex::default(),
            free: Vec::new(),
            is_any_blob_there: false,
            to_visit: Vec::new(),
            under_way: 0,
            unverified: UnverifiedCounts::default(),
            tally: Tally::default(),
            documents: is_named.then(BTreeMap::new),
        }
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn is_unlisted(&self) -> bool {
        self.list.is_unlisted
    }

    /// Adds a tag that the caller named.
    pub(super) fn add_named_tag(&mut self, tag: Tag) {
        self.tally.tags_listed += 1;
        self.add_tags([tag]);
    }

    /// Notes what GET of a tag says that its manifest is.
    pub(super) fn read_as(&mut self, id: NodeId, form: Form) {
        self.nodes[id as usize].form = Some(form);
    }

    /// Adds the tags to walk from.
    fn add_tags(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.tags.extend(tags.into_iter().map(|tag| TagState {
            tag,
            resolved: None,
        }));
    }

    /// Adds a manifest that the caller names by digest.
    pub(super) fn add_named(&mut self, digest: Digest) {
        let edge = Edge::from_outside(Parent::Caller, Kind::Manifest);
        self.promise(Endpoint::Manifests, digest, 0, edge);
    }

    /// Notes what kept a part of the repository from being seen at all.
    pub(super) fn obstruct(&mut self, why: &Unverified) {
        self.unverified.push(why);
    }

    /// What to ask next, children before further tags so that little is held open. `None` while
    /// everything known is asked, or only blobs are left and they have to wait.
    pub(super) fn next(&mut self, blobs_may_go: bool, most: usize) -> Option<Step> {
        let step = (self.under_way < most).then(|| self.step(blobs_may_go))?;
        self.under_way += usize::from(step.is_some());
        step
    }

    /// Notes that a step was answered.
    pub(super) fn answered(&mut self) {
        self.under_way -= 1;
    }

    fn step(&mut self, blobs_may_go: bool) -> Option<Step> {
        if let Some(step) = self.list.ask.take() {
            return Some(step);
        }
        let may_go =
            |id: &NodeId| blobs_may_go || self.nodes[*id as usize].endpoint == Endpoint::Manifests;
        if let Some(position) = self.to_visit.iter().rposition(may_go) {
            let id = self.to_visit.remove(position);
            let node = &mut self.nodes[id as usize];
            node.asked = node.size().into();
            node.visits += 1;
            let digest = node.digest.clone();
            let may_be_a_blob = self.mode != Mode::PullThrough && node.is_of_unknown_type();
            return Some(match node.endpoint {
                Endpoint::Manifests if may_be_a_blob => Step::Manifest(id, digest, Keeper::Either),
                Endpoint::Manifests => Step::Manifest(id, digest, Keeper::Manifests),
                Endpoint::Blobs => Step::Blob(id, digest, node.asked.get()),
            });
        }
        if self.list.is_awaited {
            return None;
        }
        let turn = self.next_tag;
        // Where GET says something else than HEAD of the first tag, the others are not asked for by HEAD.
        let is_to_tell = turn == 1 && self.under_way > 0 && self.documents.is_none();
        if turn as usize == self.tags.len()
            && let Some(step) = self.attachments.next()
        {
            return Some(step);
        }
        if turn as usize == self.tags.len() || is_to_tell && self.is_first_tag_awaited() {
            return None;
        }
        self.next_tag += 1;
        let (id, way) = self.in_turn(turn);
        Some(Step::Resolve(id, self.tags[id as usize].tag.clone(), way))
    }

    /// Whether there is nothing left to ask and nothing under way. What is attached is asked for last.
    pub(super) fn is_done(&mut self) -> bool {
        let has_all = self.list.ask.is_none() && self.next_tag as usize == self.tags.len();
        let is_done = self.under_way == 0 && self.to_visit.is_empty() && has_all;
        if is_done {
            self.plan_attached();
        }
        is_done && self.attachments.is_done()
    }

    /// Notes where a tag points to, the last place being the one that is reported. The manifest there is asked
    /// for unless it came along.
    pub(super) fn tag_seen(&mut self, id: TagId, seen: Result<Digest, Outcome>) -> Option<NodeId> {
        let resolved = seen.map_err(Box::new).map(|digest| {
            let edge = Edge::from_outside(Parent::Tag(id), Kind::Tag);
            self.promise(Endpoint::Manifests, digest, 0, edge)
        });
        let node = resolved.as_ref().ok().copied();
        self.tags[id as usize].resolved = Some(resolved);
        node
    }

    /// The digest that a tag points to, if it is known.
    fn pointed_to(&self, state: &TagState) -> Option<&Digest> {
        let id = state.resolved.as_ref()?.as_ref().ok()?;
        Some(&self.nodes[*id as usize].digest)
    }

    /// Takes a node off the list of what is to be asked, because its answer came along with another.
    /// Whether it was on it.
    pub(super) fn came_along(&mut self, id: NodeId) -> bool {
        let waiting = self.to_visit.iter().rposition(|waiting| *waiting == id);
        waiting
            .map(|position| self.to_visit.swap_remove(position))
            .is_some()
    }

    /// Notes that a manifest was pushed since the last sweep, before what it promises is taken up.
    pub(super) fn is_pushed(&mut self, id: NodeId) {
        self.nodes[id as usize].is_new = true;
    }

    /// Whether a blob may never have been looked at.
    pub(super) fn is_new(&self, id: NodeId) -> bool {
        self.nodes[id as usize].is_new
    }

    /// Notes what a manifest turned out to be, and what it promises in turn.
    /// `config` is what its config says, if this sweep has read that.
    pub(super) fn manifest_seen(
        &mut self,
        id: NodeId,
        judged: Judged,
        document: Option<Document>,
        config: Option<ImageConfig>,
    ) {
        let node = &self.nodes[id as usize];
        let was_counted = self
            .history
            .seen(Endpoint::Manifests, &node.digest)
            .is_some();
        let before = was_counted.then(|| self.tally.clone());
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
            self.note_image(id, &document, config);
            self.note_attached(id, &document);
            self.take(id, document);
        }
        if let Some(before) = before {
            self.tally = before;
        }
    }

    /// What was seen of a node before, if it was broken.
    pub(super) fn past(&self, id: NodeId) -> Option<&Past> {
        let node = &self.nodes[id as usize];
        self.history.past_of(node.endpoint, &node.digest)
    }

    fn node_seen(&mut self, id: NodeId, judged: Judged) {
        if let Some(skip_reason) = judged.skip_reason {
            self.tally.skip(skip_reason, 1);
        }
        let node = &mut self.nodes[id as usize];
        node.length = judged.length.into();
        if node.form.is_none() {
            node.form = judged.form;
        }
        node.set_outcome(Some(judged.outcome));
    }

    /// Adds a promise. The object is put on the list of what is to be asked unless it is known.
    pub(super) fn promise(
        &mut self,
        endpoint: Endpoint,
        digest: Digest,
        nesting: u8,
        edge: Edge,
    ) -> NodeId {
        let needs_look = self.needs_look(&digest, &edge);
        if let Some(id) = self.known.find(&self.nodes, endpoint, &digest) {
            let has_past = self.past(id).is_some();
            if needs_look && self.nodes[id as usize].is_intact() {
                self.nodes[id as usize].set_outcome(None);
                self.to_visit.push(id);
            }
            let node = &mut self.nodes[id as usize];
            let is_settled = endpoint == Endpoint::Blobs
                && !has_past
                && node.is_intact()
                && judge::size(edge.size(), node.length.get()).is_none();
            if !is_settled {
                node.edges.push(edge);
                self.look_again_if_misjudged(id);
            }
            return id;
        }
        // A blob that an earlier look saw intact is not read again.
        let seen = Some(endpoint).filter(|endpoint| *endpoint == Endpoint::Blobs);
        let seen = seen.filter(|_| !needs_look);
        let seen = seen.filter(|_| self.history.past_of(endpoint, &digest).is_none());
        let seen = seen.and_then(|endpoint| self.history.seen(endpoint, &digest));
        let of_new = |parent: Parent| match parent {
            Parent::Node(parent) => self.nodes[parent as usize].is_new,
            Parent::Tag(_) | Parent::Caller => false,
        };
        let is_new = of_new(edge.parent);
        let mut node = Node::new(digest, endpoint, nesting, edge);
        node.is_new = is_new;
        if let Some(length) = seen {
            node.set_outcome(Some(Outcome::Intact));
            node.length = length.into();
        }
        let id = self.add_node(node);
        self.known.add(&self.nodes, id);
        if seen.is_none() {
            self.to_visit.push(id);
        }
        id
    }

    /// Adds a node, in the place of one that nobody needs any more if there is one.
    fn add_node(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        let id = NodeId::try_from(self.nodes.len()).expect("fewer objects than memory could hold");
        self.nodes.push(node);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Reason;
    use crate::sweep::Scope;
    use crate::sweep::memory_limits::NamesLimit;

    fn blob(number: u32) -> Digest {
        Digest::sha256(&number.to_be_bytes())
    }

    /// Sees a tag, its manifest of these layers, and all that is to be asked for then, which is 7 bytes long.
    fn see(walk: &mut Walk, tag: &str, layers: &[(u32, u64)]) {
        let entry = |(number, size): &(u32, u64)| {
            format!(
                r#"{{"mediaType":"x","digest":"{}","size":{size}}}"#,
                blob(*number)
            )
        };
        let all: Vec<_> = layers.iter().map(entry).collect();
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            all[0],
            all[1..].join(",")
        );
        walk.add_named_tag(tag.parse().expect("a tag"));
        let id = TagId::try_from(walk.tags.len() - 1).expect("few");
        let node = walk.tag_seen(id, Ok(Digest::sha256(text.as_bytes())));
        let node = node.expect("a manifest");
        walk.came_along(node);
        let document = Document::parse(text.as_bytes(), None).expect("a manifest");
        walk.manifest_seen(node, Judged::of(Outcome::Intact), Some(document), None);
        walk.next_tag = id + 1;
        while let Some(Step::Blob(id, ..)) = walk.next(true, usize::MAX) {
            walk.answered();
            let judged = Judged {
                length: Some(7),
                ..Judged::of(Outcome::Intact)
            };
            walk.blob_seen(id, Depth::Head, judged);
        }
    }

    #[test]
    fn an_intact_blob_leaves_its_place_to_others_and_is_remembered() {
        let policy = Policy::new("r.example", Scope::new(Source::Catalog));
        let mut walk = Walk::new("app".parse().expect("a name"), &policy, History::default());
        for tag in 1..=5 {
            let own = (100 * tag..100 * tag + 20).map(|number| (number, 7));
            let layers: Vec<_> = [(0, 7)].into_iter().chain(own).collect();
            see(&mut walk, &format!("v{tag}"), &layers);
        }
        assert_eq!(walk.tally.blobs, 101, "the one that all share counts once");
        assert!(walk.nodes.len() <= 5 + 21, "{}", walk.nodes.len());
        // Who promises another length of one that was let go is wrong, alone, and asks for nothing.
        see(&mut walk, "wrong", &[(0, 8), (100, 7)]);
        assert_eq!(walk.tally.blobs, 101);
        let walked = walk.finish(Depth::Head, None, &mut NamesLimit::default());
        assert!(walked.is_there.contains(&Endpoint::Blobs));
        let [suspicion] = &walked.suspicions[..] else {
            panic!("{} suspicions", walked.suspicions.len());
        };
        let finding = &suspicion.finding;
        assert_eq!(finding.defect.reason, Reason::SizeMismatch);
        assert_eq!(finding.digest, Some(blob(0)));
        assert_eq!(finding.tags, ["wrong".parse().expect("a tag")]);
    }

    #[test]
    fn what_there_is_one_of_for_each_tag_is_small() {
        assert!(size_of::<Node>() <= 128, "{}", size_of::<Node>());
        assert!(size_of::<Edge>() <= 24, "{}", size_of::<Edge>());
        assert!(size_of::<TagState>() <= 32, "{}", size_of::<TagState>());
    }
}
