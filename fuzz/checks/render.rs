//! What must hold for what is read back: the state file, reports, and what a gateway remembers.

use std::time::Duration;

use super::{github, json, junit, metrics, text};
use crate::oci::fuzzing::assert_printable;
use crate::report::{Merging, Part, Record, state as file};

/// A state file: what is taken is written again as the same state.
pub(crate) fn state(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let records = match file::parse(text) {
        Ok(records) => records,
        Err(error) => return assert_printable(&error, 300),
    };
    let written = file::render(&records);
    let again = file::parse(&written).expect("what was written by us");
    assert_eq!(file::render(&again), written);
    for (record, again) in records.iter().zip(&again) {
        assert_eq!(record.failures(), again.failures());
        assert!(again.repositories.values().all(|known| !known.is_current));
    }
}

/// Reports to merge: what is taken gives every form of report, and one that is merged again is the same.
pub(crate) fn report(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let parse = |text: &str| Part::parse(text, "report.json");
    let merging = Merging {
        interval: Duration::from_secs(900),
        allow_empty: false,
        unusable: &[],
    };
    let parts = match parse(text) {
        Ok(parts) => parts,
        Err(error) => return assert_printable(&error, 400),
    };
    let records = merging.merge(parts);
    let reports: Vec<_> = records.iter().filter_map(|r| r.last.clone()).collect();
    assert_eq!(reports.len(), records.len());
    let told = [
        text::render(&reports, text::View::default()),
        junit::render(&reports),
        github::annotations(&reports),
        metrics::render(&records.iter().collect::<Vec<_>>()),
    ];
    for told in told.iter().flat_map(|told| told.lines()) {
        assert_printable(told, usize::MAX);
    }
    let written = json::render(&reports);
    let again = parse(&written).expect("what was written by us");
    let again = merging.merge(again);
    let again: Vec<_> = again.iter().filter_map(|r| r.last.clone()).collect();
    assert_eq!(json::render(&again), written);
}

/// The metrics of a gateway: nothing of another registry or another job is taken for ours, and the
/// groups that are in the way are paths on the gateway.
pub(crate) fn gateway(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let key = [("job", "probe"), ("instance", "r:5000")];
    let mut record = Record::new("r:5000");
    metrics::recall(&mut record, text, &key);
    let is_ours = text.contains("registry=\"r:5000") && text.contains("job=\"probe");
    assert!(record.repositories.is_empty() || is_ours);
    let _ = record.failures();
    let before = record.clone();
    metrics::recall(&mut record, text, &key);
    assert_eq!(record, before);
    for group in metrics::foreign_groups(text, &key) {
        assert!(
            group.starts_with("/metrics/job/") && !group.contains('\n'),
            "{group}"
        );
        assert_ne!(group, "/metrics/job/probe/instance/r:5000");
    }
}
