//! What a sweep could not verify, by what stood in the way: one look at the reason and what to do
//! about it serves all the repositories that it concerns.

use std::collections::BTreeMap;

use super::finding;
use super::lines::{Lines, STRONG, UNSURE};
use super::words::{self, length, many, number};
use crate::oci::Tag;
use crate::registry::UnverifiedReason;
use crate::report::{Coverage, Finding, Found, Listed, SkipReason, Sweep, UnverifiedObjects};

/// As many details of one reason as a reader gains from; they differ in little but the path.
const DETAILS: usize = 3;

/// Details of reports that are left out.
const SHARDS: usize = 20;

/// Suspicions that are named.
const SUSPECTS: usize = 20;

/// Tags of one suspicion that are named.
const TAGS: usize = 3;

/// Places of one reason that are named.
const PLACES: usize = 5;

/// Everything that one reason kept from a verdict.
pub(super) struct Group<'a> {
    pub(super) reason: UnverifiedReason,
    pub(super) count: u64,
    pub(super) members: Vec<&'a UnverifiedObjects>,
}

impl Group<'_> {
    /// Whether these were never asked for, because the sweep came to its end before.
    pub(super) fn is_cut_short(&self) -> bool {
        matches!(
            self.reason,
            UnverifiedReason::Deadline | UnverifiedReason::Cancelled
        )
    }

    /// Whether this is said of the registry and of none of its objects.
    pub(super) fn is_about_all(&self) -> bool {
        use UnverifiedReason::{NothingListed, ReadOverdue, StorageUnavailable};
        let is_general = matches!(
            self.reason,
            NothingListed | StorageUnavailable | ReadOverdue
        );
        is_general && self.count == 1
    }

    /// What a person can do about it, as the first of them says.
    pub(super) fn hint(&self) -> &str {
        self.members.first().map_or("", |member| member.why.hint())
    }

    /// What happened, as far as a reader gains from it, and how much of it is left out.
    pub(super) fn details(&self) -> (Vec<&str>, usize) {
        let members = self.members.iter().map(|member| &member.why);
        let mut members: Vec<_> = members.filter(|why| !why.detail.is_empty()).collect();
        members.sort_unstable_by_key(|why| &why.detail);
        members.dedup_by_key(|why| &why.detail);
        // Each of these is about another report.
        let most = match self.reason {
            UnverifiedReason::ShardsIncomplete => SHARDS,
            _ => DETAILS,
        };
        let left_out = members.len().saturating_sub(most);
        let details = members.into_iter().take(most).map(|why| &*why.detail);
        (details.collect(), left_out)
    }
}

/// What a sweep that is not complete and found nothing broken comes to, in a clause.
pub(super) fn in_brief(sweep: &Sweep<Found>) -> String {
    let tags = sweep.counts.tags;
    let suspected = suspected(sweep);
    if suspected > 0 {
        let seem = if suspected == 1 { "seems" } else { "seem" };
        let objects = many(suspected, "object", "objects");
        return format!(
            "{objects} {seem} broken and {} not looked at again",
            words::was(suspected)
        );
    }
    let of_others = length(sweep.others_unverified());
    if sweep.is_complete() && of_others > 0 {
        let images = many(of_others, "image", "images");
        let was = words::was(of_others);
        return format!("nothing found broken, and {images} that others name {was} not verified");
    }
    if sweep.is_storage_unavailable() {
        return "its storage seems to be away".into();
    }
    if sweep.main_reason() == Some(UnverifiedReason::NothingListed) {
        return nothing_listed(sweep);
    }
    match missed(tags) {
        _ if tags.checked == 0 => match &sweep.listed {
            Listed::Images(images) if images.len() == 1 => "it could not be verified".into(),
            Listed::Images(_) => "no image could be verified".into(),
            _ => "no tag could be verified".into(),
        },
        None => "nothing found broken, and not all could be verified".into(),
        Some(_) => format!(
            "nothing broken in {} of {}, the rest is not known",
            number(tags.checked),
            many(tags.listed, "tag", "tags")
        ),
    }
}

/// How many objects seemed broken when the sweep was cut short. There is no verdict on one look.
fn suspected(sweep: &Sweep<Found>) -> u64 {
    words::length(sweep.suspected.len())
}

/// Why there was nothing to check.
fn nothing_listed(sweep: &Sweep<Found>) -> String {
    let left_out = |what| sweep.skipped.get(&what).copied().unwrap_or_default();
    let repositories = |count| many(count, "repository", "repositories");
    let (filtered, listed) = (
        left_out(SkipReason::RepositoryFilter),
        sweep.counts.repositories.listed,
    );
    let tags = left_out(SkipReason::TagFilter);
    let why = match listed {
        0 if filtered > 0 => format!("the filters leave out its {}", repositories(filtered)),
        0 => "it lists no repository".to_owned(),
        _ if tags > 0 => format!("the filters leave out its {}", many(tags, "tag", "tags")),
        _ => format!("{} without a tag", repositories(listed)),
    };
    format!("nothing was checked: {why}")
}

/// How many were listed and not looked at to the end.
pub(super) fn missed(coverage: Coverage) -> Option<u64> {
    let missed = coverage.listed.saturating_sub(coverage.checked);
    (missed > 0).then_some(missed)
}

/// What stood in the way, what did so most often first.
pub(super) fn groups(sweep: &Sweep<Found>) -> Vec<Group<'_>> {
    let mut members: BTreeMap<UnverifiedReason, Vec<&UnverifiedObjects>> = BTreeMap::new();
    for group in &sweep.unverified {
        members.entry(group.why.reason).or_default().push(group);
    }
    let count = |members: &[&UnverifiedObjects]| members.iter().map(|member| member.count).sum();
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

/// A suspicion in a line, with up to `most` of its tags.
pub(super) fn suspicion(finding: &Finding, most: usize) -> String {
    let tags: Vec<_> = finding.tags.iter().map(Tag::as_str).collect();
    let breaks = match tags.len() {
        0 => String::new(),
        _ => format!(", would break {}", finding::some(&tags, most)),
    };
    let place = match finding.tags.first() {
        // The tag says enough of where it is.
        Some(_) => finding.repository.to_string(),
        None => finding::place(finding),
    };
    let (heading, code) = (finding::heading(finding), finding::code(finding));
    format!("{place}: {heading} [{code}]{breaks}")
}

/// What seemed broken when the sweep was cut short, by name and as what it is.
fn write_suspected(lines: &mut Lines, sweep: &Sweep<Found>, details: bool) {
    let count = suspected(sweep);
    if count == 0 {
        return;
    }
    let objects = many(count, "object", "objects");
    lines.blank();
    lines.title(&format!("Suspected, not confirmed: {objects}"), UNSURE);
    let (most, tags) = if details {
        (usize::MAX, usize::MAX)
    } else {
        (SUSPECTS, TAGS)
    };
    for finding in sweep.suspected.iter().take(most) {
        lines.column("-", 2, suspicion(finding, tags).split_whitespace());
        if let (true, Some(digest)) = (details, &finding.digest) {
            lines.column("", 2, [digest.to_string()]);
        }
    }
    let more = sweep.suspected.len().saturating_sub(most);
    if more > 0 {
        let more = number(words::length(more));
        lines.column("", 2, [format!("and {more} more: --details shows them")]);
    }
}

pub(super) fn write(lines: &mut Lines, sweep: &Sweep<Found>, details: bool) {
    write_suspected(lines, sweep, details);
    let groups = groups(sweep);
    if groups.is_empty() {
        return;
    }
    let objects = groups.iter().filter(|group| !group.is_about_all());
    let count: u64 = objects.map(|group| group.count).sum();
    let title = match count {
        0 => "Not verified".to_owned(),
        _ => format!("Not verified: {}", many(count, "object", "objects")),
    };
    lines.blank();
    lines.title(&title, STRONG);
    for (number, group) in groups.iter().enumerate() {
        if number > 0 {
            lines.blank();
        }
        one_group(lines, group, if details { usize::MAX } else { PLACES });
    }
}

fn one_group(lines: &mut Lines, group: &Group<'_>, most: usize) {
    let what = words::unverified(group.reason);
    let is_of_reports = group.reason == UnverifiedReason::ShardsIncomplete;
    let heading = if group.is_about_all() || is_of_reports {
        what.to_owned()
    } else {
        format!("{what}: {}", many(group.count, "object", "objects"))
    };
    lines.heading([heading, format!("[{}]", group.reason)], UNSURE);
    let mut places = group.members.clone();
    // Where there is most comes first, if not all is named.
    if places.len() > most {
        places.sort_by_key(|member| std::cmp::Reverse(member.count));
    }
    let places = places.iter().map(|member| {
        let place = member
            .repository
            .as_ref()
            .map_or("the registry as a whole", |name| name.as_str());
        format!("{place} ({})", number(member.count))
    });
    if !is_of_reports {
        lines.entry("where", [finding::some(&places.collect::<Vec<_>>(), most)]);
    }
    let (details, left_out) = group.details();
    for detail in details {
        lines.entry("detail", detail.split_whitespace());
    }
    if left_out > 0 {
        let more = number(words::length(left_out));
        lines.entry(
            "",
            [format!(
                "and {more} more like these, all of them in the JSON report"
            )],
        );
    }
    lines.entry("remedy", group.hint().split_whitespace());
}
