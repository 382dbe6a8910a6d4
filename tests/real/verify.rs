//! `probe verify IMAGE`: the step behind a push.

use crate::support::assertions::{assert_broken, assert_intact, assert_unverified};
use crate::support::images::{Content, Image};
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;

/// An intact image and one that lost the manifest of its arm64 child.
fn registry() -> (Registry, Content) {
    let mut registry = Registry::start();
    skopeo::push(&registry, &Content::index("good"), "app:good");
    let bad = Content::index("bad");
    skopeo::push(&registry, &bad, "app:bad");
    let child = &bad.images()[1].manifest.digest;
    registry.store().remove_revision_link("app", child);
    registry.restart();
    (registry, bad)
}

#[test]
fn an_intact_image_exits_0_whatever_else_is_broken() {
    let (registry, _) = registry();
    let image = registry.host().replace("127.0.0.1", "localhost") + "/app:good";
    let mark = registry.mark();
    let report = assert_intact(&Probe::verify().arg(&image).run());
    assert_eq!(report.count("tags/checked"), 1);
    let entries = registry.requests_since(mark);
    let listings = ["_catalog", "/tags/list"];
    let lists = |path: &str| listings.iter().any(|listing| path.contains(listing));
    assert!(
        !entries.iter().any(|entry| lists(&entry.path)),
        "it lists nothing: {entries:#?}"
    );

    let outcome = Probe::verify_in_text().arg(&image).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(
        outcome.stdout.contains("app:good"),
        "the image is named: {outcome}"
    );
}

#[test]
fn a_broken_image_exits_1_and_names_the_child() {
    let (registry, bad) = registry();
    let image = format!("{}/app:bad", registry.host());
    let child = &bad.images()[1].manifest.digest;
    let expected = [Finding::new(
        "app",
        "child/not_found",
        Some(child),
        &["bad"],
    )];
    let outcome = Probe::verify().arg(&image).run();
    let report = assert_broken(&outcome, &expected);
    let finding = &report.raw_findings()[0];
    assert_eq!(finding["platforms"][0], "linux/arm64", "{outcome}");
    assert_eq!(
        finding["parent"],
        bad.manifest().digest.as_str(),
        "{outcome}"
    );

    let outcome = Probe::verify_in_text().arg(&image).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(
        outcome.stdout.contains("linux/arm64"),
        "the platform is named: {outcome}"
    );
}

#[test]
fn several_images_are_one_answer() {
    let (registry, bad) = registry();
    let name = |tag: &str| format!("{}/app:{tag}", registry.host());
    let child = &bad.images()[1].manifest.digest;
    let expected = [Finding::new(
        "app",
        "child/not_found",
        Some(child),
        &["bad"],
    )];
    let outcome = Probe::verify().arg(name("good")).arg(name("bad")).run();
    let report = assert_broken(&outcome, &expected);
    assert_eq!(report.count("tags/checked"), 2, "{outcome}");
}

#[test]
fn an_image_by_digest_is_checked_like_any_other() {
    let (registry, bad) = registry();
    let child = &bad.images()[0].manifest.digest;
    let image = |digest: &str| format!("{}/app@{digest}", registry.host());
    assert_intact(&Probe::verify().arg(image(child)).run());

    let absent = &bad.images()[1].manifest.digest;
    let expected = [Finding::new("app", "manifest/not_found", Some(absent), &[])];
    assert_broken(&Probe::verify().arg(image(absent)).run(), &expected);
}

#[test]
fn a_tag_that_is_not_there_exits_1() {
    let (registry, _) = registry();
    let expected = [Finding::new("app", "tag/not_found", None, &["absent"])];
    let image = format!("{}/app:absent", registry.host());
    assert_broken(&Probe::verify().arg(image).run(), &expected);
}

#[test]
fn a_layer_with_a_flipped_bit_is_found_at_full_depth() {
    let mut registry = Registry::start();
    let image = Image::new("flipped", "amd64");
    let layer = image.layers[0].digest.clone();
    skopeo::push(&registry, &image.into(), "app:flipped");
    registry.store().flip_one_bit(&layer);
    registry.restart();
    let name = format!("{}/app:flipped", registry.host());
    assert_intact(&Probe::verify().arg(&name).run());
    let expected = [Finding::new(
        "app",
        "layer/digest_mismatch",
        Some(&layer),
        &["flipped"],
    )];
    assert_broken(&Probe::verify().depth("digest").arg(&name).run(), &expected);
}

#[test]
fn a_stopped_registry_exits_3() {
    let (mut registry, _) = registry();
    registry.stop();
    let image = format!("{}/app:good", registry.host());
    assert_unverified(&Probe::verify().arg(image).run());
}
