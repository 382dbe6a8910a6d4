//! A registry that cannot be asked is not a registry that is broken, and not one that is fine.

use crate::support::assertions::{assert_intact, assert_unverified};
use crate::support::bulk::{self, Push};
use crate::support::images::{Content, Image};
use crate::support::nginx::Nginx;
use crate::support::probe::{Outcome, Probe};
use crate::support::process::wait_until;
use crate::support::registry::Registry;
use crate::support::report::{Finding, Report};

const REPOSITORIES: usize = 150;
const TAGS: [&str; 2] = ["v1", "v2"];

/// A registry that takes a while to sweep.
fn busy() -> Registry {
    let mut registry = Registry::start();
    let contents = TAGS.map(|tag| (tag, Content::index(tag)));
    let repositories = (0..REPOSITORIES).map(|number| format!("busy/{number:03}"));
    let pushes: Vec<Push> = repositories
        .flat_map(|name| {
            contents
                .each_ref()
                .map(|(tag, content)| Push::new(&name, tag, content))
        })
        .collect();
    bulk::push_all(&registry, &pushes);
    registry.restart();
    registry
}

/// Sweeps at `address`, and kills the registry behind it once it has answered some of the requests.
fn stopped_in_mid_sweep(registry: &mut Registry, address: &str) -> Outcome {
    let mark = registry.mark();
    Probe::once()
        .args(["--concurrency", "1", "--deadline", "10m"])
        .arg(address)
        .run_while(|_| {
            wait_until("a part is swept", || {
                registry.requests_so_far(mark).len() > 200
            });
            registry.stop();
        })
}

/// It stopped half-way: it says so, and how far it came.
fn assert_half_way(outcome: &Outcome) {
    let report = assert_unverified(outcome);
    let checked = report.count("tags/checked");
    assert!(checked > 0, "some tags were checked: {outcome}");
    assert!(
        checked < REPOSITORIES * TAGS.len(),
        "not all of them: {outcome}"
    );
    assert_eq!(
        report.count("repositories/listed"),
        REPOSITORIES,
        "{outcome}"
    );
    assert!(
        report.count("repositories/checked") < REPOSITORIES,
        "{outcome}"
    );
    assert!(report.count("unverified") > 0, "{outcome}");
    let unverified = report.unverified();
    assert!(
        !unverified.contains(&"deadline".to_owned()),
        "it gives up by itself: {outcome}"
    );
}

#[test]
fn a_stopped_registry_is_unverified() {
    let mut registry = Registry::start();
    registry.stop();
    let outcome = Probe::once().arg(registry.host()).run();
    let report = assert_unverified(&outcome);
    assert!(
        report.unverified().contains(&"connect".to_owned()),
        "{outcome}"
    );
    assert_eq!(report.count("tags/checked"), 0);
}

#[test]
fn a_stopped_registry_behind_a_proxy_is_unverified() {
    let mut registry = Registry::start();
    let front = Nginx::plain(&registry, "");
    registry.stop();
    let outcome = Probe::once().arg(front.host()).run();
    let report = assert_unverified(&outcome);
    assert!(
        report.unverified().contains(&"registry_error".to_owned()),
        "{outcome}"
    );
}

#[test]
fn a_registry_that_hangs_is_unverified_and_hangs_no_probe() {
    let registry = Registry::start();
    registry.freeze();
    // Each is waited for where the other would take longer than any run here.
    for (timeout, deadline, reason) in [("1s", "1h", "timeout"), ("1h", "5s", "deadline")] {
        let probe = Probe::once().args(["--timeout", timeout, "--deadline", deadline]);
        let outcome = probe.arg(registry.host()).run();
        let report = assert_unverified(&outcome);
        assert_eq!(report.unverified(), [reason], "{outcome}");
    }
}

#[test]
fn a_registry_stopped_in_mid_sweep_has_no_findings() {
    let mut registry = busy();
    let address = registry.host();
    let outcome = stopped_in_mid_sweep(&mut registry, &address);
    assert_half_way(&outcome);
}

#[test]
fn a_registry_stopped_behind_a_proxy_has_no_findings() {
    let mut registry = busy();
    let front = Nginx::plain(&registry, "");
    let outcome = stopped_in_mid_sweep(&mut registry, &front.host());
    assert_half_way(&outcome);
}

#[test]
fn the_text_report_tells_the_coverage_of_half_a_sweep() {
    let mut registry = busy();
    let mark = registry.mark();
    let outcome = Probe::once_in_text()
        .args(["--concurrency", "1", "--deadline", "10m"])
        .arg(registry.host())
        .run_while(|_| {
            wait_until("a part is swept", || {
                registry.requests_so_far(mark).len() > 200
            });
            registry.stop();
        });
    assert_eq!(outcome.code, 3, "{outcome}");
    assert!(
        outcome.stdout.contains(&REPOSITORIES.to_string()),
        "all that is listed: {outcome}"
    );
    assert!(
        !outcome.words().contains("not_found"),
        "nothing is broken: {outcome}"
    );
}

#[test]
fn an_empty_registry_is_no_verdict_unless_somebody_says_so() {
    let registry = Registry::start();
    let outcome = Probe::once_in_text().arg(registry.host()).run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert!(outcome.words().contains("--allow-empty"), "{outcome}");
    let probe = Probe::once().arg("--allow-empty").arg(registry.host());
    let report = assert_intact(&probe.run());
    assert_eq!(report.count("repositories/listed"), 0);
}

#[test]
fn of_two_registries_the_broken_one_decides_the_exit_code() {
    let mut broken = Registry::start();
    let image = Image::new("of two", "amd64");
    let config = image.config.digest.clone();
    bulk::push_all(&broken, &[Push::new("app", "v1", &image.into())]);
    broken.store().remove_data(&config);
    broken.restart();
    let mut stopped = Registry::start();
    stopped.stop();

    let outcome = Probe::once().arg(broken.host()).arg(stopped.host()).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let reports = outcome.reports();
    let verdicts: Vec<_> = reports.iter().map(Report::verdict).collect();
    assert_eq!(verdicts, ["broken", "unverified"], "{outcome}");
    let expected = [Finding::new(
        "app",
        "config/not_found",
        Some(&config),
        &["v1"],
    )];
    assert_eq!(reports[0].findings(), expected, "{outcome}");
}
