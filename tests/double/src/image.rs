//! Making images: a config, layers, a manifest, an index over several platforms, and thousands of
//! them at once.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::digest::sha256;
use crate::registry::Registry;

/// The media types that tests need by name.
pub mod media_type {
    /// An image manifest of the image specification.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An index of the image specification.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The config of an image.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer that may be absent.
    pub const OCI_FOREIGN_LAYER: &str =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// The deprecated artifact manifest.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// Docker's image manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The config of a Docker image.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A layer of a Docker image.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A layer of a Docker image that may be absent.
    pub const DOCKER_FOREIGN_LAYER: &str =
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Docker's first manifest, signed.
    pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// What distribution can read today.
    pub(crate) const MODERN: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];
}

/// Whose media types an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The image specification's.
    Oci,
    /// Docker's.
    Docker,
}

impl Format {
    /// Manifest, index, config and layer.
    fn media_types(self) -> [&'static str; 4] {
        use media_type as t;
        match self {
            Self::Oci => [t::OCI_MANIFEST, t::OCI_INDEX, t::OCI_CONFIG, t::OCI_LAYER],
            Self::Docker => [
                t::DOCKER_MANIFEST,
                t::DOCKER_LIST,
                t::DOCKER_CONFIG,
                t::DOCKER_LAYER,
            ],
        }
    }
}

/// An image that was made.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: String,
    /// The media type of its manifest.
    pub media_type: &'static str,
    /// The digest of its config.
    pub config: String,
    /// The digests of its layers.
    pub layers: Vec<String>,
    /// The length of its manifest.
    pub size: usize,
}

impl Image {
    /// The descriptor by which an index names it; the platform is `os/architecture[/variant]`.
    pub fn descriptor(&self, platform: &str) -> Value {
        let mut parts = platform.split('/');
        let mut described = json!({
            "os": parts.next().unwrap_or("linux"),
            "architecture": parts.next().unwrap_or("amd64"),
        });
        if let Some(variant) = parts.next() {
            described["variant"] = json!(variant);
        }
        json!({
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "platform": described,
        })
    }
}

/// The config of an image for a platform, as `os/architecture`, with these layers.
fn config(platform: &str, layers: &[&[u8]]) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
    let diff_ids: Vec<_> = layers.iter().map(sha256).collect();
    json!({
        "architecture": architecture,
        "os": os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// How many of everything [`Registry::populate`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Repositories.
    pub repositories: usize,
    /// Tags in each repository.
    pub tags: usize,
    /// Platforms in each tag's index; 0 for plain images.
    pub platforms: usize,
    /// Layers in each image, shared by all images of a repository.
    pub layers: usize,
    /// Bytes in each layer.
    pub layer_size: usize,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            repositories: 1,
            tags: 1,
            platforms: 0,
            layers: 2,
            layer_size: 64,
        }
    }
}

impl Registry {
    /// Makes an OCI image with these layers, tagged or not.
    pub fn image(&self, repository: &str, tag: Option<&str>, layers: &[&[u8]]) -> Image {
        self.image_in(Format::Oci, repository, tag, layers)
    }

    /// Makes an OCI image for a platform, as `os/architecture`, that no tag leads to.
    pub fn child(&self, platform: &str, repository: &str, layers: &[&[u8]]) -> Image {
        let config = config(platform, layers).to_string();
        self.image_of(Format::Oci, repository, None, config.into(), layers)
    }

    /// Makes an image with these media types.
    pub fn image_in(
        &self,
        format: Format,
        repository: &str,
        tag: Option<&str>,
        layers: &[&[u8]],
    ) -> Image {
        let config = config("linux/amd64", layers);
        self.image_of(format, repository, tag, config.to_string().into(), layers)
    }

    /// Makes an image of a config and layers, whatever the config says.
    pub fn image_of(
        &self,
        format: Format,
        repository: &str,
        tag: Option<&str>,
        config: Bytes,
        layers: &[&[u8]],
    ) -> Image {
        let [media_type, _, config_type, layer_type] = format.media_types();
        let config = self.blob(repository, config);
        let layers: Vec<_> = layers
            .iter()
            .map(|bytes| self.blob(repository, bytes.to_vec()))
            .collect();
        let described: Vec<_> = layers
            .iter()
            .map(|layer| self.descriptor(layer_type, layer))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.descriptor(config_type, &config),
            "layers": described,
        });
        let size = manifest.to_string().len();
        let digest = self.manifest_json(repository, tag, &manifest);
        Image {
            digest,
            media_type,
            config,
            layers,
            size,
        }
    }

    /// Makes an index of these images and returns its digest; the platform is
    /// `os/architecture[/variant]`. It is a Docker manifest list where the first image is a Docker
    /// image.
    pub fn index(&self, repository: &str, tag: Option<&str>, images: &[(&str, &Image)]) -> String {
        let is_docker = images
            .first()
            .is_some_and(|(_, image)| image.media_type == media_type::DOCKER_MANIFEST);
        let format = if is_docker {
            Format::Docker
        } else {
            Format::Oci
        };
        let [_, media_type, ..] = format.media_types();
        let manifests: Vec<_> = images
            .iter()
            .map(|(platform, image)| image.descriptor(platform))
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        self.manifest_json(repository, tag, &index)
    }

    /// Makes many images quickly: `group-00/app-0000:v0000`, … and returns the names of the
    /// repositories.
    pub fn populate(&self, population: Population) -> Vec<String> {
        let names =
            (0..population.repositories).map(|n| format!("group-{:02}/app-{n:04}", n / 100));
        names
            .inspect(|name| self.populate_repository(name, population))
            .collect()
    }

    fn populate_repository(&self, name: &str, population: Population) {
        let layers: Vec<_> = (0..population.layers)
            .map(|n| {
                let mut layer = format!("layer {n} of {name}").into_bytes();
                layer.resize(population.layer_size.max(layer.len()), b'.');
                layer
            })
            .collect();
        let layers: Vec<_> = layers.iter().map(Vec::as_slice).collect();
        for tag in (0..population.tags).map(|n| format!("v{n:04}")) {
            let make = |tag: Option<&str>, salt: &str| {
                let diff_ids: Vec<_> = layers.iter().map(sha256).collect();
                let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
                let config = json!({
                    "architecture": "amd64", "os": "linux", "created_by": salt, "rootfs": rootfs,
                });
                let config = config.to_string();
                self.image_of(Format::Oci, name, tag, config.into(), &layers)
            };
            if population.platforms == 0 {
                make(Some(&tag), &format!("{name}:{tag}"));
                continue;
            }
            let platforms: Vec<_> = (0..population.platforms)
                .map(|n| format!("linux/arch{n}"))
                .collect();
            let images: Vec<_> = platforms
                .iter()
                .map(|p| make(None, &format!("{name}:{tag} {p}")))
                .collect();
            let children: Vec<_> = platforms.iter().map(String::as_str).zip(&images).collect();
            self.index(name, Some(&tag), &children);
        }
    }
}
