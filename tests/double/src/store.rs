//! Storage as distribution lays it out: bytes by digest for all, and per repository links to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::digest::algorithm_of;
use crate::quirks::{DescriptorCache, ManifestReader};
use crate::reply::Reply;

/// The whole storage.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// `blobs/<algorithm>/<…>/data`
    pub(crate) blobs: BTreeMap<String, Bytes>,
    /// Keyed so that `foo/x` stands between `foo` and `foo-bar`, which is the order of a walk
    /// through directories.
    repositories: BTreeMap<String, Repository>,
    /// Blobs on their way in, by upload identifier.
    pub(crate) uploads: BTreeMap<String, Vec<u8>>,
    /// How many uploads there ever were.
    pub(crate) upload_count: u64,
}

/// A link file of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It names its digest.
    Intact,
    /// It has zero bytes.
    Empty,
    /// It is gone, but a descriptor cache may remember it.
    Gone,
}

/// A linked blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub(crate) link: Link,
    /// What a descriptor cache remembers.
    pub(crate) length: u64,
}

/// A linked manifest.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    pub(crate) link: Link,
    pub(crate) media_type: String,
}

/// A tag's directory and the link in it.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) link: Link,
    pub(crate) digest: String,
}

/// `repositories/<name>/`
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// `_layers`; nothing once the directory is gone.
    pub(crate) has_layers: bool,
    pub(crate) layers: BTreeMap<String, Layer>,
    /// `_manifests`
    pub(crate) has_manifests: bool,
    pub(crate) revisions: BTreeMap<String, Revision>,
    /// `_manifests/tags`
    pub(crate) has_tags: bool,
    pub(crate) tags: BTreeMap<String, Tag>,
}

/// A manifest that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// A blob as the registry believes it to be.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// What it says of the length.
    pub(crate) length: u64,
    /// What is really there.
    pub(crate) bytes: Bytes,
}

impl Store {
    /// The repository, created where it is new.
    pub(crate) fn repository_mut(&mut self, name: &str) -> &mut Repository {
        self.repositories
            .entry(name.replace('/', "\0"))
            .or_insert_with(|| Repository {
                has_layers: true,
                ..Repository::default()
            })
    }

    pub(crate) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(&name.replace('/', "\0"))
    }

    /// All repositories in the order of the directory walk.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = (String, &Repository)> {
        self.repositories
            .iter()
            .map(|(key, repository)| (key.replace('\0', "/"), repository))
    }

    pub(crate) fn put_blob(&mut self, repository: &str, digest: &str, bytes: Bytes) {
        let layer = Layer {
            link: Link::Intact,
            length: bytes.len() as u64,
        };
        self.blobs.insert(digest.to_owned(), bytes);
        let repository = self.repository_mut(repository);
        repository.has_layers = true;
        repository.layers.insert(digest.to_owned(), layer);
    }

    pub(crate) fn put_manifest(
        &mut self,
        repository: &str,
        digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) {
        self.blobs.insert(digest.to_owned(), bytes);
        let repository = self.repository_mut(repository);
        repository.has_manifests = true;
        let revision = Revision {
            link: Link::Intact,
            media_type: media_type.to_owned(),
        };
        repository.revisions.insert(digest.to_owned(), revision);
    }

    pub(crate) fn put_tag(&mut self, repository: &str, tag: &str, digest: &str) {
        let repository = self.repository_mut(repository);
        repository.has_manifests = true;
        repository.has_tags = true;
        repository.tags.insert(
            tag.to_owned(),
            Tag {
                link: Link::Intact,
                digest: digest.to_owned(),
            },
        );
    }

    /// Finds a manifest by tag or digest, or says what distribution says.
    pub(crate) fn manifest(
        &self,
        name: &str,
        reference: &str,
        cache: DescriptorCache,
        reader: ManifestReader,
    ) -> Result<Manifest, Reply> {
        let by_tag = algorithm_of(reference).is_none();
        let digest = if by_tag {
            self.resolve(name, reference)?
        } else {
            reference.to_owned()
        };
        let unknown = || unknown_revision(name, &digest);
        let repository = self.repository(name).ok_or_else(unknown)?;
        let Some(revision) = repository.revisions.get(&digest) else {
            // A linked blob that is no manifest is found, and cannot be read as one.
            return Err(if repository.layers.contains_key(&digest) {
                unreadable()
            } else {
                unknown()
            });
        };
        let believed = cache == DescriptorCache::WarmWithManifests;
        match revision.link {
            Link::Intact => {}
            _ if believed => {}
            Link::Empty => return Err(unreadable()),
            Link::Gone => return Err(unknown()),
        }
        let bytes = self.blobs.get(&digest).ok_or_else(unknown)?.clone();
        let media_type = reader
            .media_type(&revision.media_type, &bytes)
            .ok_or_else(unreadable)?;
        Ok(Manifest {
            digest,
            media_type,
            bytes,
        })
    }

    fn resolve(&self, name: &str, tag: &str) -> Result<String, Reply> {
        if tag.contains(':') {
            // A malformed digest is taken for a tag, for which no path can be made.
            return Err(unreadable());
        }
        let tags = self.repository(name).map(|repository| &repository.tags);
        let found = tags.and_then(|tags| tags.get(tag));
        match found.map(|found| (found.link, &found.digest)) {
            Some((Link::Intact, digest)) => Ok(digest.clone()),
            Some((Link::Empty, _)) => Err(unreadable()),
            Some((Link::Gone, _)) | None => {
                let detail = json!({"Tag": tag});
                Err(Reply::error_with(
                    404,
                    "MANIFEST_UNKNOWN",
                    "manifest unknown",
                    &detail,
                ))
            }
        }
    }

    /// Finds a blob, or says what distribution says.
    pub(crate) fn blob(
        &self,
        name: &str,
        digest: &str,
        cache: DescriptorCache,
    ) -> Result<Blob, Reply> {
        if algorithm_of(digest).is_none() {
            let message = "provided digest did not match uploaded content";
            return Err(Reply::error_with(
                400,
                "DIGEST_INVALID",
                message,
                &json!({}),
            ));
        }
        let unknown = || {
            Reply::error_with(
                404,
                "BLOB_UNKNOWN",
                "blob unknown to registry",
                &json!(digest),
            )
        };
        let layer = self
            .repository(name)
            .and_then(|repository| repository.layers.get(digest))
            .ok_or_else(unknown)?;
        let bytes = self.blobs.get(digest).cloned();
        if cache != DescriptorCache::Cold {
            return Ok(Blob {
                length: layer.length,
                bytes: bytes.unwrap_or_default(),
            });
        }
        match layer.link {
            Link::Intact => {
                let bytes = bytes.ok_or_else(unknown)?;
                Ok(Blob {
                    length: bytes.len() as u64,
                    bytes,
                })
            }
            Link::Empty => Err(unreadable()),
            Link::Gone => Err(unknown()),
        }
    }
}

impl ManifestReader {
    /// The type under which a manifest is served; nothing where it cannot be read.
    fn media_type(self, stored: &str, bytes: &[u8]) -> Option<String> {
        let value: Value = serde_json::from_slice(bytes)
            .ok()
            .filter(Value::is_object)?;
        if self == Self::AnyType {
            return Some(stored.to_owned());
        }
        let version = value["schemaVersion"].as_u64();
        let declared = value["mediaType"].as_str().unwrap_or_default();
        match (version, declared) {
            (Some(1), _) if self == Self::Distribution2 => Some(stored.to_owned()),
            (Some(2), "") if value["manifests"].is_array() => {
                Some(crate::media_type::OCI_INDEX.to_owned())
            }
            (Some(2), "") => Some(crate::media_type::OCI_MANIFEST.to_owned()),
            (Some(2), known) if crate::media_type::MODERN.contains(&known) => {
                Some(known.to_owned())
            }
            _ => None,
        }
    }
}

fn unknown_revision(name: &str, digest: &str) -> Reply {
    let detail = json!({"Name": name, "Revision": digest});
    Reply::error_with(404, "MANIFEST_UNKNOWN", "manifest unknown", &detail)
}

/// What distribution says of everything that it finds and cannot read.
pub(crate) fn unreadable() -> Reply {
    Reply::error_with(500, "UNKNOWN", "unknown error", &json!({}))
}
