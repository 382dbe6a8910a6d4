//! Whether a sweep saw all that there is to know of what tags lead to, and what stands in the way.

use serde::Serialize;

use super::{Holdings, Kept};
use crate::oci::{Digest, MediaKind, Printable, Repository};
use crate::report::{Finding, Reason, SkipReason, Sweep};

/// What is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where; `None` for the registry as a whole.
    pub repository: Option<Repository>,
    /// What, and why.
    pub what: Printable,
}

/// What sweeps leave open of what must be kept, as they and their inventories say; nothing, if that is proven. What is
/// confirmed not to be there leads nowhere, and leaves nothing open.
#[must_use]
pub fn gaps(sweeps: &[&Sweep], holdings: &Holdings, kept: &Kept) -> Vec<Gap> {
    let mut gaps: Vec<_> = sweeps.iter().flat_map(|sweep| of_sweep(sweep)).collect();
    let findings = || sweeps.iter().flat_map(|sweep| &sweep.findings);
    let is_told = |repository: &Repository, digest: &Digest| {
        findings()
            .any(|found| found.repository == *repository && found.digest.as_ref() == Some(digest))
    };
    for (repository, target) in kept {
        let contents = holdings.get(repository);
        for digest in &target.manifests {
            let what = match contents.and_then(|contents| contents.manifests.get(digest)) {
                Some(document) if document.kind == MediaKind::Unknown => {
                    format!("{digest} is of a type of its own: what it names is not known")
                }
                None if gaps.is_empty() && !is_told(repository, digest) => {
                    format!("{digest} was not read")
                }
                _ => continue,
            };
            gaps.push(gap(Some(repository), &what));
        }
    }
    gaps
}

fn gap(repository: Option<&Repository>, what: &str) -> Gap {
    Gap {
        repository: repository.cloned(),
        what: Printable::cut(what, 400),
    }
}

/// What a sweep could not find out.
#[must_use]
pub fn unverified(sweep: &Sweep) -> Vec<Gap> {
    let groups = sweep.unverified.iter().map(|group| {
        let (reason, detail) = (group.why.reason, &group.why.detail);
        let what = format!("{reason} ({}): {detail}", group.count);
        gap(group.repository.as_ref(), &what)
    });
    let mut gaps: Vec<_> = groups.collect();
    if gaps.is_empty() && !sweep.is_complete() {
        gaps.push(gap(None, "the list of repositories could not be read"));
    }
    gaps
}

fn of_sweep(sweep: &Sweep) -> Vec<Gap> {
    let mut gaps = unverified(sweep);
    for reason in [SkipReason::InvalidName, SkipReason::PullThrough] {
        let count = sweep.skipped.get(&reason).copied().unwrap_or_default();
        if count > 0 {
            let what = format!("{reason} ({count}): names in its lists were not asked for");
            gaps.push(gap(None, &what));
        }
    }
    for finding in sweep.findings.iter().filter(|finding| hides(finding)) {
        let object = match (&finding.digest, finding.tags.first()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => format!("the tag {tag}"),
            (None, None) => "a tag".to_owned(),
        };
        let reason = finding.defect.reason;
        let what = format!("{reason}: what {object} leads to cannot be read");
        gaps.push(gap(Some(&finding.repository), &what));
    }
    gaps
}

/// Whether what a finding is about may lead to more than is known.
fn hides(finding: &Finding) -> bool {
    !finding.kind.is_blob() && finding.defect.reason != Reason::NotFound
}
