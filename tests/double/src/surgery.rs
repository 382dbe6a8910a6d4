//! Damage to storage, as clean-ups, full disks, crashes and cosmic rays do it. What the registry
//! answers afterwards follows from the damage; only the descriptor cache
//! ([`Quirks::descriptor_cache`](crate::Quirks)) may hide it.
//!
//! Every operation panics where its target does not exist: a test that damages nothing proves
//! nothing.

use bytes::Bytes;

use crate::registry::Registry;
use crate::store::{Link, Repository};

impl Registry {
    /// The manifest's bytes stay, the repository's link to them goes: `404 MANIFEST_UNKNOWN`. This
    /// is what a clean-up that does not know indexes does to their children.
    pub fn remove_manifest_link(&self, repository: &str, digest: &str) {
        self.set_manifest_link(repository, digest, Link::Gone);
    }

    /// The repository's link to a manifest has zero bytes, as after a crash: `500 UNKNOWN`.
    pub fn empty_manifest_link(&self, repository: &str, digest: &str) {
        self.set_manifest_link(repository, digest, Link::Empty);
    }

    /// The blob's bytes stay, the repository's link to them goes: `404 BLOB_UNKNOWN`.
    pub fn remove_layer_link(&self, repository: &str, digest: &str) {
        self.set_layer_link(repository, digest, Link::Gone);
    }

    /// The repository's link to a blob has zero bytes: `500 UNKNOWN`.
    pub fn empty_layer_link(&self, repository: &str, digest: &str) {
        self.set_layer_link(repository, digest, Link::Empty);
    }

    /// The tag's directory stays, the link in it goes: the tag is listed and answers 404.
    pub fn remove_tag_link(&self, repository: &str, tag: &str) {
        self.set_tag_link(repository, tag, Link::Gone);
    }

    /// The tag's link has zero bytes: the tag is listed and answers 500.
    pub fn empty_tag_link(&self, repository: &str, tag: &str) {
        self.set_tag_link(repository, tag, Link::Empty);
    }

    /// The tag goes altogether, as after a deletion; the last one leaves `{"tags":null}` behind.
    pub fn remove_tag(&self, repository: &str, tag: &str) {
        self.operate(repository, |repository| {
            repository.tags.remove(tag).expect("the tag exists");
        });
    }

    /// `_manifests/tags` goes: the repository is in the catalog, its tag list answers `404
    /// NAME_UNKNOWN`.
    pub fn remove_tags_directory(&self, repository: &str) {
        self.operate(repository, |repository| {
            repository.has_tags = false;
            repository.tags.clear();
        });
    }

    /// `_manifests` goes, with all tags and links to manifests.
    pub fn remove_manifests_directory(&self, repository: &str) {
        self.operate(repository, |repository| {
            repository.has_manifests = false;
            repository.has_tags = false;
            repository.tags.clear();
            repository
                .revisions
                .values_mut()
                .for_each(|revision| revision.link = Link::Gone);
        });
    }

    /// `_layers` goes: manifests answer, their blobs do not, and distribution 2.8 drops the
    /// repository from the catalog.
    pub fn remove_layers_directory(&self, repository: &str) {
        self.operate(repository, |repository| {
            repository.has_layers = false;
            repository
                .layers
                .values_mut()
                .for_each(|layer| layer.link = Link::Gone);
        });
    }

    /// The bytes go, in all repositories; the links stay.
    pub fn remove_bytes(&self, digest: &str) {
        self.store().blobs.remove(digest).expect("the bytes exist");
    }

    /// The file has zero bytes.
    pub fn empty_bytes(&self, digest: &str) {
        self.truncate_bytes(digest, 0);
    }

    /// Only the first so many bytes are left.
    pub fn truncate_bytes(&self, digest: &str, length: usize) {
        self.alter(digest, |bytes| {
            assert!(
                length < bytes.len(),
                "{digest} has more than {length} bytes"
            );
            bytes.truncate(length);
        });
    }

    /// One bit of the byte at this position flips; the length stays.
    pub fn flip_bit(&self, digest: &str, position: usize) {
        self.alter(digest, |bytes| bytes[position] ^= 1);
    }

    /// Other bytes lie under the digest.
    pub fn replace_bytes(&self, digest: &str, replacement: impl Into<Bytes>) {
        let replacement = replacement.into();
        self.alter(digest, |bytes| *bytes = replacement.to_vec());
    }

    fn alter(&self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut store = self.store();
        let stored = store.blobs.get_mut(digest).expect("the bytes exist");
        let mut bytes = stored.to_vec();
        change(&mut bytes);
        *stored = bytes.into();
    }

    fn set_manifest_link(&self, repository: &str, digest: &str, link: Link) {
        self.operate(repository, |repository| {
            repository
                .revisions
                .get_mut(digest)
                .expect("the manifest is linked")
                .link = link;
        });
    }

    fn set_layer_link(&self, repository: &str, digest: &str, link: Link) {
        self.operate(repository, |repository| {
            repository
                .layers
                .get_mut(digest)
                .expect("the blob is linked")
                .link = link;
        });
    }

    fn set_tag_link(&self, repository: &str, tag: &str, link: Link) {
        self.operate(repository, |repository| {
            repository.tags.get_mut(tag).expect("the tag exists").link = link;
        });
    }

    fn operate(&self, name: &str, operation: impl FnOnce(&mut Repository)) {
        let mut store = self.store();
        assert!(
            store.repository(name).is_some(),
            "the repository {name} exists"
        );
        operation(store.repository_mut(name));
    }
}
