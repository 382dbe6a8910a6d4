//! Blobs: whole, in part, or as much of them as is left.

use crate::proxy;
use crate::quirks::Ranges;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;

use super::manifest::wants_match;
use super::{not_allowed, range};

pub(super) fn answer(registry: &Registry, request: &Request) -> Reply {
    match request.method.as_str() {
        "GET" | "HEAD" => proxy::blob(registry, request).unwrap_or_else(|| {
            let ranges = registry.manners().ranges;
            read(registry, request, ranges)
        }),
        "DELETE" => delete(registry, request),
        _ => not_allowed("GET, HEAD, DELETE"),
    }
}

/// Serves a blob with these manners about ranges.
pub(crate) fn read(registry: &Registry, request: &Request, ranges: Ranges) -> Reply {
    let cache = registry.manners().descriptor_cache;
    let digest = request.reference();
    let blob = match registry.store().blob(request.repository(), digest, cache) {
        Ok(blob) => blob,
        Err(refusal) => return refusal,
    };
    let etag = format!("\"{digest}\"");
    let reply = if wants_match(request, &etag) {
        Reply::status(304)
    } else {
        let reply = range::serve(&blob, request.header("range"), ranges);
        if reply.status == 416 {
            reply
        } else {
            reply.with_header("Content-Type", "application/octet-stream")
        }
    };
    reply
        .with_header("Cache-Control", "max-age=31536000")
        .with_header("Docker-Content-Digest", digest)
        .with_header("Etag", &etag)
}

fn delete(registry: &Registry, request: &Request) -> Reply {
    let mut store = registry.store();
    match store
        .repository_mut(request.repository())
        .layers
        .remove(request.reference())
    {
        Some(_) => Reply::status(202).with_header("Content-Length", "0"),
        None => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}
