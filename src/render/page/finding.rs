//! One broken object: what it breaks, what to do, and what shows it.

use maud::{Markup, html};

use super::{advice, text};
use crate::oci::{Tag, shorten};
use crate::render::repair::repairs;
use crate::render::words::{length, many, number};
use crate::render::{broken, hint, words};
use crate::report::{Cause, Finding, Sweep};

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
    /// The last sweep, if it saw it itself.
    pub(super) seen_by: Option<&'a Sweep>,
    /// Whether what shows it is in sight at once.
    pub(super) is_open: bool,
}

pub(super) fn render(finding: &Finding, view: View<'_>) -> Markup {
    let (kind, reason) = (finding.kind, finding.defect.reason);
    html! {
        li.finding {
            h5 {
                (words::kind(kind)) " " (words::reason(reason))
                " " code.label { (kind) "/" (reason) }
                @if view.seen_by.is_none() {
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
                @if let Some(sweep) = view.seen_by {
                    (why(finding, sweep))
                }
                (remedy(finding, view.seen_by))
            }
            details open[view.is_open] {
                summary { "Evidence" }
                (evidence(finding))
            }
        }
    }
}

/// Since when it is broken, and why.
fn why(finding: &Finding, sweep: &Sweep) -> Markup {
    let cause = Cause::of(finding, sweep);
    html! {
        @if let Some(since) = broken::since(finding, sweep) {
            dt { "Since" }
            dd { (since) }
        }
        dt { "Cause" }
        dd { (text(words::cause(cause))) " " code.label { (cause) } }
    }
}

/// What mends it, as commands to be pasted where the last sweep saw enough to write them.
fn remedy(finding: &Finding, seen_by: Option<&Sweep>) -> Markup {
    let steps = seen_by.map(|sweep| repairs(finding, sweep));
    let steps: Vec<_> = steps.into_iter().flatten().take(MOST_REPAIRS).collect();
    html! {
        @if steps.is_empty() {
            dt { "Remedy" }
            dd.remedy { (advice(hint(finding))) "." }
        }
        @for (number, (_, steps)) in steps.iter().enumerate() {
            dt { @if number == 0 { "Repair" } @else { "Or" } }
            dd.remedy {
                (text(&steps.what)) "."
                @if !steps.commands.is_empty() {
                    pre { code { (steps.script()) } }
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

fn evidence(finding: &Finding) -> Markup {
    let evidence = &finding.defect.evidence;
    html! {
        dl.evidence {
            @if let Some(digest) = &finding.digest {
                dt { "Digest" }
                dd { code { (digest) } }
            }
            @if let Some(parent) = &finding.parent {
                dt { "Promised by" }
                dd { code { (parent) } }
            }
            @if let Some(promise) = broken::promise(finding) {
                dt { "Expected" }
                dd { (text(&promise)) }
            }
            dt { "Answered" }
            dd { (text(&broken::answer(finding))) }
            @if !evidence.request.is_empty() {
                dt { "To repeat" }
                dd { code { (text(&evidence.request)) } }
            }
        }
    }
}
