//! The report for a person on call: the verdict first, then what is broken and what to do about
//! it, then what is not known, and last what was looked at. Nothing depends on colour.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use anstyle::Style;

use super::lines::{BAD, GOOD, Lines, STRONG, UNSURE};
use super::words::{length, many, number, was};
use super::{broken, documents, exposed, in_use, scope, unknown};
use crate::report::{Found, Listed, Report, Sweep, Verdict};

/// How the report is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether it is coloured.
    pub color: bool,
    /// Whether each broken object is told by itself and in full, and every name.
    pub details: bool,
}

/// The report of each sweep in turn, in lines of 80 columns, and the totals below if there are
/// several.
#[must_use]
pub fn render<R: Borrow<Report>>(reports: &[R], view: View) -> String {
    let reports: Vec<&Report> = reports.iter().map(Borrow::borrow).collect();
    let details = view.details;
    let mut lines = Lines::new(view.color);
    for (number, report) in reports.iter().enumerate() {
        let sweep = &report.sweep;
        if number > 0 {
            lines.blank();
        }
        verdict(&mut lines, report);
        gaps(&mut lines, sweep);
        documents::gap(&mut lines, sweep);
        expectations(&mut lines, sweep);
        broken::write(&mut lines, report, details);
        broken::remembered(&mut lines, report, details);
        in_use::write(&mut lines, sweep, details);
        documents::write(&mut lines, sweep, details);
        unknown::write(&mut lines, sweep, details);
        exposed::write(&mut lines, sweep);
        scope::skipped(&mut lines, sweep);
        warnings(&mut lines, sweep);
        lines.blank();
        lines.title("Coverage", STRONG);
        for (label, text) in scope::coverage(sweep) {
            lines.column(label, 14, [text]);
        }
    }
    if reports.len() > 1 {
        lines.blank();
        totals(&mut lines, &reports);
    }
    lines.finish()
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Intact => GOOD,
        Verdict::Broken => BAD,
        Verdict::Unverified => UNSURE,
    }
}

fn verdict(lines: &mut Lines, report: &Report) {
    let (verdict, sweep) = (report.verdict, &report.sweep);
    let tags = sweep.counts.tags;
    let of_tags = many(tags.listed, "tag", "tags");
    let mut items: Vec<_> = words(&format!("{}:", sweep.title())).collect();
    match verdict {
        Verdict::Broken if sweep.findings.is_empty() => {
            let in_use = sweep.in_use.as_ref().filter(|_| sweep.unmet.is_empty());
            items.extend(words(&in_use.map_or_else(
                || "nothing broken, and not as expected".into(),
                in_use::in_brief,
            )));
        }
        Verdict::Broken => {
            let objects = report.objects();
            let count = length(objects.len());
            let references = objects.iter().map(|object| object.references).sum();
            let repositories: BTreeSet<_> = sweep
                .findings
                .iter()
                .map(|found| &found.repository)
                .collect();
            let repositories = length(repositories.len());
            let repositories = many(repositories, "repository", "repositories");
            let objects = many(count, "object", "objects");
            items.push(if references > count {
                format!("{} broken references to {objects}", number(references))
            } else {
                objects
            });
            items.push(format!("in {repositories}"));
            let affected = length(report.broken_tags().len());
            // Nothing has to have a tag: the caller may have named it by its digest.
            if affected > 0 {
                let verb = if references == 1 { "breaks" } else { "break" };
                items.push(format!("{verb} {} of {of_tags}", number(affected)));
            }
        }
        Verdict::Intact => items.extend(words(&(scope::intact(sweep) + &known(report)))),
        Verdict::Unverified => items.extend(words(&unknown::in_brief(sweep))),
    }
    lines.lead(&verdict.word().to_uppercase(), style(verdict), items);
}

/// What is known to be broken and was not looked at again, as the end of a sentence.
fn known(report: &Report) -> String {
    match length(report.remembered_objects().len()) {
        0 => String::new(),
        known => format!(
            "; {} known to be broken from before, not verified again",
            many(known, "object", "objects")
        ),
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

/// What the caller expected and was not so.
fn expectations(lines: &mut Lines, sweep: &Sweep<Found>) {
    for unmet in &sweep.unmet {
        let text = format!(
            "{}: expected {}, and {} (seen 3 times)",
            unmet.image, unmet.expected, unmet.observed
        );
        lines.lead("UNMET", BAD, text.split_whitespace());
    }
}

/// Says plainly what this sweep did not get to, directly below the verdict that it limits.
fn gaps(lines: &mut Lines, sweep: &Sweep<Found>) {
    if sweep.is_complete() {
        return;
    }
    let groups = unknown::groups(sweep);
    let done = if groups.iter().all(unknown::Group::is_cut_short) {
        "reached"
    } else {
        "verified"
    };
    let (repositories, tags) = (sweep.counts.repositories, sweep.counts.tags);
    let mut clauses = Vec::new();
    match &sweep.listed {
        Listed::Failed(why) if why.is_of_connection() && sweep.counts.repositories.listed == 0 => {
            clauses.push("the registry could not be reached".into());
        }
        Listed::Failed(why) if why.is_cut_short() => clauses.push("the sweep ended early".into()),
        Listed::Failed(_) => {
            clauses.push("the list of repositories could not be read to its end".into());
        }
        Listed::Catalog | Listed::Named | Listed::Images(_) => {}
    }
    if let Some(missed) = unknown::missed(repositories) {
        let of = many(repositories.listed, "repository", "repositories");
        clauses.push(format!(
            "{} of {of} {} not finished",
            number(missed),
            was(missed)
        ));
    }
    if let Some(missed) = unknown::missed(tags) {
        let of = many(tags.listed, "tag", "tags");
        clauses.push(format!(
            "{} of {of} {} not {done}",
            number(missed),
            was(missed)
        ));
    }
    if clauses.is_empty() {
        clauses.push(match &groups[..] {
            [group] if group.is_about_all() => "nothing was verified".into(),
            _ => {
                let count = groups.iter().map(|group| group.count).sum();
                let objects = many(count, "object", "objects");
                format!("{objects} {} not {done}", was(count))
            }
        });
    }
    let reasons: Vec<_> = groups.iter().map(|group| group.reason.word()).collect();
    let last = clauses.len() - 1;
    let items = clauses.into_iter().enumerate().map(|(number, clause)| {
        if number == last {
            format!("{clause}:")
        } else {
            format!("{clause};")
        }
    });
    lines.lead("PARTIAL", UNSURE, items.chain([reasons.join(", ")]));
}

fn warnings(lines: &mut Lines, sweep: &Sweep<Found>) {
    if sweep.warnings.is_empty() {
        return;
    }
    lines.blank();
    lines.title("Warnings", UNSURE);
    for warning in &sweep.warnings {
        lines.column("-", 2, warning.split_whitespace());
    }
}

fn totals(lines: &mut Lines, reports: &[&Report]) {
    let with = |verdict| {
        let reports = reports.iter();
        length(reports.filter(|report| report.verdict == verdict).count())
    };
    let verdicts = [Verdict::Broken, Verdict::Unverified, Verdict::Intact];
    let end = |verdict| if verdict == Verdict::Intact { ';' } else { ',' };
    let verdicts =
        verdicts.map(|verdict| format!("{} {verdict}{}", number(with(verdict)), end(verdict)));
    let sweeps = || reports.iter().map(|report| &report.sweep);
    let broken = sweeps().map(|sweep| length(sweep.findings.len())).sum();
    let unverified = sweeps().map(Sweep::unverified_objects).sum();
    let registries = many(length(reports.len()), "registry:", "registries:");
    let objects = [
        format!("{},", many(broken, "broken object", "broken objects")),
        many(unverified, "object not verified", "objects not verified"),
    ];
    lines.lead(
        "TOTAL",
        STRONG,
        [registries].into_iter().chain(verdicts).chain(objects),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;
    use crate::render::incident::assert_width;
    use crate::report::fixture::evidence_of;

    const PLAIN: View = View {
        color: false,
        details: false,
    };
    const COLORED: View = View {
        color: true,
        details: false,
    };
    const DETAILED: View = View {
        color: false,
        details: true,
    };

    fn assert_snapshot(name: &str, text: &str) {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn a_rich_sweep() {
        assert_snapshot("rich", &render(&[Report::from(fixture::rich())], PLAIN));
    }

    #[test]
    fn a_rich_sweep_in_colour() {
        let text = render(&[Report::from(fixture::rich())], COLORED);
        assert_snapshot("rich_in_colour", &text.replace('\x1b', "␛"));
        assert_eq!(
            plain(&text),
            render(&[Report::from(fixture::rich())], PLAIN)
        );
    }

    #[test]
    fn an_intact_sweep() {
        assert_snapshot("intact", &render(&[Report::from(fixture::intact())], PLAIN));
    }

    #[test]
    fn what_is_known_from_before_stands_in_the_first_line() {
        let known = fixture::rich().findings.split_off(1);
        let text = render(&[Report::of(fixture::intact(), known)], PLAIN);
        let (first, _) = text.split_once("\n\n").expect("a first sentence");
        assert!(first.contains("broken from before"), "{text}");
    }

    #[test]
    fn an_unverified_sweep() {
        assert_snapshot("unverified", &render(&[fixture::blind()], PLAIN));
    }

    #[test]
    fn an_empty_sweep() {
        assert_snapshot("empty", &render(&[Report::from(fixture::empty())], PLAIN));
    }

    /// There is no verdict on one look, and "nothing found broken" would read as one.
    #[test]
    fn a_stopped_sweep_names_what_seemed_broken() {
        let text = render(&[Report::from(fixture::stopped())], PLAIN);
        assert_snapshot("stopped", &text);
        assert!(!text.contains("nothing"), "{text}");
        let mut one = fixture::stopped();
        one.unverified.drain(1..12);
        one.suspected.truncate(1);
        assert_eq!(
            render(&[Report::from(one)], PLAIN).lines().next(),
            Some("UNVERIFIED mirror.example: 1 object seems broken and was not looked at again")
        );
    }

    #[test]
    fn a_storage_that_is_away() {
        assert_snapshot("away", &render(&fixture::away().map(Report::from), PLAIN));
    }

    #[test]
    fn nothing_to_check_says_why() {
        assert_snapshot(
            "unlisted",
            &render(&fixture::unlisted().map(Report::from), PLAIN),
        );
    }

    #[test]
    fn an_image_by_its_digest() {
        assert_snapshot(
            "by_digest",
            &render(&[Report::from(fixture::by_digest())], PLAIN),
        );
    }

    #[test]
    fn a_cache_is_asked_for_lists_only() {
        let mut sweep = fixture::empty();
        sweep.mode = crate::report::Mode::PullThrough;
        sweep.counts.repositories = crate::report::Coverage {
            listed: 3,
            checked: 3,
        };
        let said = "INTACT [::1]:5000: the lists of 3 repositories were read, and no image was asked\n       for\n";
        assert!(render(&[Report::from(sweep)], PLAIN).starts_with(said));
    }

    #[test]
    fn several_registries() {
        let sweeps = [
            fixture::blind(),
            fixture::empty().into(),
            fixture::intact().into(),
        ];
        assert_snapshot("several", &render(&sweeps, PLAIN));
    }

    #[test]
    fn a_sweep_that_was_cut_short_says_so_in_a_line() {
        let mut sweep = fixture::rich();
        sweep.unverified.truncate(1);
        sweep.counts.repositories.checked = sweep.counts.repositories.listed;
        let text = render(&[Report::from(sweep)], PLAIN);
        assert_eq!(
            text.lines().find(|line| line.starts_with("PARTIAL")),
            Some("PARTIAL 1,204 of 3,000 tags were not reached: deadline")
        );
    }

    #[test]
    fn one_object_that_no_tag_leads_to() {
        let mut sweep = fixture::rich();
        sweep.findings.drain(..5);
        let text = render(&[Report::from(sweep)], PLAIN);
        assert_eq!(
            text.lines().next(),
            Some("BROKEN registry.example:5050: 1 object in 1 repository")
        );
    }

    #[test]
    fn all_tags_seen_and_yet_not_all_verified() {
        let mut sweep = fixture::intact();
        sweep.unverified = fixture::rich().unverified.split_off(2);
        let text = render(&[Report::from(sweep)], PLAIN);
        let opening: Vec<_> = text.lines().take(2).collect();
        assert_eq!(
            opening,
            [
                "UNVERIFIED mirror.example: nothing found broken, and not all could be verified",
                "PARTIAL 3 objects were not verified: timeout",
            ]
        );
    }

    #[test]
    fn pods_that_could_not_start_again() {
        let mut sweep = fixture::rich();
        sweep.findings.truncate(1);
        sweep.in_use = Some(fixture::in_use(&sweep));
        let text = render(&[Report::from(sweep.clone())], PLAIN);
        assert_snapshot("in_use", &text);
        assert_width(&text);
        // Nothing that is listed is broken, and a source that is away is told with what it told last.
        sweep.findings.clear();
        let in_use = sweep.in_use.as_mut().expect("it was set");
        in_use.findings.remove(0);
        in_use.away = Some("connection refused; is it up, and --in-use right?".into());
        assert_snapshot("in_use_away", &render(&[Report::from(sweep)], PLAIN));
    }

    #[test]
    fn images_that_are_not_as_expected() {
        assert_snapshot(
            "expected",
            &render(&[Report::from(fixture::expected())], PLAIN),
        );
    }

    #[test]
    fn documents_and_what_of_them_would_fail() {
        let text = render(&[Report::from(fixture::documents())], PLAIN);
        assert_snapshot("documents", &text);
        assert_width(&text);
        let text = render(&[Report::from(fixture::documents())], DETAILED);
        assert_eq!(text.matches("- Pod prod/p").count(), 40, "{text}");
    }

    #[test]
    fn no_registry_is_no_report() {
        assert_eq!(render::<Report>(&[], COLORED), "");
    }

    #[test]
    fn lines_are_80_columns_at_most() {
        let mut sweeps = fixture::all().to_vec();
        sweeps.extend([fixture::stopped().into(), fixture::by_digest().into()]);
        let others = fixture::away().into_iter().chain(fixture::unlisted());
        sweeps.extend(others.map(Report::from));
        assert_width(&plain(&render(&sweeps, COLORED)));
    }

    #[test]
    fn every_tag_and_digest_is_there_in_full() {
        let report = Report::from(fixture::rich());
        let text = render(std::slice::from_ref(&report), DETAILED);
        for finding in &report.sweep.findings {
            for digest in finding.digest.iter().chain(&finding.parent) {
                assert!(text.contains(&digest.to_string()));
            }
            for tag in &finding.tags {
                let is_named = |word: &str| word.trim_end_matches(',') == tag.as_str();
                assert!(text.split_whitespace().any(is_named), "{tag}");
            }
        }
    }

    #[test]
    fn every_form_says_the_shard() {
        let mut sweep = fixture::rich();
        sweep.shard = crate::report::Shard::new(2, 4);
        let reports = [Report::from(sweep)];
        let text = render(&reports, PLAIN);
        assert!(text.starts_with("BROKEN "), "{text}");
        let lead = text
            .split_whitespace()
            .take(4)
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            lead.ends_with("registry.example:5050, shard 2/4:"),
            "{lead}"
        );
        assert!(text.contains("2 of 4, counted from 0"), "{text}");
        let junit = crate::render::junit::render(&reports);
        assert!(
            junit.contains(" name=\"registry.example:5050, shard 2/4\""),
            "{junit}"
        );
        assert!(
            junit.contains("<property name=\"shard\" value=\"2/4\"/>"),
            "{junit}"
        );
        let annotations = crate::render::github::annotations(&reports);
        assert!(
            annotations.contains("title=registry.example%3A5050%2C shard 2/4%3A"),
            "{annotations}"
        );
        let summary = crate::render::github::summary(&reports, 0);
        assert!(
            summary.contains("registry.example:5050, shard 2/4"),
            "{summary}"
        );
        let json = crate::render::json::render(&reports);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["shard"], serde_json::json!({"index": 2, "count": 4}));
    }

    #[test]
    fn what_a_registry_says_cannot_move_the_cursor() {
        let hostile = "\x1b]0;owned\x07\n\u{202e}INTACT";
        let mut sweep = fixture::rich();
        sweep.registry = hostile.into();
        sweep.warnings = vec![hostile.into()];
        for finding in &mut sweep.findings {
            finding.platforms = vec![hostile.into()];
            finding.defect.evidence = evidence_of(hostile);
        }
        for group in &mut sweep.unverified {
            group.why.detail = hostile.into();
        }
        let text = render(&[Report::from(sweep)], PLAIN);
        assert!(
            text.chars()
                .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}'))
        );
    }

    /// `text` without colour: nothing else starts with an escape.
    fn plain(text: &str) -> String {
        let mut pieces = text.split('\x1b');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |text, piece| {
            text + piece.split_once('m').map_or(piece, |(_, rest)| rest)
        })
    }
}
