//! Manifests: found by tag or digest, negotiated, pushed and deleted.

use serde_json::{Value, json};

use crate::digest::{Algorithm, algorithm_of};
use crate::media_type as t;
use crate::proxy;
use crate::quirks::Accept;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;
use crate::store::{Manifest, Store};

use super::not_allowed;

pub(super) fn answer(registry: &Registry, request: &Request) -> Reply {
    match request.method.as_str() {
        "GET" | "HEAD" => {
            proxy::manifest(registry, request).unwrap_or_else(|| read(registry, request))
        }
        "PUT" => push(registry, request),
        "DELETE" => delete(registry, request),
        _ => not_allowed("GET, HEAD, PUT, DELETE"),
    }
}

/// Serves a manifest from storage.
pub(crate) fn read(registry: &Registry, request: &Request) -> Reply {
    let quirks = registry.manners();
    let store = registry.store();
    let find = |reference: &str| {
        store.manifest(
            request.repository(),
            reference,
            quirks.descriptor_cache,
            quirks.reader,
        )
    };
    let by_tag = algorithm_of(request.reference()).is_none();
    let negotiated = find(request.reference()).and_then(|manifest| {
        match negotiate(&manifest, request, by_tag, quirks.accept) {
            Negotiation::Serve => Ok(manifest),
            Negotiation::Child(digest) => find(&digest),
            Negotiation::Refuse(refusal) => Err(refusal),
        }
    });
    let manifest = match negotiated {
        Ok(manifest) => manifest,
        Err(refusal) => return refusal,
    };
    let etag = format!("\"{}\"", manifest.digest);
    if wants_match(request, &etag) {
        return Reply::status(304);
    }
    Reply::status(200)
        .with_body(manifest.bytes)
        .with_header("Content-Type", &manifest.media_type)
        .with_header("Docker-Content-Digest", &manifest.digest)
        .with_header("Etag", &etag)
}

/// Whether the client has this version already.
pub(crate) fn wants_match(request: &Request, etag: &str) -> bool {
    request
        .header("if-none-match")
        .is_some_and(|known| known.split(',').any(|known| known.trim() == etag))
}

enum Negotiation {
    Serve,
    /// Serve this one in its place.
    Child(String),
    Refuse(Reply),
}

/// What the `Accept` header makes of a manifest that was found.
fn negotiate(manifest: &Manifest, request: &Request, by_tag: bool, accept: Accept) -> Negotiation {
    let accepted = request.header("accept").unwrap_or_default();
    let mut accepted = accepted
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    let served = manifest.media_type.as_str();
    if accept == Accept::Ignored || accepted.any(|range| range == served) {
        return Negotiation::Serve;
    }
    let value: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let refuse = |kind: &str, plural: &str| {
        let message = format!("OCI {kind} found, but accept header does not support OCI {plural}");
        Negotiation::Refuse(Reply::error(404, "MANIFEST_UNKNOWN", &message))
    };
    match served {
        t::OCI_MANIFEST => refuse("manifest", "manifests"),
        t::OCI_INDEX if accept == Accept::Strict && value["mediaType"].is_string() => {
            refuse("index", "indexes")
        }
        t::DOCKER_LIST if by_tag => {
            default_child(&value).map_or_else(unsupported, Negotiation::Child)
        }
        t::DOCKER_MANIFEST if by_tag && accept == Accept::Strict => unsupported(),
        _ => Negotiation::Serve,
    }
}

/// Clients from before manifest lists get the one platform that they can only mean.
fn default_child(list: &Value) -> Option<String> {
    let children = list["manifests"].as_array()?;
    let child = children.iter().find(|child| {
        child["platform"]["os"] == "linux" && child["platform"]["architecture"] == "amd64"
    })?;
    child["digest"].as_str().map(str::to_owned)
}

/// Distribution would convert to schema 1 where it can; clients that need that are out of scope.
fn unsupported() -> Negotiation {
    Negotiation::Refuse(invalid())
}

fn invalid() -> Reply {
    Reply::error_with(400, "MANIFEST_INVALID", "manifest invalid", &json!({}))
}

fn push(registry: &Registry, request: &Request) -> Reply {
    let (name, reference) = (request.repository(), request.reference());
    let Some(value) = serde_json::from_slice::<Value>(&request.body)
        .ok()
        .filter(Value::is_object)
    else {
        return invalid();
    };
    let validates = registry.manners().validates_pushes;
    let mut store = registry.store();
    let missing = if validates {
        missing_parts(&store, name, &value)
    } else {
        Vec::new()
    };
    if !missing.is_empty() {
        let message = "blob unknown to registry";
        let error =
            |digest| json!({"code": "MANIFEST_BLOB_UNKNOWN", "message": message, "detail": digest});
        return Reply::json(
            400,
            &json!({"errors": missing.iter().map(error).collect::<Vec<_>>()}),
        );
    }
    let algorithm = algorithm_of(reference);
    let digest = algorithm.unwrap_or(Algorithm::Sha256).digest(&request.body);
    if algorithm.is_some() && digest != reference {
        return Reply::error(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        );
    }
    let media_type = request.header("content-type").unwrap_or(t::OCI_MANIFEST);
    store.put_manifest(name, &digest, media_type, request.body.clone());
    if algorithm.is_none() {
        store.put_tag(name, reference, &digest);
    }
    Reply::status(201)
        .with_header(
            "Location",
            &format!("{}/v2/{name}/manifests/{digest}", request.origin()),
        )
        .with_header("Docker-Content-Digest", &digest)
}

/// The parts of a manifest that its repository does not have. Layers that may be absent need not be
/// there.
fn missing_parts<'a>(store: &Store, name: &str, manifest: &'a Value) -> Vec<&'a str> {
    let repository = store.repository(name);
    let has_blob =
        |digest: &str| repository.is_some_and(|repository| repository.layers.contains_key(digest));
    let has_manifest = |digest: &str| {
        repository.is_some_and(|repository| repository.revisions.contains_key(digest))
    };
    let elements = |field: &str| manifest[field].as_array().into_iter().flatten();
    let blobs = elements("layers")
        .filter(|layer| {
            let media_type = layer["mediaType"].as_str().unwrap_or_default();
            !media_type.contains("foreign") && !media_type.contains("nondistributable")
        })
        .chain(manifest.get("config"))
        .filter_map(|descriptor| descriptor["digest"].as_str())
        .filter(|digest| !has_blob(digest));
    let children = elements("manifests")
        .filter_map(|descriptor| descriptor["digest"].as_str())
        .filter(|digest| !has_manifest(digest));
    blobs.chain(children).collect()
}

/// By digest the manifest goes with all its tags; by tag, which only distribution 3 knows, the tag
/// alone.
fn delete(registry: &Registry, request: &Request) -> Reply {
    let mut store = registry.store();
    let repository = store.repository_mut(request.repository());
    let reference = request.reference();
    let deleted = if algorithm_of(reference).is_some() {
        repository.tags.retain(|_, tag| tag.digest != reference);
        repository.revisions.remove(reference).is_some()
    } else {
        repository.tags.remove(reference).is_some()
    };
    if deleted {
        Reply::status(202)
    } else {
        Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    }
}
