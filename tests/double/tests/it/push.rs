//! Pushing and deleting over the Distribution API.

use registry_double::{Double, media_type, sha256};
use serde_json::json;

use crate::client::{Answer, client, get, head, send, try_send};

async fn put(url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = client()
        .put(url)
        .header("content-type", content_type)
        .body(body);
    try_send(request).await.expect("an answer")
}

async fn begin(double: &Double, query: &str) -> Answer {
    send(
        "POST",
        double,
        &format!("/v2/app/blobs/uploads/{query}"),
        &[],
    )
    .await
}

#[tokio::test]
async fn a_blob_comes_in_one_put() {
    let double = Double::start().await;
    let (bytes, digest) = ("monolithic", sha256("monolithic"));
    let begun = begin(&double, "").await;
    assert_eq!((begun.status, begun.header("range")), (202, "0-0"));
    let done = put(
        &format!("{}&digest={digest}", begun.header("location")),
        "application/octet-stream",
        bytes,
    )
    .await;
    assert_eq!(
        (done.status, done.header("docker-content-digest")),
        (201, digest.as_str())
    );
    assert_eq!(get(&double, done.header("location")).await.text(), bytes);
}

#[tokio::test]
async fn a_blob_comes_in_chunks() {
    let double = Double::start().await;
    let mut location = begin(&double, "").await.header("location").to_owned();
    for (chunk, range) in [("chu", "0-2"), ("nks", "3-5")] {
        let request = client()
            .patch(&location)
            .header("content-range", range)
            .body(chunk);
        let answer = try_send(request).await.expect("an answer");
        assert_eq!(
            (answer.status, answer.header("range")),
            (202, if range == "0-2" { "0-2" } else { "0-5" })
        );
        answer.header("location").clone_into(&mut location);
    }
    let done = put(
        &format!("{location}&digest={}", sha256("chunks")),
        "application/octet-stream",
        "",
    )
    .await;
    assert_eq!(done.status, 201);
}

#[tokio::test]
async fn a_blob_comes_in_the_post_itself() {
    let double = Double::start().await;
    let url = format!(
        "{}/v2/app/blobs/uploads/?digest={}",
        double.url(),
        sha256("post")
    );
    assert_eq!(
        try_send(client().post(url).body("post"))
            .await
            .expect("an answer")
            .status,
        201
    );
    let wrong = format!(
        "{}/v2/app/blobs/uploads/?digest={}",
        double.url(),
        sha256("other")
    );
    assert_eq!(
        try_send(client().post(wrong).body("post"))
            .await
            .expect("an answer")
            .code(),
        "DIGEST_INVALID"
    );
}

#[tokio::test]
async fn blobs_are_mounted_if_they_are_there() {
    let double = Double::start().await;
    let digest = double.blob("base", "shared");
    let mounted = begin(&double, &format!("?mount={digest}&from=base")).await;
    assert_eq!(mounted.status, 201);
    assert_eq!(
        head(&double, &format!("/v2/app/blobs/{digest}"))
            .await
            .status,
        200
    );
    let absent = begin(&double, &format!("?mount={}&from=base", sha256("absent"))).await;
    assert_eq!(absent.status, 202);
}

#[tokio::test]
async fn manifests_need_their_parts_and_are_deleted_with_their_tags() {
    let double = Double::start().await;
    let config = double.blob("app", "{}");
    let layer = sha256("later");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": media_type::OCI_CONFIG, "digest": config, "size": 2},
        "layers": [{"mediaType": media_type::OCI_LAYER, "digest": layer, "size": 5}],
    })
    .to_string();
    let url = format!("{}/v2/app/manifests/v1", double.url());
    let refused = put(&url, media_type::OCI_MANIFEST, manifest.clone()).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "MANIFEST_BLOB_UNKNOWN")
    );
    double.blob("app", "later");
    let done = put(&url, media_type::OCI_MANIFEST, manifest.clone()).await;
    let digest = sha256(&manifest);
    assert_eq!(
        (done.status, done.header("docker-content-digest")),
        (201, digest.as_str())
    );
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.text(), manifest);
    let path = format!("/v2/app/manifests/{digest}");
    assert_eq!(send("DELETE", &double, &path, &[]).await.status, 202);
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 404);
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":null}"#
    );
}
