//! The report for a step of GitHub Actions: workflow commands, which become annotations, and a summary
//! in Markdown.
//!
//! The limits are the platform's: 10 annotations of a kind are shown for a step, and a summary of more
//! than 1 MiB is refused whole (docs.github.com, "Workflow commands"). What is beyond them stands in
//! plain lines of the log, of which there may be as many as there are.

use std::borrow::Borrow;
use std::fmt::Write as _;

use super::words::{self, length, many, number};
use super::{documents, finding, in_use, scope};
use crate::oci::{Repository, printable};
use crate::report::{
    InUseFinding, Named, NamedImage, Object, Report, Unmet, UnverifiedObjects, Verdict,
};

/// Annotations of one kind that a step shows.
const ANNOTATIONS: usize = 10;

/// What a step's summary may have in bytes.
const SUMMARY: usize = 1 << 20;

/// Tags that are named with one object.
const TAGS: usize = 20;

/// Workflow commands, one a line, and plain lines for what is beyond the limit.
#[must_use]
pub fn annotations<R: Borrow<Report>>(reports: &[R]) -> String {
    let reports: Vec<&Report> = reports.iter().map(Borrow::borrow).collect();
    let mut text = String::new();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for &report in &reports {
        let (objects, sweep) = (report.objects(), &report.sweep);
        errors.extend(objects.iter().map(|object| broken(report, object)));
        errors.extend(sweep.unmet.iter().map(|unmet| expectation(report, unmet)));
        let in_use = sweep.in_use.iter().flat_map(|in_use| &in_use.findings);
        let in_use = in_use.filter(|found| !found.is_listed);
        errors.extend(in_use.map(|found| used(report, found)));
        errors.extend(documents::broken(sweep).map(harmed));
        warnings.extend(documents::unresolved(sweep).map(unresolved));
        warnings.extend(sweep.unverified.iter().map(|group| unknown(report, group)));
    }
    say(&mut text, "error", &errors);
    say(&mut text, "warning", &warnings);
    let intact = reports
        .into_iter()
        .filter(|report| report.verdict == Verdict::Intact);
    let intact: Vec<_> = intact.map(all_is_well).collect();
    say(&mut text, "notice", &intact);
    text
}

/// Something to report: a title and what it is about.
struct Note {
    title: String,
    text: Vec<String>,
    /// The same in a line of the log, of nothing but names that cannot be read as a command.
    line: String,
}

/// Notes of one kind. If they are too many, the last that is shown says so.
fn say(text: &mut String, command: &str, notes: &[Note]) {
    let shown = if notes.len() > ANNOTATIONS {
        ANNOTATIONS - 1
    } else {
        notes.len()
    };
    let (shown, rest) = notes.split_at(shown);
    for note in shown {
        let title = property(&note.title);
        let body = data(&note.text.join("\n"));
        let _ = writeln!(text, "::{command} title={title}::{body}");
    }
    if !rest.is_empty() {
        let more = format!(
            "and {} more: see the log and the summary of this step",
            rest.len()
        );
        let _ = writeln!(text, "::{command} title=probe::{more}");
    }
    for note in rest {
        let _ = writeln!(text, "{command}: {}", note.line);
    }
}

fn broken(report: &Report, object: &Object<'_>) -> Note {
    let found = object.first();
    let (code, place) = (finding::code(found), finding::place(found));
    let breaks = finding::breaks(&object.findings, TAGS).unwrap_or_default();
    let mut text = vec![format!("{place} [{code}]")];
    text.extend(finding::lines(&object.findings, TAGS));
    Note {
        title: format!("{}: {}", report.sweep.title(), finding::heading(found)),
        text,
        line: format!("{code} {place} {breaks}"),
    }
}

/// An image that pods could not pull again, which no list of the registry's has.
fn used(report: &Report, found: &InUseFinding) -> Note {
    let users = in_use::users(&found.workloads).unwrap_or_default();
    Note {
        title: format!("{}: in use and cannot be pulled", report.sweep.title()),
        text: vec![
            format!("{}: {}", found.image, in_use::why(found)),
            format!("used by {users}"),
        ],
        line: format!("{} in use, {}", found.reference, found.reason.word()),
    }
}

fn expectation(report: &Report, unmet: &Unmet) -> Note {
    Note {
        title: format!("{}/{}", report.sweep.registry, unmet.image),
        text: vec![format!("expected {}: {}", unmet.expected, unmet.observed)],
        line: format!("{} is not as expected", unmet.image),
    }
}

/// An image of which documents say who needs it.
fn harmed(image: &NamedImage) -> Note {
    let what = documents::what(image);
    let places = documents::places(&image.named, TAGS);
    Note {
        title: "what documents describe would fail".into(),
        line: format!("{what}: {}", places.join("; ")).replace("##[", ""),
        text: [vec![what], places].concat(),
    }
}

fn unresolved(named: &Named) -> Note {
    let text = documents::name(named);
    Note {
        title: "what documents name is no image, or still to be resolved".into(),
        text: vec![text.clone()],
        line: text.replace("##[", ""),
    }
}

fn unknown(report: &Report, group: &UnverifiedObjects) -> Note {
    let place = group.repository.as_ref().map(Repository::as_str);
    let objects = many(group.count, "object", "objects");
    let before = place.map(|place| format!("{place}: ")).unwrap_or_default();
    Note {
        title: format!("{}: {objects} not verified", report.sweep.title()),
        text: vec![
            format!("{before}{}", group.why.detail),
            group.why.hint().to_owned(),
        ],
        line: format!(
            "{objects} not verified {}: {}",
            place.unwrap_or_default(),
            group.why.reason
        ),
    }
}

fn all_is_well(report: &Report) -> Note {
    Note {
        title: format!("{}: intact", report.sweep.title()),
        text: vec![scope::intact(&report.sweep)],
        line: "intact".into(),
    }
}

/// The text of a workflow command (actions/toolkit, `escapeData`).
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a workflow command's property (actions/toolkit, `escapeProperty`).
fn property(text: &str) -> String {
    data(&printable(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

/// The summary of a step in Markdown, which fits behind `taken` bytes that other summaries of the step
/// have taken already.
#[must_use]
pub fn summary<R: Borrow<Report>>(reports: &[R], taken: usize) -> String {
    // Room for the line that says how much is left out, for each registry.
    let room = SUMMARY
        .saturating_sub(taken)
        .saturating_sub(256 * (reports.len() + 1));
    let mut text = String::new();
    for report in reports {
        if text.len() < room {
            section(&mut text, report.borrow(), room);
        }
    }
    text
}

fn section(text: &mut String, report: &Report, room: usize) {
    let sweep = &report.sweep;
    let tags = sweep.counts.tags;
    let _ = writeln!(
        text,
        "## {}: {}\n\n{} of {} checked.\n",
        report.verdict.word().to_uppercase(),
        markdown(&sweep.title()),
        number(tags.checked),
        many(tags.listed, "tag", "tags"),
    );
    let objects = report.objects();
    let rows = objects.iter().map(|object| {
        let found = object.first();
        // Names and digests have nothing in them that Markdown reads inside of a code span.
        let what = format!("{}<br>`{}`", finding::code(found), finding::place(found));
        let breaks = finding::breaks(&object.findings, TAGS);
        let breaks = breaks.map(|tags| format!("`{tags}`")).unwrap_or_default();
        let cause = markdown(words::cause(object.cause));
        [what, breaks, cause, markdown(found.hint)]
    });
    let head = ["broken object", "breaks", "cause", "what to do"];
    table(text, head, rows, room);
    let rows = sweep.unmet.iter().map(|unmet| {
        let expected = unmet.expected.to_string();
        [&*unmet.image, &expected, &*unmet.observed].map(markdown)
    });
    table(text, ["image", "expected", "seen"], rows, room);
    let in_use = sweep.in_use.iter().flat_map(|in_use| &in_use.findings);
    let rows: Vec<_> = in_use
        .map(|found| {
            let users = in_use::users(&found.workloads).unwrap_or_default();
            [&*found.image, &*in_use::why(found), &*users].map(markdown)
        })
        .collect();
    table(
        text,
        ["image in use", "why", "used by"],
        rows.into_iter(),
        room,
    );
    let harmed: Vec<_> = documents::broken(sweep).collect();
    let rows = harmed.iter().map(|image| {
        let places = documents::places(&image.named, TAGS);
        let places: Vec<_> = places.iter().map(|place| markdown(place)).collect();
        [markdown(&documents::what(image)), places.join("<br>")]
    });
    table(text, ["cannot be pulled", "what would fail"], rows, room);
    let rows = documents::unresolved(sweep);
    let rows = rows.map(|named| [markdown(&documents::name(named))]);
    let rows = rows.collect::<Vec<_>>().into_iter();
    table(text, ["no name of an image"], rows, room);
    let rows = sweep.unverified.iter().map(|group| {
        let place = group.repository.as_ref().map(Repository::as_str);
        let (place, count) = (place.unwrap_or("the registry"), number(group.count));
        [place, &count, &group.why.detail, group.why.hint()].map(markdown)
    });
    let head = ["not verified", "objects", "why", "what to do"];
    table(text, head, rows, room);
}

/// A table, or nothing without rows.
fn table<const N: usize>(
    text: &mut String,
    head: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
    room: usize,
) {
    let mut left = rows.len();
    if left == 0 {
        return;
    }
    let _ = writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let row = format!("| {} |\n", row.join(" | "));
        if text.len() + row.len() > room {
            break;
        }
        text.push_str(&row);
        left -= 1;
    }
    text.push('\n');
    if left > 0 {
        let _ = writeln!(
            text,
            "and {} more: the log has them.\n",
            number(length(left))
        );
    }
}

/// `text` with nothing in it that Markdown or HTML reads, in one line.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if c.is_ascii_punctuation() && !"./-,:()".contains(c) {
            let _ = write!(escaped, "&#{};", u32::from(c));
        } else {
            escaped.push(c);
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

    fn commands(text: &str, command: &str) -> usize {
        let start = format!("::{command} ");
        text.lines().filter(|line| line.starts_with(&start)).count()
    }

    #[test]
    fn a_rich_sweep() {
        assert_snapshot(
            "annotations",
            &annotations(&[Report::from(fixture::rich())]),
        );
        assert_snapshot("summary", &summary(&[Report::from(fixture::rich())], 0));
    }

    #[test]
    fn images_and_what_was_expected_of_them() {
        let sweeps = [
            fixture::expected().into(),
            fixture::intact().into(),
            fixture::blind(),
        ];
        assert_snapshot("annotations_of_several", &annotations(&sweeps));
        assert_snapshot("summary_of_several", &summary(&sweeps, 0));
        let documents = [Report::from(fixture::documents())];
        assert_snapshot("annotations_of_documents", &annotations(&documents));
        assert_snapshot("summary_of_documents", &summary(&documents, 0));
    }

    #[test]
    fn a_thousand_findings_stay_within_the_limits() {
        let sweeps = [Report::from(fixture::thousand())];
        let text = annotations(&sweeps);
        assert_eq!(commands(&text, "error"), 10);
        let plain = text.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(plain.count(), 1_000 - 9);
        let annotation = text.lines().map(str::len).max();
        assert!(annotation < Some(8 << 10), "{annotation:?}");
        let whole = summary(&sweeps, 0);
        assert!(whole.len() <= SUMMARY, "{}", whole.len());
        assert_eq!(whole.matches("<br>").count(), 1_000);
    }

    #[test]
    fn a_summary_takes_the_room_that_is_left() {
        let sweeps = [fixture::thousand(), fixture::thousand()].map(Report::from);
        for taken in [0, 100_000, SUMMARY - 2_000, SUMMARY, usize::MAX] {
            let text = summary(&sweeps, taken);
            assert!(text.len() <= SUMMARY.saturating_sub(taken), "{taken}");
        }
        let text = summary(&sweeps, SUMMARY - 20_000);
        assert!(text.contains(" more: the log has them."), "{text}");
    }

    /// The runner reads a command in every line that begins with two colons, and in its older syntax
    /// wherever `##[` stands (actions/runner, `ActionCommand.TryParse`).
    #[test]
    fn nothing_that_a_registry_says_is_read_as_a_command() {
        let hostile = "100%\r\n::add-mask::x\n##[error]y,z:|<img src=x>`*_[a](b)";
        let mut sweep = fixture::thousand();
        sweep.registry = hostile.into();
        for finding in &mut sweep.findings {
            finding.platforms = vec![hostile.into()];
            finding.defect.evidence = evidence_of(hostile);
        }
        sweep.unverified = fixture::rich().unverified;
        for group in &mut sweep.unverified {
            group.why.detail = hostile.into();
        }
        let report = Report::from(sweep);
        let text = annotations(std::slice::from_ref(&report));
        for line in text.lines() {
            let is_ours = ["::error title=", "::warning title=", "error: ", "warning: "];
            assert!(
                is_ours.iter().any(|start| line.starts_with(start)),
                "{line}"
            );
            if !line.starts_with("::") {
                assert!(!line.contains("##["), "{line}");
            }
        }
        let (_, title) = text.split_once("::error title=").expect("an error");
        let (title, _) = title.split_once("::").expect("its end");
        assert!(title.starts_with("100%25"), "{title}");
        assert!(!title.contains([',', ':']), "{title}");
        let text = summary(&[report], 0);
        assert!(!text.contains("<img") && !text.contains("[a]"), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let tables = text.lines().filter(|line| line.starts_with('|'));
        assert!(tables.into_iter().all(|line| columns(line) == 5), "{text}");
    }

    #[test]
    fn escapes_are_those_of_the_platform() {
        assert_eq!(data("50%\r\na:b,c"), "50%25%0D%0Aa:b,c");
        assert_eq!(property("50% a:b,c"), "50%25 a%3Ab%2Cc");
    }
}
