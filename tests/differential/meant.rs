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
        name: "label",
        reason: "skopeo and containerd undo what `Content-Encoding: gzip` says, also where the bytes are right \
                 as they are: of a layer that is gzip by itself they then have the tar. docker asks for \
                 `identity` and takes the bytes as they are (moby#17595), and so does the probe.",
        is: |run, _, disagreement| {
            let kinds = run.trial.kinds();
            disagreement == Disagreement::Missed && kinds.contains(&"header Content-Encoding")
        },
    },
    Meant {
        name: "odd framing",
        reason: "Go's HTTP client refuses an answer whose `Transfer-Encoding` is not `chunked` alone, or whose \
                 `Content-Length` is a list of equal lengths (net/http/transfer.go), where RFC 9112, 6, lets \
                 a recipient go on. No registry was seen to send either; the bytes are there and right.",
        is: |run, _, disagreement| {
            let is_framing =
                |kind: &&str| matches!(*kind, "header Transfer-Encoding" | "header Content-Length");
            disagreement == Disagreement::Missed && run.trial.kinds().iter().any(is_framing)
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
