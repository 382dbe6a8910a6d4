//! What asking a registry has cost so far: requests by what they asked for and what came back, how
//! long answers took, bytes, retries and pauses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::registry::Traffic;
use crate::registry::UnverifiedReason;

/// The upper bounds, in seconds, of the buckets that durations are counted in. Registries answer from
/// memory within milliseconds, and from object storage within seconds.
pub const DURATION_BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Counters of one registry, which live as long as the process and are shared by all its sweeps.
#[derive(Debug, Default)]
pub struct Meter {
    costs: Mutex<Costs>,
    in_flight: AtomicU64,
    bytes: AtomicU64,
}

/// What a [`Meter`] has counted.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// Every attempt, by what was asked for, the method, and the class of the status: `2xx` to `5xx`,
    /// or `error` where no answer came.
    pub requests: BTreeMap<(Asked, &'static str, &'static str), u64>,
    /// How long it took until the head of the answer was there.
    pub durations: BTreeMap<Asked, Durations>,
    /// Attempts after a first, by what had been in the way.
    pub retries: BTreeMap<UnverifiedReason, u64>,
    /// How long the registry or its storage asked to be left alone.
    pub throttled: Duration,
    /// Requests under way right now.
    pub in_flight: u64,
    /// The most requests that may be under way.
    pub concurrency_limit: u64,
}

/// What a request asks for, by the endpoints of the distribution-spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// A list of tags.
    Tags,
    /// A manifest, by tag or digest.
    Manifest,
    /// A blob.
    Blob,
    /// A token, of the service that the registry names.
    Token,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ping,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::Blob,
        Self::Token,
    ];

    /// Its name as a metric's label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Token => "token",
        }
    }

    /// What a path of the Distribution API asks for. References hold no `/`, so the word before the
    /// last one tells, whatever the repository is called.
    pub(super) fn of_path(path: &str) -> Self {
        let mut words = path.trim_end_matches('/').rsplit('/');
        match (words.next(), words.next()) {
            (Some("_catalog"), _) => Self::Catalog,
            (Some("list"), Some("tags")) => Self::Tags,
            (_, Some("manifests")) => Self::Manifest,
            (_, Some("blobs")) => Self::Blob,
            _ => Self::Ping,
        }
    }
}

/// Durations, counted in buckets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Durations {
    /// How many were at most [`DURATION_BOUNDS`] long and longer than the bound before.
    pub buckets: [u64; DURATION_BOUNDS.len()],
    /// How many there were, those longer than the last bound included.
    pub count: u64,
    /// Their sum in seconds.
    pub sum: f64,
}

impl Durations {
    fn add(&mut self, seconds: f64) {
        let bucket = DURATION_BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(bucket) = bucket {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// A request that is under way, until it is dropped.
pub(super) struct Flight<'a>(&'a Meter);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    /// What was counted so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        Costs {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            ..self.lock().clone()
        }
    }

    pub(super) fn flight(&self) -> Flight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight(self)
    }

    /// Counts one attempt. `status` is `None` if there was no answer.
    pub(super) fn request(
        &self,
        asked: Asked,
        method: &reqwest::Method,
        status: Option<reqwest::StatusCode>,
        took: Duration,
    ) {
        let method = match method.as_str() {
            "HEAD" => "HEAD",
            "POST" => "POST",
            _ => "GET",
        };
        let class = match status.map(|status| status.as_u16() / 100) {
            Some(1 | 2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(_) => "5xx",
            None => "error",
        };
        let mut costs = self.lock();
        *costs.requests.entry((asked, method, class)).or_default() += 1;
        if status.is_some() {
            let durations = costs.durations.entry(asked).or_default();
            durations.add(took.as_secs_f64());
        }
    }

    pub(super) fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn retry(&self, reason: UnverifiedReason) {
        *self.lock().retries.entry(reason).or_default() += 1;
    }

    pub(super) fn throttled(&self, pause: Duration) {
        self.lock().throttled += pause;
    }

    pub(super) fn limited_to(&self, concurrency: usize) {
        self.lock().concurrency_limit = concurrency as u64;
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.lock().requests.values().sum(),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Costs> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, StatusCode};

    use super::*;

    #[test]
    fn paths_say_what_is_asked_for_whatever_the_repository() {
        for (path, asked) in [
            ("/v2/", Asked::Ping),
            ("/prefix/v2/", Asked::Ping),
            ("/v2/_catalog", Asked::Catalog),
            ("/v2/a/tags/list", Asked::Tags),
            ("/v2/tags/list/manifests/blobs", Asked::Manifest),
            ("/v2/manifests/list/blobs/sha256:00", Asked::Blob),
            ("/v2/a/manifests/list", Asked::Manifest),
        ] {
            assert_eq!(Asked::of_path(path), asked, "{path}");
        }
    }

    #[test]
    fn attempts_are_counted_by_what_came_of_them() {
        let meter = Meter::default();
        let took = Duration::from_millis(7);
        meter.request(Asked::Blob, &Method::HEAD, Some(StatusCode::OK), took);
        meter.request(Asked::Blob, &Method::HEAD, None, took);
        {
            let _flight = meter.flight();
            assert_eq!(meter.costs().in_flight, 1);
        }
        let costs = meter.costs();
        assert_eq!(costs.in_flight, 0);
        assert_eq!(costs.requests[&(Asked::Blob, "HEAD", "2xx")], 1);
        assert_eq!(costs.requests[&(Asked::Blob, "HEAD", "error")], 1);
        let durations = costs.durations[&Asked::Blob];
        assert_eq!(
            (durations.count, durations.buckets[3]),
            (1, 1),
            "no answer has no duration"
        );
        assert_eq!(meter.traffic().requests, 2);
    }
}
