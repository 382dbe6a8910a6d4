//! Pull-through caches: where looking downloads, and "not found" may mean "not now".

use registry_double::{Double, Image, on, presets};
use registry_probe::report::{Mode, Verdict};

use super::probe::{Probe, details, told};

/// A cache in front of `app:multi`, an index of two images, and of what it holds: one layer.
async fn distribution() -> (Double, Image) {
    with_content(presets::distribution_proxy(100_000_000).await)
}

fn with_content(double: Double) -> (Double, Image) {
    let amd64 = double.image("app", None, &[b"for one platform", &vec![b'x'; 50_000]]);
    let arm64 = double.image("app", None, &[b"for another"]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    double.index("app", Some("multi"), &children);
    double.image("app", Some("v1"), &[b"a plain one"]);
    double.upstream(|cache| cache.hold("app", &amd64.layers[0]));
    (double, arm64)
}

#[tokio::test]
async fn a_cache_is_not_asked_for_blobs() {
    for double in [
        presets::distribution_proxy(100_000_000).await,
        presets::harbor_proxy().await,
    ] {
        let (double, _) = with_content(double);
        let sweep = Probe::of(&double).mode(Mode::PullThrough).sweep().await;
        assert_eq!(told(&sweep), ["intact", "skipped pull_through 2"]);
        assert_eq!(double.count(&on::manifest()), 0, "it would be stored");
        assert_eq!(double.count(&on::blob()), 0);
        assert_eq!(double.downloads(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn images_that_are_named_are_looked_at_and_still_no_blob() {
    let (double, _) = distribution().await;
    let sweep = Probe::of(&double)
        .mode(Mode::PullThrough)
        .images(&[("app", "multi"), ("app", "v1")])
        .sweep()
        .await;
    // Two layers and a config, twice one layer and a config.
    assert_eq!(told(&sweep), ["intact", "skipped pull_through 7"]);
    assert_eq!((sweep.counts.indexes, sweep.counts.manifests), (1, 3));
    assert_eq!(double.count(&on::blob()), 0);
}

#[tokio::test]
async fn a_child_that_a_cache_lacks_is_counted_and_not_broken() {
    let (double, arm64) = distribution().await;
    double.upstream(|cache| cache.hold("app", &arm64.digest));
    double.remove_manifest_link("app", &arm64.digest);
    let sweep = Probe::of(&double)
        .mode(Mode::PullThrough)
        .images(&[("app", "multi")])
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        ["intact", "absent 1", "skipped pull_through 3"]
    );
}

#[tokio::test]
async fn a_500_by_digest_may_be_a_404_upstream() {
    let (double, arm64) = distribution().await;
    double.remove_manifest_link("app", &arm64.digest);
    let sweep = Probe::of(&double)
        .mode(Mode::PullThrough)
        .images(&[("app", "multi")])
        .sweep()
        .await;
    assert_eq!(
        told(&sweep)[..2],
        ["unverified", "unverified app registry_error"]
    );
    assert!(sweep.findings.is_empty());
}

#[tokio::test]
async fn a_tag_that_is_404_may_be_a_429_upstream() {
    let (double, _) = distribution().await;
    double.upstream(|cache| cache.upstream_fails = true);
    let sweep = Probe::of(&double)
        .mode(Mode::PullThrough)
        .images(&[("app", "multi"), ("app", "v1")])
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app registry_error"]
    );
    assert!(
        double
            .seen(&on::manifest())
            .iter()
            .any(|seen| seen.status == 404)
    );
}

#[tokio::test]
async fn a_list_that_shrinks_with_its_upstream_is_no_loss() {
    let (double, _) = distribution().await;
    double.upstream(|cache| cache.upstream_fails = true);
    let sweep = Probe::of(&double).mode(Mode::PullThrough).sweep().await;
    assert_eq!(told(&sweep)[0], "intact");
    assert!(sweep.findings.is_empty(), "{:?}", told(&sweep));
}

#[tokio::test]
async fn a_mirror_has_its_blobs_looked_at() {
    let double = Double::start().await;
    let amd64 = double.image("app", None, &[b"copied"]);
    let arm64 = double.image("app", None, &[b"left out"]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    double.index("app", Some("v1"), &children);
    double.remove_manifest_link("app", &arm64.digest);
    let sweep = Probe::of(&double).mode(Mode::Mirror).sweep().await;
    assert_eq!(told(&sweep), ["intact", "absent 1"]);
    assert_eq!(sweep.counts.blobs, 2);

    double.remove_bytes(&amd64.layers[0]);
    let sweep = Probe::of(&double).mode(Mode::Mirror).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer not_found: v1", "absent 1"]
    );
    // The mode is about children of indexes; what a tag names must be there.
    double.remove_tag_link("app", "v1");
    let sweep = Probe::of(&double).mode(Mode::Mirror).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: v1"]);
}

#[tokio::test]
async fn an_undeclared_cache_is_recognised_after_three_blobs() {
    let double = presets::distribution_proxy(100_000_000).await;
    for n in 0..10 {
        let layer = format!("layer {n}");
        double.image("app", Some(&format!("v{n}")), &[layer.as_bytes()]);
    }
    double.upstream(|cache| cache.hold("app", "something"));
    let sweep = Probe::of(&double).sweep().await;
    assert!(sweep.findings.is_empty(), "{:?}", told(&sweep));
    let mut blobs: Vec<_> = double
        .seen(&on::blob())
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    blobs.sort_unstable();
    blobs.dedup();
    assert!(blobs.len() <= 3, "{} blobs", blobs.len());
    let says_so = |warning: &String| warning.contains("pull-through");
    assert!(sweep.warnings.iter().any(says_so), "{:?}", sweep.warnings);
}

#[tokio::test]
async fn no_healthy_registry_is_mistaken_for_a_cache() {
    for double in [
        presets::distribution28().await,
        presets::distribution31().await,
        presets::object_storage().await,
        presets::gitea().await,
        presets::zot().await,
    ] {
        for n in 0..4 {
            let layer = format!("layer {n}");
            double.image("app", Some(&format!("v{n}")), &[layer.as_bytes()]);
        }
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(sweep.verdict(), Verdict::Intact, "{:?}", told(&sweep));
        assert_eq!(sweep.counts.blobs, 8);
        assert!(sweep.warnings.is_empty(), "{:?}", sweep.warnings);
    }
}

#[tokio::test]
async fn what_a_zot_has_not_stored_is_not_asked_for() {
    let double = presets::zot().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    let absent = format!("sha256:{}", "0".repeat(64));
    let named = |reference: &str| Probe::of(&double).images(&[("app", reference)]);
    for reference in ["v2", &absent] {
        let sweep = named(reference).sweep().await;
        assert_eq!(sweep.verdict(), Verdict::Unverified, "{:?}", told(&sweep));
        assert!(
            details(&sweep).contains("is not stored here"),
            "{}",
            details(&sweep)
        );
    }
    assert_eq!(double.count(&on::manifest()), 0, "it may be fetched");
    for reference in ["v1", &image.digest] {
        let sweep = named(reference).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{}", details(&sweep));
    }
    // Whoever says what it is has it asked.
    let sweep = named("v2").of_a_known_kind().sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: v2"]);
}

#[tokio::test]
async fn what_a_zot_has_stored_is_judged_beside_what_it_has_not() {
    let double = presets::zot().await;
    let broken = double.image("app", Some("v1"), &[b"a layer"]);
    let latest = double.image("app", Some("latest"), &[b"another layer"]);
    double.remove_bytes(&broken.layers[0]);
    let absent = format!("sha256:{}", "0".repeat(64));
    let images = [
        ("app", "gone"),
        ("app", "v1"),
        ("app", &absent),
        ("app", &latest.digest),
        // What is kept of lists otherwise is no matter here.
        ("app", "latest"),
        ("base", "v1"),
    ];
    let probe = Probe::of(&double).tags("v*").at_most(1, 1);
    let sweep = probe.images(&images).sweep().await;
    let expected = [
        "broken",
        "finding app layer not_found: v1",
        "unverified app protocol",
        "unverified base protocol",
    ];
    assert_eq!(told(&sweep), expected, "{}", details(&sweep));
    for name in ["app", "base"] {
        let lists = double.count(&on::tags().repository(name));
        assert_eq!(lists, 1, "one list for all images of {name}");
    }
    for reference in ["gone", &absent] {
        let asked = double.count(&on::manifest().reference(reference));
        assert_eq!(asked, 0, "{reference} may be fetched");
    }
}

/// One that cannot be told does not let the others be asked for.
#[tokio::test]
async fn what_a_zot_fails_on_says_nothing_of_the_rest() {
    let double = presets::zot().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let [odd, absent] = ["1", "2"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    double.when(on::blob().reference(&odd)).error(403, "DENIED");
    let images = [("app", &*odd), ("app", &*absent)];
    Probe::of(&double).images(&images).sweep().await;
    assert_eq!(double.count(&on::manifest().reference(&absent)), 0);
}
