//! The broken objects of a sweep, by repository: what each breaks, what shows it, what to do.

use std::collections::{BTreeMap, BTreeSet};

use super::hint;
use super::lines::{BAD, Lines, STRONG};
use super::words::{self, length, many, number};
use crate::model::{Finding, Repository, Sweep};

pub(super) fn write(lines: &mut Lines, sweep: &Sweep) {
    let mut repositories: BTreeMap<&Repository, Vec<&Finding>> = BTreeMap::new();
    for finding in &sweep.findings {
        let inside = repositories.entry(&finding.repository).or_default();
        inside.push(finding);
    }
    for (name, findings) in repositories {
        let objects = many(length(findings.len()), "broken object", "broken objects");
        let tags: BTreeSet<_> = findings.iter().flat_map(|finding| &finding.tags).collect();
        let tags = match length(tags.len()) {
            0 => String::new(),
            tags => format!(", {} affected", many(tags, "tag", "tags")),
        };
        lines.blank();
        lines.title(&format!("{name}: {objects}{tags}"), STRONG);
        for (number, finding) in findings.into_iter().enumerate() {
            if number > 0 {
                lines.blank();
            }
            one_finding(lines, finding);
        }
    }
}

fn one_finding(lines: &mut Lines, finding: &Finding) {
    let (kind, defect) = (finding.kind, &finding.defect);
    let mut heading = vec![format!(
        "{} {}",
        words::kind(kind),
        words::reason(defect.reason)
    )];
    if !finding.platforms.is_empty() {
        let platforms = format!("({})", finding.platforms.join(", "));
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
    if !finding.tags.is_empty() {
        let tags = many(length(finding.tags.len()), "tag:", "tags:");
        lines.entry("breaks", std::iter::once(tags).chain(listed(&finding.tags)));
    }
    let evidence = &defect.evidence;
    if let Some(promise) = promise(finding) {
        lines.entry("expect", promise.split_whitespace());
    }
    lines.entry("answer", answer(finding).split_whitespace());
    if !evidence.request.is_empty() {
        lines.verbatim("repeat", &evidence.request);
    }
    lines.entry("remedy", hint(finding).split_whitespace());
}

/// `items` with the commas that a list has, each on its own for wrapping.
fn listed<T: ToString>(items: &[T]) -> impl Iterator<Item = String> {
    let last = items.len().saturating_sub(1);
    items.iter().enumerate().map(move |(number, item)| {
        let comma = if number == last { "" } else { "," };
        format!("{}{comma}", item.to_string())
    })
}

/// What was promised: in the words of the evidence, or else by the descriptor.
pub(super) fn promise(finding: &Finding) -> Option<String> {
    let promised = &finding.defect.evidence.promised;
    if promised.is_empty() {
        finding.size.map(|size| many(size, "byte", "bytes"))
    } else {
        Some(promised.clone())
    }
}

/// What came back, and how often it did.
pub(super) fn answer(finding: &Finding) -> String {
    let evidence = &finding.defect.evidence;
    let times = match finding.confirmations {
        0 => "seen once".to_owned(),
        1 => "seen twice".to_owned(),
        more => format!("seen {} times", number(u64::from(more) + 1)),
    };
    let Some(status) = evidence.status.map(|status| status.to_string()) else {
        return format!("{} ({times})", evidence.observed);
    };
    let mut numbers = evidence.observed.split(|c: char| !c.is_ascii_digit());
    if evidence.observed.is_empty() {
        format!("HTTP {status} ({times})")
    } else if numbers.any(|number| number == status) {
        format!("{} ({times})", evidence.observed)
    } else {
        format!("{} (HTTP {status}, {times})", evidence.observed)
    }
}
