//! What is asked and known of what is attached to the images of a repository.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{NodeId, Step};
use crate::oci::{Digest, ReferrerType, Repository};
use crate::registry::Unverified;
use crate::report::Reach;
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
    pub(super) attached: u64,
    pub(super) dangling: u64,
}

/// What is known of one image.
#[derive(Default)]
pub(super) struct OfImage {
    /// The types of what is attached, and of what is required those that it has.
    pub(super) types: BTreeSet<ReferrerType>,
    /// Whether the list was answered.
    pub(super) is_listed: bool,
    /// What kept the list, or a tag in its place, from being known.
    pub(super) away: Option<Box<Unverified>>,
}

impl OfImage {
    pub(super) fn is_unanswered(&self) -> bool {
        !self.is_listed || self.away.is_some()
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
