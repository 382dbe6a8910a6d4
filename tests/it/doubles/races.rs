//! What changes between two looks: pushes, deletions and clean-ups are no damage, and answers that
//! contradict each other are told as such.

use std::time::Duration;

use registry_double::{Double, Image, Registry, Reply, on, presets};

use super::probe::{Probe, broken, told};

async fn with_neighbour() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("app", Some("neighbour"), &[b"another"]);
    (double, image)
}

#[tokio::test]
async fn a_tag_deleted_or_pushed_after_the_list_is_no_fault() {
    let (double, _) = presets::races().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn a_tag_that_leads_nowhere_and_is_still_listed_is_broken() {
    let (double, _) = presets::dangling_tag().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: gone"]);
    // The list was read again, and once more, before that was said.
    assert_eq!(double.count(&on::tags()), 3);
    assert!(double.count(&on::manifest().reference("gone")) >= 3);
}

#[tokio::test]
async fn an_image_replaced_between_the_looks_is_no_fault() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let negative = on::blob().get().reference(&image.layers[0]);
    double.when(negative.first(1)).then(|registry, _| {
        registry.image("app", Some("v1"), &[b"the next version"]);
    });
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn an_image_deleted_between_the_looks_is_no_fault() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let negative = on::blob().get().reference(&image.layers[0]);
    double
        .when(negative.first(1))
        .then(|registry, _| registry.remove_tag("app", "v1"));
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn a_push_that_completes_between_the_looks_is_no_fault() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let negative = on::blob().get().reference(&image.layers[0]);
    double.when(negative.first(1)).then(|registry, _| {
        registry.blob("app", &b"a layer"[..]);
    });
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn only_the_tags_that_still_name_it_are_told() {
    let (double, image) = with_neighbour().await;
    double.tag("app", "moving", &image.digest);
    double.remove_layer_link("app", &image.layers[0]);
    let negative = on::blob().get().reference(&image.layers[0]);
    double.when(negative.first(1)).then(|registry, _| {
        registry.image("app", Some("moving"), &[b"the next version"]);
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
}

#[tokio::test]
async fn a_clean_up_between_the_looks_that_leaves_the_tag_is_damage() {
    let (double, image) = with_neighbour().await;
    let arm64 = double.image("app", None, &[b"for another platform"]);
    double.index(
        "app",
        Some("multi"),
        &[("linux/amd64", &image), ("linux/arm64", &arm64)],
    );
    double.remove_manifest_link("app", &arm64.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app child not_found: multi"]
    );
    assert_eq!(broken(&sweep), [arm64.digest]);
    assert_eq!(sweep.findings[0].platforms, ["linux/arm64"]);
}

#[tokio::test]
async fn the_second_look_waits_and_comes_on_a_new_connection() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let wait = Duration::from_millis(400);
    let sweep = Probe::of(&double).confirm_after(wait).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
    let looks = double.seen(&on::blob().get().reference(&image.layers[0]));
    assert!(looks.len() >= 2);
    let (first, last) = (&looks[0], &looks[looks.len() - 1]);
    assert!(last.at - first.at >= wait, "{:?}", last.at - first.at);
    let before: Vec<_> = double
        .requests()
        .iter()
        .filter(|seen| seen.at <= first.at)
        .map(|seen| seen.request.connection)
        .collect();
    assert!(!before.contains(&last.request.connection));
}

#[tokio::test]
async fn everything_is_asked_again_before_it_is_said() {
    let (double, image) = with_neighbour().await;
    double.index("app", Some("multi"), &[("linux/amd64", &image)]);
    double.remove_tag("app", "v1");
    double.remove_manifest_link("app", &image.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app child not_found: multi"]
    );
    // The tag and the child; and that the registry answers at all.
    assert!(double.count(&on::manifest().head().reference("multi")) >= 2);
    assert!(double.count(&on::manifest().get().reference(&image.digest)) >= 2);
}

/// Replicas, of which every other one lacks this object.
fn every_other_one_lacks(registry: &Registry, digest: &str) {
    registry
        .when(on::any().get().reference(digest).alternate())
        .error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn replicas_that_disagree_about_a_child_are_told() {
    let (double, _) = with_neighbour().await;
    let child = double.image("app", None, &[b"on one replica"]);
    double.index("app", Some("multi"), &[("linux/amd64", &child)]);
    every_other_one_lacks(&double, &child.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app child inconsistent: multi"]
    );
    assert_eq!(broken(&sweep), [child.digest]);
}

#[tokio::test]
async fn replicas_that_disagree_about_a_layer_are_told() {
    let (double, image) = with_neighbour().await;
    every_other_one_lacks(&double, &image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer inconsistent: v1"]
    );
}

#[tokio::test]
async fn a_tag_that_one_of_two_replicas_has_can_be_pulled() {
    let (double, _) = with_neighbour().await;
    double
        .when(on::manifest().reference("v1").alternate())
        .reply(Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    // The 404 to HEAD is held against a GET, which the other replica answers.
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}
