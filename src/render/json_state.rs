//! What is known of registries as a file that outlives the process: records to JSON and back.
//!
//! A format of its own, for this program alone: reports have a schema, this has a version.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::words::since_epoch;
use crate::registry::Depth;
use crate::report::{
    Bracket, Defect, Evidence, Finding, Glance, Kind, Known, Nearby, Reason, Record, Verdict,
};

const FORMAT: &str = "registry-probe state";
/// Grows with every change that older versions could not read. Those from 1 on are read.
const VERSION: u32 = 2;

/// Why a text is no state that could be gone on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidState(String);

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidState {}

/// The records as text. Their last sweeps are not in it.
#[must_use]
pub fn render(records: &[Record]) -> String {
    text(&WireState {
        format: FORMAT.to_owned(),
        version: VERSION,
        registries: records.iter().map(WireRecord::of).collect(),
    })
}

fn text(state: &WireState) -> String {
    let text = serde_json::to_string(state);
    text.expect("plain structs with text keys are always JSON") + "\n"
}

/// The records that a text holds.
///
/// # Errors
///
/// If it is not what [`render`] gave, or what a later version gave.
pub fn parse(text: &str) -> Result<Vec<Record>, InvalidState> {
    let wrong = |error: serde_json::Error| {
        let error = crate::oci::shorten(&error.to_string(), 200);
        InvalidState(format!("it is no state of this program: {error}"))
    };
    let head: WireHead = serde_json::from_str(text).map_err(wrong)?;
    if head.format != FORMAT {
        return Err(InvalidState("it is no state of this program".into()));
    }
    if !(1..=VERSION).contains(&head.version) {
        let detail = format!(
            "it is of version {}, and this program reads {VERSION}",
            head.version
        );
        return Err(InvalidState(detail));
    }
    let state: WireState = serde_json::from_str(text).map_err(wrong)?;
    state
        .registries
        .into_iter()
        .map(WireRecord::record)
        .collect()
}

#[derive(Deserialize)]
struct WireHead {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct WireState {
    format: String,
    version: u32,
    registries: Vec<WireRecord>,
}

#[derive(Serialize, Deserialize)]
struct WireRecord {
    registry: String,
    last_complete: Option<String>,
    repositories: Vec<WireKnown>,
    glances: Vec<WireGlance>,
}

#[derive(Serialize, Deserialize)]
struct WireKnown {
    name: String,
    failures: Option<u64>,
    last_success: Option<String>,
    last_verified: Option<String>,
    #[serde(default)]
    tags: u64,
    #[serde(default)]
    absences: u32,
    #[serde(default)]
    refusals: u32,
    findings: Vec<WireFinding>,
}

#[derive(Serialize, Deserialize)]
struct WireGlance {
    finished_at: String,
    millis: u64,
    verdict: String,
    is_complete: bool,
    broken: u64,
    unverified: u64,
}

#[derive(Serialize, Deserialize)]
struct WireFinding {
    kind: String,
    reason: String,
    digest: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    tags: Vec<String>,
    platforms: Vec<String>,
    parent: Option<String>,
    #[serde(default)]
    evidence: Box<Evidence>,
    depth: String,
    confirmations: u32,
    pointed_to: Vec<String>,
    sibling: Option<(String, String)>,
    copy: Option<String>,
    last_intact: Option<String>,
    first_broken: Option<String>,
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(since_epoch(time)).to_string()
}

fn wrong(what: &str, text: &str) -> InvalidState {
    InvalidState(format!(
        "{what} `{}` is not one",
        crate::oci::shorten(text, 80)
    ))
}

fn read_time(text: &str) -> Result<SystemTime, InvalidState> {
    humantime::parse_rfc3339(text).map_err(|_| wrong("the time", text))
}

fn read_times(text: Option<String>) -> Result<Option<SystemTime>, InvalidState> {
    text.map(|text| read_time(&text)).transpose()
}

fn read<T: FromStr>(what: &str, text: &str) -> Result<T, InvalidState> {
    text.parse().map_err(|_| wrong(what, text))
}

fn read_all<T: FromStr>(what: &str, texts: &[String]) -> Result<Vec<T>, InvalidState> {
    texts.iter().map(|text| read(what, text)).collect()
}

/// The value of a closed vocabulary that a word names.
fn word<T: Copy + fmt::Display>(all: &[T], text: &str) -> Result<T, InvalidState> {
    let named = all.iter().find(|value| value.to_string() == text);
    named.copied().ok_or_else(|| wrong("the word", text))
}

impl WireRecord {
    fn of(record: &Record) -> Self {
        let known = record.repositories.iter().map(|(name, known)| WireKnown {
            name: name.to_string(),
            failures: known.failures,
            last_success: known.last_success.map(time),
            last_verified: known.last_verified.map(time),
            tags: known.tags,
            absences: known.absences,
            refusals: known.refusals,
            findings: known.findings.iter().map(WireFinding::of).collect(),
        });
        let glances = record.glances.iter().map(|glance| WireGlance {
            finished_at: time(glance.finished_at),
            millis: u64::try_from(glance.duration.as_millis()).unwrap_or(u64::MAX),
            verdict: glance.verdict.to_string(),
            is_complete: glance.is_complete,
            broken: glance.broken,
            unverified: glance.unverified,
        });
        Self {
            registry: record.registry.clone(),
            last_complete: record.last_complete.map(time),
            repositories: known.collect(),
            glances: glances.collect(),
        }
    }

    fn record(self) -> Result<Record, InvalidState> {
        let mut record = Record::new(self.registry);
        record.last_complete = read_times(self.last_complete)?;
        for glance in self.glances {
            record.glances.push_back(Glance {
                finished_at: read_time(&glance.finished_at)?,
                duration: Duration::from_millis(glance.millis),
                verdict: word(Verdict::ALL, &glance.verdict)?,
                is_complete: glance.is_complete,
                broken: glance.broken,
                unverified: glance.unverified,
            });
        }
        for known in self.repositories {
            let name: crate::oci::Repository = read("the repository", &known.name)?;
            let findings = known.findings.into_iter();
            let findings = findings.map(|finding| finding.finding(name.clone()));
            let known = Known {
                failures: known.failures,
                findings: findings.collect::<Result<_, _>>()?,
                last_success: read_times(known.last_success)?,
                last_verified: read_times(known.last_verified)?,
                tags: known.tags,
                absences: known.absences,
                refusals: known.refusals,
                is_current: false,
            };
            record.repositories.insert(name, known);
        }
        Ok(record)
    }
}

impl WireFinding {
    fn of(finding: &Finding) -> Self {
        let nearby = &finding.nearby;
        let sibling = nearby.sibling.as_ref();
        Self {
            kind: finding.kind.to_string(),
            reason: finding.defect.reason.to_string(),
            digest: finding.digest.as_ref().map(ToString::to_string),
            media_type: finding.media_type.clone(),
            size: finding.size,
            tags: finding.tags.iter().map(ToString::to_string).collect(),
            platforms: finding.platforms.clone(),
            parent: finding.parent.as_ref().map(ToString::to_string),
            evidence: finding.defect.evidence.clone(),
            depth: finding.depth.to_string(),
            confirmations: finding.confirmations,
            pointed_to: nearby.pointed_to.iter().map(ToString::to_string).collect(),
            sibling: sibling.map(|(tag, digest)| (tag.to_string(), digest.to_string())),
            copy: nearby.copy.as_ref().map(ToString::to_string),
            last_intact: finding.bracket.last_intact.map(time),
            first_broken: finding.bracket.first_broken.map(time),
        }
    }

    fn finding(self, repository: crate::oci::Repository) -> Result<Finding, InvalidState> {
        let digest = |text: Option<String>| text.map(|text| read("the digest", &text)).transpose();
        let sibling = self
            .sibling
            .map(|(tag, digest)| Ok((read("the tag", &tag)?, read("the digest", &digest)?)));
        let copy = self.copy.map(|name| read("the repository", &name));
        Ok(Finding {
            repository,
            kind: word(Kind::ALL, &self.kind)?,
            digest: digest(self.digest)?,
            media_type: self.media_type,
            size: self.size,
            tags: read_all("the tag", &self.tags)?,
            platforms: self.platforms,
            parent: digest(self.parent)?,
            defect: Defect {
                reason: word(Reason::ALL, &self.reason)?,
                evidence: self.evidence,
            },
            depth: word(Depth::ALL, &self.depth)?,
            confirmations: self.confirmations,
            nearby: Nearby {
                pointed_to: read_all("the digest", &self.pointed_to)?,
                sibling: sibling.transpose()?,
                copy: copy.transpose()?,
            },
            bracket: Bracket {
                last_intact: read_times(self.last_intact)?,
                first_broken: read_times(self.first_broken)?,
            },
        })
    }
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
    fn what_is_not_a_state_is_refused_and_says_why() {
        let good = render(&[record()]);
        for (text, why) in [
            (String::new(), "no state of this program"),
            ("{}".into(), "no state of this program"),
            ("[1]".into(), "no state of this program"),
            (good.replace(FORMAT, "another"), "no state of this program"),
            (good.replace("\"version\":2", "\"version\":3"), "version 3"),
            (good[..good.len() / 2].into(), "no state of this program"),
            (good.replace("team/app", "../../etc"), "the repository"),
            (good.replace("not_found", "lost"), "the word `lost`"),
            (good.replace("sha256:", "sha256:x"), "not a digest"),
        ] {
            let error = parse(&text).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
