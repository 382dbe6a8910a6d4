//! The report for programs: JSON by the schema in `docs/report.schema.json`. The shapes that go
//! over the wire are here and nowhere else, so that the model can change without breaking readers.

use std::time::SystemTime;

use serde::Serialize;

use super::json_repair::{WireExposed, WireNearby, WireRepair, WireRoot};
use super::{hint, unverified, words};
use crate::oci::{Digest, Repository, Tag, printable};
use crate::report::{
    Cause, Counts, Coverage, Expected, Finding, Listed, Root, Sweep, Unmet, UnverifiedObjects,
};

/// Grows with a change that breaks readers; what is only added leaves it as it is.
const SCHEMA_VERSION: u32 = 1;

/// One object for one registry, or an object with `reports` for several, with a line break at the
/// end.
#[must_use]
pub fn render(sweeps: &[Sweep]) -> String {
    let text = if let [sweep] = sweeps {
        pretty(&WireReport::of(sweep))
    } else {
        let reports = sweeps.iter().map(WireReport::of).collect();
        pretty(&WireReports {
            schema_version: SCHEMA_VERSION,
            reports,
        })
    };
    text + "\n"
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain structs with text keys are always JSON")
}

#[derive(Serialize)]
struct WireReports<'a> {
    schema_version: u32,
    reports: Vec<WireReport<'a>>,
}

#[derive(Serialize)]
struct WireReport<'a> {
    schema_version: u32,
    registry: String,
    verdict: &'static str,
    complete: bool,
    started_at: String,
    finished_at: String,
    depth: &'static str,
    mode: &'static str,
    scrub_period_seconds: Option<u64>,
    listed: &'static str,
    counts: WireCounts,
    objects: Vec<WireRoot<'a>>,
    findings: Vec<WireFinding<'a>>,
    unmet: Vec<WireUnmet>,
    remembered: Vec<WireFinding<'a>>,
    exposed: Vec<WireExposed<'a>>,
    unverified: Vec<WireUnverified>,
    skipped: Vec<WireSkipped>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct WireCounts {
    repositories: WireCoverage,
    tags: WireCoverage,
    indexes: u64,
    manifests: u64,
    blobs: u64,
    requests: u64,
    bytes: u64,
    scrubbed_bytes: u64,
    broken: u64,
    broken_objects: u64,
    broken_references: u64,
    exposed: u64,
    unverified: u64,
    skipped: u64,
    absent: u64,
}

#[derive(Serialize)]
struct WireCoverage {
    listed: u64,
    checked: u64,
}

#[derive(Serialize)]
struct WireFinding<'a> {
    repository: &'a str,
    kind: &'static str,
    reason: &'static str,
    digest: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    tags: Vec<&'a str>,
    platform: Option<String>,
    platforms: Vec<String>,
    parent: Option<String>,
    evidence: WireEvidence,
    depth: &'static str,
    confirmations: u32,
    last_intact: Option<String>,
    first_broken: Option<String>,
    cause: &'static str,
    hint: &'static str,
    nearby: WireNearby<'a>,
    repairs: Vec<WireRepair>,
}

#[derive(Serialize)]
struct WireEvidence {
    promised: Option<String>,
    observed: Option<String>,
    request: String,
    status: Option<u16>,
}

#[derive(Serialize)]
struct WireUnmet {
    image: String,
    digest: Option<String>,
    platform: Option<String>,
    observed: String,
}

#[derive(Serialize)]
struct WireUnverified {
    repository: Option<String>,
    reason: &'static str,
    detail: String,
    count: u64,
    cause: Option<&'static str>,
    hint: &'static str,
}

#[derive(Serialize)]
struct WireSkipped {
    reason: &'static str,
    count: u64,
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(words::since_epoch(time)).to_string()
}

impl<'a> WireReport<'a> {
    fn of(sweep: &'a Sweep) -> Self {
        let unverified: Vec<_> = unverified(sweep).iter().map(WireUnverified::of).collect();
        let skipped = sweep.skipped.iter();
        let roots = sweep.roots();
        Self {
            schema_version: SCHEMA_VERSION,
            registry: printable(&sweep.registry),
            verdict: sweep.verdict().word(),
            complete: sweep.is_complete(),
            started_at: time(sweep.started_at),
            finished_at: time(sweep.finished_at),
            depth: sweep.depth.word(),
            mode: sweep.mode.word(),
            scrub_period_seconds: sweep.scrub_period.map(|period| period.as_secs()),
            listed: match sweep.listed {
                Listed::Catalog => "catalog",
                Listed::Named | Listed::Images(_) => "named",
                Listed::Failed(_) => "failed",
            },
            counts: WireCounts {
                broken: words::length(sweep.findings.len()),
                broken_objects: words::length(roots.len()),
                broken_references: roots.iter().map(Root::references).sum(),
                exposed: sweep.exposed.iter().map(|exposed| exposed.manifests).sum(),
                unverified: unverified.iter().map(|group| group.count).sum(),
                skipped: sweep.skipped.values().sum(),
                ..WireCounts::of(&sweep.counts)
            },
            objects: roots.iter().map(WireRoot::of).collect(),
            unmet: sweep.unmet.iter().map(WireUnmet::of).collect(),
            findings: sweep
                .findings
                .iter()
                .map(|finding| WireFinding::of(finding, sweep))
                .collect(),
            remembered: sweep
                .remembered
                .iter()
                .map(|finding| WireFinding::of(finding, sweep))
                .collect(),
            exposed: sweep.exposed.iter().map(WireExposed::of).collect(),
            unverified,
            skipped: skipped
                .map(|(reason, &count)| WireSkipped {
                    reason: reason.word(),
                    count,
                })
                .collect(),
            warnings: sweep
                .warnings
                .iter()
                .map(|warning| printable(warning))
                .collect(),
        }
    }
}

impl WireCounts {
    /// What was walked through; what came of it is for the caller to add.
    fn of(counts: &Counts) -> Self {
        let coverage = |Coverage { listed, checked }| WireCoverage { listed, checked };
        Self {
            repositories: coverage(counts.repositories),
            tags: coverage(counts.tags),
            indexes: counts.indexes,
            manifests: counts.manifests,
            blobs: counts.blobs,
            requests: counts.requests,
            bytes: counts.bytes,
            scrubbed_bytes: counts.scrubbed_bytes,
            broken: 0,
            broken_objects: 0,
            broken_references: 0,
            exposed: 0,
            unverified: 0,
            skipped: 0,
            absent: counts.absent,
        }
    }
}

impl<'a> WireFinding<'a> {
    fn of(finding: &'a Finding, sweep: &Sweep) -> Self {
        let evidence = &finding.defect.evidence;
        let platforms: Vec<_> = finding
            .platforms
            .iter()
            .map(|text| printable(text))
            .collect();
        Self {
            repository: finding.repository.as_str(),
            kind: finding.kind.word(),
            reason: finding.defect.reason.word(),
            digest: finding.digest.as_ref().map(Digest::to_string),
            media_type: finding.media_type.as_deref().map(printable),
            size: finding.size,
            tags: finding.tags.iter().map(Tag::as_str).collect(),
            platform: platforms.first().cloned(),
            platforms,
            parent: finding.parent.as_ref().map(Digest::to_string),
            evidence: WireEvidence {
                promised: evidence.promised.as_ref().map(ToString::to_string),
                observed: evidence.observed.as_ref().map(ToString::to_string),
                request: printable(&evidence.request),
                status: evidence.status,
            },
            depth: finding.depth.word(),
            confirmations: finding.confirmations,
            last_intact: finding.bracket.last_intact.map(time),
            first_broken: finding.bracket.first_broken.map(time),
            cause: Cause::of(finding, sweep).word(),
            hint: hint(finding),
            nearby: WireNearby::of(finding),
            repairs: WireRepair::all(finding, sweep),
        }
    }
}

impl WireUnmet {
    fn of(unmet: &Unmet) -> Self {
        let (digest, platform) = match &unmet.expected {
            Expected::Digest(digest) => (Some(digest.to_string()), None),
            Expected::Platform(platform) => (None, Some(platform.to_string())),
        };
        Self {
            image: printable(&unmet.image),
            digest,
            platform,
            observed: printable(&unmet.observed),
        }
    }
}

impl WireUnverified {
    fn of(group: &UnverifiedObjects) -> Self {
        Self {
            repository: group.repository.as_ref().map(Repository::to_string),
            reason: group.why.reason.word(),
            detail: printable(&group.why.detail),
            count: group.count,
            cause: Cause::of_unverified(group.why.reason).map(Cause::word),
            hint: group.why.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::{Depth, UnverifiedReason};
    use crate::render::fixture;
    use crate::report::{Action, Kind, Mode, Reason, SkipReason, Verdict};

    const SCHEMA: &str = include_str!("../../docs/report.schema.json");

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).expect("the schema is JSON")
    }

    fn validator() -> jsonschema::Validator {
        jsonschema::draft202012::meta::validate(&schema()).expect("a schema by the 2020-12 draft");
        jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema())
            .expect("a usable schema")
    }

    fn rendered(sweeps: &[Sweep]) -> Value {
        serde_json::from_str(&render(sweeps)).expect("JSON")
    }

    fn assert_snapshot(name: &str, sweeps: &[Sweep]) {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, render(sweeps));
        });
    }

    #[test]
    fn a_rich_sweep() {
        assert_snapshot("rich", &[fixture::rich()]);
    }

    #[test]
    fn an_intact_sweep() {
        assert_snapshot("intact", &[fixture::intact()]);
    }

    #[test]
    fn an_unverified_sweep() {
        assert_snapshot("unverified", &[fixture::unverified()]);
    }

    #[test]
    fn several_registries() {
        assert_snapshot("several", &[fixture::empty(), fixture::intact()]);
    }

    #[test]
    fn every_rendering_follows_the_schema() {
        let validator = validator();
        let one_each = [&fixture::all()[..], &[fixture::expected()]]
            .concat()
            .into_iter()
            .map(|sweep| rendered(&[sweep]));
        let one_each: Vec<_> = one_each.collect();
        let several = [rendered(&fixture::all()), rendered(&[])];
        for report in one_each.iter().chain(&several) {
            let errors: Vec<_> = validator
                .iter_errors(report)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }

    /// A schema that lets everything pass would make the test above worthless.
    #[test]
    fn wrong_documents_do_not_follow_the_schema() {
        let validator = validator();
        let report = rendered(&[fixture::rich()]);
        let wrong: [(&str, Value); 10] = [
            ("/verdict", json!("fine")),
            ("/schema_version", json!(2)),
            ("/started_at", json!("yesterday")),
            (
                "/counts/tags",
                json!({ "listed": 1, "checked": 1, "lost": 0 }),
            ),
            ("/counts/bytes", json!(-1)),
            ("/findings/0/kind", json!("blob")),
            ("/findings/0/digest", json!("deadbeef")),
            ("/findings/0/evidence", json!({})),
            ("/unverified/0/reason", json!("not_found")),
            ("/skipped/0/count", json!("2")),
        ];
        for (pointer, value) in wrong {
            let mut report = report.clone();
            *report.pointer_mut(pointer).expect(pointer) = value;
            assert!(!validator.is_valid(&report), "{pointer}");
        }
        let mut surplus = report.clone();
        surplus["surplus"] = json!(1);
        assert!(!validator.is_valid(&surplus));
        assert!(!validator.is_valid(&json!({ "schema_version": 1, "reports": [surplus] })));
        assert!(!validator.is_valid(&json!({ "schema_version": 1 })));
    }

    #[test]
    fn the_schema_knows_every_word_and_no_other() {
        let schema = schema();
        let check = |name: &str, words: Vec<&str>| {
            assert_eq!(schema["$defs"][name]["enum"], json!(words), "{name}");
        };
        check("kind", Kind::ALL.iter().map(|word| word.word()).collect());
        check(
            "reason",
            Reason::ALL.iter().map(|word| word.word()).collect(),
        );
        check(
            "unverified_reason",
            UnverifiedReason::ALL
                .iter()
                .map(|word| word.word())
                .collect(),
        );
        check(
            "skip_reason",
            SkipReason::ALL.iter().map(|word| word.word()).collect(),
        );
        check("cause", Cause::ALL.iter().map(|word| word.word()).collect());
        check(
            "action",
            Action::ALL.iter().map(|word| word.word()).collect(),
        );
        check("depth", Depth::ALL.iter().map(|word| word.word()).collect());
        check("mode", Mode::ALL.iter().map(|word| word.word()).collect());
        check(
            "verdict",
            Verdict::ALL.iter().map(|word| word.word()).collect(),
        );
    }

    #[test]
    fn every_property_is_required_closed_and_described() {
        fn check(at: &str, schema: &Value) {
            if let Some(properties) = schema["properties"].as_object() {
                let names: Vec<_> = properties.keys().collect();
                let mut required: Vec<_> = schema["required"]
                    .as_array()
                    .expect(at)
                    .iter()
                    .map(Value::as_str)
                    .collect();
                required.sort_unstable();
                assert!(
                    names.iter().map(|name| Some(name.as_str())).eq(required),
                    "{at}"
                );
                assert_eq!(schema["additionalProperties"], false, "{at}");
                for (name, property) in properties {
                    let words = property["description"].as_str().unwrap_or_default();
                    assert!(!words.is_empty(), "{at}/{name} has no description");
                }
            }
            match schema {
                Value::Object(map) => map.iter().for_each(|(k, v)| check(&format!("{at}/{k}"), v)),
                Value::Array(list) => list.iter().for_each(|value| check(at, value)),
                _ => {}
            }
        }
        check("", &schema());
    }
}
