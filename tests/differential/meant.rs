//! The disagreements with clients that are meant, each with its reason.

use registry_probe::model::{Depth, Verdict};

use crate::client::Taken;
use crate::judge::{Disagreement, Run};
use crate::probe::Said;

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
                 plain GET, and all that it was answered is what a whole registry answers. The claim of \
                 `tail` goes no further, and depth `digest` finds it.",
        is: |run, said, disagreement| {
            let at_digest = run.said.iter().find(|said| said.depth == Depth::Digest);
            disagreement == Disagreement::Missed
                && said.depth != Depth::Digest
                && !said.saw_something_odd
                && at_digest.is_some_and(|said| said.verdict != Verdict::Intact)
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
        name: "empty layer",
        reason: "containerd refuses a descriptor of 0 bytes (core/remotes/handlers.go: \"which reports content \
                 size of zero\"); skopeo, docker and podman take it, and the registry keeps its promise. The \
                 probe notes it.",
        is: |run, _, disagreement| {
            disagreement == Disagreement::Missed
                && run.reports.as_ref().is_none_or(|[_, containerd]| {
                    containerd.said.contains("reports content size of zero")
                })
                && run.trial.shape.has_empty_layer
        },
    },
];
