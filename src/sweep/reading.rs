//! How closely a sweep looks at each blob: what it owes, what it has time for, and what another repository
//! has shown.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use super::judge::Judged;
use super::schedule::{Owed, Turn};
use crate::oci::{Digest, ImageConfig};
use crate::registry::{Depth, Registry, Unverified, UnverifiedReason};
use crate::report::{Outcome, Reads, Record};

/// Blobs of which it is remembered in a sweep that their bytes were read, at most; others are read in each
/// repository that has them. Takes 9 bytes each.
const MOST_SHARED: usize = 400_000;

/// Configs of which it is remembered in a sweep what they say, at most; others are read in each repository that has
/// them. Takes 17 bytes each.
const MOST_CONFIGS: usize = 200_000;

/// How to look at a blob.
pub(super) struct Plan {
    /// How closely.
    pub(super) depth: Depth,
    /// What comes of it where another repository's copy of the same bytes is being read.
    pub(super) shared: Shared,
}

/// Whether the bytes of a blob are read for several repositories at once.
pub(super) enum Shared {
    /// They are not.
    No,
    /// They are read here, and others wait for whether they are intact.
    Here(watch::Sender<Option<BytesRead>>),
    /// They are read in another repository. HEAD shows whether this one has the blob, and the other whether
    /// its bytes are intact; if they are not, this repository is asked for them, too, at the plan's depth.
    Elsewhere(watch::Receiver<Option<BytesRead>>),
}

/// What came of reading a blob's bytes, for those who wait for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BytesRead {
    pub(super) is_intact: bool,
    /// What they say, if they were read as the config of an image.
    pub(super) config: Option<ImageConfig>,
    /// What they unpack to, if they were unpacked.
    pub(super) unpacks_to: Option<Digest>,
}

/// As what a blob is read.
#[derive(Clone, Copy)]
pub(super) enum Bytes<'a> {
    /// As the config of an image.
    Config,
    /// As a layer that is to unpack to each of these, if to any.
    Layer(&'a [Digest]),
}

/// What a sweep has read so far, and what it still may.
pub(super) struct Reading<'a> {
    pub(super) depth: Depth,
    /// Whether the bytes that one repository gave are those of all.
    is_shared: bool,
    owed: &'a Owed,
    /// Until when what is not due is read, too.
    until: Option<Instant>,
    bytes_left: u64,
    left_out: u64,
    /// Which slots have a blob whose last bytes were not read.
    missed: Vec<bool>,
    /// Blobs whose bytes were read, with what came of it, as hashes.
    marks: HashSet<u64>,
    /// Blobs whose bytes are being read.
    under_way: HashMap<u64, (Depth, watch::Receiver<Option<BytesRead>>)>,
    /// What configs say, by the hashes of their digests.
    configs: HashMap<u64, ImageConfig>,
    hashes: RandomState,
    bytes: u64,
    read: u64,
    put_off: u64,
}

/// What came of reading a blob's bytes.
#[derive(Clone, Copy, Hash)]
enum Mark {
    IntactTail,
    IntactDigest,
    /// They were not what they are to be, in one repository at least: the others are not taken for read by any.
    Broken,
}

impl<'a> Reading<'a> {
    /// Nothing is read yet of what is owed, in a sweep at this depth. What is `known` to be broken in one
    /// repository is read in all that have it.
    pub(super) fn new(owed: &'a Owed, depth: Depth, known: &Record) -> Self {
        let in_turn = owed.digest.as_ref().filter(|_| depth < Depth::Digest);
        let most_bytes = in_turn.and_then(|(_, most)| *most);
        let tail = owed.tail.as_ref();
        let hashes = RandomState::new();
        let known = known.findings();
        let known = known.filter(|finding| finding.kind.is_blob() && finding.depth > Depth::Head);
        let broken = known.filter_map(|finding| finding.digest.as_ref());
        let broken = broken.map(|digest| hashes.hash_one((digest, Mark::Broken)));
        Self {
            depth,
            is_shared: true,
            owed,
            until: tail.map(|(_, load)| Instant::now() + *load),
            bytes_left: most_bytes.unwrap_or(u64::MAX),
            left_out: 0,
            missed: vec![false; tail.map_or(0, |(turn, _)| turn.count())],
            marks: broken.take(MOST_SHARED).collect(),
            under_way: HashMap::new(),
            configs: HashMap::new(),
            hashes,
            bytes: 0,
            read: 0,
            put_off: 0,
        }
    }

    /// Heeds what the registry's software has shown of itself so far.
    pub(super) fn heed<R: Registry>(&mut self, registry: &R) {
        let shown = self.is_shared.then(|| registry.access().software).flatten();
        self.is_shared &= !shown.is_some_and(|it| it.name.stores_by_repository());
    }

    /// How to look at a blob of which `size` bytes are promised. What was seen broken `before` is looked at as
    /// closely again. It is its turn when it is that of any digest in `turns`. What is `wanted` is read whether it is due or not, as closely as that says. A config that another
    /// repository has shown counts as read if it is known what it says.
    pub(super) fn plan(
        &mut self,
        (digest, turns): (&Digest, &[&Digest]),
        size: Option<u64>,
        before: Option<Depth>,
        wanted: Option<Depth>,
        as_what: Bytes<'_>,
    ) -> Plan {
        let unpacks = self.depth.max(before.unwrap_or(Depth::Head)) == Depth::Unpack
            || matches!(as_what, Bytes::Layer([_, ..]));
        let is_broken = self.has(digest, Mark::Broken);
        let is_unread = match as_what {
            // What its layers unpack to is not remembered.
            Bytes::Config if unpacks => {
                let (depth, shared) = (Depth::Unpack, Shared::No);
                return Plan { depth, shared };
            }
            Bytes::Config => self.config(digest).is_none(),
            Bytes::Layer(diff_ids) => {
                let is_new = |diff_id| {
                    !self
                        .marks
                        .contains(&self.hashes.hash_one((digest, diff_id)))
                };
                unpacks && diff_ids.iter().any(is_new)
            }
        };
        let is_unread = is_broken || !self.is_shared || is_unread;
        let intact = if is_unread { None } else { self.intact(digest) };
        let broken = is_broken.then_some(Depth::Tail);
        let wanted = wanted.max(before).max(broken);
        let mut depth = self.depth(turns, size, intact, wanted);
        if depth == Depth::Digest
            && let Bytes::Layer([_, ..]) = as_what
            && unpacks
        {
            depth = Depth::Unpack;
        }
        if let Some(before) = before {
            let (depth, shared) = (depth.max(before), Shared::No);
            return Plan { depth, shared };
        }
        let shared = if depth > Depth::Head && !is_broken && self.is_shared {
            self.share(digest, depth)
        } else {
            Shared::No
        };
        if matches!(shared, Shared::Elsewhere(_)) && depth >= Depth::Digest {
            // Its bytes are counted where they are read.
            self.bytes_left = self.bytes_left.saturating_add(size.unwrap_or_default());
        }
        Plan { depth, shared }
    }

    /// How closely a blob is to be looked at whose bytes were found `intact` at a depth in another repository.
    fn depth(
        &mut self,
        turns: &[&Digest],
        size: Option<u64>,
        intact: Option<Depth>,
        wanted: Option<Depth>,
    ) -> Depth {
        let is_wanted_in_full = wanted >= Some(Depth::Digest);
        if self.depth >= Depth::Digest || is_wanted_in_full || self.is_due_in_full(turns) {
            if intact == Some(Depth::Digest) {
                return Depth::Head;
            }
            let left = self.bytes_left.checked_sub(size.unwrap_or_default());
            if let Some(left) = left {
                self.bytes_left = left;
                return Depth::Digest;
            }
            self.left_out += 1;
        }
        if intact.is_some() {
            return Depth::Head;
        }
        if self.depth == Depth::Head {
            return wanted.unwrap_or(Depth::Head);
        }
        let Some((turn, _)) = &self.owed.tail else {
            return Depth::Tail;
        };
        let has_time = || self.until.is_some_and(|until| Instant::now() < until);
        if turns.iter().any(|digest| turn.is_due(digest))
            || wanted >= Some(Depth::Tail)
            || has_time()
        {
            return Depth::Tail;
        }
        self.put_off += 1;
        self.miss(turns);
        Depth::Head
    }

    fn is_due_in_full(&self, turns: &[&Digest]) -> bool {
        let owed = self.owed.digest.as_ref();
        owed.is_some_and(|(turn, _)| turns.iter().any(|digest| turn.is_due(digest)))
    }

    /// Reads bytes here, unless they are being read elsewhere.
    fn share(&mut self, digest: &Digest, depth: Depth) -> Shared {
        let key = self.hashes.hash_one(digest);
        if let Some((at, outcome)) = self.under_way.get(&key)
            && *at >= depth
        {
            return Shared::Elsewhere(outcome.clone());
        }
        if self.marks.len() >= MOST_SHARED {
            return Shared::No;
        }
        let (here, outcome) = watch::channel(None);
        self.under_way.insert(key, (depth, outcome));
        Shared::Here(here)
    }

    /// Notes that a blob's bytes were not read, though that may be their turn.
    fn miss(&mut self, turns: &[&Digest]) {
        if let Some((turn, _)) = &self.owed.tail {
            for digest in turns {
                self.missed[turn.slot(digest)] = true;
            }
        }
    }

    fn has(&self, digest: &Digest, mark: Mark) -> bool {
        !self.marks.is_empty() && self.marks.contains(&self.hashes.hash_one((digest, mark)))
    }

    fn intact(&self, digest: &Digest) -> Option<Depth> {
        if self.has(digest, Mark::IntactDigest) {
            Some(Depth::Digest)
        } else {
            self.has(digest, Mark::IntactTail).then_some(Depth::Tail)
        }
    }

    /// What a config says that was read in this sweep.
    pub(super) fn config(&self, digest: &Digest) -> Option<ImageConfig> {
        let known = || self.configs.get(&self.hashes.hash_one(digest)).copied();
        if self.configs.is_empty() {
            None
        } else {
            known()
        }
    }

    /// Notes what a look at this depth came to, at a blob whose turns are those of these digests.
    pub(super) fn seen(
        &mut self,
        (digest, turns): (&Digest, &[&Digest]),
        depth: Depth,
        judged: &Judged,
    ) {
        // Also from a look that waited for another repository's: that may be taken in later.
        if let Some(config) = judged.config.filter(|_| self.configs.len() < MOST_CONFIGS) {
            self.configs.insert(self.hashes.hash_one(digest), config);
        }
        if depth == Depth::Head {
            return;
        }
        self.under_way.remove(&self.hashes.hash_one(digest));
        let mark = match judged.outcome {
            Outcome::Unverified(_) => return self.miss(turns),
            Outcome::Broken(_) => Mark::Broken,
            Outcome::Intact if depth >= Depth::Digest => Mark::IntactDigest,
            Outcome::Intact => Mark::IntactTail,
        };
        self.read += 1;
        if depth >= Depth::Digest {
            // A length is what the registry says it is.
            let length = judged.length.unwrap_or_default();
            self.bytes = self.bytes.saturating_add(length);
        }
        if self.marks.len() < MOST_SHARED {
            self.marks.insert(self.hashes.hash_one((digest, mark)));
            let diff_id = judged.unpacks_to.as_ref();
            let pair = diff_id.map(|diff_id| self.hashes.hash_one((digest, diff_id)));
            self.marks.extend(pair);
        }
    }

    /// What was read, once the sweep has ended. `is_whole` says that nothing kept it from reaching all blobs but
    /// what keeps every sweep from it.
    pub(super) fn end(&self, is_whole: bool) -> Read {
        let tail = self.owed.tail.as_ref().map(|(turn, _)| turn);
        let digest = self.owed.digest.as_ref().map(|(turn, _)| &**turn);
        let after = |turn: &Turn| {
            if is_whole {
                turn.after(&self.missed)
            } else {
                turn.slots().clone()
            }
        };
        Read {
            blobs: self.read,
            put_off: self.put_off,
            bytes: self.bytes,
            every: tail.map(Turn::every),
            in_full_every: digest.map(Turn::every),
            reads: Reads {
                tail: tail.map(after),
                // What it could not reach comes again with its slot in the next period; to wait for a
                // complete sweep would leave out the slots that go by while others run.
                digest: digest.map(Turn::after_what_is_due),
            },
        }
    }

    /// What a reader should know if the limit kept blobs from being read in their turn.
    pub(super) fn warning(&self) -> Option<String> {
        let (turn, _) = self.owed.digest.as_ref().filter(|_| self.left_out > 0)?;
        let period = humantime::format_duration(turn.every());
        Some(format!(
            "{} blobs whose turn it was were not read in full, because of --scrub-max-bytes; their \
             next turn is in {period}",
            self.left_out
        ))
    }
}

/// What a sweep read of blobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    /// Blobs whose bytes were read.
    pub(super) blobs: u64,
    /// Blobs whose bytes are left to later sweeps.
    pub(super) put_off: u64,
    /// Bytes of the blobs that were read in full.
    pub(super) bytes: u64,
    /// In how long a time the last bytes of every blob are read once, if that is spread over time.
    pub(super) every: Option<Duration>,
    /// The same for all bytes.
    pub(super) in_full_every: Option<Duration>,
    /// When what was last read, as of now.
    pub(super) reads: Reads,
}

impl Read {
    /// When those blobs were read that were not read for the longest time; `None` if that is not known, or
    /// reads are not spread over time.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.reads.tail.as_ref()?.oldest()
    }

    /// Why what is left to later sweeps is not verified any more.
    pub(super) fn overdue(&self) -> Option<Unverified> {
        let (every, slots) = (self.every?, self.reads.tail.as_ref()?);
        let age = SystemTime::now().duration_since(slots.all_owed_since());
        let age = age.unwrap_or_default();
        (self.put_off > 0 && age > every * 2).then(|| {
            let minutes = |time: Duration| {
                humantime::format_duration(Duration::from_secs(time.as_secs() / 60 * 60))
            };
            let detail = format!(
                "bytes of some blobs were last read {} ago, and are to be read every {}",
                minutes(age),
                minutes(every)
            );
            Unverified::new(UnverifiedReason::ReadOverdue, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LAYER: Bytes<'_> = Bytes::Layer(&[]);
    use crate::report::{Defect, Evidence, Reason, Slots};
    use crate::sweep::schedule::Schedule;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn digest(number: u8) -> Digest {
        Digest::sha256(&[number])
    }

    fn judged(outcome: Outcome) -> Judged {
        Judged {
            length: Some(7),
            ..Judged::of(outcome)
        }
    }

    fn broken() -> Outcome {
        Outcome::Broken(Defect {
            reason: Reason::ShortRead,
            evidence: Box::new(Evidence::default()),
        })
    }

    /// A day that is as long as a hundred sweeps, of which each may take so long to read more than it owes.
    fn owed(load: Duration) -> Owed {
        let schedule = Schedule::new(DAY, DAY / 100);
        Owed {
            tail: Some((schedule.turn(SystemTime::now(), None), load)),
            ..Owed::default()
        }
    }

    #[tokio::test]
    async fn one_repository_reads_for_all_unless_it_is_broken() {
        let owed = Owed::default();
        let mut reading = Reading::new(&owed, Depth::Tail, &Record::new("r"));
        let plan = |reading: &mut Reading| {
            reading.plan((&digest(1), &[&digest(1)]), Some(7), None, None, NO_LAYER)
        };
        let first = plan(&mut reading);
        let Shared::Here(outcome) = first.shared else {
            panic!("it is read here");
        };
        let Shared::Elsewhere(mut waiting) = plan(&mut reading).shared else {
            panic!("it is being read");
        };
        let intact = BytesRead {
            is_intact: true,
            ..BytesRead::default()
        };
        outcome.send(Some(intact.clone())).expect("somebody waits");
        assert_eq!(
            *waiting.wait_for(Option::is_some).await.expect("sent"),
            Some(intact)
        );
        reading.seen(
            (&digest(1), &[&digest(1)]),
            first.depth,
            &judged(Outcome::Intact),
        );
        assert_eq!(plan(&mut reading).depth, Depth::Head);
        // One that is broken somewhere is read everywhere.
        reading.seen((&digest(1), &[&digest(1)]), Depth::Tail, &judged(broken()));
        let again = plan(&mut reading);
        assert!(matches!(
            (again.depth, again.shared),
            (Depth::Tail, Shared::No)
        ));
        // Where each has a file of its own, no repository reads for another.
        reading.is_shared = false;
        for _ in 0..2 {
            let own = reading.plan((&digest(3), &[&digest(3)]), Some(7), None, None, NO_LAYER);
            assert!(matches!((own.depth, own.shared), (Depth::Tail, Shared::No)));
            let seen = judged(Outcome::Intact);
            reading.seen((&digest(3), &[&digest(3)]), own.depth, &seen);
        }
        // What was seen broken before is looked at as closely again, by its own repository.
        let known = reading.plan(
            (&digest(2), &[&digest(2)]),
            None,
            Some(Depth::Digest),
            None,
            NO_LAYER,
        );
        assert!(matches!(
            (known.depth, known.shared),
            (Depth::Digest, Shared::No)
        ));
    }

    #[tokio::test]
    async fn what_is_not_due_waits_once_the_time_is_up() {
        let (hour, none) = (owed(Duration::from_secs(3600)), owed(Duration::ZERO));
        let count = |owed: &Owed, wanted| {
            let mut reading = Reading::new(owed, Depth::Tail, &Record::new("r"));
            // So many that some are due, whichever slot it is.
            for number in 0..4096_u16 {
                let digest = Digest::sha256(&number.to_be_bytes());
                let plan = reading.plan((&digest, &[&digest]), Some(7), None, wanted, NO_LAYER);
                if plan.depth == Depth::Tail {
                    reading.seen((&digest, &[&digest]), plan.depth, &judged(Outcome::Intact));
                }
            }
            let read = reading.end(true);
            (read.blobs, read.put_off, read.oldest().is_some())
        };
        assert_eq!(count(&hour, None), (4096, 0, true));
        assert_eq!(count(&none, Some(Depth::Tail)), (4096, 0, true));
        let (read, put_off, is_known) = count(&none, None);
        assert!((1..200).contains(&read), "{read}");
        assert_eq!((read + put_off, is_known), (4096, false));
    }

    #[test]
    fn reads_are_overdue_after_twice_their_time() {
        let ago = |days: u32| Read {
            put_off: 1,
            every: Some(DAY),
            reads: Reads {
                tail: Some(Slots::new(4, SystemTime::now() - DAY * days)),
                digest: None,
            },
            ..Read::default()
        };
        assert_eq!(ago(1).overdue(), None);
        let why = ago(3).overdue().expect("it is");
        assert_eq!(why.reason, UnverifiedReason::ReadOverdue);
        assert_eq!(
            &*why.detail,
            "bytes of some blobs were last read 3days ago, and are to be read every 1day"
        );
    }
}
