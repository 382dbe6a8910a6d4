//! What is true of this process, as metrics: `registry_probe_*` and `process_*`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::registry::client::Meter;

/// What a sweep came to, as the label `outcome` of `registry_probe_sweeps_total`.
const OUTCOMES: [&str; 4] = ["intact", "broken", "unverified", "cancelled"];

/// The process's own metrics, which live as long as it does.
pub(crate) struct ProcessMetrics {
    all: Registry,
    meters: Meters,
    sweeps: IntCounterVec,
    push_failures: IntCounter,
    page: IntGaugeVec,
    rendered: Mutex<Option<Rendered>>,
}

/// The meter of each registry, as one collector: the identifier that `prometheus` gives to a collector of several
/// metrics is a sum, and two that differ in a label may have the same one.
#[derive(Clone, Default)]
struct Meters(Arc<Mutex<BTreeMap<String, Meter>>>);

impl Collector for Meters {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.lock().values().flat_map(Meter::collect).collect()
    }
}

/// The metrics as they were a moment ago.
#[derive(Clone)]
pub(super) struct Rendered {
    at: Instant,
    pub(super) text: Bytes,
    pub(super) gzip: Bytes,
}

/// How long the same answer is given: many who ask at once cost no more than one.
const FRESH: Duration = Duration::from_millis(100);

/// Metrics can be made of all names and labels that are written here.
const VALID: &str = "valid names and labels, each once";

impl ProcessMetrics {
    pub(crate) fn new() -> Self {
        let build_info = Opts::new(
            "registry_probe_build_info",
            "What this program is; always 1.",
        )
        .const_label("version", env!("CARGO_PKG_VERSION"))
        .const_label("revision", env!("PROBE_REVISION"))
        .const_label("rustc", env!("PROBE_RUSTC"));
        let build_info = IntGauge::with_opts(build_info).expect(VALID);
        build_info.set(1);
        let sweeps = Opts::new(
            "registry_probe_sweeps_total",
            "Sweeps by what they came to.",
        );
        let sweeps = IntCounterVec::new(sweeps, &["registry", "outcome"]).expect(VALID);
        let push_failures = IntCounter::new(
            "registry_probe_push_failures_total",
            "Results that could not be pushed or written.",
        );
        let push_failures = push_failures.expect(VALID);
        let page = Opts::new(
            "registry_probe_status_page_info",
            "Where the status page is; always 1.",
        );
        let page = IntGaugeVec::new(page, &["url"]).expect(VALID);
        let all = Registry::new();
        // A system without /proc has no metrics of the process.
        all.register(Box::new(ProcessCollector::for_self()))
            .expect(VALID);
        all.register(Box::new(build_info)).expect(VALID);
        all.register(Box::new(sweeps.clone())).expect(VALID);
        all.register(Box::new(push_failures.clone())).expect(VALID);
        all.register(Box::new(page.clone())).expect(VALID);
        let meters = Meters::default();
        all.register(Box::new(meters.clone())).expect(VALID);
        Self {
            all,
            meters,
            sweeps,
            push_failures,
            page,
            rendered: Mutex::default(),
        }
    }

    /// The meter of a registry: the same one each time, so that its counters never go back.
    pub(crate) fn meter(&self, registry: &str) -> Meter {
        let mut meters = self.meters.0.lock();
        let meter = meters.entry(registry.to_owned()).or_insert_with(|| {
            for outcome in OUTCOMES {
                self.sweeps.with_label_values(&[registry, outcome]);
            }
            Meter::new(registry)
        });
        meter.clone()
    }

    /// Counts a sweep. `outcome` is a verdict's word, or `cancelled`.
    pub(crate) fn sweep(&self, registry: &str, outcome: &'static str) {
        self.sweeps.with_label_values(&[registry, outcome]).inc();
    }

    /// Where the status page is from now on, if that is known.
    pub(crate) fn page_at(&self, url: Option<&str>) {
        self.page.reset();
        if let Some(url) = url {
            self.page.with_label_values(&[url]).set(1);
        }
    }

    pub(crate) fn push_failed(&self) {
        self.push_failures.inc();
    }

    /// All of them in the text format, as they are now or were a moment ago.
    pub(super) fn rendered(&self) -> Rendered {
        let mut held = self.rendered.lock();
        match &*held {
            Some(rendered) if rendered.at.elapsed() < FRESH => rendered.clone(),
            _ => {
                let text = TextEncoder::new()
                    .encode_to_string(&self.all.gather())
                    .expect("families that were gathered have series");
                let rendered = Rendered {
                    at: Instant::now(),
                    gzip: gzip(text.as_bytes()).into(),
                    text: text.into(),
                };
                held.insert(rendered).clone()
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_any_names_have_a_meter_each() {
        let metrics = ProcessMetrics::new();
        let names: Vec<_> = (5000..5100)
            .map(|port| format!("localhost:{port}"))
            .collect();
        for name in &names {
            metrics.meter(name);
        }
        let text = metrics.rendered().text;
        let text = String::from_utf8_lossy(&text);
        for name in &names {
            let series = format!("registry_probe_http_requests_in_flight{{registry=\"{name}\"}}");
            assert_eq!(text.matches(&series).count(), 1, "{name}");
        }
        let family = "# TYPE registry_probe_http_requests_in_flight gauge";
        assert_eq!(text.matches(family).count(), 1);
    }
}
