//! What a healthy registry answers: the Distribution API as distribution 2.8 speaks it, quirks
//! included.

pub(crate) mod blob;
pub(crate) mod listing;
pub(crate) mod manifest;
mod range;
pub(crate) mod storage;
mod upload;

use serde_json::json;

use crate::auth;
use crate::proxy;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::{Endpoint, Request};

/// The answer of a registry that nobody told to misbehave.
pub(crate) fn healthy(registry: &Registry, request: &Request) -> Reply {
    let reply = match request.endpoint {
        // Neither the token service nor the object store is a registry; they sign nothing with its
        // version.
        Endpoint::Token => return auth::issue(registry, request),
        Endpoint::Storage => return storage::answer(registry, request),
        Endpoint::Ping if request.is_read() => Reply::status(200)
            .with_body("{}")
            .with_header("Content-Type", "application/json; charset=utf-8"),
        Endpoint::Ping => not_allowed("GET"),
        Endpoint::Catalog => listing::catalog(registry, request),
        Endpoint::Tags => {
            proxy::tags(registry, request).unwrap_or_else(|| listing::tags(registry, request))
        }
        Endpoint::Manifest => manifest::answer(registry, request),
        Endpoint::Blob => blob::answer(registry, request),
        Endpoint::Upload => upload::answer(registry, request),
        Endpoint::Other if request.path == "/v2" => Reply::redirect(301, "/v2/")
            .with_header("Content-Type", "text/html; charset=utf-8")
            .with_body("<a href=\"/v2/\">Moved Permanently</a>.\n\n"),
        Endpoint::Other => Reply::text(404, "404 page not found\n"),
    };
    reply.with_header("Docker-Distribution-Api-Version", "registry/2.0")
}

/// The answer to a method that an endpoint does not have.
fn not_allowed(allowed: &str) -> Reply {
    Reply::text(405, "Method not allowed\n").with_header("Allow", allowed)
}

/// The answer about a repository that is not there.
fn unknown_name(name: &str) -> Reply {
    Reply::error_with(
        404,
        "NAME_UNKNOWN",
        "repository name not known to registry",
        &json!({"name": name}),
    )
}
