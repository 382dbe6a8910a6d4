//! Reads back what was once rendered: what another run knew of repositories that this one could not
//! see, and who else holds metrics of these names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::PREFIX;
use crate::oci::Repository;
use crate::report::Record;

const FAILURES: &str = "registry_manifest_integrity_failures";
const IN_USE: &str = "registry_manifest_integrity_in_use_broken";
const LAST_SUCCESS: &str = "registry_manifest_integrity_last_success_timestamp_seconds";

/// The labels of a series.
type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// Adds what `text`, in the text format, knows of the record's registry, where the record's last
/// sweep was blind. Only series with all of `labels` count, and of them those of repositories that are this
/// shard's: `text` may be of a time when there were fewer.
pub fn recall(record: &mut Record, text: &str, labels: &[(&str, &str)]) {
    let shard = record.last.as_ref().and_then(|last| last.sweep.shard);
    let mut known = BTreeMap::<Repository, (Option<u64>, Option<SystemTime>)>::new();
    for (name, found, value) in text.lines().filter_map(series) {
        let is_ours = found.get("registry") == Some(&record.registry.as_str())
            && labels
                .iter()
                .all(|(label, value)| found.get(label) == Some(value));
        let repository = found.get("repository").and_then(|name| name.parse().ok());
        let repository =
            repository.filter(|name| is_ours && shard.is_none_or(|shard| shard.holds(name)));
        let Some(repository) = repository else {
            continue;
        };
        match name {
            FAILURES => known.entry(repository).or_default().0 = Some(whole(value)),
            LAST_SUCCESS => known.entry(repository).or_default().1 = time(value),
            _ => {}
        }
    }
    for (repository, (failures, last_success)) in known {
        if let Some(failures) = failures {
            record.recall(repository, failures, last_success);
        }
    }
}

/// Whether nothing is known of the images in use of a record's registry, for their source was always away.
#[must_use]
pub fn lacks_in_use(record: &Record) -> bool {
    let in_use = record.in_use.as_ref();
    in_use.is_some_and(|in_use| in_use.away.is_some() && in_use.read_at.is_none())
}

/// Adds the series about images in use that `text` holds of the record's registry, where nothing is known of them.
pub fn recall_in_use(to: &mut String, record: &Record, text: &str, labels: &[(&str, &str)]) {
    if !lacks_in_use(record) {
        return;
    }
    let is_ours = |line: &&str| {
        series(line).is_some_and(|(name, found, _)| {
            let mut own = labels.iter();
            name == IN_USE
                && found.get("registry") == Some(&record.registry.as_str())
                && own.all(|(label, value)| found.get(label) == Some(value))
        })
    };
    let lines: Vec<_> = text.lines().filter(is_ours).collect();
    if lines.is_empty() {
        return;
    }
    let head = format!("# TYPE {IN_USE} gauge\n");
    // The series of a family stand together.
    let at = to.find(&head).unwrap_or_else(|| {
        to.push_str(&head);
        to.len() - head.len()
    });
    to.insert_str(at + head.len(), &(lines.join("\n") + "\n"));
}

/// The repositories of a registry in which something is broken, as `text` has it.
#[must_use]
pub fn failing(registry: &str, text: &str, labels: &[(&str, &str)]) -> BTreeSet<Repository> {
    let mut record = Record::new(registry);
    recall(&mut record, text, labels);
    let known = record.repositories.into_iter();
    let failing = known.filter(|(_, known)| known.failures > Some(0));
    failing.map(|(name, _)| name).collect()
}

/// The groups of a Pushgateway that hold metrics of ours under another key than `own`, as the paths
/// under which the gateway knows them.
#[must_use]
pub fn foreign_groups(text: &str, own: &[(&str, &str)]) -> BTreeSet<String> {
    let own: Labels<'_> = own.iter().copied().collect();
    let all: Vec<_> = text.lines().filter_map(series).collect();
    // The gateway has this series for every group, with the labels of its key and no others.
    let keys = all.iter().filter(|(name, ..)| *name == "push_time_seconds");
    let mut groups = BTreeSet::new();
    for (_, key, _) in keys {
        let holds_ours = |labels: &Labels<'_>| {
            key.iter()
                .all(|(label, value)| labels.get(label) == Some(value))
        };
        let is_foreign = *key != own
            && all.iter().any(|(name, labels, _)| {
                name.starts_with(PREFIX) && holds_ours(labels) && !owned(labels, &own)
            });
        if is_foreign && let Some(job) = key.get("job") {
            let rest = key
                .iter()
                .filter(|(label, value)| **label != "job" && !value.is_empty());
            let rest = rest.map(|(label, value)| format!("/{label}/{value}"));
            groups.insert(format!("/metrics/job/{job}{}", rest.collect::<String>()));
        }
    }
    groups
}

/// Whether a series belongs to the group of this key, or to one of ours for another registry.
fn owned(labels: &Labels<'_>, own: &Labels<'_>) -> bool {
    labels
        .get("registry")
        .is_some_and(|registry| labels.get("instance") == Some(registry))
        || own
            .iter()
            .all(|(label, value)| labels.get(label) == Some(value))
}

/// Reads a line such as `name{a="b",c="d"} 1`. Values with escapes are no names of ours.
fn series(line: &str) -> Option<(&str, Labels<'_>, f64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once("} ")?;
    let value = value.split(' ').next()?.parse().ok()?;
    if name.starts_with('#') || labels.contains('\\') {
        return None;
    }
    let labels = labels.trim_end_matches(',').split("\",");
    let labels = labels.filter_map(|label| {
        let (name, value) = label.split_once("=\"")?;
        Some((name, value.trim_end_matches('"')))
    });
    Some((name, labels.collect(), value))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was rendered is whole; what else is there is cut to one"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn time(value: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(value).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Unverified, UnverifiedReason};
    use crate::render::fixture;
    use crate::render::metrics::render;
    use crate::report::{InUseResult, Listed, Shard, Sweep};

    fn blind(registry: &str) -> Record {
        let sweep = Sweep {
            registry: registry.to_owned(),
            listed: Listed::Failed(Unverified::new(UnverifiedReason::Connect, "refused")),
            repositories: Vec::new(),
            findings: Vec::new(),
            ..fixture::intact()
        };
        let mut record = Record::new(registry);
        record.absorb(sweep);
        record
    }

    #[test]
    fn what_was_rendered_is_read_back() {
        let mut before = Record::new("registry.example:5050");
        before.absorb(fixture::rich());
        let mut after = blind("registry.example:5050");
        recall(&mut after, &render(&[&before]), &[]);
        let failures = |record: &Record| -> Vec<_> {
            let known = record.repositories.iter();
            known
                .filter_map(|(name, known)| Some((name.clone(), known.failures?)))
                .collect()
        };
        assert!(!failures(&before).is_empty());
        assert_eq!(failures(&after), failures(&before));
        let mut other = blind("other.example");
        recall(&mut other, &render(&[&before]), &[]);
        assert!(failures(&other).is_empty());
    }

    #[test]
    fn a_shard_takes_back_what_is_its_own() {
        let mut before = Record::new("registry.example:5050");
        before.absorb(fixture::rich());
        let text = render(&[&before]);
        let mut sum = 0;
        for index in 0..2 {
            let mut after = blind("registry.example:5050");
            let shard = Shard::new(index, 2).expect("a shard");
            let last = after.last.as_mut().expect("a sweep");
            last.sweep.shard = Some(shard);
            recall(&mut after, &text, &[]);
            assert!(after.repositories.keys().all(|name| shard.holds(name)));
            sum += after.failures();
        }
        assert_eq!((sum > 0, sum), (true, before.failures()));
    }

    #[test]
    fn what_was_in_use_stays_while_nobody_tells_it() {
        let line = |registry: &str| {
            format!(
                "{IN_USE}{{image=\"r/app:1\",instance=\"{registry}\",job=\"probe\",namespace=\"shop\",reason=\"not_found\",registry=\"{registry}\"}} 1\n"
            )
        };
        let text = format!("# TYPE {IN_USE} gauge\n{}{}", line("r:5000"), line("s"));
        let mut record = blind("r:5000");
        let own = [("job", "probe"), ("instance", "r:5000")];
        let taken = |record: &Record, before: &str| {
            let mut to = before.to_owned();
            recall_in_use(&mut to, record, &text, &own);
            to
        };
        assert_eq!(taken(&record, ""), "", "nobody asked");
        record.in_use = Some(InUseResult::away("s", "refused"));
        let head = format!("# TYPE {IN_USE} gauge\n");
        assert_eq!(
            taken(&record, "x 1\n"),
            format!("x 1\n{head}{}", line("r:5000"))
        );
        // Another registry of the same file has some, too.
        let other = line("t");
        let both = format!("{head}{}{other}x 1\n", line("r:5000"));
        assert_eq!(taken(&record, &format!("{head}{other}x 1\n")), both);
        record.in_use.as_mut().expect("there").read_at = Some(SystemTime::UNIX_EPOCH);
        assert_eq!(taken(&record, ""), "", "it is known here");
    }

    const GATEWAY: &str = "\
# TYPE registry_manifest_integrity_failures gauge
registry_manifest_integrity_failures{instance=\"r:5000\",job=\"probe\",registry=\"r:5000\",repository=\"a\"} 2
registry_manifest_integrity_failures{instance=\"s\",job=\"probe\",registry=\"s\",repository=\"a\"} 7
registry_manifest_integrity_failures{instance=\"r:5000\",job=\"old\"} 3
registry_manifest_integrity_failures{instance=\"\",job=\"older\"} 3
push_time_seconds{instance=\"r:5000\",job=\"probe\"} 1.7e+09
push_time_seconds{instance=\"s\",job=\"probe\"} 1.7e+09
push_time_seconds{instance=\"r:5000\",job=\"old\"} 1.7e+09
push_time_seconds{instance=\"\",job=\"older\"} 1.7e+09
push_time_seconds{instance=\"x\",job=\"unrelated\"} 1.7e+09
";

    #[test]
    fn a_gateway_tells_what_it_holds_and_for_whom() {
        let mut record = blind("r:5000");
        let key = [("job", "probe"), ("instance", "r:5000")];
        recall(&mut record, GATEWAY, &key);
        assert_eq!(record.failures(), 2);
        let foreign = foreign_groups(GATEWAY, &key);
        let foreign: Vec<_> = foreign.iter().map(String::as_str).collect();
        assert_eq!(
            foreign,
            ["/metrics/job/old/instance/r:5000", "/metrics/job/older"]
        );
    }

    #[test]
    fn what_is_no_series_is_passed_over() {
        for line in [
            "",
            "# HELP a b",
            "a 1",
            "a{} ",
            "a{b} c",
            "a{b=\"c\"}",
            "{",
            "a{b=\"\\\"\"} 1",
        ] {
            assert!(
                series(line).is_none_or(|(_, labels, _)| labels.is_empty()),
                "{line}"
            );
        }
    }
}
