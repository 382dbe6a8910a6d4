//! What asking a registry has cost so far: requests by what they asked for and what came back, how
//! long answers took, bytes, retries and pauses.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts};

use crate::registry::{Traffic, UnverifiedReason};
use crate::words::words;

/// The upper bounds, in seconds, of the buckets that durations are counted in. Registries answer from
/// memory within milliseconds, and from object storage within seconds.
const DURATION_BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The metrics of one registry, which live as long as the process. Clones share their values.
#[derive(Clone, Debug)]
pub struct Meter {
    requests: IntCounterVec,
    durations: HistogramVec,
    retries: IntCounterVec,
    throttled: Counter,
    in_flight: IntGauge,
    concurrency_limit: IntGauge,
    /// All requests and bytes, which are no metrics.
    sent: IntCounter,
    received: IntCounter,
}

words! {
    /// What a request asks for, by the endpoints of the distribution-spec.
    Asked {
        /// `/v2/`
        Ping = "ping",
        /// `/v2/_catalog`
        Catalog = "catalog",
        /// A list of tags.
        Tags = "tags",
        /// A manifest, by tag or digest.
        Manifest = "manifest",
        /// A blob.
        Blob = "blob",
        /// A token, of the service that the registry names.
        Token = "token",
    }
}

impl Asked {
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

/// A request that is under way, until it is dropped.
pub(super) struct Flight<'a>(&'a Meter);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// Metrics can be made of all names and labels that are written here.
const VALID: &str = "valid names and labels";

impl Meter {
    /// What is to count the requests to the registry of this name.
    ///
    /// # Panics
    ///
    /// Never: names and labels are valid.
    #[must_use]
    pub fn new(registry: &str) -> Self {
        Self::with_labels(&[("registry", registry)])
    }

    /// The same, whose series have these labels instead of the registry's name alone.
    pub(crate) fn with_labels(labels: &[(&str, &str)]) -> Self {
        let opts = |name: &str, help| {
            let opts = Opts::new(format!("registry_probe_http_{name}"), help);
            let labels = labels.iter();
            labels.fold(opts, |opts, &(name, value)| opts.const_label(name, value))
        };
        let requests = opts(
            "requests_total",
            "Requests, every attempt, by what was asked for and what came back.",
        );
        let durations = HistogramOpts {
            common_opts: opts(
                "request_duration_seconds",
                "How long it took until the head of an answer was there.",
            ),
            buckets: DURATION_BOUNDS.to_vec(),
        };
        let retries = opts(
            "retries_total",
            "Attempts after a first, by what had been in the way.",
        );
        let throttled = opts(
            "throttled_seconds_total",
            "Time that the registry asked to be left alone for, or that a limit made requests wait.",
        );
        let in_flight = opts("requests_in_flight", "Requests under way.");
        let limit = opts(
            "concurrency_limit",
            "The most requests that may be under way.",
        );
        let count = |name| IntCounter::new(name, name).expect(VALID);
        Self {
            requests: IntCounterVec::new(requests, &["endpoint", "method", "code"]).expect(VALID),
            durations: HistogramVec::new(durations, &["endpoint"]).expect(VALID),
            retries: IntCounterVec::new(retries, &["reason"]).expect(VALID),
            throttled: Counter::with_opts(throttled).expect(VALID),
            in_flight: IntGauge::with_opts(in_flight).expect(VALID),
            concurrency_limit: IntGauge::with_opts(limit).expect(VALID),
            sent: count("sent"),
            received: count("received"),
        }
    }

    /// The most requests that may be under way.
    #[must_use]
    pub fn concurrency_limit(&self) -> i64 {
        self.concurrency_limit.get()
    }

    /// What was sent and received so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.sent.get(),
            bytes: self.received.get(),
        }
    }

    pub(super) fn flight(&self) -> Flight<'_> {
        self.in_flight.inc();
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
        let class = match status.map(|status| status.as_u16() / 100) {
            Some(1 | 2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(_) => "5xx",
            None => "error",
        };
        let labels = [asked.word(), method.as_str(), class];
        self.requests.with_label_values(&labels).inc();
        self.sent.inc();
        if status.is_some() {
            let durations = self.durations.with_label_values(&[asked.word()]);
            durations.observe(took.as_secs_f64());
        }
    }

    pub(super) fn bytes(&self, count: usize) {
        self.received.inc_by(count as u64);
    }

    pub(super) fn retry(&self, reason: UnverifiedReason) {
        self.retries.with_label_values(&[reason.word()]).inc();
    }

    pub(super) fn throttled(&self, pause: Duration) {
        self.throttled.inc_by(pause.as_secs_f64());
    }

    pub(super) fn limited_to(&self, concurrency: usize) {
        let limit = i64::try_from(concurrency).unwrap_or(i64::MAX);
        self.concurrency_limit.set(limit);
    }

    /// Its families, as they are now.
    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        let all: [&dyn Collector; 6] = [
            &self.requests,
            &self.durations,
            &self.retries,
            &self.throttled,
            &self.in_flight,
            &self.concurrency_limit,
        ];
        all.into_iter().flat_map(Collector::collect).collect()
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
        let meter = Meter::new("a");
        let took = Duration::from_millis(7);
        meter.request(Asked::Blob, &Method::HEAD, Some(StatusCode::OK), took);
        meter.request(Asked::Blob, &Method::HEAD, None, took);
        {
            let _flight = meter.flight();
            assert_eq!(meter.in_flight.get(), 1);
        }
        assert_eq!(meter.in_flight.get(), 0);
        for class in ["2xx", "error"] {
            let requests = meter.requests.with_label_values(&["blob", "HEAD", class]);
            assert_eq!(requests.get(), 1, "{class}");
        }
        let durations = meter.durations.collect();
        let durations = durations[0].get_metric()[0].get_histogram();
        assert_eq!(
            (
                durations.get_sample_count(),
                durations.get_bucket()[2].cumulative_count(),
                durations.get_bucket()[3].cumulative_count()
            ),
            (1, 0, 1),
            "no answer has no duration"
        );
        assert_eq!(meter.traffic().requests, 2);
    }
}
