//! One metric with its series, and the text format that Prometheus reads.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

/// Series that wait until they are encoded together: each takes half a kilobyte until then, and there may be
/// 25,000 of a metric.
const MOST_WAITING: usize = 256;

/// A metric: its name, its help, its type, and its series so far.
pub struct Family {
    /// The series that are not encoded yet, under the metric's name.
    waiting: MetricFamily,
    /// Those before them.
    text: Vec<u8>,
}

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
        Self {
            waiting: family,
            text: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.waiting.name()
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
        let is_counter = self.waiting.get_field_type() == MetricType::COUNTER;
        let metric = self.series(labels);
        if is_counter {
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        if self.waiting.get_metric().len() >= MOST_WAITING {
            self.encode();
        }
    }

    /// Encodes the series that wait. Help and type stand before the first ones alone.
    fn encode(&mut self) {
        if self.waiting.get_metric().is_empty() {
            return;
        }
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(std::slice::from_ref(&self.waiting), &mut text)
            .expect("families with series can be encoded, and memory takes what is written");
        self.waiting.mut_metric().clear();
        let mut rest = &text[..];
        while !self.text.is_empty() && rest.starts_with(b"#") {
            let end = rest.iter().position(|byte| *byte == b'\n');
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        }
        self.text.extend_from_slice(rest);
    }

    fn series(&mut self, labels: &[(&str, &str)]) -> &mut Metric {
        let pairs = labels.iter().map(|&(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let series = self.waiting.mut_metric();
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
    let mut text = Vec::new();
    for mut family in families {
        family.encode();
        text.append(&mut family.text);
    }
    String::from_utf8(text).expect("the encoder writes text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_series_are_as_those_that_are_encoded_at_once() {
        let count = 2 * MOST_WAITING + 7;
        let mut family = Family::gauge("x", "What x is.");
        for number in 0..count {
            family.count(&[("n", &format!("{number}\n# HELP"))], 1);
        }
        let text = encode(vec![Family::gauge("none", "Nothing."), family]);
        let series = (0..count).map(|number| format!("x{{n=\"{number}\\n# HELP\"}} 1\n"));
        let expected = format!(
            "# HELP x What x is.\n# TYPE x gauge\n{}",
            series.collect::<String>()
        );
        assert_eq!(text, expected);
    }
}
