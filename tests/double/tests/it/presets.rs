//! The ready-made registries, each by what is different about it.

use std::time::{Duration, Instant};

use registry_double::{Auth, presets, sha256};

use crate::client::{get, head, range, send};

#[tokio::test]
async fn a_distribution_proxy_downloads_on_head() {
    let double = presets::distribution_proxy(1_000_000).await;
    let digest = double.blob("app", vec![0; 100_000]);
    let image = double.image("app", Some("v1"), &[]);
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":[]}"#
    );
    let begin = Instant::now();
    let answer = head(&double, &path).await;
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!(
        (answer.header("etag"), answer.header("accept-ranges")),
        (digest.as_str(), "")
    );
    assert_eq!(double.downloads(), [digest.clone(), digest.clone()]);
    let cached = head(&double, &path).await;
    assert_eq!(
        (cached.header("etag"), cached.header("accept-ranges")),
        (format!("\"{digest}\"").as_str(), "bytes")
    );
    assert_eq!(double.downloads().len(), 2);
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":["app"]}"#
    );

    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 200);
    double.tag("app", "v2", &image.digest);
    double.upstream(|cache| cache.upstream_fails = true);
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 200);
    assert_eq!(
        get(&double, "/v2/app/manifests/v2").await.code(),
        "MANIFEST_UNKNOWN"
    );
    assert_eq!(
        head(&double, &format!("/v2/app/blobs/{}", image.config))
            .await
            .status,
        500
    );
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["v1"]}"#
    );
}

#[tokio::test]
async fn a_harbor_proxy_denies_what_it_has_not_cached() {
    let double = presets::harbor_proxy().await;
    let digest = double.blob("app", "0123456789");
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(head(&double, &path).await.status, 404);
    assert!(double.downloads().is_empty());
    let whole = range(&double, &path, "bytes=9-9").await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert_eq!(double.downloads(), [digest]);
    assert_eq!(head(&double, &path).await.status, 200);
    assert_eq!(range(&double, &path, "bytes=9-9").await.status, 206);
}

#[tokio::test]
async fn distribution_3() {
    let double = presets::distribution31().await;
    let image = double.image("app", Some("a"), &[b"layer"]);
    double.index("app", Some("b"), &[("linux/amd64", &image)]);
    let tags = get(&double, "/v2/app/tags/list?n=2").await;
    assert_eq!(tags.header("content-type"), "application/json");
    assert_eq!(
        tags.header("link"),
        "</v2/app/tags/list?last=b&n=2>; rel=\"next\""
    );
    assert_eq!(
        get(&double, "/v2/app/tags/list?n=2&last=b").await.text(),
        r#"{"name":"app","tags":null}"#
    );
    assert_eq!(get(&double, "/v2/_catalog?n=x").await.status, 400);
    assert_eq!(
        send("GET", &double, "/v2/app/manifests/b", &[])
            .await
            .status,
        200
    );
    assert_eq!(
        send("GET", &double, "/v2/app/manifests/a", &[])
            .await
            .status,
        404
    );
    double.remove_manifests_directory("app");
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":[]}"#
    );
}

#[tokio::test]
async fn gitea_nexus_and_artifactory() {
    let gitea = presets::gitea_with_storage().await;
    gitea.require(Auth::Open);
    let digest = gitea.blob("o/r", "0123456789");
    let lying = get(&gitea, &format!("/v2/o/r/blobs/{digest}")).await;
    assert_eq!(
        (lying.status, lying.header("content-length"), lying.whole),
        (307, "10", false)
    );

    let nexus = presets::nexus().await;
    nexus.image("app", Some("v1"), &[]);
    assert_eq!(head(&nexus, "/v2/app/manifests/v1").await.status, 404);
    assert_eq!(get(&nexus, "/v2/app/manifests/v1").await.status, 200);
    assert_eq!(
        get(&nexus, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["v1",null]}"#
    );

    let artifactory = presets::artifactory().await;
    artifactory.require(Auth::Open);
    artifactory.image("docker-local/app", Some("v1"), &[]);
    artifactory.image("docker-local/app", Some("v2"), &[]);
    assert_eq!(
        get(&artifactory, "/v2/docker-local/app/tags/list")
            .await
            .status,
        406
    );
    let page = send(
        "GET",
        &artifactory,
        "/v2/docker-local/app/tags/list?n=1",
        &[],
    )
    .await;
    assert_eq!(
        page.header("link"),
        "</v2/app/tags/list?last=v1&n=1>; rel=\"next\""
    );
}

#[tokio::test]
async fn ecr_and_gar() {
    let ecr = presets::ecr().await;
    ecr.require(Auth::Open);
    ecr.image("app", Some("v1"), &[]);
    assert_eq!(get(&ecr, "/v2/_catalog?n=1001").await.status, 405);
    assert_eq!(get(&ecr, "/v2/_catalog?last=app").await.status, 405);
    assert_eq!(
        get(&ecr, "/v2/_catalog").await.header("content-type"),
        "text/plain; charset=utf-8"
    );
    assert_eq!(
        get(&ecr, "/v2/app/manifests/v1")
            .await
            .header("docker-content-digest"),
        ""
    );
    assert_ne!(
        head(&ecr, "/v2/app/manifests/v1")
            .await
            .header("docker-content-digest"),
        ""
    );

    let gar = presets::gar().await;
    gar.require(Auth::Open);
    gar.image("app", Some("v1"), &[]);
    assert_eq!(
        get(&gar, "/v2/_catalog").await.text(),
        r#"{"repositories":[]}"#
    );
}

#[tokio::test]
async fn docker_hub_never_lists_and_ghcr_storage_refuses_head() {
    let hub = presets::docker_hub().await;
    for _ in 0..3 {
        let token = get(&hub, "/token?scope=registry:catalog:*").await.json();
        let bearer = format!("Bearer {}", token["token"].as_str().expect("a token"));
        let answer = send("GET", &hub, "/v2/_catalog", &[("authorization", &bearer)]).await;
        assert!(
            answer
                .header("www-authenticate")
                .contains("insufficient_scope")
        );
    }
    let ghcr = presets::ghcr().await;
    ghcr.require(Auth::Open);
    let digest = ghcr.blob("o/r", "x");
    let redirect = head(&ghcr, &format!("/v2/o/r/blobs/{digest}")).await;
    assert_eq!(head(&ghcr, redirect.header("location")).await.status, 403);
    let redirect = get(&ghcr, &format!("/v2/o/r/blobs/{digest}")).await;
    assert_eq!(get(&ghcr, redirect.header("location")).await.status, 200);
}

#[tokio::test]
async fn accidents() {
    let (double, image) = presets::truncated_layer().await;
    assert_eq!(
        head(&double, &format!("/v2/app/blobs/{}", image.layers[1]))
            .await
            .header("content-length"),
        "1000"
    );
    let (double, _) = presets::empty_link().await;
    assert_eq!(get(&double, "/v2/app/manifests/v1").await.status, 500);
    let (double, image) = presets::altered_manifest().await;
    let altered = get(&double, "/v2/app/manifests/v1").await;
    assert_eq!(
        (altered.status, altered.json()["a"].as_u64()),
        (200, Some(0))
    );
    assert_ne!(sha256(altered.body), image.digest);
    let (double, _) = presets::dangling_tag().await;
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["gone","v1"]}"#
    );
    assert_eq!(get(&double, "/v2/app/manifests/gone").await.status, 404);
    let (double, _) = presets::outage_after(1).await;
    assert_eq!(
        (
            get(&double, "/v2/").await.status,
            get(&double, "/v2/").await.code()
        ),
        (200, "UNAVAILABLE".to_owned())
    );
    let (double, _) = presets::front_proxy_down().await;
    assert_eq!(
        get(&double, "/v2/").await.header("content-type"),
        "text/html"
    );
    let (double, image) = presets::closes_once().await;
    let path = format!("/v2/app/blobs/{}", image.layers[1]);
    assert_eq!(
        (
            get(&double, &path).await.whole,
            get(&double, &path).await.whole
        ),
        (false, true)
    );
    let (double, _) = presets::login_page().await;
    let page = get(&double, "/v2/app/manifests/v1").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html")
    );
}

#[tokio::test]
async fn the_zoo_is_open() {
    let zoo = presets::zoo().await;
    let tags = get(&zoo.double, "/v2/zoo/tags/list").await.json();
    let tags = tags["tags"].as_array().expect("tags");
    assert_eq!(tags.len(), 13);
    let accept = [(
        "accept",
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
    )];
    for tag in tags {
        let path = format!("/v2/zoo/manifests/{}", tag.as_str().expect("a name"));
        assert_eq!(
            send("GET", &zoo.double, &path, &accept).await.status,
            200,
            "{tag}"
        );
    }
    assert_eq!(
        get(&zoo.double, &format!("/v2/zoo/manifests/{}", zoo.absent))
            .await
            .status,
        404
    );
}
