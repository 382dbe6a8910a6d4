//! Findings as the state keeps them: in one level, and without their repository, which has them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::evidence::Evidence;
use super::finding::{Bracket, Finding, Nearby};
use super::outcome::{Defect, Kind, Reason};
use crate::oci::{Digest, Printable, Repository, Tag};
use crate::registry::Depth;

#[derive(Serialize)]
struct One<'a>(#[serde(with = "Kept")] &'a Finding);

#[derive(Deserialize)]
struct Read(#[serde(with = "Kept")] Finding);

pub(super) fn serialize<S: Serializer>(findings: &[Finding], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(findings.iter().map(One))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Finding>, D::Error> {
    let findings = Vec::<Read>::deserialize(from)?.into_iter();
    Ok(findings.map(|Read(finding)| finding).collect())
}

/// A finding in one level.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Finding")]
struct Kept {
    #[serde(skip, default = "no_repository")]
    repository: Repository,
    kind: Kind,
    digest: Option<Digest>,
    media_type: Option<Printable>,
    size: Option<u64>,
    tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attached_to: Vec<Tag>,
    platforms: Vec<Printable>,
    parent: Option<Digest>,
    #[serde(flatten, with = "KeptDefect")]
    defect: Defect,
    depth: Depth,
    confirmations: u32,
    #[serde(flatten)]
    nearby: Nearby,
    #[serde(flatten)]
    bracket: Bracket,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Defect")]
struct KeptDefect {
    reason: Reason,
    // Earlier versions kept sentences.
    #[serde(default)]
    evidence: Box<Evidence>,
}

/// Until the name of its repository is read.
fn no_repository() -> Repository {
    "unnamed".parse().expect("this is a name")
}
