//! The object store behind a registry: blobs at signed addresses that are bound to a method and
//! expire.

use std::sync::LazyLock;

use tokio::time::{Duration, Instant};

use crate::digest::sha256;
use crate::quirks::Ranges;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;
use crate::store::Blob;

use super::range;

/// Expiry is counted in milliseconds from here, so that it does not depend on the wall clock.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Sends a client to the object store. There is no digest and no length in this answer, as in
/// distribution's.
pub(crate) fn redirect(status: u16, request: &Request, object_store: &Registry) -> Reply {
    let method = &request.method;
    let digest = request.reference();
    let expires = now() + object_store.manners().signed_for.as_millis();
    let signature = sign(method, digest, expires);
    let location = format!(
        "{}/storage/{digest}?X-Method={method}&X-Expires={expires}&X-Signature={signature}",
        object_store.url()
    );
    Reply::redirect(status, &location)
        .with_header("Docker-Distribution-Api-Version", "registry/2.0")
}

/// Answers as S3 does: XML errors, an entity tag that is no digest.
pub(super) fn answer(registry: &Registry, request: &Request) -> Reply {
    if let Some(refusal) = refusal(request) {
        return refusal;
    }
    let digest = request.reference();
    let Some(bytes) = registry.bytes(digest) else {
        return Reply::xml_error(404, "NoSuchKey");
    };
    let blob = Blob {
        length: bytes.len() as u64,
        bytes,
    };
    let reply = range::serve(&blob, request.header("range"), Ranges::Honoured);
    if reply.status == 416 {
        return Reply::xml_error(416, "InvalidRange")
            .with_header("Content-Range", &format!("bytes */{}", blob.length));
    }
    reply
        .with_header("Content-Type", "application/octet-stream")
        .with_header("Etag", "\"9bb58f26192e4ba00f01e2e7b136bbd8\"")
        .with_header("Server", "ObjectStore")
}

/// Why the address is not good for this request.
fn refusal(request: &Request) -> Option<Reply> {
    // Two ways of proving who one is are one too many; S3 says so even where both are right.
    if request.header("authorization").is_some() {
        return Some(Reply::xml_error(400, "InvalidArgument"));
    }
    let param = |name: &str| request.param(name).unwrap_or_default();
    let expires = param("X-Expires").parse::<u128>().unwrap_or_default();
    if expires < now() {
        return Some(Reply::xml_error(403, "AccessDenied"));
    }
    let is_signed = param("X-Signature") == sign(&request.method, request.reference(), expires);
    (!is_signed).then(|| Reply::xml_error(403, "SignatureDoesNotMatch"))
}

fn sign(method: &str, digest: &str, expires: u128) -> String {
    sha256(format!(
        "the object store's secret|{method}|{digest}|{expires}"
    ))["sha256:".len()..]
        .to_owned()
}

fn now() -> u128 {
    // Begun a while after the epoch, so that an address can have expired from the start.
    (EPOCH.elapsed() + Duration::from_secs(1)).as_millis()
}
