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

use crate::registry::Traffic;
use crate::registry::client::Meter;
use crate::report::Shard;

/// What a sweep came to, as the label `outcome` of `registry_probe_sweeps_total`.
const OUTCOMES: [&str; 4] = ["intact", "broken", "unverified", "cancelled"];

/// The process's own metrics, which live as long as it does.
pub(crate) struct ProcessMetrics {
    all: Registry,
    meters: Meters,
    push_failures: IntCounter,
    page: IntGaugeVec,
    rendered: Mutex<Option<Rendered>>,
}

/// What is counted of each registry, as one collector: the identifier that `prometheus` gives to a collector of
/// several metrics is a sum, and two that differ in a label may have the same one.
#[derive(Clone, Default)]
struct Meters(Arc<Mutex<BTreeMap<String, Counted>>>);

/// What is counted of one registry, and the shard that it says so for.
struct Counted {
    shard: Option<Shard>,
    meter: Meter,
    sweeps: IntCounterVec,
}

impl Counted {
    fn new(registry: &str, shard: Option<Shard>) -> Self {
        let ordinal = shard.map(|shard| shard.index().to_string());
        let mut labels = vec![("registry", registry)];
        labels.extend(ordinal.iter().map(|ordinal| ("shard", ordinal.as_str())));
        let sweeps = Opts::new(
            "registry_probe_sweeps_total",
            "Sweeps by what they came to.",
        );
        let sweeps = labels
            .iter()
            .fold(sweeps, |opts, &(name, value)| opts.const_label(name, value));
        let sweeps = IntCounterVec::new(sweeps, &["outcome"]).expect(VALID);
        for outcome in OUTCOMES {
            sweeps.with_label_values(&[outcome]);
        }
        Self {
            shard,
            meter: Meter::with_labels(&labels),
            sweeps,
        }
    }
}

impl Collector for Meters {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = self.0.lock();
        let families = all.values().flat_map(|counted| {
            let sweeps = counted.sweeps.collect();
            counted.meter.collect().into_iter().chain(sweeps)
        });
        families.collect()
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
        all.register(Box::new(push_failures.clone())).expect(VALID);
        all.register(Box::new(page.clone())).expect(VALID);
        let meters = Meters::default();
        all.register(Box::new(meters.clone())).expect(VALID);
        Self {
            all,
            meters,
            push_failures,
            page,
            rendered: Mutex::default(),
        }
    }

    /// The meter of a registry: the same one each time, so that its counters never go back; for as long as it is
    /// the same shard, which all of its series name.
    pub(crate) fn meter(&self, registry: &str, shard: Option<Shard>) -> Meter {
        let mut all = self.meters.0.lock();
        let new = || Counted::new(registry, shard);
        let counted = all.entry(registry.to_owned()).or_insert_with(new);
        if counted.shard.map(Shard::index) != shard.map(Shard::index) {
            *counted = new();
        }
        counted.meter.clone()
    }

    /// What was sent to a registry and received so far.
    pub(crate) fn traffic(&self, registry: &str) -> Traffic {
        let all = self.meters.0.lock();
        let counted = all.get(registry);
        counted.map_or_else(Traffic::default, |counted| counted.meter.traffic())
    }

    /// Counts a sweep. `outcome` is a verdict's word, or `cancelled`.
    pub(crate) fn sweep(&self, registry: &str, outcome: &'static str) {
        if let Some(counted) = self.meters.0.lock().get(registry) {
            counted.sweeps.with_label_values(&[outcome]).inc();
        }
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
            metrics.meter(name, None);
        }
        let text = metrics.rendered().text;
        let text = String::from_utf8_lossy(&text);
        for name in &names {
            let series = format!("registry_probe_http_requests_in_flight{{registry=\"{name}\"}}");
            assert_eq!(text.matches(&series).count(), 1, "{name}");
        }
        let family = "# TYPE registry_probe_http_requests_in_flight gauge";
        assert_eq!(text.matches(family).count(), 1);
        assert!(!text.contains("shard="));
    }

    #[test]
    fn a_shard_names_itself_in_every_series_of_its_registry() {
        let metrics = ProcessMetrics::new();
        let (first, second) = (Shard::new(1, 4), Shard::new(2, 4));
        metrics.meter("r.example", first);
        metrics.sweep("r.example", "intact");
        // Other parts of the same division: what was counted goes on.
        metrics.meter("r.example", Shard::new(1, 8));
        let said = || {
            let text = metrics.all.gather();
            let text = TextEncoder::new().encode_to_string(&text).expect("a text");
            let lines = text.lines().filter(|line| line.contains("registry="));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = said();
        assert!(
            lines.iter().all(|line| line.contains("shard=\"1\"")),
            "{lines:?}"
        );
        let sweeps =
            "registry_probe_sweeps_total{outcome=\"intact\",registry=\"r.example\",shard=\"1\"} 1";
        assert!(lines.iter().any(|line| line == sweeps), "{lines:?}");
        metrics.meter("r.example", second);
        let lines = said();
        assert!(
            lines.iter().all(|line| line.contains("shard=\"2\"")),
            "{lines:?}"
        );
    }
}
