//! Pushing thousands of images over HTTP: every blob is uploaded once and mounted everywhere else.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::http::{Client, block_on};
use super::images::{Blob, Content, Image};
use super::registry::Registry;

/// How many requests are under way at once.
const CONCURRENCY: usize = 16;

/// One tag of one repository.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) content: Content,
}

impl Push {
    /// The content under a name.
    pub(crate) fn new(repository: &str, tag: &str, content: &Content) -> Self {
        Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            content: content.clone(),
        }
    }
}

/// What a registry holds once everything is pushed, counted as the probe has to count it.
#[derive(Debug, Default)]
pub(crate) struct Inventory<'a> {
    pub(crate) repositories: BTreeSet<&'a str>,
    pub(crate) tags: BTreeSet<(&'a str, &'a str)>,
    pub(crate) manifests: BTreeSet<(&'a str, &'a str)>,
    pub(crate) blobs: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Inventory<'a> {
    /// Everything that these pushes promise.
    pub(crate) fn of(pushes: &'a [Push]) -> Self {
        let mut inventory = Self::default();
        for push in pushes {
            let repository = push.repository.as_str();
            inventory.repositories.insert(repository);
            inventory.tags.insert((repository, &push.tag));
            for manifest in push.content.manifests() {
                inventory.manifests.insert((repository, &manifest.digest));
            }
            for blob in push.content.blobs() {
                inventory.blobs.insert((repository, &blob.digest));
            }
        }
        inventory
    }
}

/// Pushes all of it.
pub(crate) fn push_all(registry: &Registry, pushes: &[Push]) {
    let client = registry.client();
    block_on(async {
        push_blobs(&client, pushes).await;
        push_manifests(&client, pushes).await;
    });
}

async fn push_blobs(client: &Client, pushes: &[Push]) {
    let mut origins: BTreeMap<&str, &str> = BTreeMap::new();
    let mut placed: BTreeSet<(&str, &str)> = BTreeSet::new();
    let (mut uploads, mut mounts) = (Vec::new(), Vec::new());
    for push in pushes {
        let repository = push.repository.as_str();
        for blob in push.content.blobs() {
            if !placed.insert((repository, &blob.digest)) {
                continue;
            }
            if let Some(origin) = origins.get(blob.digest.as_str()) {
                mounts.push(mount(client, repository, blob, origin));
            } else {
                origins.insert(&blob.digest, repository);
                uploads.push(upload(client, repository, blob));
            }
        }
    }
    stream::iter(uploads)
        .buffer_unordered(CONCURRENCY)
        .collect::<()>()
        .await;
    stream::iter(mounts)
        .buffer_unordered(CONCURRENCY)
        .collect::<()>()
        .await;
}

/// Children, then images, then indexes, each kind only when the one before is there. Two writers never meet
/// on one manifest of one repository: the filesystem driver does not replace a link in one step.
async fn push_manifests(client: &Client, pushes: &[Push]) {
    let (mut children, mut images, mut indexes) = (Stage::new(), Stage::new(), Stage::new());
    for push in pushes {
        let top = match &push.content {
            Content::Image(_) => &mut images,
            Content::Index {
                children: named, ..
            } => {
                for Image { manifest, .. } in named {
                    let key = (push.repository.as_str(), manifest.digest.as_str());
                    children.insert(key, (manifest, vec![&manifest.digest]));
                }
                &mut indexes
            }
        };
        let manifest = push.content.manifest();
        let key = (push.repository.as_str(), manifest.digest.as_str());
        let (_, tags) = top.entry(key).or_insert_with(|| (manifest, Vec::new()));
        tags.push(&push.tag);
    }
    for stage in [children, images, indexes] {
        let puts = stage
            .into_iter()
            .map(async |((repository, _), (manifest, references))| {
                for reference in references {
                    put_manifest(client, repository, reference, manifest).await;
                }
            });
        stream::iter(puts)
            .buffer_unordered(CONCURRENCY)
            .collect::<()>()
            .await;
    }
}

/// Manifests by repository and digest, with the references to put each of them under.
type Stage<'a> = BTreeMap<(&'a str, &'a str), (&'a Blob, Vec<&'a str>)>;

async fn upload(client: &Client, repository: &str, blob: &Blob) {
    let started = client
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await;
    assert_eq!(started.status, 202, "an upload to {repository} begins");
    let target = format!("{}&digest={}", started.header("location"), blob.digest);
    let done = client
        .put(&target, "application/octet-stream", blob.bytes.clone())
        .await;
    assert_eq!(done.status, 201, "a blob is stored in {repository}");
}

async fn mount(client: &Client, repository: &str, blob: &Blob, origin: &str) {
    let digest = &blob.digest;
    let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={origin}");
    let answer = client.post(&path).await;
    assert_eq!(
        answer.status, 201,
        "{digest} is mounted from {origin} in {repository}"
    );
}

async fn put_manifest(client: &Client, repository: &str, reference: &str, manifest: &Blob) {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let answer = client
        .put(&path, manifest.media_type, manifest.bytes.clone())
        .await;
    assert_eq!(answer.status, 201, "{repository}:{reference} is stored");
}
