//! Surgery on distribution's filesystem layout: the ways in which a store loses what it has promised.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::images::sha256;

/// The files of one registry.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Another, empty volume is mounted where the store was.
    pub(crate) fn vanish(&self) {
        fs::rename(&self.root, self.root.with_extension("gone"))
            .expect("a directory can be renamed");
    }

    /// What vanished is mounted again.
    pub(crate) fn come_back(&self) {
        fs::rename(self.root.with_extension("gone"), &self.root)
            .expect("a directory can be renamed");
    }

    /// The volume with the bytes is not mounted; lists and links are there.
    pub(crate) fn lose_bytes(&self) {
        fs::rename(self.root.join("blobs"), self.root.join("lost"))
            .expect("a directory can be renamed");
    }

    /// It is mounted again.
    pub(crate) fn find_bytes(&self) {
        fs::rename(self.root.join("lost"), self.root.join("blobs"))
            .expect("a directory can be renamed");
    }

    /// The store under the `rootdirectory` of the filesystem driver.
    pub(crate) fn new(root_directory: &Path) -> Self {
        let root = root_directory.join("docker/registry/v2");
        Self { root }
    }

    /// The tag is still listed, and leads nowhere.
    pub(crate) fn remove_tag_link(&self, repository: &str, tag: &str) {
        remove(&self.tag_link(repository, tag));
    }

    /// The tag's link is there and says nothing.
    pub(crate) fn empty_tag_link(&self, repository: &str, tag: &str) {
        truncate(&self.tag_link(repository, tag), 0);
    }

    /// The tag is gone with its directory, as after a clean-up by hand.
    pub(crate) fn remove_tag(&self, repository: &str, tag: &str) {
        remove_tree(&self.manifests(repository).join("tags").join(tag));
    }

    /// The repository is gone.
    pub(crate) fn remove_repository(&self, repository: &str) {
        remove_tree(&self.repository(repository));
    }

    /// The list of tags cannot be read: there is something that is no directory.
    pub(crate) fn unreadable_tags(&self, repository: &str) {
        let path = self.manifests(repository).join("tags");
        remove_tree(&path);
        fs::write(&path, "not a directory").expect("a file is written");
    }

    /// The repository is catalogued, and has no directory of tags.
    pub(crate) fn remove_tags(&self, repository: &str) {
        remove_tree(&self.manifests(repository).join("tags"));
    }

    /// The manifest is stored, and the repository no longer owns it: what garbage collection does to children.
    pub(crate) fn remove_revision_link(&self, repository: &str, digest: &str) {
        remove(&self.revision_link(repository, digest));
    }

    /// The repository's link to the manifest is there and says nothing.
    pub(crate) fn empty_revision_link(&self, repository: &str, digest: &str) {
        truncate(&self.revision_link(repository, digest), 0);
    }

    /// The blob is stored, and the repository no longer owns it.
    pub(crate) fn remove_layer_link(&self, repository: &str, digest: &str) {
        let layers = self.repository(repository).join("_layers");
        remove(&layers.join(algorithm_and_hex(digest)).join("link"));
    }

    /// The bytes are gone, links stay.
    pub(crate) fn remove_data(&self, digest: &str) {
        remove(&self.data(digest));
    }

    /// The file stays, with nothing in it.
    pub(crate) fn empty_data(&self, digest: &str) {
        truncate(&self.data(digest), 0);
    }

    /// The second half of the file is gone.
    pub(crate) fn halve_data(&self, digest: &str) {
        let path = self.data(digest);
        let size = fs::metadata(&path).expect("the blob is stored").len();
        truncate(&path, size / 2);
    }

    /// One bit in the middle of the file is the other way round.
    pub(crate) fn flip_one_bit(&self, digest: &str) {
        let path = self.data(digest);
        let mut bytes = fs::read(&path).expect("the blob is stored");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("the blob can be written");
    }

    /// Other bytes of the same length that are valid JSON and promise the same children and layers.
    pub(crate) fn alter_manifest(&self, digest: &str) {
        let path = self.data(digest);
        let text = fs::read_to_string(&path).expect("the manifest is stored");
        let altered = text.replacen("seed: ", "SEED: ", 1);
        assert_ne!(text, altered, "the manifest carries its seed");
        fs::write(&path, altered).expect("the manifest can be written");
    }

    /// The disk fails: where directories were, there is something that cannot be read as one.
    pub(crate) fn fail(&self) {
        for name in ["repositories", "blobs"] {
            let path = self.root.join(name);
            fs::rename(&path, path.with_extension("gone")).expect("a directory can be renamed");
            fs::write(&path, "not a directory").expect("a file is written");
        }
    }

    fn repository(&self, repository: &str) -> PathBuf {
        self.root.join("repositories").join(repository)
    }

    fn manifests(&self, repository: &str) -> PathBuf {
        self.repository(repository).join("_manifests")
    }

    fn tag_link(&self, repository: &str, tag: &str) -> PathBuf {
        let tags = self.manifests(repository).join("tags");
        tags.join(tag).join("current/link")
    }

    fn revision_link(&self, repository: &str, digest: &str) -> PathBuf {
        let revisions = self.manifests(repository).join("revisions");
        revisions.join(algorithm_and_hex(digest)).join("link")
    }

    fn data(&self, digest: &str) -> PathBuf {
        let (algorithm, hex) = split(digest);
        let blobs = self.root.join("blobs").join(algorithm);
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

/// Everything below a directory: files with the digest of what they hold, directories with none.
pub(crate) fn listing(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut listing = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        // What was never written to is not there.
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("an entry can be read").path();
            let digest = if path.is_dir() {
                waiting.push(path.clone());
                String::new()
            } else {
                sha256(&fs::read(&path).expect("a file can be read"))
            };
            listing.insert(path, digest);
        }
    }
    listing
}

fn split(digest: &str) -> (&str, &str) {
    digest.split_once(':').expect("a digest has an algorithm")
}

fn algorithm_and_hex(digest: &str) -> PathBuf {
    let (algorithm, hex) = split(digest);
    Path::new(algorithm).join(hex)
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn remove_tree(path: &Path) {
    fs::remove_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn truncate(path: &Path, size: u64) {
    let file = fs::OpenOptions::new().write(true).open(path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.set_len(size).expect("a file can be cut");
}
