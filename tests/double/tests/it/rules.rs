//! Rules: their order, their turns, and what they can do.

use std::time::Duration;

use registry_double::{Double, Reply, on, presets};

use crate::PATIENCE;
use crate::client::{get, head, range, send};

async fn statuses(double: &Double, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get(double, "/v2/").await.status);
    }
    statuses
}

#[tokio::test]
async fn turns() {
    let cases = [
        (on::ping().first(2), [503, 503, 200, 200]),
        (on::ping().after(2), [200, 200, 503, 503]),
        (on::ping().nth(2), [200, 503, 200, 200]),
        (on::ping().alternate(), [503, 200, 503, 200]),
    ];
    for (matcher, expected) in cases {
        let double = Double::start().await;
        double.when(matcher).error(503, "UNAVAILABLE");
        assert_eq!(statuses(&double, 4).await, expected);
    }
}

#[tokio::test]
async fn the_first_answer_counts_and_all_edits_do() {
    let double = Double::start().await;
    double
        .when(on::ping().first(1))
        .error(429, "TOOMANYREQUESTS");
    double.when(on::ping()).error(503, "UNAVAILABLE");
    double.when(on::any()).set_header("Retry-After", "1");
    double
        .when(on::any())
        .edit(|request, reply| reply.with_header("X-Path", &request.path));
    let first = get(&double, "/v2/").await;
    assert_eq!(
        (
            first.status,
            first.header("retry-after"),
            first.header("x-path")
        ),
        (429, "1", "/v2/")
    );
    assert_eq!(get(&double, "/v2/").await.status, 503);
    double.forget_rules();
    assert_eq!(get(&double, "/v2/").await.status, 200);
}

#[tokio::test]
async fn matchers_select_by_all_parts_of_a_request() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"layer"]);
    double
        .when(
            on::blob()
                .get()
                .repository("app")
                .reference(&image.layers[0])
                .header("range"),
        )
        .reply(Reply::status(500));
    let path = format!("/v2/app/blobs/{}", image.layers[0]);
    assert_eq!(head(&double, &path).await.status, 200);
    assert_eq!(get(&double, &path).await.status, 200);
    assert_eq!(range(&double, &path, "bytes=0-0").await.status, 500);
    assert_eq!(double.count(&on::blob()), 3);
    assert_eq!(double.count(&on::blob().without_header("range").get()), 1);
    assert_eq!(
        double.seen(&on::blob().head())[0].to_string(),
        format!("HEAD {path} -> 200")
    );
}

#[tokio::test]
async fn things_happen_between_requests() {
    let (double, image) = presets::races().await;
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["deleted","v1"]}"#
    );
    assert_eq!(get(&double, "/v2/app/manifests/deleted").await.status, 404);
    let moved = get(&double, "/v2/app/manifests/v1").await;
    assert_ne!(moved.header("docker-content-digest"), image.digest);
}

#[tokio::test]
async fn redirects_are_signed_for_one_method() {
    let double = presets::object_storage().await;
    let digest = double.blob("app", "0123456789");
    let path = format!("/v2/app/blobs/{digest}");
    let redirect = head(&double, &path).await;
    assert_eq!(
        (redirect.status, redirect.header("docker-content-digest")),
        (307, "")
    );
    let location = redirect.header("location").to_owned();
    assert!(
        location.starts_with(&double.companion().url()),
        "{location}"
    );
    assert_eq!(
        head(&double, &location).await.header("content-length"),
        "10"
    );
    assert_eq!(get(&double, &location).await.status, 403, "signed for HEAD");
    let with_token = send("HEAD", &double, &location, &[("authorization", "Bearer x")]).await;
    assert_eq!(with_token.status, 400);

    let location = range(&double, &path, "bytes=9-9")
        .await
        .header("location")
        .to_owned();
    let last = range(&double, &location, "bytes=9-9").await;
    assert_eq!((last.status, last.text().as_str()), (206, "9"));
    double.remove_bytes(&digest);
    assert!(get(&double, &location).await.text().contains("NoSuchKey"));
    assert_eq!(
        get(&double, &path).await.status,
        404,
        "without a cache the registry notices"
    );
}

#[tokio::test]
async fn signatures_expire() {
    let double = presets::object_storage().await;
    let digest = double.blob("app", "x");
    for (life, status) in [(PATIENCE, 200), (Duration::from_millis(20), 403)] {
        let storage = double.companion();
        storage.quirks(|quirks| quirks.signed_for = life);
        let signed = get(&double, &format!("/v2/app/blobs/{digest}")).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        let answer = get(&double, signed.header("location")).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn registries_redirect_to_each_other() {
    let mirror = Double::start().await;
    mirror.image("app", Some("v1"), &[]);
    let double = Double::start().await;
    double.when(on::manifest()).redirect_to(301, &mirror);
    let answer = get(&double, "/v2/app/manifests/v1").await;
    assert_eq!(
        answer.header("location"),
        format!("{}/v2/app/manifests/v1", mirror.url())
    );
}
