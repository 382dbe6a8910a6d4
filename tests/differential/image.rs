//! The image of a seed: what it is made of and in which form, before anything deviates.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastrand::Rng;
use registry_double::{Registry, media_type as t, sha256};
use serde_json::{Value, json};

use crate::tarball::{gzip, tar};

/// Where the image is.
pub(crate) const REPOSITORY: &str = "app";
/// What it is called.
pub(crate) const TAG: &str = "v1";
/// Where all of it is once more, for redirects that lead to the right place.
pub(crate) const COPY: &str = "copy";
/// Small enough to be read whole at any depth.
const SMALL: std::ops::Range<usize> = 1_000..9_000;
/// Too large to be read whole unless that is asked for.
const LARGE: std::ops::Range<usize> = 70_000..130_000;

/// A part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What the tag names: an index, or a manifest.
    Root,
    /// The first child of an index.
    Child,
    /// The second child of an index, or an index in it.
    Sibling,
    /// The config of the first child.
    Config,
    /// A layer of some thousand bytes.
    Small,
    /// A layer of about a hundred thousand bytes.
    Large,
    /// Anything else.
    Rest,
}

/// A part as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) part: Part,
    pub(crate) digest: String,
    /// What `Content-Type` says of a manifest; nothing for a blob.
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Manifest,
    /// An index whose second child is an index.
    Nested,
    /// A manifest with a config and layers of types that no image has, as of a chart.
    Artifact,
    SignedSchema1,
    /// An index whose second child is a blob of a type that nobody knows.
    OddChild,
    /// A manifest under a type that nobody knows.
    Unknown,
}

/// In which form it is built.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "images have each of these without the others"
)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) is_docker: bool,
    pub(crate) says_type: bool,
    pub(crate) has_empty_layer: bool,
    pub(crate) has_extras: bool,
    /// Whether the registry refuses ranges as one built with old Go does.
    pub(crate) is_old: bool,
}

/// Changes a document on its way into the store, where it is this part, and what `Content-Type` says of it.
pub(crate) type Alter<'a> = dyn FnMut(Part, &mut Value, &mut String, &[Stored]) + 'a;

/// An image in the making: each document passes through `alter` before it is stored.
pub(crate) struct Builder<'a> {
    shape: Shape,
    random: &'a mut Rng,
    pub(crate) stored: Vec<Stored>,
    /// What each layer unpacks to, by its digest.
    diff_ids: BTreeMap<String, String>,
    alter: &'a mut Alter<'a>,
}

impl Shape {
    /// Chooses a form. Those that one of the clients never takes are chosen only where nothing else
    /// can keep the other one from taking it: `is_plain` says so.
    pub(crate) fn choose(random: &mut Rng, is_plain: bool, says_all: bool) -> Self {
        let kind = match random.u8(..100) {
            0..54 => Kind::Index,
            54..80 => Kind::Manifest,
            80..85 => Kind::Artifact,
            85..92 => Kind::SignedSchema1,
            _ if !is_plain => Kind::Manifest,
            92..95 => Kind::Nested,
            95..98 => Kind::OddChild,
            _ if says_all => Kind::Unknown,
            _ => Kind::Nested,
        };
        let is_docker = random.u8(..3) == 0 && kind != Kind::Unknown;
        Self {
            kind,
            is_docker,
            says_type: is_docker || random.u8(..3) != 0 || kind == Kind::Unknown,
            has_empty_layer: says_all && random.u8(..8) == 0,
            has_extras: random.u8(..3) == 0,
            is_old: random.bool(),
        }
    }

    pub(crate) fn words(self) -> String {
        let Self {
            kind,
            is_docker,
            says_type,
            has_empty_layer,
            has_extras,
            is_old,
        } = self;
        let mut words = format!(
            "{kind:?} of {} types",
            if is_docker { "Docker's" } else { "OCI" }
        );
        for (has, what) in [
            (!says_type, ", without mediaType"),
            (has_empty_layer, ", with an empty layer"),
            (has_extras, ", with fields that need not be there"),
            (is_old, ", 416 as old Go says it"),
        ] {
            words.push_str(if has { what } else { "" });
        }
        words
    }

    /// Manifest, index, config and layer.
    fn types(self) -> [&'static str; 4] {
        match (self.kind, self.is_docker) {
            (Kind::Unknown, _) => [
                "application/vnd.example.thing.v1+json",
                t::OCI_INDEX,
                t::OCI_CONFIG,
                t::OCI_LAYER,
            ],
            (Kind::Artifact, _) => [
                t::OCI_MANIFEST,
                t::OCI_INDEX,
                "application/vnd.cncf.helm.config.v1+json",
                "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            ],
            (_, true) => [
                t::DOCKER_MANIFEST,
                t::DOCKER_LIST,
                t::DOCKER_CONFIG,
                t::DOCKER_LAYER,
            ],
            (_, false) => [t::OCI_MANIFEST, t::OCI_INDEX, t::OCI_CONFIG, t::OCI_LAYER],
        }
    }
}

impl<'a> Builder<'a> {
    pub(crate) fn new(shape: Shape, random: &'a mut Rng, alter: &'a mut Alter<'a>) -> Self {
        Self {
            shape,
            random,
            stored: Vec::new(),
            diff_ids: BTreeMap::new(),
            alter,
        }
    }

    /// Builds it; the last that is stored is the root.
    pub(crate) fn build(mut self) -> Vec<Stored> {
        let small = self.layer(Part::Small, SMALL);
        let large = self.layer(Part::Large, LARGE);
        let mut layers = vec![small, large];
        if self.shape.has_empty_layer {
            layers.push(self.blob(Part::Rest, Vec::new(), &[]));
        }
        match self.shape.kind {
            Kind::SignedSchema1 => self.schema1(&layers),
            Kind::Manifest | Kind::Artifact | Kind::Unknown => {
                _ = self.manifest([Part::Root, Part::Config], "amd64", &layers);
            }
            Kind::OddChild => {
                let child = self.manifest([Part::Child, Part::Config], "amd64", &layers);
                let salt = self.random.u64(..);
                let odd = json!({"schemaVersion": 2, "salt": salt})
                    .to_string()
                    .into_bytes();
                let odd = self.store(
                    Part::Sibling,
                    None,
                    "application/vnd.example.odd.v1+json",
                    odd,
                );
                self.index(Part::Root, &[child, odd]);
            }
            Kind::Index | Kind::Nested => {
                let child = self.manifest([Part::Child, Part::Config], "amd64", &layers);
                let own = self.layer(Part::Rest, SMALL);
                let is_nested = self.shape.kind == Kind::Nested;
                let part = if is_nested { Part::Rest } else { Part::Sibling };
                let mut sibling =
                    self.manifest([part, Part::Rest], "arm64", &[own, layers[1].clone()]);
                if is_nested {
                    sibling = self.index(Part::Sibling, &[sibling]);
                }
                self.index(Part::Root, &[child, sibling]);
            }
        }
        self.stored
    }

    fn layer(&mut self, part: Part, length: std::ops::Range<usize>) -> Value {
        let mut content = vec![0; self.random.usize(length)];
        self.random.fill(&mut content);
        let archive = tar("file", &content);
        self.blob(part, gzip(&archive), &archive)
    }

    fn blob(&mut self, part: Part, bytes: Vec<u8>, archive: &[u8]) -> Value {
        let [.., layer] = self.shape.types();
        self.diff_ids.insert(sha256(&bytes), sha256(archive));
        self.store(part, None, layer, bytes)
    }

    fn store(
        &mut self,
        part: Part,
        served: Option<String>,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.stored.push(Stored {
            part,
            digest,
            media_type: served,
            bytes,
        });
        descriptor
    }

    /// Stores a document, altered or not, and describes it by the type that it should have.
    fn document(
        &mut self,
        part: Part,
        media_type: &str,
        is_manifest: bool,
        mut document: Value,
    ) -> Value {
        let mut served = media_type.to_owned();
        (self.alter)(part, &mut document, &mut served, &self.stored);
        let bytes = super::field::text(&document).into_bytes();
        self.store(part, is_manifest.then_some(served), media_type, bytes)
    }

    fn manifest(
        &mut self,
        [part, config]: [Part; 2],
        architecture: &str,
        layers: &[Value],
    ) -> Value {
        let [manifest_type, _, config_type, _] = self.shape.types();
        let diff_ids: Vec<_> = layers
            .iter()
            .filter_map(|layer| self.diff_ids.get(layer["digest"].as_str()?))
            .collect();
        let salt = self.random.u64(..);
        let described = json!({
            "created": "2024-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"salt": salt.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "COPY"}],
        });
        let config = self.document(config, config_type, false, described);
        let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.dress(&mut manifest, manifest_type);
        let mut descriptor = self.document(part, manifest_type, true, manifest);
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        if self.shape.has_extras {
            descriptor["platform"]["variant"] = json!("v8");
            descriptor["platform"]["os.version"] = json!("10.0.1");
            descriptor["annotations"] = json!({"org.example.note": "a child"});
        }
        descriptor
    }

    fn index(&mut self, part: Part, children: &[Value]) -> Value {
        let [_, index_type, ..] = self.shape.types();
        let mut index = json!({"schemaVersion": 2, "manifests": children});
        self.dress(&mut index, index_type);
        self.document(part, index_type, true, index)
    }

    /// The fields that a document may have and need not.
    fn dress(&mut self, document: &mut Value, media_type: &str) {
        if self.shape.says_type {
            document["mediaType"] = json!(media_type);
        }
        if self.shape.has_extras {
            let absent = sha256(self.random.u64(..).to_string());
            document["annotations"] = json!({"org.example.note": "a document"});
            document["subject"] =
                json!({"mediaType": t::OCI_MANIFEST, "digest": absent, "size": 7});
            document["artifactType"] = json!("application/vnd.example.kind");
        }
    }

    fn schema1(&mut self, layers: &[Value]) {
        let identity = |n: usize| format!("{n:064x}");
        let compatible = |n: usize| {
            let mut image = json!({
                "id": identity(n + 1),
                "created": "2024-01-01T00:00:00Z",
                "architecture": "amd64",
                "os": "linux",
                "container_config": {"Cmd": ["sh"]},
            });
            if n + 1 < layers.len() {
                image["parent"] = json!(identity(n + 2));
            }
            json!({"v1Compatibility": image.to_string()})
        };
        let fs_layers: Vec<_> = layers
            .iter()
            .map(|l| json!({"blobSum": l["digest"]}))
            .collect();
        let mut manifest = json!({
            "schemaVersion": 1,
            "name": REPOSITORY,
            "tag": TAG,
            "architecture": "amd64",
            "fsLayers": fs_layers,
            "history": (0..layers.len()).map(compatible).collect::<Vec<_>>(),
        });
        let mut served = t::DOCKER_SCHEMA1.to_owned();
        (self.alter)(Part::Root, &mut manifest, &mut served, &self.stored);
        let payload = super::field::text(&manifest);
        let digest = sha256(&payload);
        let (media_type, bytes) = (Some(served), signed(&payload).into_bytes());
        self.stored.push(Stored {
            part: Part::Root,
            digest,
            media_type,
            bytes,
        });
    }
}

/// A payload with a signature in it, as libtrust writes them ("pretty" JSON Web Signatures). The
/// signature is good for nothing, and nobody looks: the payload can be told from it.
fn signed(payload: &str) -> String {
    let length = payload.len() - 1;
    let protected = json!({
        "formatLength": length,
        "formatTail": URL_SAFE_NO_PAD.encode("}"),
        "time": "2024-01-01T00:00:00Z",
    });
    let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
    let signature = json!({
        "header": {"jwk": {"crv": "P-256", "kty": "EC", "x": coordinate, "y": coordinate}, "alg": "ES256"},
        "signature": URL_SAFE_NO_PAD.encode([7; 64]),
        "protected": URL_SAFE_NO_PAD.encode(protected.to_string()),
    });
    format!("{},\"signatures\":[{signature}]}}", &payload[..length])
}

/// Puts the parts into a registry, under their digests whatever they hash to.
pub(crate) fn store(registry: &Registry, stored: &[Stored]) {
    for repository in [REPOSITORY, COPY] {
        for part in stored {
            match &part.media_type {
                Some(media_type) => {
                    registry.manifest_under(
                        repository,
                        &part.digest,
                        media_type,
                        part.bytes.clone(),
                    );
                }
                None => _ = registry.blob(repository, part.bytes.clone()),
            }
        }
    }
    let root = stored.last().expect("an image has a root");
    registry.tag(REPOSITORY, TAG, &root.digest);
}
