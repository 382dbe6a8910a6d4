//! The disagreements with clients that are meant, each with its reason.

use registry_probe::model::{Depth, Verdict};

use crate::client::Taken;
use crate::image::Kind;
use crate::judge::{Disagreement, Run};
use crate::probe::Said;
use crate::wire::Asked;

/// A kind of disagreement that is meant.
pub(crate) struct Meant {
    pub(crate) name: &'static str,
    /// Why, by a client's source or by measurement.
    pub(crate) reason: &'static str,
    pub(crate) is: fn(&Run, &Said, Disagreement) -> bool,
}

pub(crate) const MEANT: &[Meant] = &[
    Meant {
        name: "unread",
        reason: "At depth `tail` the probe asks for the last byte of a large blob and for nothing of it by a \
                 plain GET, and all that it was answered about what is broken is what a whole registry \
                 answers. The claim of `tail` goes no further, and depth `digest` finds it.",
        is: |run, said, disagreement| {
            let at_digest = run.said.iter().find(|said| said.depth == Depth::Digest);
            disagreement == Disagreement::Missed
                && said.depth != Depth::Digest
                && at_digest.is_some_and(|at_digest| {
                    at_digest.verdict != Verdict::Intact && at_digest.named.is_disjoint(&said.odd)
                })
        },
    },
    Meant {
        name: "resumed",
        reason: "containerd asks for the rest of a body that was cut, with a range, up to three times in vain \
                 (core/remotes/docker/httpreadseeker.go); skopeo, docker and a plain GET do not get the \
                 object.",
        is: |run, _, disagreement| {
            let kinds = run.trial.kinds();
            disagreement == Disagreement::FalseAlarm
                && run.taken == [Taken::Not, Taken::Whole]
                && kinds.iter().any(|kind| kind.contains("cut"))
        },
    },
    Meant {
        name: "unknown type",
        reason: "A document whose header and `mediaType` name a type that no client knows is pulled by the \
                 tools that made it, not by these: skopeo has no reader for it, and containerd asks for it \
                 as a blob (core/remotes/docker/fetcher.go). The probe walks it by its structure, and what it \
                 has lost is found.",
        is: |run, _, disagreement| {
            disagreement == Disagreement::Missed
                && run.trial.shape.kind == Kind::Unknown
                && run.trial.damages.is_empty()
        },
    },
    Meant {
        name: "root by digest",
        reason: "skopeo asks for the root by its tag only; containerd, docker and whoever pins a digest ask for \
                 it by digest, and fail.",
        is: |run, _, disagreement| {
            disagreement == Disagreement::FalseAlarm
                && run.taken == [Taken::Whole, Taken::Not]
                && run
                    .trial
                    .wires
                    .iter()
                    .any(|wire| wire.asked == Asked::ByDigest)
        },
    },
];
