//! Media types of documents: which there are, and what a registry is asked for.

use super::text::shorten;

/// The longest media type that is kept: longer ones are no types (RFC 6838, 4.2, allows 127 and 127).
pub(super) const LONGEST_TYPE: usize = 255;

/// The `Accept` of every manifest request, in one line: a registry may answer 404 for a stored
/// manifest whose type the client does not name, and `*/*` does not count everywhere (distribution,
/// handlers/manifests.go). It is there for types that are not in this list.
pub const MANIFEST_ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws, \
     application/vnd.docker.distribution.manifest.v1+json, \
     application/vnd.oci.artifact.manifest.v1+json, */*";

/// What kind of document something is, or is said to be.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum MediaKind {
    /// An OCI index or a Docker manifest list.
    Index,
    /// An OCI or a Docker schema 2 image manifest.
    Manifest,
    /// A Docker schema 1 manifest. Its digest leaves the signatures out.
    Schema1,
    /// The withdrawn OCI artifact manifest, still found in Harbor, ACR and GHCR.
    Artifact,
    /// Anything else. By the image specification an unknown type is no error.
    #[default]
    Unknown,
}

impl MediaKind {
    /// Reads a media type as it stands in a document: to the letter, as clients do.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Self {
        match media_type {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.docker.distribution.manifest.v1+prettyjws"
            | "application/vnd.docker.distribution.manifest.v1+json" => Self::Schema1,
            "application/vnd.oci.artifact.manifest.v1+json" => Self::Artifact,
            _ => Self::Unknown,
        }
    }
}

/// The type in a `Content-Type`: parameters such as `; charset=utf-8` are left out of account, as the
/// distribution specification asks, and so is its case.
#[must_use]
pub fn content_type(header: &str) -> String {
    let media_type = header.split(';').next().unwrap_or_default();
    shorten(media_type.trim(), LONGEST_TYPE).to_ascii_lowercase()
}
