//! How much a sweep went through, and what of it a clean-up may break.

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, Repository};

/// How many there are, and how many of them were looked at to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    /// In scope, as listed.
    pub listed: u64,
    /// Of those, given a verdict.
    pub checked: u64,
}

/// What a sweep went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counts {
    /// Repositories in scope.
    pub repositories: Coverage,
    /// Tags in scope (or images, where the caller named them).
    pub tags: Coverage,
    /// Indexes that were read, once per repository and digest.
    pub indexes: u64,
    /// Manifests that were read, indexes not included.
    pub manifests: u64,
    /// Blobs that were looked at, once per repository and digest.
    pub blobs: u64,
    /// Missing index children where the mode allows them.
    pub absent: u64,
    /// Children of indexes whose config names another platform than their index, and which may run all the same.
    #[serde(default)]
    pub platform_mismatches: u64,
    /// Requests sent, retries and token requests included.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// Blobs whose bytes were read, once for all repositories that have the digest.
    pub blobs_read: u64,
    /// Blobs whose bytes are left to later sweeps, because they are not due and the sweep ran for as long as it
    /// may read others.
    pub blobs_put_off: u64,
    /// Bytes of the blobs that were read in full and hashed, be it in their turn or all of them.
    pub scrubbed_bytes: u64,
}

/// What a clean-up may break in a repository that is intact today: manifests that an index names and no
/// tag does. registry:2, for one, counts them as untagged (`garbage-collect --delete-untagged`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exposed {
    /// The repository.
    pub repository: Repository,
    /// How many manifests.
    pub manifests: u64,
    /// The first of them, in the order of their digests.
    pub digests: Vec<Digest>,
}

impl Exposed {
    /// How many digests are kept of a repository: what outlives its walk must not grow with it.
    pub const NAMED: usize = 16;
}
