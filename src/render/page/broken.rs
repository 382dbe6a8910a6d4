//! What is broken in a registry, by repository, and whether the last sweep saw it so itself.

use std::time::SystemTime;

use maud::{Markup, html};

use super::finding::{self, Member};
use super::{anchor, report_url, time};
use crate::oci::Repository;
use crate::render::words::{length, many, number};
use crate::report::{Known, Plot, Record, is_same, told_together};

/// Findings of one registry that are shown; the others are counted.
const MOST_FINDINGS: usize = 100;

/// Findings of one repository that are shown where there are more in all than can be: one repository
/// must not hide the others.
const FAIR_SHARE: usize = 10;

/// Repositories that are named; the others are counted.
const MOST_REPOSITORIES: usize = 200;

/// Up to so many findings are shown with what shows them. More would be a page to get lost in.
const MOST_OPEN: usize = 10;

/// One repository with something broken in it.
struct Part<'a> {
    name: &'a Repository,
    known: &'a Known,
    failures: u64,
    /// Findings that there is room for.
    shown: usize,
}

impl Part<'_> {
    /// Another process may have counted failures that this one has not looked at yet.
    fn is_shown(&self) -> bool {
        self.shown > 0
    }
}

pub(super) fn render(record: &Record, now: SystemTime) -> Option<Markup> {
    let parts = parts(record);
    if parts.is_empty() {
        return None;
    }
    let findings = record.findings().count();
    let shown: usize = parts.iter().map(|part| part.shown).sum();
    let left_out = length(findings - shown);
    let is_open = findings <= MOST_OPEN;
    Some(html! {
        section.part {
            h3 { "Broken " span.count { (number(record.failures())) } }
            @if parts.len() > 3 {
                (index(record, &parts))
            }
            @for part in parts.iter().filter(|part| part.is_shown()) {
                (repository(record, part, is_open, now))
            }
            @if left_out > 0 {
                p.rest {
                    (many(left_out, "more finding is", "more findings are"))
                    " not shown here. All of what the last sweep found is in the "
                    a href=(report_url(record)) { "JSON report" } "."
                }
            }
            (uncounted(&parts))
        }
    })
}

fn parts(record: &Record) -> Vec<Part<'_>> {
    let share = if record.findings().count() > MOST_FINDINGS {
        FAIR_SHARE
    } else {
        MOST_FINDINGS
    };
    let mut room = MOST_FINDINGS;
    let broken = record.repositories.iter().filter_map(|(name, known)| {
        let failures = known.failures.filter(|&failures| failures > 0)?;
        let shown = known.findings.len().min(share).min(room);
        room -= shown;
        Some(Part {
            name,
            known,
            failures,
            shown,
        })
    });
    broken.collect()
}

/// All names at a glance, and the way to one of many.
fn index(record: &Record, parts: &[Part<'_>]) -> Markup {
    let (shown, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_shown());
    let left_out = others.len().saturating_sub(MOST_REPOSITORIES);
    html! {
        ul.index aria-label="Broken repositories" {
            @for part in shown {
                li {
                    a href={ "#" (anchor(&[&record.registry, part.name.as_str()])) } { (part.name) }
                    " " span.count { (number(part.failures)) }
                }
            }
        }
        // Folded: hundreds of names must not hide the findings.
        @if !others.is_empty() {
            details.others {
                summary { "and " (many(length(others.len()), "more repository", "more repositories")) }
                ul.index aria-label="More broken repositories" {
                    @for part in others.iter().take(MOST_REPOSITORIES) {
                        li { (part.name) " " span.count { (number(part.failures)) } }
                    }
                    @if left_out > 0 {
                        li { "and " (many(length(left_out), "more repository", "more repositories")) }
                    }
                }
            }
        }
    }
}

fn repository(record: &Record, part: &Part<'_>, is_open: bool, now: SystemTime) -> Markup {
    let Part { name, known, .. } = part;
    let name = name.as_str();
    let objects = many(part.failures, "broken object", "broken objects");
    let found = |finding| {
        let mut findings = record.last.iter().flat_map(|report| &report.sweep.findings);
        findings.find(|found| is_same(finding, found))
    };
    let left_out = known.findings.len() - part.shown;
    let members = known.findings[..part.shown].iter().map(|finding| Member {
        finding,
        found: found(finding),
    });
    let stories = told_together(members, |member| Plot::of(member.finding, member.found));
    html! {
        article.repository id=(anchor(&[&record.registry, name])) {
            header {
                h4 { (name) }
                p {
                    (objects)
                    @match known.last_success {
                        Some(time) => { ", last known intact " (time::ago(time, now)) }
                        None => { ", not seen intact so far" }
                    }
                }
            }
            @if !known.is_current {
                p.note.unverified {
                    "The last sweep could not verify all of this repository. What it did not see \
                     itself is marked, and stays as it was known."
                }
            }
            ul.findings {
                @for story in &stories {
                    (finding::render(story, &record.registry, is_open))
                }
            }
            @if left_out > 0 {
                p.rest { "and " (many(length(left_out), "more finding", "more findings")) " in this repository" }
            }
        }
    }
}

/// What another process counted before this one began, and no sweep of this one has seen yet.
fn uncounted(parts: &[Part<'_>]) -> Markup {
    let unseen = |part: &Part<'_>| {
        part.failures
            .saturating_sub(length(part.known.findings.len()))
    };
    let names: Vec<_> = parts.iter().filter(|part| unseen(part) > 0).collect();
    let count = names.iter().map(|part| unseen(part)).sum();
    html! {
        @if count > 0 {
            p.note.unverified {
                (many(count, "failure was", "failures were"))
                " counted before this process began, and could not be looked at by it so far: in "
                @for (index, part) in names.iter().take(MOST_REPOSITORIES).enumerate() {
                    @if index > 0 { ", " }
                    (part.name) " (" (number(unseen(part))) ")"
                }
                @if names.len() > MOST_REPOSITORIES { " and others" }
                "."
            }
        }
    }
}
