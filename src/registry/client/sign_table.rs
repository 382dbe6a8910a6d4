//! The table of signs: what in an answer shows which software, each row with its source.

use reqwest::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG, SERVER};
use serde::Deserialize;
use serde_json::Value;

use super::meter::Asked;
use super::reply::Reply;
use crate::oci::Digest;
use crate::registry::Software;

/// A row of the table.
pub(super) struct Sign {
    /// Which software shows it. More than one where it does not tell them apart, and none where it is
    /// that of a product which is made from distribution and is not in the list.
    pub(super) shows: &'static [Software],
    /// What is told of it.
    pub(super) words: &'static str,
    pub(super) mark: Mark,
}

/// What is looked for.
pub(super) enum Mark {
    /// A host of such a name.
    Host(fn(&str) -> bool),
    /// There is such a header.
    Header(&'static str),
    /// A header that holds this, in any case.
    Holds(&'static str, &'static str),
    /// A challenge that holds all of these, in any case.
    Challenge(&'static [&'static str]),
    /// An error of this form.
    Error(fn(&Said) -> bool),
    /// An answer of this form.
    Form(fn(Asked, &Reply) -> bool),
}

/// The first error of an error's body.
#[derive(Default, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: Value,
}

/// An error's body.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) errors: Vec<Said>,
}

use Mark::{Challenge, Error, Form, Header, Holds, Host};
use Software as S;

const fn sign(shows: &'static [Software], words: &'static str, mark: Mark) -> Sign {
    Sign { shows, words, mark }
}

/// What shows which software. "Measured" is against the program itself; the others were read in its source or,
/// where that is closed, in transcripts of its answers.
pub(super) const SIGNS: &[Sign] = &[
    // Host names of services that run one software and nothing else.
    sign(
        &[S::DockerHub],
        HOST,
        Host(|host| is_below(host, "docker.io")),
    ),
    sign(&[S::Ghcr], HOST, Host(|host| is_below(host, "ghcr.io"))),
    sign(&[S::Quay], HOST, Host(|host| is_below(host, "quay.io"))),
    sign(
        &[S::Artifactory],
        HOST,
        Host(|host| is_below(host, "jfrog.io")),
    ),
    sign(
        &[S::GitLab],
        HOST,
        Host(|host| is_below(host, "registry.gitlab.com")),
    ),
    sign(
        &[S::Gar],
        HOST,
        Host(|host| is_below(host, "pkg.dev") || is_below(host, "gcr.io")),
    ),
    sign(
        &[S::Acr],
        HOST,
        Host(|host| AZURE.iter().any(|name| is_below(host, name))),
    ),
    // Below amazonaws.com are machines, too, that run anything.
    sign(
        &[S::Ecr],
        HOST,
        Host(|host| {
            host.contains(".dkr.ecr.") && host.contains(".amazonaws.com")
                || host == "public.ecr.aws"
        }),
    ),
    // zot: pkg/api/routes.go (getUIHeadersHandler), for lists, /v2/ and HEAD of manifests.
    sign(
        &[S::Zot],
        "X-ZOT-API-CLIENT in Access-Control-Allow-Headers",
        Holds("access-control-allow-headers", "x-zot-api-client"),
    ),
    // zot: pkg/api/errors/errors.go (NewError) gives every error a description of its own.
    sign(
        &[S::Zot],
        "errors that have a description in their detail",
        Error(|said| said.detail["description"].is_string()),
    ),
    // zot: pkg/api/routes.go (CheckVersionSupport) writes no bytes; measured.
    sign(
        &[S::Zot],
        "an empty answer to /v2/ that says to be JSON",
        Form(|asked, reply| {
            is_versioned_ping(asked, reply)
                && reply.body.bytes.is_empty()
                && is_type(reply, "application/json")
        }),
    ),
    // Gitea and Forgejo: routers/api/packages/container/container.go (APIUnauthorizedError); measured.
    sign(
        &[S::Gitea],
        "a token service at /v2/token for container_registry",
        Challenge(&["/v2/token\"", "service=\"container_registry\""]),
    ),
    sign(
        &[S::Gitea],
        "the realm Gitea Container Registry",
        Challenge(&["realm=\"gitea container registry\""]),
    ),
    // Gitea and Forgejo: routers/api/packages/container/errors.go (namedError) has codes alone; measured.
    sign(
        &[S::Gitea],
        "errors that have an empty message and no detail",
        Form(|_, reply| {
            let body = reply.body.bytes.trim_ascii_end();
            body.starts_with(b"{\"errors\":[{\"code\":\"")
                && body.ends_with(b"\",\"message\":\"\"}]}")
        }),
    ),
    // Gitea and Forgejo: routers/api/packages/api.go (reqPackageAccess); measured.
    sign(
        &[S::Gitea],
        "the realm Gitea Package API",
        Challenge(&["realm=\"gitea package api\""]),
    ),
    // Harbor: src/server/middleware/v2auth/auth.go (getChallenge), src/core/service/token (Registry).
    sign(
        &[S::Harbor],
        "a token service for harbor-registry",
        Challenge(&["service=\"harbor-registry\""]),
    ),
    sign(
        &[S::Harbor],
        "the realm harbor",
        Challenge(&["basic realm=\"harbor\""]),
    ),
    // Harbor: src/lib/errors (NotFoundCode, PROJECTPOLICYVIOLATION), which the specification does not know.
    sign(
        &[S::Harbor],
        "errors in Harbor's own codes",
        Error(|said| {
            let is_absence = said.code == "NOT_FOUND" && said.message.contains("not found");
            is_absence && said.message.starts_with("artifact ")
                || said.code == "PROJECTPOLICYVIOLATION"
        }),
    ),
    // GitLab: registry/handlers/app.go (distributionAPIBase) of its fork of distribution.
    sign(
        &[S::GitLab],
        "the header Gitlab-Container-Registry-Version",
        Header("gitlab-container-registry-version"),
    ),
    // GitLab: lib/gitlab, the token service of Rails.
    sign(
        &[S::GitLab],
        "a token service at /jwt/auth for container_registry",
        Challenge(&["/jwt/auth\"", "service=\"container_registry\""]),
    ),
    // Quay: endpoints/v2/__init__.py (v2_support_enabled), auth/registry_jwt_auth.py (get_auth_headers).
    sign(
        &[S::Quay],
        "the header X-Sparse-Manifest-Support",
        Header("x-sparse-manifest-support"),
    ),
    sign(
        &[S::Quay],
        "the answer `true` to /v2/",
        Form(|asked, reply| asked == Asked::Ping && reply.body.bytes == b"true"),
    ),
    sign(
        &[S::Quay],
        "a token service at /v2/auth",
        Challenge(&["/v2/auth\""]),
    ),
    // Nexus: transcripts in sonatype/nexus-public#921 and others.
    sign(
        &[S::Nexus],
        "the header Server: Nexus",
        Holds("server", "nexus/"),
    ),
    sign(
        &[S::Nexus],
        "the realm Sonatype Nexus Repository Manager",
        Challenge(&["realm=\"sonatype nexus repository"]),
    ),
    // Artifactory: a transcript in earthly/earthly#1017 and others.
    sign(
        &[S::Artifactory],
        "the header Server: Artifactory",
        Holds("server", "artifactory/"),
    ),
    sign(
        &[S::Artifactory],
        "the header X-Artifactory-Id",
        Header("x-artifactory-id"),
    ),
    sign(
        &[S::Artifactory],
        "the realm Artifactory Realm",
        Challenge(&["realm=\"artifactory realm\""]),
    ),
    // Docker Hub: docker/docs, content/manuals/docker-hub/usage/pulls.md.
    sign(
        &[S::DockerHub],
        "the header Docker-Ratelimit-Source",
        Header("docker-ratelimit-source"),
    ),
    sign(
        &[S::DockerHub],
        "a token service for registry.docker.io",
        Challenge(&["service=\"registry.docker.io\""]),
    ),
    // GHCR: a transcript in containerd/containerd#3291.
    sign(
        &[S::Ghcr],
        "the header X-GitHub-Request-Id",
        Header("x-github-request-id"),
    ),
    sign(
        &[S::Ghcr],
        "a token service for ghcr.io",
        Challenge(&["service=\"ghcr.io\""]),
    ),
    // ECR: a transcript in NVIDIA/enroot#59; aws/containers-roadmap for the public one.
    sign(
        &[S::Ecr],
        "a challenge for ecr.amazonaws.com",
        Challenge(&["service=\"ecr.amazonaws.com\""]),
    ),
    sign(
        &[S::Ecr],
        "a token service for public.ecr.aws",
        Challenge(&["service=\"public.ecr.aws\""]),
    ),
    // Google: transcripts of gcr.io.
    sign(
        &[S::Gar],
        "the header Server: Docker Registry",
        Holds("server", "docker registry"),
    ),
    // Azure: Azure/acr, docs/AAD-OAuth.md, and Azure/acr#207.
    sign(
        &[S::Acr],
        "a token service of azurecr.io",
        Challenge(&[".azurecr.", "/oauth2/token\""]),
    ),
    // OpenShift's registry is made from distribution 2 and keeps what belongs to an image elsewhere.
    sign(
        &[],
        "the header X-Registry-Supports-Signatures",
        Header("x-registry-supports-signatures"),
    ),
    // distribution: registry/handlers/app.go (apiBase), registry/api/errcode/handler.go (ServeJSON),
    // registry/handlers/catalog.go and tags.go. Version 3 leaves the charset out. Measured with both.
    sign(
        &[S::Distribution2],
        "JSON as application/json; charset=utf-8",
        Form(|asked, reply| is_json(asked, reply, "application/json; charset=utf-8")),
    ),
    sign(
        &[S::Distribution3],
        "JSON as application/json",
        Form(|asked, reply| is_json(asked, reply, "application/json")),
    ),
    // distribution: registry/handlers/manifests.go puts the error itself into the detail. In version 2 that
    // is a structure (distribution.ErrTagUnknown, ErrManifestUnknownRevision), in 3 its text. Measured with 2.
    sign(
        &[S::Distribution2],
        "an unknown manifest that is told by Tag, or by Name and Revision",
        Error(|said| {
            let has = |name: &str| said.detail.get(name).is_some_and(Value::is_string);
            said.code == MANIFEST_UNKNOWN && (has("Tag") || has("Name") && has("Revision"))
        }),
    ),
    sign(
        &[S::Distribution3],
        "an unknown manifest that is told by its words",
        Error(|said| {
            let detail = said.detail.as_str().unwrap_or_default();
            let starts = ["unknown tag=", "unknown manifest name="];
            said.code == MANIFEST_UNKNOWN && starts.iter().any(|start| detail.starts_with(start))
        }),
    ),
    // distribution: registry/storage/blobserver.go (ServeBlob), in both versions; measured.
    sign(
        &[S::Distribution2, S::Distribution3],
        "blobs that may be cached for a year",
        Form(|asked, reply| {
            asked == Asked::Blob
                && reply.status.is_success()
                && reply.header(CACHE_CONTROL) == Some("max-age=31536000")
                && reply.header("docker-content-digest").is_some()
                && reply.header(ETAG).is_some_and(is_quoted_digest)
        }),
    ),
    // distribution: registry/proxy/proxyblobstore.go, in both versions, for what a cache has just downloaded;
    // measured.
    sign(
        &[S::Distribution2, S::Distribution3],
        "blobs with a bare digest for an Etag, as from its cache",
        Form(|asked, reply| {
            let is_bare = |etag: &str| etag.parse::<Digest>().is_ok();
            asked == Asked::Blob
                && reply.status.is_success()
                && !reply.headers.contains_key(ACCEPT_RANGES)
                && reply.header(ETAG).is_some_and(is_bare)
        }),
    ),
    // distribution: registry/handlers/blob.go, in both versions; measured with 2.
    sign(
        &[S::Distribution2, S::Distribution3],
        "an unknown blob that is told by its digest",
        Error(|said| {
            let detail = said.detail.as_str().unwrap_or_default();
            said.code == "BLOB_UNKNOWN" && detail.parse::<Digest>().is_ok()
        }),
    ),
];

const HOST: &str = "its host name";
const AZURE: [&str; 3] = ["azurecr.io", "azurecr.cn", "azurecr.us"];
const FRONTS: [&str; 4] = ["nginx", "caddy", "envoy", "apache"];
const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";

/// Whether a text holds this, in any case.
pub(super) fn holds(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(part)
}

/// Whether a host is this one or one below it.
fn is_below(host: &str, name: &str) -> bool {
    let rest = host.strip_suffix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_type(reply: &Reply, media_type: &str) -> bool {
    reply.header(CONTENT_TYPE) == Some(media_type)
}

fn is_versioned_ping(asked: Asked, reply: &Reply) -> bool {
    let version = reply.header("docker-distribution-api-version");
    asked == Asked::Ping && reply.status == 200 && version == Some("registry/2.0")
}

/// Whether JSON comes as distribution writes it: `{}` as greeting, and lists in one line that has an end.
/// Whoever names itself in `Server` is not distribution.
fn is_json(asked: Asked, reply: &Reply, media_type: &str) -> bool {
    let body = reply.body.bytes.as_slice();
    let is_list = |start: &[u8]| {
        let is_versioned = reply
            .headers
            .contains_key("docker-distribution-api-version");
        reply.status == 200 && is_versioned && body.starts_with(start) && body.ends_with(b"}\n")
    };
    let is_form = match asked {
        Asked::Ping => is_versioned_ping(asked, reply) && body == b"{}",
        Asked::Catalog => is_list(b"{\"repositories\":"),
        Asked::Tags => is_list(b"{\"name\":"),
        Asked::Manifest | Asked::Blob | Asked::Token => false,
    };
    if !is_form || !is_type(reply, media_type) {
        return false;
    }
    let server = reply.header(SERVER).unwrap_or_default();
    server.is_empty() || FRONTS.iter().any(|name| holds(server, name))
}

fn is_quoted_digest(etag: &str) -> bool {
    let digest = etag
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    digest.is_some_and(|digest| digest.parse::<Digest>().is_ok())
}
