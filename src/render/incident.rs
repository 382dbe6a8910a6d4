//! Reports of incidents of every size, held to their length: a screen for a few findings, two for fifty.

use std::time::{Duration, SystemTime};

use super::fixture;
use super::text::{self, View};
use super::{json, lines};
use crate::oci::Digest;
use crate::report::{Bracket, Finding, Kind, Reason, Report, RepositoryResult, Sweep};

/// A finding of an incident, by its number: in each fifty, a clean-up takes fifteen children of one
/// repository, a disk rots, tags lead nowhere, and some things happen once.
fn finding(number: usize) -> Finding {
    let (block, place) = (number / 50, number % 50);
    let (repository, kind, reason) = match place {
        0..15 => ("team/app", Kind::Child, Reason::NotFound),
        15..25 => ("data/warehouse", Kind::Layer, Reason::DigestMismatch),
        25..33 => ("ci/cache", Kind::Tag, Reason::NotFound),
        33..39 => (
            "platform/payments/reconciliation-worker-for-the-nightly-settlement",
            Kind::Layer,
            Reason::ShortRead,
        ),
        39..42 => ("base/os", Kind::Layer, Reason::NotFound),
        42 => ("base/jdk", Kind::Child, Reason::NotFound),
        43 => ("base/node", Kind::Child, Reason::NotFound),
        44 => ("tools/build", Kind::Config, Reason::Unreadable),
        45 => ("tools/lint", Kind::Manifest, Reason::DigestMismatch),
        46 => ("tools/scan", Kind::Layer, Reason::StorageMissing),
        47 => ("tools/sign", Kind::Layer, Reason::Inconsistent),
        48 => ("web/shop", Kind::Child, Reason::MediaTypeMismatch),
        _ => ("web/landing", Kind::Layer, Reason::SizeMismatch),
    };
    let repository = match block {
        0 => repository.to_owned(),
        block => format!("site-{block:02}/{repository}"),
    };
    let tags: Vec<String> = match place {
        0..15 => vec![format!("2024.{}.{}", place / 4 + 1, place % 4)],
        15..25 => (0..30).map(|n| format!("nightly-{place}-{n:02}")).collect(),
        45 => Vec::new(),
        _ => vec![format!("1.{place}.0"), "latest".to_owned()],
    };
    let tags = if kind == Kind::Tag { &tags[..1] } else { &tags };
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let what = (kind, reason);
    let digest = Digest::sha256(number.to_string().as_bytes());
    let mut finding = fixture::broken(&repository, what, &tags, 404, digest);
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    finding.bracket = Bracket {
        last_intact: at(1_714_555_800),
        first_broken: at(1_714_556_700),
    };
    if kind == Kind::Tag {
        finding.digest = None;
    } else {
        let parent = format!("{repository} {}", place / 3);
        finding.parent = Some(Digest::sha256(parent.as_bytes()));
        let platforms = ["linux/amd64", "linux/arm64/v8"];
        let shown = platforms.iter().take(1 + place % 2);
        finding.platforms = shown.map(Into::into).collect();
    }
    finding
}

/// A sweep of three thousand tags that found so much broken.
pub(crate) fn incident(count: usize) -> Sweep {
    let numbers: Vec<_> = match count {
        5 => vec![0, 1, 2, 15, 44],
        count => (0..count).collect(),
    };
    let mut findings: Vec<_> = numbers.into_iter().map(finding).collect();
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.repository.clone(), finding.kind);
        key(a).cmp(&key(b))
    });
    let mut sweep = fixture::rich();
    sweep.unverified.clear();
    sweep.exposed.clear();
    sweep.skipped.clear();
    sweep.warnings.clear();
    for coverage in [&mut sweep.counts.repositories, &mut sweep.counts.tags] {
        coverage.checked = coverage.listed;
    }
    let mut names: Vec<_> = findings
        .iter()
        .map(|found| found.repository.clone())
        .collect();
    names.dedup();
    let result = |name| RepositoryResult {
        broken: findings
            .iter()
            .filter(|found| found.repository == name)
            .count() as u64,
        unverified: 0,
        tags: 1,
        name,
    };
    sweep.repositories = names.into_iter().map(result).collect();
    sweep.findings = findings;
    sweep
}

fn told(count: usize, details: bool) -> String {
    let view = View {
        details,
        ..View::default()
    };
    text::render(&[Report::from(incident(count))], view)
}

/// Longer than 80 columns is only a line that ends in what cannot be broken, and then that begins early.
pub(super) fn assert_width(text: &str) {
    for line in text.lines() {
        // What goes on in the next line says so at its end.
        let line = line.strip_suffix(" \\").unwrap_or(line);
        let last = line.split(' ').next_back().unwrap_or_default();
        let unbreakable = last.len() > 60 && line.len() - last.len() <= 20;
        assert!(
            lines::columns(line) <= lines::WIDTH || unbreakable,
            "{line}"
        );
    }
}

#[test]
fn reports_of_every_size() {
    for count in [0, 1, 5, 50, 5_000] {
        let text = told(count, false);
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(format!("incident_{count}"), text);
        });
    }
}

#[test]
fn fifty_findings_fit_two_screens() {
    let most = [(1, 50), (5, 120), (50, 110), (5_000, 120)];
    for (count, most) in most {
        let text = told(count, false);
        let height = text.lines().count();
        assert!(height <= most, "{count} findings: {height} lines\n{text}");
        assert_width(&text);
    }
    assert_width(&told(50, true));
}

/// What a report cut is there in full with `--details`, and in JSON.
#[test]
fn every_fact_is_reachable_at_every_size() {
    for count in [1, 5, 50, 400] {
        let report = Report::from(incident(count));
        let details = told(count, true);
        let value: serde_json::Value =
            serde_json::from_str(&json::render(std::slice::from_ref(&report))).expect("JSON");
        let listed = value["findings"].as_array().expect("a list");
        assert_eq!(listed.len(), count);
        let details = words(&details);
        for (found, listed) in report.sweep.findings.iter().zip(listed) {
            let listed = listed.to_string();
            let repository = found.repository.to_string();
            let names = found.tags.iter().map(ToString::to_string);
            let digests = found.digest.iter().chain(&found.parent);
            let request = &found.defect.evidence.request;
            let facts = names
                .chain(found.platforms.iter().map(ToString::to_string))
                .chain(digests.map(ToString::to_string))
                .chain([repository, request.to_string(), found.cause.to_string()]);
            for fact in facts {
                assert!(details.contains(&fact), "{fact} is not in the text");
                assert!(listed.contains(&fact), "{fact} is not in {listed}");
            }
            for repair in &found.repairs {
                let script = words(&repair.script());
                assert!(details.contains(&script), "{script} is not in the text");
            }
        }
    }
}

/// The words of a text, wherever its lines end, be it within a command.
fn words(text: &str) -> String {
    let text = text.replace(" \\\n", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
