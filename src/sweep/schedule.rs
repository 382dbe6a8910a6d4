//! When the bytes of blobs are read: which of them a sweep owes, and how long it may read others besides.
//!
//! To read every blob in every sweep would cost too much, so it is spread over a period. Time is cut into
//! slots as long as the interval between sweeps, and a blob's digest says in which slot of a period it is
//! due. Nothing has to be remembered for that, and probes that share a registry agree. Where it is remembered
//! when each slot was last read, a late sweep leaves none out, and an early one reads none twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::oci::Digest;
use crate::registry::Depth;
use crate::report::{Reads, Slots};

/// Slots of a period, at most: what is remembered of each takes memory.
const MOST_SLOTS: u128 = 4096;

/// A sweep reads so large a part of all slots that are due, at most: a sixth.
const CATCH_UP: usize = 6;

/// How reads of the same depth are spread over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Duration,
    interval: Duration,
}

/// How often the bytes of blobs are read, at each depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules {
    /// Their last bytes, and how long a sweep may take to read more of them than are due. Without it, every
    /// sweep reads all.
    pub tail: Option<(Schedule, Duration)>,
    /// All their bytes, and how many of them one sweep reads at most. Without it, they are read only at depth
    /// `digest`, in every sweep.
    pub digest: Option<(Schedule, Option<u64>)>,
    /// Whether layers are unpacked whose turn it is to be read in full.
    pub unpacks: bool,
}

/// What one sweep owes: the blobs of some slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether each slot is due.
    due: Vec<bool>,
    every: Duration,
    slots: Slots,
    now: SystemTime,
}

/// What one sweep is to read of blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// The last bytes of these, and others besides while the sweep has not run for so long; `None` for all.
    pub tail: Option<(Turn, Duration)>,
    /// All bytes of these, up to so many in all; `None` for none.
    pub digest: Option<(Arc<Turn>, Option<u64>)>,
    /// Whether layers are unpacked that are among these.
    pub unpacks: bool,
}

impl Schedules {
    /// What a sweep at this depth owes that begins now, where the bytes of blobs were last read then.
    #[must_use]
    pub fn owed(&self, depth: Depth, reads: &Reads, now: SystemTime) -> Owed {
        let tail = self.tail.as_ref().filter(|_| depth == Depth::Tail);
        let in_turn = if self.unpacks {
            Depth::Unpack
        } else {
            Depth::Digest
        };
        let digest = self.digest.as_ref().filter(|_| depth < in_turn);
        Owed {
            tail: tail.map(|(schedule, load)| (schedule.turn(now, reads.tail.as_ref()), *load)),
            digest: digest
                .map(|(schedule, most)| (schedule.turn(now, reads.digest.as_ref()).into(), *most)),
            unpacks: self.unpacks,
        }
    }
}

impl Schedule {
    /// Every blob once in `every`, by sweeps that begin every `interval`.
    #[must_use]
    pub fn new(every: Duration, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_millis(1));
        Self { every, interval }
    }

    /// What a sweep that begins at `now` owes: the blobs of the slot whose time it is, or, where it is known
    /// when `slots` were last read, of those whose time has come since then.
    #[must_use]
    pub fn turn(&self, now: SystemTime, slots: Option<&Slots>) -> Turn {
        let count = self.every.as_nanos() / self.interval.as_nanos();
        let length = if count > MOST_SLOTS {
            self.every.as_nanos() / MOST_SLOTS
        } else {
            self.interval.as_nanos()
        };
        let count = count.clamp(1, MOST_SLOTS);
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let current = since.as_nanos() / length;
        let size = usize::try_from(count).unwrap_or(1);
        let slots = match slots {
            Some(slots) => slots.divided(size),
            // The slot whose time it is, and no other, was not read in its time.
            None => Slots::new(size, time((current * length).saturating_sub(1_000_000_000))),
        };
        let is_due = |slot: &usize| {
            let before = (current % count + count - *slot as u128) % count;
            let begin = current.saturating_sub(before) * length;
            // Nothing is read less often than every sweep where one slot is all.
            count == 1 || slots.owed_since(*slot) < time(begin)
        };
        // After a pause, or where the schedule changed, all are due: some in each sweep, so that one ends.
        let most = (size / CATCH_UP).max(CATCH_UP / 2);
        let mut latest: Vec<_> = (0..size).filter(is_due).collect();
        latest.sort_by_key(|slot| slots.owed_since(*slot));
        latest.truncate(most);
        let mut due = vec![false; size];
        for slot in latest {
            due[slot] = true;
        }
        let every = Duration::from_nanos(u64::try_from(length * count).unwrap_or(u64::MAX));
        Turn {
            due,
            every,
            slots,
            now,
        }
    }
}

fn time(nanos: u128) -> SystemTime {
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

impl Turn {
    /// In how long a time every blob is read once.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn slot(&self, digest: &Digest) -> usize {
        let slot = digest.spread() % self.due.len() as u64;
        usize::try_from(slot).unwrap_or(0)
    }

    pub(super) fn is_due(&self, digest: &Digest) -> bool {
        self.due[self.slot(digest)]
    }

    /// When each slot was last read after a sweep that did not read all blobs of the slots that are `missed`.
    pub(super) fn after(&self, missed: &[bool]) -> Slots {
        let mut slots = self.slots.clone();
        for (slot, _) in missed.iter().enumerate().filter(|(_, missed)| !**missed) {
            slots.read(slot, self.now);
        }
        slots
    }

    /// When each slot was last read after a sweep that read all blobs.
    #[must_use]
    pub fn all_read(&self) -> Slots {
        self.after(&vec![false; self.count()])
    }

    /// When each slot was last read after a sweep that read what was due, as far as it may.
    pub(super) fn after_what_is_due(&self) -> Slots {
        let missed: Vec<_> = self.due.iter().map(|is_due| !is_due).collect();
        self.after(&missed)
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn count(&self) -> usize {
        self.due.len()
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
    fn reads(schedule: &Schedule, moments: impl Iterator<Item = Duration>, count: u32) -> Vec<u32> {
        let blobs = blobs(count);
        let mut reads = vec![0; blobs.len()];
        for moment in moments {
            let turn = schedule.turn(at(moment), None);
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
            let schedule = Schedule::new(every, interval);
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
            let reads = reads(&schedule, (0..slots).map(late), 3_000);
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
            let schedule = Schedule::new(7 * DAY, interval);
            let start = 20_000 * DAY;
            let day = |day: u32| {
                let end = (start + DAY * (day + 1)).saturating_sub(interval);
                let read = all_read(
                    &schedule,
                    (start + DAY * day).saturating_sub(Duration::from_secs(1)),
                );
                bytes(due(&schedule.turn(at(end), Some(&read)), &blobs))
            };
            let days: Vec<u64> = (0..7).map(day).collect();
            let all: u64 = blobs.iter().map(|(_, size)| size).sum();
            assert_eq!(days.iter().sum::<u64>(), all);
            let even = all / 7;
            let is_even = |&day: &u64| day > even * 8 / 10 && day < even * 12 / 10;
            assert!(days.iter().all(is_even), "{interval:?}: {days:?} of {all}");
        }
    }

    /// When each slot was read, where a sweep that began then read all of them.
    fn all_read(schedule: &Schedule, then: Duration) -> Slots {
        schedule.turn(at(then), None).all_read()
    }

    #[test]
    fn late_sweeps_leave_none_out_early_ones_read_none_twice() {
        let schedule = Schedule::new(7 * DAY, HOUR / 4);
        let blobs = blobs(3_000);
        let mut reads = vec![0; blobs.len()];
        let mut now = 20_000 * DAY;
        let mut slots = all_read(&schedule, now.saturating_sub(Duration::from_secs(1)));
        let mut random = fastrand::Rng::with_seed(3);
        let mut read = |now: Duration, slots: &mut Slots| {
            let turn = schedule.turn(at(now), Some(slots));
            for number in due(&turn, &blobs) {
                reads[number] += 1;
            }
            *slots = turn.after_what_is_due();
        };
        while now < 20_007 * DAY {
            read(now, &mut slots);
            now += HOUR.mul_f64(random.f64());
        }
        read((20_007 * DAY).saturating_sub(HOUR / 8), &mut slots);
        assert!(reads.iter().all(|&times| times == 1));
    }

    #[test]
    fn after_a_long_pause_all_of_them_are_due_once_in_some_sweeps() {
        let schedule = Schedule::new(DAY, HOUR / 4);
        let blobs = blobs(500);
        let mut slots = all_read(&schedule, 19_000 * DAY);
        let mut reads = vec![0; blobs.len()];
        for sweep in 0..10 {
            let turn = schedule.turn(at(20_000 * DAY + HOUR / 4 * sweep), Some(&slots));
            let due = due(&turn, &blobs);
            assert!(due.len() < blobs.len() / 3, "{}", due.len());
            for number in due {
                reads[number] += 1;
            }
            slots = turn.after_what_is_due();
        }
        // And some in their own turn since.
        assert!(reads.iter().all(|&times| times == 1 || times == 2));
        let twice = reads.iter().filter(|&&times| times == 2).count();
        assert!(twice < blobs.len() / 5, "{twice}");
    }

    #[test]
    fn what_was_missed_is_due_again() {
        let schedule = Schedule::new(DAY, HOUR);
        let blobs = blobs(500);
        let before = all_read(&schedule, (20_000 * DAY).saturating_sub(HOUR));
        let turn = schedule.turn(at(20_000 * DAY), Some(&before));
        let missed = due(&turn, &blobs);
        assert!(!missed.is_empty());
        let slots = turn.after(&turn.due);
        let again = schedule.turn(at(20_000 * DAY + HOUR), Some(&slots));
        let again = due(&again, &blobs);
        assert!(missed.iter().all(|number| again.contains(number)));
        assert!(again.len() > missed.len(), "and those of the next slot");
        assert_eq!(slots.oldest(), before.oldest());
    }

    #[test]
    fn a_period_as_long_as_the_interval_is_every_sweep() {
        let blobs = blobs(100);
        for (every, interval) in [(Duration::ZERO, HOUR), (HOUR, HOUR), (HOUR, DAY)] {
            let schedule = Schedule::new(every, interval);
            let read = all_read(&schedule, 20_000 * DAY);
            let turn = schedule.turn(at(20_000 * DAY), Some(&read));
            assert_eq!(
                due(&turn, &blobs).len(),
                blobs.len(),
                "{every:?} {interval:?}"
            );
        }
        let seconds = Schedule::new(3650 * DAY, Duration::from_secs(1));
        assert_eq!(seconds.turn(at(20_000 * DAY), None).count(), 4096);
    }
}
