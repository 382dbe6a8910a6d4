//! What is true of this process, as metrics: `registry_probe_*` and `process_*`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Bucket, Histogram};
use prometheus::{Encoder as _, TextEncoder};

use crate::registry::client::{DURATION_BOUNDS, Durations, Meter};
use crate::render::metrics::{Family, encode};

/// What a sweep came to, as the label `outcome` of `registry_probe_sweeps_total`.
const OUTCOMES: [&str; 4] = ["intact", "broken", "unverified", "cancelled"];

/// The process's own counters, which live as long as it does.
pub(crate) struct ProcessMetrics {
    registries: Mutex<BTreeMap<String, Watched>>,
    push_failures: AtomicU64,
    process: ProcessCollector,
    rendered: Mutex<Option<Rendered>>,
}

/// The vitals as they were a moment ago.
#[derive(Clone)]
pub(super) struct Rendered {
    at: Instant,
    pub(super) text: Bytes,
    pub(super) gzip: Bytes,
}

/// How long the same answer is given: many who ask at once cost no more than one.
const FRESH: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Watched {
    meter: Arc<Meter>,
    sweeps: BTreeMap<&'static str, u64>,
}

impl ProcessMetrics {
    pub(crate) fn new() -> Self {
        Self {
            registries: Mutex::default(),
            push_failures: AtomicU64::default(),
            process: ProcessCollector::for_self(),
            rendered: Mutex::default(),
        }
    }

    /// The meter of a registry: the same one each time, so that its counters never go back.
    pub(crate) fn meter(&self, registry: &str) -> Arc<Meter> {
        let mut registries = self.lock();
        let watched = registries.entry(registry.to_owned()).or_default();
        Arc::clone(&watched.meter)
    }

    /// Counts a sweep. `outcome` is a verdict's word, or `cancelled`.
    pub(crate) fn sweep(&self, registry: &str, outcome: &'static str) {
        let mut registries = self.lock();
        let watched = registries.entry(registry.to_owned()).or_default();
        *watched.sweeps.entry(outcome).or_default() += 1;
    }

    pub(crate) fn push_failed(&self) {
        self.push_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// All of them in the text format, as they are now or were a moment ago.
    pub(super) fn rendered(&self) -> Rendered {
        let mut held = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(rendered) if rendered.at.elapsed() < FRESH => rendered.clone(),
            _ => {
                let text = self.render();
                let rendered = Rendered {
                    at: Instant::now(),
                    gzip: gzip(text.as_bytes()).into(),
                    text: text.into(),
                };
                held.insert(rendered).clone()
            }
        }
    }

    fn render(&self) -> String {
        let mut families = vec![build_info()];
        let mut failures = Family::counter(
            "registry_probe_push_failures_total",
            "Results that could not be pushed or written.",
        );
        failures.count(&[], self.push_failures.load(Ordering::Relaxed));
        families.push(failures);
        families.extend(self.registries());
        let mut text = encode(families).into_bytes();
        // A system without /proc has no such metrics.
        let _ = TextEncoder::new().encode(&self.process.collect(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn registries(&self) -> Vec<Family> {
        let mut sweeps = Family::counter(
            "registry_probe_sweeps_total",
            "Sweeps by what they came to.",
        );
        let mut requests = Family::counter(
            "registry_probe_http_requests_total",
            "Requests, every attempt, by what was asked for and what came back.",
        );
        let mut durations = Family::histogram(
            "registry_probe_http_request_duration_seconds",
            "How long it took until the head of an answer was there.",
        );
        let mut in_flight = Family::gauge(
            "registry_probe_http_requests_in_flight",
            "Requests under way.",
        );
        let mut limit = Family::gauge(
            "registry_probe_http_concurrency_limit",
            "The most requests that may be under way.",
        );
        let mut retries = Family::counter(
            "registry_probe_http_retries_total",
            "Attempts after a first, by what had been in the way.",
        );
        let mut throttled = Family::counter(
            "registry_probe_http_throttled_seconds_total",
            "Time that the registry asked to be left alone for, or that a limit made requests wait.",
        );
        for (registry, watched) in self.lock().iter() {
            let registry = ("registry", registry.as_str());
            for outcome in OUTCOMES {
                let count = watched.sweeps.get(outcome).copied().unwrap_or_default();
                sweeps.count(&[registry, ("outcome", outcome)], count);
            }
            let costs = watched.meter.costs();
            for ((asked, method, code), count) in &costs.requests {
                let labels = [
                    registry,
                    ("endpoint", asked.word()),
                    ("method", method),
                    ("code", code),
                ];
                requests.count(&labels, *count);
            }
            for (asked, seen) in &costs.durations {
                durations.observe(&[registry, ("endpoint", asked.word())], histogram(seen));
            }
            for (reason, count) in &costs.retries {
                retries.count(&[registry, ("reason", reason.word())], *count);
            }
            in_flight.count(&[registry], costs.in_flight);
            limit.count(&[registry], costs.concurrency_limit);
            throttled.add(&[registry], costs.throttled.as_secs_f64());
        }
        vec![
            sweeps, requests, durations, in_flight, limit, retries, throttled,
        ]
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One member of a gzip file. Several behind one another are a gzip file, too (RFC 1952, 2.2), so that
/// what was packed when a sweep ended need not be packed again.
pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(text)
        .expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn build_info() -> Family {
    let mut family = Family::gauge(
        "registry_probe_build_info",
        "What this program is; always 1.",
    );
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("PROBE_REVISION")),
        ("rustc", env!("PROBE_RUSTC")),
    ];
    family.count(&labels, 1);
    family
}

fn histogram(seen: &Durations) -> Histogram {
    let mut sum = 0;
    let buckets = DURATION_BOUNDS
        .iter()
        .zip(seen.buckets)
        .map(|(bound, count)| {
            sum += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(sum);
            bucket
        });
    let buckets = buckets.collect();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(seen.count);
    histogram.set_sample_sum(seen.sum);
    histogram
}
