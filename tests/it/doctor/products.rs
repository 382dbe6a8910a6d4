//! What is different about each product is what is found.

use registry_double::{Double, OverMax, Population, Reply, on, presets};
use registry_probe::doctor::{Outcome, Outlook};
use serde_json::json;

use super::{LAYER, assert_page, check, data, examine, examine_as, login, shown};

fn with_image(double: &Double, repository: &str) {
    double.image(repository, Some("v1"), &[LAYER]);
}

#[tokio::test]
async fn distribution_2() {
    let double = presets::distribution28().await;
    let image = double.image("team/app", None, &[LAYER]);
    double.index(
        "team/app",
        Some("v1"),
        &[("linux/amd64", &image), ("linux/arm64", &image)],
    );
    double.blob("empty", "a layer without an image");
    let found = examine(&double, &[]).await;

    let address = data(&found, "address");
    assert_eq!(
        (&address["status"], &address["http"]),
        (&json!(200), &json!("HTTP/1.1"))
    );
    assert_eq!(data(&found, "software")["api_version"], "registry/2.0");
    assert_eq!(address["is_encrypted"], false);
    assert_eq!(data(&found, "login")["wanted"], "nothing");
    assert_eq!(data(&found, "catalog")["entries"], 2);
    assert_eq!(data(&found, "catalog")["is_complete"], true);
    assert_eq!(data(&found, "catalog")["page_size_refused"], json!(null));
    // The first repository has no tag, and so the second is looked into.
    let tags = data(&found, "tags");
    assert_eq!(
        (&tags["entries"], &tags["is_complete"]),
        (&json!(1), &json!(true))
    );
    let cache = json!({ "sign": "none", "unknown_manifest_status": 404 });
    assert_eq!(data(&found, "cache"), &cache);
    let manifest = data(&found, "manifest");
    let head = json!({ "status": 200, "digest": "right", "length": "right" });
    assert_eq!(manifest["head"], head);
    assert_eq!(manifest["get"]["digest"], "right");
    let blob = data(&found, "blob");
    assert_eq!(
        (&blob["status"], &blob["length"]),
        (&json!(200), &json!("right"))
    );
    assert_eq!(
        (&blob["etag"], &blob["accepts_ranges"]),
        (&json!("quoted"), &json!(true))
    );
    assert_eq!(data(&found, "range")["answer"], "honoured");
    assert_eq!(data(&found, "blob")["redirected_to"], json!(null));
    assert_eq!(found.outlook, Outlook::Ready);
    // Three manifests and four blobs.
    let requests = 2 + 2 * (2 + (1 + 3 + 4));
    assert_eq!(found.requests_of_a_sweep, Some(requests));
    assert_eq!(data(&found, "rate_limits"), &json!({}));
    assert_eq!(found.requests, 10);
    assert_page("plain", &found);
}

#[tokio::test]
async fn a_page_size_that_is_refused() {
    let double = presets::distribution28().await;
    double.quirks(|quirks| {
        quirks.catalog.max = Some(500);
        quirks.catalog.over_max = OverMax::Refuse(400, "PAGINATION_NUMBER_INVALID");
    });
    double.populate(Population {
        repositories: 101,
        layers: 1,
        ..Population::default()
    });
    let found = examine(&double, &[]).await;
    let catalog = json!({
        "entries": 100,
        "is_complete": false,
        "next": "relative",
        "next_place": null,
        "page_size_refused": "400 Bad Request (PAGINATION_NUMBER_INVALID)",
    });
    assert_eq!(data(&found, "catalog"), &catalog);
    assert_page("page_size_refused", &found);
    assert_eq!(found.outlook, Outlook::Ready);
}

#[tokio::test]
async fn quay() {
    let double = presets::quay().await;
    double.populate(Population {
        repositories: 101,
        ..Population::default()
    });
    let found = examine(&double, &[]).await;
    let login = data(&found, "login");
    assert_eq!(login["token_host"], double.address());
    assert_eq!(login["token_service"], "quay.internal");
    assert_eq!(login["result"], "missing");
    assert_eq!(data(&found, "catalog")["entries"], 100);
    assert_eq!(data(&found, "catalog")["next"], "other_host");
    assert_eq!(data(&found, "catalog")["next_place"], "quay.internal");
    assert_eq!(
        data(&found, "blob")["redirected_to"],
        double.companion().url()
    );
    assert_eq!(data(&found, "range")["answer"], "honoured");
    assert_page("quay", &found);
    // Once as nobody, and once with the token that this made it ask for.
    assert_eq!(double.count(&on::catalog()), 2);
    assert_eq!(found.outlook, Outlook::Ready);
}

#[tokio::test]
async fn gitea() {
    let double = presets::gitea().await;
    with_image(&double, "owner/app");
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "login")["wanted"], "token");
    assert_eq!(data(&found, "tags")["next"], "relative");
    let blob = data(&found, "blob");
    assert_eq!(
        (&blob["length"], &blob["accepts_ranges"]),
        (&json!("right"), &json!(false))
    );
    assert_eq!(data(&found, "range")["answer"], "ignored");
    assert_eq!(data(&found, "cache")["sign"], "none");
    assert_page("gitea", &found);
}

#[tokio::test]
async fn ghcr() {
    let double = presets::ghcr().await;
    with_image(&double, "owner/app");
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "catalog")["reason"], "protocol");
    assert!(check(&found, "catalog").words.contains("404"), "{found:#?}");
    assert_eq!(found.outlook, Outlook::Blind);
    assert!(shown(&found).contains("--repos-file"));

    double.forget_requests();
    let found = examine(&double, &["owner/app"]).await;
    assert_eq!(found.outlook, Outlook::Ready);
    // The store refuses HEAD, and hands the blob out all the same.
    assert_eq!(data(&found, "blob")["status"], 403);
    assert_eq!(data(&found, "range")["answer"], "honoured");
    assert_eq!(
        data(&found, "blob")["redirected_to"],
        double.companion().url()
    );
    assert_eq!(data(&found, "cache")["sign"], "none");
    assert_page("ghcr", &found);
}

#[tokio::test]
async fn docker_hub() {
    let double = presets::docker_hub().await;
    with_image(&double, "library/app");
    let found = examine(&double, &["library/app"]).await;
    assert_eq!(check(&found, "catalog").outcome, Outcome::Fail);
    let limits = json!({
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "76;w=21600",
    });
    assert_eq!(data(&found, "rate_limits"), &limits);
    assert_page("docker_hub", &found);
    // Where Docker Hub saw us come from is nobody's business.
    assert!(!shown(&found).contains("192.0.2.1"));
    assert_eq!(
        data(&found, "blob")["redirected_to"],
        double.companion().url()
    );
    assert_eq!(found.outlook, Outlook::Ready);
}

#[tokio::test]
async fn gar() {
    let double = presets::gar().await;
    with_image(&double, "project/app");
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "catalog")["entries"], 0);
    assert_eq!(found.outlook, Outlook::Blind);
    assert_page("empty", &found);

    double.forget_requests();
    let found = examine(&double, &["project/app"]).await;
    assert_eq!(data(&found, "catalog")["entries"], 0);
    assert_eq!(found.outlook, Outlook::Ready);
    assert!(shown(&found).contains("The catalog does not show project/app"));
}

#[tokio::test]
async fn ecr() {
    let double = presets::ecr().await;
    with_image(&double, "app");
    let found = examine_as(&double, login("AWS", "token"), &[]).await;
    assert_eq!(data(&found, "login")["wanted"], "password");
    assert_eq!(data(&found, "login")["result"], "accepted");
    assert_eq!(data(&found, "manifest")["head"]["digest"], "right");
    assert_eq!(data(&found, "manifest")["get"]["digest"], "not stated");
    assert_eq!(
        data(&found, "blob")["redirected_to"],
        double.companion().url()
    );
}

#[tokio::test]
async fn nexus() {
    let double = presets::nexus().await;
    with_image(&double, "app");
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "manifest")["head"]["status"], 404);
    assert_eq!(check(&found, "manifest").outcome, Outcome::Warn);
    assert_eq!(found.outlook, Outlook::Ready);
    assert!(shown(&found).contains("asks by GET where HEAD says 404"));
}

#[tokio::test]
async fn an_object_store_and_its_secrets() {
    let double = presets::object_storage().await;
    with_image(&double, "app");
    let found = examine(&double, &[]).await;
    assert_eq!(
        data(&found, "blob")["redirected_to"],
        double.companion().url()
    );
    assert_eq!(data(&found, "range")["answer"], "honoured");
    let signed = double.companion().requests();
    assert!(!signed.is_empty());
    let shown = shown(&found);
    assert!(
        !shown.contains("X-Signature") && !shown.contains("X-Expires"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_tag_that_leads_nowhere_is_not_the_last_word() {
    let double = presets::distribution28().await;
    with_image(&double, "app");
    double
        .when(on::manifest().reference("v2"))
        .error(404, "MANIFEST_UNKNOWN");
    let image = double.image("app", None, &[b"other"]);
    double.tag("app", "v2", &image.digest);
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "manifest")["image"], "app:v1");
    assert_eq!(check(&found, "manifest").outcome, Outcome::Fine);
}

#[tokio::test]
async fn a_digest_that_is_not_that_of_the_bytes() {
    let double = presets::distribution28().await;
    with_image(&double, "app");
    let digest = format!("sha256:{}", "0".repeat(64));
    double
        .when(on::manifest().by_tag())
        .set_header("Docker-Content-Digest", &digest);
    let found = examine(&double, &[]).await;
    let manifest = check(&found, "manifest");
    assert_eq!(manifest.outcome, Outcome::Fail, "{found:#?}");
    assert_eq!(manifest.data["head"]["digest"], "wrong");
    assert_eq!(manifest.data["get"]["digest"], "wrong");
    assert!(shown(&found).contains("calls that broken"));
}

#[tokio::test]
async fn a_blob_that_may_not_be_had() {
    let double = presets::distribution28().await;
    with_image(&double, "app");
    double.when(on::blob()).error(403, "DENIED");
    let found = examine(&double, &[]).await;
    let range = check(&found, "range");
    assert_eq!(
        (range.outcome, range.data["answer"].as_str()),
        (Outcome::Fail, Some("refused"))
    );
    assert!(range.words.ends_with("[forbidden]"), "{}", range.words);
    assert!(shown(&found).contains("Blobs that answer so"));
}

#[tokio::test]
async fn a_last_byte_that_does_not_come() {
    let double = presets::stale_descriptor_cache().await;
    let image = double.image("app", Some("v1"), &[LAYER]);
    double.remove_bytes(&image.config);
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "blob")["status"], 200);
    assert_eq!(data(&found, "range")["answer"], "empty");
    assert_page("last_byte_missing", &found);
}

#[tokio::test]
async fn a_web_page_is_no_registry() {
    let double = Double::start().await;
    double.when(on::any()).reply(Reply::html(200, "Sign in"));
    let found = examine(&double, &[]).await;
    assert_page("stranger", &found);
    assert_eq!((found.outlook, found.requests), (Outlook::Unreachable, 1));
}

#[tokio::test]
async fn nobody_there() {
    let double = Double::start().await;
    double.when(on::any()).hang_up();
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "answer")["reason"], "connect");
    assert_eq!(data(&found, "answer")["speaks_http"], false);
    assert_eq!(found.outlook, Outlook::Unreachable);
}
