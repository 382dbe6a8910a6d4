//! What shows that a promise is broken: both sources of truth, as data.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::oci::{Digest, MediaKind, Printable};

/// Who promised what, and what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence {
    /// What was promised; `None` if that is no more than what the finding itself says.
    #[serde(serialize_with = "worded")]
    #[cfg_attr(test, schemars(with = "Option<Worded<Promised>>"))]
    pub promised: Option<Promised>,
    /// What was observed; `None` if an earlier version of this program has seen it.
    #[serde(serialize_with = "worded")]
    #[cfg_attr(test, schemars(with = "Option<Worded<Observed>>"))]
    pub observed: Option<Observed>,
    /// The request that shows it, as `METHOD PATH`; empty if no single one does.
    pub request: Printable,
    /// The status of the answer to that request.
    pub status: Option<u16>,
}

/// Data, and the sentence that reports make of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Worded<T> {
    #[serde(flatten)]
    data: T,
    /// The same as a sentence.
    words: String,
}

#[expect(clippy::ref_option, reason = "so serde calls it")]
fn worded<T: Serialize + fmt::Display, S: Serializer>(
    data: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    // The digest stands beside.
    let words = data.as_ref().map(|data| format!("{data:#}"));
    let worded = data.as_ref().zip(words);
    worded
        .map(|(data, words)| Worded { data, words })
        .serialize(to)
}

/// What was promised of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Promised {
    /// A manifest.
    Manifest {
        /// Its digest; `None` where only a tag promises it.
        digest: Option<Digest>,
    },
    /// A blob.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its length in bytes.
        size: Option<u64>,
    },
    /// A length in bytes.
    Size {
        /// In bytes.
        size: u64,
    },
    /// A document that clients can read by the type that it is served with.
    Readable {
        /// What the document is.
        kind: MediaKind,
    },
    /// An image of so many layers, by its manifest.
    Layers {
        /// How many.
        layers: u64,
    },
    /// A layer that unpacks to this, by the config.
    DiffId {
        /// The digest.
        digest: Digest,
    },
    /// An image for a platform, by its index.
    Platform {
        /// The platform, as `os/architecture[/variant]`.
        platform: Printable,
    },
    /// Something of each of these types, attached to it.
    Attached {
        /// The types, by `, `.
        types: Printable,
    },
    /// Content of a type.
    MediaType {
        /// As the index has it; may be empty.
        media_type: Printable,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Observed {
    /// A refusal.
    Refused {
        /// The status.
        status: u16,
        /// The first error code in the body.
        code: Option<Printable>,
        /// Whether it came from where the registry redirected to.
        from_storage: bool,
        /// Whether it is a web page.
        is_page: bool,
    },
    /// A body that ended early.
    Cut {
        /// The bytes that came.
        received: u64,
        /// The bytes that were announced.
        announced: Option<u64>,
    },
    /// Another length than promised.
    OtherLength {
        /// In bytes.
        length: u64,
        /// How it is known.
        source: LengthSource,
    },
    /// More bytes than promised; how many more is not known.
    MoreBytes,
    /// Bytes of another digest than promised.
    OtherBytes {
        /// How many.
        length: Option<u64>,
        /// What they hash to.
        digest: Digest,
        /// How they begin.
        start: Start,
    },
    /// Bytes that are no manifest.
    NoManifest {
        /// Why they are none.
        error: Printable,
        /// How they begin.
        start: Start,
    },
    /// A manifest that clients refuse.
    InvalidManifest {
        /// What is wrong with it.
        problem: Printable,
    },
    /// A document of another kind than promised, or that says to be of another kind.
    OtherKind {
        /// What it is.
        kind: MediaKind,
        /// What it says to be; empty if it says nothing.
        own_type: Printable,
        /// What the registry says it to be, where that decides; empty if it says nothing.
        served_as: Option<Printable>,
    },
    /// A layer that unpacks to something else.
    UnpacksTo {
        /// The digest.
        digest: Digest,
    },
    /// A layer that clients cannot unpack.
    NotUnpacked {
        /// Why.
        problem: Printable,
    },
    /// A config that knows another number of layers.
    OtherLayers {
        /// How many.
        layers: u64,
    },
    /// A config that clients cannot read.
    UnreadableConfig {
        /// Why.
        problem: Printable,
    },
    /// What is attached to it.
    Attached {
        /// The types, by `, `; empty if nothing is.
        types: Printable,
    },
    /// A config that names another platform.
    OtherPlatform {
        /// The platform, as `os/architecture[/variant]`.
        platform: Printable,
    },
    /// This in some looks, and what was promised in others.
    Changing {
        /// What was observed in some.
        observed: Box<Observed>,
    },
}

/// How the length of an object is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LengthSource {
    /// The registry says so.
    Stated,
    /// So many bytes came.
    Received,
    /// So many bytes came, and they hash to the digest: what promises another length is wrong.
    Verified,
}

/// How a body begins that is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// There are no bytes.
    Empty,
    /// As a web page does.
    WebPage,
    /// In some other way.
    Other,
}

impl Start {
    /// How `bytes` begin.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes.trim_ascii_start().first() {
            None => Self::Empty,
            // No manifest begins so, and every page does.
            Some(b'<') => Self::WebPage,
            Some(_) => Self::Other,
        }
    }
}

impl Promised {
    /// The length in bytes that was promised.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Blob { size, .. } => *size,
            Self::Size { size } => Some(*size),
            Self::Manifest { .. }
            | Self::Readable { .. }
            | Self::Layers { .. }
            | Self::DiffId { .. }
            | Self::Platform { .. }
            | Self::Attached { .. }
            | Self::MediaType { .. } => None,
        }
    }
}

impl Evidence {
    /// Whether a web page came instead of the object, or of a plain refusal.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.observed.as_ref().is_some_and(Observed::is_page)
    }

    /// `REQUEST answers WHAT`, for a sentence about it.
    #[must_use]
    pub fn answer(&self) -> String {
        match &self.observed {
            Some(observed) => format!("{} answers {observed}", self.request),
            None => self.request.to_string(),
        }
    }
}

impl Observed {
    /// Whether it is a refusal, whose words include the status.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Changing { observed } => observed.is_refusal(),
            observed => matches!(observed, Self::Refused { .. }),
        }
    }

    /// Whether it is a document that is right about its kind, and its header alone says something else.
    pub(super) fn is_called_wrong(&self) -> bool {
        matches!(self, Self::OtherKind { kind, own_type, served_as: Some(_) }
            if own_type.is_empty() || MediaKind::from_media_type(own_type) == *kind)
    }

    fn is_page(&self) -> bool {
        match self {
            Self::Refused { is_page, .. } => *is_page,
            Self::NoManifest { start, .. } | Self::OtherBytes { start, .. } => {
                *start == Start::WebPage
            }
            Self::Changing { observed } => observed.is_page(),
            Self::Cut { .. }
            | Self::OtherLength { .. }
            | Self::MoreBytes
            | Self::InvalidManifest { .. }
            | Self::OtherLayers { .. }
            | Self::UnpacksTo { .. }
            | Self::NotUnpacked { .. }
            | Self::UnreadableConfig { .. }
            | Self::OtherPlatform { .. }
            | Self::Attached { .. }
            | Self::OtherKind { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_what_was_promised() {
        let digest = Digest::sha256(b"x");
        let blob = |size| Promised::Blob {
            digest: digest.clone(),
            size,
        };
        let typed = |media_type: &str| Promised::MediaType {
            media_type: media_type.into(),
        };
        let index = "application/vnd.oci.image.index.v1+json";
        for (promised, words) in [
            (Promised::Manifest { digest: None }, "a manifest"),
            (
                Promised::Manifest {
                    digest: Some(digest.clone()),
                },
                "a manifest with this digest",
            ),
            (blob(None), "a blob with this digest"),
            (blob(Some(7)), "7 bytes with this digest"),
            (Promised::Size { size: 7 }, "7 bytes"),
            (
                typed(index),
                "a manifest of type application/vnd.oci.image.index.v1+json",
            ),
            (
                typed("x/y"),
                "content of type x/y, which clients ask for as a blob",
            ),
            (
                typed(""),
                "content of no type, which clients ask for as a blob",
            ),
        ] {
            assert_eq!(format!("{promised:#}"), words);
        }
        assert_eq!(
            blob(Some(7)).to_string(),
            format!("7 bytes with digest {digest}")
        );
    }

    #[test]
    fn sentences_say_what_was_observed() {
        let refused = |code: Option<&str>, from_storage| Observed::Refused {
            status: 404,
            code: code.map(Into::into),
            from_storage,
            is_page: false,
        };
        let length = |source| Observed::OtherLength { length: 7, source };
        let kind = |served_as: Option<&str>| Observed::OtherKind {
            kind: MediaKind::Index,
            own_type: "x/y".into(),
            served_as: served_as.map(Into::into),
        };
        let cut = |announced| Observed::Cut {
            received: 3,
            announced,
        };
        for (observed, words) in [
            (refused(Some("BLOB_UNKNOWN"), false), "404 BLOB_UNKNOWN"),
            (
                refused(None, true),
                "404 from the storage behind the registry",
            ),
            (
                cut(Some(7)),
                "3 of 7 announced bytes, then the connection ended",
            ),
            (
                cut(None),
                "3 bytes, and the connection ended before the body did",
            ),
            (
                length(LengthSource::Stated),
                "the registry has 7 bytes of it",
            ),
            (length(LengthSource::Received), "7 bytes, which are fewer"),
            (Observed::MoreBytes, "more bytes than that"),
            (kind(None), "an index with the `mediaType` x/y"),
            (
                kind(Some("")),
                "an index with the `mediaType` x/y, served without a type",
            ),
            (
                kind(Some("a/b")),
                "an index with the `mediaType` x/y, served as a/b",
            ),
            (
                Observed::Changing {
                    observed: Box::new(refused(None, false)),
                },
                "404 in some looks, and what was promised in others",
            ),
        ] {
            assert_eq!(observed.to_string(), words);
        }
    }
}
