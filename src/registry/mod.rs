//! The one seam: a registry as the walk sees it.
//!
//! The walk is written against this trait, so that it can be tested without a network; the HTTP
//! side implements it. Everything here is plain data about what a registry answered. Whether an
//! answer is good or bad is for the judge to say.

mod access;
pub mod client;
mod software;
mod unverified;

use std::future::Future;
use std::time::SystemTime;

use bytes::Bytes;

use crate::oci::{Descriptor, Digest, Printable, Reference, Repository, Tag, own_digest};
use crate::words::words;

pub use access::{Access, Authentication, Certificate};
pub use software::{Identified, Software};
pub use unverified::{Unverified, UnverifiedReason};

/// A registry, or anything that answers as one.
///
/// Implementations retry what is transient and pace themselves; what they return is their last
/// word. They are cheap to clone, and clones share connections, tokens and limits.
pub trait Registry: Clone + Send + Sync + 'static {
    /// Asks whether a registry is there and lets us in (`GET /v2/`).
    fn ping(&self) -> impl Future<Output = Result<(), Unverified>> + Send;

    /// Lists all repositories (`GET /v2/_catalog`), page by page to the end.
    fn repositories(&self) -> impl Future<Output = Listing<Repository>> + Send;

    /// Lists all tags of a repository, page by page to the end.
    fn tags(&self, repository: &Repository) -> impl Future<Output = Listing<Tag>> + Send;

    /// Asks what a tag points to.
    fn resolve(
        &self,
        repository: &Repository,
        tag: &Tag,
        way: Way,
    ) -> impl Future<Output = Answer<Resolved>> + Send;

    /// Reads a manifest whole (`GET`).
    fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> impl Future<Output = Answer<ManifestBody>> + Send;

    /// Asks by HEAD whether a manifest that was read before is still there, and still the same by its headers.
    /// `None` where that does not answer it; then, and where it is not, it is to be read.
    fn still_has(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: &ManifestBody,
    ) -> impl Future<Output = Option<bool>> + Send;

    /// Reads a blob whole that is known to be short (`GET`): an image's config, or a document that is
    /// kept as one.
    fn config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> impl Future<Output = Answer<ManifestBody>> + Send;

    /// Looks at a blob of which `size` bytes are promised, as closely as `depth` says.
    fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        depth: Depth,
    ) -> impl Future<Output = Answer<BlobLook>> + Send;

    /// Reads a layer whole and unpacks it meanwhile. What is no registry but plays one has nothing to unpack.
    fn layer(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        _unpack: Unpack,
    ) -> impl Future<Output = Answer<BlobLook>> + Send {
        self.blob(repository, digest, size, Depth::Digest)
    }

    /// Lists what is attached to a manifest: by the list that the registry keeps, or else the one that clients
    /// keep under a tag. To what is no registry but plays one, nothing is attached.
    fn referrers(
        &self,
        _repository: &Repository,
        _digest: &Digest,
    ) -> impl Future<Output = Result<Vec<Descriptor>, Unverified>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Of the images that a caller names, those that are not to be asked for, and why: to ask might make the registry
    /// fetch and store them, and nobody has said that it may.
    fn withheld(&self, _images: &[Named]) -> impl Future<Output = Vec<(Named, Unverified)>> + Send {
        std::future::ready(Vec::new())
    }

    /// The same registry over connections that have never been used, for a second opinion.
    #[must_use]
    fn reconnected(&self) -> Self;

    /// What is to be known of how the registry was asked, and what it wants its clients to know
    /// (`Warning: 299`, distribution-spec, "Warnings"), each once. For people to read, not to act upon.
    fn notices(&self) -> Vec<String>;

    /// When the registry's TLS certificate expires, if one was seen.
    fn certificate_end(&self) -> Option<SystemTime>;

    /// How it is reached, as far as was seen, for commands that people type.
    fn access(&self) -> Access;

    /// What this registry and all its clones have cost so far.
    fn traffic(&self) -> Traffic;
}

/// An image as a caller names it.
pub type Named = (Repository, Reference);

/// What came back when an object was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The object, or what was learned of it.
    Found(T),
    /// The registry says that it does not have it, and said so to a `GET`.
    Absent(Refusal),
    /// The registry fails on it (5xx) and still does after the retries. Whether that is the
    /// object's fault or the registry's is not known here.
    Failing(Refusal),
    /// There was no answer to go by.
    Unverified(Unverified),
}

/// An answer that is not the object: what was asked, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The request, as `METHOD PATH`.
    pub request: Printable,
    /// The status that came back.
    pub status: u16,
    /// The error code in the body, such as `BLOB_UNKNOWN`, if there was one.
    pub code: Option<Printable>,
    /// Who said so, as `SCHEME://HOST[:PORT]`, if it was the target of a redirect and not the registry.
    pub storage: Option<Printable>,
    /// Whether the body is a web page, as of something in between or of a storage that serves websites.
    pub is_page: bool,
}

/// The error code of a list of tags that is not there because the repository is not (OCI Distribution 1.1,
/// error code 7).
pub const NAME_UNKNOWN: &str = "NAME_UNKNOWN";

/// How to ask for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the way that costs least: by HEAD, for as long as the registry says the same to GET.
    Cheap,
    /// By HEAD, which containerd goes by, and by GET, which others do.
    Both,
}

/// What a registry says of a tag: its digest, the manifest itself, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest, as the registry states it. Without it, the manifest is there to compute it from.
    pub stated: Option<Digest>,
    /// The manifest, if it came along.
    pub body: Option<ManifestBody>,
    /// What HEAD names where GET gives something else.
    pub by_head: Option<Digest>,
}

impl Resolved {
    /// The digest that the tag leads to.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let came = || self.body.as_ref().map(|body| own_digest(&body.bytes));
        self.stated.clone().or_else(came)
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyEnd {
    /// Where it says that it ends: by its length, or by its last chunk.
    #[default]
    Whole,
    /// With the connection, and nothing says whether that is its end.
    Connection,
    /// The connection ended before the body did.
    Cut,
    /// It did not: there is more than was to be read.
    More,
}

/// The bytes of a manifest, or of a config, as they were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestBody {
    /// The request, as `METHOD PATH`.
    pub request: Printable,
    /// The response's Content-Type.
    pub media_type: Option<Printable>,
    /// The raw bytes.
    pub bytes: Bytes,
    /// The length that was announced.
    pub announced: Option<u64>,
    /// How they ended: cut only where they were so again and again.
    pub end: BodyEnd,
}

/// What was learned of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobLook {
    /// The request that told most, as `METHOD PATH`.
    pub request: Printable,
    /// Its status.
    pub status: u16,
    /// The blob's whole length as the registry states it; `None` if it does not.
    pub length: Option<u64>,
    /// What was read of it.
    pub read: BlobRead,
    /// Who gave it, as `SCHEME://HOST[:PORT]`, if it was the target of a redirect and not the registry.
    pub storage: Option<Printable>,
    /// Whether the answer is a web page, which no blob is: something stands in the way.
    pub is_html: bool,
    /// What it unpacks to, if that was asked for.
    pub unpacked: Option<Unpacked>,
    /// Whether it was answered as a pull-through cache answers for what it has just downloaded.
    /// Nothing more was asked then.
    pub is_from_cache: bool,
}

/// How to unpack a layer while it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpack {
    /// Whether it is packed, by its type: clients unpack what that says to be packed, by its first bytes, and nothing else.
    pub is_packed: bool,
    /// The most bytes to unpack.
    pub most: u64,
}

/// What came of unpacking a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// An archive of this digest.
    Whole(Digest),
    /// Nothing that clients can unpack, for this reason.
    Failed(Printable),
    /// More than was to be unpacked, or something that cannot be unpacked here.
    Limited,
    /// Nothing that is known, by a fault of this program.
    Lost,
}

/// What was read of a blob, from what proves least to what proves most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobRead {
    /// Nothing: it is there, and as long as is stated.
    Nothing,
    /// The first of its bytes. The registry does not serve the last ones alone.
    Start,
    /// Its last byte.
    End,
    /// All that there was.
    All {
        /// How many bytes arrived. Reading stops one byte after what was promised.
        received: u64,
        /// Their digest, if the algorithm is known.
        digest: Option<Digest>,
        /// How they ended.
        end: BodyEnd,
    },
}

/// A list that was read page by page, as far as that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries, each once.
    pub items: Vec<T>,
    /// Entries that are not valid names, and so cannot be asked for.
    pub invalid: u64,
    /// Valid ones that are not among the entries, because they are not wanted ([`Wanted::LeftOut`]).
    pub left_out: u64,
    /// And because others look at them ([`Wanted::ByOthers`]).
    pub of_others: u64,
    /// All valid ones, wanted or not, as often as they were listed.
    pub names: u64,
    /// How the listing ended.
    pub end: ListEnd,
}

impl<T> Listing<T> {
    /// These entries, all of which are wanted, and this end.
    #[must_use]
    pub fn new(items: Vec<T>, end: ListEnd) -> Self {
        Self {
            names: items.len() as u64,
            items,
            invalid: 0,
            left_out: 0,
            of_others: 0,
            end,
        }
    }

    /// Whether the registry listed nothing that is a name, wanted or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names == 0
    }
}

/// Whether an entry of a list is to be kept. There is memory for so many, so what nobody looks at is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    Here,
    /// A filter leaves it out.
    LeftOut,
    /// Another shard looks at it.
    ByOthers,
    /// A filter leaves it out, and it is for another shard to say so.
    Unsaid,
}

/// How a listing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// After the last page: the entries are all that there are.
    Whole,
    /// The registry does not know the repository, and says so (404 `NAME_UNKNOWN`), or offers no
    /// catalog (404).
    Absent(Refusal),
    /// Before its end, by what was in the way. The entries are some of those that there are.
    Failed(Unverified),
}

/// What has been sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, retries and token requests included.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
}

words! {
    /// How closely blobs are looked at; each depth includes those before it.
    Depth {
        /// Ask whether the blob is there and how long it is.
        Head = "head",
        /// Also read its last byte, which a stale descriptor cache cannot invent.
        Tail = "tail",
        /// Also read all of it and compute its digest.
        Digest = "digest",
        /// Also unpack each layer and hold what it holds against the config.
        Unpack = "unpack",
    }
}

words! {
    /// How manifests are asked for whose bytes are known.
    ManifestMethod {
        /// By HEAD where that is known to be as good, or where GET counts as a pull; by GET elsewhere.
        Auto = "auto",
        /// By GET.
        Get = "get",
        /// By HEAD.
        Head = "head",
    }
}
