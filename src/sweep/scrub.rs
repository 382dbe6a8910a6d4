//! Which blobs a sweep reads in full: all of them, none, or the part whose turn it is.
//!
//! A full read of a whole registry in each sweep would cost too much, so it is spread over a period.
//! Time is cut into slots as long as the interval between sweeps, and a blob's digest says in which
//! slot of a period it is due. Nothing has to be remembered, and probes that share a registry agree.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::judge::Judged;
use crate::oci::Digest;
use crate::registry::Depth;
use crate::report::Outcome;

/// How full reads are spread over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub {
    every: Duration,
    interval: Duration,
    most_bytes: Option<u64>,
}

/// The part of all blobs that one sweep reads in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    slots: u64,
    /// The first slot, counted from 1970, and how many from there.
    first: u64,
    count: u64,
    period: Duration,
    most_bytes: Option<u64>,
}

impl Scrub {
    /// Every blob once in `every`, by sweeps that begin every `interval`, each of which reads
    /// `most_bytes` at most.
    #[must_use]
    pub fn new(every: Duration, interval: Duration, most_bytes: Option<u64>) -> Self {
        let interval = interval.max(Duration::from_millis(1));
        Self {
            every,
            interval,
            most_bytes,
        }
    }

    /// The number of the slot that a moment is in, counted from 1970.
    #[must_use]
    pub fn slot(&self, at: SystemTime) -> u64 {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        whole(since.unwrap_or_default(), self.interval)
    }

    /// What a sweep that begins at `now` reads: the blobs of its own slot, and of those after `since`,
    /// the last one that is known to be done, so that a late sweep leaves none out and an early one
    /// reads none twice.
    #[must_use]
    pub fn turn(&self, now: SystemTime, since: Option<u64>) -> Turn {
        let slots = whole(self.every, self.interval).max(1);
        let slot = self.slot(now);
        // What is done in the future was done by a clock that was set back since.
        let since = since.filter(|since| *since <= slot);
        let count = since.map_or(1, |since| (slot - since).min(slots));
        Turn {
            slots,
            first: (slot + 1).saturating_sub(count),
            count,
            period: self.interval * u32::try_from(slots).unwrap_or(u32::MAX),
            most_bytes: self.most_bytes,
        }
    }
}

fn whole(length: Duration, part: Duration) -> u64 {
    u64::try_from(length.as_nanos() / part.as_nanos()).unwrap_or(u64::MAX)
}

impl Turn {
    /// How long it takes until every blob was read once.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    fn is_due(&self, digest: &Digest) -> bool {
        let own = digest.spread() % self.slots;
        let from_first = (own + self.slots - self.first % self.slots) % self.slots;
        from_first < self.count
    }
}

/// What a sweep has read in full so far, and what it still may.
pub(super) struct Reading<'a> {
    depth: Depth,
    turn: Option<&'a Turn>,
    bytes_left: u64,
    left_out: u64,
    /// Blobs that were read whole and found intact, wherever: their bytes need no second reading.
    done: HashSet<Digest>,
    bytes: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(turn: Option<&'a Turn>, depth: Depth) -> Self {
        let most_bytes = turn.and_then(|turn| turn.most_bytes);
        Self {
            depth,
            turn,
            bytes_left: most_bytes.unwrap_or(u64::MAX),
            left_out: 0,
            done: HashSet::new(),
            bytes: 0,
        }
    }

    /// How closely to look at a blob of which `size` bytes are promised.
    pub(super) fn depth(&mut self, digest: &Digest, size: Option<u64>) -> Depth {
        let shallow = self.depth.min(Depth::Tail);
        if self.done.contains(digest) {
            return shallow;
        }
        let turn = self.turn.filter(|_| self.depth != Depth::Digest);
        let Some(turn) = turn else {
            return self.depth;
        };
        if !turn.is_due(digest) {
            return shallow;
        }
        if let Some(left) = self.bytes_left.checked_sub(size.unwrap_or_default()) {
            self.bytes_left = left;
            Depth::Digest
        } else {
            self.left_out += 1;
            shallow
        }
    }

    /// Notes what a look at this depth came to.
    pub(super) fn seen(&mut self, digest: &Digest, depth: Depth, judged: &Judged) {
        if depth != Depth::Digest || matches!(judged.outcome, Outcome::Unverified(_)) {
            return;
        }
        // A length is what the registry says it is.
        let length = judged.length.unwrap_or_default();
        self.bytes = self.bytes.saturating_add(length);
        if judged.outcome == Outcome::Intact {
            self.done.insert(digest.clone());
        }
    }

    /// The bytes of all blobs that were read in full.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What a reader should know if the limit kept blobs from being read in their turn.
    pub(super) fn warning(&self) -> Option<String> {
        let turn = self.turn.filter(|_| self.left_out > 0)?;
        let period = humantime::format_duration(turn.period);
        Some(format!(
            "{} blobs whose turn it was were not read in full, because of --scrub-max-bytes; their \
             next turn is in {period}",
            self.left_out
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn at(since_1970: Duration) -> SystemTime {
        SystemTime::UNIX_EPOCH + since_1970
    }

    /// Digests with sizes as layers have them: many small ones, few large ones.
    fn blobs(count: u32) -> Vec<(Digest, u64)> {
        let mut random = fastrand::Rng::with_seed(7);
        let blob = |number: u32| {
            let size = 10_f64.powf(random.f64() * 3.0 + 4.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a size"
            )]
            let size = size as u64;
            (Digest::sha256(&number.to_be_bytes()), size)
        };
        (0..count).map(blob).collect()
    }

    fn due(turn: &Turn, blobs: &[(Digest, u64)]) -> Vec<usize> {
        let numbered = blobs.iter().enumerate();
        let due = numbered.filter(|(_, (digest, _))| turn.is_due(digest));
        due.map(|(number, _)| number).collect()
    }

    /// The number of times that each blob is read by sweeps that begin at these moments, each without
    /// knowledge of the others.
    fn reads(scrub: &Scrub, moments: impl Iterator<Item = Duration>, count: u32) -> Vec<u32> {
        let blobs = blobs(count);
        let mut reads = vec![0; blobs.len()];
        for moment in moments {
            let turn = scrub.turn(at(moment), None);
            for number in due(&turn, &blobs) {
                reads[number] += 1;
            }
        }
        reads
    }

    #[test]
    fn in_one_period_every_blob_is_read_exactly_once() {
        let mut random = fastrand::Rng::with_seed(11);
        for (every, interval) in [
            (7 * DAY, HOUR / 4),
            (7 * DAY, DAY),
            (DAY, 7 * HOUR / 3),
            (HOUR, HOUR),
            (HOUR, DAY),
        ] {
            let scrub = Scrub::new(every, interval, None);
            let slots = (every.as_secs_f64() / interval.as_secs_f64())
                .floor()
                .max(1.0);
            // Any period, and not only those that begin with a year.
            let first = interval * random.u32(100_000..120_000);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small"
            )]
            let slots = slots as u32;
            // A job begins a little after its time, some sooner and some later.
            let late = |slot| first + interval * slot + interval.mul_f64(random.f64() * 0.9);
            let reads = reads(&scrub, (0..slots).map(late), 3_000);
            assert!(
                reads.iter().all(|&times| times == 1),
                "{every:?} {interval:?}"
            );
        }
    }

    #[test]
    fn bytes_are_spread_evenly() {
        let blobs = blobs(10_000);
        let bytes = |numbers: Vec<usize>| numbers.iter().map(|&n| blobs[n].1).sum::<u64>();
        // By the day, of which a slot of 15 minutes is too small a part to be even with 10,000 blobs.
        for interval in [DAY, HOUR / 4] {
            let scrub = Scrub::new(7 * DAY, interval, None);
            let start = 20_000 * DAY;
            let day = |day: u32| {
                let end = (start + DAY * (day + 1)).saturating_sub(interval);
                let before = scrub.slot(at(start + DAY * day)) - 1;
                bytes(due(&scrub.turn(at(end), Some(before)), &blobs))
            };
            let days: Vec<u64> = (0..7).map(day).collect();
            let all: u64 = blobs.iter().map(|(_, size)| size).sum();
            assert_eq!(days.iter().sum::<u64>(), all);
            let even = all / 7;
            let is_even = |&day: &u64| day > even * 8 / 10 && day < even * 12 / 10;
            assert!(days.iter().all(is_even), "{interval:?}: {days:?} of {all}");
        }
    }

    #[test]
    fn late_sweeps_leave_none_out_early_ones_read_none_twice() {
        let scrub = Scrub::new(7 * DAY, HOUR / 4, None);
        let blobs = blobs(3_000);
        let mut reads = vec![0; blobs.len()];
        let mut since = Some(scrub.slot(at(20_000 * DAY)) - 1);
        let mut now = 20_000 * DAY;
        let mut random = fastrand::Rng::with_seed(3);
        while now < 20_007 * DAY {
            let turn = scrub.turn(at(now), since);
            for number in due(&turn, &blobs) {
                reads[number] += 1;
            }
            since = Some(scrub.slot(at(now)));
            now += HOUR.mul_f64(random.f64());
        }
        let last = scrub.turn(at((20_007 * DAY).saturating_sub(HOUR / 8)), since);
        for number in due(&last, &blobs) {
            reads[number] += 1;
        }
        assert!(reads.iter().all(|&times| times == 1));
    }

    #[test]
    fn a_clock_that_was_ahead_and_is_set_back_stops_no_reading() {
        let scrub = Scrub::new(DAY, HOUR, None);
        let now = at(20_000 * DAY);
        let ahead = scrub.slot(at(20_400 * DAY));
        let turn = scrub.turn(now, Some(ahead));
        assert_eq!((turn.first, turn.count), (scrub.slot(now), 1));
        let again = scrub.turn(now, Some(scrub.slot(now)));
        assert_eq!(again.count, 0, "what is done is not read twice");
    }

    #[test]
    fn after_a_long_pause_all_of_them_are_due_once() {
        let scrub = Scrub::new(DAY, HOUR, None);
        let blobs = blobs(500);
        let turn = scrub.turn(at(20_000 * DAY), Some(0));
        assert_eq!(due(&turn, &blobs).len(), blobs.len());
    }
}
