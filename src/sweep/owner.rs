//! The one task that owns a sweep: what is waiting, what is being walked, and what is under way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::control::{self, Controls};
use super::judge::Judged;
use super::ledger::Ledger;
use super::memory_limits::NamesLimit;
use super::nearby::CopyTable;
use super::policy::Policy;
use super::reading::Reading;
use super::recall::Recall;
use super::refusals::Refusals;
use super::repeats::Repeats;
use super::resolve::Pointed;
use super::scope::Source;
use super::seen::Seen;
use super::visit::{Running, Visit};
use super::walk::{Endpoint, History, NodeId, TagId, Walk, Walked, take_tags};
use crate::oci::{Digest, Document, Repository};
use crate::registry::{Named, Registry, Unverified, UnverifiedReason};
use crate::report::{Mode, Outcome, Presence, Record};

/// Unverified answers and 5xx in a row after which the registry is asked whether it is there at all.
const SUSPICIOUS_ROW: u32 = 16;

/// Blobs at a time, and blobs in all, until a registry counts as none that downloads what it is asked
/// for: a cache fills its disk with no more than this before it is recognised.
const BLOBS_ON_PROBATION: usize = 3;
const PROBATION: u32 = 200;

/// Repositories that are looked at again in one sweep: what is kept of each takes memory.
const MOST_DOUBTFUL: usize = 20_000;

/// Between the second look and the third, at most: a push or a clean-up that is under way goes on meanwhile.
const BEFORE_LAST_LOOK: Duration = Duration::from_secs(2);

const LOOKS_LIKE_A_CACHE: &str = "this looks like a pull-through cache, which downloads every blob that \
     it is asked for; the sweep has stopped: say --mode pull-through";

/// A repository that is to be walked.
pub(super) struct Task {
    pub(super) repository: Repository,
    /// Whether the list of repositories names it, or the caller does.
    pub(super) is_listed: bool,
    /// What the look before came to, if this is another one.
    pub(super) before: Option<Box<Walked>>,
}

/// A repository that is being walked.
pub(super) struct Open {
    walk: Walk,
    /// What the look before came to, of which the walk has the history.
    before: Option<Box<Walked>>,
}

/// The state of a sweep.
pub(super) struct Crawl<'a, R> {
    pub(super) registry: R,
    pub(super) policy: &'a Policy,
    pub(super) known: &'a Record,
    /// Repositories not begun yet.
    pub(super) waiting: VecDeque<Task>,
    /// Repositories being walked, by the number that their visits carry.
    pub(super) walks: Vec<Option<Open>>,
    /// Repositories that need another look.
    pub(super) doubtful: Vec<Walked>,
    running: Running,
    pub(super) ledger: Ledger,
    pub(super) room: NamesLimit,
    pub(super) reading: Reading<'a>,
    repeats: Repeats,
    pub(super) recall: Recall,
    pub(super) controls: Controls,
    pub(super) copies: CopyTable,
    pub(super) troubles_in_a_row: u32,
    pub(super) refusals: Refusals,
    /// Images that are not to be asked for, and why.
    pub(super) withheld: BTreeMap<Named, Unverified>,
    /// How often a catalog that was read again was looked through for what the first one did not name.
    pub(super) catalogs_reread: u8,
    /// Blobs that were not answered as a cache answers.
    blobs_seen: u32,
    /// Whether the list of what there is is in doubt: something that was listed, or seen broken, was not
    /// there when it was asked for, or the sweep broke off.
    pub(super) is_in_doubt: bool,
}

impl<'a, R: Registry> Crawl<'a, R> {
    pub(super) fn new(registry: R, policy: &'a Policy, known: &'a Record) -> Self {
        Self {
            ledger: Ledger::new(policy, known, registry.traffic()),
            registry,
            policy,
            known,
            waiting: VecDeque::new(),
            walks: Vec::new(),
            doubtful: Vec::new(),
            room: NamesLimit::default(),
            running: Running::new(&policy.progress),
            reading: Reading::new(&policy.owed, policy.depth, known),
            repeats: Repeats::default(),
            recall: Recall::begin(&policy.manifests, policy.depth),
            controls: Controls::default(),
            copies: CopyTable::default(),
            troubles_in_a_row: 0,
            refusals: Refusals::default(),
            withheld: BTreeMap::new(),
            catalogs_reread: 0,
            blobs_seen: 0,
            is_in_doubt: false,
        }
    }

    /// Runs to the end. Gives why, if an outage ended it early.
    pub(super) async fn run(&mut self, deadline: Option<Instant>) -> Option<Unverified> {
        if let Err(why) = self.seed().await {
            if matches!(self.policy.scope.source, Source::Images(_)) {
                return Some(why);
            }
            self.ledger.listing_failed(why);
            return None;
        }
        let ended = self.walk_all().await;
        // What shows the software may have come last, and the next sweep begins with it.
        self.recall.decide(&self.registry);
        if ended.is_some() {
            return ended;
        }
        let mut wait = self.policy.confirm_after;
        while !self.doubtful.is_empty() {
            if let Err(why) = self.prepare_another_look(wait, deadline).await {
                return Some(why);
            }
            if let Some(why) = self.walk_all().await {
                return Some(why);
            }
            // Whoever names an image waits for the answer: a push that is under way has its two seconds.
            let is_named = matches!(self.policy.scope.source, Source::Images(_));
            wait = if is_named {
                BEFORE_LAST_LOOK
            } else {
                wait.min(BEFORE_LAST_LOOK)
            };
        }
        self.conclude().await;
        None
    }

    /// Walks everything that is waiting.
    async fn walk_all(&mut self) -> Option<Unverified> {
        loop {
            while self.running.len() < self.policy.concurrency.get() {
                let Some((walk, visit)) = self.next() else {
                    break;
                };
                self.running.start(&self.registry, walk, visit);
            }
            let (walk, seen) = self.running.next().await?;
            if let Some(why) = self.absorb(walk, seen) {
                return Some(why);
            }
            if self.troubles_in_a_row >= SUSPICIOUS_ROW {
                if let Err(why) = control::answers(&self.registry, &self.controls).await {
                    return Some(why);
                }
                self.troubles_in_a_row = 0;
            }
        }
    }

    /// Adds a walk to those that are open. Gives its number.
    pub(super) fn open(&mut self, walk: Walk, before: Option<Box<Walked>>) -> usize {
        let free = self.walks.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.walks.push(None);
            self.walks.len() - 1
        });
        self.walks[number] = Some(Open { walk, before });
        number
    }

    /// The next question. A repository that is slow leaves half of the places to the others.
    fn next(&mut self) -> Option<(usize, Visit)> {
        let share = self.policy.concurrency.get().div_ceil(2);
        loop {
            if let Some(next) = self.go_on(share) {
                return Some(next);
            }
            if !self.begin() {
                return self.go_on(usize::MAX);
            }
        }
    }

    /// Of a repository that is open and has fewer than `most` questions under way.
    fn go_on(&mut self, most: usize) -> Option<(usize, Visit)> {
        let walks = self.walks.iter_mut().enumerate();
        for (number, open) in walks.filter_map(|(number, open)| Some((number, open.as_mut()?))) {
            let walk = &mut open.walk;
            let blobs_may_go =
                self.blobs_seen >= PROBATION || self.running.blobs < BLOBS_ON_PROBATION;
            let Some(step) = walk.next(blobs_may_go, most) else {
                continue;
            };
            let visit = Visit::of(
                step,
                walk,
                &mut self.reading,
                &mut self.repeats,
                &self.recall,
            );
            let visit = visit.unless_withheld(&self.withheld);
            return Some((number, self.refusals.unless_given_up(visit)));
        }
        None
    }

    /// Opens a repository that is waiting, if there is one.
    fn begin(&mut self) -> bool {
        let Some(Task {
            repository,
            is_listed,
            mut before,
        }) = self.waiting.pop_front()
        else {
            return false;
        };
        let scope = &self.policy.scope;
        let mut history = match &mut before {
            Some(before) => std::mem::take(&mut before.history),
            // A cache is not asked for what it may not have.
            None if self.policy.mode == Mode::PullThrough => History::default(),
            None => {
                let known = self.known.repositories.get(&repository);
                History::of(known, |tag| scope.tags.takes(tag.as_str()))
            }
        };
        history.has_no_room = self.known.has_no_room;
        let is_known = history.has_past();
        if self.policy.suspects.contains(&repository) && !is_known {
            history.read_at = Some(self.policy.closest());
        }
        let is_first = history.looks == 0;
        let mut walk = Walk::new(repository, self.policy, history);
        // A method that is decided here is that of all visits from here on.
        self.recall.decide(&self.registry);
        if self.recall.is_by_head() && is_first {
            let was_pulled = self.recall.was_pulled(walk.repository());
            if was_pulled {
                walk.pull_no_tag();
            }
        }
        if !matches!(scope.source, Source::Images(_)) {
            walk.read_list(is_listed);
        }
        if let Some(before) = &mut before {
            before.suspicions = Vec::new();
            walk.begin_again(std::mem::take(&mut before.doubtful));
        }
        self.open(walk, before);
        true
    }

    /// Takes in what a visit saw. What it gives is a reason to end the sweep at once.
    fn absorb(&mut self, number: usize, seen: Seen) -> Option<Unverified> {
        self.refusals.note(&seen);
        self.count_trouble(&seen);
        let walk = &mut self.walks[number].as_mut()?.walk;
        walk.answered();
        match seen {
            Seen::Tags(listing) => take_tags(walk, listing, self.policy),
            Seen::IsKnown(is_known) => walk.is_known(is_known),
            Seen::Resolved(id, Ok(pointed)) => self.resolved(number, id, pointed),
            Seen::Resolved(id, Err(outcome)) => _ = walk.tag_seen(id, Err(outcome)),
            Seen::Manifest(id, digest, judged, document, is_new) => {
                if is_new {
                    walk.is_pushed(id);
                }
                self.manifest_seen(number, id, digest, judged, document);
            }
            Seen::Blob(id, digest, depth, mut judged) => {
                self.blobs_seen = self.blobs_seen.saturating_add(1);
                self.reading
                    .seen((&digest, &walk.turns_of(id)), depth, &judged);
                if judged.outcome == Outcome::Intact {
                    // Another repository's may have been read since the question was put.
                    judged.config = judged.config.or_else(|| self.reading.config(&digest));
                    let repository = walk.repository();
                    self.copies.seen(Endpoint::Blobs, &digest, repository);
                    let length = judged.length;
                    self.controls.blob_is_intact(repository, digest, length);
                }
                walk.blob_seen(id, depth, judged);
            }
            Seen::Attached(id, told) => walk.attached_seen(id, told),
            Seen::CachedBlob => {
                self.ledger.warn(LOOKS_LIKE_A_CACHE);
                return Some(Unverified::new(
                    UnverifiedReason::Protocol,
                    LOOKS_LIKE_A_CACHE,
                ));
            }
            Seen::Lost(why) => walk.obstruct(&why),
        }
        let is_done = |open: &mut Open| open.walk.is_done();
        if let Some(open) = self.walks[number].take_if(is_done) {
            let walked = self.end(open, None);
            if walked.needs_another_look() && self.doubtful.len() >= MOST_DOUBTFUL {
                let detail = format!(
                    "more than {MOST_DOUBTFUL} repositories are not plainly intact, and the others are looked at once"
                );
                let why = Unverified::new(UnverifiedReason::TooLarge, detail);
                self.ledger.cut_short(walked, &why);
            } else if walked.needs_another_look() {
                self.doubtful.push(walked);
            } else {
                self.ledger.walked(walked);
            }
        }
        None
    }

    /// What is attached is aside: it says nothing of the registry.
    fn count_trouble(&mut self, seen: &Seen) {
        if seen.is_trouble() && !self.refusals.has_given_up() {
            self.troubles_in_a_row += 1;
        } else if !matches!(seen, Seen::Attached(..)) {
            self.troubles_in_a_row = 0;
        }
    }

    fn resolved(&mut self, number: usize, id: TagId, pointed: Pointed) {
        let Some(Open { walk, .. }) = &mut self.walks[number] else {
            return;
        };
        if let Some(head) = pointed.by_head {
            walk.tag_seen(id, Ok(head));
        }
        let digest = pointed.digest;
        let node = walk.tag_seen(id, Ok(digest.clone()));
        if let Some(inventory) = &self.policy.inventory {
            inventory.tag_seen(walk.repository(), walk.tag(id), &digest);
        }
        if let (Some(node), Some(form)) = (node, pointed.form) {
            walk.read_as(node, form);
        }
        if let (Some(node), Some((judged, document))) = (node, pointed.manifest)
            && walk.came_along(node)
        {
            self.manifest_seen(number, node, digest, judged, document);
        }
    }

    fn manifest_seen(
        &mut self,
        number: usize,
        id: NodeId,
        digest: Digest,
        judged: Judged,
        document: Option<Document>,
    ) {
        self.reading.heed(&self.registry);
        let Some(Open { walk, .. }) = &mut self.walks[number] else {
            return;
        };
        if let (Some(inventory), Some(document)) = (&self.policy.inventory, &document) {
            inventory.manifest_seen(walk.repository(), &digest, document);
        }
        if judged.is_whole_manifest() {
            let repository = walk.repository();
            self.copies.seen(Endpoint::Manifests, &digest, repository);
            self.controls.manifest_is_intact(repository, digest);
        }
        let config = document.as_ref().and_then(|it| it.config.as_ref());
        let config = config.and_then(|config| self.reading.config(&config.digest));
        walk.manifest_seen(id, judged, document, config);
    }

    /// What a walk comes to, with what the looks before it saw. `cut_short` says why it ended early.
    pub(super) fn end(&mut self, open: Open, cut_short: Option<&Unverified>) -> Walked {
        let walked = open
            .walk
            .finish(self.policy.depth, cut_short, &mut self.room);
        if let Some(inventory) = &self.policy.inventory {
            inventory.left_out(&walked.repository, &walked.left_out);
        }
        let is_first = open.before.is_none();
        let walked = match open.before {
            Some(before) => walked.after(*before),
            None => walked,
        };
        self.is_in_doubt |= walked.has_deletions || walked.presence == Presence::Gone;
        self.ledger.looked(&walked, is_first);
        walked
    }
}
