//! One broken object: what it breaks, what to do, and what shows it.

use std::collections::HashSet;

use maud::{Markup, html};

use super::{advice, anchor, text};
use crate::oci::{Printable, Tag, shorten};
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

/// A finding that is told, maybe with others.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) finding: &'a Finding,
    /// The same in the last report, if its sweep saw it itself.
    pub(super) found: Option<&'a Found>,
}

impl Member<'_> {
    /// Where links to it lead: the same as long as it is broken.
    fn anchor(&self, registry: &str) -> String {
        let finding = self.finding;
        let object = match (&finding.digest, finding.tags.first()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.map(ToString::to_string).unwrap_or_default(),
        };
        let kind = finding.kind.word();
        anchor(&[registry, finding.repository.as_str(), kind, &object])
    }
}

/// What is told together; `is_open` says whether what shows it is in sight at once.
pub(super) fn render(story: &[Member<'_>], registry: &str, is_open: bool) -> Markup {
    let first = story[0];
    let several = story.len() > 1;
    let findings: Vec<_> = story.iter().map(|member| member.finding).collect();
    let id = (!several).then(|| first.anchor(registry));
    let is_shared = is_one_repair(story);
    html! {
        li.finding id=[&id] {
            h5 {
                @if several { (number(length(story.len()))) " times: " }
                (finding::heading(first.finding)) " " code.label { (finding::code(first.finding)) }
                @if first.found.is_none() {
                    " " span.label.unverified { "not re-verified" }
                }
                @if let Some(id) = &id { " " (link(id)) }
            }
            dl.harm {
                (harm(&findings))
                @if let Some(found) = first.found {
                    (facts(&finding::why(found)))
                    @if is_shared { (repairs(found)) }
                }
                @if first.found.is_none_or(|found| found.repairs.is_empty()) {
                    dt { "Remedy" }
                    // What earlier sweeps found comes without what is known of the registry.
                    @let own = first.found.map(|found| found.hint);
                    dd.remedy { (advice(own.unwrap_or_else(|| hint(first.finding, &Access::default())))) "." }
                }
            }
            @if several {
                details.members open[is_open] {
                    summary {
                        "Each of the " (number(length(story.len()))) " objects"
                        @if !is_shared { ", with its repair" }
                    }
                    ul { @for member in story { (one_of(*member, registry, is_shared)) } }
                }
            } @else {
                (evidence(first.finding, is_open))
            }
        }
    }
}

/// Whether what mends one of them mends all.
fn is_one_repair(story: &[Member<'_>]) -> bool {
    let mut repairs = story
        .iter()
        .map(|member| member.found.map(|found| &found.repairs));
    let first = repairs.next();
    repairs.all(|repairs| Some(repairs) == first)
}

/// One of several objects that are told together. What they share is not repeated.
fn one_of(member: Member<'_>, registry: &str, is_mended: bool) -> Markup {
    let (finding, id) = (member.finding, member.anchor(registry));
    html! {
        li.member id=(id) {
            p {
                @match &finding.digest {
                    Some(digest) => code { (digest) },
                    None => code { (finding.tags.first().map_or("", Tag::as_str)) },
                }
                " " (link(&id))
            }
            dl.harm {
                @if finding.digest.is_some() { (harm(&[finding])) }
                @if let Some(found) = member.found.filter(|_| !is_mended) { (repairs(found)) }
            }
            (evidence(finding, false))
        }
    }
}

fn link(id: &str) -> Markup {
    html! { a.here href={ "#" (id) } aria-label="Link to this finding" { "#" } }
}

fn evidence(finding: &Finding, is_open: bool) -> Markup {
    html! {
        details open[is_open] {
            summary { "Evidence" }
            dl.evidence { (facts(&finding::evidence(finding))) }
        }
    }
}

/// The tags and platforms that findings break, each once.
fn harm(findings: &[&Finding]) -> Markup {
    let mut seen = HashSet::new();
    let all_tags = findings.iter().flat_map(|finding| &finding.tags);
    let all_tags: Vec<_> = all_tags.filter(|tag| seen.insert(*tag)).collect();
    let mut seen = HashSet::new();
    let all_platforms = findings.iter().flat_map(|finding| &finding.platforms);
    let all_platforms: Vec<_> = all_platforms.filter(|name| seen.insert(*name)).collect();
    html! {
        @if !all_tags.is_empty() {
            dt { "Breaks " (many(length(all_tags.len()), "tag", "tags")) }
            dd { (tags(&all_tags)) }
        }
        @if !all_platforms.is_empty() {
            dt { "For" }
            dd { (platforms(&all_platforms)) }
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
            @let (name, what) = finding::labelled(repair);
            dt { (label) }
            dd.remedy {
                strong.action { (name) } " " (text(what)) "."
                @if !repair.commands.is_empty() {
                    div.command {
                        pre { code { (repair.script()) } }
                        button.copy type="button" hidden { "Copy" }
                    }
                }
            }
        }
    }
}

fn tags(tags: &[&Tag]) -> Markup {
    let list = |tags: &[&Tag]| {
        html! { ul.names { @for tag in tags { li { code { (tag.as_str()) } } } } }
    };
    let shown = &tags[..tags.len().min(MOST_TAGS)];
    let (in_sight, folded) = shown.split_at(shown.len().min(TAGS_IN_SIGHT));
    let left_out = tags.len() - shown.len();
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

fn platforms(platforms: &[&Printable]) -> Markup {
    let left_out = platforms.len().saturating_sub(MOST_PLATFORMS);
    html! {
        ul.names {
            @for platform in platforms.iter().take(MOST_PLATFORMS) {
                li { code { (shorten(platform, LONGEST_PLATFORM)) } }
            }
            @if left_out > 0 {
                li { "and " (number(length(left_out))) " more" }
            }
        }
    }
}
