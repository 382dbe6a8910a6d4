//! What a manifest and its index promise, held against what the image's config says, and layers against that.
//! Pure.

use std::collections::HashMap;

use bytes::Bytes;

use super::judge::{Judged, blob, broken};
use crate::oci::{Descriptor, Differing, Digest, Document, ImageConfig, MediaKind, Platform};
use crate::registry::{
    Answer, BlobLook, BlobRead, ManifestBody, Unpacked, Unverified, UnverifiedReason,
};
use crate::report::{Defect, Evidence, Observed, Outcome, Promised, Reason, SkipReason};

/// A manifest as an image whose config has to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Image {
    /// It is none that is unpacked, or no manifest.
    #[default]
    None,
    /// It has so many layers, and its config was not read.
    Unread(u16),
    /// And its config says this.
    Read(u16, ImageConfig),
}

impl Image {
    /// With its config read.
    pub(super) fn read(self, config: ImageConfig) -> Self {
        match self {
            Self::None => Self::None,
            Self::Unread(layers) | Self::Read(layers, _) => Self::Read(layers, config),
        }
    }

    /// In which way its config contradicts it, if it does.
    pub(super) fn contradiction(self) -> Option<Defect> {
        match self {
            Self::Read(layers, config) => of_layers(layers, config),
            Self::None | Self::Unread(_) => None,
        }
    }

    /// A manifest and its config, if that was read already.
    pub(super) fn of(document: &Document, config: Option<ImageConfig>) -> Self {
        match (layers(document), config) {
            (None, _) => Self::None,
            (Some(layers), None) => Self::Unread(layers),
            (Some(layers), Some(config)) => Self::Read(layers, config),
        }
    }
}

/// How many layers an image has that its config has to know; `None` if nobody unpacks it. containerd unpacks what
/// it knows as the config of an image (core/unpack/unpacker.go, `Unpack`), and of that the layers of its types; a
/// manifest that has others, too, is an artifact's (image-spec, manifest.md, "Guidelines for Artifact Usage").
fn layers(document: &Document) -> Option<u16> {
    let config = document.config.as_ref();
    let is_image = document.kind == MediaKind::Manifest
        && config.is_some_and(Descriptor::is_of_an_image)
        && document.layers.iter().all(Descriptor::is_tar);
    let layers = document.layers.len() as u64 + document.left_out;
    is_image.then(|| u16::try_from(layers).unwrap_or(u16::MAX))
}

/// Judges a config against the number of layers of its manifest: "number of layers and diffIDs don't match"
/// (containerd, core/unpack/unpacker.go, `unpack`), or it cannot be read there.
fn of_layers(layers: u16, config: ImageConfig) -> Option<Defect> {
    let observed = match config.problem {
        // An artifact without layers may have any config; there is nothing to unpack by it.
        Some(_) if layers == 0 => return None,
        Some(problem) => Observed::UnreadableConfig {
            problem: problem.to_string().as_str().into(),
        },
        None if layers == config.layers => return None,
        None => Observed::OtherLayers {
            layers: config.layers.into(),
        },
    };
    let layers = layers.into();
    Some(defect(Promised::Layers { layers }, observed))
}

fn defect(promised: Promised, observed: Observed) -> Defect {
    Defect {
        reason: Reason::Contradiction,
        evidence: Box::new(Evidence {
            promised: Some(promised),
            observed: Some(observed),
            ..Evidence::default()
        }),
    }
}

/// Judges a layer that was unpacked.
pub(super) fn layer(digest: &Digest, size: Option<u64>, answer: Answer<BlobLook>) -> Judged {
    let seen = match &answer {
        Answer::Found(look) => Some((look.unpacked.clone(), look.request.clone(), look.status)),
        _ => None,
    };
    let mut judged = blob(digest, size, answer);
    let Some((unpacked, request, status)) = seen.filter(|_| judged.outcome == Outcome::Intact)
    else {
        return judged;
    };
    match unpacked {
        None => {}
        Some(Unpacked::Whole(unpacks_to)) => judged.unpacks_to = Some(unpacks_to),
        Some(Unpacked::Lost) => {
            let detail = "it could not be unpacked by a fault of this program";
            let why = Unverified::new(UnverifiedReason::Protocol, detail);
            judged.outcome = Outcome::Unverified(why);
        }
        Some(Unpacked::Limited) => judged.skip_reason = Some(SkipReason::UnpackLimit),
        Some(Unpacked::Failed(problem)) => {
            let promised = Promised::Blob {
                digest: digest.clone(),
                size,
            };
            let observed = Observed::NotUnpacked { problem };
            judged.outcome = broken(Reason::UnpackFailed, promised, observed, &request, status);
        }
    }
    judged
}

/// Judges what a layer unpacks to against what a config says of it.
pub(super) fn diff_id(promised: &Digest, unpacks_to: &Digest) -> Option<Defect> {
    (promised != unpacks_to).then(|| Defect {
        reason: Reason::DigestMismatch,
        evidence: Box::new(Evidence {
            promised: Some(Promised::DiffId {
                digest: promised.clone(),
            }),
            observed: Some(Observed::UnpacksTo {
                digest: unpacks_to.clone(),
            }),
            ..Evidence::default()
        }),
    })
}

/// Judges a blob that was read as the config of an image. `unpack` says whether its layers are to be unpacked.
pub(super) fn config(
    digest: &Digest,
    size: Option<u64>,
    answer: Answer<ManifestBody>,
    unpack: bool,
) -> Judged {
    let (answer, bytes) = match answer {
        Answer::Found(body) => {
            let look = BlobLook {
                request: body.request,
                status: 200,
                length: body.announced,
                read: BlobRead::All {
                    received: body.bytes.len() as u64,
                    digest: digest.of_same_algorithm(&body.bytes),
                    end: body.end,
                },
                storage: None,
                is_html: false,
                unpacked: None,
                is_from_cache: false,
            };
            (Answer::Found(look), body.bytes)
        }
        Answer::Absent(refusal) => (Answer::Absent(refusal), Bytes::new()),
        Answer::Failing(refusal) => (Answer::Failing(refusal), Bytes::new()),
        Answer::Unverified(why) => (Answer::Unverified(why), Bytes::new()),
    };
    let judged = blob(digest, size, answer);
    let is_intact = judged.outcome == Outcome::Intact;
    Judged {
        config: is_intact.then(|| ImageConfig::read(&bytes)),
        diff_ids: if is_intact && unpack {
            ImageConfig::diff_ids(&bytes)
        } else {
            Vec::new()
        },
        ..judged
    }
}

/// A child of an index whose config names another platform than the index does. Index and child are told by numbers.
pub(super) struct Misplaced {
    pub(super) index: u32,
    pub(super) child: u32,
    pub(super) promised: Platform,
    config: Platform,
    differing: Differing,
}

impl Misplaced {
    /// A child of which an index promises this platform, if its config contradicts that.
    pub(super) fn of(
        (index, child): (u32, u32),
        promised: Platform,
        config: ImageConfig,
    ) -> Option<Self> {
        // Of a config that is not read, nothing is known.
        let config = config.problem.is_none().then_some(config.platform)?;
        Some(Self {
            index,
            child,
            promised,
            config,
            differing: promised.differs(config)?,
        })
    }

    pub(super) fn defect(&self) -> Defect {
        let [promised, config] = [self.promised, self.config].map(|it| it.to_string());
        defect(
            Promised::Platform {
                platform: promised.as_str().into(),
            },
            Observed::OtherPlatform {
                platform: config.as_str().into(),
            },
        )
    }
}

/// The first child in the place of an architecture that holds another one, and whether there are more.
pub(super) struct Places(HashMap<(u32, u8), (u32, bool)>);

impl Places {
    pub(super) fn of(all: &[Misplaced]) -> Self {
        let mut places = HashMap::new();
        for wrong in all {
            if wrong.differing == Differing::Architecture {
                let place = (wrong.index, wrong.promised.architecture());
                let (first, has_more) = places.entry(place).or_insert((wrong.child, false));
                *has_more |= *first != wrong.child;
            }
        }
        Self(places)
    }

    /// Whether a child cannot run as promised. Another system never does. Another architecture does not where the
    /// child is in the place of one that is in its own, or in that of a third: then both were meant for each other's
    /// place. Otherwise the config alone may be wrong, as that of many images that run (built for each platform,
    /// with a config that names the builder's), or one child stands for several platforms.
    pub(super) fn is_contradiction(&self, wrong: &Misplaced) -> bool {
        match wrong.differing {
            Differing::System => true,
            Differing::Version => false,
            Differing::Architecture => {
                let own_place = (wrong.index, wrong.config.architecture());
                let other = self.0.get(&own_place);
                other.is_some_and(|(first, has_more)| *first != wrong.child || *has_more)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn document(config: &str, layers: &[&str]) -> Document {
        let entry = |media_type: &str| serde_json::json!({"mediaType": media_type, "digest": DIGEST, "size": 2});
        let layers: Vec<_> = layers.iter().map(|layer| entry(layer)).collect();
        let json = serde_json::json!({"config": entry(config), "layers": layers});
        Document::parse(json.to_string().as_bytes(), None).expect("a document")
    }

    fn of(manifest: &Document, config: &str) -> Option<Defect> {
        of_layers(layers(manifest)?, ImageConfig::read(config.as_bytes()))
    }

    fn config(diff_ids: usize) -> String {
        let diff_ids = vec![DIGEST; diff_ids];
        let rootfs = serde_json::json!({"type": "layers", "diff_ids": diff_ids});
        serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).to_string()
    }

    /// Measured with containerd 1.6.20: every digest is right, and it fails when it unpacks.
    #[test]
    fn what_cannot_be_unpacked() {
        let image = document(OCI_CONFIG, &[LAYER, LAYER]);
        assert_eq!(of(&image, &config(2)), None);
        let text_for_list = config(2).replace('[', "{\"x\":").replace(']', "}");
        for config in [
            config(1),
            config(3),
            config(0),
            "{}".into(),
            r#"{"os": "linux", "architecture": "amd64"}"#.into(),
            r#"{"rootfs": {"type": "layers", "diff_ids": ["sha256:x", "y"]}}"#.into(),
            r#"{"schemaVersion": 2, "config": {"digest": "x"}, "layers": []}"#.into(),
            "no JSON".into(),
            config(2).replace("\"os\"", "\"config\": {\"Cmd\": 1}, \"os\""),
            text_for_list,
        ] {
            let defect = of(&image, &config).expect("a contradiction");
            assert_eq!(defect.reason, Reason::Contradiction, "{config}");
        }
        // The layers were dropped.
        assert!(of(&document(OCI_CONFIG, &[]), &config(2)).is_some());
    }

    /// Each of the shape of a document that others publish, and clients pull.
    #[test]
    fn what_nobody_unpacks() {
        let cosign = "application/vnd.dev.cosign.simplesigning.v1+json";
        let in_toto = "application/vnd.in-toto+json";
        let wasm = "application/vnd.wasm.content.layer.v1+wasm";
        let helm = "application/vnd.cncf.helm.config.v1+json";
        for (config_type, layer_types, config) in [
            (OCI_CONFIG, vec![cosign], "{}"),
            (
                OCI_CONFIG,
                vec![in_toto; 2],
                r#"{"rootfs": {"diff_ids": []}}"#,
            ),
            (
                OCI_CONFIG,
                vec![wasm],
                r#"{"os": "js", "architecture": "wasm"}"#,
            ),
            (DOCKER_CONFIG, vec![DOCKER_CONFIG], "{}"),
            // CNAB: the bundle is the config.
            (
                OCI_CONFIG,
                vec![],
                r#"{"schemaVersion": "v1.0.0", "name": "bundle"}"#,
            ),
            (OCI_CONFIG, vec![], "no JSON"),
            (OCI_CONFIG, vec![], r#"{"rootfs": {"diff_ids": null}}"#),
            (helm, vec![LAYER], "{}"),
            ("application/vnd.oci.empty.v1+json", vec![LAYER], "{}"),
            ("", vec![LAYER], "{}"),
            (
                OCI_CONFIG,
                vec!["application/vnd.oci.image.layer.v1.tar+other"],
                "{}",
            ),
            (
                OCI_CONFIG,
                vec![LAYER, "application/vnd.example.model"],
                "{}",
            ),
        ] {
            let document = document(config_type, &layer_types);
            assert_eq!(
                of(&document, config),
                None,
                "{config_type} {layer_types:?} {config}"
            );
        }
    }

    #[test]
    fn which_layers_are_unpacked() {
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar",
            LAYER,
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            for config in [OCI_CONFIG, DOCKER_CONFIG] {
                assert_eq!(
                    layers(&document(config, &[media_type])),
                    Some(1),
                    "{media_type}"
                );
            }
        }
    }

    /// An index of these children: which one, for what, and what its config says. Gives, for each that differs,
    /// whether that is a contradiction.
    fn misplaced(children: &[(u32, &str, &str)]) -> Vec<bool> {
        let wrong = children.iter().filter_map(|(id, promised, config)| {
            let config = Platform::of_child(config);
            let config = ImageConfig {
                platform: config,
                layers: 1,
                problem: None,
            };
            Misplaced::of((9, *id), Platform::of_child(promised), config)
        });
        let all: Vec<_> = wrong.collect();
        let places = Places::of(&all);
        all.iter()
            .map(|wrong| places.is_contradiction(wrong))
            .collect()
    }

    #[test]
    fn what_runs_on_no_promised_platform() {
        let (amd64, arm64, arm) = ("linux/amd64", "linux/arm64", "linux/arm/v7");
        assert_eq!(
            misplaced(&[(1, amd64, arm64), (2, arm64, amd64)]),
            [true, true]
        );
        let in_a_ring = [(1, amd64, arm64), (2, arm64, arm), (3, arm, amd64)];
        assert_eq!(misplaced(&in_a_ring), [true; 3]);
        assert_eq!(misplaced(&[(1, amd64, "windows/amd64")]), [true]);
    }

    /// As coredns#3669, kube-rbac-proxy#79, descheduler#1886 and dotnet-docker#454 were published, and run.
    #[test]
    fn what_may_well_run() {
        let (amd64, arm64) = ("linux/amd64", "linux/arm64");
        assert_eq!(misplaced(&[(1, arm64, amd64)]), [false]);
        assert_eq!(misplaced(&[(1, amd64, amd64), (2, arm64, amd64)]), [false]);
        let all_of_one = [
            (1, amd64, amd64),
            (2, arm64, amd64),
            (3, "linux/s390x", amd64),
        ];
        assert_eq!(misplaced(&all_of_one), [false; 2]);
        assert_eq!(misplaced(&[(1, amd64, amd64), (1, arm64, amd64)]), [false]);
        assert_eq!(
            misplaced(&[(1, arm64, "linux/s390x"), (2, amd64, "linux/s390x")]),
            [false; 2]
        );
        assert_eq!(misplaced(&[(1, "linux/arm/v6", "linux/arm/v7")]), [false]);
    }

    #[test]
    fn what_is_no_other_platform() {
        for (promised, config) in [
            ("unknown/unknown", "linux/amd64"),
            ("linux/amd64", ""),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/v5", "linux/arm"),
            ("sunos/intel386", "linux/amd64"),
        ] {
            assert_eq!(
                misplaced(&[(1, promised, config)]),
                Vec::<bool>::new(),
                "{promised}"
            );
        }
    }
}
