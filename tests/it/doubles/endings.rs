//! Sweeps that end early: partial, honest about it, and without a verdict that was not confirmed.

use std::time::Duration;

use registry_double::{Double, Population, Registry, on};
use registry_probe::report::{Listed, Sweep};
use tokio_util::sync::CancellationToken;

use super::probe::{DEADLINE, Probe, skip_waits, told};
use crate::PATIENCE;

/// Many times the requests that are made before the end, with damage that is met at once.
async fn large() -> Double {
    let double = Double::start().await;
    let broken = double.image("a-first", Some("v1"), &[b"a layer"]);
    double.populate(Population {
        repositories: 20,
        tags: 5,
        ..Population::default()
    });
    double.remove_layer_link("a-first", &broken.layers[0]);
    double
}

fn assert_partial(sweep: &Sweep, reason: &str) {
    let told = told(sweep);
    assert_eq!(told[0], "unverified");
    assert!(sweep.findings.is_empty(), "one look is none: {told:?}");
    assert!(!sweep.is_complete());
    let unverified = told[1..].iter().filter(|line| line.starts_with("why"));
    assert!(
        unverified.clone().all(|line| line.ends_with(reason)),
        "{told:?}"
    );
    assert!(
        told.contains(&format!("unverified a-first {reason}")),
        "the suspicion that was left: {told:?}"
    );
    assert_eq!(sweep.counts.repositories.listed, 21);
    assert!(sweep.counts.repositories.checked < 21);
    assert_eq!(sweep.repositories.len(), 21, "every one has its line");
}

#[tokio::test]
async fn a_deadline_in_the_middle() {
    let double = large().await;
    double.when(on::any().after(60)).delay(PATIENCE * 10);
    double.when(on::any().nth(61)).then(skip_waits);
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert_partial(&sweep, "deadline");
}

#[tokio::test]
async fn an_order_to_stop_in_the_middle() {
    let double = large().await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let at = on::any().after(60);
    double.when(at).then(move |_, _| stop.cancel());
    let sweep = Probe::of(&double).cancelled_by(&cancel).sweep().await;
    assert_partial(&sweep, "cancelled");
    let asked = double.requests().len();
    assert!(asked < 80, "{asked}");
}

#[tokio::test]
async fn an_order_to_stop_before_the_second_look() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.remove_layer_link("app", &image.layers[0]);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    double
        .when(on::blob().get().reference(&image.layers[0]))
        .then(move |_, _| stop.cancel());
    let sweep = Probe::of(&double)
        .confirm_after(PATIENCE)
        .cancelled_by(&cancel)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["unverified", "unverified app cancelled"]);
}

#[tokio::test]
async fn an_order_to_stop_before_anything_was_seen() {
    let double = Double::start().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let sweep = Probe::of(&double).cancelled_by(&cancel).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - cancelled"]);
    assert!(matches!(sweep.listed, Listed::Failed(_)));
    assert_eq!(double.requests().len(), 0);
}

#[tokio::test]
async fn a_deadline_in_the_catalog() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.when(on::catalog()).delay(PATIENCE * 10);
    double.when(on::catalog()).then(skip_waits);
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - deadline"]);
    assert!(matches!(sweep.listed, Listed::Failed(_)));
}

#[tokio::test]
async fn before_a_deadline_the_second_look_comes_early() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.remove_layer_link("app", &image.layers[0]);
    let probe = Probe::of(&double)
        .confirm_after(PATIENCE * 10)
        .deadline(DEADLINE);
    // The wait for the second look is skipped, and nothing after it.
    let (progress, registry) = (probe.progress(), Registry::clone(&double));
    tokio::spawn(async move {
        while progress.wait().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let next = registry.when(on::any().nth(1));
        next.then(|_, _| tokio::time::resume());
        tokio::time::pause();
    });
    let sweep = probe.sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
}

#[tokio::test]
async fn a_deadline_during_the_second_look() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.remove_layer_link("app", &image.layers[0]);
    let second = on::blob().get().reference(&image.layers[0]);
    double.when(second.clone().after(1)).delay(PATIENCE * 10);
    double.when(second.nth(2)).then(skip_waits);
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app deadline"]);
}

#[tokio::test]
async fn a_catalog_that_breaks_off_is_swept_as_far_as_it_goes() {
    let double = Double::start().await;
    for name in ["a", "b", "c", "d"] {
        double.image(name, Some("v1"), &[b"a layer"]);
    }
    let broken = double.image("a", Some("v2"), &[b"a lost layer"]);
    double.remove_layer_link("a", &broken.layers[0]);
    double.quirks(|quirks| {
        quirks.catalog.max = Some(2);
        quirks.catalog.over_max = registry_double::OverMax::Clamp;
    });
    double.when(on::catalog().after(1)).error(403, "DENIED");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "broken",
            "finding a layer not_found: v2",
            "unverified - forbidden"
        ]
    );
    assert_eq!(sweep.counts.repositories.checked, 2);
    assert!(!sweep.is_complete());
}
