//! The words of the OCI specifications: names, digests, media types and documents. Plain data without I/O.

mod capped;
mod descriptor;
mod digest;
mod document;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/oci.rs"]
pub(crate) mod fuzzing;
mod media_type;
mod name;
mod schema1;
mod text;
mod typed;

pub(crate) use capped::Capped;
pub use descriptor::Descriptor;
pub use digest::{Digest, Hasher, MalformedDigest};
pub use document::{Document, DocumentError};
pub use media_type::{MANIFEST_ACCEPT, MediaKind, content_type};
pub use name::{InvalidName, Reference, Repository, Tag};
pub use schema1::{manifest_digest, own_digest};
pub use text::{Printable, printable, shorten};

/// What is JSON as the text that it is elsewhere.
macro_rules! json_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
json_text!(Digest, Repository, Tag);
