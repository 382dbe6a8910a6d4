//! The vocabulary: plain data that every floor above speaks in, with no I/O and no foreign error.

mod digest;
mod document;
mod examination;
mod name;
mod outcome;
mod record;
mod sample;
mod sweep;
mod text;

pub use digest::{Digest, Hasher, MalformedDigest};
pub use document::{
    Descriptor, Document, DocumentError, MANIFEST_ACCEPT, MediaKind, is_foreign_layer,
};
pub use examination::{
    Certificate, Contact, Examination, Greeting, Identity, Login, Outlook, Protection, Wanted,
};
pub use name::{InvalidName, Reference, Repository, Tag};
pub use outcome::{
    Defect, Depth, Evidence, Exemption, Kind, Obstacle, ObstacleReason, Outcome, Reason,
};
pub use record::{Glance, Known, Record};
pub use sample::{
    BlobAnswers, BlobHead, CacheSign, Etag, ManifestGet, ManifestHead, NextPage, Page, PageSize,
    Pull, Range, Sample, StatedDigest, StatedLength,
};
pub use sweep::{
    Counts, Coverage, Finding, Listed, Mode, RepositoryResult, Sweep, Unverified, Verdict,
};
pub use text::{printable, shorten};
