//! The registries that people use, as far as they differ from distribution in what a client sees.

use std::time::Duration;

use serde_json::json;

use crate::auth::{Basic, Bearer, CatalogAccess, ScopeShown, TokenField};
use crate::on;
use crate::quirks::{Accept, DescriptorCache, LinkWhen, Listing, Next, OverMax, Quirks, Ranges};
use crate::reply::Reply;
use crate::serve::listing::TOKEN_MARK;
use crate::{Double, Registry, sha256};

use super::distribution::without_charset;

/// Lists in pages of 100 at most, an empty one being `[]`.
fn hundreds(link: fn(&Next) -> String) -> Listing {
    Listing {
        page: Some(100),
        max: Some(100),
        link_when: LinkWhen::MoreFollows,
        link,
        ..Listing::default()
    }
}

/// The same listing for repositories and tags, and no opinion about `Accept`.
fn lists(registry: &Registry, listing: Listing) {
    registry.quirks(|quirks| {
        *quirks = Quirks {
            catalog: listing.clone(),
            tags: listing,
            accept: Accept::Ignored,
            ..Quirks::default()
        };
    });
}

/// Signs every answer of the registry with a header.
fn signed(registry: &Registry, name: &'static str, value: &'static str) {
    registry
        .when(on::any().before_auth())
        .edit(move |_, reply| reply.with_header(name, value));
}

/// Puts an object store behind the registry, as its companion.
async fn with_storage(double: Double, status: u16) -> Double {
    let storage = Double::beside(&double).await;
    double
        .when(on::blob())
        .redirect_to_storage(status, &storage);
    double.accompanied_by(storage)
}

/// Harbor (row 12). The catalog is for `admin` with the password `Harbor12345` and takes no token;
/// whoever comes with a token that does not suffice gets a Basic challenge. Manifests of
/// `policy/blocked` are refused with a 412, which is not absence. A `last` that has gone is a 400.
pub async fn harbor() -> Double {
    let double = Double::start().await;
    let gone = Reply::error(400, "BAD_REQUEST", "the last item is not found");
    lists(
        &double,
        Listing {
            unknown_last: Some(gone),
            link_when: LinkWhen::MoreFollows,
            ..Listing::default()
        },
    );
    double.quirks(|quirks| quirks.accept = Accept::Strict);
    double.require(
        Bearer::anonymous()
            .user("admin", "Harbor12345")
            .path("/service/token")
            .service("harbor-registry")
            .catalog(CatalogAccess::BasicOnly)
            .basic_after_bearer("harbor")
            .lifetime(Duration::from_secs(1800)),
    );
    double
        .when(on::manifest().repository("policy/blocked"))
        .error(412, "PROJECTPOLICYVIOLATION");
    double
}

/// Quay (row 13). Links are absolute, name another host and carry an opaque page; blobs are
/// redirected with a 302 that does have a digest; the second look at the catalog gets a 429 in HTML
/// without `Retry-After`; the token service refuses the scope `registry:catalog:*` with a 400, and
/// anonymous requests without a scope with a 401.
pub async fn quay() -> Double {
    let link = |next: &Next| {
        format!(
            "<https://quay.internal{}?n={}&next_page={}>; rel=\"next\"",
            next.path, next.n, next.token
        )
    };
    let double = with_storage(Double::start().await, 302).await;
    lists(&double, hundreds(link));
    let bearer = Bearer::anonymous()
        .path("/v2/auth")
        .service("quay.internal")
        .catalog(CatalogAccess::AnyToken);
    double.require(
        bearer
            .field(TokenField::Token)
            .lifetime(Duration::from_secs(3600))
            .saying_lifetime(None),
    );
    double
        .when(on::token().param_with("scope", "registry:catalog:"))
        .error(400, "INVALID_REQUEST");
    double
        .when(on::catalog().nth(2))
        .reply(Reply::html(429, "429 Too Many Requests"));
    double.when(on::ping().get()).edit(|_, reply| {
        reply
            .with_body("true")
            .with_header("Content-Type", "text/html")
            .with_header("X-Sparse-Manifest-Support", "false")
    });
    double
        .when(on::blob())
        .edit(|request, reply| match (&request.reference, reply.status) {
            (Some(digest), 302) => reply.with_header("Docker-Content-Digest", digest),
            _ => reply,
        });
    double
}

/// Gitea and Forgejo (row 14). The challenge is for the scope `*`, as Bearer (as Basic, too,
/// where nobody may look without a login); the token answer has neither `expires_in` nor `access_token`; every page of tags that is not
/// empty has a `Link`; a HEAD of a blob has no type, and ranges are ignored. Errors have no
/// detail, and an empty message. A file that is cut or empty is served with the length of the database, and one that
/// is gone is a 404 to HEAD and GET (measured with 1.27).
pub async fn gitea() -> Double {
    let double = Double::start().await;
    lists(
        &double,
        Listing {
            max: Some(100),
            link_when: LinkWhen::NotEmpty,
            ..Listing::default()
        },
    );
    double.quirks(|quirks| {
        quirks.ranges = Ranges::Ignored;
        quirks.descriptor_cache = DescriptorCache::Warm;
    });
    let registry = (*double).clone();
    double.when(on::blob()).edit(move |request, reply| {
        let digest = request.reference.as_deref().unwrap_or_default();
        let is_lost = reply.status == 200 && registry.bytes(digest).is_none();
        if is_lost {
            Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        } else {
            reply
        }
    });
    without_charset(&double);
    double.when(on::any()).edit(|_, reply| {
        reply
            .without_header("Cache-Control")
            .telling(|error| *error = json!({"code": error["code"], "message": ""}))
    });
    let bearer = Bearer::anonymous()
        .path("/v2/token")
        .service("container_registry")
        .codes_alone()
        .post_refused(404);
    let bearer = bearer
        .scope(ScopeShown::Fixed("*".to_owned()))
        .field(TokenField::Token)
        .saying_lifetime(None);
    double.require(bearer);
    let is_blob = |reply: &Reply| reply.header("content-type") == Some("application/octet-stream");
    double.when(on::blob().head()).edit(move |_, reply| {
        if is_blob(&reply) {
            reply.without_header("Content-Type")
        } else {
            reply
        }
    });
    double
}

/// Gitea with an object store (row 14): the 307 says the blob's `Content-Length` and has no body.
pub async fn gitea_with_storage() -> Double {
    let double = with_storage(gitea().await, 307).await;
    let registry = (*double).clone();
    double.when(on::blob()).edit(move |request, reply| {
        let stored = request
            .reference
            .as_ref()
            .and_then(|digest| registry.bytes(digest));
        match (stored, reply.status) {
            (Some(bytes), 307) => reply.promising(bytes.len() as u64),
            _ => reply,
        }
    });
    double
}

/// ECR (row 15), for the user `AWS` with the password `token`. JSON comes as `text/plain`, lists
/// are in no order, links are absolute and opaque and a `last` of one's own making is a 405, as is
/// `n` over 1000; a GET of a manifest has no digest, though a HEAD has.
pub async fn ecr() -> Double {
    let link = |next: &Next| {
        format!(
            "<https://123456789012.dkr.ecr.internal{}?n={}&last={}>; rel=\"next\"",
            next.path, next.n, next.token
        )
    };
    let double = with_storage(Double::start().await, 307).await;
    let over_max = OverMax::Refuse(405, "UNSUPPORTED");
    lists(
        &double,
        Listing {
            max: Some(1000),
            over_max,
            unsorted: true,
            ..hundreds(link)
        },
    );
    double.require(Basic::new("AWS", "token").realm("https://123456789012.dkr.ecr.internal/"));
    let is_own_making = |last: String| !last.starts_with(TOKEN_MARK);
    double
        .when(on::any().matching(move |request| request.param("last").is_some_and(is_own_making)))
        .error(405, "UNSUPPORTED");
    double
        .when(on::manifest().get())
        .drop_header("Docker-Content-Digest");
    double
        .when(on::any().before_auth())
        .edit(|_, reply| match reply.header("content-type") {
            Some(json) if json.starts_with("application/json") => {
                reply.with_header("Content-Type", "text/plain; charset=utf-8")
            }
            _ => reply,
        });
    double
}

/// Nexus (row 16). A HEAD of a manifest is 404 while a GET is 200; links are absolute and have a
/// path that the port answers with a 400; lists have null elements.
pub async fn nexus() -> Double {
    let link = |next: &Next| {
        format!(
            "<http://{}/repository/docker{}?n={}&last={}>; rel=\"next\"",
            next.host, next.path, next.n, next.last
        )
    };
    let double = Double::start().await;
    lists(
        &double,
        Listing {
            null_element: true,
            link_when: LinkWhen::MoreFollows,
            link,
            ..Listing::default()
        },
    );
    signed(&double, "Server", "Nexus/3.87.1-01 (PRO)");
    double
        .when(on::manifest().head())
        .error(404, "MANIFEST_UNKNOWN");
    double
        .when(on::any().matching(|request| request.path.starts_with("/repository/")))
        .reply(Reply::status(400));
    double
}

/// Artifactory (row 17). Repository names begin with the key `docker-local/`, which links leave
/// out; a tag list for which manifest types are accepted is a 406; the token service refuses POST
/// with a 401.
pub async fn artifactory() -> Double {
    let link = |next: &Next| {
        let path = next.path.replacen("/docker-local", "", 1);
        format!("<{path}?last={}&n={}>; rel=\"next\"", next.last, next.n)
    };
    let double = Double::start().await;
    lists(
        &double,
        Listing {
            link_when: LinkWhen::MoreFollows,
            link,
            ..Listing::default()
        },
    );
    double.require(
        Bearer::anonymous()
            .post_refused(401)
            .also_basic("Artifactory Realm"),
    );
    signed(&double, "X-Artifactory-Id", "6d70dcfd451c8e98:-237a9c5d");
    double
        .when(on::tags().header_with("accept", "manifest"))
        .reply(Reply::status(406));
    double
}

/// GHCR (row 18). No catalog; links to more tags say `n=0`, which is to be taken as it is; tokens
/// do not say how long they live, and the token service refuses what is private with a 403; the
/// object store refuses HEAD with a 403.
pub async fn ghcr() -> Double {
    let link = |next: &Next| format!("<{}?last={}&n=0>; rel=\"next\"", next.path, next.last);
    let double = with_storage(Double::start().await, 307).await;
    lists(
        &double,
        Listing {
            zero_is_default: true,
            max: Some(1000),
            ..hundreds(link)
        },
    );
    let bearer = Bearer::anonymous()
        .service("ghcr.io")
        .field(TokenField::Token)
        .saying_lifetime(None);
    double.require(bearer.denial(Reply::error(
        403,
        "DENIED",
        "requested access to the resource is denied",
    )));
    double
        .when(on::catalog().before_auth())
        .reply(Reply::text(404, "404 page not found\n"));
    signed(&double, "X-GitHub-Request-Id", "EFB8:1F72:0:0:0");
    double
        .companion()
        .when(on::storage().head())
        .reply(Reply::xml_error(403, "AuthenticationFailed"));
    double
}

/// Docker Hub (row 19). The catalog says `insufficient_scope` for ever, whatever the token;
/// manifests carry rate limit headers; blobs are at an object store.
pub async fn docker_hub() -> Double {
    let double = with_storage(Double::start().await, 307).await;
    lists(&double, hundreds(Next::relative));
    double.require(
        Bearer::anonymous()
            .service("registry.docker.io")
            .catalog(CatalogAccess::Never),
    );
    double.when(on::manifest()).edit(|_, reply| {
        reply
            .with_header("Ratelimit-Limit", "100;w=21600")
            .with_header("Ratelimit-Remaining", "76;w=21600")
            .with_header("Docker-Ratelimit-Source", "192.0.2.1")
    });
    double
}

/// Google Artifact Registry (row 20). The catalog is empty for everybody, whatever is there; the
/// token service does not know POST.
pub async fn gar() -> Double {
    let double = Double::start().await;
    lists(&double, Listing::default());
    double.require(
        Bearer::anonymous()
            .path("/v2/token")
            .post_refused(404)
            .lifetime(Duration::from_secs(3600)),
    );
    double
        .when(on::catalog().get())
        .reply(Reply::json(200, &json!({"repositories": []})));
    signed(&double, "Server", "Docker Registry");
    double
}

/// Azure's registry: the token is in `access_token` only, and the refresh token `identity` of the
/// user `00000000-0000-0000-0000-000000000000` gets one by POST.
pub async fn acr() -> Double {
    let user = "00000000-0000-0000-0000-000000000000";
    let double = with_storage(Double::start().await, 307).await;
    lists(&double, hundreds(Next::relative));
    let bearer = Bearer::user_only(user, "unused")
        .refresh_token("identity", user)
        .path("/oauth2/token");
    double.require(
        bearer
            .field(TokenField::AccessToken)
            .lifetime(Duration::from_secs(75 * 60)),
    );
    double
}

/// GitLab: the token service refuses the catalog with `403 DENIED`, and its tokens do not say how
/// long they live.
pub async fn gitlab() -> Double {
    let double = Double::start().await;
    let bearer = Bearer::anonymous()
        .path("/jwt/auth")
        .service("container_registry")
        .field(TokenField::Token);
    double.require(bearer.saying_lifetime(None));
    double
        .when(on::token().param_with("scope", "registry:catalog:"))
        .error(403, "DENIED");
    double.when(on::ping().get()).edit(|_, reply| {
        reply
            .with_header("Gitlab-Container-Registry-Version", "4.9.0-gitlab")
            .with_header("Gitlab-Container-Registry-Features", "tag_delete")
    });
    double
}

/// zot (row 24, and measured with 2.1.20). `Accept` makes no difference, lists are whole unless `n` is given, and a
/// `last` that has gone is a bare 404 of a tag list, and an empty page of the catalog. HEAD of a blob and ranges
/// of it compare the file's length with the manifest's, and say 404 where it is cut or empty, while a plain GET
/// serves what is left of it. A `HEAD /v2/` is a 405, and errors have a description of their own.
pub async fn zot() -> Double {
    let double = Double::start().await;
    lists(
        &double,
        Listing {
            unknown_last: Some(Reply::status(404)),
            bad_n: Some(Reply::status(400)),
            link_when: LinkWhen::MoreFollows,
            link: |next| {
                format!(
                    "<{}?n={}&last={}>; rel=\"next\"",
                    next.path, next.n, next.last
                )
            },
            ..Listing::default()
        },
    );
    let empty = Reply::json(200, &json!({"repositories": []}));
    double.quirks(|quirks| quirks.catalog.unknown_last = Some(empty));
    without_charset(&double);
    let registry = (*double).clone();
    double.when(on::blob()).edit(move |request, reply| {
        let digest = request.reference.as_deref().unwrap_or_default();
        let is_whole = registry
            .bytes(digest)
            .is_some_and(|bytes| sha256(&bytes) == digest);
        let is_plain = request.method == "GET" && request.header("range").is_none();
        // A manifest is a file as any other, and told by its digest here, too.
        let is_manifest =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("\"schemaVersion\"");
        let manifest = registry.bytes(digest).filter(|bytes| is_manifest(bytes));
        if let Some(bytes) = manifest.filter(|_| is_whole && reply.status == 404) {
            return Reply::status(200)
                .with_header("Docker-Content-Digest", digest)
                .with_body(bytes);
        }
        if is_plain || is_whole || matches!(reply.status, 401 | 404) {
            return reply.without_header("Cache-Control");
        }
        Reply::error_with(
            404,
            "BLOB_UNKNOWN",
            "blob unknown to registry",
            &json!({"digest": digest}),
        )
    });
    double.when(on::any()).edit(|_, reply| {
        reply.telling(|error| {
            error["detail"] = json!({"description": "what the code means"});
        })
    });
    double
        .when(on::ping().get())
        .edit(|_, reply| reply.with_body(""));
    double.when(on::ping().head()).reply(Reply::status(405));
    for matcher in [on::ping(), on::catalog(), on::tags(), on::manifest().head()] {
        double.when(matcher).set_header(
            "Access-Control-Allow-Headers",
            "Authorization,content-type,X-ZOT-API-CLIENT",
        );
    }
    double
}
