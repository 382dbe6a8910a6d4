//! What is known of registries as a file that outlives the process: records to JSON and back.
//!
//! A format of its own, for this program alone: reports have a schema, this has a version.

use std::borrow::Borrow;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::record::Record;

const FORMAT: &str = "registry-probe state";
/// Grows with every change that older versions could not read. Those from 1 on are read.
const VERSION: u32 = 3;

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct State {
    registries: Vec<Record>,
}

/// The records as text. Their last sweeps are not in it.
///
/// # Panics
///
/// Never: plain structs with text keys are always JSON.
#[must_use]
pub fn render<R: Borrow<Record>>(records: &[R]) -> String {
    let mut text = Vec::new();
    let written = write(&mut text, records);
    written.expect("plain structs with text keys are always JSON, and memory takes it");
    String::from_utf8(text).expect("JSON is text")
}

/// Writes the same as it comes.
///
/// # Errors
///
/// If it cannot be written.
pub fn write<R: Borrow<Record>>(out: &mut dyn Write, records: &[R]) -> io::Result<()> {
    #[derive(Serialize)]
    struct State<'a> {
        format: &'a str,
        version: u32,
        registries: Vec<&'a Record>,
    }
    let state = State {
        format: FORMAT,
        version: VERSION,
        registries: records.iter().map(Borrow::borrow).collect(),
    };
    serde_json::to_writer(&mut *out, &state)?;
    out.write_all(b"\n")
}

/// The names of the registries of which a text holds records, which are not read any further.
///
/// # Errors
///
/// As [`parse`].
pub fn names(text: &str) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Name {
        registry: String,
    }
    #[derive(Deserialize)]
    struct Names {
        registries: Vec<Name>,
    }
    let held: Names = read(text)?;
    let names = held.registries.into_iter().map(|name| name.registry);
    Ok(names.collect())
}

/// The records that a text holds.
///
/// # Errors
///
/// If it is not what [`render`] gave, or what a later version gave: why.
pub fn parse(text: &str) -> Result<Vec<Record>, String> {
    let state: State = read(text)?;
    Ok(state.registries)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    let wrong = |error: serde_json::Error| {
        let error = crate::oci::shorten(&error.to_string(), 200);
        format!("it is no state of this program: {error}")
    };
    let Head { format, version } = serde_json::from_str(text).map_err(wrong)?;
    if format != FORMAT {
        return Err("it is no state of this program".into());
    }
    if !(1..=VERSION).contains(&version) {
        return Err(format!(
            "it is of version {version}, and this program reads {VERSION}"
        ));
    }
    serde_json::from_str(text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    fn record() -> Record {
        let mut record = Record::new("registry.example:5050");
        record.absorb(fixture::rich());
        record.absorb(fixture::rich());
        record
    }

    #[test]
    fn what_is_known_survives_but_for_the_last_sweep() {
        let before = record();
        let text = render(&[before.clone(), Record::new("empty.example")]);
        let after = parse(&text).expect("what was written can be read");
        let mut expected = before;
        expected.last = None;
        for known in expected.repositories.values_mut() {
            known.is_current = false;
        }
        assert_eq!(after, [expected, Record::new("empty.example")]);
        assert!(after[0].failures() > 0);
    }

    #[test]
    fn what_an_earlier_version_kept_is_read_without_its_evidence() {
        let text = r#"{"format":"registry-probe state","version":2,"registries":[{"registry":"r.example",
            "last_complete":null,"repositories":[{"name":"app","failures":1,"last_success":null,
            "last_verified":null,"tags":2,"findings":[{"kind":"layer","reason":"size_mismatch","digest":null,
            "media_type":null,"size":7,"tags":["1.1"],"platforms":[],"parent":null,"promised":"7 bytes",
            "observed":"the registry has 9 bytes of it","request":"GET /v2/","status":200,
            "sign":"other_promise","depth":"tail","confirmations":1,"pointed_to":[],"sibling":null,
            "copy":null,"last_intact":null,"first_broken":null}]}],"glances":[]}]}"#;
        let records = parse(text).expect("a state");
        let app = "app".parse().expect("a name");
        let finding = &records[0].repositories[&app].findings[0];
        assert_eq!(finding.size, Some(7));
        assert_eq!(*finding.defect.evidence, crate::report::Evidence::default());
        // What it was is not known, and so no file is deleted for it.
        let sweep = crate::report::fixture::sweep();
        let repairs = crate::report::Repair::of(finding, &sweep);
        let scripts: Vec<_> = repairs.iter().map(crate::report::Repair::script).collect();
        assert!(!scripts.is_empty());
        assert!(!scripts.concat().contains("rm -f"), "{scripts:?}");
    }

    #[test]
    fn what_is_not_a_state_is_refused_and_says_why() {
        let good = render(&[record()]);
        for (text, why) in [
            (String::new(), "no state of this program"),
            ("{}".into(), "no state of this program"),
            ("[1]".into(), "no state of this program"),
            (good.replace(FORMAT, "another"), "no state of this program"),
            (good.replace("\"version\":3", "\"version\":4"), "version 4"),
            (good[..good.len() / 2].into(), "no state of this program"),
            (good.replace("team/app", "../../etc"), "not a name"),
            (good.replace("not_found", "lost"), "unknown variant `lost`"),
            (good.replace("sha256:", "sha256:x"), "not a digest"),
        ] {
            let error = parse(&text).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
