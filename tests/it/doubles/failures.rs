//! Fives: one object that fails while its neighbours answer is broken; a registry that fails is
//! down, and nothing is said of its objects.

use registry_double::{Double, Image, Registry, Reply, on, presets};
use registry_probe::report::Listed;

use super::probe::{Probe, broken, details, told};

/// Lets the pauses after a 503 be short.
fn impatient(registry: &Registry) {
    let anything = on::any().before_auth();
    registry.when(anything).edit(|_, reply| match reply.status {
        429 | 503 => reply.with_header("Retry-After", "0"),
        _ => reply,
    });
}

async fn with_neighbour() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("app", Some("neighbour"), &[b"another"]);
    (double, image)
}

#[tokio::test]
async fn one_object_that_fails_beside_others_is_unreadable() {
    let (double, _) = presets::empty_link().await;
    double.image("app", Some("neighbour"), &[b"another"]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag unreadable: v1"]);
    let (double, image) = with_neighbour().await;
    double.empty_layer_link("app", &image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer unreadable: v1"]);

    let (double, _) = with_neighbour().await;
    double.empty_tag_link("app", "v1");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag unreadable: v1"]);
}

#[tokio::test]
async fn a_truncated_manifest_is_told_with_the_tags_that_suffer() {
    let (double, _) = with_neighbour().await;
    let child = double.image("app", None, &[b"of one platform"]);
    double.index("app", Some("multi"), &[("linux/s390x", &child)]);
    double.truncate_bytes(&child.digest, 100);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app child unreadable: multi"]
    );
    assert_eq!(broken(&sweep), [child.digest]);
    assert_eq!(sweep.findings[0].platforms, ["linux/s390x"]);
}

#[tokio::test]
async fn a_schema_that_a_registry_no_longer_serves_is_unreadable() {
    let double = presets::distribution3().await;
    double.image("app", Some("neighbour"), &[b"another"]);
    double.manifest(
        "app",
        Some("old"),
        registry_double::media_type::DOCKER_SCHEMA1,
        r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#,
    );
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag unreadable: old"]);
}

#[tokio::test]
async fn a_500_that_passes_is_nothing() {
    let (double, _) = with_neighbour().await;
    double
        .when(on::any().first(1).per_path())
        .error(500, "UNKNOWN");
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn an_only_object_that_fails_may_be_the_registrys_fault() {
    let (double, _) = presets::empty_link().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app registry_error"]
    );
}

#[tokio::test]
async fn a_registry_that_fails_on_everything_has_no_broken_object() {
    let each = [500, 502, 504].map(|status| async move {
        let (double, _) = with_neighbour().await;
        double.when(on::manifest()).error(status, "UNKNOWN");
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified app registry_error"],
            "{status}"
        );
    });
    futures::future::join_all(each).await;
    let (double, _) = with_neighbour().await;
    double.when(on::any()).error(500, "UNKNOWN");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - registry_error"]);
    assert!(matches!(sweep.listed, Listed::Failed(_)));
}

#[tokio::test]
async fn failing_on_every_blob_is_trouble_with_the_storage() {
    let double = Double::start().await;
    for n in 0..5 {
        let layer = format!("layer {n}");
        double.image("app", Some(&format!("v{n}")), &[layer.as_bytes()]);
    }
    double.when(on::blob()).error(500, "UNKNOWN");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app registry_error"]
    );
}

#[tokio::test]
async fn a_503_speaks_of_the_service_and_not_of_the_object() {
    let (double, image) = with_neighbour().await;
    impatient(&double);
    double
        .when(on::blob().reference(&image.layers[0]))
        .error(503, "UNAVAILABLE");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app registry_error"]
    );
}

#[tokio::test]
async fn an_outage_ends_the_sweep_without_a_verdict_on_any_object() {
    let each = [1, 3, 5, 7, 9].map(|after| async move {
        let (double, image) = presets::outage_after(after).await;
        impatient(&double);
        double.remove_layer_link("app", &image.layers[0]);
        let sweep = Probe::of(&double).sweep().await;
        assert!(sweep.findings.is_empty(), "{after}: {:?}", told(&sweep));
        assert!(!sweep.is_complete(), "{after}: {:?}", told(&sweep));
        let reasons = sweep.unverified.iter().map(|group| group.why.reason);
        assert!(
            reasons
                .clone()
                .all(|reason| reason.word() == "registry_error"),
            "{after}: {:?}",
            told(&sweep)
        );
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn an_outage_before_the_second_look_takes_the_first_back() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let outage = (*double).clone();
    let negative = on::blob().get().reference(&image.layers[0]);
    double.when(negative.first(1)).then(move |_, _| {
        impatient(&outage);
        outage
            .when(on::any().before_auth())
            .error(503, "UNAVAILABLE");
    });
    let sweep = Probe::of(&double).sweep().await;
    assert!(sweep.findings.is_empty(), "{:?}", told(&sweep));
    assert!(told(&sweep).contains(&"unverified app registry_error".to_owned()));
}

#[tokio::test]
async fn a_large_registry_that_goes_down_is_left_alone_soon() {
    let double = Double::start().await;
    double.populate(registry_double::Population {
        repositories: 40,
        tags: 5,
        ..Default::default()
    });
    impatient(&double);
    double
        .when(on::any().after(200).before_auth())
        .error(503, "UNAVAILABLE");
    let sweep = Probe::of(&double).sweep().await;
    assert!(sweep.findings.is_empty(), "{:?}", told(&sweep));
    assert_eq!(sweep.verdict().word(), "unverified");
    // Whole sweeps of it cost more than a thousand.
    let asked = double.requests().len();
    assert!(asked < 200 + 150, "{asked} requests");
}

#[tokio::test]
async fn a_front_proxy_that_lost_its_registry_is_no_registry() {
    let (double, _) = presets::front_proxy_down().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - registry_error"]);
    assert!(details(&sweep).contains("502"), "{}", details(&sweep));
}

#[tokio::test]
async fn a_front_proxy_that_loses_its_registry_midway_is_an_outage() {
    let (double, _) = with_neighbour().await;
    let page = Reply::html(502, "502 Bad Gateway");
    double.when(on::any().after(4).before_auth()).reply(page);
    let sweep = Probe::of(&double).sweep().await;
    assert!(sweep.findings.is_empty(), "{:?}", told(&sweep));
    assert_eq!(
        told(&sweep)[..2],
        ["unverified", "unverified app registry_error"]
    );
}

#[tokio::test]
async fn a_login_page_is_no_registry() {
    let (double, _) = presets::login_page().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
    assert!(details(&sweep).contains("web page"), "{}", details(&sweep));
    assert_eq!(double.requests().len(), 1);
}
