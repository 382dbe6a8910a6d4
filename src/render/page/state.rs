//! What is known of a registry, in one word, a shape and a sentence or two.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::render::words::{self, length, many, number};
use crate::render::{in_use, scope, unknown};
use crate::report::{Found, Known, Listed, Record, Report, Sweep, Verdict};

/// How a registry is, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Intact,
    /// No sweep has ended yet.
    Pending,
    Unverified,
    /// Something is known to be broken, by the last sweep or by one before that could not be
    /// repeated.
    Broken,
}

impl State {
    pub(super) fn of(record: &Record) -> Self {
        let verdict = record.last.as_ref().map(|report| report.verdict);
        match verdict {
            _ if record.failures() > 0 => Self::Broken,
            Some(Verdict::Broken) => Self::Broken,
            Some(Verdict::Unverified) => Self::Unverified,
            Some(Verdict::Intact) => Self::Intact,
            None => Self::Pending,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Intact => "Intact",
            Self::Pending => "First sweep",
            Self::Unverified => "Unverified",
            Self::Broken => "Broken",
        }
    }

    /// The name of its colours in the stylesheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Pending => "pending",
            Self::Unverified => "unverified",
            Self::Broken => "broken",
        }
    }

    /// A shape of its own, so that nothing depends on colour. The word stands beside it.
    pub(super) fn icon(self) -> Markup {
        let shape = match self {
            Self::Intact => "M6 12.5l4 4 8-9",
            Self::Pending => "M12 6.5v6l4 2.5",
            Self::Unverified => {
                "M9 9.2c.2-1.8 1.4-2.7 3-2.7 1.8 0 3 1.1 3 2.6 0 2.2-3 2.3-3 4.4M12 16.9v.6"
            }
            Self::Broken => "M7.5 7.5l9 9M16.5 7.5l-9 9",
        };
        html! {
            svg.icon.(self.class()) viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
                circle cx="12" cy="12" r="11" {}
                path d=(shape) {}
            }
        }
    }
}

/// What the word means for this registry, in sentences: how much is broken, and what is not known.
pub(super) fn sentences(record: &Record) -> Vec<String> {
    let mut sentences = Vec::new();
    let failures = record.failures();
    if failures > 0 {
        sentences.push(broken(record, failures));
    }
    let Some(Report {
        sweep, complete, ..
    }) = &record.last
    else {
        sentences.push("No sweep has ended yet: what is in this registry is not known.".into());
        return sentences;
    };
    if let Some(in_use) = sweep.in_use.as_ref().filter(|one| !one.findings.is_empty()) {
        sentences.push(sentence(&in_use::in_brief(in_use)));
    } else if failures == 0 {
        sentences.push(sentence(&if *complete {
            scope::intact(sweep)
        } else {
            unknown::in_brief(sweep)
        }));
    }
    if let Some(sentence) = blind(record, sweep) {
        sentences.push(sentence);
    }
    sentences
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

fn broken(record: &Record, failures: u64) -> String {
    let is_broken = |known: &&Known| known.failures.is_some_and(|count| count > 0);
    let repositories = length(record.repositories.values().filter(is_broken).count());
    let affected: BTreeSet<_> = record
        .findings()
        .flat_map(|finding| finding.tags.iter().map(|tag| (&finding.repository, tag)))
        .collect();
    let objects = many(failures, "object", "objects");
    let repositories = many(repositories, "repository", "repositories");
    let is = if failures == 1 { "is" } else { "are" };
    let mut text = format!("{objects} in {repositories} {is} broken");
    let affected = length(affected.len());
    if affected > 0 {
        let listed = record
            .last
            .as_ref()
            .and_then(|report| match report.sweep.listed {
                Listed::Failed(_) => None,
                _ => Some(report.sweep.counts.tags.listed),
            });
        let tags = match listed {
            Some(listed) if listed >= affected => {
                format!("{} of {}", number(affected), many(listed, "tag", "tags"))
            }
            _ => many(affected, "tag", "tags"),
        };
        text = format!("{text}: {tags} cannot be pulled, or not for every platform");
    }
    text + "."
}

/// What the last sweep did not see, and what that means for what is shown.
fn blind(record: &Record, sweep: &Sweep<Found>) -> Option<String> {
    let groups = unknown::groups(sweep);
    let first = groups.first()?;
    let count = groups.iter().map(|group| group.count).sum();
    let mut text = format!(
        "The last sweep left {} unverified, mostly for this reason: {}.",
        many(count, "object", "objects"),
        words::unverified(first.reason),
    );
    if groups.len() == 1 {
        text = text.replace("mostly for", "for");
    }
    if first.is_about_all() {
        if record.failures() == 0 {
            // What it comes to says this already.
            return None;
        }
        text = format!(
            "The last sweep verified nothing: {}.",
            words::unverified(first.reason)
        );
    }
    let old: u64 = record
        .repositories
        .values()
        .filter(|known| !known.is_current)
        .filter_map(|known| known.failures)
        .sum();
    if old > 0 {
        let failures = many(old, "known failure", "known failures");
        let verb = if old == 1 { "stays" } else { "stay" };
        text = format!("{text} {failures} {verb} until a sweep can look again.");
    }
    Some(text)
}
