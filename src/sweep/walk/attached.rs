//! What is attached to the images of a repository: asked for once all else is answered, walked like what an index
//! names, and held against what is required.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::attachments::{OfImage, Proof};
use super::graph::{Edge, Endpoint, Node, NodeId, Parent};
use super::history::Object;
use super::look::{Look, Suspicion};
use super::tag_list::TagListEnd;
use super::{TagState, Walk};
use crate::oci::{Attached, Descriptor, Digest, Document, MediaKind, ReferrerClass, subject_of};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{
    Defect, Evidence, ImageReferrers, Kind, Observed, Outcome, Promised, Reach, Reason, Referrers,
    SeenReferrers,
};
use crate::sweep::memory_limits::NamesLimit;
use crate::sweep::notices::Notice;
use crate::sweep::referrers::{Question, Told};

/// Indexes inside indexes whose children are asked about.
const DEEPEST: usize = 8;

impl Walk {
    /// Notes what a manifest says to be attached to, and what it shows itself to be.
    pub(super) fn note_attached(&mut self, id: NodeId, document: &Document) {
        if self.attachments.reach == Reach::Off {
            return;
        }
        let proof = Proof::of(document);
        self.attachments
            .proofs
            .extend(proof.map(|proof| (id, proof)));
        if let Some(subject) = &document.subject
            && !self.attachments.is_planned
        {
            self.attachments.subjects.push((id, subject.clone()));
        }
    }

    /// Decides what to ask, now that all else is answered: what is attached to what is attached is not.
    pub(super) fn plan_attached(&mut self) {
        if self.attachments.is_planned {
            return;
        }
        self.attachments.is_planned = true;
        let images = self.images_to_ask();
        let mut by_tag = BTreeMap::<_, OfImage>::new();
        for state in &self.tags {
            let Some((subject, class)) = subject_of(&state.tag) else {
                continue;
            };
            let image = self.known.find(&self.nodes, Endpoint::Manifests, &subject);
            let hint = class.map(Attached::by_tag);
            match (&state.resolved, image) {
                (Some(Ok(node)), Some(id)) => {
                    let of_image = by_tag.entry(id).or_default();
                    of_image.candidates.extend(hint.map(|hint| (*node, hint)));
                }
                (Some(Ok(node)), None) => self.attachments.subjects.push((*node, subject)),
                (Some(Err(outcome)), Some(id)) if class.is_some() => {
                    let of_image = by_tag.entry(id).or_default();
                    match untold_by(outcome) {
                        Some(why) => of_image.away = Some(Box::new(why)),
                        None => of_image.broken_tags.extend(hint),
                    }
                }
                _ => {}
            }
        }
        self.ask_for_subjects();
        for id in images {
            let of_image = by_tag.remove(&id).unwrap_or_default();
            self.attachments.attached += of_image.candidates.len() as u64;
            self.attachments.images.insert(id, of_image);
            let question = Question::List(self.nodes[id as usize].digest.clone());
            self.attachments.to_ask.push((id, question));
        }
    }

    /// Asks for what something is attached to, unless it was seen. One look is enough: it is no finding.
    fn ask_for_subjects(&mut self) {
        let mut asked = BTreeSet::new();
        for (id, subject) in std::mem::take(&mut self.attachments.subjects) {
            let known = self.known.find(&self.nodes, Endpoint::Manifests, &subject);
            if self.history.looks == 0 && known.is_none() && asked.insert(subject.clone()) {
                let question = Question::Subject(subject);
                self.attachments.to_ask.push((id, question));
            }
        }
    }

    /// The images to ask about: what tags and the caller name, but for the tags of what is attached itself.
    fn images_to_ask(&self) -> Vec<NodeId> {
        let is_image = |node: &Node| node.endpoint == Endpoint::Manifests && node.is_intact();
        let mut images = vec![false; self.nodes.len()];
        let passes = if self.attachments.reach == Reach::All {
            DEEPEST
        } else {
            1
        };
        for _ in 0..passes {
            for (id, node) in self
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| is_image(node))
            {
                images[id] |= node.edges.iter().any(|edge| match edge.parent {
                    Parent::Tag(tag) => subject_of(&self.tags[tag as usize].tag).is_none(),
                    Parent::Caller => true,
                    Parent::Node(parent) => {
                        let is_below = self.attachments.reach == Reach::All;
                        is_below && edge.kind == Kind::Child && images[parent as usize]
                    }
                });
            }
        }
        (0..)
            .zip(images)
            .filter_map(|(id, is_it)| is_it.then_some(id))
            .collect()
    }

    /// Takes in an answer about an image.
    pub(in crate::sweep) fn attached_seen(&mut self, id: NodeId, told: Told) {
        let digest = self.nodes[id as usize].digest.clone();
        match told {
            Told::Subject(subject, told) => {
                if told == Ok(false) {
                    self.attachments.dangling += 1;
                    let notices = &mut self.tally.notices;
                    notices.note(Notice::Dangling, &self.repository, &subject);
                }
            }
            Told::Tag(class, told) => match told {
                Ok(Some(found)) => {
                    let edge = Edge {
                        parent: Parent::Node(id),
                        kind: Kind::Referrer,
                        promised: None,
                    };
                    let nesting = self.nodes[id as usize].nesting + 1;
                    let found = self.promise(Endpoint::Manifests, found, nesting, edge);
                    let candidate = (found, Attached::by_tag(class));
                    self.of_image(id).candidates.push(candidate);
                    self.attachments.attached += 1;
                }
                Ok(None) => {}
                Err(why) => self.of_image(id).away = Some(why.into()),
            },
            Told::List(Ok(entries)) => {
                self.attachments.attached += entries.len() as u64;
                self.of_image(id).is_listed = true;
                self.take_referrers(id, entries);
                self.ask_for_tags(id, &digest);
            }
            Told::List(Err(why)) => {
                self.of_image(id).away = Some(why.into());
                self.ask_for_tags(id, &digest);
            }
        }
    }

    fn of_image(&mut self, id: NodeId) -> &mut OfImage {
        self.attachments.images.entry(id).or_default()
    }

    /// Takes up what a list names as if it were an index.
    fn take_referrers(&mut self, id: NodeId, children: Vec<Descriptor>) {
        let named = children
            .iter()
            .map(|entry| (entry.digest.clone(), Attached::of(entry)));
        let named: Vec<_> = named.collect();
        let list = Document {
            kind: MediaKind::Index,
            children,
            ..Document::default()
        };
        self.expand(id, list, Kind::Referrer);
        for (digest, hint) in named {
            let found = self.known.find(&self.nodes, Endpoint::Manifests, &digest);
            if let Some(found) = found {
                self.of_image(id).candidates.push((found, hint));
            } else {
                let detail = "more is attached than is followed";
                let why = Unverified::new(UnverifiedReason::TooLarge, detail);
                self.of_image(id).away = Some(why.into());
            }
        }
    }

    /// Asks for cosign's tags, where the list of tags was not read whole.
    fn ask_for_tags(&mut self, id: NodeId, subject: &Digest) {
        if self.has_all_tags {
            return;
        }
        for class in ReferrerClass::ALL {
            let by_tag = Attached::by_tag(class);
            let of_image = self.of_image(id);
            let mut told = of_image.candidates.iter().map(|(_, hint)| hint);
            let is_told =
                told.any(|hint| *hint == by_tag) || of_image.broken_tags.contains(&by_tag);
            if let Some(tag) = class.tag(subject).filter(|_| !is_told) {
                let question = Question::Tag(class, tag);
                self.attachments.to_ask.push((id, question));
            }
        }
    }

    /// What is attached as this look saw it, to be told and remembered.
    pub(super) fn referrers(&self) -> Option<Referrers> {
        let all = &self.attachments;
        if all.reach == Reach::Off {
            return None;
        }
        let (mut unanswered, mut why) = (0, None);
        let (mut images, mut known_unanswered) = (Vec::new(), BTreeSet::new());
        for (id, of_image) in &all.images {
            let digest = &self.nodes[*id as usize].digest;
            let standing = of_image.standing(digest, &self.nodes, &all.proofs);
            if standing.is_unanswered {
                unanswered += 1;
                let object = Object::Attached(digest.clone());
                let is_known = self.history.past(&object).is_some();
                known_unanswered.extend(is_known.then(|| digest.clone()));
                let away = standing.away.as_ref();
                why = why.or_else(|| away.map(|why| why.detail.to_string()));
            }
            let mut required = all.required.iter();
            let is_wanting = required.any(|rule| !standing.has(&rule.what));
            let types = standing.types(&all.required);
            let is_known = self.history.first_seen(digest).is_some();
            // Of all others, there is nothing to remember.
            if is_wanting || is_known || !types.is_empty() {
                images.push(ImageReferrers {
                    digest: digest.clone(),
                    types: types.into_iter().collect(),
                    is_whole: !standing.is_unanswered,
                    is_wanting,
                });
            }
        }
        let here = SeenReferrers {
            images,
            is_all: self.has_seen_all(),
            unanswered: known_unanswered,
            is_cut: false,
            is_unanswered: unanswered > 0,
        };
        Some(Referrers {
            images: all.images.len() as u64,
            attached: all.attached,
            unanswered,
            why,
            dangling: all.dangling,
            seen: [(self.repository.clone(), here)].into(),
            ..Referrers::default()
        })
    }

    /// Whether all images were seen that are in scope: the list of tags was read, and what the tags lead to, too.
    fn has_seen_all(&self) -> bool {
        let is_resolved = |state: &TagState| matches!(state.resolved, Some(Ok(_)));
        let manifests = self.nodes.iter();
        let mut manifests = manifests.filter(|node| node.endpoint == Endpoint::Manifests);
        matches!(self.list.end, TagListEnd::Whole { .. })
            && self.tags.iter().all(is_resolved)
            && manifests.all(Node::is_intact)
    }

    /// Holds what is attached against what is required. `cut_short` says why the walk ended early.
    pub(super) fn settle_referrers(
        &self,
        look: &mut Look,
        depth: Depth,
        cut_short: Option<&Unverified>,
        room: &mut NamesLimit,
    ) {
        let now = SystemTime::now();
        for (id, of_image) in &self.attachments.images {
            let digest = &self.nodes[*id as usize].digest;
            let first_seen = self.history.first_seen(digest);
            let all = &self.attachments;
            let standing = of_image.standing(digest, &self.nodes, &all.proofs);
            let has_memory = all.has_memory && !self.history.has_no_room;
            let is_known = self.history.past(&Object::Attached(digest.clone()));
            let missing = all.required.iter().filter(|rule| {
                let is_due = rule.is_due(first_seen, now, has_memory);
                (is_due || is_known.is_some()) && !standing.has(&rule.what)
            });
            let missing: BTreeSet<_> = missing.map(|rule| rule.what.to_string()).collect();
            let object = Object::Attached(digest.clone());
            if missing.is_empty() {
                if self.history.past(&object).is_some() {
                    look.doubtful_nodes.push(*id);
                    look.intact_again.push(object);
                }
                continue;
            }
            let away = standing.away.as_ref().or(cut_short);
            if standing.is_unanswered {
                // Who names images asks for this; of what a sweep sees besides, nothing is concluded.
                if self.documents.is_some() {
                    obstruct_judging(look, *id, away);
                }
                continue;
            }
            let types: Vec<_> = missing.into_iter().collect();
            let there = standing.types(&all.required);
            let there: Vec<_> = there.iter().map(ToString::to_string).collect();
            let defect = Defect {
                reason: Reason::ReferrerMissing,
                evidence: Box::new(Evidence {
                    promised: Some(Promised::Attached {
                        types: types.join(", ").into(),
                    }),
                    observed: Some(Observed::Attached {
                        types: there.join(", ").into(),
                    }),
                    ..Evidence::default()
                }),
            };
            look.doubtful_nodes.push(*id);
            let suspicion = self.suspicion(*id, &defect, |_| true, depth, room);
            look.suspicions.push(self.of_referrers(suspicion, object));
        }
    }

    /// A suspicion about what is not attached to an image, which is whole itself.
    fn of_referrers(&self, mut suspicion: Suspicion, object: Object) -> Suspicion {
        let finding = &mut suspicion.finding;
        finding.kind = Kind::Referrer;
        finding.attached_to.append(&mut finding.tags);
        finding.platforms.clear();
        finding.nearby.pointed_to.clear();
        suspicion.agrees = self.was_broken_last(&object);
        suspicion.object = object;
        suspicion
    }
}

/// Why it is not known where a tag leads. One that is not there leads nowhere.
fn untold_by(outcome: &Outcome) -> Option<Unverified> {
    match outcome {
        Outcome::Unverified(why) => Some(why.clone()),
        Outcome::Broken(defect) if defect.reason != Reason::NotFound => {
            let answer = defect.evidence.answer();
            Some(Unverified::new(UnverifiedReason::RegistryError, answer))
        }
        Outcome::Broken(_) | Outcome::Intact => None,
    }
}

/// Notes that it is not known whether an image has what is required.
fn obstruct_judging(look: &mut Look, id: NodeId, why: Option<&Unverified>) {
    let lost = || Unverified::new(UnverifiedReason::Protocol, "what is attached was not asked");
    if look.obstruct(&why.cloned().unwrap_or_else(lost)) {
        look.doubtful_nodes.push(id);
    }
}
