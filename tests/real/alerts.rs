//! The alerts: their unit tests, that all forms of them are the same, and that each leads to a runbook.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::files::{at, document, names, text};
use crate::support::process::{run, tool};

/// The rules of a document, with the group that they are in.
fn rules(document: &Value) -> Vec<&Value> {
    let groups = document["groups"].as_array().expect("there are groups");
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("there are rules"))
        .collect()
}

/// All rules of the plain files.
fn documents() -> Vec<Value> {
    let files = names("alerts", ".rules.yaml");
    let files = files.iter().map(|name| document(&format!("alerts/{name}")));
    files.collect()
}

#[test]
fn the_rules_pass_and_the_old_ones_fail_the_regressions() {
    let said = run(&mut tool(
        at("alerts/check.sh").to_str().expect("a path is text"),
    ))
    .stdout;
    let said = String::from_utf8(said).expect("it is text");
    for name in names("alerts/tests/regressions", ".test.yaml") {
        let line = format!("{name}: fails on the old rules, passes on ours");
        assert!(said.contains(&line), "{line}:\n{said}");
    }
}

#[test]
fn the_prometheus_rule_holds_the_groups_of_the_plain_files() {
    let custom = document("alerts/prometheus-rule.yaml");
    assert_eq!(custom["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(custom["kind"], "PrometheusRule");
    let plain = |name: &str| document(&format!("alerts/{name}"))["groups"].clone();
    let mut groups = plain("registry-integrity.rules.yaml");
    let more = plain("registry-integrity-more.rules.yaml");
    groups
        .as_array_mut()
        .expect("there are groups")
        .extend(more.as_array().expect("there are groups").iter().cloned());
    assert_eq!(
        custom["spec"],
        json!({ "groups": groups }),
        "run alerts/prometheus-rule.sh"
    );
    assert_eq!(names("alerts", ".rules.yaml").len(), 2);
}

#[test]
fn every_alert_says_what_to_do_and_has_a_runbook_and_a_test() {
    let mut runbooks = BTreeSet::new();
    let tests: String = names("alerts/tests", ".test.yaml")
        .iter()
        .map(|name| text(&format!("alerts/tests/{name}")))
        .collect();
    for document in documents() {
        for rule in rules(&document) {
            let Some(name) = rule["alert"].as_str() else {
                continue;
            };
            let annotation = |key: &str| {
                let value = rule["annotations"][key].as_str();
                value.unwrap_or_else(|| panic!("{name} has no {key}"))
            };
            let summary = annotation("summary");
            assert!(!summary.contains("{{"), "{name}: the summary is static");
            let description = annotation("description");
            assert!(description.contains("$value"), "{name}: no number");
            assert!(
                rule["labels"]["severity"].is_string() && rule["for"].is_string(),
                "{name}"
            );
            let url = annotation("runbook_url");
            let path = format!("docs/runbooks/{name}.md");
            assert!(url.ends_with(&path), "{name}: {url}");
            assert!(
                text(&path).starts_with(&format!("# {name}\n")),
                "{path} is about something else"
            );
            assert!(
                tests.contains(&format!("runbook_url: {url}"))
                    || tests.contains(&format!("runbook {url}")),
                "{name} fires in no test"
            );
            runbooks.insert(format!("{name}.md"));
        }
    }
    let written: BTreeSet<_> = names("docs/runbooks", ".md").into_iter().collect();
    assert_eq!(written, runbooks, "a runbook for each alert, and no other");
}

/// One receiver would do, but which alert reaches which is what pages somebody.
#[test]
fn critical_alerts_page_and_the_others_do_not() {
    for (severity, receiver) in [
        ("critical", "pages"),
        ("warning", "warnings"),
        ("info", "warnings"),
    ] {
        run(tool("amtool")
            .args(["config", "routes", "test", "--config.file"])
            .arg(at("alerts/alertmanager.example.yaml"))
            .arg(format!("--verify.receivers={receiver}"))
            .args([&format!("severity={severity}"), "registry=r.example"]));
    }
}
