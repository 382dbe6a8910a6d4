//! The end of a walk: from what was seen to what it means.

use std::collections::BTreeSet;

use super::graph::{Edge, Endpoint, Node, NodeId, Parent, TagId};
use super::history::Object;
use super::look::{Doubtful, Look, Suspicion, Walked};
use super::{TagState, Walk};
use crate::oci::Tag;
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Defect, Exposed, Kind, Mode, Outcome, Reason};
use crate::sweep::memory_limits::NamesLimit;

/// What an outcome comes to.
pub(super) enum InMode {
    Settled,
    Broken(Defect),
    Absent(Defect),
    Unverified(Unverified),
}

impl InMode {
    /// What was not asked for before the sweep was cut short.
    pub(super) fn left_over(cut_short: Option<&Unverified>) -> Self {
        let lost = || {
            Unverified::new(
                UnverifiedReason::Protocol,
                "it was lost by a fault of this program",
            )
        };
        Self::Unverified(cut_short.cloned().unwrap_or_else(lost))
    }
}

/// The indexes and manifests that promise a node. To what it is only attached does not.
fn parents(node: &Node) -> impl Iterator<Item = NodeId> {
    let edges = node.edges.iter().filter(|edge| edge.kind != Kind::Referrer);
    edges.filter_map(|edge| match edge.parent {
        Parent::Node(parent) => Some(parent),
        Parent::Tag(_) | Parent::Caller => None,
    })
}

impl Walk {
    /// Ends the walk. `cut_short` says why it ended with things left to ask.
    pub(in crate::sweep) fn finish(
        mut self,
        depth: Depth,
        cut_short: Option<&Unverified>,
        room: &mut NamesLimit,
    ) -> Walked {
        room.begin();
        self.history.looks += 1;
        let mut look = Look::default();
        self.note_unlisted(&mut look, cut_short);
        self.settle_list(&mut look);
        self.settle_tags(&mut look, depth, cut_short);
        self.settle_nodes(&mut look, depth, cut_short, room);
        self.settle_referrers(&mut look, depth, cut_short, room);
        let unverified = std::mem::take(&mut look.unverified_nodes);
        look.unverified_tags
            .extend(self.trail(unverified, |_| true, usize::MAX).tags);
        match room.why() {
            // Which tags are intact is not known then.
            Some(why) => look.unverified.push(&why),
            None => self.add_siblings(&mut look),
        }
        let doubtful = self.doubtful(&mut look);
        let is_first = self.history.looks == 1;
        let is_lasting = |id: &&TagId| !doubtful.tags.contains(&self.tags[**id as usize].tag);
        let lasting = look.unverified_tags.iter().filter(is_lasting).count();
        self.unverified.add_missing(look.limits);
        let mut walked = Walked {
            images: self.images(cut_short),
            exposed: if is_first { self.exposed() } else { None },
            referrers: if is_first { self.referrers() } else { None },
            is_there: self.is_there(),
            absent: look.absent,
            left_out: look.left_out,
            tags_known: self.tags_in_list(),
            unverified_tags: look.unverified_tags.len() as u64,
            lasting_tags: lasting as u64,
            repository: self.repository,
            suspicions: look.suspicions,
            intact_again: look.intact_again,
            doubtful,
            is_unlisted: self.list.is_unlisted,
            presence: look.presence,
            has_deletions: look.has_deletions,
            is_contested: look.is_contested,
            unverified: look.unverified,
            limits: self.unverified,
            tally: self.tally,
            history: self.history,
        };
        if walked.needs_another_look() {
            walked.remember(&self.nodes, &self.tags);
            walked.history.lists.push(self.list);
        }
        walked
    }

    /// Tags that lead nowhere are suspicions, unless they are gone from the list as well.
    fn settle_tags(&self, look: &mut Look, depth: Depth, cut_short: Option<&Unverified>) {
        for (id, state) in (0..).zip(&self.tags) {
            let in_mode = match &state.resolved {
                Some(Err(outcome)) => self.in_this_mode(outcome, Kind::Tag),
                Some(Ok(_)) => InMode::Settled,
                None => InMode::left_over(cut_short),
            };
            let object = || Object::Tag(state.tag.clone());
            match in_mode {
                InMode::Broken(defect) => match self.is_deleted(&state.tag, &defect) {
                    Ok(is_deleted) => {
                        look.count_absence(Endpoint::Manifests, &defect);
                        let is_page = defect.evidence.is_page();
                        look.has_deletions |= is_deleted;
                        // Where the list is contested, its tags are with it.
                        if !is_deleted || is_page || look.is_contested {
                            look.doubtful_tags.insert(id);
                        }
                        if !is_deleted || is_page {
                            look.suspicions.push(Suspicion {
                                object: object(),
                                finding: self.dangling_tag(state, defect, depth),
                                agrees: self.was_broken_last(&object()),
                                is_page_for_unlisted: is_deleted,
                            });
                        }
                    }
                    Err(why) => {
                        look.count_absence(Endpoint::Manifests, &defect);
                        look.doubtful_tags.insert(id);
                        look.unverified.push(&why);
                        look.unverified_tags.insert(id);
                    }
                },
                InMode::Unverified(why) => {
                    if look.obstruct(&why) {
                        look.doubtful_tags.insert(id);
                    }
                    look.unverified_tags.insert(id);
                }
                InMode::Settled if self.history.past(&object()).is_some() => {
                    look.doubtful_tags.insert(id);
                    look.intact_again.push(object());
                }
                InMode::Absent(_) | InMode::Settled => {}
            }
        }
    }

    fn settle_nodes(
        &mut self,
        look: &mut Look,
        depth: Depth,
        cut_short: Option<&Unverified>,
        room: &mut NamesLimit,
    ) {
        let sparse = self.indexes_with_a_child();
        let contradictions = self.contradictions();
        let mut absent = Vec::new();
        for (id, node) in (0..).zip(&self.nodes) {
            let in_mode = match node.outcome() {
                Some(outcome) => self.in_this_mode(outcome, node.kind()),
                None => InMode::left_over(cut_short),
            };
            let in_mode = match in_mode {
                InMode::Absent(defect) if !parents(node).all(|id| sparse.contains(&id)) => {
                    self.without_siblings(defect)
                }
                in_mode => in_mode,
            };
            match in_mode {
                InMode::Broken(defect) => {
                    look.count_absence(node.endpoint, &defect);
                    look.doubtful_nodes.push(id);
                    let suspicion = self.suspicion(id, &defect, |_| true, depth, room);
                    look.suspicions.push(suspicion);
                }
                InMode::Absent(_) => absent.push(id),
                InMode::Unverified(why) => {
                    if look.obstruct(&why) {
                        look.doubtful_nodes.push(id);
                    }
                    look.unverified_nodes.push(id);
                }
                InMode::Settled => {
                    if let Some(suspicion) = self.wrong_promise(id, &contradictions, depth, room) {
                        look.doubtful_nodes.push(id);
                        look.suspicions.push(suspicion);
                    } else if self.past(id).is_some() {
                        look.doubtful_nodes.push(id);
                        look.intact_again
                            .push(Object::Content(node.endpoint, node.digest.clone()));
                    }
                }
            }
        }
        for id in absent {
            let node = &self.nodes[id as usize];
            let was_counted = self.history.seen(node.endpoint, &node.digest).is_some();
            self.tally.absent += u64::from(!was_counted);
            look.left_out.push(node.digest.clone());
        }
    }

    /// Where another look has to begin.
    fn doubtful(&self, look: &mut Look) -> Doubtful {
        let trail = self.trail(
            std::mem::take(&mut look.doubtful_nodes),
            |_| true,
            usize::MAX,
        );
        look.doubtful_tags
            .extend(trail.tags.union(&trail.attached_to));
        let tag = |id: &TagId| self.tags[*id as usize].tag.clone();
        let named = |id: &NodeId| self.nodes[*id as usize].digest.clone();
        let mut tags: BTreeSet<_> = look.doubtful_tags.iter().map(tag).collect();
        let broken: BTreeSet<_> = look.suspicions.iter().map(|new| &new.object).collect();
        let is_broken = |object: &Object| broken.contains(object);
        // What an earlier sweep found broken is not cleared by one look, nor by a list that lacks it.
        if self.history.looks == 1 {
            let are_all_broken = self.history.known_objects().all(is_broken);
            let listed: BTreeSet<_> = self.tags.iter().map(|state| &state.tag).collect();
            let is_doubtful =
                |tag: &&Tag| self.lacks(tag) || !are_all_broken && listed.contains(*tag);
            let known = self.history.known_tags().iter().filter(is_doubtful);
            tags.extend(known.cloned());
        }
        Doubtful {
            tags,
            named: trail.named.iter().map(named).collect(),
            list: look.is_list_doubtful,
        }
    }

    /// Of which kinds anything was there.
    fn is_there(&self) -> BTreeSet<Endpoint> {
        let is_there = |node: &&Node| match node.outcome() {
            Some(Outcome::Broken(defect)) => !matches!(
                defect.reason,
                Reason::NotFound | Reason::StorageMissing | Reason::Unreadable
            ),
            outcome => matches!(outcome, Some(Outcome::Intact)),
        };
        let there = self.nodes.iter().filter(is_there);
        let blobs = self.is_any_blob_there.then_some(Endpoint::Blobs);
        there.map(|node| node.endpoint).chain(blobs).collect()
    }

    pub(super) fn was_broken_last(&self, object: &Object) -> bool {
        let past = self.history.past(object);
        past.is_some_and(|past| past.was_broken_last)
    }

    /// Nothing to look at in a walk that has not ended: its list was still under way.
    fn note_unlisted(&self, look: &mut Look, cut_short: Option<&Unverified>) {
        if let Some(why) = cut_short
            && self.tags.is_empty()
            && self.nodes.is_empty()
        {
            look.unverified.push(why);
        }
    }

    /// What an outcome means in this mode, for an object of which this kind was promised.
    pub(super) fn in_this_mode(&self, outcome: &Outcome, kind: Kind) -> InMode {
        let defect = match outcome {
            Outcome::Broken(defect) => defect,
            Outcome::Unverified(why) => return InMode::Unverified(why.clone()),
            Outcome::Intact => return InMode::Settled,
        };
        let is_page = defect.evidence.is_page();
        match (self.mode, kind, defect.reason) {
            // A page is that of something in between until it is shown to be the storage's own.
            (Mode::Mirror | Mode::PullThrough, _, Reason::NotFound) if is_page => {
                InMode::Unverified(page(defect))
            }
            (Mode::Mirror | Mode::PullThrough, Kind::Child, Reason::NotFound) => {
                InMode::Absent(defect.clone())
            }
            (mode, kind, reason) if mode.excuses(kind, reason) => {
                let evidence = &defect.evidence;
                InMode::Unverified(Unverified::new(
                    UnverifiedReason::RegistryError,
                    format!(
                        "{}, which a cache also does when its upstream refuses it",
                        evidence.answer()
                    ),
                ))
            }
            _ => InMode::Broken(defect.clone()),
        }
    }

    /// What it means that a child is not there, and no other child of its index either: nobody can pull that.
    fn without_siblings(&self, defect: Defect) -> InMode {
        if self.mode == Mode::Mirror {
            return InMode::Broken(defect);
        }
        if self.documents.is_none() {
            return InMode::Absent(defect);
        }
        let evidence = &defect.evidence;
        let detail = format!("{}, as for all children of that index", evidence.answer());
        InMode::Unverified(Unverified::new(UnverifiedReason::RegistryError, detail))
    }

    /// The indexes that have a child: only of these may others be left out on purpose.
    fn indexes_with_a_child(&self) -> BTreeSet<NodeId> {
        let is_gone = |node: &&Node| matches!(node.outcome(), Some(Outcome::Broken(defect)) if defect.reason == Reason::NotFound);
        let there = self.nodes.iter().filter(|node| !is_gone(node));
        there.flat_map(parents).collect()
    }

    /// The manifests that are there, that an index names and that no tag does.
    fn exposed(&self) -> Option<Exposed> {
        let is_known = |state: &TagState| match &state.resolved {
            Some(Err(outcome)) => {
                matches!(&**outcome, Outcome::Broken(defect) if defect.reason == Reason::NotFound)
            }
            resolved => matches!(resolved, Some(Ok(_))),
        };
        if !self.has_all_tags || !self.tags.iter().all(is_known) {
            return None;
        }
        let is_exposed = |node: &&Node| {
            let is_there = node.is_intact();
            let is_manifest = node.endpoint == Endpoint::Manifests;
            let by_index = |edge: &Edge| matches!(edge.parent, Parent::Node(_));
            // What is attached is kept for its image, where the registry knows of that.
            let mut edges = node.edges.iter();
            let is_child = edges.any(|edge| edge.kind != Kind::Referrer);
            is_manifest && is_there && is_child && node.edges.iter().all(by_index)
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
}

/// Why a 404 that is a web page tells nothing of the object.
pub(in crate::sweep) fn page(defect: &Defect) -> Unverified {
    let evidence = &defect.evidence;
    Unverified::new(
        UnverifiedReason::Protocol,
        format!(
            "{} with a web page: a proxy or login page may stand in the way",
            evidence.answer()
        ),
    )
}
