//! The process that goes on: what Prometheus sees of it, while registries break, vanish and are repaired.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use crate::support::hand::Hand;
use crate::support::images::Content;
use crate::support::nginx::Nginx;
use crate::support::process::{tool, wait_until};
use crate::support::prometheus::Prometheus;
use crate::support::registry::Registry;
use crate::support::service::Service;
use crate::support::slow_front::SlowFront;

const PREFIX: &str = "registry_manifest_integrity";
/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(3600);

/// A registry with an intact repository, and one whose index has lost a child.
fn broken() -> (Registry, Content) {
    let registry = Registry::start();
    let hand = Hand::new(&registry.host());
    let content = Content::index("broken");
    hand.push("team/broken", "v1", &content);
    hand.push("team/fine", "v1", &Content::index("fine"));
    let child = &content.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/broken", child);
    (registry, content)
}

#[test]
fn prometheus_sees_a_failure_come_and_go() {
    let (sick, content) = broken();
    let healthy = Registry::start();
    Hand::new(&healthy.host()).push("app", "v1", &Content::index("app"));
    let service = Service::start([sick.host(), healthy.host()]);
    let prometheus = Prometheus::scraping(service.address());
    let failures = |registry: &Registry, repository: &str| {
        let host = registry.host();
        format!("{PREFIX}_failures{{registry=\"{host}\",repository=\"{repository}\"}}")
    };
    prometheus.wait_for(&failures(&sick, "team/broken"), 1.0);
    prometheus.wait_for(&failures(&sick, "team/fine"), 0.0);
    prometheus.wait_for(&failures(&healthy, "app"), 0.0);

    // The six names of the job that this replaces mean what they meant.
    let of = |name: &str, registry: &Registry| {
        let host = registry.host();
        format!("{PREFIX}_{name}{{registry=\"{host}\"}}")
    };
    for (name, expected) in [
        ("catalog_accessible", 1.0),
        ("repos_checked", 2.0),
        ("tags_checked", 2.0),
        ("indexes_checked", 2.0),
    ] {
        prometheus.wait_for(&of(name, &sick), expected);
    }
    prometheus.wait_for(&format!("sum({})", of("failures", &sick)), 1.0);
    prometheus.wait_for(
        &format!("time() - {} < bool 3600", of("last_run_timestamp", &sick)),
        1.0,
    );
    let reasons = format!("sum by (kind, reason) ({PREFIX}_reference_failures) > 0");
    let (labels, count) = prometheus.one(&reasons);
    assert_eq!(
        (labels["kind"].as_str(), labels["reason"].as_str()),
        (Some("child"), Some("not_found"))
    );
    assert!((count - 1.0).abs() < 1e-9);
    let info = prometheus.one(&format!("{PREFIX}_broken_image_info")).0;
    assert_eq!(
        info["image"].as_str(),
        Some(&*format!("{}/team/broken:v1", sick.host()))
    );

    // Nobody was ever broken here, and so this has not ended yet.
    let success = format!("{PREFIX}_last_success_timestamp_seconds{{repository=\"team/broken\"}}");
    assert!(prometheus.query(&success).is_empty());

    Hand::new(&sick.host()).push("team/broken", "v1", &content);
    service.sweep_again();
    prometheus.wait_for(&failures(&sick, "team/broken"), 0.0);
    prometheus.wait_for(&format!("time() - {success} < bool 3600"), 1.0);
    prometheus.wait_for_nothing(&format!("{PREFIX}_broken_image_info"));

    // Gone from one catalog it is still known, and from two, with its own list, forgotten.
    sick.store().remove_repository("team/broken");
    service.sweep_again();
    prometheus.wait_for(&of("repos_checked", &sick), 1.0);
    prometheus.wait_for(&failures(&sick, "team/broken"), 0.0);
    service.sweep_again();
    prometheus.wait_for_nothing(&format!("{PREFIX}_failures{{repository=\"team/broken\"}}"));
    prometheus.wait_for(&failures(&sick, "team/fine"), 0.0);
}

#[test]
fn a_registry_that_comes_up_later_is_swept_soon() {
    let mut registry = Registry::start();
    let host = registry.host();
    Hand::new(&host).push("app", "v1", &Content::index("app"));
    registry.stop();
    // Sweeps are 15 minutes apart.
    let service = Service::start([&host]);
    wait_until("a sweep failed", || service.log().contains("unverified"));
    registry.restart();
    wait_until("it is swept", || {
        service.log().contains("verdict=\"intact\"")
    });
}

#[test]
fn the_metrics_have_no_lint() {
    let (registry, _) = broken();
    let host = registry.host();
    let service = Service::start([&host, "--external-url", "https://probe.example/\"x\""]);
    let mut check = tool("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    let metrics = service.get("/metrics").body;
    std::io::Write::write_all(&mut check.stdin.take().expect("it is piped"), &metrics)
        .expect("it reads");
    let output = check.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn where_the_page_is_is_told_if_it_is_known() {
    let registry = Registry::start();
    let host = registry.host();
    let told = |args: &[&str]| {
        let service = Service::start(args);
        let pages = service.metrics().all("registry_probe_status_page_info");
        let urls = pages.into_iter().map(|(labels, value)| {
            assert!((value - 1.0).abs() < 1e-9, "it is always 1");
            labels["url"].clone()
        });
        urls.collect::<Vec<_>>()
    };
    assert_eq!(told(&[&host]), [""; 0]);
    let page = "https://probe.example/registries";
    let expected = format!("{page}/");
    assert_eq!(told(&[&host, "--external-url", page]), [expected]);
}

#[test]
fn a_stopped_registry_changes_nothing_that_is_known() {
    let (mut registry, content) = broken();
    let host = registry.host();
    let service = Service::start([&host]);
    let known = [("registry", host.as_str()), ("repository", "team/broken")];
    let complete = service
        .metrics()
        .integrity("last_complete_timestamp_seconds", &[]);
    registry.stop();
    service.sweep_again();
    let blind = service.metrics();
    assert_eq!(blind.integrity("failures", &known), Some(1.0));
    assert_eq!(
        blind.integrity("failures", &[("repository", "team/fine")]),
        Some(0.0)
    );
    assert_eq!(blind.integrity("catalog_accessible", &[]), Some(0.0));
    assert_eq!(
        blind.integrity("unverified", &[("reason", "connect")]),
        Some(1.0)
    );
    assert_eq!(blind.integrity("repos_checked", &[]), Some(0.0));
    assert_eq!(
        blind.integrity("last_complete_timestamp_seconds", &[]),
        complete
    );
    assert_eq!(blind.integrity("reference_failures", &[]), Some(1.0));
    registry.restart();
    Hand::new(&host).push("team/broken", "v1", &content);
    service.sweep_again();
    let repaired = service.metrics();
    assert_eq!(repaired.integrity("failures", &known), Some(0.0));
    assert_eq!(repaired.integrity("catalog_accessible", &[]), Some(1.0));
}

#[test]
fn nothing_is_claimed_before_the_first_sweep_has_ended() {
    let (registry, _) = broken();
    let front = SlowFront::start(&registry.host(), NEVER);
    let service = Service::launch([front.host()]);
    let metrics = service.metrics();
    assert!(
        metrics
            .all("registry_manifest_integrity_last_run_timestamp")
            .is_empty()
    );
    assert!(metrics.integrity("failures", &[]).is_none());
    assert_eq!(metrics.sum("registry_probe_build_info", &[]), Some(1.0));
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    let report = format!("/report.json?registry={}", front.host());
    assert_eq!(service.get(&report).status, 503);
    assert_eq!(service.get("/report.json?registry=other").status, 404);
}

#[test]
fn told_to_end_in_mid_sweep_it_does_and_claims_nothing() {
    let (registry, _) = broken();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let textfile = directory.path().join("probe.prom");
    let front = SlowFront::start(&registry.host(), NEVER);
    let service = Service::launch([
        "--timeout".into(),
        "1h".into(),
        "--textfile".into(),
        textfile.clone().into_os_string(),
        front.host().into(),
    ]);
    wait_until("the sweep has begun", || {
        let metrics = service.metrics();
        metrics.sum("registry_probe_http_requests_in_flight", &[]) == Some(1.0)
    });
    service.signal("TERM");
    let (status, log) = service.ended();
    assert_eq!(status.code(), Some(143), "{log}");
    assert!(!textfile.exists(), "a part of a sweep is no result");
    assert!(!log.contains("swept"), "{log}");
}

#[test]
fn the_documented_metrics_are_those_that_are_there() {
    let (sick, _) = broken();
    let nginx = Nginx::tls(&sick);
    let authority = nginx.authority();
    let service = Service::start([
        "--scrub-every".into(),
        "7d".into(),
        "--external-url".into(),
        "https://probe.example".into(),
        "--shard=0/1".into(),
        "--referrers=tagged".into(),
        "--ca-file".into(),
        authority.into_os_string(),
        nginx.url().into(),
    ]);
    let text = String::from_utf8(service.get("/metrics").body).expect("metrics are text");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<_> = types
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.starts_with("process_"))
        .map(str::to_owned)
        .collect();
    let document = include_str!("../../docs/service.md");
    let (_, tables) = document
        .split_once("\n## Metrics\n")
        .expect("the page has a part about metrics");
    let mut documented = BTreeSet::new();
    let mut prefix = "";
    for line in tables.lines() {
        if let Some((_, after)) = line.split_once("All names start with `registry_") {
            prefix = after.split('`').next().unwrap_or_default();
        } else if let Some(cell) = line
            .strip_prefix("| `")
            .and_then(|row| row.split('|').next())
        {
            let names = cell
                .split('`')
                .filter(|part| !part.trim_matches([',', ' ']).is_empty());
            documented.extend(names.map(|name| format!("registry_{prefix}{name}")));
        }
    }
    let missing: Vec<_> = documented
        .difference(&served)
        // There was nothing to ask again for.
        .filter(|name| name.as_str() != "registry_probe_http_retries_total")
        // No source of what is in use was named; `in_use` tests hold these.
        .filter(|name| !name.starts_with("registry_manifest_integrity_in_use_"))
        .collect();
    assert!(missing.is_empty(), "documented and not served: {missing:?}");
    let unknown: Vec<_> = served.difference(&documented).collect();
    assert!(unknown.is_empty(), "served and not documented: {unknown:?}");
}
