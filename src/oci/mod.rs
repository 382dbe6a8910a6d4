//! The words of the OCI specifications: names, digests, media types and documents. Plain data without I/O.

mod config;
mod descriptor;
mod digest;
mod document;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/oci.rs"]
pub(crate) mod fuzzing;
mod media_type;
mod name;
mod platform;
mod referrer;
mod schema1;
mod text;
mod typed;

pub use config::{ConfigProblem, ImageConfig};
pub use descriptor::{Descriptor, is_of_an_image};
pub use digest::{Digest, Hasher, MalformedDigest};
pub use document::{Document, DocumentError};
pub use media_type::{MANIFEST_ACCEPT, MediaKind, content_type};
pub use name::{InvalidName, Reference, Repository, Tag};
pub use platform::{Differing, Platform};
pub use referrer::{Attached, InvalidType, ReferrerClass, ReferrerType, list_tag, subject_of};
pub use schema1::{manifest_digest, own_digest};
pub(crate) use text::text_in_json;
pub use text::{Printable, printable, shorten};
pub(crate) use typed::Capped;
