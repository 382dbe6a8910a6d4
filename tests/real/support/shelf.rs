//! Images of any form on a real registry, each in a repository of its own.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};

use super::http::{Client, block_on};
use super::images::sha256;
use super::registry::Registry;
use super::tarball;

pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Objects of an image, each with its type: the config, and the layers.
pub(crate) type Objects<'a> = Vec<(&'a str, &'a [u8])>;

/// Two layers, as archives.
pub(crate) fn archives() -> [Vec<u8>; 2] {
    ["one", "two"].map(|name| tarball::tar(name, name.as_bytes()))
}

/// An image's config for these layers, and what is said otherwise.
pub(crate) fn config(layers: &[Vec<u8>], other: &Value) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(layer)).collect();
    let mut config = json!({
        "os": "linux", "architecture": "amd64",
        "config": {"Cmd": ["/one"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "one"}, {"created_by": "two"}],
    });
    for (key, value) in other.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

/// Where images are pushed to, each to a repository of its name.
pub(crate) struct Shelf<'a> {
    client: Client,
    pub(crate) registry: &'a Registry,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        let client = registry.client();
        Self { client, registry }
    }

    pub(crate) fn blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        block_on(async {
            let uploads = format!("/v2/{repository}/blobs/uploads/");
            let started = self.client.post(&uploads).await;
            let target = format!("{}&digest={digest}", started.header("location"));
            let bytes = Bytes::copy_from_slice(bytes);
            let done = self
                .client
                .put(&target, "application/octet-stream", bytes)
                .await;
            assert_eq!(done.status, 201, "{repository}");
        });
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub(crate) fn document(
        &self,
        repository: &str,
        reference: Option<&str>,
        document: &Value,
    ) -> Value {
        let media_type = document["mediaType"].as_str().expect("a type").to_owned();
        let bytes = document.to_string();
        let digest = sha256(bytes.as_bytes());
        let path = format!(
            "/v2/{repository}/manifests/{}",
            reference.unwrap_or(&digest)
        );
        let size = bytes.len();
        let put = self.client.put(&path, &media_type, bytes.into());
        assert_eq!(block_on(put).status, 201, "{repository}");
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// An image of these blobs, each a type and its bytes, the config being the first.
    pub(crate) fn image(
        &self,
        repository: &str,
        tag: Option<&str>,
        blobs: &[(&str, &[u8])],
    ) -> Value {
        let described = blobs.iter();
        let described =
            described.map(|(media_type, bytes)| self.blob(repository, media_type, bytes));
        let described: Vec<_> = described.collect();
        let is_docker = blobs[0].0 == DOCKER_CONFIG;
        let media_type = if is_docker {
            DOCKER_MANIFEST
        } else {
            OCI_MANIFEST
        };
        let (config, layers) = described.split_first().expect("a config");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        });
        self.document(repository, tag, &manifest)
    }

    /// An image of two gzip layers with this config.
    pub(crate) fn with_config(&self, repository: &str, config: &[u8]) {
        let [one, two] = archives().map(|layer| tarball::gzip(&layer));
        self.image(
            repository,
            Some("v1"),
            &[(OCI_CONFIG, config), (OCI_LAYER, &one), (OCI_LAYER, &two)],
        );
    }

    /// An index of images, each with what its config and what the index says that it is for.
    pub(crate) fn index(&self, repository: &str, children: &[(&str, &str)]) {
        let children = children.iter().map(|(config_says, index_says)| {
            let words = |platform: &str| {
                let (os, architecture) = platform.split_once('/').expect("two words");
                json!({"os": os, "architecture": architecture})
            };
            let layers = archives();
            let config = config(&layers, &words(config_says)).to_string();
            let [one, two] = layers.map(|layer| tarball::gzip(&layer));
            let blobs: [(&str, &[u8]); 3] = [
                (OCI_CONFIG, config.as_bytes()),
                (OCI_LAYER, &one),
                (OCI_LAYER, &two),
            ];
            let mut child = self.image(repository, None, &blobs);
            child["platform"] = words(index_says);
            child
        });
        let children: Vec<_> = children.collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        self.document(repository, Some("v1"), &index);
    }

    /// A document that the registry takes from nobody, for what it names: it is put where the registry keeps its own.
    pub(crate) fn kept(&self, repository: &str, document: &Value) {
        let bytes = document.to_string();
        let digest = sha256(bytes.as_bytes());
        let hex = &digest["sha256:".len()..];
        let root = self.registry.data().join("docker/registry/v2");
        let write = |path: &Path, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
            fs::write(path, text).expect("a file is written");
        };
        let blob = format!("blobs/sha256/{}/{hex}/data", &hex[..2]);
        write(Path::new(&blob), &bytes);
        let manifests = format!("repositories/{repository}/_manifests");
        for link in [
            format!("revisions/sha256/{hex}/link"),
            "tags/v1/current/link".into(),
            format!("tags/v1/index/sha256/{hex}/link"),
        ] {
            write(Path::new(&format!("{manifests}/{link}")), &digest);
        }
    }
}
