//! A registry with users: every way of handing credentials over works, and wrong ones are told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::assertions::{assert_intact, assert_unverified};
use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

/// A registry that lets only its user in, with an image in it.
fn guarded() -> Registry {
    let registry = Registry::start_with_login(Login::of_the_tests());
    skopeo::push(&registry, &Content::index("guarded"), "team/guarded:v1");
    registry
}

/// The image was seen.
fn assert_let_in(outcome: &Outcome) {
    let report = assert_intact(outcome);
    assert_eq!(report.count("tags/checked"), 1, "{outcome}");
}

/// It could not look, says why, says what to do, and does not give the password away.
fn assert_refused(outcome: &Outcome) {
    let report = assert_unverified(outcome);
    assert_eq!(report.unverified(), ["unauthorized"], "{outcome}");
    let words = outcome.words();
    let told = ["credential", "--username", "password"];
    assert!(
        told.iter().any(|word| words.contains(word)),
        "what to check: {outcome}"
    );
}

#[test]
fn by_flags() {
    let registry = guarded();
    let Login { user, password } = Login::of_the_tests();
    let probe = Probe::once()
        .args(["--username", &user])
        .password_file(&password);
    assert_let_in(&probe.arg(registry.host()).run());
}

#[test]
fn by_environment() {
    let registry = guarded();
    let Login { user, password } = Login::of_the_tests();
    let probe = Probe::once()
        .env("PROBE_USERNAME", user)
        .env("PROBE_PASSWORD", password);
    assert_let_in(&probe.arg(registry.host()).run());
}

#[test]
fn by_the_environment_of_the_job_it_replaces() {
    let registry = guarded();
    let Login { user, password } = Login::of_the_tests();
    let probe = Probe::once()
        .env("REG_USER", user)
        .env("REG_PASS", password);
    assert_let_in(&probe.arg(registry.host()).run());
}

#[test]
fn by_the_configuration_of_docker() {
    let registry = guarded();
    let Login { user, password } = Login::of_the_tests();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = json!({ "auths": { registry.host(): { "auth": auth } } });
    let path = directory.path().join("config.json");
    std::fs::write(path, config.to_string()).expect("the configuration is written");
    let probe = Probe::once().env("DOCKER_CONFIG", directory.path());
    assert_let_in(&probe.arg(registry.host()).run());
}

#[test]
fn wrong_ones_are_unverified_and_told_what_to_check() {
    let registry = guarded();
    let probe = || {
        Probe::once()
            .args(["--username", "sweeper"])
            .password_file("a-wrong-guess")
    };
    let outcome = probe().arg(registry.host()).run();
    assert_refused(&outcome);
    assert!(
        !outcome.words().contains("a-wrong-guess"),
        "the password stays secret: {outcome}"
    );
}

#[test]
fn none_at_all_are_unverified_and_told_what_to_check() {
    let registry = guarded();
    assert_refused(&Probe::once().arg(registry.host()).run());
}

#[test]
fn the_text_report_says_what_to_check_too() {
    let registry = guarded();
    let probe = Probe::once_in_text().args(["--username", "sweeper"]);
    let outcome = probe
        .password_file("a-wrong-guess")
        .arg(registry.host())
        .run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert!(outcome.words().contains("unauthorized"), "{outcome}");
    assert!(
        outcome.words().contains("the login is refused"),
        "what to check: {outcome}"
    );
}
