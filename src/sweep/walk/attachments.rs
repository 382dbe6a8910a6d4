//! What is asked and known of what is attached to the images of a repository.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Node, NodeId, Step};
use crate::oci::{Attached, Digest, Document, ReferrerType, Repository};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Outcome, Reach};
use crate::sweep::policy::Policy;
use crate::sweep::referrers::{Question, RequiredReferrer};

/// What is known of what is attached to the images of a repository.
pub(super) struct Attachments {
    pub(super) reach: Reach,
    pub(super) required: Vec<RequiredReferrer>,
    pub(super) has_memory: bool,
    pub(super) is_planned: bool,
    pub(super) to_ask: Vec<(NodeId, Question)>,
    /// Manifests that say to be attached to others, with those.
    pub(super) subjects: Vec<(NodeId, Digest)>,
    pub(super) images: BTreeMap<NodeId, OfImage>,
    /// What manifests show themselves to be that may be attached to something.
    pub(super) proofs: BTreeMap<NodeId, Proof>,
    pub(super) attached: u64,
    pub(super) dangling: u64,
}

/// What a manifest that was read shows itself to be.
pub(super) struct Proof {
    /// What it is attached to, if it says so.
    subject: Option<Digest>,
    what: Attached,
}

/// What is known of one image.
#[derive(Default)]
pub(super) struct OfImage {
    /// What lists and tags lead to from it, and what they say that it is.
    pub(super) candidates: Vec<(NodeId, Attached)>,
    /// What tags of its say to hold that are in the list of tags and lead nowhere, which is told of them.
    pub(super) broken_tags: Vec<Attached>,
    /// Whether the list was answered.
    pub(super) is_listed: bool,
    /// What kept the list, or a tag in its place, from being known.
    pub(super) away: Option<Box<Unverified>>,
}

/// What is attached to an image, as its manifests show it.
pub(super) struct Standing<'a> {
    proven: Vec<&'a Attached>,
    /// What is broken, by what leads to it: that is told of it, and not again as missing.
    broken: Vec<&'a Attached>,
    /// Why it is not known of all, if it is not.
    pub(super) away: Option<Unverified>,
    pub(super) is_unanswered: bool,
}

impl Standing<'_> {
    /// Whether something of a type is there, or told to be broken.
    pub(super) fn has(&self, wanted: &ReferrerType) -> bool {
        let mut all = self.proven.iter().chain(&self.broken);
        all.any(|it| it.is(wanted))
    }

    /// The types of what is there, and of what is required those that it has.
    pub(super) fn types(&self, required: &[RequiredReferrer]) -> BTreeSet<ReferrerType> {
        let all = self.proven.iter().chain(&self.broken);
        let types = all.flat_map(|it| it.types());
        let met = required.iter().map(|rule| &rule.what);
        types
            .chain(met.filter(|what| self.has(what)).cloned())
            .collect()
    }
}

impl OfImage {
    /// What is attached to this image, as far as its manifests were read.
    pub(super) fn standing<'a>(
        &'a self,
        image: &Digest,
        nodes: &[Node],
        proofs: &'a BTreeMap<NodeId, Proof>,
    ) -> Standing<'a> {
        let mut standing = Standing {
            proven: Vec::new(),
            broken: self.broken_tags.iter().collect(),
            away: self.away.as_deref().cloned(),
            is_unanswered: !self.is_listed || self.away.is_some(),
        };
        for (id, hint) in &self.candidates {
            let why = match nodes[*id as usize].outcome() {
                Some(Outcome::Intact) => {
                    let proof = proofs.get(id).filter(|proof| proof.is_of(image));
                    standing.proven.extend(proof.map(|proof| &proof.what));
                    continue;
                }
                Some(Outcome::Broken(_)) => {
                    standing.broken.push(hint);
                    continue;
                }
                Some(Outcome::Unverified(why)) => why.clone(),
                None => {
                    Unverified::new(UnverifiedReason::Protocol, "what is attached was not read")
                }
            };
            standing.is_unanswered = true;
            standing.away.get_or_insert(why);
        }
        standing
    }
}

impl Proof {
    /// What a manifest shows, if that can matter to what it is attached to.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let what = Attached::by_manifest(document);
        let subject = document.subject.clone();
        (!what.is_untold()).then_some(Self { subject, what })
    }

    /// Whether it can be attached to an image: cosign's name none under its tags.
    fn is_of(&self, image: &Digest) -> bool {
        self.subject.as_ref().is_none_or(|subject| subject == image)
    }
}

impl Attachments {
    pub(super) fn new(policy: &Policy, repository: &Repository) -> Self {
        let asked = &policy.referrers;
        let required = asked.required.iter().filter(|rule| rule.is_of(repository));
        let required: Vec<_> = required.cloned().collect();
        let reach = match asked.reach {
            Reach::Off if !required.is_empty() => Reach::Tagged,
            reach => reach,
        };
        Self {
            reach,
            required,
            has_memory: asked.has_memory,
            is_planned: reach == Reach::Off,
            to_ask: Vec::new(),
            subjects: Vec::new(),
            images: BTreeMap::new(),
            proofs: BTreeMap::new(),
            attached: 0,
            dangling: 0,
        }
    }

    /// The next question, once it is known which there are.
    pub(super) fn next(&mut self) -> Option<Step> {
        let (id, question) = self.to_ask.pop()?;
        Some(Step::Attached(id, question))
    }

    /// Whether it was asked what is attached to an image.
    pub(super) fn has_asked(&self, id: NodeId) -> bool {
        self.images.contains_key(&id)
    }

    /// Whether there is nothing left to ask.
    pub(super) fn is_done(&self) -> bool {
        self.is_planned && self.to_ask.is_empty()
    }
}
