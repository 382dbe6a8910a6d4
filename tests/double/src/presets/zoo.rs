//! Everything odd that a walk through manifests can meet, in one registry.

use serde_json::{Value, json};

use crate::digest::{Algorithm, sha256};
use crate::image::{Image, media_type as t};
use crate::{Double, Registry};

/// A registry with the repository `zoo`, in which each tag is one oddity.
#[derive(Debug)]
pub struct Zoo {
    /// The registry.
    pub double: Double,
    /// The image for linux/amd64 that several of the oddities share; whole.
    pub image: Image,
    /// The digest of the index child that is not there, of `sparse`.
    pub absent: String,
}

/// Tags of `zoo` (row 26): `sparse` (one child of two absent), `attested` (an attestation manifest,
/// absent), `nested` (an index in an index), `twice` (the same child twice), `untyped` (an index
/// without `mediaType`), `untyped-image`, `empty` (an index of nothing), `inline` (an artifact whose
/// config has `data` and is not stored), `foreign` (a layer that may be absent and is), `subject` (naming a
/// manifest that does not exist), `sha512`, `schema1`, `artifact`.
pub async fn zoo() -> Zoo {
    let double = Double::start().await;
    let image = double.image("zoo", None, &[b"a layer", b"another"]);
    let absent = sha256("never pushed");
    indexes(&double, &image, &absent);
    images(&double, &image);
    others(&double, &image);
    Zoo {
        double,
        image,
        absent,
    }
}

fn index(children: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": children})
}

fn indexes(registry: &Registry, image: &Image, absent: &str) {
    let child = image.descriptor("linux/amd64");
    let missing = json!({
        "mediaType": t::OCI_MANIFEST, "digest": absent, "size": 500,
        "platform": {"os": "linux", "architecture": "arm64"},
    });
    let attestation = json!({
        "mediaType": t::OCI_MANIFEST, "digest": sha256("an attestation"), "size": 566,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.digest,
        },
    });
    let put = |tag: &str, index: &Value| registry.manifest_json("zoo", Some(tag), index);
    put("sparse", &index(&[child.clone(), missing]));
    put("attested", &index(&[child.clone(), attestation]));
    put("twice", &index(&[child.clone(), child.clone()]));
    put("empty", &index(&[]));
    put(
        "untyped",
        &json!({"schemaVersion": 2, "manifests": [child.clone()]}),
    );
    let inner = registry.manifest_json("zoo", None, &index(&[child]));
    put(
        "nested",
        &index(&[registry.descriptor(t::OCI_INDEX, &inner)]),
    );
}

fn images(registry: &Registry, image: &Image) {
    let config = registry.descriptor(t::OCI_CONFIG, &image.config);
    let layer = registry.descriptor(t::OCI_LAYER, &image.layers[0]);
    let of_one = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [image.layers[0]]},
    });
    let of_one = registry.blob("zoo", of_one.to_string());
    let of_one = registry.descriptor(t::OCI_CONFIG, &of_one);
    let manifest = |config: &Value, layers: &[&Value]| {
        let media_type = t::OCI_MANIFEST;
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers})
    };
    let put = |tag: &str, manifest: &Value| registry.manifest_json("zoo", Some(tag), manifest);

    // `{"inline":1}`, in base64 in the descriptor, and nowhere else.
    let inline = json!({
        "mediaType": "application/vnd.example.config.v1+json",
        "digest": sha256("{\"inline\":1}"), "size": 12,
        "data": "eyJpbmxpbmUiOjF9",
    });
    put("inline", &manifest(&inline, &[&layer]));
    let foreign = json!({
        "mediaType": t::OCI_FOREIGN_LAYER, "digest": sha256("windows"), "size": 9,
        "urls": ["https://layers.internal/windows"],
    });
    put("foreign", &manifest(&config, &[&foreign, &layer]));
    let mut of_subject = manifest(&of_one, &[&layer]);
    of_subject["subject"] =
        json!({"mediaType": t::OCI_MANIFEST, "digest": sha256("no subject"), "size": 77});
    put("subject", &of_subject);
    put(
        "untyped-image",
        &json!({"schemaVersion": 2, "config": of_one, "layers": [layer]}),
    );
    let long = registry.blob_as(
        Algorithm::Sha512,
        "zoo",
        &b"a layer under a long digest"[..],
    );
    let long = registry.descriptor(t::OCI_LAYER, &long);
    let bytes = manifest(&of_one, &[&long]).to_string();
    registry.manifest_as(
        Algorithm::Sha512,
        "zoo",
        Some("sha512"),
        t::OCI_MANIFEST,
        bytes,
    );
}

fn others(registry: &Registry, image: &Image) {
    let schema1 = json!({
        "schemaVersion": 1, "name": "zoo", "tag": "schema1", "architecture": "amd64",
        "fsLayers": [{"blobSum": image.layers[0]}],
        "history": [{"v1Compatibility": "{}"}],
        "signatures": [{"signature": "not checked here", "protected": "e30"}],
    });
    registry.manifest(
        "zoo",
        Some("schema1"),
        t::DOCKER_SCHEMA1,
        schema1.to_string(),
    );
    let artifact = json!({
        "mediaType": t::OCI_ARTIFACT, "artifactType": "application/vnd.example.sbom",
        "blobs": [registry.descriptor("text/plain", &image.layers[0])],
    });
    registry.manifest(
        "zoo",
        Some("artifact"),
        t::OCI_ARTIFACT,
        artifact.to_string(),
    );
}

#[cfg(test)]
mod tests {

    #[test]
    fn inline_data_is_what_its_descriptor_says() {
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD
            .decode("eyJpbmxpbmUiOjF9")
            .expect("base64");
        assert_eq!(decoded, b"{\"inline\":1}");
        assert_eq!(decoded.len(), 12);
    }
}
