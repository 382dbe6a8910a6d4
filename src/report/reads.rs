//! When the bytes of blobs were last read, by slots of their digests: what a sweep owes follows from it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// When the bytes of all blobs were last read, at each depth at which reads are spread over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Of their last bytes.
    #[serde(default)]
    pub tail: Option<Slots>,
    /// Of all their bytes.
    #[serde(default)]
    pub digest: Option<Slots>,
}

impl Reads {
    /// Takes in when things were read as of a later sweep; what that did not spread over time stays.
    pub(super) fn update(&mut self, later: &Self) {
        for (slots, later) in [
            (&mut self.tail, &later.tail),
            (&mut self.digest, &later.digest),
        ] {
            if later.is_some() {
                slots.clone_from(later);
            }
        }
    }
}

/// When the blobs of each slot were last read, all of them. Which slot a blob is in follows from its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Since when reads are counted, in milliseconds since 1970.
    since: u64,
    /// When each slot was last read, in milliseconds since 1970; `None` if it was not since then.
    read_at: Vec<Option<u64>>,
}

impl Slots {
    /// So many slots of which none was read since a moment.
    #[must_use]
    pub fn new(count: usize, since: SystemTime) -> Self {
        Self {
            since: millis(since),
            read_at: vec![None; count],
        }
    }

    /// The same for another number of slots: what was read since when is kept, and which slots were is not.
    #[must_use]
    pub fn divided(&self, count: usize) -> Self {
        if self.read_at.len() == count {
            return self.clone();
        }
        Self {
            since: self.owed_since_millis(),
            read_at: vec![self.oldest_millis(); count],
        }
    }

    /// Since when this slot is owed a read: its last one, or when reads were first counted.
    #[must_use]
    pub fn owed_since(&self, slot: usize) -> SystemTime {
        let read_at = self.read_at.get(slot).copied().flatten();
        time(read_at.unwrap_or(self.since))
    }

    /// Since when some slot is owed a read.
    #[must_use]
    pub fn all_owed_since(&self) -> SystemTime {
        time(self.owed_since_millis())
    }

    /// When the slot was read that was not read for the longest time; `None` if one never was.
    #[must_use]
    pub fn oldest(&self) -> Option<SystemTime> {
        self.oldest_millis().map(time)
    }

    /// Notes that all blobs of a slot were read by a sweep that began then.
    pub fn read(&mut self, slot: usize, at: SystemTime) {
        if let Some(read_at) = self.read_at.get_mut(slot) {
            *read_at = Some(millis(at));
        }
    }

    /// What was read later than now was read by a clock that was set back since.
    pub(super) fn forget_the_future(&mut self, now: SystemTime) {
        let now = millis(now);
        for time in self.read_at.iter_mut().flatten().chain([&mut self.since]) {
            *time = now.min(*time);
        }
    }

    fn owed_since_millis(&self) -> u64 {
        let owed = self
            .read_at
            .iter()
            .map(|read_at| read_at.unwrap_or(self.since));
        owed.min().unwrap_or(self.since)
    }

    fn oldest_millis(&self) -> Option<u64> {
        // `None` sorts before every time.
        self.read_at.iter().copied().min().flatten()
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    let since = Duration::from_millis(millis);
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_once_all_were_read() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut slots = Slots::new(2, at(10));
        assert_eq!((slots.oldest(), slots.all_owed_since()), (None, at(10)));
        slots.read(0, at(30));
        assert_eq!((slots.oldest(), slots.all_owed_since()), (None, at(10)));
        slots.read(1, at(20));
        assert_eq!(
            (slots.oldest(), slots.all_owed_since()),
            (Some(at(20)), at(20))
        );
        let divided = slots.divided(3);
        assert_eq!(
            (divided.oldest(), divided.owed_since(2)),
            (Some(at(20)), at(20))
        );
        slots.forget_the_future(at(5));
        assert_eq!(slots.oldest(), Some(at(5)));
    }
}
