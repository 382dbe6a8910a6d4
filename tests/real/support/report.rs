//! The JSON report of the probe, as far as the tests look at it.

use std::collections::BTreeSet;

use serde_json::Value;

/// What identifies a finding: which object of which repository, what is wrong, and which tags it breaks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Finding {
    pub(crate) repository: String,
    pub(crate) kind: String,
    pub(crate) reason: String,
    /// None where nothing but a tag was promised.
    pub(crate) digest: Option<String>,
    pub(crate) tags: BTreeSet<String>,
}

impl Finding {
    /// A finding of a repository; `what` is `kind/reason`.
    pub(crate) fn new(repository: &str, what: &str, digest: Option<&str>, tags: &[&str]) -> Self {
        let (kind, reason) = what.split_once('/').expect("kind/reason");
        Self {
            repository: repository.to_owned(),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            digest: digest.map(str::to_owned),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        }
    }

    fn read(value: &Value) -> Self {
        let tags = value["tags"].as_array().expect("a finding has tags");
        Self {
            repository: text(value, "repository"),
            kind: text(value, "kind"),
            reason: text(value, "reason"),
            digest: value["digest"].as_str().map(str::to_owned),
            tags: tags
                .iter()
                .map(|tag| tag.as_str().expect("a tag is text").to_owned())
                .collect(),
        }
    }
}

/// One report on one registry.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// All of it.
    pub(crate) json: Value,
}

impl Report {
    /// `intact`, `broken` or `unverified`.
    pub(crate) fn verdict(&self) -> String {
        text(&self.json, "verdict")
    }

    /// Whether everything that was to be checked was checked.
    pub(crate) fn is_complete(&self) -> bool {
        self.json["complete"]
            .as_bool()
            .expect("complete is a boolean")
    }

    /// A number of `counts`, by its path below it, such as `tags/checked`.
    pub(crate) fn count(&self, path: &str) -> usize {
        let value = self.json.pointer(&format!("/counts/{path}"));
        let number = value.and_then(Value::as_u64);
        let number = number.unwrap_or_else(|| panic!("counts/{path} in {}", self.json));
        usize::try_from(number).expect("a count is small")
    }

    /// The findings as JSON, in the order of the report.
    pub(crate) fn raw_findings(&self) -> &[Value] {
        self.json["findings"]
            .as_array()
            .expect("findings is a list")
    }

    /// The findings, sorted.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.raw_findings().iter().map(Finding::read).collect();
        findings.sort();
        findings
    }

    /// Why things could not be verified.
    pub(crate) fn unverified(&self) -> Vec<String> {
        let unverified = self.json["unverified"].as_array();
        let unverified = unverified.expect("unverified is a list");
        unverified
            .iter()
            .map(|entry| text(entry, "reason"))
            .collect()
    }
}

fn text(value: &Value, name: &str) -> String {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("{name} is text in {value}"))
        .to_owned()
}
