//! What a sweep could not verify, by what stood in the way: one look at the reason and what to do
//! about it serves all the repositories that it concerns.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::{Lines, STRONG, UNSURE};
use super::unverified;
use super::words::{self, many, number};
use crate::model::{Obstacle, ObstacleReason, Sweep, Unverified};

/// As many details of one obstacle as a reader gains from; they differ in little but the path.
const DETAILS: usize = 3;

/// Everything that one kind of obstacle kept from a verdict.
pub(super) struct Group {
    pub(super) reason: ObstacleReason,
    pub(super) count: u64,
    pub(super) members: Vec<Unverified>,
}

impl Group {
    /// Whether these were never asked for, because the sweep came to its end before.
    pub(super) fn is_cut_short(&self) -> bool {
        matches!(
            self.reason,
            ObstacleReason::Deadline | ObstacleReason::Cancelled
        )
    }
}

/// What stood in the way, what did so most often first.
pub(super) fn groups(sweep: &Sweep) -> Vec<Group> {
    let mut members: BTreeMap<ObstacleReason, Vec<Unverified>> = BTreeMap::new();
    for group in unverified(sweep) {
        members
            .entry(group.obstacle.reason)
            .or_default()
            .push(group);
    }
    let count = |members: &[Unverified]| members.iter().map(|member| member.count).sum();
    let mut groups: Vec<_> = members
        .into_iter()
        .map(|(reason, members)| Group {
            reason,
            count: count(&members),
            members,
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

pub(super) fn write(lines: &mut Lines, sweep: &Sweep) {
    let groups = groups(sweep);
    if groups.is_empty() {
        return;
    }
    let count = groups.iter().map(|group| group.count).sum();
    lines.blank();
    lines.title(
        &format!("Not verified: {}", many(count, "object", "objects")),
        STRONG,
    );
    for (number, group) in groups.iter().enumerate() {
        if number > 0 {
            lines.blank();
        }
        one_group(lines, group);
    }
}

fn one_group(lines: &mut Lines, group: &Group) {
    let objects = many(group.count, "object", "objects");
    let heading = [
        format!("{}:", words::obstacle(group.reason)),
        objects,
        format!("[{}]", group.reason),
    ];
    lines.heading(heading, UNSURE);
    let last = group.members.len() - 1;
    let places = group.members.iter().enumerate().map(|(index, member)| {
        let place = member
            .repository
            .as_ref()
            .map_or("the registry as a whole", |name| name.as_str());
        let comma = if index == last { "" } else { "," };
        format!("{place} ({}){comma}", number(member.count))
    });
    lines.entry("where", places);
    let details: BTreeSet<&str> = group
        .members
        .iter()
        .map(|member| member.obstacle.detail.as_str())
        .collect();
    for detail in details
        .iter()
        .filter(|detail| !detail.is_empty())
        .take(DETAILS)
    {
        lines.entry("detail", detail.split_whitespace());
    }
    if details.len() > DETAILS {
        let more = number(words::length(details.len() - DETAILS));
        lines.entry(
            "",
            [format!(
                "and {more} more like these, all of them in the JSON report"
            )],
        );
    }
    lines.entry(
        "remedy",
        Obstacle::new(group.reason, "").hint().split_whitespace(),
    );
}
