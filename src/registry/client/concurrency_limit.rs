//! How many requests a host takes at a time, found by asking for more until it shows that it is too
//! many: it refuses, it stays silent, or its answers take much longer than when nobody else asks.
//!
//! Pure: what happened goes in, a number comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::meter::Asked;

/// Requests at a time in the beginning, while nothing is known of the host.
const AT_FIRST: f64 = 4.0;
/// Answers that one judgement of their durations is made of.
const WINDOW: usize = 32;
/// After so many answers, some are asked for one at a time, to see how long they take then: early at
/// first, and less and less often.
const FIRST_ALONE: u32 = 64;
const LATER_ALONE: u32 = 1024;
const ALONE: u32 = 8;
/// How many times as long as alone answers may take before that is called too much.
const PATIENCE: f64 = 2.0;
/// Single answers are late for any reason: none counts for more than this many times what is too much.
const LATEST: f64 = 2.0;
/// How much of what is known of a time alone each new one replaces.
const NEW: f64 = 0.125;
/// Below this part of what is too much there is room for more.
const ROOM: f64 = 0.75;
/// How much each answer adds until the host shows that it is too many: half as many again in the time that one takes.
const AT_THE_START: f64 = 0.5;
/// Differences of this many seconds are this machine's as well as the registry's.
const NOISE: f64 = 0.0005;

/// What takes about the same time: what is asked for, and whether by HEAD.
pub(super) type Sort = (Asked, bool);

/// The state of the search.
pub(super) struct Limit {
    most: f64,
    now: f64,
    /// Until the host shows for the first time that it is too many.
    is_rising: bool,
    alone: BTreeMap<Sort, Alone>,
    /// How long answers took, as parts of what is too long.
    loads: Vec<f64>,
    /// Answers from one time that some are asked for alone to the next, those until then, and how many
    /// of these are left.
    between: u32,
    until_alone: u32,
    alone_left: u32,
}

/// How long an answer takes when nobody else asks.
struct Alone {
    seconds: f64,
    /// Whether nobody else did. Before that was seen, the shortest time stands for it.
    is_certain: bool,
}

impl Limit {
    /// `most` at a time, whatever the host could take.
    pub(super) fn new(most: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "nobody asks for so many")]
        let most = most as f64;
        Self {
            most,
            now: most.min(AT_FIRST),
            is_rising: true,
            alone: BTreeMap::new(),
            loads: Vec::with_capacity(WINDOW),
            between: FIRST_ALONE,
            until_alone: FIRST_ALONE,
            alone_left: 0,
        }
    }

    /// How many there may be now.
    pub(super) fn requests(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a number that was one of these"
        )]
        let now = self.now.round() as usize;
        if self.alone_left > 0 { 1 } else { now }
    }

    /// Notes how long an answer took, and whether nobody else asked in the meantime.
    pub(super) fn took(&mut self, sort: Sort, took: Duration, was_alone: bool) {
        let took = took.as_secs_f64();
        self.learn(sort, took, was_alone);
        if self.alone_left > 0 {
            self.alone_left -= u32::from(was_alone);
            return;
        }
        if self.is_rising {
            self.rise(AT_THE_START);
        }
        let alone = self.alone.get(&sort).map_or(took, |alone| alone.seconds);
        let load = took / (PATIENCE * alone + NOISE);
        self.loads.push(load.min(LATEST));
        if self.loads.len() == WINDOW {
            self.judge();
        }
        self.until_alone -= 1;
        if self.until_alone == 0 {
            self.between = (self.between * 4).min(LATER_ALONE);
            self.until_alone = self.between;
            self.alone_left = ALONE;
            self.loads.clear();
        }
    }

    fn learn(&mut self, sort: Sort, took: f64, was_alone: bool) {
        let known = self.alone.entry(sort).or_insert(Alone {
            seconds: took,
            is_certain: was_alone,
        });
        known.seconds = match (known.is_certain, was_alone) {
            (true, true) => known.seconds + (took - known.seconds) * NEW,
            (true, false) => known.seconds,
            (false, true) => took,
            (false, false) => known.seconds.min(took),
        };
        known.is_certain |= was_alone;
    }

    /// By the mean: where some answers are slow and others fast by nature, they are so alone, too.
    fn judge(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let load = self.loads.iter().sum::<f64>() / WINDOW as f64;
        self.loads.clear();
        if load > 1.0 {
            self.fall((1.0 / load).clamp(0.5, 0.9));
        } else if load < ROOM {
            self.rise(1.0);
        }
    }

    /// Notes that it takes too long until nobody else asks.
    pub(super) fn end_alone(&mut self) {
        self.alone_left = 0;
    }

    /// Notes that the host refused, or did not answer in time.
    pub(super) fn refused(&mut self) {
        self.fall(0.5);
    }

    /// Notes that the host takes so many more before it refuses.
    pub(super) fn remaining(&mut self, count: u32) {
        if f64::from(count) < self.now {
            self.is_rising = false;
            self.now = f64::from(count).max(1.0);
        }
    }

    fn rise(&mut self, by: f64) {
        self.now = (self.now + by).min(self.most);
    }

    fn fall(&mut self, to: f64) {
        self.is_rising = false;
        self.now = (self.now * to).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: Sort = (Asked::Blob, true);

    /// A host that answers `servers` at a time, each in 10 ms and a little more or less, and lets the
    /// others wait. Gives the limit's course.
    fn course(limit: &mut Limit, servers: usize, answers: u32) -> Vec<usize> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut answer = |_| {
            let requests = limit.requests();
            let waits = f64::from(u32::try_from(requests.div_ceil(servers)).unwrap_or(u32::MAX));
            let took = Duration::from_millis(10).mul_f64(waits * (0.8 + 0.4 * random.f64()));
            limit.took(BLOB, took, requests == 1);
            limit.requests()
        };
        (0..answers).map(&mut answer).collect()
    }

    #[test]
    fn a_host_with_room_is_asked_as_much_as_is_allowed() {
        let mut limit = Limit::new(8);
        assert_eq!(limit.requests(), 4);
        assert_eq!(course(&mut limit, 100, 100).last(), Some(&8));
        let course = course(&mut limit, 100, 5000);
        let full = course.iter().filter(|&&requests| requests == 8).count();
        assert!(full > 4800, "asked alone now and then: {full}");
        assert!(course.contains(&1));
    }

    #[test]
    fn a_host_with_room_is_asked_as_much_within_a_second() {
        let (mut limit, mut seconds) = (Limit::new(32), 0.0);
        while limit.requests() < 32 {
            let requests = limit.requests();
            limit.took(BLOB, Duration::from_millis(50), requests == 1);
            seconds += 0.05 / f64::from(u32::try_from(requests).expect("a few"));
            assert!(seconds < 1.0, "{requests} at a time");
        }
    }

    #[test]
    fn a_host_that_becomes_slow_is_asked_less() {
        for servers in [1, 2, 4] {
            let mut limit = Limit::new(32);
            course(&mut limit, servers, 1000);
            let course = course(&mut limit, servers, 3000);
            let sum: usize = course.iter().sum();
            let mean = sum / course.len();
            // Twice as long as alone is what twice as many as it has servers make.
            assert!((servers..=servers * 2).contains(&mean), "{servers}: {mean}");
        }
    }

    #[test]
    fn what_is_slow_by_nature_is_no_sign_of_too_much() {
        let mut limit = Limit::new(8);
        let mut random = fastrand::Rng::with_seed(7);
        let mut answer = |slow: f64| {
            let took = if random.f64() < slow { 300 } else { 1 };
            let is_alone = limit.requests() == 1;
            limit.took(BLOB, Duration::from_millis(took), is_alone);
            limit.requests()
        };
        for slow in [0.0, 0.5, 1.0, 0.1] {
            let course: Vec<_> = (0..2000).map(|_| answer(slow)).collect();
            let full = course.iter().filter(|&&requests| requests >= 4).count();
            assert!(full > 1000, "{slow}: {full} of 2000");
        }
    }

    #[test]
    fn a_single_late_answer_is_no_sign() {
        let mut limit = Limit::new(8);
        course(&mut limit, 100, 300);
        for number in 0..200 {
            let late = if number % 10 == 0 { 500 } else { 10 };
            let is_alone = limit.requests() == 1;
            limit.took(BLOB, Duration::from_millis(late), is_alone);
        }
        assert_eq!(limit.requests(), 8);
    }

    #[test]
    fn refusals_halve_and_answers_bring_it_back_slowly() {
        let mut limit = Limit::new(8);
        course(&mut limit, 100, 200);
        limit.refused();
        assert_eq!(limit.requests(), 4);
        limit.refused();
        limit.refused();
        limit.refused();
        assert_eq!(limit.requests(), 1, "and not less");
        let course = course(&mut limit, 100, 40);
        assert_eq!(course.last(), Some(&2));
    }

    #[test]
    fn no_more_than_the_host_says_that_it_takes() {
        let mut limit = Limit::new(8);
        limit.remaining(100);
        assert_eq!(limit.requests(), 4);
        limit.remaining(2);
        assert_eq!(limit.requests(), 2);
        limit.remaining(0);
        assert_eq!(limit.requests(), 1);
    }
}
