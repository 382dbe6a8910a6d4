//! Why something is broken: a closed set of causes, told from what was seen and from nothing else.

use std::fmt;

use super::outcome::{Kind, ObstacleReason, Reason, words};
use super::sweep::{Finding, Listed, Mode, Sweep};

words! {
    /// What a look showed besides its words: a mark by which damages are told apart.
    Sign {
        /// Bytes are announced, and not one of them came.
        NothingCame = "nothing_came",
        /// Bytes are announced, and only the first of them came.
        CutShort = "cut_short",
        /// The registry itself says that there are no bytes.
        Empty = "empty",
        /// The registry itself says that there are fewer bytes than promised.
        Shorter = "shorter",
        /// There are more bytes than promised.
        Longer = "longer",
        /// All bytes came, and they are others.
        OtherBytes = "other_bytes",
        /// A web page came instead.
        WebPage = "web_page",
        /// The object is whole in itself, and what promises it has another size in mind.
        OtherPromise = "other_promise",
    }
}

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
    /// The cause of a finding of `sweep`, by its kind, its reason and the sign in its evidence.
    #[must_use]
    pub fn of(finding: &Finding, sweep: &Sweep) -> Self {
        let sign = finding.defect.evidence.sign;
        match finding.defect.reason {
            // What the caller named may never have been there; what a list or manifest names was.
            Reason::NotFound => match (finding.kind, &sweep.listed) {
                (Kind::Manifest, _) | (Kind::Tag, Listed::Images(_)) => Self::Unknown,
                _ => Self::GcOrRetention,
            },
            Reason::StorageMissing => Self::RedirectTarget,
            Reason::Inconsistent => Self::ReplicasDisagree,
            Reason::Unreadable => Self::Unknown,
            Reason::ShortRead if sign == Some(Sign::CutShort) => Self::Truncated,
            // Distribution stats the file unless it remembers the blob: only memory promises bytes
            // that are not there.
            Reason::ShortRead => Self::StaleDescriptorCache,
            Reason::SizeMismatch | Reason::DigestMismatch | Reason::InvalidManifest => match sign {
                Some(Sign::Empty) => Self::EmptyFile,
                Some(Sign::Shorter) => Self::Truncated,
                Some(Sign::WebPage) => Self::ProxyPoisoned,
                Some(Sign::OtherBytes) if sweep.mode == Mode::PullThrough => Self::ProxyPoisoned,
                Some(Sign::OtherBytes) => Self::BitRot,
                _ => Self::Unknown,
            },
        }
    }

    /// The cause behind an obstacle, where the answer itself names one.
    #[must_use]
    pub fn of_obstacle(reason: ObstacleReason) -> Option<Self> {
        (reason == ObstacleReason::Forbidden).then_some(Self::PolicyDenied)
    }
}
