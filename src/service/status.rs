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
    registries: Mutex<BTreeMap<String, Watch>>,
    published: RwLock<Arc<Published>>,
}

/// One registry, as its loop last told.
struct Watch {
    record: Record,
    phase: page::Phase,
    progress: Progress,
}

/// When a loop was last seen to go on.
struct Progress {
    requests: u64,
    at: Instant,
    /// When it is to go on by itself.
    due: Option<Instant>,
}

/// Answers, ready to be sent.
#[derive(Default)]
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
            registries.entry(name.clone()).or_insert_with(|| Watch {
                record: known.cloned().unwrap_or_else(|| Record::new(name.clone())),
                phase: page::Phase::Sweeping {
                    since: SystemTime::now(),
                },
                progress: Progress {
                    requests: 0,
                    at: Instant::now(),
                    due: None,
                },
            });
        }
        drop(registries);
        self.publish();
    }

    /// A sweep begins.
    pub(crate) fn begin(&self, registry: &str) {
        if let Some(watch) = self.registries.lock().get_mut(registry) {
            watch.phase = page::Phase::Sweeping {
                since: SystemTime::now(),
            };
            watch.progress.at = Instant::now();
            watch.progress.due = None;
        }
        self.publish_page();
    }

    /// A sweep has ended. Gives what is known now.
    pub(crate) fn end(&self, registry: &str, sweep: Sweep) -> Option<Record> {
        self.process_metrics.sweep(registry, sweep.verdict().word());
        let record = {
            let mut registries = self.registries.lock();
            let watch = registries.get_mut(registry)?;
            watch.record.absorb(sweep);
            watch.record.clone()
        };
        self.publish();
        Some(record)
    }

    /// What is known of one registry.
    pub(crate) fn record(&self, registry: &str) -> Record {
        let registries = self.registries.lock();
        let watch = registries.get(registry);
        watch.map_or_else(|| Record::new(registry), |watch| watch.record.clone())
    }

    /// What is known of all registries.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.registries
            .lock()
            .values()
            .map(|watch| watch.record.clone())
            .collect()
    }

    /// The next sweep is due then.
    pub(crate) fn wait(&self, registry: &str, until: Instant) {
        if let Some(watch) = self.registries.lock().get_mut(registry) {
            let left = until.saturating_duration_since(Instant::now());
            watch.phase = page::Phase::Waiting {
                until: SystemTime::now() + left,
            };
            watch.progress.at = Instant::now();
            watch.progress.due = Some(until);
        }
        self.publish_page();
    }

    /// What is to be sent right now.
    pub(crate) fn published(&self) -> Arc<Published> {
        let published = self.published.read();
        Arc::clone(&published)
    }

    /// The registries whose loops are stuck: a sweep in which nothing happens, or one that is due
    /// and does not begin.
    pub(crate) fn stuck(&self) -> Vec<String> {
        let now = Instant::now();
        let mut registries = self.registries.lock();
        let mut stuck = Vec::new();
        for (name, watch) in registries.iter_mut() {
            let requests = self.process_metrics.meter(name).traffic().requests;
            if requests != watch.progress.requests {
                watch.progress.requests = requests;
                watch.progress.at = now;
            }
            let since = watch.progress.due.unwrap_or(watch.progress.at);
            if now.saturating_duration_since(since) > LONGEST_SILENCE {
                stuck.push(name.clone());
            }
        }
        stuck
    }

    /// Renders everything anew.
    fn publish(&self) {
        let registries = self.registries.lock();
        let records: Vec<_> = registries.values().map(|watch| &watch.record).collect();
        let metrics = render::metrics::render(&records);
        let sweeps: Vec<_> = records
            .iter()
            .filter_map(|record| record.last.clone())
            .collect();
        let one = |(name, watch): (&String, &Watch)| {
            let report = watch
                .record
                .last
                .iter()
                .map(|sweep| render::json::render(std::slice::from_ref(sweep)));
            (name.clone(), Bytes::from(report.collect::<String>()))
        };
        let published = Published {
            metrics_gzip: gzip(metrics.as_bytes()).into(),
            metrics: metrics.into(),
            page: render_page(&registries).into(),
            reports: render::json::render(&sweeps).into(),
            report: registries.iter().map(one).collect(),
        };
        drop(registries);
        self.replace(published);
    }

    /// Renders the page alone, which tells ages and so grows old by itself.
    pub(crate) fn publish_page(&self) {
        let page = render_page(&self.registries.lock()).into();
        let now = self.published();
        self.replace(Published {
            page,
            metrics: now.metrics.clone(),
            metrics_gzip: now.metrics_gzip.clone(),
            reports: now.reports.clone(),
            report: now.report.clone(),
        });
    }

    fn replace(&self, published: Published) {
        *self.published.write() = Arc::new(published);
    }
}

fn render_page(registries: &BTreeMap<String, Watch>) -> String {
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

    #[test]
    fn what_was_known_before_is_gone_on_from_once() {
        let board = StatusBoard::new();
        let mut known = Record::new("a");
        known.recall("app".parse().expect("a name"), 3, None);
        board.watch(&["a".to_owned(), "b".to_owned()], &[known]);
        let failures = |board: &StatusBoard| -> Vec<u64> {
            board.records().iter().map(Record::failures).collect()
        };
        assert_eq!(failures(&board), [3, 0]);
        // What is watched already is known better.
        let mut older = Record::new("a");
        older.recall("app".parse().expect("a name"), 9, None);
        board.watch(&["a".to_owned()], &[older]);
        assert_eq!(failures(&board), [3]);
    }
}
