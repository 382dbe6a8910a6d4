//! Everything odd that a walk through manifests can meet.

use registry_double::{Double, media_type as t, on, presets, sha256};
use registry_probe::report::Mode;
use serde_json::{Value, json};

use super::probe::{Probe, broken, told};

/// What a sweep of one tag of the zoo says.
async fn visit(tag: &str, mode: Mode) -> Vec<String> {
    let zoo = presets::zoo().await;
    let sweep = Probe::of(&zoo.double).tags(tag).mode(mode).sweep().await;
    let mut told = told(&sweep);
    told.retain(|line| !line.starts_with("skipped tag_filter"));
    told
}

#[tokio::test]
async fn what_is_odd_and_whole_is_intact() {
    for tag in [
        "nested",
        "twice",
        "untyped",
        "untyped-image",
        "subject",
        "sha512",
        "artifact",
        "schema1",
    ] {
        assert_eq!(visit(tag, Mode::Private).await, ["intact"], "{tag}");
    }
    let promises_nothing = ["intact", "warning indexes that promise nothing"];
    assert_eq!(visit("empty", Mode::Private).await, promises_nothing);
}

#[tokio::test]
async fn what_is_left_out_on_purpose_is_counted() {
    let inline = ["intact", "skipped inline_data 1", "skipped artifact 1"];
    assert_eq!(visit("inline", Mode::Private).await, inline);
    let foreign = ["intact", "skipped foreign_layer 1"];
    assert_eq!(visit("foreign", Mode::Private).await, foreign);
}

#[tokio::test]
async fn a_missing_child_is_broken_unless_the_copy_is_sparse() {
    for tag in ["sparse", "attested"] {
        let finding = format!("finding zoo child not_found: {tag}");
        assert_eq!(
            visit(tag, Mode::Private).await,
            ["broken", finding.as_str()]
        );
        assert_eq!(visit(tag, Mode::Mirror).await, ["intact", "absent 1"]);
    }
}

#[tokio::test]
async fn the_whole_zoo_at_once() {
    let zoo = presets::zoo().await;
    let sweep = Probe::of(&zoo.double).sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "broken",
            "finding zoo child not_found: attested",
            "finding zoo child not_found: sparse",
            "skipped foreign_layer 1",
            "skipped inline_data 1",
            "skipped artifact 1",
            "warning indexes that promise nothing",
        ]
    );
    assert!(broken(&sweep).contains(&zoo.absent));
    // The same child under many parents, asked for once in each look.
    let shared = on::manifest().get().reference(&zoo.image.digest);
    assert!(zoo.double.count(&shared) <= 3 + 1);
}

#[tokio::test]
async fn a_present_child_of_a_sparse_copy_must_be_whole() {
    let zoo = presets::zoo().await;
    zoo.double.remove_layer_link("zoo", &zoo.image.layers[1]);
    let sweep = Probe::of(&zoo.double)
        .tags("sparse")
        .mode(Mode::Mirror)
        .sweep()
        .await;
    assert_eq!(
        told(&sweep)[..3],
        ["broken", "finding zoo layer not_found: sparse", "absent 1"]
    );
}

#[tokio::test]
async fn an_index_none_of_whose_children_is_there_is_no_sparse_copy() {
    let double = Double::start().await;
    let amd64 = double.image("app", None, &[b"one"]);
    let arm64 = double.image("app", None, &[b"two"]);
    double.index(
        "app",
        Some("v1"),
        &[("linux/amd64", &amd64), ("linux/arm64", &arm64)],
    );
    double.remove_manifest_link("app", &amd64.digest);
    double.remove_manifest_link("app", &arm64.digest);
    let sweep = Probe::of(&double).mode(Mode::Mirror).sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "broken",
            "finding app child not_found: v1",
            "finding app child not_found: v1"
        ]
    );
}

fn image(registry: &Double, config: &str, layers: &[(&str, i64)]) -> Value {
    let mut config = registry.descriptor(t::OCI_CONFIG, config);
    config["mediaType"] = json!("application/vnd.example.config.v1+json");
    let layers: Vec<_> = layers
        .iter()
        .map(|(digest, more)| {
            let mut layer = registry.descriptor(t::OCI_LAYER, digest);
            layer["size"] = json!(layer["size"].as_i64().expect("a size") + more);
            layer
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": t::OCI_MANIFEST, "config": config, "layers": layers})
}

#[tokio::test]
async fn one_blob_under_many_names_is_looked_at_once() {
    let double = Double::start().await;
    let blob = double.blob("app", &b"config and layer in one"[..]);
    let manifest = image(&double, &blob, &[(&blob, 0), (&blob, 0), (&blob, 0)]);
    double.manifest_json("app", Some("v1"), &manifest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped artifact 1"]);
    assert_eq!(sweep.counts.blobs, 1);
    assert_eq!(double.count(&on::blob()), 1);
}

#[tokio::test]
async fn a_blob_that_is_missing_under_many_names_is_one_finding() {
    let double = Double::start().await;
    let blob = double.blob("app", &b"config and layer in one"[..]);
    let manifest = image(&double, &blob, &[(&blob, 0), (&blob, 0)]);
    double.manifest_json("app", Some("v1"), &manifest);
    double.remove_bytes(&blob);
    let sweep = Probe::of(&double).sweep().await;
    let missing = "finding app config not_found: v1";
    assert_eq!(told(&sweep), ["broken", missing, "skipped artifact 1"]);
}

#[tokio::test]
async fn of_two_promised_sizes_only_the_wrong_one_is_broken() {
    let long = vec![b'x'; 100_000];
    for more in [-1, 1, -70_000] {
        // Whichever of the two is met first.
        for (right, wrong) in [("a", "b"), ("b", "a")] {
            let double = Double::start().await;
            let config = double.blob("app", &b"{}"[..]);
            let layer = double.blob("app", long.clone());
            let honest = image(&double, &config, &[(&layer, 0)]);
            let liar = image(&double, &config, &[(&layer, more)]);
            double.manifest_json("app", Some(right), &honest);
            double.manifest_json("app", Some(wrong), &liar);
            let sweep = Probe::of(&double).concurrency(1).sweep().await;
            let finding = format!("finding app layer size_mismatch: {wrong}");
            assert_eq!(
                told(&sweep),
                ["broken", finding.as_str(), "skipped artifact 2"],
                "{more} and the right one is {right}"
            );
        }
    }
}

#[tokio::test]
async fn a_build_cache_is_an_index_of_blobs() {
    let double = Double::start().await;
    let layers = [&b"one cached layer"[..], &b"another"[..]];
    let mut entries: Vec<_> = layers
        .iter()
        .map(|bytes| {
            let digest = double.blob("cache", bytes.to_vec());
            double.descriptor(t::OCI_LAYER, &digest)
        })
        .collect();
    let config = double.blob("cache", &br#"{"layers":[],"records":[]}"#[..]);
    entries.push(double.descriptor("application/vnd.buildkit.cacheconfig.v0", &config));
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": entries});
    double.manifest_json("cache", Some("buildcache"), &index);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.blobs, 3);
    // The index itself, and no child of it.
    assert_eq!(double.count(&on::manifest().by_digest()), 1);

    double.remove_layer_link("cache", &config);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding cache layer not_found: buildcache"]
    );
}

/// An image or artifact by its config's type, with the config inline as `data`, and stored or not.
async fn with_inline_config(media_type: &str, data: &str, is_stored: bool) -> Vec<String> {
    let double = Double::start().await;
    let layer = double.blob("app", &b"a layer"[..]);
    if is_stored {
        double.blob("app", &br#"{"os":"linux"}"#[..]);
    }
    let mut manifest = image(&double, &layer, &[]);
    manifest["config"] = json!({
        "mediaType": media_type, "digest": sha256(r#"{"os":"linux"}"#), "size": 14, "data": data,
    });
    double.manifest_json("app", Some("v1"), &manifest);
    told(&Probe::of(&double).sweep().await)
}

#[tokio::test]
async fn what_an_image_carries_inline_has_to_be_there_as_a_blob() {
    let data = "eyJvcyI6ImxpbnV4In0=";
    let gone = ["broken", "finding app config not_found: v1"];
    assert_eq!(with_inline_config(t::OCI_CONFIG, data, false).await, gone);
    assert_eq!(
        with_inline_config(t::DOCKER_CONFIG, data, false).await,
        gone
    );
    assert_eq!(
        with_inline_config(t::OCI_CONFIG, data, true).await,
        ["intact"]
    );
    let skipped = ["intact", "skipped inline_data 1", "skipped artifact 1"];
    assert_eq!(
        with_inline_config("application/x", data, false).await,
        skipped
    );
}

#[tokio::test]
async fn inline_data_is_held_against_its_digest() {
    // Other data than the digest says is none: the blob decides, for artifacts as for images.
    for (media_type, counted) in [
        ("application/x", Some("skipped artifact 1")),
        (t::OCI_CONFIG, None),
    ] {
        let other = "e30K";
        let gone = ["broken", "finding app config not_found: v1"];
        let gone: Vec<_> = gone.into_iter().chain(counted).collect();
        assert_eq!(with_inline_config(media_type, other, false).await, gone);
        let intact: Vec<_> = ["intact"].into_iter().chain(counted).collect();
        assert_eq!(with_inline_config(media_type, other, true).await, intact);
        let refused = ["broken", "finding app tag invalid_manifest: v1"];
        assert_eq!(
            with_inline_config(media_type, "no base 64!", true).await,
            refused
        );
    }
}

#[tokio::test]
async fn nesting_has_an_end() {
    let double = Double::start().await;
    let image = double.image("app", None, &[b"a layer"]);
    let mut inner = image.descriptor("linux/amd64");
    for _ in 0..12 {
        let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [inner]});
        let digest = double.manifest_json("app", None, &index);
        inner = double.descriptor(t::OCI_INDEX, &digest);
    }
    let outermost = inner["digest"].as_str().expect("a digest").to_owned();
    double.tag("app", "v1", &outermost);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app too_large"]);
    assert!(double.count(&on::manifest().get()) < 12);
}

#[tokio::test]
async fn unknown_types_and_algorithms_are_told_and_not_judged() {
    let double = Double::start().await;
    double.manifest(
        "app",
        Some("opaque"),
        "application/vnd.example.unheard.of.v1+json",
        r#"{"mediaType":"application/vnd.example.unheard.of.v1+json","things":[]}"#,
    );
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "intact",
            "skipped unknown_media_type 1",
            "warning documents of a type that no client knows"
        ]
    );
    assert_eq!(sweep.counts.manifests, 1);
}
