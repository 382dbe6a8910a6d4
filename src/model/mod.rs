//! The vocabulary: plain data that every floor above speaks in, with no I/O and no foreign error.

mod blast;
mod capped;
mod cause;
mod descriptor;
mod digest;
mod document;
mod examination;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/model.rs"]
pub(crate) mod fuzzing;
mod image;
mod media_type;
mod name;
mod outcome;
mod record;
mod repair;
mod sample;
mod schema1;
mod shard;
mod sweep;
mod text;
mod typed;

pub use blast::Root;
pub(crate) use capped::Capped;
pub use cause::{Cause, Sign};
pub use descriptor::Descriptor;
pub use digest::{Digest, Hasher, MalformedDigest};
pub use document::{Document, DocumentError};
pub use examination::{
    Certificate, Contact, Examination, Greeting, Identity, Login, Outlook, Protection, Wanted,
};
pub use image::{Expected, Image, NoPlatform, Node, Platform, State, Unmet};
pub use media_type::{MANIFEST_ACCEPT, MediaKind, content_type};
pub use name::{InvalidName, Reference, Repository, Tag};
pub use outcome::{
    Defect, Depth, Evidence, Exemption, Kind, Obstacle, ObstacleReason, Outcome, Reason,
};
pub use record::{Glance, Known, Record};
pub use repair::{Access, Action, Authentication, Nearby, Repair};
pub use sample::{
    BlobAnswers, BlobHead, CacheSign, Etag, ManifestGet, ManifestHead, NextPage, Page, PageSize,
    Pull, Range, Sample, StatedDigest, StatedLength,
};
pub use schema1::{manifest_digest, own_digest};
pub use shard::Shard;
pub use sweep::{
    Bracket, Counts, Coverage, Exposed, Finding, Listed, Mode, Presence, RepositoryResult, Sweep,
    Unverified, Verdict,
};
pub use text::{printable, shorten};
