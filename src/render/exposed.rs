//! What is intact and would not survive a clean-up, before it happens.

use super::lines::{Lines, UNSURE};
use super::software::{CleanUp, clean_up};
use super::words::{length, many, number};
use crate::report::{Found, Sweep};

/// Repositories that are named, the most exposed first.
const MOST_NAMED: usize = 5;

pub(super) fn write(lines: &mut Lines, sweep: &Sweep<Found>) {
    let total = sweep.exposed_manifests();
    if total == 0 {
        return;
    }
    let repositories = length(sweep.exposed.len());
    lines.blank();
    lines.title(
        &format!(
            "Exposed to garbage collection: {} in {}",
            many(total, "manifest", "manifests"),
            many(repositories, "repository", "repositories")
        ),
        UNSURE,
    );
    let mut most: Vec<_> = sweep.exposed.iter().collect();
    most.sort_by_key(|exposed| std::cmp::Reverse(exposed.manifests));
    let shown = most.iter().take(MOST_NAMED);
    let mut names: Vec<_> = shown
        .map(|exposed| format!("{} ({})", exposed.repository, number(exposed.manifests)))
        .collect();
    if let Some(more) = most.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        names.push(format!("and {} more", number(length(more))));
    }
    let last = names.len() - 1;
    let places = names.iter().enumerate().map(|(number, name)| {
        let comma = if number == last { "" } else { "," };
        format!("{name}{comma}")
    });
    lines.entry("where", places);
    let software = sweep.access.software.as_ref().map(|found| found.name);
    let CleanUp { what, remedy } = clean_up(software);
    let detail = format!("indexes name them and no tag does: {what}");
    lines.entry("detail", detail.split_whitespace());
    lines.entry("remedy", remedy.split_whitespace());
}
