//! What must hold for what is read back: the state file, and what a gateway remembers.

use super::metrics;
use crate::oci::fuzzing::assert_printable;
use crate::report::{Record, state as file};

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
