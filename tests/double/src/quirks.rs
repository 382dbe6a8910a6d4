//! General manners of a registry: how it lists, what it accepts, what it remembers. The default is
//! distribution 2.8.

use std::time::Duration;

use crate::reply::Reply;

/// How a registry answers in general. What differs for some requests only is better said by a rule
/// ([`Registry::when`](crate::Registry::when)).
#[derive(Clone, Debug)]
pub struct Quirks {
    /// `/v2/_catalog`
    pub catalog: Listing,
    /// `/v2/<name>/tags/list`
    pub tags: Listing,
    /// What the `Accept` header of a manifest request must hold.
    pub accept: Accept,
    /// What a blob request's `Range` header does.
    pub ranges: Ranges,
    /// Which manifests it can read.
    pub reader: ManifestReader,
    /// What it remembers of content that has since been damaged.
    pub descriptor_cache: DescriptorCache,
    /// Whether the catalog lists repositories by their manifests, as distribution 3 does, and not
    /// by their layers.
    pub catalog_by_manifests: bool,
    /// Whether a pushed index or image must have all its parts.
    pub validates_pushes: bool,
    /// As an object store: how long its signed addresses are good.
    pub signed_for: Duration,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            catalog: Listing {
                page: Some(100),
                max: Some(1000),
                over_max: OverMax::Refuse(400, "PAGINATION_NUMBER_INVALID"),
                ..Listing::default()
            },
            tags: Listing {
                honours_n: false,
                empty_is_null: true,
                ..Listing::default()
            },
            accept: Accept::Strict,
            ranges: Ranges::Honoured,
            reader: ManifestReader::AnyType,
            descriptor_cache: DescriptorCache::Cold,
            catalog_by_manifests: false,
            validates_pushes: true,
            signed_for: Duration::from_secs(20 * 60),
        }
    }
}

/// What a descriptor cache still believes after storage was damaged. It is as if everything had
/// been looked up before the damage; going back to `Cold` is a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorCache {
    /// There is none, or it was just restarted.
    Cold,
    /// Blobs: HEAD answers 200 with the old length, whatever is left of the bytes and the link.
    Warm,
    /// Blobs and links to manifests, as in distribution 3.
    WarmWithManifests,
}

/// Which `Accept` header a manifest request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// As distribution 2.8: OCI manifests and indexes are 404 unless accepted by name, Docker
    /// manifests by tag are converted or refused, Docker lists by tag resolve to their linux/amd64
    /// child.
    Strict,
    /// As distribution 3: only OCI manifests are 404, and Docker lists by tag resolve to a child.
    StrictForManifests,
    /// It makes no difference.
    Ignored,
}

/// What a `Range` header does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// 206, or 416 with `bytes */N`.
    Honoured,
    /// The same, but a 416 carries the blob's `Content-Length` over a short text and so ends in a
    /// closed connection, and the first byte of an empty blob is 416. Distribution built with Go
    /// before 1.23 answers so, among others the one that Debian 12 and 13 carry.
    HonouredByOldGo,
    /// 200 with everything, and no `Accept-Ranges`.
    Ignored,
}

/// Which stored manifests can be read and served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestReader {
    /// All JSON objects, under the media type that they were stored with.
    AnyType,
    /// What distribution 2.8 knows; anything else is a 500.
    Distribution2,
    /// What distribution 3 knows: no schema 1 any more.
    Distribution3,
}

/// How a list is cut into pages.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "registries have each of these quirks without the others"
)]
pub struct Listing {
    /// Items of a page where the request does not say; all where there is no default.
    pub page: Option<usize>,
    /// The most items that a request may ask for.
    pub max: Option<usize>,
    /// What a request for more gets.
    pub over_max: OverMax,
    /// Whether `n` and `last` mean anything.
    pub honours_n: bool,
    /// Whether `n=0` means the default, as behind GHCR's own links, and not an empty page.
    pub zero_is_default: bool,
    /// What an unreadable or negative `n` gets; the default page where there is nothing here.
    pub bad_n: Option<Reply>,
    /// What a `last` that names nothing gets; the items after where it would stand where there is
    /// nothing here.
    pub unknown_last: Option<Reply>,
    /// When a `Link` is sent.
    pub link_when: LinkWhen,
    /// What the `Link` says.
    pub link: fn(&Next) -> String,
    /// Whether the items come in no order.
    pub unsorted: bool,
    /// Whether an empty list is `null`.
    pub empty_is_null: bool,
    /// Whether each page has a null element at its end.
    pub null_element: bool,
    /// Items beyond these are never listed.
    pub cap: Option<usize>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            page: None,
            max: None,
            over_max: OverMax::Clamp,
            honours_n: true,
            zero_is_default: false,
            bad_n: None,
            unknown_last: None,
            link_when: LinkWhen::PageFull,
            link: Next::relative,
            unsorted: false,
            empty_is_null: false,
            null_element: false,
            cap: None,
        }
    }
}

/// What a request for too large a page gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverMax {
    /// The largest page.
    Clamp,
    /// This status and error code.
    Refuse(u16, &'static str),
}

/// When a page carries a `Link` to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkWhen {
    /// When more follows.
    MoreFollows,
    /// When the page is full: the last one may be empty.
    PageFull,
    /// On every page that is not empty.
    NotEmpty,
    /// Never.
    Never,
}

/// The next page, for whoever writes the `Link` to it. The registry understands `last=<name>`, and
/// `last=<token>` or `next_page=<token>`.
#[derive(Clone, Debug)]
pub struct Next {
    /// The host that was asked, as `127.0.0.1:PORT`.
    pub host: String,
    /// The path of the list as it was asked for.
    pub path: String,
    /// The last item of this page, escaped for a query.
    pub last: String,
    /// The same as an opaque token.
    pub token: String,
    /// The size of the page.
    pub n: usize,
}

impl Next {
    /// `</v2/_catalog?last=foo%2Fx&n=100>; rel="next"`, as distribution writes it.
    pub fn relative(&self) -> String {
        format!(
            "<{}?last={}&n={}>; rel=\"next\"",
            self.path, self.last, self.n
        )
    }
}
