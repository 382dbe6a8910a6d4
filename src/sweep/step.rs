//! The next thing to ask of a repository.

use super::graph::{NodeId, TagId};
use crate::oci::{Digest, Tag};
use crate::registry::Way;

/// The next thing to ask of a repository.
pub(super) enum Step {
    List,
    IsKnown,
    Resolve(TagId, Tag, Way),
    Manifest(NodeId, Digest, Keeper),
    Blob(NodeId, Digest, Option<u64>),
}

/// Where a manifest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    Manifests,
    /// With the manifests or the blobs: a child of a type that clients do not know.
    Either,
}
