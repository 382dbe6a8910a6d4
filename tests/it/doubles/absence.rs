//! "Missing" is what a GET's 404 says, and nothing else; all other refusals are unverified reasons.

use std::time::Duration;

use registry_double::{Double, Image, Reply, on};

use super::probe::{Probe, details, told};
use crate::PATIENCE;

/// How long an answer is waited for that never comes. Those that come would have to be later three times in
/// a row to count as missing.
const IMPATIENT: Duration = Duration::from_secs(2);

/// `app:v1` of one layer, and a neighbour that stays whole.
async fn with_neighbour() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("neighbour", Some("v1"), &[b"another"]);
    (double, image)
}

#[tokio::test]
async fn a_404_of_the_registry_is_missing_whatever_its_code() {
    for reply in [
        Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        Reply::error(404, "NAME_UNKNOWN", "repository name not known"),
        Reply::error(404, "NOT_FOUND", "not found"),
        Reply::text(404, "404 page not found\n"),
        Reply::status(404),
    ] {
        let (double, image) = with_neighbour().await;
        let body = reply.body.clone();
        double
            .when(on::blob().reference(&image.layers[0]))
            .reply(reply);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep),
            ["broken", "finding app layer not_found: v1"],
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_404_web_page_is_that_of_something_in_between() {
    let (double, image) = with_neighbour().await;
    double
        .when(on::blob().reference(&image.layers[0]))
        .reply(Reply::html(404, "Not Found"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);
}

#[tokio::test]
async fn other_refusals_mean_that_we_cannot_see() {
    let each = [
        (400, "protocol"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (407, "forbidden"),
        (412, "forbidden"),
        (451, "forbidden"),
    ]
    .map(|(status, reason)| async move {
        let why = format!("unverified app {reason}");
        let (double, image) = with_neighbour().await;
        double
            .when(on::blob().reference(&image.layers[0]))
            .error(status, "ODD");
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["unverified", &why], "a blob, {status}");

        let (double, _) = with_neighbour().await;
        let manifest = on::manifest().get().repository("app");
        double.when(manifest).error(status, "ODD");
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["unverified", &why], "a manifest, {status}");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_limit_that_does_not_end_means_that_we_cannot_see() {
    let (double, image) = with_neighbour().await;
    double
        .when(on::blob().reference(&image.layers[0]))
        .reply(Reply::html(429, "Too Many Requests").with_header("Retry-After", "0"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app rate_limited"]);
    let asked = on::blob().reference(&image.layers[0]);
    // In each of two looks.
    assert!(double.count(&asked) <= 2 * 6, "{}", double.count(&asked));
}

#[tokio::test]
async fn no_answer_means_that_we_cannot_tell() {
    let (double, image) = with_neighbour().await;
    double
        .when(on::blob().reference(&image.layers[0]))
        .hang_up();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app connect"]);

    let (double, image) = with_neighbour().await;
    double
        .when(on::blob().reference(&image.layers[0]))
        .delay(PATIENCE);
    let sweep = Probe::of(&double).timeout(IMPATIENT).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app timeout"]);
}

#[tokio::test]
async fn a_body_that_stops_coming_means_that_we_cannot_tell() {
    let (double, image) = with_neighbour().await;
    double
        .when(on::blob().get().reference(&image.layers[0]))
        .stall_after(2);
    let sweep = Probe::of(&double).timeout(IMPATIENT).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app timeout"]);
}

#[tokio::test]
async fn a_page_in_place_of_an_object_is_unverified() {
    let (double, image) = with_neighbour().await;
    let page = Reply::html(200, "Sign in");
    double
        .when(on::blob().reference(&image.layers[0]))
        .reply(page.clone());
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);

    let (double, _) = with_neighbour().await;
    double
        .when(on::manifest().repository("app"))
        .reply(page.clone());
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);

    let (double, _) = with_neighbour().await;
    double
        .when(on::tags().repository("app"))
        .reply(page.clone());
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);

    let (double, _) = with_neighbour().await;
    double.when(on::catalog()).reply(page);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
    assert!(details(&sweep).contains("web page"), "{}", details(&sweep));
}

/// Each would be told with each of the tags, which no memory holds where there are enough of both.
#[tokio::test]
async fn many_tags_that_share_many_missing_objects_are_not_all_told() {
    let double = Double::start().await;
    let layers: Vec<_> = (0..200).map(|n| format!("layer {n}")).collect();
    let layers: Vec<_> = layers.iter().map(String::as_bytes).collect();
    let image = double.image("app", Some("t0"), &layers);
    for n in 1..600 {
        double.tag("app", &format!("t{n}"), &image.digest);
    }
    for layer in &image.layers {
        double.remove_layer_link("app", layer);
    }
    double.image("app", Some("neighbour"), &[b"another"]);
    let sweep = Probe::of(&double).concurrency(16).sweep().await;
    assert_eq!(sweep.findings.len(), 200);
    let told = sweep.findings.iter().map(|finding| finding.tags.len());
    let (all, some) = told.partition::<Vec<_>, _>(|&tags| tags == 600);
    assert_eq!((all.len(), some.len()), (83, 117));
    assert_eq!(some.iter().sum::<usize>(), 200 + 116 * 10);
    // It is said, and nothing is called intact on account of it.
    assert!(!sweep.is_complete());
    assert!(details(&sweep).contains("117 broken objects are shared by more tags"));
    assert!(
        sweep
            .findings
            .iter()
            .all(|finding| finding.nearby.sibling.is_none())
    );
}
