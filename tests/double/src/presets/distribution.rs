//! Distribution in its versions and with its caches and back ends.

use crate::on;
use crate::quirks::{Accept, DescriptorCache, LinkWhen, ManifestReader, OverMax, Ranges};
use crate::reply::Reply;
use crate::{Double, Registry};

/// Distribution 2.8, healthy (row 1). As [`Double::start`], but it reads only the manifests that
/// 2.8 knows.
pub async fn distribution28() -> Double {
    let double = Double::start().await;
    double.quirks(|quirks| quirks.reader = ManifestReader::Distribution2);
    double
}

/// Distribution 2.8.2 as Debian carries it (row 1): built with an old Go, so that a 416 ends in a
/// closed connection, and without a `Link` on a last page that is exactly full.
pub async fn debian_distribution() -> Double {
    let double = distribution28().await;
    double.quirks(|quirks| {
        quirks.ranges = Ranges::HonouredByOldGo;
        quirks.catalog.link_when = LinkWhen::MoreFollows;
    });
    double
}

/// Distribution 3.0, healthy (row 1): sorted tags in pages if asked for, a catalog by manifests, an
/// unreadable `n` is a 400, no schema 1, indexes served whatever is accepted, no charset in
/// `Content-Type`, and what is unknown is told in words.
pub async fn distribution3() -> Double {
    let double = Double::start().await;
    as_version_3(&double);
    double
}

/// Distribution 3.1 (row 25): `n` for tags is clamped to 1000, and the page after an exact multiple
/// says `"tags":null`.
pub async fn distribution31() -> Double {
    let double = distribution3().await;
    double.quirks(|quirks| {
        quirks.tags.max = Some(1000);
        quirks.tags.over_max = OverMax::Clamp;
    });
    double
}

/// The default descriptor cache of distribution's image, warm (row 2): what is damaged from now on
/// answers HEAD 200 with the old length, and GET with fewer bytes than that.
pub async fn stale_descriptor_cache() -> Double {
    let double = distribution28().await;
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
    double
}

/// The same in distribution 3 (row 3), which also remembers links to manifests: a child whose link
/// is gone answers 200 until the next restart, and no client can see it.
pub async fn stale_manifest_cache() -> Double {
    let double = distribution3().await;
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::WarmWithManifests);
    double
}

/// OCI manifests are 404 unless accepted by name (row 8): [`Double::start`], by the name of what it
/// is needed for.
pub async fn accept_strict() -> Double {
    Double::start().await
}

/// Distribution with S3 behind it (row 9): blobs are redirected with a 307 to addresses that are
/// signed for one method, expire, and refuse an `Authorization` header. The companion is the object
/// store.
pub async fn object_storage() -> Double {
    let double = distribution28().await;
    let storage = Double::beside(&double).await;
    double.when(on::blob()).redirect_to_storage(307, &storage);
    double.accompanied_by(storage)
}

fn as_version_3(registry: &Registry) {
    registry.quirks(|quirks| {
        quirks.reader = ManifestReader::Distribution3;
        quirks.accept = Accept::StrictForManifests;
        quirks.catalog_by_manifests = true;
        let bad_n = Reply::error(
            400,
            "PAGINATION_NUMBER_INVALID",
            "invalid number of results requested",
        );
        quirks.catalog.bad_n = Some(bad_n.clone());
        quirks.tags.bad_n = Some(bad_n);
        quirks.tags.honours_n = true;
    });
    without_charset(registry);
    registry
        .when(on::manifest())
        .edit(|request, reply| match reply.status {
            404 => reply.telling(|error| {
                let detail = &error["detail"];
                let (tag, digest) = (detail["Tag"].as_str(), detail["Revision"].as_str());
                let name = request.repository();
                let words = match (tag, digest) {
                    (Some(tag), _) => format!("unknown tag={tag}"),
                    (_, Some(digest)) => format!("unknown manifest name={name} revision={digest}"),
                    (None, None) => return,
                };
                error["detail"] = words.into();
            }),
            _ => reply,
        });
}

/// JSON is `application/json` and nothing more.
pub(super) fn without_charset(registry: &Registry) {
    let is_json =
        |reply: &Reply| reply.header("content-type") == Some("application/json; charset=utf-8");
    registry
        .when(on::any().before_auth())
        .edit(move |_, reply| {
            if is_json(&reply) {
                reply.with_header("Content-Type", "application/json")
            } else {
                reply
            }
        });
}
