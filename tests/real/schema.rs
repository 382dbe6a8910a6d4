//! The JSON report keeps to the schema that is published with it, whatever there is to report.

use std::path::Path;

use jsonschema::Validator;

use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::Registry;
use crate::support::skopeo;

fn schema() -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json");
    let text = std::fs::read_to_string(&path).expect("the schema is in the repository");
    let schema = serde_json::from_str(&text).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
}

fn assert_keeps_to(schema: &Validator, outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, code, "{outcome}");
    let report = outcome.json();
    let errors: Vec<String> = schema
        .iter_errors(&report)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{outcome}");
}

#[test]
fn reports_of_all_verdicts_keep_to_the_schema() {
    let schema = schema();
    let mut registry = Registry::start();
    let host = registry.host();
    assert_keeps_to(&schema, &Probe::once().arg(&host).run(), 3);

    let image = Image::new("dangling", "amd64");
    let layer = image.layers[0].digest.clone();
    let list = Content::index("list");
    let child = list.images()[1].manifest.digest.clone();
    skopeo::push(&registry, &image.into(), "app:image");
    skopeo::push(&registry, &list, "app:list");
    skopeo::push(&registry, &list, "app:dangling");
    assert_keeps_to(&schema, &Probe::once().arg(&host).run(), 0);
    assert_keeps_to(
        &schema,
        &Probe::verify().arg(format!("{host}/app:list")).run(),
        0,
    );

    let store = registry.store();
    store.remove_data(&layer);
    store.remove_data(&child);
    store.remove_tag_link("app", "dangling");
    registry.restart();
    for depth in ["head", "tail", "digest"] {
        assert_keeps_to(&schema, &Probe::once().depth(depth).arg(&host).run(), 1);
    }
    assert_keeps_to(
        &schema,
        &Probe::verify().arg(format!("{host}/app:list")).run(),
        1,
    );

    registry.stop();
    assert_keeps_to(&schema, &Probe::once().arg(&host).run(), 3);
}

#[test]
fn a_report_on_several_registries_keeps_to_the_schema() {
    let first = Registry::start();
    let mut second = Registry::start();
    second.stop();
    skopeo::push(&first, &Content::index("first"), "app:v1");
    let outcome = Probe::once().arg(first.host()).arg(second.host()).run();
    assert_keeps_to(&schema(), &outcome, 3);
}
