//! The sentences about what was promised and what was observed, the same in every report.

use std::fmt;

use super::evidence::{LengthSource, Observed, Promised};
use crate::oci::{Digest, MediaKind};

/// With `{:#}`, the digest itself is left out: it stands beside.
impl fmt::Display for Promised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest { digest: None } => f.write_str("a manifest"),
            Self::Manifest {
                digest: Some(digest),
            } => with(f, "a manifest", digest),
            Self::Blob { digest, size: None } => with(f, "a blob", digest),
            Self::Blob {
                digest,
                size: Some(size),
            } => with(f, &format!("{size} bytes"), digest),
            Self::Size { size } => write!(f, "{size} bytes"),
            Self::Readable { kind } => {
                write!(f, "{}, under a type by which clients read it", words(*kind))
            }
            Self::Layers { layers } => {
                write!(f, "a config with {layers} diff_ids, one for each layer")
            }
            Self::DiffId { digest } => write!(f, "a layer that unpacks to {digest}, by the config"),
            Self::Platform { platform } => write!(f, "an image for {platform}, by its index"),
            Self::Attached { types } => write!(f, "an image with attached {types}"),
            Self::MediaType { media_type } => match MediaKind::from_media_type(media_type) {
                MediaKind::Unknown if media_type.is_empty() => {
                    f.write_str("content of no type, which clients ask for as a blob")
                }
                MediaKind::Unknown => {
                    write!(
                        f,
                        "content of type {media_type}, which clients ask for as a blob"
                    )
                }
                _ => write!(f, "a manifest of type {media_type}"),
            },
        }
    }
}

fn with(f: &mut fmt::Formatter<'_>, what: &str, digest: &Digest) -> fmt::Result {
    if f.alternate() {
        write!(f, "{what} with this digest")
    } else {
        write!(f, "{what} with digest {digest}")
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                status,
                code,
                from_storage,
                ..
            } => refused(f, *status, code.as_deref(), *from_storage),
            Self::Cut {
                received,
                announced: Some(announced),
            } => {
                write!(
                    f,
                    "{received} of {announced} announced bytes, then the connection ended"
                )
            }
            Self::Cut {
                received,
                announced: None,
            } => {
                write!(
                    f,
                    "{received} bytes, and the connection ended before the body did"
                )
            }
            Self::OtherLength { length, source } => other_length(f, *length, *source),
            Self::MoreBytes => f.write_str("more bytes than that"),
            Self::OtherBytes {
                length: Some(length),
                digest,
                ..
            } => {
                write!(f, "{length} bytes that hash to {digest}")
            }
            Self::OtherBytes {
                length: None,
                digest,
                ..
            } => write!(f, "bytes that hash to {digest}"),
            Self::NoManifest { error, .. } => write!(f, "bytes that are no manifest: {error}"),
            Self::InvalidManifest { problem } => write!(f, "a manifest in which {problem}"),
            Self::OtherKind {
                kind,
                own_type,
                served_as,
            } => other_kind(f, *kind, own_type, served_as.as_deref()),
            Self::Changing { observed } => {
                write!(
                    f,
                    "{observed} in some looks, and what was promised in others"
                )
            }
            observed => of_image(f, observed),
        }
    }
}

/// What contradicts an image of which every byte is as promised.
fn of_image(f: &mut fmt::Formatter<'_>, observed: &Observed) -> fmt::Result {
    match observed {
        Observed::UnpacksTo { digest } => write!(f, "it unpacks to {digest}"),
        Observed::NotUnpacked { problem } => write!(f, "it cannot be unpacked: {problem}"),
        Observed::OtherLayers { layers } => write!(f, "a config with {layers} diff_ids"),
        Observed::UnreadableConfig { problem } => write!(f, "a config {problem}"),
        Observed::OtherPlatform { platform } => {
            write!(f, "a config that says that it is for {platform}")
        }
        Observed::Attached { types } if types.is_empty() => f.write_str("nothing is attached"),
        Observed::Attached { types } => write!(f, "what is attached is {types}"),
        other => write!(f, "{other:?}"),
    }
}

fn refused(
    f: &mut fmt::Formatter<'_>,
    status: u16,
    code: Option<&str>,
    from_storage: bool,
) -> fmt::Result {
    write!(f, "{status}")?;
    if let Some(code) = code {
        write!(f, " {code}")?;
    }
    if from_storage {
        f.write_str(" from the storage behind the registry")?;
    }
    Ok(())
}

fn other_length(f: &mut fmt::Formatter<'_>, length: u64, source: LengthSource) -> fmt::Result {
    match source {
        LengthSource::Stated => write!(f, "the registry has {length} bytes of it"),
        LengthSource::Received => write!(f, "{length} bytes, which are fewer"),
        LengthSource::Verified => write!(
            f,
            "the registry has {length} bytes of it, which are as their digest says"
        ),
    }
}

fn other_kind(
    f: &mut fmt::Formatter<'_>,
    kind: MediaKind,
    own_type: &str,
    served_as: Option<&str>,
) -> fmt::Result {
    f.write_str(words(kind))?;
    if !own_type.is_empty() {
        write!(f, " with the `mediaType` {own_type}")?;
    }
    match served_as {
        None => Ok(()),
        Some("") => f.write_str(", served without a type"),
        Some(served_as) => write!(f, ", served as {served_as}"),
    }
}

fn words(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Index => "an index",
        MediaKind::Manifest => "an image manifest",
        MediaKind::Schema1 => "a schema 1 manifest",
        MediaKind::Artifact => "an artifact manifest",
        MediaKind::Unknown => "a document",
    }
}
