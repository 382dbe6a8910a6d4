//! The broken objects at a glance: a row for each story, and counted by reason where there are many.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;

use super::lines::{Lines, STRONG, columns};
use super::story::Story;
use super::words::{length, many, number};
use crate::oci::{Repository, Tag, printable};

/// Up to so many stories all have a row.
const ROWS: usize = 20;

/// As many have one where there are more.
const FIRST: usize = 10;

/// Repositories that are named without a row.
const OTHERS: usize = 40;

/// Between two columns.
const GAP: usize = 2;

/// What tags get of a row, at least: a word such as `1,204 tags`.
const FEW: usize = 12;

/// Room for what is neither at the margin nor a gap.
const ROOM: usize = super::lines::WIDTH - 2;

/// Rows for `stories`, in their order.
pub(super) fn write(lines: &mut Lines, stories: &[Story<'_>]) {
    if stories.len() > ROWS {
        by_reason(lines, stories);
        lines.blank();
    }
    let shown = if stories.len() > ROWS { FIRST } else { ROWS };
    let shown = &stories[..stories.len().min(shown)];
    let title = if shown.len() < stories.len() {
        "Broken, what breaks most first"
    } else {
        "Broken"
    };
    lines.title(title, STRONG);
    let text = |story: &Story<'_>| {
        let (first, objects) = (story.first(), length(story.objects.len()));
        let why = format!("{}, {}", first.defect.reason, first.cause);
        (number(objects), why)
    };
    let ends: Vec<_> = shown.iter().map(text).collect();
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
    let count = widest(&mut ends.iter().map(|(count, _)| count.len())).max("objects".len());
    let why = widest(&mut ends.iter().map(|(_, why)| columns(why))).max("reason, cause".len());
    let left = ROOM.saturating_sub(count + why + 3 * GAP);
    let names: Vec<_> = shown.iter().map(place).collect();
    let longest = widest(&mut names.iter().map(|name| columns(name)));
    let place = longest.clamp(
        "repository".len(),
        left.saturating_sub(FEW).max("repository".len()),
    );
    let tags = left.saturating_sub(place);
    let mut row = |objects: &str, name: &str, tags_cell: &str, why: &str| {
        let fill = |cell: &str, width: usize| " ".repeat(width.saturating_sub(columns(cell)));
        let (mut objects, mut name) = (objects, name);
        // A name that is too long has a row of its own: it is never cut.
        if columns(name) > place {
            lines.heading([format!("{objects:>count$}  {name}")], Style::new());
            (objects, name) = ("", "");
        }
        let (after_name, after_tags) = (fill(name, place), fill(tags_cell, tags));
        let row = format!("{objects:>count$}  {name}{after_name}  {tags_cell}{after_tags}  {why}");
        lines.fixed(row.trim_end());
    };
    row("objects", "repository", "tags", "reason, cause");
    for ((story, name), (count, why)) in shown.iter().zip(&names).zip(&ends) {
        row(count, name, &tags_of(story, tags), why);
    }
    if shown.len() < stories.len() {
        let rest = &stories[shown.len()..];
        let objects = rest.iter().map(|story| story.objects.len()).sum();
        let objects = many(length(objects), "object", "objects");
        let more = number(length(rest.len()));
        lines.fixed(&format!("and {more} more rows like these, of {objects}"));
        others(lines, shown, rest);
    }
}

/// The repositories of `rest` that are in no row.
fn others(lines: &mut Lines, shown: &[Story<'_>], rest: &[Story<'_>]) {
    let of = |stories: &[Story<'_>]| -> BTreeSet<String> {
        let found = stories.iter().flat_map(|story| &story.findings);
        found
            .map(|found| printable(found.repository.as_str()))
            .collect()
    };
    let in_rows = of(shown);
    let others: Vec<_> = of(rest).difference(&in_rows).cloned().collect();
    let names = others[..others.len().min(OTHERS)].join(", ");
    let beyond = match others.len().saturating_sub(OTHERS) {
        0 => String::new(),
        more => format!(" and {} more", number(length(more))),
    };
    if !others.is_empty() {
        lines.entry("also", format!("in {names}{beyond}").split_whitespace());
    }
}

/// Where a story is: the first of its repositories, and how many others there are.
fn place(story: &Story<'_>) -> String {
    let repositories = &story.objects[0].repositories;
    let name = printable(repositories[0].as_str());
    match repositories.len() - 1 {
        0 => name,
        more => format!("{name} +{}", number(length(more))),
    }
}

/// As many tags as fit, or how many there are.
fn tags_of(story: &Story<'_>, room: usize) -> String {
    let mut seen = BTreeSet::new();
    let tags = story.findings.iter().flat_map(|found| found.named_tags());
    let tags: Vec<(&Repository, &Tag)> = tags.filter(|tag| seen.insert(*tag)).collect();
    let said = |shown: usize| {
        let names: Vec<_> = tags[..shown].iter().map(|(_, tag)| tag.as_str()).collect();
        match tags.len() - shown {
            0 => names.join(", "),
            more => format!("{} +{}", names.join(", "), number(length(more))),
        }
    };
    // No more fit into a row, however short they are.
    let most = (1..=tags.len().min(room / 2)).rev().map(said);
    let fitting = most.into_iter().find(|said| columns(said) <= room);
    match tags.len() {
        0 => "-".to_owned(),
        count => fitting.unwrap_or_else(|| many(length(count), "tag", "tags")),
    }
}

/// How much is broken in which way and why, and where.
fn by_reason(lines: &mut Lines, stories: &[Story<'_>]) {
    #[derive(Default)]
    struct Sum<'a> {
        objects: u64,
        references: u64,
        repositories: BTreeSet<&'a Repository>,
    }
    let mut sums = BTreeMap::<_, Sum<'_>>::new();
    for story in stories {
        let first = story.first();
        let sum = sums.entry((first.defect.reason, first.cause)).or_default();
        sum.objects += length(story.objects.len());
        sum.references += story.references();
        let repositories = story.findings.iter().map(|found| &found.repository);
        sum.repositories.extend(repositories);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.objects));
    lines.title("By reason", STRONG);
    let row = |[objects, references, repositories]: [&str; 3], why: &str| {
        format!("{objects:>7}  {references:>10}  {repositories:>12}  {why}")
    };
    let head = ["objects", "references", "repositories"];
    lines.fixed(&row(head, "reason, cause"));
    for ((reason, cause), sum) in sums {
        let counts = [sum.objects, sum.references, length(sum.repositories.len())];
        let counts = counts.map(number);
        let why = format!("{reason}, {cause}");
        lines.fixed(&row(counts.each_ref().map(String::as_str), &why));
    }
}
