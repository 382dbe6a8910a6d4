//! What the endpoints show: everything rendered when a sweep ends, and nothing when it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::process_metrics::{ProcessMetrics, gzip};
use crate::render::{self, page};
use crate::report::{Record, Sweep};

/// How long a sweep may go without any request before its loop counts as stuck. Longer than the
/// longest pause that a registry may ask for.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// The state of the service that its endpoints show.
pub(crate) struct StatusBoard {
    pub(crate) process_metrics: ProcessMetrics,
    registries: Mutex<BTreeMap<String, Watched>>,
    published: RwLock<Arc<Published>>,
}

/// One registry, as its loop last told.
struct Watched {
    record: Arc<Record>,
    phase: page::Phase,
    /// The requests that there were when the loop was last seen to go on, and when that was.
    requests: u64,
    at: Instant,
    /// When it is to go on by itself.
    due: Option<Instant>,
}

impl Watched {
    fn new(record: Record) -> Self {
        Self {
            record: Arc::new(record),
            phase: page::Phase::Sweeping {
                since: SystemTime::now(),
            },
            requests: 0,
            at: Instant::now(),
            due: None,
        }
    }
}

/// Answers, ready to be sent.
#[derive(Clone, Default)]
pub(crate) struct Published {
    pub(crate) metrics: Bytes,
    pub(crate) metrics_gzip: Bytes,
    pub(crate) page: Bytes,
    pub(crate) reports: Bytes,
    /// By the registry's name; empty before its first sweep has ended.
    pub(crate) report: BTreeMap<String, Bytes>,
}

impl StatusBoard {
    /// A board for some registries, none of which was swept yet.
    pub(crate) fn new() -> Self {
        Self {
            process_metrics: ProcessMetrics::new(),
            registries: Mutex::default(),
            published: RwLock::default(),
        }
    }

    /// Watches these registries from now on, and no others. What is known of them stays; of one that
    /// was not watched so far, it is what was `known` before.
    pub(crate) fn watch(&self, names: &[String], known: &[Record]) {
        let mut registries = self.registries.lock();
        registries.retain(|name, _| names.contains(name));
        for name in names {
            let known = known.iter().find(|record| record.registry == *name);
            let watched =
                || Watched::new(known.cloned().unwrap_or_else(|| Record::new(name.clone())));
            registries.entry(name.clone()).or_insert_with(watched);
        }
        drop(registries);
        self.publish();
    }

    /// A sweep begins.
    pub(crate) fn begin(&self, registry: &str) {
        let since = SystemTime::now();
        self.enter(registry, page::Phase::Sweeping { since }, None);
    }

    fn enter(&self, registry: &str, phase: page::Phase, due: Option<Instant>) {
        if let Some(watched) = self.registries.lock().get_mut(registry) {
            (watched.phase, watched.due) = (phase, due);
            watched.at = Instant::now();
        }
        self.publish_page();
    }

    /// A sweep has ended. Gives what is known now.
    pub(crate) fn end(&self, registry: &str, sweep: Sweep) -> Option<Arc<Record>> {
        let record = {
            let mut registries = self.registries.lock();
            let watch = registries.get_mut(registry)?;
            Arc::make_mut(&mut watch.record).absorb(sweep);
            Arc::clone(&watch.record)
        };
        // By what is known besides, as the report has it.
        if let Some(report) = &record.last {
            self.process_metrics.sweep(registry, report.verdict.word());
        }
        self.publish();
        Some(record)
    }

    /// What is known of one registry.
    pub(crate) fn record(&self, registry: &str) -> Arc<Record> {
        let registries = self.registries.lock();
        let watch = registries.get(registry);
        watch.map_or_else(
            || Arc::new(Record::new(registry)),
            |watch| Arc::clone(&watch.record),
        )
    }

    /// What is known of all registries.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        self.registries
            .lock()
            .values()
            .map(|watch| Arc::clone(&watch.record))
            .collect()
    }

    /// The next sweep is due then.
    pub(crate) fn wait(&self, registry: &str, due: Instant) {
        let left = due.saturating_duration_since(Instant::now());
        let until = SystemTime::now() + left;
        self.enter(registry, page::Phase::Waiting { until }, Some(due));
    }

    /// What is to be sent right now.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read())
    }

    /// The registries whose loops are stuck: a sweep in which nothing happens, or one that is due
    /// and does not begin.
    pub(crate) fn stuck(&self) -> Vec<String> {
        let now = Instant::now();
        let mut registries = self.registries.lock();
        let mut stuck = Vec::new();
        for (name, watch) in registries.iter_mut() {
            let requests = self.process_metrics.traffic(name).requests;
            if requests != watch.requests {
                watch.requests = requests;
                watch.at = now;
            }
            let since = watch.due.unwrap_or(watch.at);
            if now.saturating_duration_since(since) > LONGEST_SILENCE {
                stuck.push(name.clone());
            }
        }
        stuck
    }

    /// Renders everything anew.
    fn publish(&self) {
        let registries = self.registries.lock();
        let records: Vec<_> = registries.values().map(|watch| &*watch.record).collect();
        let metrics = render::metrics::render(&records);
        let reports: Vec<_> = records
            .iter()
            .filter_map(|record| record.last.as_ref())
            .collect();
        let one = |(name, watch): (&String, &Watched)| {
            let report = watch.record.last.as_ref();
            let report = report.map(|report| render::json::render([report]));
            (name.clone(), Bytes::from(report.unwrap_or_default()))
        };
        let report: BTreeMap<_, Bytes> = registries.iter().map(one).collect();
        // The report of one registry is that of all where there is no other, and has megabytes.
        let only = report.values().next().filter(|_| reports.len() == 1);
        let only = only.filter(|_| registries.len() == 1).cloned();
        let published = Published {
            metrics_gzip: gzip(metrics.as_bytes()).into(),
            metrics: metrics.into(),
            page: render_page(&registries).into(),
            reports: only.unwrap_or_else(|| render::json::render(reports).into()),
            report,
        };
        drop(registries);
        self.replace(published);
    }

    /// Renders the page alone, which tells ages and so grows old by itself.
    pub(crate) fn publish_page(&self) {
        let page = render_page(&self.registries.lock()).into();
        let now = Published::clone(&self.published());
        self.replace(Published { page, ..now });
    }

    fn replace(&self, published: Published) {
        *self.published.write() = Arc::new(published);
    }
}

fn render_page(registries: &BTreeMap<String, Watched>) -> String {
    let watches: Vec<_> = registries
        .values()
        .map(|watch| page::Watch {
            record: &watch.record,
            phase: watch.phase,
        })
        .collect();
    page::render(&watches, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;
    use crate::report::InUseResult;

    #[test]
    fn a_sweep_counts_as_what_its_report_says() {
        let board = StatusBoard::new();
        let mut sweep = fixture::intact();
        let name = sweep.registry.clone();
        board.process_metrics.meter(&name, None);
        board.watch(std::slice::from_ref(&name), &[]);
        sweep.in_use = Some(fixture::in_use(&fixture::five()));
        board.end(&name, sweep.clone()).expect("it is watched");
        // What was known of images in use stays.
        sweep.in_use = Some(InUseResult::away("s", "refused"));
        board.end(&name, sweep).expect("it is watched");
        let text = board.process_metrics.rendered().text;
        let text = String::from_utf8_lossy(&text);
        let counted = |outcome: &str| {
            let series = format!(
                "registry_probe_sweeps_total{{outcome=\"{outcome}\",registry=\"{name}\"}} "
            );
            let mut lines = text.lines();
            lines
                .find_map(|line| line.strip_prefix(&series))
                .map(str::to_owned)
        };
        assert_eq!(counted("broken").as_deref(), Some("2"), "{text}");
        assert_eq!(counted("intact").as_deref(), Some("0"), "{text}");
    }

    #[test]
    fn what_was_known_before_is_gone_on_from_once() {
        let board = StatusBoard::new();
        let mut known = Record::new("a");
        known.recall("app".parse().expect("a name"), 3, None);
        board.watch(&["a".to_owned(), "b".to_owned()], &[known]);
        let failures = |board: &StatusBoard| -> Vec<u64> {
            board
                .records()
                .iter()
                .map(|record| record.failures())
                .collect()
        };
        assert_eq!(failures(&board), [3, 0]);
        // What is watched already is known better.
        let mut older = Record::new("a");
        older.recall("app".parse().expect("a name"), 9, None);
        board.watch(&["a".to_owned()], &[older]);
        assert_eq!(failures(&board), [3]);
    }
}
