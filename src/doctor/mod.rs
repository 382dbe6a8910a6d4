//! What a registry can do, as a list of checks: asked by the requests of a sweep, and read from how they
//! were answered.

mod connection;
mod examine;
mod image;
mod in_use;
mod lists;
mod login;
mod page;
mod pulls;
mod route;
mod subject;

use serde::Serialize;
use serde_json::{Value, json};

use crate::oci::printable;
use crate::registry::Unverified;

pub use examine::examine;
pub use in_use::{in_use, in_use_of_file};
pub use page::render;

/// As much of a header as a person reads.
const LONGEST_HEADER: usize = 100;

/// One registry, as a few requests showed it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Examination {
    /// The registry's name as it stands in image references.
    pub registry: String,
    /// The address of its API, which ends in `/v2/`.
    pub address: String,
    /// When it was examined (RFC 3339).
    pub examined_at: String,
    /// What a sweep of it can come to.
    pub outlook: Outlook,
    /// The same in words.
    pub words: String,
    /// What was found, in the order in which it was asked for.
    pub checks: Vec<Check>,
    /// What follows from all of them.
    pub advice: Vec<Advice>,
    /// The most requests that a sweep takes, as far as the first page of repositories shows.
    pub requests_of_a_sweep: Option<u64>,
    /// Requests sent.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
}

/// What a sweep of a registry can come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// It can be swept.
    Ready,
    /// It answers, and shows nothing that could be swept: as long as nothing was seen.
    #[default]
    Blind,
    /// It cannot be reached, or what answers is no registry.
    Unreachable,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found, for people.
    pub words: String,
    /// What was found, for programs.
    pub data: Value,
    /// What follows from it.
    pub advice: Vec<Advice>,
}

/// How something stands, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    #[serde(rename = "ok")]
    Fine,
    /// Neither good nor bad.
    Info,
    /// Worth a thought.
    Warn,
    /// In the way.
    Fail,
}

/// What the probe will do about a registry as it is, or what its operator can.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// `warn` where there is something to think about, or to do.
    pub outcome: Outcome,
    /// The advice.
    pub words: String,
    /// What to type.
    pub command: Option<String>,
}

impl Advice {
    /// What the probe will do.
    fn will(words: impl AsRef<str>) -> Self {
        Self {
            outcome: Outcome::Info,
            words: printable(words.as_ref()),
            command: None,
        }
    }
}

impl Check {
    fn new(id: &'static str, outcome: Outcome, words: impl AsRef<str>, data: Value) -> Self {
        Self {
            id,
            outcome,
            words: printable(words.as_ref()),
            data,
            advice: Vec::new(),
        }
    }

    /// Something that could not be found out.
    fn trouble(id: &'static str, prefix: &str, why: &Unverified) -> Self {
        let words = format!("{prefix}{}", trouble(why));
        Self::new(id, Outcome::Fail, words, data_of(why))
    }

    /// Adds what the probe will do.
    fn will(mut self, words: impl AsRef<str>) -> Self {
        self.advice.push(Advice::will(words));
        self
    }

    /// Adds what is for somebody to think about, or to do.
    fn care(mut self, words: impl AsRef<str>) -> Self {
        let mut advice = Advice::will(words);
        advice.outcome = Outcome::Warn;
        self.advice.push(advice);
        self
    }
}

/// What kept us from an answer, with the word that reports and metrics know it by.
fn trouble(why: &Unverified) -> String {
    format!("{} [{}]", why.detail, why.reason)
}

fn data_of(why: &Unverified) -> Value {
    json!({ "reason": why.reason.word(), "detail": printable(&why.detail) })
}

/// The JSON. What is only added to it leaves `schema_version` as it is.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    examinations: &'a [Examination],
}

/// The examinations for programs, in JSON with a line break at the end.
#[must_use]
pub fn json(examinations: &[Examination]) -> String {
    pretty(&Document {
        schema_version: 1,
        examinations,
    }) + "\n"
}

fn pretty(document: &Document<'_>) -> String {
    serde_json::to_string_pretty(document).expect("structs with text keys are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::UnverifiedReason;

    #[test]
    fn the_form_of_the_json() {
        let why = Unverified::new(UnverifiedReason::Protocol, "GET /v2/ answers 404\n");
        let data = json!({ "redirected_to": null, "is_encrypted": false });
        let check = Check::new("address", Outcome::Fine, "http://r.example/v2/", data);
        let mut advice = Advice::will("Try it:");
        advice.command = Some("probe --once r.example".into());
        let examination = Examination {
            registry: "r.example".into(),
            checks: vec![
                check.will("It asks as nobody."),
                Check::trouble("catalog", "not offered: ", &why).care("Name them."),
            ],
            advice: vec![advice],
            ..Examination::default()
        };
        let text = json(&[examination, Examination::default()]);
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(text) });
    }
}
