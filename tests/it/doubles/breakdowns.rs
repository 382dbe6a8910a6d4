//! Networks that break down between two looks: what was seen before and after tells nothing of any
//! object. Each of these was a false alarm, or a false all-clear, that the campaign of faults found.

use registry_double::{Double, Image, Registry, on};

use super::probe::{DEADLINE, Probe, details, skip_waits, told};
use crate::PATIENCE;

async fn with_neighbour() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("app", Some("neighbour"), &[b"another"]);
    (double, image)
}

/// From now on, manifests come with other bytes than their digests say.
fn alter_manifests(registry: &Registry) {
    let manifests = registry.when(on::manifest().get());
    manifests.edit(|_, reply| reply.with_body("{\"altered\": true}"));
}

#[tokio::test]
async fn a_network_that_cuts_everything_from_the_second_look_on() {
    let (double, image) = with_neighbour().await;
    let layer = on::blob().get().reference(&image.layers[0]);
    // The first look asks twice, for a cut may happen, by a range and without; the next look finds the
    // layer whole.
    double.when(layer.clone().first(4)).cut_after(0);
    double.when(layer.nth(5)).then(|registry, _| {
        registry.when(on::any().get()).cut_after(0);
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app connect"]);
}

#[tokio::test]
async fn a_network_that_alters_even_what_was_intact_a_moment_ago() {
    let (double, image) = with_neighbour().await;
    double.remove_layer_link("app", &image.layers[0]);
    let negative = on::blob().get().reference(&image.layers[0]);
    double
        .when(negative.nth(1))
        .then(|registry, _| alter_manifests(registry));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app connect"]);
    assert!(details(&sweep).contains("cut or altered"));
}

#[tokio::test]
async fn what_a_manifest_leads_to_that_came_altered_at_first() {
    // With one tag in the repository, which is the one that is asked for by GET.
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("other", Some("neighbour"), &[b"another"]);
    double.remove_layer_link("app", &image.layers[0]);
    let first = on::manifest().get().reference("v1").first(1);
    let altered = double.when(first);
    altered.edit(|_, reply| reply.with_body("{\"altered\": true}"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
}

#[tokio::test]
async fn a_registry_that_cuts_its_greeting_as_it_cuts_all_else() {
    let (double, _) = with_neighbour().await;
    double.when(on::manifest().get()).cut_after(10);
    double.when(on::ping().after(1)).cut_after(0);
    let sweep = Probe::of(&double).images(&[("app", "v1")]).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app connect"]);
}

#[tokio::test]
async fn a_list_that_was_under_way_at_the_deadline() {
    let (double, _) = with_neighbour().await;
    double.when(on::tags()).delay(PATIENCE * 10);
    double.when(on::tags()).then(skip_waits);
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app deadline"]);
    assert_eq!(sweep.repositories[0].unverified, 1);
}
