//! One metric with its series, and the text format that Prometheus reads.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

/// A metric: its name, its help, its type, and its series so far.
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<Metric>,
}

impl Family {
    /// A metric that goes up and down.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    /// A metric that only grows.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    fn new(name: &'static str, help: &'static str, kind: MetricType) -> Self {
        let series = Vec::new();
        Self {
            name,
            help,
            kind,
            series,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Adds a series of a gauge or counter.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the text format knows floats only, and counts stay far below 2^53"
    )]
    pub fn count(&mut self, labels: &[(&str, &str)], value: u64) {
        self.add(labels, value as f64);
    }

    /// Adds a series of a gauge or counter.
    pub fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = Metric::from_label(pairs(labels));
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.series.push(metric);
    }

    fn into_proto(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.series);
        family
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// The families that have any series, in the text format 0.0.4.
///
/// # Panics
///
/// Never: memory takes what is written, and what is written is text.
#[must_use]
pub fn encode(families: Vec<Family>) -> String {
    let families: Vec<_> = families
        .into_iter()
        .filter(|family| !family.series.is_empty())
        .map(Family::into_proto)
        .collect();
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&families, &mut text)
        .expect("families with series can be encoded, and memory takes what is written");
    String::from_utf8(text).expect("the encoder writes text")
}
