//! Pull-through caches: registries where looking downloads. The registry's own content is the
//! upstream's; what the cache holds of it is noted here.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::quirks::Ranges;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;
use crate::serve::{blob as blobs, manifest as manifests};
use crate::store::unreadable;

/// Whose pull-through cache it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Distribution 2.8 in proxy mode: a HEAD of an uncached blob downloads it, twice.
    Distribution,
    /// A Harbor proxy project: a HEAD of an uncached blob is 404, a GET downloads it.
    Harbor,
}

/// A pull-through cache, empty to begin with.
#[derive(Clone, Debug)]
pub struct PullThrough {
    /// Whose it is.
    pub cache: Cache,
    /// Whether its upstream answers 429, 401, 403 or 503 at present; the cache makes its own
    /// answers of that.
    pub upstream_fails: bool,
    /// How fast it downloads: an uncached blob is answered only once it is here.
    pub bytes_per_second: Option<u64>,
    held: BTreeSet<(String, String)>,
    blob_repositories: BTreeSet<String>,
    downloads: Vec<String>,
}

impl PullThrough {
    /// An empty cache.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            upstream_fails: false,
            bytes_per_second: None,
            held: BTreeSet::new(),
            blob_repositories: BTreeSet::new(),
            downloads: Vec::new(),
        }
    }

    /// Notes that a tag, a manifest or a blob was pulled before.
    pub fn hold(&mut self, repository: &str, reference: &str) {
        self.held
            .insert((repository.to_owned(), reference.to_owned()));
        self.blob_repositories.insert(repository.to_owned());
    }

    pub(crate) fn downloads(&self) -> Vec<String> {
        self.downloads.clone()
    }

    fn holds(&self, request: &Request) -> bool {
        self.held.contains(&(
            request.repository().to_owned(),
            request.reference().to_owned(),
        ))
    }

    /// How long a download of so many bytes takes.
    fn patience(&self, bytes: usize) -> Duration {
        self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_millis(bytes as u64 * 1000 / rate.max(1))
        })
    }
}

/// The cache's answer about a blob; nothing where the registry is no cache or holds the blob.
pub(crate) fn blob(registry: &Registry, request: &Request) -> Option<Reply> {
    let (kind, fails) = uncached(registry, request)?;
    if kind == Cache::Harbor && request.is_head() {
        return Some(Reply::error(404, "NOT_FOUND", "blob not found"));
    }
    if fails {
        return Some(unreadable());
    }
    // Upstream is asked before anything is stored, and a range is not passed on.
    let reply = blobs::read(registry, request, Ranges::Ignored);
    if reply.status != 200 {
        return Some(reply);
    }
    let mut cache = registry.cache();
    let cache = cache.as_mut().expect("it was a cache a moment ago");
    let digest = request.reference();
    let copies = if request.is_head() { 2 } else { 1 };
    cache
        .downloads
        .extend(std::iter::repeat_n(digest.to_owned(), copies));
    cache.hold(request.repository(), digest);
    let patience = cache.patience(reply.body.len());
    Some(reply.with_header("Etag", digest).delayed(patience))
}

/// The cache's answer about a manifest; nothing where the registry is no cache or holds the
/// manifest.
pub(crate) fn manifest(registry: &Registry, request: &Request) -> Option<Reply> {
    let (_, fails) = uncached(registry, request)?;
    let by_digest = request.reference().contains(':');
    if fails {
        // The upstream's 429 or 503 comes out as "there is no such tag".
        let no_tag = || {
            Reply::error_with(
                404,
                "MANIFEST_UNKNOWN",
                "manifest unknown",
                &json!({"Tag": request.reference()}),
            )
        };
        return Some(if by_digest { unreadable() } else { no_tag() });
    }
    let reply = manifests::read(registry, request);
    match reply.status {
        404 if by_digest => return Some(unreadable()),
        200 => {}
        _ => return Some(reply),
    }
    let mut cache = registry.cache();
    let cache = cache.as_mut().expect("it was a cache a moment ago");
    let digest = reply.header("Docker-Content-Digest").unwrap_or_default();
    for reference in [request.reference(), digest] {
        cache
            .held
            .insert((request.repository().to_owned(), reference.to_owned()));
    }
    Some(reply)
}

/// The tags that the cache holds, where its upstream cannot be asked.
pub(crate) fn tags(registry: &Registry, request: &Request) -> Option<Reply> {
    let cache = registry.cache();
    let cache = cache.as_ref().filter(|cache| cache.upstream_fails)?;
    let name = request.repository();
    let held = cache
        .held
        .iter()
        .filter(|(repository, reference)| repository == name && !reference.contains(':'));
    let tags: Vec<_> = held.map(|(_, tag)| tag).collect();
    Some(Reply::json(200, &json!({"name": name, "tags": tags})))
}

/// What the catalog of a cache lists: the repositories of which it holds a blob.
pub(crate) fn cached_repositories(registry: &Registry) -> Option<BTreeSet<String>> {
    registry
        .cache()
        .as_ref()
        .map(|cache| cache.blob_repositories.clone())
}

fn uncached(registry: &Registry, request: &Request) -> Option<(Cache, bool)> {
    let cache = registry.cache();
    let cache = cache.as_ref().filter(|cache| !cache.holds(request))?;
    Some((cache.cache, cache.upstream_fails))
}
