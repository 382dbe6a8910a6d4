//! Reports for CI systems: JUnit's XML held against its schemas, and what GitHub Actions takes.

use std::fs;
use std::path::Path;

use registry_double::Double;

use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::process::{run, tool};
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Holds a document against both schemas that are in use.
fn assert_valid(path: &Path) {
    for schema in ["ant", "jenkins"] {
        let schema = format!(
            "{}/tests/real/junit/{schema}.xsd",
            env!("CARGO_MANIFEST_DIR")
        );
        run(tool("xmllint")
            .args(["--noout", "--nonet", "--huge", "--schema", &schema])
            .arg(path));
    }
}

/// What XPath says of a document.
fn xpath(path: &Path, expression: &str) -> String {
    let output = run(tool("xmllint")
        .args(["--nonet", "--huge", "--xpath", expression])
        .arg(path));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn annotations(outcome: &Outcome, kind: &str) -> usize {
    let start = format!("::{kind} ");
    let lines = outcome.stdout.lines();
    lines.filter(|line| line.starts_with(&start)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_findings_fit_into_every_form() {
    let double = Double::start().await;
    for number in 0..1_000 {
        let layer = format!("layer {number}");
        let tag = format!("v{number}");
        let image = double.image("team/app", Some(&tag), &[layer.as_bytes()]);
        double.remove_layer_link("team/app", &image.layers[0]);
    }
    // What is read whole is none of them.
    double.image("team/web", Some("v1"), &[b"intact"]);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name);
    let (junit, summary) = (path("probe.xml"), path("summary.md"));
    fs::write(&summary, "# Of another command\n").expect("a file is written");
    let probe = Probe::once_in_text()
        .args(["--output", "github", "--report-file"])
        .arg(format!("junit={}", junit.display()))
        .arg("--report-file")
        .arg(format!("json={}", path("probe.json").display()))
        .env("GITHUB_STEP_SUMMARY", &summary)
        .arg(double.url());
    let outcome = tokio::task::spawn_blocking(|| probe.run())
        .await
        .expect("it ends");
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);

    assert_valid(&junit);
    assert_eq!(xpath(&junit, "count(//failure)"), "1000");
    let passed = "//testcase[not(failure|error)]/@classname";
    assert_eq!(xpath(&junit, passed), "classname=\"team/web\"");
    let json = fs::read_to_string(path("probe.json")).expect("a report");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["counts"]["broken"], 1_000);

    assert_eq!(annotations(&outcome, "error"), 10);
    let plain = outcome.stdout.lines();
    let plain = plain.filter(|line| line.starts_with("error: layer/not_found"));
    assert_eq!(plain.count(), 991);
    let text = fs::read_to_string(&summary).expect("a summary");
    assert!(text.starts_with("# Of another command\n## BROKEN"));
    assert_eq!(text.matches("layer/not_found").count(), 1_000);
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
}

#[test]
fn images_that_are_verified_are_cases_of_a_suite() {
    let mut registry = Registry::start();
    skopeo::push(&registry, &Content::index("good"), "app:good");
    let bad = Content::index("bad");
    skopeo::push(&registry, &bad, "app:bad");
    let child = &bad.images()[1].manifest.digest;
    registry.store().remove_revision_link("app", child);
    registry.restart();
    let image = |tag: &str| format!("{}/app:{tag}", registry.host());
    let outcome = Probe::verify_in_text()
        .args(["--output", "junit", "--platform", "linux/amd64,linux/s390x"])
        .arg(image("good"))
        .arg(image("bad"))
        .run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("probe.xml");
    fs::write(&path, &outcome.stdout).expect("a file is written");
    assert_valid(&path);
    assert_eq!(xpath(&path, "string(//testsuite/@tests)"), "3");
    assert_eq!(xpath(&path, "string(//testsuite/@failures)"), "3");
    assert_eq!(xpath(&path, "count(//failure[@type='unmet'])"), "2");
    let name = format!("child/not_found {child}");
    assert_eq!(xpath(&path, "string(//testcase[1]/@name)"), name);
}

#[test]
fn a_registry_that_does_not_answer_is_an_error_and_a_warning() {
    let mut registry = Registry::start();
    registry.stop();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("probe.xml");
    let outcome = Probe::once_in_text()
        .args(["--output", "github", "--report-file"])
        .arg(format!("junit={}", path.display()))
        .arg(registry.host())
        .run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert_valid(&path);
    assert_eq!(xpath(&path, "count(//error[@type='connect'])"), "1");
    assert_eq!(annotations(&outcome, "warning"), 1, "{outcome}");
    assert_eq!(annotations(&outcome, "error"), 0, "{outcome}");
}

/// A report that somebody waits for and that is not there is no success.
#[test]
fn a_report_that_cannot_be_written_is_no_success() {
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("good"), "app:good");
    let outcome = Probe::once_in_text()
        .args(["--report-file", "junit=/nonexistent/probe.xml"])
        .arg(registry.host())
        .run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert!(
        outcome.stderr.contains("/nonexistent/probe.xml"),
        "{outcome}"
    );
    assert!(outcome.stdout.starts_with("INTACT"), "{outcome}");
}
