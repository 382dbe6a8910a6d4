//! The dashboard: what Grafana needs to find in it, and that every expression of every panel finds data.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::files::{document, names, text};
use crate::support::images::Content;
use crate::support::monitoring::{HastyProbe, eventually};
use crate::support::process::free_port;
use crate::support::prometheus::Prometheus;
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Metrics that are there in some registries only, and why this one has none of them.
const MAY_BE_EMPTY: [(&str, &str); 9] = [
    (
        "registry_manifest_integrity_certificate_expiry_timestamp_seconds",
        "no TLS",
    ),
    (
        "registry_manifest_integrity_unverified",
        "everything was reached",
    ),
    ("registry_manifest_integrity_skipped", "nothing is left out"),
    (
        "registry_manifest_integrity_absent_children",
        "it is no mirror",
    ),
    (
        "registry_manifest_integrity_scrubbed_bytes",
        "nothing is scrubbed",
    ),
    (
        "registry_probe_http_retries_total",
        "nothing was asked twice",
    ),
    ("registry_manifest_integrity_shard_ordinal", "no shards"),
    ("registry_manifest_integrity_total_shards", "no shards"),
    ("registry_probe_push_failures_total", "nothing is pushed"),
];

fn dashboard() -> Value {
    serde_json::from_str(&text("dashboards/registry-integrity.json")).expect("it is JSON")
}

/// Its panels, rows left out.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"]
        .as_array()
        .expect("it has panels")
        .iter();
    panels.filter(|panel| panel["type"] != "row").collect()
}

/// The expressions of a panel.
fn expressions(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().expect("it has targets").iter();
    targets
        .map(|target| target["expr"].as_str().expect("it has an expression"))
        .collect()
}

#[test]
fn every_panel_is_explained_and_has_a_unit_and_a_place() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 39);
    // What somebody changes in the browser is lost with the next load of the file.
    assert_eq!(dashboard["editable"], false);
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("it has variables");
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "registry", "job"]);
    for variable in &variables[1..] {
        assert_eq!(variable["multi"], true);
        assert_eq!(variable["allValue"], ".+");
    }
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("it has panels") {
        assert!(ids.insert(panel["id"].as_u64()), "{}", panel["id"]);
        let place = |key: &str| panel["gridPos"][key].as_u64().expect("it has a place");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{} overlaps",
                    panel["title"]
                );
            }
        }
    }
    for panel in panels(&dashboard) {
        let said = |pointer: &str| {
            let value = panel.pointer(pointer).and_then(Value::as_str);
            assert!(
                value.is_some_and(|text| !text.is_empty()),
                "{pointer} of {panel}"
            );
        };
        said("/title");
        said("/description");
        said("/fieldConfig/defaults/unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        for expression in expressions(panel) {
            assert_eq!(
                expression.matches("rate(").count(),
                expression.matches("[$__rate_interval]").count(),
                "{expression}"
            );
            assert!(expression.contains("$job"), "{expression}");
        }
    }
}

#[test]
fn the_provisioning_example_is_as_grafana_reads_it() {
    let dashboards = document("dashboards/provisioning/dashboards.yaml");
    assert_eq!(dashboards["apiVersion"], 1);
    assert_eq!(dashboards["providers"][0]["type"], "file");
    assert!(dashboards["providers"][0]["options"]["path"].is_string());
    let sources = document("dashboards/provisioning/datasources.yaml");
    assert_eq!(sources["datasources"][0]["type"], "prometheus");
}

/// As Grafana does before it asks.
fn substituted(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "20s")
        .replace("$registry", ".+")
        .replace("$job", ".+")
}

#[test]
fn every_expression_of_every_panel_finds_data() {
    let registry = Registry::start();
    let image = Content::index("dashboard");
    skopeo::push(&registry, &image, "team/app:1.4");
    skopeo::push(&registry, &Content::index("intact"), "team/web:2.0");
    let child = &image.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/app", child);
    let address = format!("127.0.0.1:{}", free_port());
    let _probe = HastyProbe::start(&address, &[&registry.host()]);
    let prometheus = Prometheus::scraping(&address);
    eventually("two sweeps were scraped", || {
        !prometheus
            .query("sum(registry_probe_sweeps_total) >= 2")
            .is_empty()
    });

    let dashboard = dashboard();
    let mut empty = Vec::new();
    for panel in panels(&dashboard) {
        for expression in expressions(panel) {
            let asked = substituted(expression);
            assert!(!asked.contains('$'), "{asked}");
            let series = prometheus.query(&asked);
            if series.is_empty() && !MAY_BE_EMPTY.iter().any(|(name, _)| asked.contains(name)) {
                empty.push(asked);
            }
        }
    }
    assert_eq!(empty, Vec::<String>::new(), "these find nothing");
    // What the runbooks ask for, too.
    for name in names("docs/runbooks", ".md") {
        for queries in text(&format!("docs/runbooks/{name}"))
            .split("```promql\n")
            .skip(1)
        {
            let queries = queries.split_once("```").expect("it ends").0;
            queries
                .lines()
                .for_each(|query| drop(prometheus.query(query)));
        }
    }
    let verdict = substituted(expressions(panels(&dashboard)[0])[0]);
    prometheus.wait_for(&verdict, 2.0);
}
