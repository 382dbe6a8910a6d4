//! Manifests: negotiation, tags, and what damage to them looks like.

use registry_double::{DescriptorCache, Double, Format, Image, media_type, sha256};

use crate::client::{Answer, get, head, send};

async fn app() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"one", b"two"]);
    (double, image)
}

async fn by_digest(double: &Double, digest: &str) -> Answer {
    get(double, &format!("/v2/app/manifests/{digest}")).await
}

#[tokio::test]
async fn a_tag_and_its_digest_answer_the_same() {
    let (double, image) = app().await;
    let by_tag = get(&double, "/v2/app/manifests/v1").await;
    assert_eq!(
        (by_tag.status, by_tag.header("content-type")),
        (200, media_type::OCI_MANIFEST)
    );
    assert_eq!(by_tag.header("docker-content-digest"), image.digest);
    assert_eq!(by_tag.header("etag"), format!("\"{}\"", image.digest));
    assert_eq!(sha256(&by_tag.body), image.digest);
    assert_eq!(by_digest(&double, &image.digest).await.body, by_tag.body);
    let head = head(&double, "/v2/app/manifests/v1").await;
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (image.size.to_string().as_str(), 0)
    );
}

#[tokio::test]
async fn what_is_not_accepted_is_not_found() {
    let (double, image) = app().await;
    let index = double.index("app", Some("all"), &[("linux/amd64", &image)]);
    for (path, message) in [
        ("v1", "OCI manifest found, but"),
        ("all", "OCI index found, but"),
    ] {
        let path = format!("/v2/app/manifests/{path}");
        let answer = send("GET", &double, &path, &[("accept", "*/*")]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "MANIFEST_UNKNOWN")
        );
        assert!(answer.text().contains(message), "{}", answer.text());
    }
    assert_eq!(by_digest(&double, &index).await.status, 200);
}

#[tokio::test]
async fn docker_lists_resolve_to_a_child_for_old_clients() {
    let double = Double::start().await;
    let arm = double.image_in(Format::Docker, "app", None, &[b"arm"]);
    let amd = double.image_in(Format::Docker, "app", None, &[b"amd"]);
    double.index(
        "app",
        Some("v1"),
        &[("linux/arm64", &arm), ("linux/amd64", &amd)],
    );
    let accepted = [("accept", media_type::DOCKER_MANIFEST)];
    let answer = send("GET", &double, "/v2/app/manifests/v1", &accepted).await;
    assert_eq!(
        (answer.status, answer.header("docker-content-digest")),
        (200, amd.digest.as_str())
    );
    let refused = send(
        "GET",
        &double,
        &format!("/v2/app/manifests/{}", amd.digest),
        &[],
    )
    .await;
    assert_eq!(
        refused.status, 200,
        "by digest Docker manifests are served to anybody"
    );
}

#[tokio::test]
async fn links_to_manifests() {
    let (double, image) = app().await;
    let index = double.index("app", Some("all"), &[("linux/amd64", &image)]);
    double.remove_manifest_link("app", &image.digest);
    assert_eq!(by_digest(&double, &index).await.status, 200);
    let child = by_digest(&double, &image.digest).await;
    assert_eq!(
        (child.status, child.code().as_str()),
        (404, "MANIFEST_UNKNOWN")
    );
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
    assert_eq!(
        by_digest(&double, &image.digest).await.status,
        404,
        "2.8 does not cache these"
    );
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::WarmWithManifests);
    assert_eq!(by_digest(&double, &image.digest).await.status, 200);
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Cold);
    double.empty_manifest_link("app", &image.digest);
    let empty = by_digest(&double, &image.digest).await;
    assert_eq!((empty.status, empty.code().as_str()), (500, "UNKNOWN"));
}

#[tokio::test]
async fn damaged_manifests() {
    let (double, image) = app().await;
    double.truncate_bytes(&image.digest, 20);
    assert_eq!(by_digest(&double, &image.digest).await.status, 500);
    double.empty_bytes(&image.digest);
    assert_eq!(by_digest(&double, &image.digest).await.status, 500);
    double.replace_bytes(&image.digest, r#"{"schemaVersion":2}"#);
    let altered = by_digest(&double, &image.digest).await;
    assert_eq!(
        (altered.status, altered.header("docker-content-digest")),
        (200, image.digest.as_str())
    );
    double.remove_bytes(&image.digest);
    assert_eq!(by_digest(&double, &image.digest).await.status, 404);
}

#[tokio::test]
async fn tags() {
    let (double, image) = app().await;
    double.tag("app", "v2", &image.digest);
    double.remove_tag_link("app", "v1");
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 404);
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["v1","v2"]}"#
    );
    double.empty_tag_link("app", "v1");
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 500);
    double.remove_tag("app", "v1");
    double.remove_tag("app", "v2");
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":null}"#
    );
    assert_eq!(by_digest(&double, &image.digest).await.status, 200);
    double.remove_tags_directory("app");
    let answer = get(&double, "/v2/app/tags/list").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "NAME_UNKNOWN")
    );
}

#[tokio::test]
async fn directories() {
    let (double, image) = app().await;
    double.remove_layers_directory("app");
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":[]}"#
    );
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 200);
    assert_eq!(
        head(&double, &format!("/v2/app/blobs/{}", image.config))
            .await
            .status,
        404
    );
    let (double, image) = app().await;
    double.remove_manifests_directory("app");
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":["app"]}"#
    );
    assert_eq!(get(&double, "/v2/app/tags/list").await.status, 404);
    assert_eq!(by_digest(&double, &image.digest).await.status, 404);
}
