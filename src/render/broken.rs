//! The broken objects of a sweep in the text report: what each breaks, what shows it, why, and what
//! mends it. More than a handful stand in a table first, and only the first stories below it in full.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::finding;
use super::lines::{BAD, Lines, STRONG};
use super::story::{Story, stories};
use super::table;
use super::words::{length, many, number};
use crate::oci::Repository;
use crate::report::{Found, Object, Repair, Report};

/// Up to so many objects are all told in full, and in the order of their repositories.
const HANDFUL: usize = 5;

/// Lines for stories below a table. The first is told whatever its length, which has an end, too.
const ROOM: usize = 60;

/// Tags and platforms of one story that are named.
const NAMES: usize = 12;

/// Digests of one story that are named.
const DIGESTS: usize = 4;

/// Findings of one story for which repairs are shown, in a short report.
const MENDED: usize = 5;

/// How much of each story is told.
#[derive(Clone, Copy)]
struct Share {
    names: usize,
    digests: usize,
    /// Findings of the story for which repairs are shown, and how many of each.
    mended: usize,
    repairs: usize,
}

/// What `--details` asks for.
const ALL: Share = Share {
    names: usize::MAX,
    digests: usize::MAX,
    mended: usize::MAX,
    repairs: usize::MAX,
};

/// Each object is told once, under the first of the repositories that miss it.
pub(super) fn write(lines: &mut Lines, report: &Report, details: bool) {
    tell(lines, &report.objects(), details);
}

/// What an earlier sweep found broken, and this one could not verify again: it stays a failure.
pub(super) fn remembered(lines: &mut Lines, report: &Report, details: bool) {
    let objects = report.remembered_objects();
    if objects.is_empty() {
        return;
    }
    let count = many(length(objects.len()), "broken object", "broken objects");
    lines.blank();
    let title = format!("Known from before, and not verified again: {count}");
    lines.title(&title, STRONG);
    tell(lines, &objects, details);
}

fn tell(lines: &mut Lines, objects: &[Object<'_>], details: bool) {
    let is_short = objects.len() <= HANDFUL;
    let mut told = stories(objects);
    if !is_short {
        // What breaks most comes first.
        told.sort_by_key(|story| std::cmp::Reverse(story.references()));
        lines.blank();
        table::write(lines, &told);
    }
    if details {
        let each = objects.iter().map(|object| Story::of(vec![object]));
        return by_repository(lines, each.collect(), ALL);
    }
    let share = Share {
        names: NAMES,
        digests: DIGESTS,
        mended: if is_short { MENDED } else { 1 },
        repairs: if told.len() <= 2 { 2 } else { 1 },
    };
    if is_short {
        by_repository(lines, told, share);
    } else {
        first_ones(lines, &told, share);
    }
}

/// As many stories as there is room for.
fn first_ones(lines: &mut Lines, stories: &[Story<'_>], share: Share) {
    let (mut room, mut told, mut shown) = (ROOM, 0, BTreeSet::new());
    for story in stories {
        let mut part = lines.another();
        part.blank();
        title(&mut part, &story.first().repository, &story.findings);
        one(&mut part, story, share, &mut shown);
        if told > 0 && part.height() > room {
            break;
        }
        room = room.saturating_sub(part.height());
        lines.append(&part);
        told += 1;
    }
    lines.blank();
    let rest = stories.len() - told;
    let rest = match rest {
        0 => "--details shows each object with what shows it, and all names and repairs".to_owned(),
        _ => format!(
            "{} of the table {} not told here: --details shows each object",
            many(length(rest), "row", "rows"),
            if rest == 1 { "is" } else { "are" }
        ),
    };
    lines.entry("more", rest.split_whitespace());
}

fn by_repository(lines: &mut Lines, stories: Vec<Story<'_>>, share: Share) {
    let mut findings: BTreeMap<&Repository, Vec<&Found>> = BTreeMap::new();
    let mut own: BTreeMap<&Repository, Vec<Story<'_>>> = BTreeMap::new();
    for story in stories {
        for &found in &story.findings {
            findings.entry(&found.repository).or_default().push(found);
        }
        let first = &story.first().repository;
        own.entry(first).or_default().push(story);
    }
    let mut shown = BTreeSet::new();
    for (name, findings) in findings {
        lines.blank();
        title(lines, name, &findings);
        let mut here = 0;
        for story in own.get(name).into_iter().flatten() {
            if here > 0 {
                lines.blank();
            }
            one(lines, story, share, &mut shown);
            here += story.objects.len();
        }
        if here < findings.len() {
            let above = many(length(findings.len() - here), "object is", "objects are");
            let above = format!("{above} shown above, with the repository that comes first");
            lines.entry("shared", above.split_whitespace());
        }
    }
}

/// A repository, and what is broken of it.
fn title(lines: &mut Lines, name: &Repository, findings: &[&Found]) {
    let here = || findings.iter().filter(|found| found.repository == *name);
    let count = many(length(here().count()), "broken object", "broken objects");
    let tags: HashSet<_> = here().flat_map(|found| &found.tags).collect();
    let tags = match length(tags.len()) {
        0 => String::new(),
        tags => format!(", {} affected", many(tags, "tag", "tags")),
    };
    lines.title(&format!("{name}: {count}{tags}"), STRONG);
}

fn one(lines: &mut Lines, story: &Story<'_>, share: Share, shown: &mut BTreeSet<String>) {
    facts(lines, story, share);
    mend(lines, story, share, shown);
}

fn facts(lines: &mut Lines, story: &Story<'_>, share: Share) {
    let first = story.first();
    let mut heading = vec![finding::heading(first)];
    if story.objects.len() > 1 {
        let count = number(length(story.objects.len()));
        heading = vec![format!("{count} times: {}", finding::heading(first))];
    }
    heading.push(format!("[{}]", finding::code(first)));
    lines.heading(heading, BAD);
    for fact in finding::facts(&story.findings, share.names) {
        if fact.label == "digest" {
            digests(lines, story, share.digests);
        } else if fact.is_verbatim {
            lines.verbatim(fact.label, &fact.text);
        } else {
            lines.entry(fact.label, fact.text.split_whitespace());
        }
    }
    let own = own(story);
    if !own.is_empty() {
        let text = format!("differ in this: {}; --details shows each", own.join(", "));
        lines.entry("others", text.split_whitespace());
    }
}

fn digests(lines: &mut Lines, story: &Story<'_>, most: usize) {
    let digests = story.objects.iter().filter_map(|object| object.digest);
    let mut label = "digest";
    for digest in digests.take(most) {
        lines.verbatim(label, &digest.to_string());
        label = "";
    }
    let more = story.objects.len().saturating_sub(most);
    if more > 0 {
        lines.entry("", [format!("and {} more", number(length(more)))]);
    }
}

/// The labels of what the first object of a story shows, and another one shows otherwise.
fn own(story: &Story<'_>) -> Vec<&'static str> {
    let of = |object: &Object<'_>| finding::facts(&[object.first()], usize::MAX);
    let (first, others) = (of(story.objects[0]), &story.objects[1..]);
    let mut own = BTreeSet::new();
    for object in others {
        let facts = of(object);
        let is_same = |(label, text): (&str, &str)| {
            let mut facts = facts.iter();
            facts.any(|fact| fact.label == label && fact.text == text)
        };
        let differ = first
            .iter()
            .filter(|fact| !is_same((fact.label, &fact.text)));
        own.extend(differ.map(|fact| fact.label));
    }
    // Of these all are told, and a request has the digest in it.
    let order = first.iter().map(|fact| fact.label);
    let is_told = |label: &&str| !matches!(*label, "digest" | "breaks" | "for" | "repeat");
    order
        .filter(|label| own.contains(label))
        .filter(is_told)
        .collect()
}

/// The repairs, for each repository that needs one of its own. Commands that were `shown` are not repeated.
fn mend(lines: &mut Lines, story: &Story<'_>, share: Share, shown: &mut BTreeSet<String>) {
    if story.findings.iter().all(|found| found.repairs.is_empty()) {
        lines.entry("remedy", story.first().hint.split_whitespace());
        return;
    }
    // What mends several is told once.
    let mut scripts = HashSet::new();
    let first = |found: &Found| found.repairs.first().map(Repair::script);
    let own = story
        .findings
        .iter()
        .filter(|found| scripts.insert(first(found)));
    let own: Vec<_> = own.collect();
    let told = own.len().min(share.mended);
    let others = length(own.len() - told);
    for (number, found) in own.into_iter().take(told).enumerate() {
        let mut place = match story.objects[0].repositories.as_slice() {
            [_] => String::new(),
            _ => format!("in {}: ", found.repository),
        };
        if others > 0 {
            place = format!("for the first: {place}");
        }
        mend_one(lines, found, &place, share.repairs, shown);
        if number + 1 == told {
            rest(lines, found, &place, share.repairs);
        }
    }
    if others > 0 {
        let repairs = many(others, "repair", "repairs");
        let text = format!("{repairs} like this, one for each: --details shows them");
        lines.entry("others", text.split_whitespace());
    }
}

fn mend_one(
    lines: &mut Lines,
    found: &Found,
    place: &str,
    most: usize,
    shown: &mut BTreeSet<String>,
) {
    let repairs: Vec<_> = finding::repairs(found, most).collect();
    let is_shown = |(_, repair): &(_, &Repair)| shown.contains(&repair.script());
    if !repairs.is_empty() && repairs.iter().all(is_shown) {
        lines.entry("repair", ["as above"]);
        return;
    }
    for (label, repair) in repairs {
        let is_new = shown.insert(repair.script());
        let end = if is_new { ":" } else { ": as above" };
        let what = format!("{place}{}{end}", finding::what(repair));
        lines.entry(label, what.split_whitespace());
        for command in repair.commands.iter().filter(|_| is_new) {
            lines.command(command.words());
        }
    }
}

/// The repairs beyond the first `most`, by their names.
fn rest(lines: &mut Lines, found: &Found, place: &str, most: usize) {
    let names = found.repairs.iter().skip(most);
    let names: Vec<_> = names.map(|repair| repair.action.label()).collect();
    if !names.is_empty() {
        let text = format!("{place}{}: --details shows how", names.join(", "));
        lines.entry("or", text.split_whitespace());
    }
}
