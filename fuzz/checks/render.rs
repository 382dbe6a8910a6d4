//! What must hold for what is read back: the state file, and what a gateway remembers.

use super::{json_state, metrics};
use crate::oci::fuzzing::assert_printable;
use crate::report::Record;

/// A state file: what is taken is written again as the same state.
pub(crate) fn state(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let records = match json_state::parse(text) {
        Ok(records) => records,
        Err(error) => return assert_printable(&error.to_string(), 300),
    };
    let written = json_state::render(&records);
    let again = json_state::parse(&written).expect("what was written by us");
    assert_eq!(json_state::render(&again), written);
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
