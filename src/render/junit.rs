//! The report for CI systems that read JUnit's XML: a suite for each registry, a failed case for each
//! finding, an error for what could not be verified, and a passed case for each image or repository
//! in which all is well.
//!
//! There is no one schema. What is written here is valid by both that are in use: Ant's, which is
//! strict about order and attributes, and that of Jenkins and Surefire (`tests/real/junit`).

use std::fmt::Write as _;

use super::broken::{answer, promise};
use super::repair::repairs;
use super::words::{self, many};
use super::{hint, unverified};
use crate::oci::{Tag, printable};
use crate::report::{Cause, Finding, Node, State, Sweep, Unmet, UnverifiedObjects};

/// Tags that are named in one case. A finding may break thousands, and there may be a thousand findings.
const TAGS: usize = 50;

/// One document for all sweeps.
#[must_use]
pub fn render(sweeps: &[Sweep]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (number, sweep) in sweeps.iter().enumerate() {
        suite(&mut xml, number, sweep);
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

fn suite(xml: &mut String, number: usize, sweep: &Sweep) {
    let cases = cases(sweep);
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
    let name = escape(&sweep.registry);
    let host = match name.trim() {
        "" => "localhost",
        host => host,
    };
    let _ = writeln!(
        xml,
        "  <testsuite id=\"{number}\" package=\"probe\" name=\"{host}\" hostname=\"{host}\" \
         timestamp=\"{}\" time=\"{seconds}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\">",
        started.trim_end_matches('Z'),
        cases.len(),
        count("failure"),
        count("error"),
    );
    let _ = writeln!(
        xml,
        "    <properties>\n      <property name=\"depth\" value=\"{}\"/>\n      <property \
         name=\"mode\" value=\"{}\"/>\n    </properties>",
        sweep.depth, sweep.mode
    );
    for case in &cases {
        write_case(xml, case);
    }
    let tags = many(sweep.counts.tags.checked, "tag", "tags");
    let _ = writeln!(
        xml,
        "    <system-out>{}: {tags} checked</system-out>\n    <system-err/>\n  </testsuite>",
        sweep.verdict()
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

fn cases(sweep: &Sweep) -> Vec<Case> {
    let findings = sweep.findings.iter();
    let findings = findings.map(|finding| failure(finding, sweep));
    let unmet = sweep.unmet.iter().map(expectation);
    let unverified = unverified(sweep);
    let unverified = unverified.iter().map(|group| error(group, sweep));
    findings
        .chain(unmet)
        .chain(unverified)
        .chain(passed(sweep))
        .collect()
}

fn failure(finding: &Finding, sweep: &Sweep) -> Case {
    let what = format!("{}/{}", finding.kind, finding.defect.reason);
    let name = match (&finding.digest, finding.tags.as_slice()) {
        (Some(digest), _) => format!("{what} {digest}"),
        (None, [tag, ..]) => format!("{what} {tag}"),
        (None, []) => what.clone(),
    };
    let message = format!(
        "{} {}{}",
        words::kind(finding.kind),
        words::reason(finding.defect.reason),
        tags(&finding.tags)
    );
    Case {
        class: finding.repository.to_string(),
        name,
        outcome: Some(NotPassed {
            element: "failure",
            kind: what,
            message,
            text: details(finding, sweep),
        }),
    }
}

fn tags(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let named: Vec<_> = tags.iter().take(TAGS).map(Tag::as_str).collect();
    let more = match tags.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(", breaks {}{more}", named.join(", "))
}

/// What shows it, why it is so, and what to do.
fn details(finding: &Finding, sweep: &Sweep) -> String {
    let evidence = &finding.defect.evidence;
    let cause = Cause::of(finding, sweep);
    let mut lines = vec![
        format!("registry {}", printable(&sweep.registry)),
        format!("platforms {}", printable(&finding.platforms.join(", "))),
        format!("expected {}", promise(finding).unwrap_or_default()),
        format!("answer {}", answer(finding)),
        format!("request {}", printable(&evidence.request)),
        format!("cause {} [{cause}]", words::cause(cause)),
        format!("remedy {}", hint(finding)),
    ];
    lines.retain(|line| !line.ends_with(' '));
    if let Some((_, steps)) = repairs(finding, sweep).first() {
        lines.push(format!("repair {}:", printable(&steps.what)));
        lines.extend(steps.script().lines().map(printable));
    }
    lines.join("\n")
}

fn expectation(unmet: &Unmet) -> Case {
    Case {
        class: printable(&unmet.image),
        name: format!("expected {}", unmet.expected),
        outcome: Some(NotPassed {
            element: "failure",
            kind: "unmet".into(),
            message: format!(
                "expected {}: {}",
                unmet.expected,
                printable(&unmet.observed)
            ),
            text: String::new(),
        }),
    }
}

fn error(group: &UnverifiedObjects, sweep: &Sweep) -> Case {
    let why = &group.why;
    let place = group.repository.as_ref().map(ToString::to_string);
    let objects = many(group.count, "object", "objects");
    Case {
        class: place.unwrap_or_else(|| printable(&sweep.registry)),
        name: format!("unverified/{}", why.reason),
        outcome: Some(NotPassed {
            element: "error",
            kind: why.reason.word().to_owned(),
            message: format!("{objects} not verified: {}", printable(&why.detail)),
            text: why.hint().to_owned(),
        }),
    }
}

/// What was checked and is well: the images that were named, or else whole repositories.
fn passed(sweep: &Sweep) -> Vec<Case> {
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
        assert_snapshot("rich", &render(&[fixture::rich()]));
    }

    #[test]
    fn several_registries() {
        let sweeps = [fixture::unverified(), fixture::empty(), fixture::intact()];
        assert_snapshot("several", &render(&sweeps));
    }

    #[test]
    fn images_and_what_was_expected_of_them() {
        assert_snapshot("images", &render(&[fixture::expected()]));
    }

    #[test]
    fn nothing_that_a_registry_says_is_read_as_xml() {
        let hostile = "</failure><x a='\"'>&\x1b]]>\u{ffff}\n";
        let mut sweep = fixture::rich();
        sweep.registry = hostile.into();
        sweep.unverified[0].why.detail = hostile.into();
        sweep.findings[0].platforms = vec![hostile.into()];
        sweep.findings[0].defect.evidence = evidence_of(hostile);
        let text = render(&[sweep]);
        assert!(!text.contains("<x") && !text.contains("]]>"), "{text}");
        assert!(text.contains("&lt;/failure&gt;&lt;x a=&apos;&quot;&apos;&gt;&amp;"));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{ffff}'));
    }

    /// A thousand findings of thousands of tags each are a document that can still be read.
    #[test]
    fn a_thousand_findings_are_a_thousand_cases() {
        let sweep = fixture::thousand();
        let text = render(std::slice::from_ref(&sweep));
        assert_eq!(text.matches("<failure ").count(), 1_000);
        assert_eq!(cases(&sweep).len(), text.matches("<testcase ").count());
        assert!(text.len() < 10 << 20, "{} bytes", text.len());
    }
}
