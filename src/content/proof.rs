//! Whether a sweep saw all that there is to know of what tags lead to, and what stands in the way.

use std::collections::BTreeSet;

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

/// The tags and manifests that are confirmed not to be there, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`. What they
/// led to may be there still, and is in no list.
#[must_use]
pub fn lost(sweeps: &[&Sweep]) -> BTreeSet<String> {
    let findings = sweeps.iter().flat_map(|sweep| &sweep.findings);
    let manifests = findings.filter(|found| !found.kind.is_blob() && !hides(found));
    let names = manifests.flat_map(|found| {
        let repository = &found.repository;
        let digest = found
            .digest
            .iter()
            .map(move |digest| format!("{repository}@{digest}"));
        let tags = found.tags.iter().filter(|_| found.digest.is_none());
        digest.chain(tags.map(move |tag| format!("{repository}:{tag}")))
    });
    names.collect()
}

/// What a registry did not say in a sweep: what could not be verified, and the manifests that it fails on.
#[must_use]
pub fn unknown(sweep: &Sweep) -> Vec<Gap> {
    let mut gaps = unverified(sweep);
    let unread = sweep
        .findings
        .iter()
        .filter(|finding| !finding.kind.is_blob() && finding.defect.reason == Reason::Unreadable);
    gaps.extend(unread.map(hidden));
    gaps
}

/// What a sweep could not find out.
fn unverified(sweep: &Sweep) -> Vec<Gap> {
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
    let hiding = sweep.findings.iter().filter(|finding| hides(finding));
    gaps.extend(hiding.map(hidden));
    gaps
}

fn hidden(finding: &Finding) -> Gap {
    let object = match (&finding.digest, finding.tags.first()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => format!("the tag {tag}"),
        (None, None) => "a tag".to_owned(),
    };
    let reason = finding.defect.reason;
    let what = format!("{reason}: what {object} leads to cannot be read");
    gap(Some(&finding.repository), &what)
}

/// Whether what a finding is about may lead to more than is known.
fn hides(finding: &Finding) -> bool {
    !finding.kind.is_blob() && finding.defect.reason != Reason::NotFound
}

#[cfg(test)]
mod tests {
    use super::super::keep::kept;
    use super::super::keep::tests::{digest, repository, shared};
    use super::*;
    use crate::oci::Document;
    use crate::registry::{Unverified, UnverifiedReason};
    use crate::report::{Kind, UnverifiedObjects, fixture};
    use crate::sweep::Contents;

    fn sweep() -> Sweep {
        let mut sweep = fixture::sweep();
        sweep.findings.clear();
        sweep.unverified.clear();
        sweep.skipped.clear();
        sweep
    }

    fn found(sweep: &Sweep, contents: Contents) -> Vec<String> {
        let holdings = [(repository("app"), contents)].into();
        let gaps = gaps(&[sweep], &holdings, &kept(&holdings, &[]));
        gaps.iter().map(|gap| gap.what.to_string()).collect()
    }

    fn finding(kind: Kind, reason: Reason, name: &str) -> Finding {
        let mut finding = fixture::finding(kind, reason);
        finding.repository = repository("app");
        finding.digest = Some(digest(name));
        finding
    }

    #[test]
    fn a_confirmed_absence_alone_leaves_nothing_open() {
        assert_eq!(found(&sweep(), shared()), [""; 0]);
        let mut lost = shared();
        lost.manifests.remove(&digest("a"));
        let mut absent = sweep();
        absent.findings = vec![
            finding(Kind::Child, Reason::NotFound, "a"),
            finding(Kind::Layer, Reason::ShortRead, "base"),
        ];
        assert_eq!(found(&absent, lost.clone()), [""; 0]);
        let name = format!("app@{}", digest("a"));
        assert_eq!(super::lost(&[&absent]), BTreeSet::from([name]));
        absent.findings[0].digest = None;
        absent.findings[0].tags = vec!["v1".parse().expect("a tag")];
        assert_eq!(
            super::lost(&[&absent]),
            BTreeSet::from(["app:v1".to_owned()])
        );
        // Nobody says why it was not read.
        assert_eq!(found(&sweep(), lost.clone()).len(), 1);
        absent.findings.clear();
        for (kind, reason) in [
            (Kind::Child, Reason::Unreadable),
            (Kind::Layer, Reason::Unreadable),
            (Kind::Child, Reason::NotFound),
        ] {
            absent.findings.push(finding(kind, reason, "a"));
        }
        assert_eq!(unknown(&absent).len(), 1);
        for reason in Reason::ALL
            .iter()
            .filter(|reason| **reason != Reason::NotFound)
        {
            let mut broken = sweep();
            broken.findings = vec![finding(Kind::Child, *reason, "a")];
            assert_eq!(found(&broken, lost.clone()).len(), 1, "{reason}");
        }
    }

    #[test]
    fn what_was_not_read_or_not_understood_is_open() {
        let mut unread = sweep();
        unread.unverified.push(UnverifiedObjects {
            repository: Some(repository("app")),
            why: Unverified::new(UnverifiedReason::Timeout, "GET /v2/app/manifests/v1"),
            count: 2,
        });
        assert_eq!(
            found(&unread, shared()),
            ["timeout (2): GET /v2/app/manifests/v1"]
        );
        let mut own = shared();
        own.manifests.insert(digest("a"), Document::default());
        assert_eq!(found(&sweep(), own).len(), 1);
        for reason in [SkipReason::InvalidName, SkipReason::PullThrough] {
            let mut skipped = sweep();
            skipped.skipped.insert(reason, 3);
            assert_eq!(found(&skipped, shared()).len(), 1, "{reason}");
        }
    }
}
