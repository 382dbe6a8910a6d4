//! Why something is broken: a closed set of causes, decided by what was seen and by nothing else.

use super::evidence::{LengthSource, Observed, Promised, Start};
use super::finding::Finding;
use super::mode::Mode;
use super::outcome::{Kind, Reason};
use crate::registry::{Software, UnverifiedReason};
use crate::words::words;

words! {
    /// What most likely broke an object.
    Cause {
        /// A clean-up took the object, or its repository's link to it, and left what promises it.
        GcOrRetention = "gc_or_retention",
        /// The registry remembers an object whose file is gone, empty or cut.
        StaleDescriptorCache = "stale_descriptor_cache",
        /// The file is there, with nothing in it.
        EmptyFile = "empty_file",
        /// The end of the file is gone.
        Truncated = "truncated",
        /// The file has its length and other bytes.
        BitRot = "bit_rot",
        /// Something between the store and us keeps a wrong copy: a web page, or what a cache fetched.
        ProxyPoisoned = "proxy_poisoned",
        /// The registry has it and refuses it, by a policy or to these credentials.
        PolicyDenied = "policy_denied",
        /// The registry redirects to a storage that does not have it.
        RedirectTarget = "redirect_target",
        /// Replicas or caches answer differently.
        ReplicasDisagree = "replicas_disagree",
        /// What was seen does not tell.
        Unknown = "unknown",
    }
}

impl Cause {
    /// The cause of a finding in a registry of this mode, by its kind, its reason and its evidence. `is_named`
    /// says whether the caller named the images.
    #[must_use]
    pub fn of(finding: &Finding, mode: Mode, is_named: bool) -> Self {
        let evidence = &finding.defect.evidence;
        let observed = evidence.observed.as_ref();
        match finding.defect.reason {
            // What the caller named may never have been there; what a list or manifest names was.
            Reason::NotFound => match finding.kind {
                Kind::Manifest => Self::Unknown,
                Kind::Tag if is_named => Self::Unknown,
                Kind::Tag | Kind::Child | Kind::Config | Kind::Layer | Kind::Referrer => {
                    Self::GcOrRetention
                }
            },
            Reason::StorageMissing => Self::RedirectTarget,
            Reason::Inconsistent => Self::ReplicasDisagree,
            Reason::Unreadable
            | Reason::MediaTypeMismatch
            | Reason::Contradiction
            | Reason::UnpackFailed
            | Reason::ReferrerMissing => Self::Unknown,
            Reason::ShortRead => match observed {
                Some(Observed::Cut { received: 1.., .. }) => Self::Truncated,
                // An earlier version saw it.
                None => Self::Unknown,
                // Distribution stats the file unless it remembers the blob: only memory promises
                // bytes that are not there.
                Some(_) => Self::StaleDescriptorCache,
            },
            Reason::SizeMismatch | Reason::DigestMismatch | Reason::InvalidManifest => {
                match observed {
                    Some(observed) => {
                        let promised = evidence.promised.as_ref().and_then(Promised::size);
                        Self::of_other_bytes(observed, promised.or(finding.size), mode)
                    }
                    None => Self::Unknown,
                }
            }
        }
    }

    fn of_other_bytes(observed: &Observed, size: Option<u64>, mode: Mode) -> Self {
        match observed {
            // What promises another length is wrong, and not the object.
            Observed::OtherLength {
                source: LengthSource::Verified,
                ..
            } => Self::Unknown,
            Observed::OtherLength { length: 0, .. } => Self::EmptyFile,
            Observed::OtherLength { length, .. } if Some(*length) < size => Self::Truncated,
            Observed::OtherBytes { start, .. } | Observed::NoManifest { start, .. } => {
                match (start, observed) {
                    (Start::Empty, _) => Self::EmptyFile,
                    (Start::WebPage, _) => Self::ProxyPoisoned,
                    (Start::Other, Observed::NoManifest { .. }) => Self::Unknown,
                    (Start::Other, _) if mode == Mode::PullThrough => Self::ProxyPoisoned,
                    (Start::Other, _) => Self::BitRot,
                }
            }
            Observed::Refused { .. }
            | Observed::Cut { .. }
            | Observed::OtherLength { .. }
            | Observed::MoreBytes
            | Observed::InvalidManifest { .. }
            | Observed::OtherKind { .. }
            | Observed::OtherLayers { .. }
            | Observed::UnpacksTo { .. }
            | Observed::NotUnpacked { .. }
            | Observed::UnreadableConfig { .. }
            | Observed::OtherPlatform { .. }
            | Observed::Attached { .. }
            | Observed::Changing { .. } => Self::Unknown,
        }
    }

    /// The same in this software. zot and Gitea look at the file for every answer: what they promise and
    /// do not send is in a file that is there, and empty.
    pub(super) fn in_software(self, software: Option<Software>) -> Self {
        match (self, software) {
            (Self::StaleDescriptorCache, Some(Software::Zot | Software::Gitea)) => Self::EmptyFile,
            (cause, _) => cause,
        }
    }

    /// The cause behind an unverified reason, where the answer itself names one.
    #[must_use]
    pub fn of_unverified(reason: UnverifiedReason) -> Option<Self> {
        (reason == UnverifiedReason::Forbidden).then_some(Self::PolicyDenied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use crate::report::fixture;

    fn length(length: u64, source: LengthSource) -> Observed {
        Observed::OtherLength { length, source }
    }

    fn bytes(start: Start) -> Observed {
        Observed::OtherBytes {
            length: None,
            digest: Digest::sha256(b"others"),
            start,
        }
    }

    #[test]
    fn causes_follow_from_what_was_seen() {
        use Cause as C;
        use Kind as K;
        use LengthSource::{Stated, Verified};
        use Reason as R;
        let cut = |received| Observed::Cut {
            received,
            announced: Some(80_000),
        };
        let page = Observed::NoManifest {
            error: "no JSON".into(),
            start: Start::WebPage,
        };
        for (kind, reason, observed, expected) in [
            (K::Child, R::NotFound, None, C::GcOrRetention),
            (K::Layer, R::NotFound, None, C::GcOrRetention),
            (K::Tag, R::NotFound, None, C::GcOrRetention),
            (K::Manifest, R::NotFound, None, C::Unknown),
            (
                K::Layer,
                R::ShortRead,
                Some(cut(0)),
                C::StaleDescriptorCache,
            ),
            (K::Layer, R::ShortRead, Some(cut(7)), C::Truncated),
            (
                K::Layer,
                R::SizeMismatch,
                Some(length(0, Stated)),
                C::EmptyFile,
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(length(7, Stated)),
                C::Truncated,
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(length(80_001, Stated)),
                C::Unknown,
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(Observed::MoreBytes),
                C::Unknown,
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(length(7, Verified)),
                C::Unknown,
            ),
            (
                K::Layer,
                R::DigestMismatch,
                Some(bytes(Start::Other)),
                C::BitRot,
            ),
            (
                K::Child,
                R::DigestMismatch,
                Some(bytes(Start::WebPage)),
                C::ProxyPoisoned,
            ),
            (
                K::Child,
                R::DigestMismatch,
                Some(bytes(Start::Empty)),
                C::EmptyFile,
            ),
            (K::Child, R::InvalidManifest, Some(page), C::ProxyPoisoned),
            (K::Child, R::InvalidManifest, None, C::Unknown),
            (K::Layer, R::StorageMissing, None, C::RedirectTarget),
            (K::Layer, R::Inconsistent, None, C::ReplicasDisagree),
            (K::Layer, R::Unreadable, None, C::Unknown),
            (K::Child, R::MediaTypeMismatch, None, C::Unknown),
        ] {
            let mut finding = fixture::finding(kind, reason);
            finding.size = Some(80_000);
            finding.defect.evidence.observed.clone_from(&observed);
            let what = format!("{kind}/{reason} {observed:?}");
            assert_eq!(C::of(&finding, Mode::Private, false), expected, "{what}");
            // Whoever names a tag may have mistyped it.
            let is_named = (kind, reason) == (K::Tag, R::NotFound);
            let expected = if is_named { C::Unknown } else { expected };
            assert_eq!(C::of(&finding, Mode::Private, true), expected, "{what}");
        }
        let mut finding = fixture::finding(K::Child, R::DigestMismatch);
        finding.defect.evidence.observed = Some(bytes(Start::Other));
        assert_eq!(C::of(&finding, Mode::PullThrough, false), C::ProxyPoisoned);
    }
}
