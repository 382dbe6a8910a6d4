//! One broken object: what it breaks, what to do, and what shows it.

use maud::{Markup, html};

use super::{advice, text};
use crate::oci::{Tag, shorten};
use crate::registry::Access;
use crate::render::finding::{self, Fact};
use crate::render::words::{length, many, number};
use crate::report::{Finding, Found, hint};

/// Repairs of one finding that are shown, the cheapest first. All are in the JSON report.
const MOST_REPAIRS: usize = 2;

/// Tags of one finding that are shown; the others are counted.
const MOST_TAGS: usize = 200;

/// Tags that are shown at once; the others are folded away below them.
const TAGS_IN_SIGHT: usize = 12;

/// Platforms of one finding that are shown; more than there are, unless someone means harm.
const MOST_PLATFORMS: usize = 20;

/// Characters of one platform; more than any has.
const LONGEST_PLATFORM: usize = 100;

/// How a finding is shown.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// The same in the last report, if its sweep saw it itself.
    pub(super) found: Option<&'a Found>,
    /// Whether what shows it is in sight at once.
    pub(super) is_open: bool,
}

pub(super) fn render(finding: &Finding, view: View<'_>) -> Markup {
    html! {
        li.finding {
            h5 {
                (finding::heading(finding)) " " code.label { (finding::code(finding)) }
                @if view.found.is_none() {
                    " " span.label.unverified { "not re-verified" }
                }
            }
            dl.harm {
                @if !finding.tags.is_empty() {
                    dt { "Breaks " (many(length(finding.tags.len()), "tag", "tags")) }
                    dd { (tags(finding)) }
                }
                @if !finding.platforms.is_empty() {
                    dt { "For" }
                    dd { (platforms(finding)) }
                }
                @if let Some(found) = view.found {
                    (facts(&finding::why(found)))
                    (repairs(found))
                }
                @if view.found.is_none_or(|found| found.repairs.is_empty()) {
                    dt { "Remedy" }
                    // What earlier sweeps found comes without what is known of the registry.
                    @let own = view.found.map(|found| found.hint);
                    dd.remedy { (advice(own.unwrap_or_else(|| hint(finding, &Access::default())))) "." }
                }
            }
            details open[view.is_open] {
                summary { "Evidence" }
                dl.evidence { (facts(&finding::evidence(finding))) }
            }
        }
    }
}

fn facts(facts: &[Fact]) -> Markup {
    html! {
        @for fact in facts {
            dt { (fact.label) }
            dd {
                @if fact.is_verbatim { code { (text(&fact.text)) } } @else { (text(&fact.text)) }
            }
        }
    }
}

/// What mends it, as commands to be pasted.
fn repairs(found: &Found) -> Markup {
    html! {
        @for (label, repair) in finding::repairs(found, MOST_REPAIRS) {
            dt { (label) }
            dd.remedy {
                (text(&repair.what)) "."
                @if !repair.commands.is_empty() {
                    pre { code { (repair.script()) } }
                }
            }
        }
    }
}

fn tags(finding: &Finding) -> Markup {
    let list = |tags: &[Tag]| {
        html! { ul.names { @for tag in tags { li { code { (tag.as_str()) } } } } }
    };
    let shown = &finding.tags[..finding.tags.len().min(MOST_TAGS)];
    let (in_sight, folded) = shown.split_at(shown.len().min(TAGS_IN_SIGHT));
    let left_out = finding.tags.len() - shown.len();
    html! {
        (list(in_sight))
        @if !folded.is_empty() {
            details.more {
                summary { "and " (number(length(folded.len() + left_out))) " more" }
                (list(folded))
                @if left_out > 0 {
                    p { (number(length(left_out))) " are left out here; all are in the JSON report." }
                }
            }
        }
    }
}

fn platforms(finding: &Finding) -> Markup {
    let left_out = finding.platforms.len().saturating_sub(MOST_PLATFORMS);
    html! {
        ul.names {
            @for platform in finding.platforms.iter().take(MOST_PLATFORMS) {
                li { code { (shorten(platform, LONGEST_PLATFORM)) } }
            }
            @if left_out > 0 {
                li { "and " (number(length(left_out))) " more" }
            }
        }
    }
}
