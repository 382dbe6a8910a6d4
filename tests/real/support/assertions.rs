//! What tests say about an outcome, with everything one needs to see when it is not so.

use super::probe::Outcome;
use super::report::{Finding, Report};

/// Intact: exit 0, complete, nothing found, nothing left open.
pub(crate) fn assert_intact(outcome: &Outcome) -> Report {
    assert_eq!(outcome.code, 0, "exit code of {outcome}");
    let report = outcome.report();
    assert_eq!(report.verdict(), "intact", "verdict of {outcome}");
    assert!(report.is_complete(), "complete: {outcome}");
    assert_eq!(report.findings(), [], "findings of {outcome}");
    assert_eq!(report.unverified(), [""; 0], "unverified of {outcome}");
    report
}

/// Broken: exit 1, complete, and exactly these findings.
pub(crate) fn assert_broken(outcome: &Outcome, expected: &[Finding]) -> Report {
    assert_findings(&outcome.report(), expected, outcome);
    assert_eq!(outcome.code, 1, "exit code of {outcome}");
    let report = outcome.report();
    assert_eq!(report.verdict(), "broken", "verdict of {outcome}");
    assert!(report.is_complete(), "complete: {outcome}");
    assert_eq!(report.count("broken"), expected.len(), "count of {outcome}");
    report
}

/// Unverified: exit 3, incomplete, nothing said to be broken, and a reason given.
pub(crate) fn assert_unverified(outcome: &Outcome) -> Report {
    assert_eq!(outcome.code, 3, "exit code of {outcome}");
    let report = outcome.report();
    assert_eq!(report.verdict(), "unverified", "verdict of {outcome}");
    assert!(!report.is_complete(), "not complete: {outcome}");
    assert_eq!(report.findings(), [], "findings of {outcome}");
    assert!(!report.unverified().is_empty(), "a reason in {outcome}");
    report
}

/// Exactly these findings, in whatever order.
pub(crate) fn assert_findings(report: &Report, expected: &[Finding], outcome: &Outcome) {
    let found = report.findings();
    let mut expected = expected.to_vec();
    expected.sort();
    let missing: Vec<_> = expected.iter().filter(|one| !found.contains(one)).collect();
    let surplus: Vec<_> = found.iter().filter(|one| !expected.contains(one)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty() && found.len() == expected.len(),
        "missing: {missing:#?}\nnot expected: {surplus:#?}\n{outcome}"
    );
}
