//! Why something is broken: a closed set of causes, decided by what was seen and from nothing else.

use super::finding::Finding;
use super::outcome::{Kind, Reason, Symptom};
use super::sweep::{Listed, Mode, Sweep};
use crate::registry::UnverifiedReason;
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
    /// The cause of a finding of `sweep`, by its kind, its reason and the symptom in its evidence.
    #[must_use]
    pub fn of<F>(finding: &Finding, sweep: &Sweep<F>) -> Self {
        let symptom = finding.defect.evidence.symptom;
        match finding.defect.reason {
            // What the caller named may never have been there; what a list or manifest names was.
            Reason::NotFound => match (finding.kind, &sweep.listed) {
                (Kind::Manifest, _) | (Kind::Tag, Listed::Images(_)) => Self::Unknown,
                _ => Self::GcOrRetention,
            },
            Reason::StorageMissing => Self::RedirectTarget,
            Reason::Inconsistent => Self::ReplicasDisagree,
            Reason::Unreadable | Reason::MediaTypeMismatch => Self::Unknown,
            Reason::ShortRead if symptom == Some(Symptom::CutShort) => Self::Truncated,
            // Distribution stats the file unless it remembers the blob: only memory promises bytes
            // that are not there.
            Reason::ShortRead => Self::StaleDescriptorCache,
            Reason::SizeMismatch | Reason::DigestMismatch | Reason::InvalidManifest => {
                match symptom {
                    Some(Symptom::Empty) => Self::EmptyFile,
                    Some(Symptom::Shorter) => Self::Truncated,
                    Some(Symptom::WebPage) => Self::ProxyPoisoned,
                    Some(Symptom::OtherBytes) if sweep.mode == Mode::PullThrough => {
                        Self::ProxyPoisoned
                    }
                    Some(Symptom::OtherBytes) => Self::BitRot,
                    _ => Self::Unknown,
                }
            }
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
    use crate::report::fixture;

    #[test]
    fn causes_follow_from_what_was_seen() {
        use Cause as C;
        use Kind as K;
        use Reason as R;
        use Symptom as S;
        for (kind, reason, sign, expected) in [
            (K::Child, R::NotFound, None, C::GcOrRetention),
            (K::Layer, R::NotFound, None, C::GcOrRetention),
            (K::Tag, R::NotFound, None, C::GcOrRetention),
            (K::Manifest, R::NotFound, None, C::Unknown),
            (
                K::Layer,
                R::ShortRead,
                Some(S::NothingCame),
                C::StaleDescriptorCache,
            ),
            (K::Layer, R::ShortRead, Some(S::CutShort), C::Truncated),
            (K::Layer, R::SizeMismatch, Some(S::Empty), C::EmptyFile),
            (K::Layer, R::SizeMismatch, Some(S::Shorter), C::Truncated),
            (K::Layer, R::SizeMismatch, Some(S::Longer), C::Unknown),
            (K::Layer, R::SizeMismatch, Some(S::OtherPromise), C::Unknown),
            (K::Layer, R::DigestMismatch, Some(S::OtherBytes), C::BitRot),
            (
                K::Child,
                R::DigestMismatch,
                Some(S::WebPage),
                C::ProxyPoisoned,
            ),
            (
                K::Child,
                R::InvalidManifest,
                Some(S::WebPage),
                C::ProxyPoisoned,
            ),
            (K::Child, R::InvalidManifest, None, C::Unknown),
            (K::Layer, R::StorageMissing, None, C::RedirectTarget),
            (K::Layer, R::Inconsistent, None, C::ReplicasDisagree),
            (K::Layer, R::Unreadable, None, C::Unknown),
            (K::Child, R::MediaTypeMismatch, None, C::Unknown),
        ] {
            let mut sweep = fixture::sweep();
            let mut finding = fixture::finding(kind, reason);
            finding.defect.evidence.symptom = sign;
            assert_eq!(
                C::of(&finding, &sweep),
                expected,
                "{kind}/{reason} {sign:?}"
            );
            // Whoever names a tag may have mistyped it.
            sweep.listed = Listed::Images(Vec::new());
            let is_named = (kind, reason) == (K::Tag, R::NotFound);
            let expected = if is_named { C::Unknown } else { expected };
            assert_eq!(
                C::of(&finding, &sweep),
                expected,
                "{kind}/{reason} {sign:?}"
            );
        }
        let mut sweep = fixture::sweep();
        sweep.mode = Mode::PullThrough;
        let mut finding = fixture::finding(K::Child, R::DigestMismatch);
        finding.defect.evidence.symptom = Some(S::OtherBytes);
        assert_eq!(C::of(&finding, &sweep), C::ProxyPoisoned);
    }
}
