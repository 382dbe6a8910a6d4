//! What is known of registries, as metrics: `registry_manifest_integrity_*`.
//!
//! Built anew from the records for each sweep, so that a repository that is gone leaves no series.
//! The names of the shell job that this replaces keep their names and meaning.

mod family;
mod images;
mod in_use;
mod recall;
mod referrers;

use std::collections::BTreeMap;
use std::time::SystemTime;

pub use family::{Family, encode};
pub use recall::{failing, foreign_groups, lacks_in_use, recall, recall_in_use};

use crate::oci::Repository;
use crate::registry::UnverifiedReason;
use crate::report::{Found, Kind, Known, Listed, Reason, Record, SkipReason, Sweep};

/// Repositories of one registry that have series of their own. Those above it are left out, the
/// intact ones first, and counted in `series_dropped`.
const MOST_REPOSITORIES: usize = 25_000;

/// What the names of all metrics here begin with.
const PREFIX: &str = "registry_manifest_integrity_";

fn gauge(name: &str, help: &str) -> Family {
    Family::gauge(&format!("{PREFIX}{name}"), help)
}

/// A record with the last sweep that is in it.
struct Swept<'a> {
    record: &'a Record,
    sweep: &'a Sweep<Found>,
    /// The number of its shard, if it has one.
    shard: Option<String>,
}

impl<'a> Swept<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let sweep = &record.last.as_ref()?.sweep;
        let shard = sweep.shard.map(|shard| shard.index().to_string());
        Some(Self {
            record,
            sweep,
            shard,
        })
    }

    /// The labels of a series: those that every one of this registry has, and more.
    fn labels<'b>(&'b self, more: &[(&'b str, &'b str)]) -> Vec<(&'b str, &'b str)> {
        let registry = ("registry", self.record.registry.as_str());
        let shard = self.shard.iter().map(|shard| ("shard", shard.as_str()));
        let own = std::iter::once(registry).chain(shard);
        own.chain(more.iter().copied()).collect()
    }
}

/// All families of all registries that were swept. A registry that was not has no series: a 0 would
/// be a false all-clear.
#[must_use]
pub fn render(records: &[&Record]) -> String {
    encode(families(records))
}

/// What a sweep that did not reach everything has to say: what it knows without having reached it
/// all. For a gateway, where a family that is sent replaces the family of that name, and one that is
/// not sent stays as it was.
#[must_use]
pub fn render_partial(record: &Record) -> String {
    let mut families = families(&[record]);
    families.retain(|family| !NEEDS_ALL.contains(&family.name().trim_start_matches(PREFIX)));
    encode(families)
}

/// Families that are about the whole registry, or about findings that only a whole look replaces.
const NEEDS_ALL: &[&str] = &[
    "reference_failures",
    "broken_image_info",
    "in_use_broken",
    "absent_children",
    "gc_exposed_manifests",
    "referrers_attached",
    "referrers_lost",
    "referrers_dangling",
    "last_complete_timestamp_seconds",
];

fn families(records: &[&Record]) -> Vec<Family> {
    let swept = records.iter().copied();
    let swept: Vec<_> = swept.filter_map(Swept::of).collect();
    let mut dropped = gauge(
        "series_dropped",
        "Series left out because there were too many.",
    );
    let mut families = Vec::new();
    families.extend(repositories(&swept, &mut dropped));
    families.extend(reasons(&swept));
    families.push(images::broken(&swept, &mut dropped));
    families.push(in_use::broken(&swept, &mut dropped));
    families.extend(in_use::source(&swept));
    families.push(exposed(&swept));
    let values = VALUES.iter().chain(referrers::VALUES);
    families.extend(values.map(|value| one_value(&swept, value)));
    families.push(dropped);
    families
}

/// A value of a registry, if it has one: the metric's name without the prefix, its help, and the value.
type Value = (
    &'static str,
    &'static str,
    fn(&Record, &Sweep<Found>) -> Option<f64>,
);

/// What has one value for each registry, besides [`referrers`].
const VALUES: &[Value] = &[
    (
        "storage_unavailable",
        "Whether many objects of several repositories were asked for and not one was there.",
        |_, sweep| Some(f64::from(u8::from(sweep.is_storage_unavailable()))),
    ),
    (
        "last_run_timestamp",
        "When the last sweep ended, whatever came of it.",
        |_, sweep| seconds(sweep.finished_at),
    ),
    (
        "interval_seconds",
        "From the beginning of one sweep to that of the next, if that is known.",
        |_, sweep| Some(sweep.interval?.as_secs_f64()),
    ),
    (
        "shard_ordinal",
        "The number of this shard, from 0, if the repositories are shared by several.",
        |_, sweep| Some(f64::from(sweep.shard?.index())),
    ),
    (
        "total_shards",
        "How many shards share the repositories, as this one was told.",
        |_, sweep| Some(f64::from(sweep.shard?.count())),
    ),
    (
        "last_complete_timestamp_seconds",
        "When the last sweep that reached everything ended.",
        |record, _| seconds(record.last_complete?),
    ),
    (
        "sweep_duration_seconds",
        "How long the last sweep took.",
        |_, sweep| {
            let took = sweep.finished_at.duration_since(sweep.started_at);
            Some(took.unwrap_or_default().as_secs_f64())
        },
    ),
    (
        "certificate_expiry_timestamp_seconds",
        "When the registry's TLS certificate expires.",
        |_, sweep| seconds(sweep.certificate_expires_at?),
    ),
    (
        "catalog_accessible",
        "Whether the list of repositories could be read to its end.",
        |_, sweep| {
            Some(f64::from(u8::from(!matches!(
                sweep.listed,
                Listed::Failed(_)
            ))))
        },
    ),
    ("repos_listed", "Repositories in scope.", |_, sweep| {
        count(sweep.counts.repositories.listed)
    }),
    (
        "repos_checked",
        "Repositories in which everything was given a verdict.",
        |_, sweep| count(sweep.counts.repositories.checked),
    ),
    ("tags_listed", "Tags in scope.", |_, sweep| {
        count(sweep.counts.tags.listed)
    }),
    (
        "tags_checked",
        "Tags that were given a verdict.",
        |_, sweep| count(sweep.counts.tags.checked),
    ),
    (
        "indexes_checked",
        "Image indexes that were read.",
        |_, sweep| count(sweep.counts.indexes),
    ),
    (
        "manifests_checked",
        "Manifests that were read, indexes not included.",
        |_, sweep| count(sweep.counts.manifests),
    ),
    (
        "blobs_checked",
        "Configs and layers that were looked at.",
        |_, sweep| count(sweep.counts.blobs),
    ),
    (
        "absent_children",
        "Children that indexes name and a sparse copy does not have.",
        |_, sweep| count(sweep.counts.absent),
    ),
    (
        "platform_mismatches",
        "Images whose config names another platform than their index, and which may run all the same.",
        |_, sweep| count(sweep.counts.platform_mismatches),
    ),
    (
        "blobs_read",
        "Blobs whose bytes the last sweep read, once for all repositories that have the digest.",
        |_, sweep| count(sweep.counts.blobs_read),
    ),
    (
        "blobs_put_off",
        "Blobs of all repositories whose bytes the last sweep left to later ones, and asked for by HEAD alone.",
        |_, sweep| count(sweep.counts.blobs_put_off),
    ),
    (
        "read_period_seconds",
        "In how long a time the last bytes of every blob are read once, if that is spread over time.",
        |_, sweep| Some(sweep.read_every?.as_secs_f64()),
    ),
    (
        "oldest_read_timestamp_seconds",
        "When those blobs were read that were not read for the longest time, once all were.",
        |_, sweep| seconds(sweep.oldest_read_at?),
    ),
    (
        "scrubbed_bytes",
        "Bytes of the blobs that the last sweep read in full and hashed.",
        |_, sweep| count(sweep.counts.scrubbed_bytes),
    ),
    (
        "scrub_period_seconds",
        "In how long a time every blob is read in full once, if that is spread over time.",
        |_, sweep| Some(sweep.scrub_period?.as_secs_f64()),
    ),
];

fn one_value(swept: &[Swept<'_>], (name, help, value): &Value) -> Family {
    let mut family = gauge(name, help);
    for one in swept {
        if let Some(value) = value(one.record, one.sweep) {
            family.add(&one.labels(&[]), value);
        }
    }
    family
}

/// What is known repository by repository.
fn repositories(swept: &[Swept<'_>], dropped: &mut Family) -> [Family; 2] {
    let mut failures = gauge(
        "failures",
        "Broken objects in a repository; 0 if it is known to be intact. What could not be verified \
         again stays as it was.",
    );
    let mut successes = gauge(
        "last_success_timestamp_seconds",
        "When everything in a repository was last verified and intact.",
    );
    for one in swept {
        let known = one.record.repositories.iter();
        let mut known: Vec<(&Repository, &Known)> = known.collect();
        let surplus = known.len().saturating_sub(MOST_REPOSITORIES);
        if surplus > 0 {
            known.sort_by_key(|(_, known)| std::cmp::Reverse(known.failures));
            known.truncate(MOST_REPOSITORIES);
            known.sort_by_key(|(name, _)| *name);
        }
        for family in [&failures, &successes] {
            let labels = one.labels(&[("family", family.name())]);
            dropped.count(&labels, surplus as u64);
        }
        for (name, known) in known {
            let labels = one.labels(&[("repository", name.as_str())]);
            if let Some(count) = known.failures {
                failures.count(&labels, count);
            }
            if let Some(time) = known.last_success.and_then(seconds) {
                successes.add(&labels, time);
            }
        }
    }
    [failures, successes]
}

/// What the next clean-up would break, where it would break anything.
fn exposed(swept: &[Swept<'_>]) -> Family {
    let mut family = gauge(
        "gc_exposed_manifests",
        "Index children that no tag names: what a clean-up of untagged manifests takes next, unless it \
         keeps what an index names.",
    );
    for one in swept {
        for exposed in one.sweep.exposed.iter().take(MOST_REPOSITORIES) {
            let labels = one.labels(&[("repository", exposed.repository.as_str())]);
            family.count(&labels, exposed.manifests);
        }
    }
    family
}

/// What is known by reason. All reasons are there, so that a series does not begin with a failure.
fn reasons(swept: &[Swept<'_>]) -> [Family; 3] {
    let mut broken = gauge(
        "reference_failures",
        "Broken objects by what was promised and what is wrong.",
    );
    let mut unverified = gauge(
        "unverified",
        "Objects without a verdict in the last sweep, by what was in the way.",
    );
    let mut skipped = gauge("skipped", "Objects left out on purpose in the last sweep.");
    for one in swept {
        let sweep = one.sweep;
        let findings = one.record.findings();
        let findings = sums(findings.map(|found| ((found.kind, found.defect.reason), 1)));
        for &kind in Kind::ALL {
            for &reason in Reason::ALL {
                let labels = one.labels(&[("kind", kind.word()), ("reason", reason.word())]);
                let count = findings.get(&(kind, reason)).copied();
                broken.count(&labels, count.unwrap_or_default());
            }
        }
        let groups = sweep.unverified.iter();
        let groups = sums(groups.map(|group| (group.why.reason, group.count)));
        for &reason in UnverifiedReason::ALL {
            let count = groups.get(&reason).copied().unwrap_or_default();
            unverified.count(&one.labels(&[("reason", reason.word())]), count);
        }
        for &reason in SkipReason::ALL {
            let count = sweep.skipped.get(&reason).copied().unwrap_or_default();
            skipped.count(&one.labels(&[("reason", reason.word())]), count);
        }
    }
    [broken, unverified, skipped]
}

fn sums<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, count) in counts {
        *sums.entry(key).or_default() += count;
    }
    sums
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every registry has this time, and a value is one that it may not have"
)]
fn seconds(time: SystemTime) -> Option<f64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    Some(since.unwrap_or_default().as_secs_f64())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::unnecessary_wraps,
    reason = "the text format knows floats only, and counts stay far below 2^53"
)]
fn count(count: u64) -> Option<f64> {
    Some(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    fn record(sweep: Sweep) -> Record {
        let mut record = Record::new(sweep.registry.clone());
        record.absorb(sweep);
        record
    }

    fn series<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        let name = format!("registry_manifest_integrity_{name}");
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(&name))
            .collect()
    }

    #[test]
    fn several_registries() {
        let records = [record(fixture::rich()), record(fixture::unverified())];
        let text = render(&[&records[0], &records[1]]);
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!("metrics", text);
        });
    }

    /// A pod names an image by what it is pulled as, whatever the registry is called in metrics.
    #[test]
    fn images_have_the_public_name_and_never_the_instance() {
        let mut sweep = fixture::rich();
        "main".clone_into(&mut sweep.registry);
        "r.example/mirror".clone_into(&mut sweep.access.host);
        let text = render(&[&record(sweep)]);
        let images = series(&text, "broken_image_info");
        assert!(!images.is_empty());
        for image in images {
            assert!(image.contains("registry=\"main\""), "{image}");
            assert!(image.contains("image=\"r.example/mirror/"), "{image}");
        }
    }

    /// Two shards behind one scrape or in one database differ in every series, and without `--shard` there is no
    /// such label.
    #[test]
    fn every_series_of_a_shard_says_so() {
        let mut sweep = fixture::rich();
        let unsharded = render(&[&record(sweep.clone())]);
        assert!(!unsharded.contains(",shard=\""), "{unsharded}");
        sweep.shard = crate::report::Shard::new(2, 4);
        let text = render(&[&record(sweep)]);
        let all: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            all.len(),
            unsharded
                .lines()
                .filter(|line| !line.starts_with('#'))
                .count()
                + 2
        );
        for line in all {
            assert!(line.contains("\",shard=\"2\""), "{line}");
        }
        for (name, value) in [("shard_ordinal", "2"), ("total_shards", "4")] {
            let found = series(&text, name);
            assert_eq!(found.len(), 1, "{name}");
            assert!(found[0].ends_with(&format!(" {value}")), "{found:?}");
        }
    }

    #[test]
    fn nothing_before_the_first_sweep() {
        assert_eq!(render(&[&Record::new("r.example")]), "");
        assert_eq!(render(&[]), "");
    }

    #[test]
    fn what_was_not_seen_whole_is_not_replaced_in_a_gateway() {
        let record = record(fixture::rich());
        let (all, partial) = (render(&[&record]), render_partial(&record));
        for name in [
            "failures",
            "unverified",
            "catalog_accessible",
            "last_run_timestamp",
        ] {
            assert_eq!(series(&all, name), series(&partial, name), "{name}");
        }
        for name in NEEDS_ALL {
            let name = format!("{PREFIX}{name}");
            let is_known = families(&[&record])
                .iter()
                .any(|family| family.name() == name);
            assert!(is_known, "{name}");
            assert!(!partial.contains(&format!("TYPE {name} ")), "{name}");
        }
    }

    #[test]
    fn broken_repositories_are_the_last_to_go() {
        let mut record = record(fixture::intact());
        let broken = |failures| Known {
            failures: Some(failures),
            ..Known::default()
        };
        for number in 0..MOST_REPOSITORIES as u64 + 10 {
            let name = format!("zzz/{number}").parse().expect("a name");
            record.repositories.insert(name, broken(number % 2));
        }
        let text = render(&[&record]);
        let failures = series(&text, "failures");
        assert_eq!(failures.len(), MOST_REPOSITORIES);
        let is_broken = |line: &&&str| line.ends_with(" 1");
        assert_eq!(
            failures.iter().filter(is_broken).count(),
            MOST_REPOSITORIES / 2 + 5
        );
        assert!(
            series(&text, "series_dropped")
                .iter()
                .all(|line| !line.ends_with(" 0") || line.contains("image"))
        );
    }
}
