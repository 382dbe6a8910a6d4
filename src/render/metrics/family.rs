//! One metric with its series, and the text format that Prometheus reads.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

/// A metric: its name, its help, its type, and its series so far.
pub struct Family(MetricFamily);

impl Family {
    /// A metric that goes up and down.
    #[must_use]
    pub fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    /// A metric that only grows.
    #[must_use]
    pub fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
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
        let (mut counter, mut gauge) = (Counter::default(), Gauge::default());
        let is_counter = self.0.get_field_type() == MetricType::COUNTER;
        let metric = self.series(labels);
        if is_counter {
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }

    fn series(&mut self, labels: &[(&str, &str)]) -> &mut Metric {
        let pairs = labels.iter().map(|&(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let series = self.0.mut_metric();
        series.push(Metric::from_label(pairs.collect()));
        let last = series.len() - 1;
        &mut series[last]
    }
}

/// The families that have any series, in the text format 0.0.4.
///
/// # Panics
///
/// Never: memory takes what is written, and what is written is text.
#[must_use]
pub fn encode(families: Vec<Family>) -> String {
    let families = families.into_iter().map(|Family(family)| family);
    let families: Vec<_> = families
        .filter(|family| !family.get_metric().is_empty())
        .collect();
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&families, &mut text)
        .expect("families with series can be encoded, and memory takes what is written");
    String::from_utf8(text).expect("the encoder writes text")
}
