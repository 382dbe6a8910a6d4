//! The part of the report for programs about broken objects and their repair, and about what garbage
//! collection would break next.

use serde::Serialize;

use super::repair::repairs;
use super::shell::Command;
use crate::oci::{Digest, Repository, Tag, printable};
use crate::report::{Exposed, Finding, Root, Sweep};

#[derive(Serialize)]
pub(super) struct WireRoot<'a> {
    digest: Option<String>,
    kind: &'static str,
    reason: &'static str,
    cause: &'static str,
    repositories: Vec<&'a str>,
    images: Vec<String>,
    platforms: Vec<String>,
    references: u64,
}

impl<'a> WireRoot<'a> {
    pub(super) fn of(root: &Root<'a>) -> Self {
        let finding = root.findings[0];
        let image = |(repository, tag): (&Repository, &Tag)| format!("{repository}:{tag}");
        let repositories = root.findings.iter();
        Self {
            digest: root.digest().map(Digest::to_string),
            kind: finding.kind.word(),
            reason: finding.defect.reason.word(),
            cause: root.cause.word(),
            repositories: repositories
                .map(|finding| finding.repository.as_str())
                .collect(),
            images: root.tags().map(image).collect(),
            platforms: root.platforms().into_iter().map(printable).collect(),
            references: root.references(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct WireNearby<'a> {
    pointed_to: Vec<String>,
    sibling: Option<WireSibling<'a>>,
    copy: Option<&'a str>,
}

#[derive(Serialize)]
struct WireSibling<'a> {
    tag: &'a str,
    digest: String,
}

impl<'a> WireNearby<'a> {
    pub(super) fn of(finding: &'a Finding) -> Self {
        let nearby = &finding.nearby;
        let sibling = nearby.sibling.as_ref().map(|(tag, digest)| WireSibling {
            tag: tag.as_str(),
            digest: digest.to_string(),
        });
        Self {
            pointed_to: nearby.pointed_to.iter().map(Digest::to_string).collect(),
            sibling,
            copy: nearby.copy.as_ref().map(Repository::as_str),
        }
    }
}

#[derive(Serialize)]
pub(super) struct WireRepair {
    action: &'static str,
    what: String,
    commands: Vec<String>,
}

impl WireRepair {
    /// The repairs of a finding of `sweep`, the best first.
    pub(super) fn all(finding: &Finding, sweep: &Sweep) -> Vec<Self> {
        let repairs = repairs(finding, sweep).into_iter();
        let wire = |(repair, steps): (crate::report::Repair, super::repair::Steps)| Self {
            action: repair.action().word(),
            what: printable(&steps.what),
            commands: steps.commands.iter().map(Command::line).collect(),
        };
        repairs.map(wire).collect()
    }
}

#[derive(Serialize)]
pub(super) struct WireExposed<'a> {
    repository: &'a str,
    manifests: u64,
    digests: Vec<String>,
}

impl<'a> WireExposed<'a> {
    pub(super) fn of(exposed: &'a Exposed) -> Self {
        Self {
            repository: exposed.repository.as_str(),
            manifests: exposed.manifests,
            digests: exposed.digests.iter().map(Digest::to_string).collect(),
        }
    }
}
