//! A proxy in front of the registry: TLS with a private authority, and a proxy that refuses some of it.

use std::time::Duration;

use crate::support::assertions::{assert_intact, assert_unverified};
use crate::support::bulk::{self, Push};
use crate::support::images::{Content, Image};
use crate::support::nginx::Nginx;
use crate::support::probe::Probe;
use crate::support::registry::{Login, Registry};
use crate::support::report::Finding;
use crate::support::skopeo;

/// A registry that does not show its catalog.
const NO_CATALOG: &str = "location = /v2/_catalog { return 404; }";

fn registry_with_two() -> Registry {
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("one"), "team/one:v1");
    skopeo::push(&registry, &Image::new("two", "amd64").into(), "team/two:v1");
    registry
}

#[test]
fn tls_with_the_right_authority() {
    let registry = registry_with_two();
    let front = Nginx::tls(&registry);
    let probe = Probe::once().arg("--ca-file").arg(front.authority());
    let report = assert_intact(&probe.depth("digest").arg(front.url()).run());
    assert_eq!(report.count("tags/checked"), 2);
}

#[test]
fn tls_with_an_unknown_authority_is_unverified() {
    let registry = registry_with_two();
    let front = Nginx::tls(&registry);
    let outcome = Probe::once().arg(front.url()).run();
    let report = assert_unverified(&outcome);
    assert_eq!(report.unverified(), ["tls"], "{outcome}");
    assert!(
        outcome.words().contains("--ca-file"),
        "what to do about it: {outcome}"
    );
}

#[test]
fn tls_that_is_not_verified_on_request() {
    let registry = registry_with_two();
    let front = Nginx::tls(&registry);
    let probe = Probe::once().arg("--insecure-skip-tls-verify");
    assert_intact(&probe.arg(front.url()).run());
}

#[test]
fn tls_and_a_login() {
    let login = Login::of_the_tests();
    let registry = Registry::start_with_login(login.clone());
    skopeo::push(&registry, &Content::index("guarded"), "team/guarded:v1");
    let front = Nginx::tls(&registry);
    let probe = Probe::once().arg("--ca-file").arg(front.authority());
    let probe = probe
        .args(["--username", &login.user])
        .password_file(&login.password);
    assert_intact(&probe.arg(front.url()).run());
}

#[test]
fn plain_http_where_tls_is_expected_is_unverified() {
    let registry = Registry::start();
    let outcome = Probe::once()
        .arg(format!("https://{}", registry.host()))
        .run();
    assert_eq!(
        assert_unverified(&outcome).unverified(),
        ["tls"],
        "{outcome}"
    );
}

#[test]
fn a_refused_catalog_is_unverified_and_told_what_to_do() {
    let registry = registry_with_two();
    let front = Nginx::plain(&registry, NO_CATALOG);
    let outcome = Probe::once().arg(front.host()).run();
    assert_unverified(&outcome);
    assert!(
        outcome.words().contains("--repo"),
        "list the repositories: {outcome}"
    );
}

#[test]
fn a_refused_catalog_needs_repositories_by_name() {
    let registry = registry_with_two();
    let front = Nginx::plain(&registry, NO_CATALOG);
    let probe = Probe::once().args(["--repo", "team/one", "--repo", "team/two"]);
    let report = assert_intact(&probe.arg(front.host()).run());
    assert_eq!(report.count("tags/checked"), 2);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("repositories");
    std::fs::write(&file, "# ours\nteam/one\n\nteam/two\n").expect("a list is written");
    let probe = Probe::once().arg("--repos-file").arg(file);
    let report = assert_intact(&probe.arg(front.host()).run());
    assert_eq!(report.count("repositories/checked"), 2);
    assert_eq!(report.count("tags/checked"), 2);
}

#[test]
fn filters_choose_repositories_and_tags() {
    let registry = registry_with_two();
    skopeo::push(
        &registry,
        &Image::new("other", "amd64").into(),
        "other/app:v1",
    );
    skopeo::push(
        &registry,
        &Image::new("nightly", "amd64").into(),
        "team/two:nightly",
    );
    let probe = Probe::once().args(["--repo", "team/*", "--exclude-tag", "night*"]);
    let report = assert_intact(&probe.arg(registry.host()).run());
    assert_eq!(report.count("repositories/checked"), 2);
    assert_eq!(report.count("tags/checked"), 2);
}

/// nginx refuses with 503 unless it is told another status, and names no pause with either.
#[test]
fn a_front_that_limits_the_rate_is_swept_within_it() {
    let registry = Registry::start();
    let content = Content::index("limited");
    let name = |number: usize| format!("team/r{number}");
    let names: Vec<_> = (0..12).map(name).collect();
    let pushes: Vec<_> = names
        .iter()
        .map(|name| Push::new(name, "v1", &content))
        .collect();
    bulk::push_all(&registry, &pushes);
    for status in [429, 503] {
        let limit = format!("limit_req zone=thirty burst=20 nodelay; limit_req_status {status};");
        let front = Nginx::plain(&registry, &limit);
        let outcome = Probe::once().arg("-vv").arg(front.host()).run();
        let report = assert_intact(&outcome);
        assert_eq!(report.count("tags/checked"), names.len());
        let seen = |what: &str| outcome.stderr.matches(what).count();
        let (refused, answered) = (seen(&format!("status={status}")), seen("status=2"));
        // Only a machine that is slower than the limit never meets it.
        let at_the_limit = Duration::from_secs(answered.saturating_sub(20) as u64) / 30;
        assert!(
            refused > 0 || outcome.elapsed >= at_the_limit,
            "{answered} answers did not meet its limit"
        );
        assert!(refused * 10 < answered, "{refused} refused, {answered} not");
    }
}

#[test]
fn a_refused_repository_is_unverified_and_broken_wins() {
    let mut registry = registry_with_two();
    let image = Image::new("broken", "amd64");
    let layer = image.layers[0].digest.clone();
    skopeo::push(&registry, &image.into(), "team/broken:v1");
    registry.store().remove_data(&layer);
    registry.restart();
    let front = Nginx::plain(&registry, "location /v2/team/one/ { return 403; }");

    let outcome = Probe::once().arg(front.host()).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let report = outcome.report();
    let expected = [Finding::new(
        "team/broken",
        "layer/not_found",
        Some(&layer),
        &["v1"],
    )];
    assert_eq!(report.findings(), expected, "{outcome}");
    assert_eq!(report.verdict(), "broken", "{outcome}");
    assert_eq!(report.unverified(), ["forbidden"], "{outcome}");
    assert!(!report.is_complete(), "{outcome}");
    assert_eq!(report.count("repositories/listed"), 3, "{outcome}");
    assert_eq!(report.count("repositories/checked"), 2, "{outcome}");
}

#[test]
fn blobs_that_the_proxy_refuses_are_unverified_and_not_missing() {
    let registry = registry_with_two();
    let front = Nginx::plain(&registry, "location ~ /blobs/ { return 429; }");
    let probe = Probe::once().args(["--deadline", "10s", "--repo", "team/two"]);
    let outcome = probe.arg(front.host()).run();
    let report = assert_unverified(&outcome);
    let known = ["rate_limited", "deadline"];
    assert!(
        report
            .unverified()
            .iter()
            .all(|reason| known.contains(&reason.as_str())),
        "{outcome}"
    );
}
