//! The report for CI systems that read JUnit's XML: a suite for each registry, a failed case for each
//! finding, an error for what could not be verified, and a passed case for each image or repository
//! in which all is well.
//!
//! There is no one schema. What is written here is valid by both that are in use: Ant's, which is
//! strict about order and attributes, and that of Jenkins and Surefire (`tests/real/junit`).

use std::borrow::Borrow;
use std::fmt::Write as _;

use super::documents::{self, Harm};
use super::words::{self, many};
use super::{finding, in_use};
use crate::oci::printable;
use crate::report::{
    Found, InUseFinding, Named, Node, Report, State, Sweep, Unmet, UnverifiedObjects,
};

/// Tags that are named in one case. A finding may break thousands, and there may be a thousand findings.
const TAGS: usize = 50;

/// One document for all sweeps.
#[must_use]
pub fn render<R: Borrow<Report>>(reports: &[R]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (number, report) in reports.iter().enumerate() {
        suite(&mut xml, number, report.borrow());
    }
    xml + "</testsuites>\n"
}

/// One thing that was checked.
struct Case {
    class: String,
    name: String,
    outcome: Option<NotPassed>,
}

/// Why a case did not pass.
struct NotPassed {
    element: &'static str,
    kind: String,
    message: String,
    text: String,
}

fn suite(xml: &mut String, number: usize, report: &Report) {
    let (cases, sweep) = (cases(report), &report.sweep);
    let count = |element| {
        let outcomes = cases.iter().filter_map(|case| case.outcome.as_ref());
        outcomes
            .filter(|outcome| outcome.element == element)
            .count()
    };
    let started = humantime::format_rfc3339_seconds(words::since_epoch(sweep.started_at));
    let started = started.to_string();
    let time = words::between(sweep.started_at, sweep.finished_at);
    let seconds = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    let or_localhost = |text: &str| match escape(text).trim() {
        "" => "localhost".to_owned(),
        text => text.to_owned(),
    };
    let (name, host) = (or_localhost(&sweep.title()), or_localhost(&sweep.registry));
    let _ = writeln!(
        xml,
        "  <testsuite id=\"{number}\" package=\"probe\" name=\"{name}\" hostname=\"{host}\" \
         timestamp=\"{}\" time=\"{seconds}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\">",
        started.trim_end_matches('Z'),
        cases.len(),
        count("failure"),
        count("error"),
    );
    let shard = sweep
        .shard
        .map(|shard| format!("      <property name=\"shard\" value=\"{shard}\"/>\n"));
    let shard = shard.unwrap_or_default();
    let _ = writeln!(
        xml,
        "    <properties>\n      <property name=\"depth\" value=\"{}\"/>\n      <property \
         name=\"mode\" value=\"{}\"/>\n{}    </properties>",
        sweep.depth, sweep.mode, shard
    );
    for case in &cases {
        write_case(xml, case);
    }
    let tags = many(sweep.counts.tags.checked, "tag", "tags");
    let _ = writeln!(
        xml,
        "    <system-out>{}: {tags} checked</system-out>\n    <system-err/>\n  </testsuite>",
        report.verdict
    );
}

fn write_case(xml: &mut String, case: &Case) {
    let (class, name) = (escape(&case.class), escape(&case.name));
    let _ = write!(
        xml,
        "    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\""
    );
    let Some(outcome) = &case.outcome else {
        xml.push_str("/>\n");
        return;
    };
    let element = outcome.element;
    let (kind, message) = (escape(&outcome.kind), escape(&outcome.message));
    // Every line of it is printable already, and the breaks between them are ours.
    let text: Vec<_> = outcome.text.lines().map(escape).collect();
    let _ = writeln!(
        xml,
        ">\n      <{element} type=\"{kind}\" message=\"{message}\">{}</{element}>\n    </testcase>",
        text.join("\n")
    );
}

fn cases(report: &Report) -> Vec<Case> {
    let sweep = &report.sweep;
    let findings = sweep.findings.iter();
    let findings = findings.map(|found| failure(found, &sweep.registry));
    let unmet = sweep.unmet.iter().map(expectation);
    let in_use = sweep.in_use.iter().flat_map(|in_use| &in_use.findings);
    // What the registry lists is among the findings, with its pods.
    let in_use = in_use.filter(|found| !found.is_listed).map(used);
    let unverified = sweep.unverified.iter();
    let unverified = unverified.map(|group| error(group, &sweep.registry));
    let harms = documents::harms(sweep)
        .into_iter()
        .map(|harm| harmed(&harm));
    let unresolved = documents::unresolved(sweep).map(unresolved);
    findings
        .chain(unmet)
        .chain(in_use)
        .chain(harms)
        .chain(unverified)
        .chain(unresolved)
        .chain(passed(sweep))
        .collect()
}

fn failure(found: &Found, registry: &str) -> Case {
    let what = finding::code(found);
    let object = found.digest.as_ref().map(ToString::to_string);
    let object = object.or_else(|| found.tags.first().map(ToString::to_string));
    let breaks = finding::breaks(&[found], TAGS).map(|tags| format!(", breaks {tags}"));
    let mut lines = vec![format!("registry {registry}")];
    lines.extend(finding::lines(&[found], TAGS));
    let outcome = NotPassed {
        element: "failure",
        message: finding::heading(found) + &breaks.unwrap_or_default(),
        text: lines.join("\n"),
        kind: what.clone(),
    };
    let name = [what].into_iter().chain(object).collect::<Vec<_>>();
    Case {
        class: found.repository.to_string(),
        name: name.join(" "),
        outcome: Some(outcome),
    }
}

/// An image that pods could not pull again.
fn used(found: &InUseFinding) -> Case {
    let users = in_use::users(&found.workloads).unwrap_or_default();
    Case {
        class: found.repository.to_string(),
        name: format!("in use {}", found.image),
        outcome: Some(NotPassed {
            element: "failure",
            kind: format!("{}/{}", found.kind, found.reason.word()),
            message: format!("in use and cannot be pulled: {}", in_use::why(found)),
            text: format!("used by {users}"),
        }),
    }
}

fn expectation(unmet: &Unmet) -> Case {
    Case {
        class: unmet.image.to_string(),
        name: format!("expected {}", unmet.expected),
        outcome: Some(NotPassed {
            element: "failure",
            kind: "unmet".into(),
            message: format!("expected {}: {}", unmet.expected, unmet.observed),
            text: String::new(),
        }),
    }
}

/// An object that a document describes and that would fail.
fn harmed(harm: &Harm<'_>) -> Case {
    Case {
        class: harm.origin.to_string(),
        name: harm.image.image.clone(),
        outcome: Some(NotPassed {
            element: "failure",
            kind: "would_fail".into(),
            message: format!("it cannot be pulled as promised: {}", harm.what()),
            text: String::new(),
        }),
    }
}

fn unresolved(named: &Named) -> Case {
    let origin = named.origins.first();
    Case {
        class: origin.map(ToString::to_string).unwrap_or_default(),
        name: format!("unresolved {}", named.written)
            .trim_end()
            .to_owned(),
        outcome: Some(NotPassed {
            element: "error",
            kind: "unresolved".into(),
            message: format!(
                "no image, or still to be resolved: {}",
                documents::name(named)
            ),
            text: String::new(),
        }),
    }
}

fn error(group: &UnverifiedObjects, registry: &str) -> Case {
    let why = &group.why;
    let place = group.repository.as_ref().map(ToString::to_string);
    let objects = many(group.count, "object", "objects");
    Case {
        class: place.unwrap_or_else(|| registry.to_owned()),
        name: format!("unverified/{}", why.reason),
        outcome: Some(NotPassed {
            element: "error",
            kind: why.reason.word().to_owned(),
            message: format!("{objects} not verified: {}", why.detail),
            text: why.hint().to_owned(),
        }),
    }
}

/// What was checked and is well: the images that were named, or else whole repositories.
fn passed(sweep: &Sweep<Found>) -> Vec<Case> {
    let case = |class, name| Case {
        class,
        name,
        outcome: None,
    };
    if sweep.images.is_empty() {
        let well = sweep.repositories.iter();
        let well = well.filter(|result| result.broken + result.unverified == 0);
        return well
            .map(|result| case(result.name.to_string(), "everything can be pulled".into()))
            .collect();
    }
    let is_unmet = |name: &str| sweep.unmet.iter().any(|unmet| unmet.image == name);
    let well = sweep.images.iter().filter(|image| is_well(&image.root));
    well.filter(|image| !is_unmet(&image.name()))
        .map(|image| case(image.name(), "it can be pulled".into()))
        .collect()
}

fn is_well(node: &Node) -> bool {
    let is_well_itself = matches!(
        node.state,
        State::Intact | State::Skipped(_) | State::Absent | State::Changed
    );
    is_well_itself && node.children.iter().all(is_well)
}

/// `text` for an attribute or between elements: with nothing in it that XML reads, or does not allow.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // Characters by Unicode and not by XML 1.0, "Characters".
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;
    use crate::report::fixture::evidence_of;

    fn assert_snapshot(name: &str, text: &str) {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn a_rich_sweep() {
        assert_snapshot("rich", &render(&[Report::from(fixture::rich())]));
    }

    #[test]
    fn several_registries() {
        let sweeps = [
            fixture::blind(),
            fixture::empty().into(),
            fixture::intact().into(),
        ];
        assert_snapshot("several", &render(&sweeps));
    }

    #[test]
    fn images_and_what_was_expected_of_them() {
        assert_snapshot("images", &render(&[Report::from(fixture::expected())]));
        assert_snapshot("documents", &render(&[Report::from(fixture::documents())]));
    }

    #[test]
    fn nothing_that_a_registry_says_is_read_as_xml() {
        let hostile = "</failure><x a='\"'>&\x1b]]>\u{ffff}\n";
        let mut sweep = fixture::rich();
        sweep.registry = hostile.into();
        sweep.unverified[0].why.detail = hostile.into();
        sweep.findings[0].platforms = vec![hostile.into()];
        sweep.findings[0].defect.evidence = evidence_of(hostile);
        let text = render(&[Report::from(sweep)]);
        assert!(!text.contains("<x") && !text.contains("]]>"), "{text}");
        assert!(text.contains("&lt;/failure&gt;&lt;x a=&apos;&quot;&apos;&gt;&amp;"));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{ffff}'));
    }

    /// A thousand findings of thousands of tags each are a document that can still be read.
    #[test]
    fn a_thousand_findings_are_a_thousand_cases() {
        let report = Report::from(fixture::thousand());
        let text = render(std::slice::from_ref(&report));
        assert_eq!(text.matches("<failure ").count(), 1_000);
        assert_eq!(cases(&report).len(), text.matches("<testcase ").count());
        assert!(text.len() < 10 << 20, "{} bytes", text.len());
    }
}
