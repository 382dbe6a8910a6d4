//! What a registry can do: a few questions about it (`examine`), what they found, and the page and JSON about
//! that.

mod examination;
mod examine;
pub mod json;
mod json_sample;
pub mod page;
mod sample;

pub use examination::{
    Contact, Examination, Greeting, Identity, Login, Outlook, Protection, Wanted,
};
pub use sample::{
    BlobAnswers, BlobHead, CacheSign, Etag, ManifestGet, ManifestHead, NextPage, Page, PageSize,
    Pull, Range, Sample, StatedDigest, StatedLength,
};
