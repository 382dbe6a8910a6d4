//! Politeness towards one host: how many requests at a time and in a second, and when to wait.

use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::classify::{self, Failure, LONGEST_PAUSE};
use super::concurrency_limit::{Limit, Sort};
use super::meter::Meter;
use crate::registry::UnverifiedReason;

/// The pause after a first refusal that names none, doubled up to [`LONGEST_UNASKED`] while the
/// refusals go on (containers/image backs off from 2 to 60 seconds).
const FIRST_UNASKED: Duration = Duration::from_secs(2);
const LONGEST_UNASKED: Duration = Duration::from_secs(60);
/// Requests that were under way together are refused together, within this time: one refusal.
const TOGETHER: Duration = Duration::from_millis(100);
/// Timers are late by about this much, and what they are late is made up for.
const LATENESS: Duration = Duration::from_millis(5);
/// How much of the rate that a host was seen to take is asked of it from then on, and what that grows by
/// each second: faster after the first refusal that names no pause, for it says little.
const SAFELY: f64 = 0.9;
const GROWTH: f64 = 1.05;
const GROWTH_AT_FIRST: f64 = 1.25;
/// And what is left of it after one more refusal that names no pause.
const LESS: f64 = 0.8;
/// The lowest rate, in requests a second, that is concluded from refusals.
const LOWEST_RATE: f64 = 0.2;
/// How long somebody waits for a place before nobody is asked alone any more: a body that trickles may
/// hold the only place for as long as the sweep has.
const ALONE_PATIENCE: Duration = Duration::from_secs(1);

/// How much may be asked of a host, whatever it could take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Requests at a time.
    pub(super) at_a_time: usize,
    /// Requests a second.
    pub(super) a_second: Option<f64>,
}

/// One host's permits, its rate and its shared pause.
pub(super) struct Pool {
    permits: Semaphore,
    state: Mutex<Pace>,
    meter: Meter,
    /// Whether the meter is to know its limit: that of the registry itself, and not of its storage.
    is_shown: bool,
}

struct Pace {
    limit: Limit,
    /// Permits in circulation, and those among them that go out of it when they come back.
    permits: usize,
    surplus: usize,
    in_use: usize,
    /// How many permits were given in all.
    given: u64,
    until: Option<Instant>,
    unasked: Duration,
    /// Requests a second: what the caller allows, and what the host was seen to take by `since`.
    most_rate: Option<f64>,
    seen_rate: Option<f64>,
    growth: f64,
    next: Instant,
    /// Since the last refusal, or else the beginning.
    since: Instant,
    answers: u32,
    refused_at: Option<Instant>,
}

/// A place among the requests to a host, until it is dropped.
pub(super) struct Permit<'a> {
    pool: &'a Pool,
    place: Option<SemaphorePermit<'a>>,
    number: u64,
    is_first: bool,
}

impl Pool {
    pub(super) fn new(bounds: Bounds, meter: Meter) -> Self {
        let limit = Limit::new(bounds.at_a_time);
        let permits = limit.requests();
        let now = Instant::now();
        Self {
            permits: Semaphore::new(permits),
            state: Mutex::new(Pace {
                limit,
                permits,
                surplus: 0,
                in_use: 0,
                given: 0,
                until: None,
                unasked: FIRST_UNASKED,
                most_rate: bounds.a_second,
                seen_rate: None,
                growth: GROWTH,
                next: now,
                since: now,
                answers: 0,
                refused_at: None,
            }),
            meter,
            is_shown: false,
        }
    }

    /// With its limit shown by the meter.
    pub(super) fn shown(mut self) -> Self {
        self.is_shown = true;
        self.meter.limited_to(self.state.lock().permits);
        self
    }

    /// Waits for a free place, for its turn at the rate, and for the end of a pause.
    ///
    /// Gives `rate_limited`, at once, if the host asked for a longer pause than a sweep waits.
    pub(super) async fn enter(&self) -> Result<Permit<'_>, Failure> {
        let place = self.place().await.map_err(|_| {
            Failure::new(
                UnverifiedReason::Cancelled,
                "the pool of connections is closed",
            )
        })?;
        let mut permit = Permit {
            pool: self,
            place: Some(place),
            number: 0,
            is_first: false,
        };
        self.state.lock().in_use += 1;
        // Another request may extend the pause or take the turn while this one sleeps.
        loop {
            let wait = self.state.lock().wait()?;
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break,
            }
        }
        let mut state = self.state.lock();
        state.given += 1;
        permit.number = state.given;
        permit.is_first = state.in_use == 1;
        drop(state);
        Ok(permit)
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        // Mostly there is one, and no clock has to be set.
        if let Ok(place) = self.permits.try_acquire() {
            return Ok(place);
        }
        let mut place = pin!(self.permits.acquire());
        loop {
            if let Ok(place) = tokio::time::timeout(ALONE_PATIENCE, place.as_mut()).await {
                return place;
            }
            let mut state = self.state.lock();
            state.limit.end_alone();
            self.resize(&mut state);
        }
    }

    /// Notes that the host refused with 429 or 503 to be asked more, for as long as it says or else for
    /// a while that doubles.
    pub(super) fn throttled(&self, status: StatusCode, retry_after: Option<Duration>) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let length = retry_after.unwrap_or(state.unasked);
        let is_over = state.until.is_none_or(|until| until <= now);
        let is_late = state.refused_at.is_none_or(|at| now >= at + TOGETHER);
        if is_over && is_late {
            state.refused(status, now, retry_after);
            self.resize(&mut state);
        }
        if is_over && retry_after.is_none() {
            state.unasked = (state.unasked * 2).min(LONGEST_UNASKED);
        }
        let (earlier, until) = (state.until.unwrap_or(now).max(now), now + length);
        self.meter
            .throttled(until.saturating_duration_since(earlier));
        state.until = Some(earlier.max(until));
    }

    /// Notes that the host answers again, and what it says of how much it still takes.
    pub(super) fn answered(&self, headers: &HeaderMap) {
        let mut state = self.state.lock();
        state.unasked = FIRST_UNASKED;
        state.answers += 1;
        let Some((remaining, reset)) = classify::remaining(headers) else {
            return;
        };
        state.limit.remaining(remaining);
        let wait = reset.filter(|reset| remaining == 0 && *reset <= LONGEST_PAUSE);
        if let Some(wait) = wait {
            let until = Instant::now() + wait;
            if state.until.is_none_or(|earlier| earlier < until) {
                state.until = Some(until);
                self.meter.throttled(wait);
            }
        }
        self.resize(&mut state);
    }

    /// Brings the permits in line with the limit.
    fn resize(&self, state: &mut Pace) {
        let wanted = state.limit.requests();
        if wanted == state.permits {
            return;
        }
        if wanted > state.permits {
            let more = wanted - state.permits;
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            self.permits.add_permits(more - kept);
        } else {
            let less = state.permits - wanted;
            state.surplus += less - self.permits.forget_permits(less);
        }
        state.permits = wanted;
        if self.is_shown {
            self.meter.limited_to(wanted);
        }
    }
}

impl Pace {
    /// How long to wait before the next request, if its turn is not now; if it is, it is taken.
    fn wait(&mut self) -> Result<Option<Duration>, Failure> {
        let now = Instant::now();
        let left = self.until.map(|until| until.saturating_duration_since(now));
        match left.filter(|left| !left.is_zero()) {
            Some(left) if left > LONGEST_PAUSE => {
                let detail = format!(
                    "the registry asks to be left alone for {} s",
                    left.as_secs()
                );
                return Err(Failure {
                    retry_after: Some(left),
                    ..Failure::new(UnverifiedReason::RateLimited, detail)
                });
            }
            Some(left) => return Ok(Some(left)),
            None => {}
        }
        let Some(rate) = self.rate(now) else {
            return Ok(None);
        };
        if self.next > now {
            return Ok(Some(self.next - now));
        }
        let earliest = now.checked_sub(LATENESS).unwrap_or(now);
        self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / rate);
        Ok(None)
    }

    /// Requests a second, as much as is allowed and is likely to be taken.
    fn rate(&self, now: Instant) -> Option<f64> {
        let most = self.likely_rate(now).into_iter().chain(self.most_rate);
        most.reduce(f64::min)
    }

    fn likely_rate(&self, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let grown = |rate: f64| rate.max(LOWEST_RATE) * self.growth.powf(seconds);
        self.seen_rate.map(grown)
    }

    /// A refusal tells what the host takes. 429 is about a quota: what it took since the last one, in the
    /// time from then to the end of the pause. 503 is about its load, or a restart: half as much as until
    /// now. Who names no pause has no quota that begins anew after it, and a little less will do.
    fn refused(&mut self, status: StatusCode, now: Instant, retry_after: Option<Duration>) {
        self.limit.refused();
        let pause = retry_after.unwrap_or(self.unasked);
        let since = now - self.since;
        let time = match status {
            StatusCode::TOO_MANY_REQUESTS => since + pause,
            _ => since * 2,
        };
        if self.answers > 0 && !time.is_zero() {
            let seen = SAFELY * f64::from(self.answers) / time.as_secs_f64();
            (self.seen_rate, self.growth) = match (retry_after, self.likely_rate(now)) {
                (None, None) => (Some(seen), GROWTH_AT_FIRST),
                (None, Some(rate)) => (Some(seen.max(rate * LESS)), GROWTH),
                (Some(_), _) => (Some(seen), GROWTH),
            };
        }
        self.refused_at = Some(now);
        self.since = now + pause;
        self.answers = 0;
    }
}

impl Permit<'_> {
    /// Notes how long the head of the answer took.
    pub(super) fn took(&self, sort: Sort, took: Duration) {
        let mut state = self.pool.state.lock();
        let was_alone = self.is_first && state.given == self.number;
        state.limit.took(sort, took, was_alone);
        self.pool.resize(&mut state);
    }

    /// Notes that no answer came in time.
    pub(super) fn timed_out(&self) {
        let mut state = self.pool.state.lock();
        let now = Instant::now();
        // All that were under way run out of time together.
        if state.refused_at.is_none_or(|at| now >= at + TOGETHER) {
            state.refused_at = Some(now);
            state.limit.refused();
            self.pool.resize(&mut state);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        state.in_use -= 1;
        if state.surplus > 0
            && let Some(place) = self.place.take()
        {
            state.surplus -= 1;
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::meter::Asked;

    const BLOB: Sort = (Asked::Blob, true);

    fn pool(at_a_time: usize) -> Pool {
        let bounds = Bounds {
            at_a_time,
            a_second: None,
        };
        Pool::new(bounds, Meter::new("a"))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &str)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, value.parse().expect("a header"))
        };
        pairs.iter().map(pair).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_end_of_the_pause() {
        let pool = pool(4);
        let start = Instant::now();
        pool.throttled(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(7)));
        pool.throttled(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(3)));
        let (a, b) = tokio::join!(pool.enter(), pool.enter());
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_too_long_is_unverified_at_once() {
        let pool = pool(1);
        pool.throttled(
            StatusCode::TOO_MANY_REQUESTS,
            Some(Duration::from_secs(3600)),
        );
        let start = Instant::now();
        let failure = pool.enter().await.map(drop).expect_err("too long to wait");
        assert_eq!(failure.why.reason, UnverifiedReason::RateLimited);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(3600)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn unasked_pauses_double_until_an_answer() {
        let pool = pool(1);
        let mut waits = Vec::new();
        for _ in 0..3 {
            pool.throttled(StatusCode::TOO_MANY_REQUESTS, None);
            let start = Instant::now();
            drop(pool.enter().await);
            waits.push(start.elapsed().as_secs());
        }
        pool.answered(&HeaderMap::new());
        pool.throttled(StatusCode::TOO_MANY_REQUESTS, None);
        let start = Instant::now();
        drop(pool.enter().await);
        waits.push(start.elapsed().as_secs());
        assert_eq!(waits, [2, 4, 8, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_in_a_second_than_allowed() {
        let bounds = Bounds {
            at_a_time: 8,
            a_second: Some(50.0),
        };
        let pool = Pool::new(bounds, Meter::new("a"));
        let start = Instant::now();
        for _ in 0..10 {
            let enter = async || drop(pool.enter().await);
            futures::future::join_all((0..10).map(|_| enter())).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..2.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_teaches_the_rate() {
        let pool = pool(4);
        let start = Instant::now();
        for _ in 0..30 {
            drop(pool.enter().await);
            pool.answered(&HeaderMap::new());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        pool.throttled(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(1)));
        drop(pool.enter().await);
        let start = Instant::now();
        for _ in 0..27 {
            drop(pool.enter().await);
            pool.answered(&HeaderMap::new());
        }
        let took = start.elapsed().as_secs_f64();
        assert!(
            (0.9..1.1).contains(&took),
            "30 a second, and a little less: {took}"
        );
    }

    /// One that counts as nginx's `limit_req` does: 50 a second, and 20 at once.
    #[tokio::test(start_paused = true)]
    async fn a_limit_that_names_no_pause_is_found() {
        let pool = pool(8);
        let start = Instant::now();
        let (mut excess, mut last) = (0.0_f64, start);
        let (mut taken, mut refused) = (0, 0);
        while taken < 5000 {
            drop(pool.enter().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
            excess = (excess - 50.0 * last.elapsed().as_secs_f64()).max(0.0);
            last = Instant::now();
            if excess > 20.0 {
                pool.throttled(StatusCode::TOO_MANY_REQUESTS, None);
                refused += 1;
            } else {
                excess += 1.0;
                taken += 1;
                pool.answered(&HeaderMap::new());
            }
        }
        let rate = f64::from(taken) / start.elapsed().as_secs_f64();
        assert!(rate > 30.0, "{rate} of 50 a second");
        assert!(refused < taken / 100, "{refused} of {taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_overload_halves_the_rate_and_is_soon_forgotten() {
        let pool = pool(4);
        let second = Duration::from_secs(1);
        tokio::time::sleep(second).await;
        for _ in 0..1000 {
            pool.answered(&HeaderMap::new());
        }
        pool.throttled(StatusCode::SERVICE_UNAVAILABLE, None);
        let rate = |pool: &Pool| pool.state.lock().rate(Instant::now());
        let seen = rate(&pool).expect("a rate");
        assert!((440.0..460.0).contains(&seen), "{seen}");
        tokio::time::sleep(second * 32).await;
        let grown = rate(&pool).expect("a rate");
        assert!(grown > 1900.0, "{grown}");
        tokio::time::sleep(second * 1_000_000).await;
        for _ in 0..100 {
            drop(pool.enter().await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_does_not_hold_up_the_others() {
        let pool = pool(4);
        let held = pool.enter().await.expect("a permit");
        while pool.state.lock().limit.requests() > 1 {
            held.took(BLOB, Duration::from_millis(10));
        }
        let start = Instant::now();
        let others = futures::future::join_all((0..3).map(|_| pool.enter())).await;
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(start.elapsed(), ALONE_PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_quota_is_heeded() {
        let pool = pool(8);
        pool.answered(&headers(&[("ratelimit-remaining", "2;w=60")]));
        let (a, b) = (pool.enter().await, pool.enter().await);
        let third = tokio::time::timeout(Duration::from_secs(1), pool.enter());
        assert!(third.await.is_err(), "two are left");
        drop((a, b));
        pool.answered(&headers(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "30"),
        ]));
        let start = Instant::now();
        drop(pool.enter().await);
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn permits_follow_the_limit_down_and_up() {
        let pool = pool(8);
        let meter = pool.meter.clone();
        let pool = pool.shown();
        let held = futures::future::join_all((0..4).map(|_| pool.enter())).await;
        pool.throttled(StatusCode::TOO_MANY_REQUESTS, Some(Duration::ZERO));
        assert_eq!(meter.concurrency_limit(), 2);
        let mut held: Vec<_> = held
            .into_iter()
            .map(|permit| permit.expect("a permit"))
            .collect();
        held.truncate(2);
        let wait = async || tokio::time::timeout(Duration::from_secs(1), pool.enter()).await;
        assert!(wait().await.is_err(), "two of four went out of circulation");
        held.truncate(1);
        assert!(wait().await.is_ok());
        for _ in 0..40 {
            held[0].took(BLOB, Duration::from_millis(1));
        }
        assert_eq!(meter.concurrency_limit(), 3);
        let more = futures::future::join_all((0..2).map(|_| wait())).await;
        assert!(more.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn time_outs_that_come_together_halve_once() {
        let pool = pool(8).shown();
        let held = futures::future::join_all((0..4).map(|_| pool.enter())).await;
        for permit in held.iter().flatten() {
            permit.timed_out();
        }
        assert_eq!(pool.meter.concurrency_limit(), 2);
    }
}
