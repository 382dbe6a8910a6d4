//! The report for a step of GitHub Actions: workflow commands, which become annotations, and a summary
//! in Markdown.
//!
//! The limits are the platform's: 10 annotations of a kind are shown for a step, and a summary of more
//! than 1 MiB is refused whole (docs.github.com, "Workflow commands"). What is beyond them is told in
//! plain lines of the log, of which there may be as many as there are.

use std::fmt::Write as _;

use super::words::{self, length, many, number};
use super::{hint, scope, unverified};
use crate::oci::{Repository, Tag, printable};
use crate::report::{Root, Sweep, Unmet, Verdict};

/// Annotations of one kind that a step shows.
const ANNOTATIONS: usize = 10;

/// What a step's summary may have in bytes.
const SUMMARY: usize = 1 << 20;

/// Tags that are named with one object.
const TAGS: usize = 20;

/// Workflow commands, one a line, and plain lines for what is beyond the limit.
#[must_use]
pub fn annotations(sweeps: &[Sweep]) -> String {
    let mut text = String::new();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for sweep in sweeps {
        let unmet = sweep.unmet.iter().map(|unmet| expectation(sweep, unmet));
        errors.extend(sweep.roots().iter().map(|root| broken(sweep, root)));
        errors.extend(unmet);
        warnings.extend(unknown(sweep));
    }
    say(&mut text, "error", &errors);
    say(&mut text, "warning", &warnings);
    let intact = sweeps.iter().filter(|s| s.verdict() == Verdict::Intact);
    let intact: Vec<_> = intact.map(all_is_well).collect();
    say(&mut text, "notice", &intact);
    text
}

/// Something to tell: a title and what it is about.
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

fn broken(sweep: &Sweep, root: &Root<'_>) -> Note {
    let finding = root.findings[0];
    let what = format!(
        "{} {}",
        words::kind(finding.kind),
        words::reason(finding.defect.reason)
    );
    let object = match &finding.digest {
        Some(digest) => format!("{}@{digest}", finding.repository),
        None => finding.repository.to_string(),
    };
    let tags = tags(root);
    let mut text = vec![object.clone()];
    if !tags.is_empty() {
        text.push(format!("breaks {tags}"));
    }
    let platforms: Vec<_> = root.platforms().into_iter().collect();
    if !platforms.is_empty() {
        text.push(format!("for {}", printable(&platforms.join(", "))));
    }
    text.push(format!("cause: {}", words::cause(root.cause)));
    text.push(format!("remedy: {}", hint(finding)));
    Note {
        title: format!("{}: {what}", sweep.registry),
        text,
        line: format!("{}/{} {object} {tags}", finding.kind, finding.defect.reason),
    }
}

fn tags(root: &Root<'_>) -> String {
    let name = |(repository, tag): (&Repository, &Tag)| format!("{repository}:{tag}");
    let named: Vec<_> = root.tags().take(TAGS).map(name).collect();
    match root.tags().count() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn expectation(sweep: &Sweep, unmet: &Unmet) -> Note {
    let text = format!(
        "expected {}: {}",
        unmet.expected,
        printable(&unmet.observed)
    );
    Note {
        title: format!("{}/{}", sweep.registry, unmet.image),
        text: vec![text],
        line: format!("{} is not as expected", printable(&unmet.image)),
    }
}

fn unknown(sweep: &Sweep) -> Vec<Note> {
    let note = |group: &crate::report::UnverifiedObjects| {
        let place = group.repository.as_ref().map(Repository::as_str);
        let reason = group.why.reason;
        let objects = many(group.count, "object", "objects");
        Note {
            title: format!("{}: {objects} not verified", sweep.registry),
            text: vec![
                format!(
                    "{}{}",
                    place.map(|place| format!("{place}: ")).unwrap_or_default(),
                    printable(&group.why.detail)
                ),
                group.why.hint().to_owned(),
            ],
            line: format!(
                "{objects} not verified {}: {reason}",
                place.unwrap_or_default()
            ),
        }
    };
    unverified(sweep).iter().map(note).collect()
}

fn all_is_well(sweep: &Sweep) -> Note {
    Note {
        title: format!("{}: intact", sweep.registry),
        text: vec![scope::intact(sweep)],
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
pub fn summary(sweeps: &[Sweep], taken: usize) -> String {
    // Room for the line that says how much is left out, for each registry.
    let room = SUMMARY
        .saturating_sub(taken)
        .saturating_sub(256 * (sweeps.len() + 1));
    let mut text = String::new();
    for sweep in sweeps {
        if text.len() < room {
            section(&mut text, sweep, room);
        }
    }
    text
}

fn section(text: &mut String, sweep: &Sweep, room: usize) {
    let tags = sweep.counts.tags;
    let _ = writeln!(
        text,
        "## {}: {}\n\n{} of {} checked.\n",
        sweep.verdict().word().to_uppercase(),
        markdown(&sweep.registry),
        number(tags.checked),
        many(tags.listed, "tag", "tags"),
    );
    let rows: Vec<_> = sweep.roots().iter().map(row).collect();
    let head = "| broken object | breaks | cause | what to do |\n|---|---|---|---|\n";
    table(text, head, &rows, room);
    let row = |unmet: &Unmet| {
        let expected = markdown(&unmet.expected.to_string());
        let (image, seen) = (markdown(&unmet.image), markdown(&unmet.observed));
        format!("| {image} | {expected} | {seen} |\n")
    };
    let rows: Vec<_> = sweep.unmet.iter().map(row).collect();
    table(
        text,
        "| image | expected | seen |\n|---|---|---|\n",
        &rows,
        room,
    );
    let row = |group: &crate::report::UnverifiedObjects| {
        let place = group.repository.as_ref().map(Repository::as_str);
        format!(
            "| {} | {} | {} | {} |\n",
            markdown(place.unwrap_or("the registry")),
            number(group.count),
            markdown(&group.why.detail),
            markdown(group.why.hint()),
        )
    };
    let rows: Vec<_> = unverified(sweep).iter().map(row).collect();
    let head = "| not verified | objects | why | what to do |\n|---|---|---|---|\n";
    table(text, head, &rows, room);
}

fn row(root: &Root<'_>) -> String {
    let finding = root.findings[0];
    let what = format!("{}/{}", finding.kind, finding.defect.reason);
    // Names and digests have nothing in them that Markdown reads inside of a code span.
    let object = match &finding.digest {
        Some(digest) => format!("`{}@{digest}`", finding.repository),
        None => format!("`{}`", finding.repository),
    };
    let tags = match tags(root) {
        tags if tags.is_empty() => String::new(),
        tags => format!("`{tags}`"),
    };
    let cause = words::cause(root.cause);
    let (cause, hint) = (markdown(cause), markdown(hint(finding)));
    format!("| {what}<br>{object} | {tags} | {cause} | {hint} |\n")
}

fn table(text: &mut String, head: &str, rows: &[String], room: usize) {
    if rows.is_empty() {
        return;
    }
    text.push_str(head);
    let mut told = 0;
    for row in rows {
        if text.len() + row.len() > room {
            break;
        }
        text.push_str(row);
        told += 1;
    }
    text.push('\n');
    if told < rows.len() {
        let more = number(length(rows.len() - told));
        let _ = writeln!(text, "and {more} more: the log has them.\n");
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
        assert_snapshot("annotations", &annotations(&[fixture::rich()]));
        assert_snapshot("summary", &summary(&[fixture::rich()], 0));
    }

    #[test]
    fn images_and_what_was_expected_of_them() {
        let sweeps = [
            fixture::expected(),
            fixture::intact(),
            fixture::unverified(),
        ];
        assert_snapshot("annotations_of_several", &annotations(&sweeps));
        assert_snapshot("summary_of_several", &summary(&sweeps, 0));
    }

    #[test]
    fn a_thousand_findings_stay_within_the_limits_and_are_all_told() {
        let sweeps = [fixture::thousand()];
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
        let sweeps = [fixture::thousand(), fixture::thousand()];
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
        let text = annotations(std::slice::from_ref(&sweep));
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
        let text = summary(&[sweep], 0);
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
