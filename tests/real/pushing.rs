//! Results handed on: to a real Pushgateway, to a file, and as the job that this replaces did.

use std::path::Path;

use crate::support::hand::Hand;
use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::service::Metrics;

const PREFIX: &str = "registry_manifest_integrity";

/// The series of the job that this replaces.
const OLD_NAMES: [&str; 6] = [
    "failures",
    "catalog_accessible",
    "repos_checked",
    "tags_checked",
    "indexes_checked",
    "last_run_timestamp",
];

/// A registry with an intact repository, and one whose index has lost both children.
fn broken() -> (Registry, Content) {
    let registry = Registry::start();
    let hand = Hand::new(&registry.host());
    let content = Content::index("broken");
    hand.push("team/broken", "v1", &content);
    hand.push("team/fine", "v1", &Content::index("fine"));
    for image in content.images() {
        registry
            .store()
            .remove_revision_link("team/broken", &image.manifest.digest);
    }
    (registry, content)
}

fn pushed(host: &str, gateway: &Pushgateway) -> Outcome {
    Probe::once()
        .args([host, "--push-gateway", gateway.address()])
        .run()
}

#[test]
fn a_blind_sweep_does_not_clear_what_was_pushed() {
    let (mut registry, content) = broken();
    let host = registry.host();
    let gateway = Pushgateway::start();
    let key = [
        ("job", "registry_integrity_probe"),
        ("instance", host.as_str()),
    ];
    let of = |metrics: &Metrics, name: &str, repository: Option<&str>| {
        let mut labels = key.to_vec();
        labels.extend(repository.map(|name| ("repository", name)));
        metrics.integrity(name, &labels)
    };
    let state = || {
        let held = gateway.metrics();
        let failures = |repository| of(&held, "failures", Some(repository));
        (
            failures("team/broken"),
            failures("team/fine"),
            of(&held, "catalog_accessible", None),
        )
    };
    assert_eq!(pushed(&host, &gateway).code, 1);
    assert_eq!(state(), (Some(2.0), Some(0.0), Some(1.0)));
    let complete = of(&gateway.metrics(), "last_complete_timestamp_seconds", None);
    let first_run = of(&gateway.metrics(), "last_run_timestamp", None);

    registry.stop();
    assert_eq!(pushed(&host, &gateway).code, 3);
    assert_eq!(state(), (Some(2.0), Some(0.0), Some(0.0)));
    let blind = gateway.metrics();
    assert_eq!(
        of(&blind, "last_complete_timestamp_seconds", None),
        complete
    );
    assert!(of(&blind, "last_run_timestamp", None) > first_run);
    assert_eq!(of(&blind, "unverified", None), Some(1.0));
    assert_eq!(of(&blind, "reference_failures", None), Some(2.0));

    registry.restart();
    Hand::new(&host).push("team/broken", "v1", &content);
    assert_eq!(pushed(&host, &gateway).code, 0);
    assert_eq!(state(), (Some(0.0), Some(0.0), Some(1.0)));

    registry.store().remove_repository("team/broken");
    assert_eq!(pushed(&host, &gateway).code, 0);
    assert_eq!(state(), (None, Some(0.0), Some(1.0)));
}

#[test]
fn a_half_blind_sweep_adds_what_it_found_and_clears_nothing() {
    let (registry, _) = broken();
    let host = registry.host();
    let gateway = Pushgateway::start();
    assert_eq!(pushed(&host, &gateway).code, 1);
    // Another repository breaks while the list of tags of the first one cannot be had.
    Hand::new(&host).push("team/second", "v1", &Content::index("second"));
    registry.store().remove_tag_link("team/second", "v1");
    registry.store().unreadable_tags("team/broken");
    let outcome = pushed(&host, &gateway);
    assert_eq!(outcome.code, 1, "{outcome}");
    let held = gateway.metrics();
    let failures = |repository| held.integrity("failures", &[("repository", repository)]);
    assert_eq!(failures("team/second"), Some(1.0));
    assert_eq!(failures("team/broken"), Some(2.0));
    assert_eq!(failures("team/fine"), Some(0.0));
}

#[test]
fn the_old_jobs_group_is_in_the_way_and_told_what_to_do() {
    let (registry, _) = broken();
    let gateway = Pushgateway::start();
    let old = "# TYPE registry_manifest_integrity_failures counter\nregistry_manifest_integrity_failures 3\n";
    let group = format!(
        "/metrics/job/registry-manifest-integrity/instance/{}",
        registry.host()
    );
    assert_eq!(gateway.push(&group, old), 200);
    let outcome = pushed(&registry.host(), &gateway);
    let command = format!("curl -X DELETE 'http://{}{group}'", gateway.address());
    assert!(outcome.stderr.contains(&command), "{outcome}");
    assert_eq!(outcome.code, 1, "what is broken wins: {outcome}");
    // The pasted command helps.
    let mut shell = crate::support::process::tool("sh");
    crate::support::process::run(shell.args(["-c", &command]));
    let outcome = pushed(&registry.host(), &gateway);
    assert!(!outcome.stderr.contains("ERROR"), "{outcome}");
    assert_eq!(gateway.metrics().integrity("failures", &[]), Some(2.0));
}

#[test]
fn a_gateway_that_is_gone_is_told_and_fails_the_run() {
    let registry = Registry::start();
    Hand::new(&registry.host()).push("app", "v1", &Content::index("app"));
    let gateway = format!("127.0.0.1:{}", crate::support::process::free_port());
    let outcome = Probe::once()
        .args([&registry.host(), "--push-gateway", &gateway])
        .run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert!(outcome.stderr.contains(&gateway), "{outcome}");
    assert!(outcome.stderr.contains("--push-gateway"), "{outcome}");
}

#[test]
fn with_the_environment_of_the_old_job_it_does_that_job() {
    let (registry, _) = broken();
    let gateway = Pushgateway::start();
    let outcome = Probe::once()
        .env("REGISTRY_HOST", registry.host())
        .env("REGISTRY_SCHEME", "http")
        .env("REGISTRY_INSTANCE", "registry.example")
        .env("PUSHGATEWAY", gateway.address())
        .env("TAGS_PER_REPO", "5")
        .run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let held = gateway.metrics();
    for name in OLD_NAMES {
        let series = held.all(&format!("{PREFIX}_{name}"));
        assert!(!series.is_empty(), "{name}");
        assert!(
            series
                .iter()
                .all(|(labels, _)| labels["instance"] == "registry.example"),
            "{name}"
        );
    }
}

#[test]
fn each_shard_pushes_a_group_of_its_own() {
    let (registry, _) = broken();
    let gateway = Pushgateway::start();
    let host = registry.host();
    for index in ["0", "1"] {
        let outcome = Probe::once()
            .args([
                &host,
                "--shard",
                "auto/2",
                "--push-gateway",
                gateway.address(),
            ])
            .env("JOB_COMPLETION_INDEX", index)
            .run();
        assert!(matches!(outcome.code, 0 | 1), "{outcome}");
    }
    let held = gateway.metrics();
    let shards: Vec<_> = held
        .all(&format!("{PREFIX}_repos_checked"))
        .into_iter()
        .map(|(labels, _)| labels["shard"].clone())
        .collect();
    assert_eq!(shards, ["0", "1"]);
    let counts = held.all(&format!("{PREFIX}_total_shards"));
    let counts: Vec<_> = counts.into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [2.0, 2.0]);
    assert_eq!(held.integrity("repos_checked", &[]), Some(2.0));
    assert_eq!(held.integrity("failures", &[]), Some(2.0));
}

fn written(host: &str, path: &Path) -> (i32, Metrics) {
    let outcome = Probe::once().args([host, "--textfile"]).arg(path).run();
    let text = std::fs::read_to_string(path).expect("a text");
    (outcome.code, Metrics::read(&text))
}

#[test]
fn a_textfile_keeps_what_a_blind_sweep_could_not_see() {
    let (mut registry, _) = broken();
    let host = registry.host();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("probe.prom");
    let (code, metrics) = written(&host, &path);
    assert_eq!((code, metrics.integrity("failures", &[])), (1, Some(2.0)));
    registry.stop();
    let (code, metrics) = written(&host, &path);
    assert_eq!((code, metrics.integrity("failures", &[])), (3, Some(2.0)));
    assert_eq!(metrics.integrity("catalog_accessible", &[]), Some(0.0));
}

#[test]
fn metrics_can_be_the_report() {
    let (registry, _) = broken();
    let outcome = Probe::once_in_text()
        .args([&registry.host(), "--output", "prom"])
        .run();
    assert_eq!(outcome.code, 1);
    assert_eq!(
        Metrics::read(&outcome.stdout).integrity("failures", &[]),
        Some(2.0)
    );
}
