//! The reports for programs, in JSON: what a sweep came to, by the schema in `docs/report.schema.json`,
//! and one image with the request for each of its objects.

use std::io::{self, Write};

use serde::Serialize;

use super::requests::Requests;
use crate::oci::printable;
use crate::registry::{Depth, Identified};
use crate::report::{
    Counts, Defect, Image, Listed, Mode, Node, Object, Report, SCHEMA_VERSION, State, Verdict,
};

/// One object for one registry, or an object with `reports` for several, with a line break at the
/// end.
///
/// # Panics
///
/// Never: plain structs with text keys are always JSON.
#[must_use]
pub fn render<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let mut text = Vec::new();
    let written = write(&mut text, reports);
    written.expect("plain structs with text keys are always JSON, and memory takes it");
    String::from_utf8(text).expect("JSON is text")
}

/// Writes the same as it comes: 10,000 broken objects are 30 MB of it.
///
/// # Errors
///
/// If it cannot be written.
pub fn write<'a>(
    out: &mut dyn Write,
    reports: impl IntoIterator<Item = &'a Report>,
) -> io::Result<()> {
    let reports: Vec<_> = reports.into_iter().map(Document::of).collect();
    let written = match reports.as_slice() {
        [report] => serde_json::to_writer_pretty(&mut *out, report),
        _ => serde_json::to_writer_pretty(
            &mut *out,
            &Documents {
                schema_version: SCHEMA_VERSION,
                reports,
            },
        ),
    };
    written?;
    out.write_all(b"\n")
}

/// A list with one object for each image that was named, or the only one.
#[must_use]
pub fn render_images(report: &Report) -> String {
    let images = report.sweep.images.iter();
    let images: Vec<_> = images.map(|image| Explained::of(report, image)).collect();
    match images.as_slice() {
        [image] => pretty(image),
        images => pretty(&images),
    }
}

/// A value as JSON for people and programs.
///
/// # Panics
///
/// Never: plain structs with text keys are always JSON.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("plain structs with text keys are always JSON") + "\n"
}

/// Sweeps of several registries, or of none.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Documents<'a> {
    /// The version of this format. It grows only with a change that breaks readers; properties, kinds and
    /// reasons may be added without one.
    schema_version: u32,
    /// One report for each registry, in the order in which they were named.
    reports: Vec<Document<'a>>,
}

/// One sweep of one registry.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Report"))]
struct Document<'a> {
    /// The version of this format. It grows only with a change that breaks readers; properties, kinds and
    /// reasons may be added without one.
    schema_version: u32,
    #[serde(flatten)]
    report: &'a Report,
    /// Which software the registry runs, as far as that is known.
    software: Option<&'a Identified>,
    /// What the sweep went through, and how many of each outcome it came to.
    counts: Totals,
    /// The broken objects, wherever they are missed: one entry for each digest and reason, where
    /// `findings` has one for each repository.
    objects: Vec<Object<'a>>,
    /// The images that the caller named; empty where whole repositories were swept.
    images: &'a [String],
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Counts"))]
struct Totals {
    #[serde(flatten)]
    counts: Counts,
    /// The number of `findings`.
    broken: usize,
    /// The number of `objects`.
    broken_objects: usize,
    /// How many references are broken: for each object one for each image that needs it.
    broken_references: u64,
    /// Manifests that garbage collection would break: the sum over `exposed`.
    exposed: u64,
    /// Objects without a verdict: the sum over `unverified`.
    unverified: u64,
    /// Objects left out on purpose: the sum over `skipped`.
    skipped: u64,
}

impl<'a> Document<'a> {
    fn of(report: &'a Report) -> Self {
        let (sweep, objects) = (&report.sweep, report.objects());
        Self {
            schema_version: SCHEMA_VERSION,
            report,
            software: sweep.access.software.as_ref(),
            counts: Totals {
                counts: sweep.counts,
                broken: sweep.findings.len(),
                broken_objects: objects.len(),
                broken_references: objects.iter().map(|object| object.references).sum(),
                exposed: sweep.exposed_manifests(),
                unverified: sweep.unverified_objects(),
                skipped: sweep.skipped.values().sum(),
            },
            objects,
            images: match &sweep.listed {
                Listed::Images(images) => images,
                Listed::Catalog | Listed::Named | Listed::Failed(_) => &[],
            },
        }
    }
}

/// One image, as it was seen.
#[derive(Serialize)]
struct Explained<'a> {
    schema_version: u32,
    registry: &'a str,
    image: String,
    verdict: Verdict,
    complete: bool,
    depth: Depth,
    mode: Mode,
    /// What has to be typed before the requests of the tree, if anything has to.
    login: Option<String>,
    tree: Branch<'a>,
}

/// An object of an image, with what came of it and how to ask for it.
#[derive(Serialize)]
struct Branch<'a> {
    #[serde(flatten)]
    node: &'a Node,
    outcome: &'static str,
    /// Why it is not intact, in the words of the report of a sweep.
    reason: Option<&'static str>,
    detail: Option<String>,
    request: Option<String>,
    children: Vec<Branch<'a>>,
}

impl<'a> Explained<'a> {
    fn of(report: &'a Report, image: &'a Image) -> Self {
        let requests = Requests::of(report, image);
        let (sweep, request) = (&report.sweep, requests.root(image).line());
        Self {
            schema_version: SCHEMA_VERSION,
            registry: &sweep.registry,
            image: image.name(),
            verdict: report.verdict,
            complete: report.complete,
            depth: sweep.depth,
            mode: sweep.mode,
            login: requests
                .login()
                .map(|command| printable(&command.to_string())),
            tree: Branch {
                request: Some(printable(&request)),
                ..Branch::of(&requests, &image.root)
            },
        }
    }
}

impl<'a> Branch<'a> {
    fn of(requests: &Requests<'_>, node: &'a Node) -> Self {
        let request = requests
            .below(node)
            .map(|request| printable(&request.line()));
        let (reason, detail) = match &node.state {
            State::Broken(Defect { reason, evidence }) => (
                Some(reason.word()),
                evidence.observed.as_ref().map(ToString::to_string),
            ),
            State::Unverified(why) => (Some(why.reason.word()), Some(why.detail.to_string())),
            State::Skipped(skip_reason) => (Some(skip_reason.word()), None),
            State::Intact | State::Absent | State::Changed => (None, None),
        };
        let children = node.children.iter();
        Self {
            node,
            outcome: node.state.word(),
            reason,
            detail,
            request,
            children: children.map(|child| Self::of(requests, child)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema, SchemaGenerator};
    use serde_json::{Value, json};

    use super::*;
    use crate::render::fixture;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");

    /// What a later version may add to without a new `schema_version`.
    const OPEN: [&str; 12] = [
        "Action",
        "Cause",
        "Depth",
        "Kind",
        "LengthSource",
        "MediaKind",
        "Mode",
        "Reason",
        "Start",
        "UnverifiedReason",
        "Worded",
        "Worded2",
    ];

    /// What `probe --output json` prints: one report for one registry, or an object with `reports` for
    /// several. Readers accept properties that are not listed here, and kinds, reasons, causes and actions
    /// that they do not know: later versions may add some without a new `schema_version`.
    #[derive(JsonSchema)]
    #[schemars(untagged, rename = "Report of the registry integrity probe")]
    #[expect(dead_code, reason = "its schema is of use, and no value")]
    enum Printed {
        One(Document<'static>),
        Several(Documents<'static>),
    }

    fn schema() -> Schema {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<Printed>();
        let definitions = schema.get_mut("$defs").expect("it has definitions");
        for name in OPEN {
            let words = definitions[name].as_object_mut().expect(name);
            let mut known = words.remove("oneOf").expect(name);
            let another = json!({ "description": "One of a later version.", "type": "string" });
            known.as_array_mut().expect(name).push(another);
            words.insert("anyOf".into(), known);
        }
        schema
    }

    fn validator() -> jsonschema::Validator {
        let schema = schema().to_value();
        jsonschema::draft202012::meta::validate(&schema).expect("a schema by the 2020-12 draft");
        jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema)
            .expect("a usable schema")
    }

    fn rendered(reports: &[Report]) -> Value {
        serde_json::from_str(&render(reports)).expect("JSON")
    }

    fn assert_snapshot(name: &str, text: &str) {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn reports_of_every_verdict() {
        for (name, report) in ["rich", "intact", "unverified"].iter().zip(fixture::all()) {
            assert_snapshot(name, &render([&report]));
        }
        assert_snapshot("documents", &render([&fixture::documents().into()]));
        let several = [fixture::empty().into(), fixture::intact().into()];
        assert_snapshot("several", &render(&several));
    }

    #[test]
    fn the_schema_is_the_one_that_is_published() {
        // Descriptions are comments of the code, which has its own word for null.
        let text = pretty(&schema()).replace("`None`", "null");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(PATH, &text).expect("the schema can be written");
        }
        let published = std::fs::read_to_string(PATH).expect("the schema is there");
        assert!(published == text, "UPDATE=1 cargo test writes it anew");
    }

    #[test]
    fn every_rendering_follows_the_schema() {
        let validator = validator();
        let named = [fixture::expected().into(), fixture::documents().into()];
        let all = [&fixture::all()[..], &named].concat();
        let each = all
            .iter()
            .map(|report| rendered(std::slice::from_ref(report)));
        for report in each.chain([rendered(&all), rendered(&[])]) {
            let errors = validator.iter_errors(&report);
            let errors: Vec<_> = errors.map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }

    /// A schema that lets everything pass would make the test above worthless.
    #[test]
    fn wrong_documents_do_not_follow_the_schema() {
        let validator = validator();
        let report = rendered(&[fixture::rich().into()]);
        for (pointer, value, is_valid) in [
            ("/verdict", json!("fine"), false),
            ("/started_at", json!("yesterday"), false),
            ("/counts/tags", json!({ "listed": 1 }), false),
            ("/counts/bytes", json!(-1), false),
            ("/findings/0/digest", json!("deadbeef"), false),
            ("/findings/0/evidence", json!({}), false),
            ("/findings/0/kind", json!(1), false),
            ("/findings/0/kind", json!("of a later version"), true),
            ("/unverified/0/reason", json!("of a later version"), true),
            ("/skipped/tag_filter", json!("2"), false),
        ] {
            let mut report = report.clone();
            *report.pointer_mut(pointer).expect(pointer) = value;
            assert_eq!(validator.is_valid(&report), is_valid, "{pointer}");
            report["added"] = json!(1);
            let several = json!({ "schema_version": 1, "reports": [report] });
            assert_eq!(validator.is_valid(&several), is_valid, "{pointer}");
        }
        assert!(!validator.is_valid(&json!({ "schema_version": 1 })));
    }

    #[test]
    fn an_image_of_two_platforms_one_of_which_is_gone() {
        assert_snapshot("image", &render_images(&fixture::explained().into()));
    }

    #[test]
    fn several_images_are_a_list() {
        let mut report = Report::from(fixture::explained());
        let image = report.sweep.images[0].clone();
        report.sweep.images.push(image);
        let list: Value = serde_json::from_str(&render_images(&report)).expect("JSON");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
        report.sweep.images.clear();
        assert_eq!(render_images(&report), "[]\n");
    }
}
