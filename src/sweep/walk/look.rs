//! A look at a repository that has ended: what it saw, whether it takes another one, and where that begins.

use std::collections::{BTreeMap, BTreeSet};

use super::TagState;
use super::graph::{Endpoint, Node, NodeId, TagId};
use super::history::{History, MOST_LOOKS, Object};
use crate::oci::{Digest, Repository, Tag};
use crate::registry::Unverified;
use crate::report::{Defect, Exposed, Finding, Image, Outcome, Presence, Reason, Referrers};
use crate::sweep::counts::Tally;
use crate::sweep::counts::UnverifiedCounts;

/// A finding that one look suggests.
pub(in crate::sweep) struct Suspicion {
    pub(in crate::sweep) object: Object,
    pub(in crate::sweep) finding: Finding,
    /// Whether it is a tag that the list lacks, too, and a page that says so: a deletion, if that is how the
    /// registry says that something is not there.
    pub(in crate::sweep) is_page_for_unlisted: bool,
    /// Whether the look before that asked for it found it broken, too.
    pub(in crate::sweep) agrees: bool,
}

/// What a look comes to, in the making.
#[derive(Default)]
pub(in crate::sweep) struct Look {
    pub(in crate::sweep) suspicions: Vec<Suspicion>,
    pub(in crate::sweep) intact_again: Vec<Object>,
    pub(in crate::sweep) unverified: UnverifiedCounts,
    /// Those that no look overcomes.
    pub(in crate::sweep) limits: UnverifiedCounts,
    /// Nodes and tags that are not plainly intact.
    pub(in crate::sweep) doubtful_nodes: Vec<NodeId>,
    pub(in crate::sweep) doubtful_tags: BTreeSet<TagId>,
    pub(in crate::sweep) unverified_nodes: Vec<NodeId>,
    pub(in crate::sweep) unverified_tags: BTreeSet<TagId>,
    pub(in crate::sweep) absent: BTreeMap<Endpoint, u64>,
    pub(in crate::sweep) left_out: Vec<Digest>,
    pub(in crate::sweep) is_list_doubtful: bool,
    pub(in crate::sweep) is_contested: bool,
    pub(in crate::sweep) has_deletions: bool,
    pub(in crate::sweep) presence: Presence,
}

impl Look {
    /// Notes what keeps an object from a verdict. Whether another look may overcome it.
    pub(in crate::sweep) fn obstruct(&mut self, why: &Unverified) -> bool {
        let may_change = why.may_change();
        let list = if may_change {
            &mut self.unverified
        } else {
            &mut self.limits
        };
        list.push(why);
        may_change
    }

    /// Counts what is not there.
    pub(in crate::sweep) fn count_absence(&mut self, endpoint: Endpoint, defect: &Defect) {
        if defect.is_absence() {
            *self.absent.entry(endpoint).or_default() += 1;
        }
    }
}

/// A look at a repository that has ended.
pub(in crate::sweep) struct Walked {
    pub(in crate::sweep) repository: Repository,
    /// What was seen of it so far, this look included.
    pub(in crate::sweep) history: History,
    /// What this look found broken.
    pub(in crate::sweep) suspicions: Vec<Suspicion>,
    /// What it found intact, and an earlier one broken.
    pub(in crate::sweep) intact_again: Vec<Object>,
    /// The tags, and the manifests that the caller named, that another look has to begin with.
    pub(in crate::sweep) doubtful: Doubtful,
    /// Whether it stands in no list of repositories, and is looked at because it was known.
    pub(in crate::sweep) is_unlisted: bool,
    /// Whether the registry says that the repository is not there.
    pub(in crate::sweep) presence: Presence,
    /// Whether something that was listed, or seen broken, is taken for deleted.
    pub(in crate::sweep) has_deletions: bool,
    /// Whether the repository is listed and its list of tags is not there.
    pub(in crate::sweep) is_contested: bool,
    /// The images that the caller named.
    pub(in crate::sweep) images: Vec<Image>,
    /// What garbage collection would break; `None` if nothing, or if that is not known.
    pub(in crate::sweep) exposed: Option<Exposed>,
    /// What is attached to its images, if that was asked.
    pub(in crate::sweep) referrers: Option<Referrers>,
    /// What this look could not verify.
    pub(in crate::sweep) unverified: UnverifiedCounts,
    /// What no look can verify.
    pub(in crate::sweep) limits: UnverifiedCounts,
    /// Whether any manifest, or any blob, was there when it was asked for.
    pub(in crate::sweep) is_there: BTreeSet<Endpoint>,
    /// How many manifests and tags, and how many blobs, were not.
    pub(in crate::sweep) absent: BTreeMap<Endpoint, u64>,
    /// Children that are not there, where the mode allows that.
    pub(in crate::sweep) left_out: Vec<Digest>,
    /// Tags in the list, whatever the filters.
    pub(in crate::sweep) tags_known: u64,
    /// Tags without a verdict.
    pub(in crate::sweep) unverified_tags: u64,
    /// Those of them that no further look is taken at.
    pub(in crate::sweep) lasting_tags: u64,
    pub(in crate::sweep) tally: Tally,
}

/// Where another look at a repository begins.
#[derive(Default)]
pub(in crate::sweep) struct Doubtful {
    pub(in crate::sweep) tags: BTreeSet<Tag>,
    /// Manifests that the caller named by digest.
    pub(in crate::sweep) named: BTreeSet<Digest>,
    /// Whether the list of tags is to be read for tags that were not looked at.
    pub(in crate::sweep) list: bool,
}

impl Doubtful {
    pub(in crate::sweep) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.named.is_empty() && !self.list
    }
}

impl Walked {
    /// Whether to look again: after the first look, wherever not all is plainly intact; after the second,
    /// where it found something broken, or otherwise than before.
    pub(in crate::sweep) fn needs_another_look(&self) -> bool {
        match self.history.looks {
            ..=1 => !self.doubtful.is_empty(),
            MOST_LOOKS.. => false,
            _ => {
                !self.suspicions.is_empty()
                    || !self.intact_again.is_empty()
                    || self.is_contested
                    || self.history.has_past() && !self.unverified.is_empty()
            }
        }
    }

    /// Takes in what the looks before this one saw and this one did not look at again.
    pub(in crate::sweep) fn after(mut self, before: Self) -> Self {
        let mut images = before.images;
        for new in self.images {
            let old = images.iter_mut().find(|old| old.reference == new.reference);
            match old {
                Some(old) => *old = new,
                None => images.push(new),
            }
        }
        self.images = images;
        self.exposed = before.exposed;
        self.referrers = before.referrers;
        self.limits.add_missing(before.limits);
        self.unverified_tags += before.lasting_tags;
        self.lasting_tags += before.lasting_tags;
        self.tally.add(before.tally);
        self.has_deletions |= before.has_deletions;
        self.tags_known = self.tags_known.max(before.tags_known);
        for (endpoint, count) in before.absent {
            let absent = self.absent.entry(endpoint).or_default();
            *absent = count.max(*absent);
        }
        // A list that was there in one look of this sweep does not show that the repository is gone.
        if self.is_contested && before.presence != Presence::Gone {
            self.presence = Presence::There;
        }
        self
    }
}

impl Walked {
    /// Keeps for the next look what this one saw.
    pub(super) fn remember(&mut self, nodes: &[Node], tags: &[TagState]) {
        let history = &mut self.history;
        for node in nodes {
            let is_absent = matches!(node.outcome(), Some(Outcome::Broken(defect)) if defect.reason == Reason::NotFound);
            let is_manifest = node.endpoint == Endpoint::Manifests;
            if node.is_intact() || is_absent && is_manifest {
                history.note_seen(node.endpoint, &node.digest, node.length.get());
            }
        }
        let intact = |state: &&TagState| {
            let is_resolved = matches!(state.resolved, Some(Ok(_)));
            is_resolved && !self.doubtful.tags.contains(&state.tag)
        };
        for state in tags.iter().filter(intact) {
            history.note_intact_tag(&state.tag);
        }
        for suspicion in &self.suspicions {
            history.note_broken(suspicion.object.clone(), &suspicion.finding);
        }
        for object in &self.intact_again {
            history.note_intact(object);
        }
    }
}
