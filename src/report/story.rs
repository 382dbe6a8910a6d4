//! Findings that are told together: broken in the same way and for the same cause, and mended by the same
//! kind of repair. The fifteen objects of one clean-up are one story.

use std::collections::HashMap;
use std::hash::Hash;

use super::cause::Cause;
use super::finding::Finding;
use super::finished::Found;
use super::outcome::{Kind, Reason};
use super::repair::Action;

/// What findings have in common that are told together, besides where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plot {
    kind: Kind,
    reason: Reason,
    cause: Option<Cause>,
    action: Option<Action>,
}

impl Plot {
    /// What is common to findings like this one; `found` is the same with what a report says of it, if any does.
    pub(crate) fn of(finding: &Finding, found: Option<&Found>) -> Self {
        let repairs = found.map(|found| &found.repairs);
        Self {
            kind: finding.kind,
            reason: finding.defect.reason,
            cause: found.map(|found| found.cause),
            action: repairs.and_then(|repairs| Some(repairs.first()?.action)),
        }
    }
}

/// `members` in groups of the same key, in the order in which each group begins.
pub(crate) fn told_together<T, K: Eq + Hash>(
    members: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut by_key = HashMap::new();
    for member in members {
        let next = groups.len();
        let position = *by_key.entry(key(&member)).or_insert(next);
        if position == next {
            groups.push(Vec::new());
        }
        groups[position].push(member);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, fixture};

    #[test]
    fn what_one_person_mends_in_one_way_is_one_story() {
        let mut sweep = fixture::sweep();
        let finding = |kind, reason, object: &str| {
            let mut finding = fixture::finding(kind, reason);
            finding.digest = Some(crate::oci::Digest::sha256(object.as_bytes()));
            finding
        };
        let mut elsewhere = finding(Kind::Child, Reason::NotFound, "mounted");
        elsewhere.nearby.copy = Some("other".parse().expect("a name"));
        sweep.findings = vec![
            finding(Kind::Child, Reason::NotFound, "a"),
            finding(Kind::Layer, Reason::NotFound, "b"),
            finding(Kind::Child, Reason::NotFound, "c"),
            // Another repair comes first.
            elsewhere,
            finding(Kind::Layer, Reason::DigestMismatch, "d"),
        ];
        let report = Report::from(sweep);
        let plot = |(_, found): &(usize, &Found)| Plot::of(found, Some(found));
        let told = told_together(report.sweep.findings.iter().enumerate(), plot);
        let numbers = told
            .iter()
            .map(|story| story.iter().map(|(number, _)| *number));
        let numbers: Vec<Vec<_>> = numbers.map(Iterator::collect).collect();
        assert_eq!(numbers, [vec![0, 2], vec![1], vec![3], vec![4]]);
    }
}
