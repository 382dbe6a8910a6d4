//! Putting content into the registry without HTTP, and looking at it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::digest::Algorithm;
use crate::registry::Registry;

impl Registry {
    /// Stores a blob and returns its digest.
    pub fn blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        self.blob_as(Algorithm::Sha256, repository, bytes)
    }

    /// Stores a blob under a digest of this algorithm and returns the digest.
    pub fn blob_as(
        &self,
        algorithm: Algorithm,
        repository: &str,
        bytes: impl Into<Bytes>,
    ) -> String {
        let bytes = bytes.into();
        let digest = algorithm.digest(&bytes);
        self.store().put_blob(repository, &digest, bytes);
        digest
    }

    /// Stores a manifest, tagged or not, and returns its digest. Nothing is checked: not what it
    /// names, not even that it is JSON. The media type is what `Content-Type` says.
    pub fn manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> String {
        self.manifest_as(Algorithm::Sha256, repository, tag, media_type, bytes)
    }

    /// Stores a manifest under a digest of this algorithm; see [`Registry::manifest`].
    pub fn manifest_as(
        &self,
        algorithm: Algorithm,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> String {
        let bytes = bytes.into();
        let digest = algorithm.digest(&bytes);
        self.manifest_under(repository, &digest, media_type, bytes);
        if let Some(tag) = tag {
            self.tag(repository, tag, &digest);
        }
        digest
    }

    /// Stores a manifest under a digest that need not be that of its bytes: a signed schema 1 manifest
    /// has the one that it had before it was signed.
    pub fn manifest_under(
        &self,
        repository: &str,
        digest: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) {
        self.store()
            .put_manifest(repository, digest, media_type, bytes.into());
    }

    /// Stores an odd manifest and returns its digest. `Content-Type` says what its `mediaType`
    /// says, or that it is an OCI index or manifest by what it holds.
    pub fn manifest_json(&self, repository: &str, tag: Option<&str>, manifest: &Value) -> String {
        let held = if manifest.get("manifests").is_some() {
            crate::media_type::OCI_INDEX
        } else {
            crate::media_type::OCI_MANIFEST
        };
        let media_type = manifest["mediaType"].as_str().unwrap_or(held);
        self.manifest(repository, tag, media_type, manifest.to_string())
    }

    /// Points a tag at a manifest of the repository, as a push does; the manifest need not be
    /// there.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.store().put_tag(repository, tag, digest);
    }

    /// Creates a repository with nothing in it: the catalog lists it, its tag list is not found.
    pub fn empty_repository(&self, name: &str) {
        self.store().repository_mut(name);
    }

    /// The bytes that are stored under a digest, right or wrong; nothing where they are missing.
    pub fn bytes(&self, digest: &str) -> Option<Bytes> {
        self.store().blobs.get(digest).cloned()
    }

    /// The digest that a tag points to; nothing where the tag is gone.
    pub fn digest_of(&self, repository: &str, tag: &str) -> Option<String> {
        let store = self.store();
        let tag = store.repository(repository)?.tags.get(tag)?;
        Some(tag.digest.clone())
    }

    /// A descriptor of stored content, for manifests made by hand.
    pub fn descriptor(&self, media_type: &str, digest: &str) -> Value {
        let size = self.bytes(digest).expect("the content is stored").len();
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }
}
