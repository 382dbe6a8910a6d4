//! Images made in memory, every one unique by its seed: layers, configs, manifests, indexes and OCI layouts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tarball;

/// The size of a layer's one file, well over what the probe reads whole instead of looking at its end.
const LAYER_SIZE: usize = 96 * 1024;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes with a name and a type. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) digest: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        let bytes = Bytes::from(bytes);
        Self {
            media_type,
            bytes,
            digest,
        }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// The name that content has in a registry.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut name = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(name, "{byte:02x}").expect("text takes text");
    }
    name
}

/// Bytes that nothing can compress and that the seed alone decides.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let hash = Sha256::digest(seed.as_bytes());
    let mut state = u64::from_le_bytes(hash[..8].try_into().expect("eight of 32 bytes"));
    let words = std::iter::from_fn(|| {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(word ^ (word >> 31))
    });
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// A layer: the blob, and the digest of the archive in it.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) blob: Blob,
    diff_id: String,
}

impl Layer {
    /// A layer in gzip.
    pub(crate) fn gzip(seed: &str) -> Self {
        let archive = tarball::tar("noise", &noise(seed, LAYER_SIZE));
        Self {
            diff_id: sha256(&archive),
            blob: Blob::new(OCI_LAYER_GZIP, tarball::gzip(&archive)),
        }
    }

    /// A layer as a plain archive.
    pub(crate) fn plain(seed: &str) -> Self {
        let archive = tarball::tar("noise", &noise(seed, LAYER_SIZE));
        Self {
            diff_id: sha256(&archive),
            blob: Blob::new(OCI_LAYER, archive),
        }
    }
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) manifest: Blob,
    pub(crate) config: Blob,
    pub(crate) layers: Vec<Blob>,
    architecture: &'static str,
}

impl Image {
    /// An image with a gzip layer and a plain one of its own.
    pub(crate) fn new(seed: &str, architecture: &'static str) -> Self {
        let layers = vec![
            Layer::gzip(&format!("{seed} first")),
            Layer::plain(&format!("{seed} second")),
        ];
        Self::of(seed, architecture, &layers)
    }

    /// An image of these layers.
    pub(crate) fn of(seed: &str, architecture: &'static str, layers: &[Layer]) -> Self {
        Self::with_comment(seed, architecture, layers, seed)
    }

    /// An image whose config is not small: it carries a comment of 24 KiB.
    pub(crate) fn with_large_config(
        seed: &str,
        architecture: &'static str,
        layers: &[Layer],
    ) -> Self {
        let comment = format!("{seed} {}", "·".repeat(12 * 1024));
        Self::with_comment(seed, architecture, layers, &comment)
    }

    fn with_comment(
        seed: &str,
        architecture: &'static str,
        layers: &[Layer],
        comment: &str,
    ) -> Self {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let history: Vec<Value> = layers
            .iter()
            .map(|_| json!({ "comment": comment }))
            .collect();
        let config = json!({
            "created": "2024-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": { "Labels": { "seed": seed } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        let config = Blob::json(OCI_CONFIG, &config);
        let layers: Vec<Blob> = layers.iter().map(|layer| layer.blob.clone()).collect();
        Self::signed(seed, architecture, config, layers)
    }

    /// The same config and layers under another manifest.
    pub(crate) fn again(&self, seed: &str) -> Self {
        Self::signed(
            seed,
            self.architecture,
            self.config.clone(),
            self.layers.clone(),
        )
    }

    /// The manifest carries the seed, and so does its digest.
    fn signed(seed: &str, architecture: &'static str, config: Blob, layers: Vec<Blob>) -> Self {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            "annotations": { "org.example.seed": format!("seed: {seed}") },
        });
        Self {
            manifest: Blob::json(OCI_MANIFEST, &manifest),
            config,
            layers,
            architecture,
        }
    }
}

/// What a tag can name.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An image for one platform.
    Image(Image),
    /// An index over images.
    Index {
        /// The index itself.
        manifest: Blob,
        /// What it names.
        children: Vec<Image>,
    },
}

impl Content {
    /// An index over an amd64 and an arm64 image that share nothing.
    pub(crate) fn index(seed: &str) -> Self {
        let child = |architecture| Image::new(&format!("{seed} {architecture}"), architecture);
        Self::index_of(seed, vec![child("amd64"), child("arm64")])
    }

    /// An index over these images.
    pub(crate) fn index_of(seed: &str, children: Vec<Image>) -> Self {
        let descriptors = children.iter().map(|child| {
            let mut descriptor = child.manifest.descriptor();
            descriptor["platform"] = json!({ "os": "linux", "architecture": child.architecture });
            descriptor
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": descriptors.collect::<Vec<_>>(),
            "annotations": { "org.example.seed": format!("seed: {seed}") },
        });
        Self::Index {
            manifest: Blob::json(OCI_INDEX, &manifest),
            children,
        }
    }

    /// The manifest that a tag of it resolves to.
    pub(crate) fn manifest(&self) -> &Blob {
        match self {
            Self::Image(image) => &image.manifest,
            Self::Index { manifest, .. } => manifest,
        }
    }

    /// Its images.
    pub(crate) fn images(&self) -> &[Image] {
        match self {
            Self::Image(image) => std::slice::from_ref(image),
            Self::Index { children, .. } => children,
        }
    }

    /// Every manifest, children before the index that names them.
    pub(crate) fn manifests(&self) -> Vec<&Blob> {
        let mut manifests: Vec<&Blob> = self.images().iter().map(|image| &image.manifest).collect();
        if let Self::Index { manifest, .. } = self {
            manifests.push(manifest);
        }
        manifests
    }

    /// Every config and layer, repeated where they repeat.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let images = self.images().iter();
        images.flat_map(|image| std::iter::once(&image.config).chain(&image.layers))
    }

    /// Writes it as an OCI image layout with one reference, `latest`.
    pub(crate) fn write_layout(&self, directory: &Path) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a directory for blobs");
        for blob in self.manifests().into_iter().chain(self.blobs()) {
            let hex = blob.digest.trim_start_matches("sha256:");
            fs::write(blobs.join(hex), &blob.bytes).expect("a blob is written");
        }
        let mut descriptor = self.manifest().descriptor();
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        fs::write(directory.join("index.json"), index.to_string()).expect("the index is written");
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(directory.join("oci-layout"), version.to_string()).expect("the mark is written");
    }
}

impl From<Image> for Content {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}
