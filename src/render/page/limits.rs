//! What limits a verdict: what could not be verified and why, what was left out on purpose, and what
//! a reader should know besides.

use maud::{Markup, html};

use super::{advice, text};
use crate::render::software::{CleanUp, clean_up};
use crate::render::unknown::{self, Group};
use crate::render::words::{self, length, many, number};
use crate::report::{Found, Sweep};

/// Places of one reason that are named, and warnings that are shown; the others are
/// counted.
const MOST: usize = 30;

/// Tags of one suspicion that are named.
const TAGS: usize = 10;

pub(super) fn unverified(sweep: &Sweep<Found>) -> Option<Markup> {
    let groups = unknown::groups(sweep);
    if groups.is_empty() {
        return None;
    }
    let count: u64 = groups.iter().map(|group| group.count).sum();
    Some(html! {
        section.part {
            h3 { "Not verified " span.count { (number(count)) } }
            ul.unverified-reasons {
                @for group in &groups { (why(group)) }
            }
        }
    })
}

/// What seemed broken when the sweep was cut short.
pub(super) fn suspected(sweep: &Sweep<Found>) -> Option<Markup> {
    let left_out = sweep.suspected.len().saturating_sub(MOST);
    (!sweep.suspected.is_empty()).then(|| {
        html! {
            section.part {
                h3 { "Suspected, not confirmed " span.count { (number(length(sweep.suspected.len()))) } }
                ul.warnings {
                    @for finding in sweep.suspected.iter().take(MOST) {
                        li { (unknown::suspicion(finding, TAGS)) }
                    }
                    @if left_out > 0 { li { "and " (number(length(left_out))) " more" } }
                }
            }
        }
    })
}

/// What is intact today and garbage collection would break.
pub(super) fn exposed(sweep: &Sweep<Found>) -> Option<Markup> {
    let count = sweep.exposed_manifests();
    if count == 0 {
        return None;
    }
    let mut most: Vec<_> = sweep.exposed.iter().collect();
    most.sort_by_key(|exposed| std::cmp::Reverse(exposed.manifests));
    let unnamed = most.len().saturating_sub(MOST);
    let software = sweep.access.software.as_ref().map(|found| found.name);
    let CleanUp { what, remedy } = clean_up(software);
    Some(html! {
        section.part {
            h3 { "Exposed to garbage collection " span.count { (number(count)) } }
            p {
                "Indexes name these manifests and no tag does: " (marked(what)) ". What to do: " (marked(remedy)) "."
            }
            ul.names {
                @for exposed in most.iter().take(MOST) {
                    li { code { (exposed.repository) } " " (number(exposed.manifests)) }
                }
                @if unnamed > 0 {
                    li { "and " (number(length(unnamed))) " more" }
                }
            }
        }
    })
}

/// A sentence with its marks of code as such.
fn marked(text: &str) -> Markup {
    html! {
        @for (number, piece) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

fn why(group: &Group<'_>) -> Markup {
    let (details, left_out) = group.details();
    let unnamed = group.members.len().saturating_sub(MOST);
    html! {
        li.unverified-reason {
            h4 {
                (words::unverified(group.reason)) ": " (many(group.count, "object", "objects"))
                " " code.label { (group.reason) }
            }
            dl {
                dt { "Where" }
                dd {
                    ul.names {
                        @for member in group.members.iter().take(MOST) {
                            li {
                                @match &member.repository {
                                    Some(name) => code { (name) },
                                    None => "the registry as a whole",
                                }
                                " (" (number(member.count)) ")"
                            }
                        }
                        @if unnamed > 0 {
                            li { "and " (number(length(unnamed))) " more" }
                        }
                    }
                }
                @if !details.is_empty() {
                    dt { "What happened" }
                    dd {
                        @for detail in &details { p { (text(detail)) } }
                        @if left_out > 0 {
                            p { "and " (number(length(left_out))) " more like these" }
                        }
                    }
                }
                dt { "Remedy" }
                dd.remedy { (advice(group.hint())) "." }
            }
        }
    }
}

pub(super) fn warnings(sweep: &Sweep<Found>) -> Option<Markup> {
    let left_out = sweep.warnings.len().saturating_sub(MOST);
    (!sweep.warnings.is_empty()).then(|| {
        html! {
            section.part {
                h3 { "Warnings " span.count { (number(length(sweep.warnings.len()))) } }
                ul.warnings {
                    @for warning in sweep.warnings.iter().take(MOST) { li { (text(warning)) } }
                    @if left_out > 0 {
                        li { "and " (many(length(left_out), "more warning", "more warnings")) }
                    }
                }
            }
        }
    })
}

pub(super) fn skipped(sweep: &Sweep<Found>) -> Option<Markup> {
    let count: u64 = sweep.skipped.values().sum();
    (count > 0).then(|| {
        html! {
            section.part {
                h3 { "Left out on purpose " span.count { (number(count)) } }
                ul.skipped {
                    @for (&reason, &count) in &sweep.skipped {
                        li { b { (number(count)) } " " (words::skip_reason(reason)) " " code.label { (reason) } }
                    }
                }
            }
        }
    })
}
