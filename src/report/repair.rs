//! What could mend a finding, cheapest first, chosen from what the sweep saw. The probe itself writes
//! nothing: a report turns these into commands for people.

use super::cause::Cause;
use super::evidence::{LengthSource, Observed};
use super::outcome::Reason;
use super::sweep::{Finding, Mode, Sweep};
use crate::oci::Digest;
use crate::oci::{Repository, Tag};
use crate::words::words;

words! {
    /// What is done to mend a finding.
    Action {
        /// Mount the blob from another repository.
        Mount = "mount",
        /// Copy the manifest from another repository.
        Copy = "copy",
        /// Point the tags at an intact manifest of the same repository.
        Repoint = "repoint",
        /// Push the image again.
        Push = "push",
        /// Delete what is left in storage, restart the registry, and push the image again.
        Refresh = "refresh",
        /// Build the image again and push it.
        Rebuild = "rebuild",
        /// Delete the tags by the digest of what they point to.
        Delete = "delete",
        /// Remove what is left of a tag in storage.
        Remove = "remove",
    }
}

/// A repair, with what it takes from elsewhere. What it mends is the finding that it was chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// [`Action::Mount`], from this repository.
    Mount(Repository),
    /// [`Action::Copy`], from this repository.
    Copy(Repository),
    /// [`Action::Repoint`], at this tag's manifest.
    Repoint(Tag, Digest),
    /// [`Action::Push`].
    Push,
    /// [`Action::Refresh`]; whether a file must be deleted before the restart.
    Refresh {
        /// Distribution never overwrites a file of its store.
        delete: bool,
    },
    /// [`Action::Rebuild`].
    Rebuild,
    /// [`Action::Delete`], these manifests.
    Delete(Vec<Digest>),
    /// [`Action::Remove`].
    Remove,
}

/// To move more names than this onto one image hides more than it mends; and to delete more on the
/// word of a report is no repair.
const FEW_TAGS: usize = 8;

impl Repair {
    /// What is done.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Mount(_) => Action::Mount,
            Self::Copy(_) => Action::Copy,
            Self::Repoint(..) => Action::Repoint,
            Self::Push => Action::Push,
            Self::Refresh { .. } => Action::Refresh,
            Self::Rebuild => Action::Rebuild,
            Self::Delete(_) => Action::Delete,
            Self::Remove => Action::Remove,
        }
    }

    /// The repairs of a finding of `sweep`, the best first; none where nothing that could be typed
    /// helps. What restores the very bytes comes before what gives a tag other ones.
    #[must_use]
    pub fn of(finding: &Finding, sweep: &Sweep) -> Vec<Self> {
        let cause = Cause::of(finding, sweep);
        // Replicas have to agree first, and a cache is not pushed to.
        if cause == Cause::ReplicasDisagree || sweep.mode == Mode::PullThrough {
            return Vec::new();
        }
        let mut repairs: Vec<_> = from_elsewhere(finding).into_iter().collect();
        let restored = restored(finding, cause);
        let repoint = repoint(finding);
        // A missing link or object is cheapest to go around; a damaged file is in everybody's way.
        if restored == Some(Self::Push) || restored == Some(Self::Rebuild) {
            repairs.extend(repoint);
            repairs.extend(restored);
        } else {
            repairs.extend(restored);
            repairs.extend(repoint);
        }
        // What was never there is not to be removed.
        if (finding.defect.reason, cause) != (Reason::NotFound, Cause::Unknown) {
            repairs.extend(given_up(finding));
        }
        repairs
    }
}

fn from_elsewhere(finding: &Finding) -> Option<Repair> {
    let from = finding.nearby.copy.clone()?;
    Some(if finding.kind.is_blob() {
        Repair::Mount(from)
    } else {
        Repair::Copy(from)
    })
}

/// What brings the promised bytes back from where they were made.
fn restored(finding: &Finding, cause: Cause) -> Option<Repair> {
    // Without a tag there is no name to push under.
    finding.tags.first()?;
    let is_promise_wrong = matches!(
        finding.defect.evidence.observed,
        Some(Observed::OtherLength {
            source: LengthSource::Verified,
            ..
        })
    );
    Some(match (finding.defect.reason, cause) {
        (Reason::NotFound, _) => Repair::Push,
        (Reason::StorageMissing, _) => Repair::Refresh { delete: false },
        (Reason::InvalidManifest, Cause::Unknown) | (Reason::MediaTypeMismatch, _) => {
            Repair::Rebuild
        }
        _ if is_promise_wrong => Repair::Rebuild,
        _ => Repair::Refresh { delete: true },
    })
}

fn repoint(finding: &Finding) -> Option<Repair> {
    let (tag, digest) = finding.nearby.sibling.clone()?;
    has_few_tags(finding).then_some(Repair::Repoint(tag, digest))
}

fn has_few_tags(finding: &Finding) -> bool {
    (1..=FEW_TAGS).contains(&finding.tags.len())
}

/// What ends the false promise when nobody needs it.
fn given_up(finding: &Finding) -> Option<Repair> {
    let pointed_to = &finding.nearby.pointed_to;
    // A manifest that cannot be read cannot be deleted by its digest either.
    let is_readable = |digest: &Digest| Some(digest) != finding.digest.as_ref();
    if !has_few_tags(finding) {
        None
    } else if !pointed_to.is_empty() && pointed_to.iter().all(is_readable) {
        Some(Repair::Delete(pointed_to.clone()))
    } else {
        Some(Repair::Remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Nearby;
    use crate::report::fixture;
    use crate::report::{Kind, Listed};

    fn actions(finding: &Finding, sweep: &Sweep) -> Vec<&'static str> {
        let repairs = Repair::of(finding, sweep);
        repairs
            .iter()
            .map(|repair| repair.action().word())
            .collect()
    }

    /// A finding that has everything near it.
    fn finding(kind: Kind, reason: Reason) -> Finding {
        let mut finding = fixture::finding(kind, reason);
        finding.nearby = Nearby {
            pointed_to: vec![Digest::sha256(b"index")],
            sibling: Some(("v3".parse().expect("a tag"), Digest::sha256(b"v3"))),
            copy: None,
        };
        finding
    }

    #[test]
    fn the_best_repair_comes_first() {
        use Kind as K;
        use Reason as R;
        for (kind, reason, observed, expected) in [
            (K::Child, R::NotFound, None, "repoint push delete"),
            (K::Layer, R::NotFound, None, "repoint push delete"),
            (
                K::Layer,
                R::ShortRead,
                Some(fixture::observed(R::ShortRead, 206)),
                "refresh repoint delete",
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(fixture::observed(R::SizeMismatch, 200)),
                "refresh repoint delete",
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(Observed::OtherLength {
                    length: 7,
                    source: LengthSource::Verified,
                }),
                "repoint rebuild delete",
            ),
            (
                K::Layer,
                R::DigestMismatch,
                Some(fixture::observed(R::DigestMismatch, 200)),
                "refresh repoint delete",
            ),
            (K::Child, R::Unreadable, None, "refresh repoint delete"),
            (K::Child, R::InvalidManifest, None, "repoint rebuild delete"),
            (
                K::Child,
                R::MediaTypeMismatch,
                None,
                "repoint rebuild delete",
            ),
            (K::Layer, R::StorageMissing, None, "refresh repoint delete"),
            (K::Layer, R::Inconsistent, None, ""),
        ] {
            let mut finding = finding(kind, reason);
            finding.defect.evidence.observed = observed;
            let sweep = fixture::sweep();
            let told = actions(&finding, &sweep).join(" ");
            assert_eq!(told, expected, "{kind}/{reason}");
        }
    }

    #[test]
    fn what_another_repository_holds_is_taken_from_there() {
        let sweep = fixture::sweep();
        for (kind, first) in [
            (Kind::Layer, "mount"),
            (Kind::Config, "mount"),
            (Kind::Child, "copy"),
        ] {
            let mut finding = finding(kind, Reason::NotFound);
            finding.nearby.copy = Some("base".parse().expect("a name"));
            assert_eq!(actions(&finding, &sweep)[0], first);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_deleted_by_its_digest() {
        let sweep = fixture::sweep();
        let mut own = finding(Kind::Tag, Reason::DigestMismatch);
        own.nearby.pointed_to = own.digest.clone().into_iter().collect();
        assert_eq!(actions(&own, &sweep).last(), Some(&"remove"));
        let mut dangling = finding(Kind::Tag, Reason::NotFound);
        (dangling.digest, dangling.nearby.pointed_to) = (None, Vec::new());
        assert_eq!(actions(&dangling, &sweep), ["repoint", "push", "remove"]);
    }

    #[test]
    fn a_name_that_was_mistyped_is_not_removed() {
        let mut sweep = fixture::sweep();
        sweep.listed = Listed::Images(Vec::new());
        let mut named = fixture::finding(Kind::Tag, Reason::NotFound);
        named.digest = None;
        assert_eq!(actions(&named, &sweep), ["push"]);
    }

    #[test]
    fn many_tags_are_neither_moved_nor_deleted() {
        let sweep = fixture::sweep();
        let mut many = finding(Kind::Layer, Reason::NotFound);
        many.tags = (0..=FEW_TAGS)
            .map(|n| n.to_string().parse().expect("a tag"))
            .collect();
        assert_eq!(actions(&many, &sweep), ["push"]);
        many.tags.clear();
        assert!(actions(&many, &sweep).is_empty());
    }

    #[test]
    fn nothing_is_pushed_to_a_cache() {
        let mut sweep = fixture::sweep();
        (sweep.mode, sweep.listed) = (Mode::PullThrough, Listed::Images(Vec::new()));
        let finding = finding(Kind::Child, Reason::DigestMismatch);
        assert!(actions(&finding, &sweep).is_empty());
    }
}
