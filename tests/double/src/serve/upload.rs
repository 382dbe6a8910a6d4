//! Pushing blobs: in one request, in chunks, or mounted from another repository.

use bytes::Bytes;
use serde_json::json;

use crate::digest::algorithm_of;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;
use crate::store::Link;

use super::not_allowed;

pub(super) fn answer(registry: &Registry, request: &Request) -> Reply {
    let id = request.reference();
    match (request.method.as_str(), id.is_empty()) {
        ("POST", true) => begin(registry, request),
        (_, true) => not_allowed("POST"),
        (_, false) if !registry.store().uploads.contains_key(id) => Reply::error_with(
            404,
            "BLOB_UPLOAD_UNKNOWN",
            "blob upload unknown to registry",
            &json!({}),
        ),
        ("GET" | "HEAD", false) => progress(registry, request, id, 204),
        ("PATCH", false) => append(registry, request, id),
        ("PUT", false) => finish(registry, request, id),
        ("DELETE", false) => {
            registry.store().uploads.remove(id);
            Reply::status(204)
        }
        _ => not_allowed("GET, HEAD, PATCH, PUT, DELETE"),
    }
}

fn begin(registry: &Registry, request: &Request) -> Reply {
    if let (Some(digest), Some(from)) = (request.param("mount"), request.param("from"))
        && let Some(bytes) = mountable(registry, &from, &digest)
    {
        return store(registry, request, &digest, bytes);
    }
    if let Some(digest) = request.param("digest") {
        return store(registry, request, &digest, request.body.clone());
    }
    let id = {
        let mut store = registry.store();
        store.upload_count += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", store.upload_count);
        store.uploads.insert(id.clone(), Vec::new());
        id
    };
    progress(registry, request, &id, 202)
}

fn mountable(registry: &Registry, from: &str, digest: &str) -> Option<Bytes> {
    let store = registry.store();
    let layer = store.repository(from)?.layers.get(digest)?;
    if layer.link != Link::Intact {
        return None;
    }
    store.blobs.get(digest).cloned()
}

fn append(registry: &Registry, request: &Request, id: &str) -> Reply {
    let out_of_order = {
        let mut store = registry.store();
        let upload = store
            .uploads
            .get_mut(id)
            .expect("the upload was just found");
        let start = request
            .header("content-range")
            .and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        let out_of_order = start.is_some_and(|start| start != upload.len());
        if !out_of_order {
            upload.extend_from_slice(&request.body);
        }
        out_of_order
    };
    progress(registry, request, id, if out_of_order { 416 } else { 202 })
}

fn finish(registry: &Registry, request: &Request, id: &str) -> Reply {
    let mut bytes = registry
        .store()
        .uploads
        .get(id)
        .cloned()
        .unwrap_or_default();
    bytes.extend_from_slice(&request.body);
    let reply = store(
        registry,
        request,
        &request.param("digest").unwrap_or_default(),
        bytes.into(),
    );
    if reply.status == 201 {
        registry.store().uploads.remove(id);
    }
    reply
}

/// Links bytes into the repository if they are what the digest says.
fn store(registry: &Registry, request: &Request, digest: &str, bytes: Bytes) -> Reply {
    if algorithm_of(digest).is_none_or(|algorithm| algorithm.digest(&bytes) != digest) {
        return Reply::error(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        );
    }
    let name = request.repository();
    registry.store().put_blob(name, digest, bytes);
    Reply::status(201)
        .with_header(
            "Location",
            &format!("{}/v2/{name}/blobs/{digest}", request.origin()),
        )
        .with_header("Docker-Content-Digest", digest)
}

/// How far the upload has come, and where it goes on.
fn progress(registry: &Registry, request: &Request, id: &str, status: u16) -> Reply {
    let length = registry.store().uploads.get(id).map_or(0, Vec::len);
    let location = format!(
        "{}/v2/{}/blobs/uploads/{id}?_state={length:x}",
        request.origin(),
        request.repository()
    );
    Reply::status(status)
        .with_header("Location", &location)
        .with_header("Docker-Upload-Uuid", id)
        .with_header("Range", &format!("0-{}", length.saturating_sub(1)))
}
