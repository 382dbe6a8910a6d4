//! The disagreements with clients that are meant, each with its reason.

use registry_double::media_type as t;
use registry_probe::registry::Depth;
use registry_probe::report::Verdict;

use crate::client::{Taken, Unpacked};
use crate::image::Part;
use crate::judge::{Disagreement, Run};
use crate::probe::Said;
use crate::wire::{Asked, Deviation};

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
                 answers, or it says that it has read the start only. The claim of `tail` goes no \
                 further, and depth `digest` finds it.",
        is: |run, said, disagreement| {
            let at_digest = run.said.iter().find(|said| said.depth == Depth::Digest);
            // Of what it read no more than the start of, it says so.
            let is_start = |line: &String| line.starts_with("skipped range_unsupported");
            let is_counted = said.lines.iter().any(is_start);
            disagreement == Disagreement::Missed
                && said.depth < Depth::Digest
                && at_digest.is_some_and(|at_digest| {
                    at_digest.verdict != Verdict::Intact
                        && (is_counted || at_digest.named.is_disjoint(&said.odd))
                })
        },
    },
    Meant {
        name: "unknown type",
        reason: "A document whose header and `mediaType` name a type that no client knows is pulled by the \
                 tools that made it, not by these: skopeo has no reader for it, and containerd asks for it \
                 as a blob (core/remotes/docker/fetcher.go). The probe walks it by its structure, and what it \
                 has lost is found.",
        is: |run, said, disagreement| {
            disagreement == Disagreement::Missed
                && run.trial.damages.is_empty()
                && said
                    .lines
                    .iter()
                    .any(|line| line.contains("documents of a type that no client knows"))
        },
    },
    Meant {
        name: "artifact",
        reason: "A manifest with a config or a layer of a type that no image has is not unpacked by whoever knows what it is. \
                 containerd 1.6 fails on such a layer (diff/stream.go, \"no processor for media-type\"), and 2.x passes \
                 over it (client/image.go, `getLayers`); docker asks for no type. The probe counts it as `artifact`.",
        is: |run, said, disagreement| {
            let is_counted = |line: &String| line.starts_with("skipped artifact");
            let is_of_unpacking = run.clients.unpacked != Unpacked::Whole
                && run.clients.unpacked != Unpacked::NotAsked;
            disagreement == Disagreement::Missed
                && is_of_unpacking
                && said.lines.iter().any(is_counted)
        },
    },
    Meant {
        name: "empty index",
        reason: "containerd fails to unpack an index without children (core/images/image.go, \"no match for platform in \
                 manifest\"), as any client does that wants to run it; skopeo copies it. It promises nothing that could be \
                 lost, and some tools push one first and fill it later: the probe tells of it.",
        is: |run, said, disagreement| {
            let is_told = |line: &String| line.contains("indexes that promise nothing");
            disagreement == Disagreement::Missed
                && run.clients.unpacked == Unpacked::NotByDocuments
                && said.lines.iter().any(is_told)
        },
    },
    Meant {
        name: "label",
        reason: "skopeo and containerd undo what `Content-Encoding: gzip` says, also where the bytes are right \
                 as they are: of a layer that is gzip by itself they then have the tar. docker asks for \
                 `identity` and takes the bytes as they are (moby#17595), and so does the probe.",
        is: |run, _, disagreement| {
            let kinds = run.trial.kinds();
            // What comes compressed is put in the clear again where the tag is given another manifest.
            let is_labelled = kinds.contains(&"header Content-Encoding")
                || (kinds.contains(&"body compressed") && run.trial.has_two_tags());
            disagreement == Disagreement::Missed && is_labelled
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
        name: "GET of the tag",
        reason: "containerd goes by what HEAD of the tag says, and asks by digest then; skopeo, podman and CRI-O \
                 ask for the tag by GET (image/docker/docker_image_src.go), and fail on what comes, or on its \
                 type. Whoever asks so does not get the image, and `verify` and one tag of each repository \
                 are asked for so.",
        is: |run, said, disagreement| {
            let is_it = |wire: &Deviation| {
                let is_type = wire.kind == "header Content-Type" && wire.asked == Asked::Get;
                wire.part == Part::Root && (wire.asked == Asked::GetByTag || is_type)
            };
            disagreement == Disagreement::FalseAlarm
                && run.clients.taken == [Taken::Not, Taken::Whole]
                && run.trial.wires.iter().any(is_it)
                && said
                    .lines
                    .first()
                    .is_some_and(|line| line.starts_with("tag "))
        },
    },
    Meant {
        name: "no size",
        reason: "A layer that is said to have 0 bytes, and has some, is refused by containerd \
                 (core/remotes/handlers.go) unless another child of the index has brought it before, which is \
                 chance; cosign and crane hold the size against the bytes, and refuse it (nix2container#207). \
                 skopeo takes it, for 0 is no size to it.",
        is: |run, _, disagreement| {
            disagreement == Disagreement::FalseAlarm && run.trial.promises_nothing()
        },
    },
    Meant {
        name: "no bytes",
        reason: "A layer of 0 bytes is fetched by skopeo, and refused by containerd before it asks for it \
                 (core/remotes/handlers.go). Depth `unpack` says what containerd unpacks.",
        is: |run, said, disagreement| {
            let is_unpacking = |line: &&String| line.starts_with("layer unpack_failed");
            let mut failed = said.lines.iter().filter(is_unpacking);
            disagreement == Disagreement::FalseAlarm
                && said.depth == Depth::Unpack
                && run.trial.shape.has_empty_layer
                && failed.all(|line| line.contains("there is not one byte"))
        },
    },
    Meant {
        name: "one shape",
        reason: "OCI's and Docker's types of one shape are equal for the probe. Where a registry serves one as \
                 the other and is strict about `Accept` besides, containerd asks for the type that it was told \
                 and is told that there is none; skopeo reads the document by the rules of the other.",
        is: |run, _, disagreement| {
            let shapes = [
                [t::OCI_MANIFEST, t::DOCKER_MANIFEST],
                [t::OCI_INDEX, t::DOCKER_LIST],
            ];
            let is_equal = |wire: &Deviation| {
                let mut stored = run.trial.stored.iter();
                let own = stored.find(|stored| stored.part == wire.part);
                let own = own
                    .and_then(|own| own.media_type.as_deref())
                    .unwrap_or_default();
                let is_other = |t: &&str| *t != own && wire.words.contains(*t);
                shapes
                    .iter()
                    .any(|shape| shape.contains(&own) && shape.iter().any(is_other))
            };
            disagreement == Disagreement::Missed && run.trial.wires.iter().any(is_equal)
        },
    },
];
