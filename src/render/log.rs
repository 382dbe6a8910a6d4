//! What a line of the log says of a sweep that is not intact: the first broken image and the first reason that
//! kept something from a verdict, each with its request as it was dialled.

use super::finding;
use crate::oci::printable;
use crate::report::Report;

/// The first broken image, by the name that it is pulled by, and why.
#[must_use]
pub fn first_broken(report: &Report) -> Option<String> {
    let found = report.sweep.findings.first()?;
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
    fn an_intact_sweep_has_neither() {
        let report = fixture::intact().into();
        assert_eq!(
            (first_broken(&report), first_unverified(&report)),
            (None, None)
        );
    }
}
