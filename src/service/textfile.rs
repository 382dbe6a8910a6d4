//! Writes what is known of registries to a file for the node exporter's textfile collector.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use crate::oci::Repository;
use crate::render::metrics;
use crate::report::Record;

/// As much of an older file as is read back.
const LARGEST_FILE: u64 = 64 << 20;

/// What is written of the records into the file at `path`. What a sweep could not see is taken over from the old one.
///
/// # Errors
///
/// If the old one cannot be read.
pub(super) fn render(path: &Path, records: &[Arc<Record>]) -> io::Result<String> {
    let mut records = records.to_vec();
    let is_blind =
        |record: &Arc<Record>| record.last.as_ref().is_some_and(|report| !report.complete);
    let lacks_something = |record: &Arc<Record>| is_blind(record) || metrics::lacks_in_use(record);
    let held = if records.iter().any(lacks_something) {
        read(path)?
    } else {
        String::new()
    };
    for record in records.iter_mut().filter(|record| is_blind(record)) {
        metrics::recall(Arc::make_mut(record), &held, &[]);
    }
    let records: Vec<_> = records.iter().map(|record| &**record).collect();
    let mut text = metrics::render(&records);
    for record in records {
        metrics::recall_in_use(&mut text, record, &held, &[]);
    }
    Ok(text)
}

/// The repositories in which something is broken, as an earlier run wrote it into the file at `path`.
///
/// # Errors
///
/// If it cannot be read.
pub(super) fn failing(path: &Path, registry: &str) -> io::Result<BTreeSet<Repository>> {
    let held = read(path)?;
    if !held.is_empty() && !held.ends_with('\n') {
        return Err(io::Error::other("it ends in the middle of a line"));
    }
    Ok(metrics::failing(registry, &held, &[]))
}

fn read(path: &Path) -> io::Result<String> {
    // A pipe has nothing to give back.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Ok(String::new());
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
