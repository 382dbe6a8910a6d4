//! Reports of shards made one: what belongs together is added up, and what is missing, doubled or foreign is
//! told, so that the whole is no better than its parts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::counts::{Counts, Coverage};
use super::finding::Finding;
use super::in_use::InUseResult;
use super::mode::Mode;
use super::outcome::SkipReason;
use super::read::Part;
use super::record::{Record, is_same};
use super::referrers::Referrers;
use super::run::Run;
use super::shard::Shard;
use super::sweep::{Listed, Sweep, UnverifiedObjects};
use crate::registry::{Identified, Unverified, UnverifiedReason};

/// Shards that are named where many are missing or doubled.
const NAMED: usize = 8;

/// How reports are merged.
#[derive(Clone, Copy, Debug)]
pub struct Merging<'a> {
    /// Reports without a run's name that began further apart than this are of different runs.
    pub interval: Duration,
    /// Whether nothing to check is fine.
    pub allow_empty: bool,
    /// The files that hold no usable report, and why.
    pub unusable: &'a [(String, String)],
}

impl Merging<'_> {
    /// What the reports say of each registry, in the order in which the registries are named first.
    #[must_use]
    pub fn merge(self, parts: Vec<Part>) -> Vec<Record> {
        let mut registries = Vec::<Vec<Part>>::new();
        for part in parts {
            let name = &part.sweep.registry;
            let of = |parts: &&mut Vec<Part>| parts[0].sweep.registry == *name;
            match registries.iter_mut().find(of) {
                Some(parts) => parts.push(part),
                None => registries.push(vec![part]),
            }
        }
        let names: Vec<_> = registries
            .iter()
            .map(|parts| parts[0].sweep.registry.clone())
            .collect();
        let registries = registries.into_iter();
        registries
            .map(|parts| self.registry(parts, &names))
            .collect()
    }

    /// One registry. `names` are those of all.
    fn registry(self, mut parts: Vec<Part>, names: &[String]) -> Record {
        parts.sort_by_key(|part| part.sweep.started_at);
        let run = Run::of(&parts, self.interval);
        let (own, foreign): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| run.differs(part).is_none());
        let mut record = Record::new(own[0].sweep.registry.clone());
        let of_own = own.iter().flat_map(|part| &part.remembered);
        let of_foreign = foreign.iter();
        let of_foreign =
            of_foreign.flat_map(|part| part.sweep.findings.iter().chain(&part.remembered));
        remember(&mut record, of_own.chain(of_foreign));
        // Where something is remembered of a repository, what was found there stays with its times.
        let is_known = |finding: &&Finding| record.repositories.contains_key(&finding.repository);
        let found = own.iter().flat_map(|part| &part.sweep.findings);
        let found: Vec<_> = found.filter(is_known).collect();
        remember(&mut record, found.into_iter());

        let mut problems = Vec::new();
        let mut shards = BTreeMap::<u32, Vec<Part>>::new();
        for part in own {
            let index = part.sweep.shard.map_or(0, Shard::index);
            shards.entry(index).or_default().push(part);
        }
        problems.extend(missing(&shards, run.count, names));
        problems.extend(doubled(&shards, run.count));
        for part in &foreign {
            let why = run.differs(part).unwrap_or_default();
            problems.push((1, format!("{} is left out: {why}", part.source)));
        }
        let unusable = self.unusable.iter();
        problems.extend(unusable.map(|(file, why)| (1, format!("{file} is left out: {why}"))));

        let mut parts = shards.into_values().map(one_of);
        // There is one: a run is that of a part.
        let Some(mut whole) = parts.next() else {
            return record;
        };
        parts.for_each(|part| add(&mut whole, part));
        whole.shard = None;
        put_in_order(&mut whole);
        if run.count.is_some() {
            self.settle_coverage(&mut whole);
        }
        let problems = problems.into_iter().map(|(count, detail)| {
            let why = Unverified::new(UnverifiedReason::ShardsIncomplete, detail);
            let repository = None;
            UnverifiedObjects {
                repository,
                why,
                count,
            }
        });
        whole.unverified.splice(0..0, problems);
        record.absorb(whole);
        record
    }

    /// A verdict needs something that was looked at, which no shard knows of the others.
    fn settle_coverage(self, whole: &mut Sweep) {
        let counts = &whole.counts;
        let objects = counts.tags.listed + counts.indexes + counts.manifests + counts.blobs;
        let is_covered = objects > 0 || whole.mode == Mode::PullThrough;
        if is_covered || !whole.findings.is_empty() || !whole.is_complete() {
            return;
        }
        let what = "there was nothing to check in any shard";
        if self.allow_empty {
            whole.warnings.push(what.to_owned());
            return;
        }
        let detail = format!("{what}; if that is right, say --allow-empty");
        whole.unverified.push(UnverifiedObjects {
            repository: None,
            why: Unverified::new(UnverifiedReason::NothingListed, detail),
            count: 1,
        });
    }
}

/// Notes what was known to be broken, for repositories that the whole does not verify.
fn remember<'a>(record: &mut Record, findings: impl Iterator<Item = &'a Finding>) {
    for finding in findings {
        let name = finding.repository.clone();
        let known = record.repositories.entry(name).or_default();
        if !known.findings.iter().any(|other| is_same(other, finding)) {
            known.findings.push(finding.clone());
            known.failures = Some(known.findings.len() as u64);
        }
    }
}

/// A problem: how many shards it is about, and what it is.
type Problem = (u64, String);

/// The shards of which there is no report.
fn missing(
    shards: &BTreeMap<u32, Vec<Part>>,
    count: Option<u32>,
    names: &[String],
) -> Option<Problem> {
    let count = count?;
    // There may be billions, by what the reports say.
    let missing = u64::from(count).saturating_sub(shards.len() as u64);
    let indexes = (0..count).filter(|index| !shards.contains_key(index));
    let absent = named(indexes, count, missing)?;
    let mut text = format!("of {count} shards, there is no report of {absent}");
    let first = shards.values().next().and_then(|parts| parts.first());
    let is_other = |name: &&String| first.is_none_or(|part| part.sweep.registry != **name);
    let others: Vec<_> = names.iter().filter(is_other).map(String::as_str).collect();
    if !others.is_empty() {
        let _ = write!(text, " (other reports are about {})", others.join(", "));
    }
    Some((missing, text))
}

/// The shards of which there are several.
fn doubled(shards: &BTreeMap<u32, Vec<Part>>, count: Option<u32>) -> Option<Problem> {
    let doubled = || shards.iter().filter(|(_, parts)| parts.len() > 1);
    let total = doubled().count() as u64;
    let sources = doubled().flat_map(|(_, parts)| parts);
    let sources: Vec<_> = sources
        .take(NAMED)
        .map(|part| part.source.as_str())
        .collect();
    let sources = sources.join(", ");
    if total == 0 {
        return None;
    }
    let text = match count {
        Some(count) => {
            let indexes = doubled().map(|(index, _)| *index);
            let named = named(indexes, count, total)?;
            format!("there are several reports of {named}: {sources}")
        }
        None => format!("there are several reports of the whole registry: {sources}"),
    };
    Some((total, text))
}

/// Some shards by name; `None` if there are none.
fn named(indexes: impl Iterator<Item = u32>, count: u32, total: u64) -> Option<String> {
    let shards: Vec<_> = indexes
        .take(NAMED)
        .map(|index| format!("{index}/{count}"))
        .collect();
    let more = total.saturating_sub(shards.len() as u64);
    let shards = match shards.as_slice() {
        [] => return None,
        [one] => format!("shard {one}"),
        several => format!("shards {}", several.join(", ")),
    };
    Some(match more {
        0 => shards,
        more => format!("{shards} and {more} more"),
    })
}

/// The last of several reports of one shard, with what any of them found broken: looks that disagree clear nothing.
fn one_of(mut parts: Vec<Part>) -> Sweep {
    parts.sort_by_key(|part| part.sweep.finished_at);
    let mut parts = parts.into_iter().rev();
    let Some(Part { mut sweep, .. }) = parts.next() else {
        unreachable!("each shard here has a report")
    };
    for finding in parts.flat_map(|part| part.sweep.findings) {
        if !sweep.findings.iter().any(|found| is_same(found, &finding)) {
            sweep.findings.push(finding);
        }
    }
    sweep
}

/// Adds a part to the whole. The fields are named one by one, so that a new one has to be decided on here.
fn add(whole: &mut Sweep, part: Sweep) {
    let Sweep {
        registry: _,
        access,
        started_at,
        finished_at,
        shard: _,
        run_id: _,
        interval: _,
        depth: _,
        mode: _,
        listed,
        counts,
        repositories,
        missing,
        out_of_scope,
        findings,
        suspected,
        images,
        unmet,
        in_use,
        documents: _, // Images that are named are in no shard.
        referrers,
        exposed,
        unverified,
        skipped,
        warnings,
        scrub_period,
        read_every,
        oldest_read_at,
        reads: _,
        certificate_expires_at,
    } = part;
    identify(&mut whole.access.software, access.software);
    whole.started_at = whole.started_at.min(started_at);
    whole.finished_at = whole.finished_at.max(finished_at);
    if !matches!(whole.listed, Listed::Failed(_)) && matches!(listed, Listed::Failed(_)) {
        whole.listed = listed;
    }
    whole.counts = sum(whole.counts, counts);
    whole.repositories.extend(repositories);
    whole.missing.extend(missing);
    whole.out_of_scope.extend(out_of_scope);
    whole.findings.extend(findings);
    whole.suspected.extend(suspected);
    whole.images.extend(images);
    whole.unmet.extend(unmet);
    InUseResult::merge(&mut whole.in_use, in_use);
    Referrers::merge(&mut whole.referrers, referrers);
    whole.exposed.extend(exposed);
    obstruct_each(whole, unverified);
    skip(whole, skipped);
    warn(whole, warnings);
    whole.scrub_period = whole.scrub_period.max(scrub_period);
    whole.read_every = whole.read_every.max(read_every);
    // Not known of a part is not known of the whole: `None` is the least.
    whole.oldest_read_at = whole.oldest_read_at.min(oldest_read_at);
    let ends = [whole.certificate_expires_at, certificate_expires_at];
    whole.certificate_expires_at = ends.into_iter().flatten().min();
}

fn obstruct_each(whole: &mut Sweep, groups: Vec<UnverifiedObjects>) {
    for group in groups {
        obstruct(whole, group);
    }
}

fn skip(whole: &mut Sweep, skipped: BTreeMap<SkipReason, u64>) {
    for (reason, count) in skipped {
        let all = whole.skipped.entry(reason).or_default();
        *all = all.saturating_add(count);
    }
}

/// What several parts warn of is said once.
fn warn(whole: &mut Sweep, warnings: Vec<String>) {
    for warning in warnings {
        if !whole.warnings.contains(&warning) {
            whole.warnings.push(warning);
        }
    }
}

/// What shows the software to any part shows it to the whole. Where the caller named it, nothing has to.
fn identify(whole: &mut Option<Identified>, part: Option<Identified>) {
    match (whole, part) {
        (Some(known), Some(seen)) if known.name == seen.name && !known.signs.is_empty() => {
            for sign in seen.signs {
                if !known.signs.contains(&sign) {
                    known.signs.push(sign);
                }
            }
        }
        (known @ None, seen) => *known = seen,
        (Some(_), _) => {}
    }
}

/// What each shard says of the registry as a whole is said once.
fn obstruct(whole: &mut Sweep, group: UnverifiedObjects) {
    let is_same = |known: &&mut UnverifiedObjects| {
        known.repository.is_none() && group.repository.is_none() && known.why == group.why
    };
    match whole.unverified.iter_mut().find(is_same) {
        Some(known) => known.count = known.count.max(group.count),
        None => whole.unverified.push(group),
    }
}

fn sum(a: Counts, b: Counts) -> Counts {
    let covered = |a: Coverage, b: Coverage| Coverage {
        listed: a.listed.saturating_add(b.listed),
        checked: a.checked.saturating_add(b.checked),
    };
    Counts {
        repositories: covered(a.repositories, b.repositories),
        tags: covered(a.tags, b.tags),
        indexes: a.indexes.saturating_add(b.indexes),
        manifests: a.manifests.saturating_add(b.manifests),
        blobs: a.blobs.saturating_add(b.blobs),
        absent: a.absent.saturating_add(b.absent),
        platform_mismatches: a.platform_mismatches.saturating_add(b.platform_mismatches),
        requests: a.requests.saturating_add(b.requests),
        bytes: a.bytes.saturating_add(b.bytes),
        blobs_read: a.blobs_read.saturating_add(b.blobs_read),
        blobs_put_off: a.blobs_put_off.saturating_add(b.blobs_put_off),
        scrubbed_bytes: a.scrubbed_bytes.saturating_add(b.scrubbed_bytes),
    }
}

/// As a sweep of everything has it.
fn put_in_order(whole: &mut Sweep) {
    whole.findings.sort_by_cached_key(Finding::rank);
    whole.suspected.sort_by_cached_key(Finding::rank);
    whole.repositories.sort_by(|a, b| a.name.cmp(&b.name));
    whole
        .exposed
        .sort_by(|a, b| a.repository.cmp(&b.repository));
    let name = |group: &UnverifiedObjects| group.repository.clone();
    whole.unverified.sort_by_cached_key(name);
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::oci::{Digest, Repository};
    use crate::registry::Depth;
    use crate::registry::UnverifiedReason::{Connect, NothingListed, ShardsIncomplete};
    use crate::report::{
        Exposed, Kind, Reason, Report, RepositoryResult, SkipReason, Verdict, fixture,
    };

    const COUNT: u32 = 4;
    const INTERVAL: Duration = Duration::from_secs(900);

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    /// A name of a repository of a shard.
    fn name(index: u32) -> Repository {
        let shard = Shard::new(index, COUNT).expect("a shard");
        let mut names = (0..).map(|number| format!("team/app{number}"));
        let name = names.find_map(|name| {
            let name: Repository = name.parse().expect("a name");
            shard.holds(&name).then_some(name)
        });
        name.expect("a shard has names")
    }

    /// The report of a shard with one repository, intact.
    fn part(index: u32) -> Part {
        let started_at = start() + Duration::from_secs(u64::from(index));
        let mut sweep = Sweep {
            shard: Shard::new(index, COUNT),
            run_id: Some("nightly-1".into()),
            started_at,
            finished_at: started_at + Duration::from_secs(60),
            repositories: vec![RepositoryResult {
                name: name(index),
                broken: 0,
                unverified: 0,
                tags: 2,
            }],
            skipped: [(SkipReason::TagFilter, 1)].into(),
            warnings: vec!["said by all".to_owned()],
            ..fixture::sweep()
        };
        sweep.counts = Counts {
            repositories: Coverage {
                listed: 1,
                checked: 1,
            },
            tags: Coverage {
                listed: 2,
                checked: 2,
            },
            manifests: 2,
            blobs: 3,
            requests: 10,
            ..Counts::default()
        };
        sweep.exposed = vec![Exposed {
            repository: name(index),
            manifests: 1,
            digests: Vec::new(),
        }];
        Part {
            source: format!("{index}.json"),
            sweep,
            remembered: Vec::new(),
        }
    }

    fn parts() -> Vec<Part> {
        (0..COUNT).map(part).collect()
    }

    /// The same report, with something broken in it.
    fn broken(mut part: Part) -> Part {
        let mut finding = fixture::finding(Kind::Layer, Reason::NotFound);
        finding.repository = part.sweep.repositories[0].name.clone();
        finding.bracket.first_broken = Some(start() - INTERVAL);
        part.sweep.repositories[0].broken = 1;
        part.sweep.findings.push(finding);
        part
    }

    fn merge(parts: Vec<Part>) -> Vec<Record> {
        let merging = Merging {
            interval: INTERVAL,
            allow_empty: false,
            unusable: &[],
        };
        merging.merge(parts)
    }

    fn report(parts: Vec<Part>) -> Report {
        let mut records = merge(parts);
        assert_eq!(records.len(), 1);
        records.remove(0).last.expect("a report")
    }

    /// What is said of the shards.
    fn told(report: &Report) -> Vec<String> {
        let groups = report.sweep.unverified.iter();
        let groups = groups.filter(|group| group.why.reason == ShardsIncomplete);
        groups.map(|group| group.why.detail.to_string()).collect()
    }

    #[test]
    fn all_shards_in_any_order_are_the_whole() {
        let mut parts: Vec<_> = (0..COUNT).map(part).map(broken).rev().collect();
        parts[1].sweep.started_at -= Duration::from_secs(10);
        let report = report(parts);
        let sweep = &report.sweep;
        assert_eq!((report.verdict, report.complete), (Verdict::Broken, true));
        assert_eq!((sweep.shard, sweep.findings.len()), (None, 4));
        assert_eq!(sweep.run_id.as_deref(), Some("nightly-1"));
        assert_eq!(sweep.counts.tags.checked, 8);
        assert_eq!((sweep.counts.blobs, sweep.counts.requests), (12, 40));
        assert_eq!(sweep.skipped, [(SkipReason::TagFilter, 4)].into());
        assert_eq!(sweep.warnings, ["said by all"]);
        assert_eq!(sweep.exposed_manifests(), 4);
        assert_eq!(sweep.started_at, start() - Duration::from_secs(8));
        assert_eq!(sweep.finished_at, start() + Duration::from_secs(63));
        let names: Vec<_> = sweep.repositories.iter().map(|one| &one.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let places: Vec<_> = sweep.findings.iter().map(|one| &one.repository).collect();
        assert!(places.is_sorted(), "{places:?}");
        let since = sweep.findings[0].bracket.first_broken;
        assert_eq!(since, Some(start() - INTERVAL));
    }

    #[test]
    fn images_in_use_of_all_shards_are_told_together() {
        let mut parts = parts();
        let result = |images| InUseResult {
            containers: 9,
            images,
            images_of_others: 4,
            ..InUseResult::default()
        };
        parts[0].sweep.in_use = Some(result(1));
        parts[1].sweep.in_use = Some(result(2));
        parts[2].sweep.in_use = Some(InUseResult::away("s", "refused"));
        let whole = report(parts).sweep.in_use.expect("it is there");
        assert_eq!(
            (whole.images, whole.images_of_others, whole.containers),
            (3, 4, 9)
        );
        assert_eq!(whole.away.as_deref(), Some("refused"));
    }

    #[test]
    fn a_shard_that_is_missing_is_named_and_broken_still_wins() {
        let mut three = parts();
        three.remove(2);
        let whole = report(three.clone());
        assert_eq!(
            (whole.verdict, whole.complete),
            (Verdict::Unverified, false)
        );
        assert_eq!(
            told(&whole),
            ["of 4 shards, there is no report of shard 2/4"]
        );
        three[0] = broken(three.remove(0));
        let whole = report(three);
        assert_eq!((whole.verdict, whole.complete), (Verdict::Broken, false));
        assert_eq!(told(&whole).len(), 1);
    }

    #[test]
    fn billions_of_missing_shards_are_counted() {
        let mut one = part(0);
        one.sweep.shard = Shard::new(0, u32::MAX);
        let whole = report(vec![one]);
        assert!(
            told(&whole)[0].ends_with("and 4294967286 more"),
            "{:?}",
            told(&whole)
        );
        assert_eq!(whole.sweep.unverified_objects(), u64::from(u32::MAX) - 1);
    }

    #[test]
    fn what_one_of_two_reports_of_a_shard_found_broken_stays() {
        let mut later = part(1);
        later.sweep.finished_at += Duration::from_secs(1);
        later.sweep.counts.blobs = 7;
        later.source = "retry.json".to_owned();
        let all = [
            vec![broken(part(1)), later],
            vec![part(0), part(2), part(3)],
        ]
        .concat();
        let whole = report(all);
        assert_eq!((whole.verdict, whole.complete), (Verdict::Broken, false));
        assert_eq!(
            told(&whole),
            ["there are several reports of shard 1/4: 1.json, retry.json"]
        );
        assert_eq!(whole.sweep.counts.blobs, 3 * 3 + 7);
    }

    #[test]
    fn what_is_foreign_is_left_out_and_says_why() {
        type Change = fn(&mut Sweep);
        let foreign: [(&str, Change); 6] = [
            ("it is of the run nightly-0", |sweep| {
                sweep.run_id = Some("nightly-0".into());
            }),
            ("it is of a run without a name", |sweep| sweep.run_id = None),
            ("it is of 8 shards", |sweep| sweep.shard = Shard::new(2, 8)),
            ("it is not of a shard", |sweep| sweep.shard = None),
            ("it looked at depth head", |sweep| sweep.depth = Depth::Head),
            ("in mode mirror", |sweep| sweep.mode = Mode::Mirror),
        ];
        for (why, change) in foreign {
            let mut parts = parts();
            change(&mut parts[2].sweep);
            let whole = report(parts.clone());
            assert_eq!(
                (whole.verdict, whole.complete),
                (Verdict::Unverified, false),
                "{why}"
            );
            let told = told(&whole);
            assert!(told[0].contains("no report of shard 2/4"), "{told:?}");
            assert!(told[1].starts_with("2.json is left out: "), "{told:?}");
            assert!(told[1].contains(why), "{told:?}");
            assert_eq!(whole.sweep.counts.tags.listed, 6);
            // What it found broken is not known to be intact.
            let foreign = broken(parts.remove(2));
            parts.push(foreign);
            let whole = report(parts);
            assert_eq!(whole.remembered.len(), 1, "{why}");
        }
    }

    #[test]
    fn a_foreign_finding_that_the_run_saw_intact_is_past() {
        let mut parts = parts();
        let mut old = broken(part(2));
        old.sweep.run_id = Some("nightly-0".into());
        old.sweep.started_at -= INTERVAL;
        parts.push(old);
        let whole = report(parts);
        assert_eq!(whole.remembered, Vec::new());
        assert_eq!(whole.verdict, Verdict::Unverified);
    }

    #[test]
    fn what_is_found_beside_something_remembered_keeps_its_times() {
        let mut parts: Vec<_> = (0..COUNT).map(part).map(broken).collect();
        let mut remembered = parts[0].sweep.findings[0].clone();
        remembered.digest = Some(Digest::sha256(b"another"));
        parts[0].remembered.push(remembered);
        parts[0].sweep.repositories[0].unverified = 1;
        let whole = report(parts);
        assert_eq!(whole.remembered.len(), 1);
        let mut found = whole.sweep.findings.iter().chain(&whole.remembered);
        assert!(found.all(|found| found.bracket.first_broken == Some(start() - INTERVAL)));
    }

    #[test]
    fn without_a_name_a_run_is_what_began_within_an_interval() {
        let mut parts = parts();
        for part in &mut parts {
            part.sweep.run_id = None;
        }
        assert!(report(parts.clone()).complete);
        parts[2].sweep.started_at -= INTERVAL;
        let told = told(&report(parts));
        assert!(told[1].contains("it began 15m 1s before"), "{told:?}");
    }

    #[test]
    fn one_report_of_a_whole_registry_is_itself() {
        let mut one = broken(part(0));
        one.sweep.shard = None;
        let whole = report(vec![one.clone()]);
        assert_eq!(whole, Report::from(one.sweep.clone()));
        let whole = report(vec![one.clone(), one]);
        assert_eq!(
            told(&whole),
            ["there are several reports of the whole registry: 0.json, 0.json"]
        );
    }

    #[test]
    fn another_registry_is_another_report_and_both_are_short() {
        let mut parts = parts();
        parts[3].sweep.registry = "other.example".to_owned();
        let records = merge(parts);
        let reports: Vec<_> = records
            .iter()
            .filter_map(|record| record.last.as_ref())
            .collect();
        let told: Vec<_> = reports.iter().flat_map(|report| told(report)).collect();
        assert_eq!(
            told,
            [
                "of 4 shards, there is no report of shard 3/4 (other reports are about other.example)",
                "of 4 shards, there is no report of shards 0/4, 1/4, 2/4 (other reports are about r.example)"
            ]
        );
    }

    #[test]
    fn a_file_without_a_report_keeps_the_rest_from_being_intact() {
        let unusable = [("2.json".to_owned(), "it is empty".to_owned())];
        let merging = Merging {
            interval: INTERVAL,
            allow_empty: false,
            unusable: &unusable,
        };
        let records = merging.merge(vec![part(0), part(1), part(3)]);
        let report = records[0].last.as_ref().expect("a report");
        assert_eq!(told(report)[1], "2.json is left out: it is empty");
        assert_eq!(records[0].last_complete, None);
    }

    #[test]
    fn what_all_shards_say_of_the_registry_is_said_once() {
        let away = |index| {
            let mut part = part(index);
            part.sweep.repositories.clear();
            part.sweep.counts = Counts::default();
            let why = Unverified::new(Connect, "GET /v2/: no connection");
            part.sweep.listed = Listed::Failed(why.clone());
            let repository = None;
            part.sweep.unverified = vec![UnverifiedObjects {
                repository,
                why,
                count: 1,
            }];
            part
        };
        let whole = report((0..COUNT).map(away).collect());
        assert_eq!(whole.sweep.unverified_objects(), 1);
        assert!(matches!(whole.sweep.listed, Listed::Failed(_)));
    }

    /// Each shard takes it that the others have something.
    #[test]
    fn shards_that_all_have_nothing_are_nothing() {
        let empty = |index| {
            let mut part = part(index);
            part.sweep.counts = Counts::default();
            part
        };
        let parts: Vec<_> = (0..COUNT).map(empty).collect();
        let whole = report(parts.clone());
        assert_eq!(whole.sweep.main_reason(), Some(NothingListed));
        let merging = Merging {
            interval: INTERVAL,
            allow_empty: true,
            unusable: &[],
        };
        let records = merging.merge(parts);
        assert!(
            records[0]
                .last
                .as_ref()
                .is_some_and(|report| report.complete)
        );
    }

    #[test]
    fn objects_that_two_shards_miss_are_one_object() {
        let parts: Vec<_> = (0..COUNT).map(part).map(broken).collect();
        let whole = report(parts);
        assert_eq!(whole.objects().len(), 1);
        assert_eq!(whole.objects()[0].digest, Some(&Digest::sha256(b"object")));
    }
}
