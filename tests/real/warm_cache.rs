//! What a warm blob-descriptor cache hides: HEAD answers 200 with the right length, and the bytes are gone.

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::images::{Content, Image, Layer};
use crate::support::nginx::Nginx;
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;

const REPOSITORY: &str = "warm/app";

/// A registry whose cache knows every blob of an image, and the digests of the three layers that then lose
/// their file, all its bytes, and half of them.
fn warmed_and_damaged() -> (Registry, [String; 3]) {
    let mut registry = Registry::start();
    let layers = ["removed", "emptied", "halved", "whole"].map(Layer::gzip);
    let image: Content = Image::of("warm", "amd64", &layers).into();
    skopeo::push(&registry, &image, &format!("{REPOSITORY}:latest"));
    registry.restart();
    assert_intact(&Probe::once().depth("tail").arg(registry.host()).run());

    let [removed, emptied, halved, _] = layers.map(|layer| layer.blob.digest);
    let store = registry.store();
    store.remove_data(&removed);
    store.empty_data(&emptied);
    store.halve_data(&halved);
    (registry, [removed, emptied, halved])
}

/// One finding for each layer, with these reasons.
fn findings(digests: &[String; 3], reasons: [&str; 3]) -> Vec<Finding> {
    let pairs = digests.iter().zip(reasons);
    pairs
        .map(|(digest, what)| Finding::new(REPOSITORY, what, Some(digest), &["latest"]))
        .collect()
}

#[test]
fn heads_see_nothing_and_the_last_byte_sees_all_three() {
    let (registry, digests) = warmed_and_damaged();
    // The limit of `head`, stated so that nobody takes it for more.
    assert_intact(&Probe::once().depth("head").arg(registry.host()).run());
    let short = findings(&digests, ["layer/short_read"; 3]);
    assert_broken(
        &Probe::once().depth("tail").arg(registry.host()).run(),
        &short,
    );
    assert_broken(
        &Probe::once().depth("digest").arg(registry.host()).run(),
        &short,
    );
}

#[test]
fn after_a_restart_heads_see_what_was_hidden() {
    let (mut registry, digests) = warmed_and_damaged();
    registry.restart();
    let reasons = [
        "layer/not_found",
        "layer/size_mismatch",
        "layer/size_mismatch",
    ];
    let expected = findings(&digests, reasons);
    assert_broken(
        &Probe::once().depth("head").arg(registry.host()).run(),
        &expected,
    );
}

#[test]
fn a_child_that_the_registry_has_is_not_missed() {
    let mut registry = Registry::start();
    let content = Content::index("unlinked child");
    skopeo::push(&registry, &content, &format!("{REPOSITORY}:latest"));
    let child = &content.images()[1].manifest.digest;
    let sweep = |registry: &Registry| Probe::once().depth("digest").arg(registry.host()).run();
    assert_intact(&sweep(&registry));
    registry.store().remove_revision_link(REPOSITORY, child);

    let path = format!("/v2/{REPOSITORY}/manifests/{child}");
    let expected = Finding::new(REPOSITORY, "child/not_found", Some(child), &["latest"]);
    let expected = [expected];
    match registry.client().get(&path).status {
        404 => _ = assert_broken(&sweep(&registry), &expected),
        // Distribution 3 has it in its cache, and whoever pulls the child gets it: a limit of any look by HTTP.
        200 => _ = assert_intact(&sweep(&registry)),
        status => panic!("{path} answers {status}"),
    }
    registry.restart();
    assert_broken(&sweep(&registry), &expected);
}

#[test]
fn a_proxy_in_front_does_not_turn_a_short_read_into_an_outage() {
    let (registry, digests) = warmed_and_damaged();
    let front = Nginx::plain(&registry, "");
    let short = findings(&digests, ["layer/short_read"; 3]);
    assert_broken(&Probe::once().depth("tail").arg(front.host()).run(), &short);
}

#[test]
fn http2_in_front_does_not_turn_a_short_read_into_an_outage() {
    let (registry, digests) = warmed_and_damaged();
    let front = Nginx::tls(&registry);
    let short = findings(&digests, ["layer/short_read"; 3]);
    let probe = Probe::once().arg("--ca-file").arg(front.authority());
    assert_broken(&probe.depth("tail").arg(front.url()).run(), &short);
}
