//! The broken objects of a sweep: what each breaks, what shows it, why, and what mends it.

use std::collections::{BTreeMap, BTreeSet};

use super::hint;
use super::lines::{BAD, Lines, STRONG};
use super::repair::{Steps, repairs};
use super::words::{self, length, many, number};
use crate::oci::{Repository, Tag};
use crate::report::{Finding, Repair, Root, Sweep};

/// Repairs of one object that are told in full. All are in the JSON report.
const REPAIRS: usize = 2;

/// Each object is told once, under the first of the repositories that miss it.
pub(super) fn write(lines: &mut Lines, sweep: &Sweep) {
    let mut repositories: BTreeMap<&Repository, Vec<&Finding>> = BTreeMap::new();
    for finding in &sweep.findings {
        let inside = repositories.entry(&finding.repository).or_default();
        inside.push(finding);
    }
    let roots = sweep.roots();
    let mut told = Told::default();
    for (name, findings) in repositories {
        let objects = many(length(findings.len()), "broken object", "broken objects");
        let tags: BTreeSet<_> = findings.iter().flat_map(|finding| &finding.tags).collect();
        let tags = match length(tags.len()) {
            0 => String::new(),
            tags => format!(", {} affected", many(tags, "tag", "tags")),
        };
        lines.blank();
        lines.title(&format!("{name}: {objects}{tags}"), STRONG);
        let own = roots
            .iter()
            .filter(|root| root.findings[0].repository == *name);
        let mut here = 0;
        for root in own {
            if here > 0 {
                lines.blank();
            }
            one_root(lines, root, sweep, &mut told);
            here += 1;
        }
        if here < findings.len() {
            let above = many(length(findings.len() - here), "object is", "objects are");
            let above = format!("{above} told above, with the repository that comes first");
            lines.entry("shared", above.split_whitespace());
        }
    }
}

/// What was printed already: commands that are the same for several objects are printed once.
type Told = BTreeSet<String>;

fn one_root(lines: &mut Lines, root: &Root<'_>, sweep: &Sweep, told: &mut Told) {
    let finding = root.findings[0];
    let (kind, defect) = (finding.kind, &finding.defect);
    let mut heading = vec![format!(
        "{} {}",
        words::kind(kind),
        words::reason(defect.reason)
    )];
    let platforms: Vec<_> = root.platforms().into_iter().collect();
    if !platforms.is_empty() {
        let platforms = format!("({})", platforms.join(", "));
        heading.extend(platforms.split_whitespace().map(str::to_owned));
    }
    heading.push(format!("[{kind}/{}]", defect.reason));
    lines.heading(heading, BAD);
    if let Some(digest) = &finding.digest {
        lines.verbatim("digest", &digest.to_string());
    }
    if let Some(parent) = &finding.parent {
        lines.verbatim("parent", &parent.to_string());
    }
    breaks(lines, root);
    let evidence = &defect.evidence;
    if let Some(promise) = promise(finding) {
        lines.entry("expect", promise.split_whitespace());
    }
    lines.entry("answer", answer(finding).split_whitespace());
    if !evidence.request.is_empty() {
        lines.verbatim("repeat", &evidence.request);
    }
    if let Some(since) = since(finding, sweep) {
        lines.entry("since", since.split_whitespace());
    }
    let cause = format!("{} [{}]", words::cause(root.cause), root.cause);
    lines.entry("cause", cause.split_whitespace());
    mend(lines, root, sweep, told);
}

/// The two looks between which it broke, if more is known than `sweep` alone.
pub(super) fn since(finding: &Finding, sweep: &Sweep) -> Option<String> {
    let time = |time| humantime::format_rfc3339_seconds(words::since_epoch(time));
    let broken = finding.bracket.first_broken?;
    let last_intact = finding.bracket.last_intact;
    if last_intact.is_none() && broken == sweep.finished_at {
        return None;
    }
    let broken = time(broken);
    Some(match last_intact {
        Some(intact) => format!("first broken {broken}, last intact {}", time(intact)),
        None => format!("first broken {broken}, or before"),
    })
}

/// Every tag, with its repository where there are several.
fn breaks(lines: &mut Lines, root: &Root<'_>) {
    let tags: Vec<_> = root.tags().collect();
    if tags.is_empty() {
        return;
    }
    let is_alone = root.findings.len() == 1;
    let name = |(repository, tag): &(&Repository, &Tag)| {
        if is_alone {
            tag.to_string()
        } else {
            format!("{repository}:{tag}")
        }
    };
    let names: Vec<_> = tags.iter().map(name).collect();
    let count = many(length(names.len()), "tag:", "tags:");
    lines.entry("breaks", std::iter::once(count).chain(listed(&names)));
}

/// The repairs, for each repository that needs one of its own.
fn mend(lines: &mut Lines, root: &Root<'_>, sweep: &Sweep, told: &mut Told) {
    let mut has_commands = false;
    for finding in &root.findings {
        let mut repairs = repairs(finding, sweep);
        repairs.truncate(REPAIRS);
        has_commands |= !repairs.is_empty();
        let is_told = |(_, steps): &(Repair, Steps)| told.contains(&steps.script());
        if !repairs.is_empty() && repairs.iter().all(is_told) {
            lines.entry("repair", ["as above"]);
            continue;
        }
        for (number, (_, steps)) in repairs.iter().enumerate() {
            let label = if number == 0 { "repair" } else { "or" };
            let place = if root.findings.len() > 1 {
                format!("in {}: ", finding.repository)
            } else {
                String::new()
            };
            one_repair(lines, label, &place, steps, told);
        }
    }
    if !has_commands {
        lines.entry("remedy", hint(root.findings[0]).split_whitespace());
    }
}

fn one_repair(lines: &mut Lines, label: &str, place: &str, steps: &Steps, told: &mut Told) {
    let is_new = told.insert(steps.script());
    let end = if is_new { ":" } else { ": as above" };
    let what = format!("{place}{}{end}", steps.what);
    lines.entry(label, what.split_whitespace());
    for command in steps.commands.iter().filter(|_| is_new) {
        lines.command(command);
    }
}

/// `items` with the commas that a list has, each on its own for wrapping.
fn listed(items: &[String]) -> impl Iterator<Item = String> {
    let last = items.len().saturating_sub(1);
    items.iter().enumerate().map(move |(number, item)| {
        let comma = if number == last { "" } else { "," };
        format!("{item}{comma}")
    })
}

/// What was promised: in the words of the evidence, or else by the descriptor.
pub(super) fn promise(finding: &Finding) -> Option<String> {
    match &finding.defect.evidence.promised {
        None => finding.size.map(|size| many(size, "byte", "bytes")),
        // The digest stands two lines above.
        Some(promised) => Some(format!("{promised:#}")),
    }
}

/// What came back, and how often it did.
pub(super) fn answer(finding: &Finding) -> String {
    let times = match finding.confirmations {
        0 => "seen once".to_owned(),
        1 => "seen twice".to_owned(),
        more => format!("seen {} times", number(u64::from(more) + 1)),
    };
    let evidence = &finding.defect.evidence;
    match (&evidence.observed, evidence.status) {
        (Some(observed), Some(status)) if !observed.is_refusal() => {
            format!("{observed} (HTTP {status}, {times})")
        }
        (Some(observed), _) => format!("{observed} ({times})"),
        (None, Some(status)) => format!("HTTP {status} ({times})"),
        (None, None) => times,
    }
}
