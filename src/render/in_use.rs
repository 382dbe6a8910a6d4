//! Images in use that could not be pulled again: whose pods could not start, by namespace and owner.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::{BAD, Lines, STRONG, UNSURE};
use super::words::{self, length, many, number, since_epoch};
use crate::oci::Printable;
use crate::report::{Found, InUseFinding, InUseResult, Platform, Sweep, Workload, Wrong};

/// Owners that are named, unless all are asked for.
const OWNERS: usize = 20;

/// Pods of an owner that are named.
const NAMES: usize = 3;

/// Images of containers that never ran that are named.
const NOTICES: usize = 5;

/// Pods of one owner, with the images that keep them from starting.
#[derive(Default)]
pub(super) struct Owner<'a> {
    pub(super) images: Vec<&'a InUseFinding>,
    names: BTreeSet<&'a str>,
    /// Whether some pods are not known by name.
    has_nameless: bool,
    /// How many pods use an image in one place of theirs, by what these pods have in common.
    uses: BTreeMap<Place<'a>, BTreeMap<Kin<'a>, u64>>,
}

/// An image, and the container or the volume that it is for.
type Place<'a> = (&'a str, &'a str, &'a str);

/// The platform and the version of the nodes of pods, and whether they have run.
type Kin<'a> = (Option<&'a Platform>, Option<&'a Printable>, bool);

/// The owners of pods that could not start again, by their namespaces.
pub(super) fn owners(findings: &[InUseFinding]) -> BTreeMap<(&str, String), Owner<'_>> {
    let mut owners = BTreeMap::<_, Owner<'_>>::new();
    for found in findings {
        for workload in &found.workloads {
            let origin = &workload.origin;
            let (namespace, name) = (text(origin.namespace.as_ref()), text(origin.name.as_ref()));
            let owner = owners
                .entry((namespace, format!("{} {name}", origin.kind)))
                .or_default();
            let is_known = |last: &&InUseFinding| std::ptr::eq(*last, found);
            if !owner.images.last().is_some_and(is_known) {
                owner.images.push(found);
            }
            let (container, field) = (text(origin.container.as_ref()), text(origin.field.as_ref()));
            let uses = owner
                .uses
                .entry((&*found.image, container, field))
                .or_default();
            // What is broken of an image in two ways has the same pods.
            let version = workload.os_version.as_ref();
            let kin = (workload.platform.as_ref(), version, workload.has_run);
            let pods = uses.entry(kin).or_default();
            *pods = workload.pods.max(*pods);
            owner.has_nameless |= length(workload.names.len()) < workload.pods;
            owner
                .names
                .extend(workload.names.iter().map(|name| &**name));
        }
    }
    owners
}

fn text(text: Option<&Printable>) -> &str {
    text.map_or("", |text| text)
}

impl Owner<'_> {
    /// How many pods there are: at least so many, and whether that is all. Pods that are not named and use several
    /// images may be the same ones.
    fn count(&self) -> (u64, bool) {
        let uses = self.uses.values();
        let uses = uses.map(|pods| {
            pods.values()
                .fold(0, |sum: u64, one| sum.saturating_add(*one))
        });
        let most = uses.max().unwrap_or_default();
        let is_all = self.uses.len() == 1 || !self.has_nameless;
        (most.max(length(self.names.len())), is_all)
    }

    /// `2 pods: web-5d-1, web-5d-2`.
    pub(super) fn pods(&self) -> String {
        let count = self.count();
        let names: Vec<_> = self.names.iter().copied().take(NAMES).collect();
        let more = match count.0.saturating_sub(length(names.len())) {
            0 => String::new(),
            more => format!(" and {} more", number(more)),
        };
        format!("{}: {}{more}", counted(count), names.join(", "))
    }
}

/// `12 pods`, or `at least 12 pods`.
fn counted((pods, is_all): (u64, bool)) -> String {
    let at_least = if is_all { "" } else { "at least " };
    format!("{at_least}{}", many(pods, "pod", "pods"))
}

/// What is wrong, in words and in those of JSON and metrics.
pub(super) fn why(found: &InUseFinding) -> String {
    let (kind, code) = (found.kind, found.reason.word());
    let said = match found.reason {
        Wrong::Promise(reason) => format!(
            "{} {} {}",
            words::kind(kind),
            words::reason(reason),
            found.detail
        ),
        Wrong::PlatformMissing => found.detail.to_string(),
    };
    format!("{} [{kind}/{code}]", said.trim_end())
}

/// How much could not start again, in a clause.
pub(super) fn in_brief(in_use: &InUseResult) -> String {
    let owners = owners(&in_use.findings);
    let counts = owners.values().map(Owner::count);
    let pods = counts.fold((0_u64, true), |(sum, is_all), (pods, are_all)| {
        (sum.saturating_add(pods), is_all && are_all)
    });
    let mut images: Vec<_> = in_use.findings.iter().map(|found| &found.image).collect();
    images.sort();
    images.dedup();
    format!(
        "{} of {} could not start again, for {} that cannot be pulled",
        counted(pods),
        many(length(owners.len()), "owner", "owners"),
        many(length(images.len()), "image", "images"),
    )
}

/// Where it was learnt, and how much that was.
pub(super) fn source(in_use: &InUseResult) -> String {
    let never = match in_use.never_pulled {
        0 => String::new(),
        never => format!(" and {} that are never pulled", number(never)),
    };
    let counted = format!(
        "{} of this registry{never}, {} of others, by {}",
        many(in_use.images, "image", "images"),
        number(in_use.images_of_others),
        in_use.source
    );
    let at = in_use
        .read_at
        .map(|at| humantime::format_rfc3339_seconds(since_epoch(at)));
    match (&in_use.away, at) {
        (None, _) => counted,
        (Some(why), Some(at)) => format!("as of {at}: {counted}, which tells nothing now: {why}"),
        (Some(why), None) => format!("not known: {} tells nothing: {why}", in_use.source),
    }
}

/// Containers that never ran, and images that could not be judged: a sentence each, without an alert.
pub(super) fn notices(in_use: &InUseResult) -> Vec<String> {
    let mut notices = Vec::new();
    let never = in_use.never_ran.iter().map(|found| {
        let user = found.workloads.first().map(|user| user.origin.to_string());
        format!(
            "{} never ran and cannot be pulled: {} ({})",
            found.image,
            why(found),
            user.unwrap_or_default()
        )
    });
    notices.extend(never.take(NOTICES));
    if let Some(more) = in_use.never_ran.len().checked_sub(NOTICES + 1) {
        notices.push(format!("and {} more", number(length(more + 1))));
    }
    let invalid = in_use.invalid.iter().map(|it| {
        let user = it.workloads.first().map(|user| user.origin.to_string());
        let user = user.map(|user| format!(" ({user})"));
        format!(
            "{} never ran: {}{}",
            it.image,
            it.detail,
            user.unwrap_or_default()
        )
    });
    notices.extend(invalid.take(NOTICES));
    if let Some(more) = in_use.invalid.len().checked_sub(NOTICES + 1) {
        notices.push(format!("and {} more", number(length(more + 1))));
    }
    let mut unknown = BTreeMap::<&str, Vec<&str>>::new();
    for one in &in_use.unverified {
        unknown.entry(&one.detail).or_default().push(&one.image);
    }
    for (detail, images) in unknown {
        notices.push(match images.as_slice() {
            [image] => format!("{image} is not verified: {detail}"),
            [first, ..] => {
                let count = number(length(images.len()));
                format!("{count} images are not verified, such as {first}: {detail}")
            }
            [] => continue,
        });
    }
    notices
}

/// Whose pods need what is broken, in a line.
pub(super) fn users(workloads: &[Workload]) -> Option<String> {
    let shown = workloads
        .iter()
        .take(3)
        .map(|user| format!("{} ({})", user.origin, many(user.pods, "pod", "pods")));
    let more = match workloads.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {} more", number(length(more))),
    };
    (!workloads.is_empty()).then(|| shown.collect::<Vec<_>>().join("; ") + &more)
}

pub(super) fn write(lines: &mut Lines, sweep: &Sweep<Found>, details: bool) {
    let Some(in_use) = &sweep.in_use else {
        return;
    };
    if !in_use.findings.is_empty() {
        lines.blank();
        lines.title(&format!("In use: {}", in_brief(in_use)), BAD);
        let owners = owners(&in_use.findings);
        let most = if details { usize::MAX } else { OWNERS };
        for ((namespace, name), owner) in owners.iter().take(most) {
            lines.heading([format!("{namespace}: {name}, {}", owner.pods())], STRONG);
            for found in &owner.images {
                lines.verbatim("image", &found.image);
                lines.entry("why", why(found).split_whitespace());
            }
        }
        if let Some(more) = owners.len().checked_sub(most).filter(|more| *more > 0) {
            lines.heading(
                [format!(
                    "and {} owners more: --details names them",
                    number(length(more))
                )],
                STRONG,
            );
        }
    }
    let notices = notices(in_use);
    if !notices.is_empty() {
        lines.blank();
        lines.title("In use, and no alert", UNSURE);
        for notice in notices {
            lines.column("-", 2, notice.split_whitespace());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;
    use crate::report::InUseUnknown;

    #[test]
    fn many_notices_are_told_in_brief() {
        let mut in_use = fixture::in_use(&fixture::five());
        let never = in_use.never_ran[0].clone();
        in_use.never_ran = vec![never; 7];
        let unknown = |number: usize| InUseUnknown {
            image: format!("r.example/app:{number}").into(),
            detail: "it could not be asked for".into(),
            workloads: Vec::new(),
        };
        in_use.unverified = (0..5_000).map(unknown).collect();
        let told = notices(&in_use);
        assert_eq!(told.len(), 7, "{told:?}");
        assert_eq!(told[5], "and 2 more");
        let expected =
            "5,000 images are not verified, such as r.example/app:0: it could not be asked for";
        assert_eq!(told[6], expected);
    }

    #[test]
    fn pods_of_one_owner_are_counted_once() {
        let in_use = fixture::in_use(&fixture::five());
        let mut findings = in_use.findings.clone();
        // The same pods need another image, too, in another container.
        let mut second = findings[0].clone();
        second.image = "r.example/sidecar:1".into();
        second.workloads[0].origin.container = Some("sidecar".into());
        findings.push(second);
        // They may be other ones, so far as is known.
        let told = |findings: &[InUseFinding]| {
            let owners = owners(findings);
            assert_eq!(owners.len(), 3);
            let owner = &owners[&("shop", "ReplicaSet web-7d9c5b6f4".to_owned())];
            (owner.pods(), owner.images.len())
        };
        let names = "web-7d9c5b6f4-0, web-7d9c5b6f4-1, web-7d9c5b6f4-2 and 9 more";
        assert_eq!(told(&findings), (format!("at least 12 pods: {names}"), 2));
        let in_brief = |findings: &[InUseFinding]| {
            super::in_brief(&InUseResult {
                findings: findings.to_vec(),
                ..in_use.clone()
            })
        };
        assert!(in_brief(&findings).starts_with("at least 16 pods of 3 owners"));
        // One image that is broken in two ways has the same pods, too.
        let second = findings.last_mut().expect("the second");
        *second = findings_of(&in_use);
        assert_eq!(told(&findings), (format!("12 pods: {names}"), 2));
        assert!(in_brief(&findings).starts_with("16 pods of 3 owners"));
    }

    fn findings_of(in_use: &InUseResult) -> InUseFinding {
        InUseFinding {
            reason: Wrong::Promise(crate::report::Reason::ShortRead),
            ..in_use.findings[0].clone()
        }
    }

    #[test]
    fn pods_of_one_owner_that_need_several_images_are_all_counted() {
        let in_use = fixture::in_use(&fixture::five());
        let needs = |image: &str, pods: &[&str]| {
            let mut found = in_use.findings[0].clone();
            found.image = image.into();
            found.workloads[0].pods = length(pods.len());
            found.workloads[0].names = pods.iter().map(Printable::from).collect();
            found
        };
        let findings = [
            needs("a", &["p1", "p2"]),
            needs("b", &["p3"]),
            needs("c", &["p4", "p1", "p5"]),
        ];
        let owners = owners(&findings);
        let owner = owners.values().next().expect("an owner");
        assert_eq!(owner.pods(), "5 pods: p1, p2, p3 and 2 more");
    }
}
