//! Deviations from the specifications that occur in documents which clients pull: none of them is a
//! finding where everything that they name is there.

use registry_double::{Algorithm, Double, Image, media_type as t, sha256};
use serde_json::{Value, json};

use super::probe::{Probe, told};

/// What a document may be built from.
struct Shelf {
    double: Double,
    image: Image,
}

impl Shelf {
    async fn new() -> Self {
        let double = Double::start().await;
        let image = double.image("app", None, &[b"a layer", b"another"]);
        Self { double, image }
    }

    /// The image's manifest, to be changed.
    fn manifest(&self) -> Value {
        let manifest = self.double.bytes(&self.image.digest).expect("stored");
        serde_json::from_slice(&manifest).expect("JSON")
    }

    fn blob(&self, media_type: &str, bytes: &str) -> Value {
        let digest = self.double.blob("app", bytes.to_owned());
        self.double.descriptor(media_type, &digest)
    }

    fn child(&self) -> Value {
        self.image.descriptor("linux/amd64")
    }

    /// An index of these children.
    fn index(children: &[Value]) -> Value {
        json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": children})
    }

    /// A manifest with this for its config.
    fn with_config(&self, media_type: &str, config: &str) -> Value {
        let mut manifest = self.manifest();
        manifest["config"] = self.blob(media_type, config);
        manifest
    }

    /// An image's config that says this, for the image's layers.
    fn with_image_config(&self, mut config: Value) -> Value {
        config["rootfs"] = json!({"type": "layers", "diff_ids": self.image.layers});
        self.with_config(t::OCI_CONFIG, &config.to_string())
    }

    /// The type of an image's config over this, and layers that nobody unpacks.
    fn with_artifact(&self, config: &str) -> Value {
        let mut manifest = self.with_config(t::OCI_CONFIG, config);
        for position in 0..2 {
            manifest["layers"][position]["mediaType"] = json!("application/vnd.in-toto+json");
        }
        manifest
    }

    fn without_layers(&self, config: &str) -> Value {
        let mut manifest = self.with_config(t::OCI_CONFIG, config);
        manifest["layers"] = json!([]);
        manifest
    }

    fn with(&self, place: &str, value: Value) -> Value {
        let mut manifest = self.manifest();
        let (parent, key) = place.rsplit_once('/').expect("a place");
        manifest.pointer_mut(parent).expect("its parent")[key] = value;
        manifest
    }

    fn without(&self, key: &str) -> Value {
        let mut manifest = self.manifest();
        manifest.as_object_mut().expect("an object").remove(key);
        manifest
    }

    /// An index whose child has this platform.
    fn for_platform(&self, platform: Value) -> Value {
        let mut child = self.child();
        child["platform"] = platform;
        Self::index(&[child])
    }

    fn schema1(&self) -> Value {
        json!({
            "schemaVersion": 1, "name": "app", "tag": "v1", "architecture": "amd64",
            "fsLayers": [{"blobSum": self.image.layers[0]}],
            "history": [{"v1Compatibility": "{}"}],
        })
    }

    fn artifact(&self) -> Value {
        let blob = self.blob("text/plain", "an artifact's blob");
        json!({"mediaType": t::OCI_ARTIFACT, "artifactType": "x/y", "blobs": [blob]})
    }
}

type Build = fn(&Shelf) -> Value;

/// What configs and layers hold beside what they are called.
const OF_BLOBS: [(&str, Build); 14] = [
    ("a layer that is not what its type says", |s| {
        s.with(
            "/layers/0/mediaType",
            json!("application/vnd.oci.image.layer.v1.tar+zstd"),
        )
    }),
    ("a config that is none of an image", |s| {
        s.with_config("application/vnd.example.config+json", "[]")
    }),
    ("an image's config that is none", |s| {
        s.with_artifact("not JSON")
    }),
    ("an image's config of two bytes", |s| s.with_artifact("{}")),
    ("other diff_ids than layers that are no tars", |s| {
        s.with_artifact(r#"{"rootfs":{"diff_ids":["a","b","c"]}}"#)
    }),
    ("a config with empty os and architecture", |s| {
        s.with_image_config(json!({"os": "", "architecture": ""}))
    }),
    ("a config without os, architecture and history", |s| {
        s.with_image_config(json!({}))
    }),
    ("a config with a variant", |s| {
        s.with_image_config(json!({"os": "linux", "architecture": "arm", "variant": "v7"}))
    }),
    ("fewer entries of history than layers", |s| {
        s.with_image_config(json!({"history": [{}]}))
    }),
    ("an unknown type of rootfs", |s| {
        let rootfs = json!({"type": "unheard-of", "diff_ids": s.image.layers});
        s.with_config(t::OCI_CONFIG, &json!({"rootfs": rootfs}).to_string())
    }),
    ("no layers, and diff_ids that are empty", |s| {
        s.without_layers(r#"{"rootfs":{"diff_ids":[]}}"#)
    }),
    ("no layers, and diff_ids that are null", |s| {
        s.without_layers(r#"{"rootfs":{"diff_ids":null}}"#)
    }),
    ("no layers, and a bundle for a config", |s| {
        s.without_layers(r#"{"schemaVersion":"v1.0.0","images":[]}"#)
    }),
    ("a config that is a layer, too", |s| {
        let layer = s.manifest()["layers"][0].clone();
        s.with("/config", layer)
    }),
];

const OF_IMAGES: [(&str, Build); 13] = [
    ("no mediaType", |s| s.without("mediaType")),
    ("no layers", |s| {
        let mut manifest = s.without_layers("{}");
        manifest
            .as_object_mut()
            .expect("an object")
            .remove("layers");
        manifest
    }),
    ("layers that are null", |s| {
        let mut manifest = s.without_layers("{}");
        manifest["layers"] = Value::Null;
        manifest
    }),
    ("a subject that is not there", |s| {
        s.with(
            "/subject",
            json!({"mediaType": t::OCI_MANIFEST, "digest": sha256("gone"), "size": 7}),
        )
    }),
    ("an artifact's config and an image's layers", |s| {
        s.with_config("application/vnd.example.artifact.config+json", "{}")
    }),
    ("an image's config and layers that are no tar", |s| {
        s.with("/layers/0/mediaType", json!("application/vnd.in-toto+json"))
    }),
    ("types of OCI and of Docker side by side", |s| {
        s.with("/layers/0/mediaType", json!(t::DOCKER_LAYER))
    }),
    ("encrypted layers", |s| {
        s.with(
            "/layers/0/mediaType",
            json!(format!("{}+encrypted", t::OCI_LAYER)),
        )
    }),
    ("a foreign layer without urls", |s| {
        s.with("/layers/0/mediaType", json!(t::OCI_FOREIGN_LAYER))
    }),
    ("urls on a layer that is not foreign", |s| {
        s.with("/layers/0/urls", json!(["https://layers.internal/x"]))
    }),
    ("a layer without a type", |s| {
        s.with("/layers/0/mediaType", json!(""))
    }),
    ("an artifactType", |s| {
        s.with("/artifactType", json!("application/vnd.example.thing"))
    }),
    ("one layer twice", |s| {
        let layer = s.manifest()["layers"][0].clone();
        s.with("/layers", json!([layer, layer]))
    }),
];

const OF_INDEXES: [(&str, Build); 13] = [
    (
        "no mediaType",
        |s| json!({"schemaVersion": 2, "manifests": [s.child()]}),
    ),
    ("a child without platform", |s| s.for_platform(Value::Null)),
    ("a platform with features", |s| {
        s.for_platform(json!({"os": "linux", "architecture": "amd64", "features": ["sse4"]}))
    }),
    ("a platform with os.version", |s| {
        s.for_platform(json!({"os": "linux", "architecture": "amd64", "os.version": "10"}))
    }),
    ("a platform with a variant", |s| {
        s.for_platform(json!({"os": "linux", "architecture": "amd64", "variant": "v1"}))
    }),
    ("a platform without architecture", |s| {
        s.for_platform(json!({"os": "linux"}))
    }),
    ("a platform that is unknown", |s| {
        s.for_platform(json!({"os": "unknown", "architecture": "unknown"}))
    }),
    ("one child twice", |s| Shelf::index(&[s.child(), s.child()])),
    ("two children of one platform", |s| {
        let other = s.double.image("app", None, &[b"of the same platform"]);
        Shelf::index(&[s.child(), other.descriptor("linux/amd64")])
    }),
    ("a child with urls", |s| {
        let mut child = s.child();
        child["urls"] = json!(["https://manifests.internal/x"]);
        Shelf::index(&[child])
    }),
    (
        "a child of a type that is no manifest, kept as a blob",
        |s| {
            Shelf::index(&[
                s.blob("application/badmedia+json", r#"{"a":1}"#),
                s.blob("x-completely-unknown", "x"),
            ])
        },
    ),
    ("an index in an index", |s| {
        let inner = s
            .double
            .manifest_json("app", None, &Shelf::index(&[s.child()]));
        Shelf::index(&[s.double.descriptor(t::OCI_INDEX, &inner)])
    }),
    ("a schema 1 child", |s| {
        let schema1 = "application/vnd.docker.distribution.manifest.v1+json";
        let child = s
            .double
            .manifest("app", None, schema1, s.schema1().to_string());
        Shelf::index(&[s.double.descriptor(schema1, &child)])
    }),
];

#[tokio::test]
async fn deviations_of_images_and_indexes() {
    for (name, build) in OF_BLOBS.into_iter().chain(OF_IMAGES).chain(OF_INDEXES) {
        let shelf = Shelf::new().await;
        let document = build(&shelf);
        shelf.double.manifest_json("app", Some("v1"), &document);
        let sweep = Probe::of(&shelf.double).sweep().await;
        let told: Vec<_> = told(&sweep);
        // Artifacts are counted, and nothing is said against them.
        let told: Vec<_> = told
            .iter()
            .filter(|line| *line != "skipped artifact 1")
            .collect();
        assert_eq!(told, ["intact"], "{name}");
    }
}

#[tokio::test]
async fn deviations_of_older_kinds() {
    for is_typed in [true, false] {
        let shelf = Shelf::new().await;
        let mut schema1 = shelf.schema1();
        if is_typed {
            schema1["mediaType"] = json!(t::DOCKER_SCHEMA1);
        }
        for (tag, media_type) in [("signed", t::DOCKER_SCHEMA1), ("json", "application/json")] {
            let double = &shelf.double;
            double.manifest("app", Some(tag), media_type, schema1.to_string());
        }
        // Without schemaVersion, as artifacts are, and with it.
        let mut artifact = shelf.artifact();
        if is_typed {
            artifact["schemaVersion"] = json!(2);
        }
        shelf
            .double
            .manifest_json("app", Some("artifact"), &artifact);
        assert_eq!(told(&Probe::of(&shelf.double).sweep().await), ["intact"]);
    }
}

#[tokio::test]
async fn deviations_that_are_told_and_no_finding() {
    let empty: Build = |s| {
        let mut manifest = s.manifest();
        manifest["layers"][1] = s.blob(t::OCI_LAYER, "");
        manifest
    };
    let no_child: Build = |_| Shelf::index(&[]);
    let no_bytes = "manifests with a config or layer of 0 bytes, which containerd refuses";
    for (build, notice) in [
        (empty, no_bytes),
        (no_child, "indexes that promise nothing"),
    ] {
        let shelf = Shelf::new().await;
        shelf
            .double
            .manifest_json("app", Some("v1"), &build(&shelf));
        let notice = format!("warning {notice}");
        assert_eq!(
            told(&Probe::of(&shelf.double).sweep().await),
            ["intact", &notice]
        );
    }
}

#[tokio::test]
async fn digests_of_another_algorithm() {
    let shelf = Shelf::new().await;
    let layer = shelf
        .double
        .blob_as(Algorithm::Sha512, "app", "under a long digest");
    let layer = shelf.double.descriptor(t::OCI_LAYER, &layer);
    let mut manifest = shelf.manifest();
    manifest["layers"][1] = layer;
    let manifest = manifest.to_string();
    let (double, media_type) = (&shelf.double, t::OCI_MANIFEST);
    double.manifest_as(Algorithm::Sha512, "app", Some("v1"), media_type, manifest);
    assert_eq!(told(&Probe::of(double).sweep().await), ["intact"]);
}
