//! What a line of the log says of a sweep that is not intact: the first broken image and the first reason that
//! kept something from a verdict, each with its request as it was dialled.

use super::{finding, in_use};
use crate::oci::printable;
use crate::report::Report;

/// The first broken image, by the name that it is pulled by, and why.
#[must_use]
pub fn first_broken(report: &Report) -> Option<String> {
    let Some(found) = report.sweep.findings.first() else {
        let used = report.sweep.in_use.as_ref()?.findings.first()?;
        let why = in_use::why(used);
        return Some(format!("{}, which is in use: {why}", used.image));
    };
    let access = &report.sweep.access;
    let place = match found.tags.first() {
        Some(tag) => format!("{}:{tag}", found.repository),
        None => finding::place(found),
    };
    let (host, code, heading) = (&access.host, finding::code(found), finding::heading(found));
    let evidence = &found.defect.evidence;
    let observed = evidence.observed.as_ref();
    let observed = observed
        .map(|observed| format!(", {observed}"))
        .unwrap_or_default();
    let request = access.dialled_in(&evidence.request);
    let text = format!("{host}/{place}: {heading} [{code}]{observed}: {request}");
    Some(printable(text.trim_end_matches(": ")))
}

/// The first reason, where it was met, and what happened.
#[must_use]
pub fn first_unverified(report: &Report) -> Option<String> {
    let group = report.sweep.unverified.first()?;
    let place = group.repository.as_ref();
    let place = place.map(|name| format!("{name}: ")).unwrap_or_default();
    Some(printable(&format!(
        "{place}{} [{}]",
        group.why.detail, group.why.reason
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn a_broken_image_has_the_name_that_it_is_pulled_by() {
        let mut sweep = fixture::rich();
        "main".clone_into(&mut sweep.registry);
        "r.example/mirror".clone_into(&mut sweep.access.host);
        "http://registry:5000".clone_into(&mut sweep.access.dialled);
        let said = first_broken(&sweep.into()).expect("something is broken");
        assert!(said.starts_with("r.example/mirror/"), "{said}");
        assert!(said.contains("GET http://registry:5000/v2/"), "{said}");
    }

    #[test]
    fn an_image_that_only_pods_know_is_named_where_nothing_else_is() {
        let mut sweep = fixture::rich();
        let mut in_use = fixture::in_use(&sweep);
        in_use.findings.remove(0);
        sweep.findings.clear();
        sweep.in_use = Some(in_use);
        let said = first_broken(&sweep.into()).expect("something is broken");
        let expected = "registry.example:5050/team/app:deleted, which is in use: tag not found [tag/not_found]";
        assert_eq!(said, expected);
    }

    #[test]
    fn an_intact_sweep_has_neither() {
        let report = fixture::intact().into();
        assert_eq!(
            (first_broken(&report), first_unverified(&report)),
            (None, None)
        );
    }
}
