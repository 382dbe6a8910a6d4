//! `--state`: what is known of a registry outlives the process.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;

const APP: &str = "team/app";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn sweep(registry: &Registry, state: &Path) -> Outcome {
    let probe = Probe::once().arg("--state").arg(state);
    probe.arg(registry.host()).run()
}

/// A time in the finding of a report, as text; times of one form are in the order of their text.
fn time(finding: &Value, name: &str) -> String {
    finding[name].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_finding_says_since_when_and_a_blind_run_forgets_nothing() {
    let folder = folder();
    let state = folder.path().join("state.json");
    let mut registry = Registry::start();
    let content = Content::index("known");
    skopeo::push(&registry, &content, &format!("{APP}:v1"));
    let intact = assert_intact(&sweep(&registry, &state)).json["finished_at"].clone();

    let child = &content.images()[1].manifest.digest;
    registry.store().remove_revision_link(APP, child);
    registry.restart();
    let expected = [Finding::new(APP, "child/not_found", Some(child), &["v1"])];
    let first = assert_broken(&sweep(&registry, &state), &expected);
    let again = assert_broken(&sweep(&registry, &state), &expected);
    for report in [&first, &again] {
        let finding = &report.raw_findings()[0];
        assert_eq!(finding["last_intact"], intact);
        assert_eq!(finding["first_broken"], first.json["finished_at"]);
    }
    assert!(intact.as_str() < Some(&*time(&first.raw_findings()[0], "first_broken")));

    registry.stop();
    let blind = sweep(&registry, &state);
    assert_eq!(blind.code, 1, "a known failure stays one: {blind}");
    let report = blind.report();
    assert_eq!(report.verdict(), "unverified", "{blind}");
    assert_eq!(report.findings(), [], "{blind}");
    let remembered = &report.json["remembered"][0];
    assert_eq!(remembered["digest"], child.as_str(), "{blind}");
    assert_eq!(remembered["last_intact"], intact, "{blind}");
    let text = Probe::once_in_text().arg("--state").arg(&state);
    let text = text.arg(registry.host()).run();
    assert!(text.stdout.contains("Known from before"), "{text}");

    registry.restart();
    skopeo::push(&registry, &content, &format!("{APP}:v1"));
    assert_intact(&sweep(&registry, &state));
    registry.stop();
    let blind = sweep(&registry, &state);
    assert_eq!(blind.code, 3, "what was mended is forgotten: {blind}");
}

#[test]
fn several_registries_share_a_file() {
    let folder = folder();
    let state = folder.path().join("state.json");
    let mut broken = Registry::start();
    skopeo::push(&broken, &Content::index("broken"), &format!("{APP}:v1"));
    broken.store().remove_tag_link(APP, "v1");
    assert_eq!(sweep(&broken, &state).code, 1);
    let other = Registry::start();
    skopeo::push(&other, &Content::index("other"), &format!("{APP}:v1"));
    assert_intact(&sweep(&other, &state));
    broken.stop();
    assert_eq!(sweep(&broken, &state).code, 1);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = folder();
    let state = folder.path().join("shopping-list");
    fs::write(&state, "eggs\n").expect("a file is written");
    let registry = Registry::start();
    let mark = registry.mark();
    let outcome = sweep(&registry, &state);
    assert_eq!(outcome.code, 2, "{outcome}");
    assert!(outcome.stderr.contains("--state"), "{outcome}");
    assert!(outcome.stderr.contains("name another file"), "{outcome}");
    assert_eq!(fs::read_to_string(&state).expect("it is there"), "eggs\n");
    assert!(registry.requests_since(mark).is_empty(), "nothing is asked");
}

#[test]
fn a_file_that_cannot_be_written_is_no_result() {
    let folder = folder();
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("x"), &format!("{APP}:v1"));
    let outcome = sweep(&registry, &folder.path().join("absent/state.json"));
    assert_eq!(outcome.code, 3, "{outcome}");
    assert_eq!(outcome.report().verdict(), "intact", "{outcome}");
    assert!(outcome.stderr.contains("cannot be written"), "{outcome}");
}
