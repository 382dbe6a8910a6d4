//! What clients do to a registry besides pulling: push, tag and delete, one request after the other.

use reqwest::Method;

use super::http::{Client, block_on};
use super::images::{Blob, Content};

/// A client that writes to an open registry.
#[derive(Debug)]
pub(crate) struct Hand {
    base: String,
    client: Client,
    // The client of the harness does not delete.
    deleter: reqwest::Client,
}

impl Hand {
    /// A client of the registry at `host`.
    pub(crate) fn new(host: &str) -> Self {
        let base = format!("http://{host}");
        let client = Client::new(&base, None);
        let deleter = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            base,
            client,
            deleter,
        }
    }

    /// Pushes everything below the content, and then the content under the tag.
    pub(crate) fn push(&self, repository: &str, tag: &str, content: &Content) {
        for blob in content.blobs() {
            block_on(self.upload(repository, blob));
        }
        for image in content.images() {
            self.put(repository, &image.manifest.digest, &image.manifest);
        }
        self.put(repository, tag, content.manifest());
    }

    /// Puts a manifest, whose children are there, under a tag or a digest.
    pub(crate) fn put(&self, repository: &str, reference: &str, manifest: &Blob) {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let put = self
            .client
            .put(&path, manifest.media_type, manifest.bytes.clone());
        let answer = block_on(put);
        assert_eq!(answer.status, 201, "{repository}:{reference} is stored");
    }

    /// Deletes a manifest, and with it every tag that points to it.
    pub(crate) fn delete(&self, repository: &str, digest: &str) {
        let url = format!("{}/v2/{repository}/manifests/{digest}", self.base);
        let request = self.deleter.request(Method::DELETE, url);
        let status = block_on(async { request.send().await.map(|answer| answer.status()) });
        let status = status.expect("the registry answers");
        assert_eq!(status, 202, "{repository}@{digest} is deleted");
    }

    async fn upload(&self, repository: &str, blob: &Blob) {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let started = self.client.post(&path).await;
        assert_eq!(started.status, 202, "an upload to {repository} begins");
        let target = format!("{}&digest={}", started.header("location"), blob.digest);
        let bytes = blob.bytes.clone();
        let done = self
            .client
            .put(&target, "application/octet-stream", bytes)
            .await;
        assert_eq!(done.status, 201, "a blob is stored in {repository}");
    }
}
