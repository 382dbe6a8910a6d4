//! What an examination saw of a registry's lists, and of one image as far as a sweep would pull it.

use crate::oci::{Repository, Tag};
use crate::registry::Unverified;
use crate::words::words;

/// The first page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its entries.
    pub entries: u64,
    /// The size that was asked for.
    pub asked: u64,
    /// What was said to the size of page that was asked for.
    pub size: PageSize,
    /// Where the next one is.
    pub next: NextPage,
}

impl Page {
    /// Whether this is the whole list. Some registries leave the link out of a full page.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.next == NextPage::None && self.entries < self.asked
    }
}

/// What a registry says to the size of page that it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// It takes it.
    Accepted,
    /// It refuses it in these words, and gives a page of its own size (ECR, distribution).
    Refused(String),
}

/// How a page leads to the next (distribution-spec, "Listing Tags"; RFC 8288).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// It does not: this is all.
    None,
    /// By a link that is relative to this page.
    Relative,
    /// By a link with this registry's own address.
    Absolute,
    /// By a link to another host than was asked (Quay and ECR behind another name).
    OtherHost(String),
    /// By a link with another path than that of the list (nexus-public#1011, renovate#15080).
    OtherPath(String),
}

/// A repository that was looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which.
    pub repository: Repository,
    /// The first page of its tags.
    pub tags: Result<Page, Unverified>,
    /// The status for a manifest that nobody has; `None` if that was not asked, or not answered.
    pub unknown: Option<u16>,
    /// What came of pulling one of the tags; `None` if there was none to pull, or if a cache would
    /// have stored it.
    pub pull: Option<Pull>,
}

/// What came of pulling an image as far as a sweep does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The image's tag.
    pub tag: Tag,
    /// What HEAD of its manifest says.
    pub head: Result<ManifestHead, Unverified>,
    /// What GET of its manifest says.
    pub get: Result<ManifestGet, Unverified>,
    /// What its smallest blob says; `None` if none could be asked for.
    pub blob: Option<BlobAnswers>,
}

/// What HEAD of a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The status.
    pub status: u16,
    /// Its `Docker-Content-Digest`.
    pub digest: StatedDigest,
    /// Its `Content-Length`.
    pub length: StatedLength,
}

/// What GET of a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestGet {
    /// Its `Docker-Content-Digest`.
    pub digest: StatedDigest,
    /// The manifests of the image, this one included.
    pub manifests: u64,
    /// The blobs of the image. Those of an index are reckoned from one of its children.
    pub blobs: u64,
}

words! {
    /// A digest in a header, held against the bytes.
    StatedDigest {
        /// There is none.
        Absent = "absent",
        /// It is that of the bytes.
        Agrees = "agrees",
        /// It is not.
        Differs = "differs",
        /// The bytes are not known, or schema 1 leaves some of them out of the digest.
        Unchecked = "unchecked",
    }
}

words! {
    /// A length in a header, held against the one that is known.
    StatedLength {
        /// There is none.
        Absent = "absent",
        /// It is the known one.
        Agrees = "agrees",
        /// It is another.
        Differs = "differs",
        /// The true one is not known.
        Unchecked = "unchecked",
    }
}

/// What a blob says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobAnswers {
    /// Its size, as its manifest promises it.
    pub size: u64,
    /// What HEAD says.
    pub head: Result<BlobHead, Unverified>,
    /// Which host gave the last answer, if the registry sent us there.
    pub redirected_to: Option<String>,
    /// What a GET of its last byte alone says.
    pub range: Range,
}

/// What HEAD of a blob says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// The status.
    pub status: u16,
    /// Its `Content-Length`.
    pub length: StatedLength,
    /// Its `Etag`.
    pub etag: Etag,
    /// Whether there is an `Accept-Ranges: bytes`.
    pub accepts_ranges: bool,
}

words! {
    /// The form of an entity tag.
    Etag {
        /// There is none.
        Absent = "absent",
        /// As HTTP wants it.
        Quoted = "quoted",
        /// A digest without quotes, as distribution's pull-through cache writes it.
        BareDigest = "bare_digest",
        /// Anything else.
        Other = "other",
    }
}

/// What comes of asking for the last byte alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// It was not asked for.
    NotAsked,
    /// That byte came, under a 206.
    Honoured,
    /// The whole blob would have come, under a 200.
    Ignored,
    /// A 206 came, and the byte did not.
    Empty,
    /// Something else came.
    Refused(Unverified),
}

words! {
    /// Signs of a pull-through cache.
    CacheSign {
        /// None were seen.
        None = "none",
        /// It fails on a manifest that nobody has, instead of denying it: distribution
        /// (registry/proxy/proxymanifeststore.go wraps the upstream's 404 in an error of its own).
        UnknownFails = "unknown_fails",
        /// A bare digest for an entity tag, and no ranges: distribution
        /// (registry/proxy/proxyblobstore.go).
        BareEtag = "bare_etag",
        /// HEAD does not know a blob that GET then has: a Harbor proxy project (harbor#22609).
        HeadDenies = "head_denies",
    }
}

impl Sample {
    /// Whether nothing of it may be pulled. A manifest that is missing or damaged is another matter,
    /// and one for a sweep.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let why = self.pull.as_ref().and_then(|pull| pull.get.as_ref().err());
        why.is_some_and(Unverified::is_refusal)
    }
}
