//! The broken objects of a sweep in the text report: what each breaks, what shows it, why, and what
//! mends it.

use std::collections::{BTreeMap, BTreeSet};

use super::finding;
use super::lines::{BAD, Lines, STRONG};
use super::words::{length, many};
use crate::oci::Repository;
use crate::report::{Found, Object, Repair, Report};

/// Repairs of one object that are shown in full. All are in the JSON report.
const REPAIRS: usize = 2;

/// Each object is shown once, under the first of the repositories that miss it.
pub(super) fn write(lines: &mut Lines, report: &Report) {
    let mut repositories: BTreeMap<&Repository, Vec<&Found>> = BTreeMap::new();
    for found in &report.sweep.findings {
        repositories
            .entry(&found.repository)
            .or_default()
            .push(found);
    }
    let objects = report.objects();
    let mut shown = BTreeSet::new();
    for (name, findings) in repositories {
        let count = many(length(findings.len()), "broken object", "broken objects");
        let tags: BTreeSet<_> = findings.iter().flat_map(|found| &found.tags).collect();
        let tags = match length(tags.len()) {
            0 => String::new(),
            tags => format!(", {} affected", many(tags, "tag", "tags")),
        };
        lines.blank();
        lines.title(&format!("{name}: {count}{tags}"), STRONG);
        let own = objects
            .iter()
            .filter(|object| object.first().repository == *name);
        let mut here = 0;
        for object in own {
            if here > 0 {
                lines.blank();
            }
            facts(lines, &object.findings, "");
            mend(lines, object, &mut shown);
            here += 1;
        }
        if here < findings.len() {
            let above = many(length(findings.len() - here), "object is", "objects are");
            let above = format!("{above} shown above, with the repository that comes first");
            lines.entry("shared", above.split_whitespace());
        }
    }
}

/// What an earlier sweep found broken, and this one could not verify again: it stays a failure.
pub(super) fn remembered(lines: &mut Lines, report: &Report) {
    for (number, found) in report.remembered.iter().enumerate() {
        lines.blank();
        if number == 0 {
            let count = length(report.remembered.len());
            let count = many(count, "broken object", "broken objects");
            let title = format!("Known from before, and not verified again: {count}");
            lines.title(&title, STRONG);
        }
        facts(lines, &[found], &format!("in {}", found.repository));
    }
}

fn facts(lines: &mut Lines, findings: &[&Found], place: &str) {
    let mut heading = vec![finding::heading(findings[0]), place.to_owned()];
    heading.retain(|item| !item.is_empty());
    heading.push(format!("[{}]", finding::code(findings[0])));
    lines.heading(heading, BAD);
    for fact in finding::facts(findings, usize::MAX) {
        if fact.is_verbatim {
            lines.verbatim(fact.label, &fact.text);
        } else {
            lines.entry(fact.label, fact.text.split_whitespace());
        }
    }
}

/// The repairs, for each repository that needs one of its own. Commands that were `shown` are not repeated.
fn mend(lines: &mut Lines, object: &Object<'_>, shown: &mut BTreeSet<String>) {
    if object.findings.iter().all(|found| found.repairs.is_empty()) {
        lines.entry("remedy", object.first().hint.split_whitespace());
    }
    for found in &object.findings {
        let repairs: Vec<_> = finding::repairs(found, REPAIRS).collect();
        let is_shown = |(_, repair): &(_, &Repair)| shown.contains(&repair.script());
        if !repairs.is_empty() && repairs.iter().all(is_shown) {
            lines.entry("repair", ["as above"]);
            continue;
        }
        for (label, repair) in repairs {
            let place = match object.findings.len() {
                1 => String::new(),
                _ => format!("in {}: ", found.repository),
            };
            let is_new = shown.insert(repair.script());
            let end = if is_new { ":" } else { ": as above" };
            let what = format!("{place}{}{end}", repair.what);
            lines.entry(label, what.split_whitespace());
            for command in repair.commands.iter().filter(|_| is_new) {
                lines.command(command.words());
            }
        }
    }
}
