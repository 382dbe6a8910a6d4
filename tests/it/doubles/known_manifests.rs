//! Manifests that an earlier sweep read: asked for by HEAD where that is as good or GET counts as a pull, and
//! read again where HEAD leaves a doubt.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry_double::{Double, Population, on};
use registry_probe::registry::{Depth, ManifestMethod, Software};
use registry_probe::report::{Counts, Record, Sweep};
use registry_probe::sweep::{KnownManifests, Schedule, Turn};

use super::probe::{Probe, told};

const HOUR: Duration = Duration::from_secs(3600);

async fn registry() -> Double {
    let double = Double::start().await;
    double.populate(Population {
        repositories: 3,
        tags: 4,
        platforms: 2,
        ..Population::default()
    });
    double
}

fn objects(sweep: &Sweep) -> Counts {
    Counts {
        requests: 0,
        bytes: 0,
        ..sweep.counts
    }
}

#[tokio::test]
async fn a_second_sweep_pulls_nothing() {
    for (software, is_by_head) in [
        (Software::Distribution2, true),
        (Software::Harbor, true),
        (Software::Zot, true),
        (Software::Gitea, false),
    ] {
        let double = registry().await;
        let known = Arc::<KnownManifests>::default();
        let sweep = async || {
            let probe = Probe::of(&double).software(software);
            probe.manifests(ManifestMethod::Auto, &known).sweep().await
        };
        let first = sweep().await;
        assert_eq!(told(&first), ["intact"]);
        let pulls = double.count(&on::manifest().get());
        double.forget_requests();
        let second = sweep().await;
        assert_eq!(told(&second), ["intact"]);
        assert_eq!(objects(&second), objects(&first));
        let (again, by_head) = (
            double.count(&on::manifest().get()),
            double.count(&on::manifest().head()),
        );
        if is_by_head {
            // The same questions; what was read for one tag of each repository is not.
            assert_eq!((again, by_head), (0, 12 + pulls - 3), "{software}");
        } else {
            assert_eq!((again, by_head), (pulls, 12), "{software}");
        }
    }
}

fn probe<'a>(double: &'a Double, known: &Arc<KnownManifests>) -> Probe<'a> {
    Probe::of(double).manifests(ManifestMethod::Head, known)
}

#[tokio::test]
async fn what_head_leaves_in_doubt_is_read() {
    let known = Arc::<KnownManifests>::default();
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("app", Some("v2"), &[b"another layer"]);
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    // Another type, another length, and HEAD that is refused or fails: each is read, and whole.
    for meddle in [
        |double: &Double| {
            double
                .when(on::manifest().head())
                .set_header("Content-Type", "text/json");
        },
        |double: &Double| {
            double
                .when(on::manifest().head())
                .set_header("Content-Length", "7");
        },
        |double: &Double| double.when(on::manifest().head()).error(405, "UNSUPPORTED"),
        |double: &Double| double.when(on::manifest().head()).error(500, "UNKNOWN"),
    ] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        double.image("app", Some("v2"), &[b"another layer"]);
        meddle(&double);
        assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
        assert!(double.count(&on::manifest().get()) >= 2);
    }
    double.truncate_bytes(&image.digest, 20);
    let broken = ["broken", "finding app tag unreadable: v1"];
    assert_eq!(told(&probe(&double, &known).sweep().await), broken);
}

#[tokio::test]
async fn a_head_that_fails_for_one_manifest_is_no_reason_to_read_all() {
    let known = Arc::<KnownManifests>::default();
    let double = registry().await;
    let first = double.image("a-first-one", Some("v1"), &[b"a layer"]);
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    let head = || on::manifest().head().reference(&first.digest);
    for status in [500, 403] {
        double.when(head()).error(status, "UNKNOWN");
        double.forget_requests();
        // One at a time, so that it is the first of which HEAD is known.
        let sweep = probe(&double, &known).concurrency(1).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        assert_eq!(double.count(&on::manifest().get()), 1);
        double.forget_rules();
    }
}

#[tokio::test]
async fn what_is_gone_is_found_by_head() {
    let known = Arc::<KnownManifests>::default();
    let double = Double::start().await;
    let amd64 = double.image("app", None, &[b"one"]);
    let arm64 = double.child("linux/arm64", "app", &[b"two"]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    double.index("app", Some("v1"), &children);
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    double.remove_manifest_link("app", &arm64.digest);
    let broken = ["broken", "finding app child not_found: v1"];
    assert_eq!(told(&probe(&double, &known).sweep().await), broken);
}

/// One of a hundred slots of a day, in which the image's blobs are not due.
pub(super) fn not_due() -> Turn {
    let schedule = Schedule::new(24 * HOUR, HOUR / 4);
    let now = SystemTime::now();
    let read = schedule.turn(now, None).all_read();
    schedule.turn(now, Some(&read))
}

#[tokio::test]
async fn what_was_pushed_since_is_read_at_once() {
    let known = Arc::<KnownManifests>::default();
    let double = registry().await;
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    let image = double.image("group-00/app-0001", Some("new"), &[&vec![9; 20_000]]);
    double.forget_requests();
    let sweep = probe(&double, &known).owing(not_due()).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    // Its layer and its config.
    assert_eq!(sweep.counts.blobs_read, 2);
    assert!(sweep.counts.blobs_put_off > 10);
    assert_eq!(double.count(&on::blob().get()), 2);
    assert_eq!(
        double.count(&on::blob().get().reference(&image.layers[0])),
        1
    );
}

#[tokio::test]
async fn what_was_pushed_since_is_not_read_at_depth_head() {
    let known = Arc::<KnownManifests>::default();
    let double = registry().await;
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    double.image("group-00/app-0001", Some("new"), &[&vec![9; 20_000]]);
    double.forget_requests();
    let probe = probe(&double, &known).depth(Depth::Head);
    assert_eq!(told(&probe.sweep().await), ["intact"]);
    assert_eq!(double.count(&on::blob().get()), 0);
}

#[tokio::test]
async fn what_is_broken_in_one_repository_is_read_in_all() {
    let double = registry_double::presets::stale_descriptor_cache().await;
    let layer = vec![7; 20_000];
    let image = double.image("b", Some("v1"), &[&layer]);
    let first = Probe::of(&double).sweep().await;
    double.empty_bytes(&image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding b layer short_read: v1"]);
    let mut record = Record::new(first.registry.clone());
    record.absorb(first);
    record.absorb(sweep);
    for other in ["a", "c"] {
        double.image(other, Some("v1"), &[&layer]);
        double.empty_bytes(&image.layers[0]);
    }
    let sweep = Probe::of(&double).owing(not_due()).knowing(&record);
    let broken = ["a", "b", "c"].map(|name| format!("finding {name} layer short_read: v1"));
    assert_eq!(told(&sweep.sweep().await)[1..], broken);
}

#[tokio::test]
async fn an_outage_makes_no_later_sweep_read_anew() {
    let known = Arc::<KnownManifests>::default();
    let double = registry().await;
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    double
        .when(on::manifest().by_digest())
        .error(500, "UNKNOWN");
    assert_ne!(told(&probe(&double, &known).sweep().await), ["intact"]);
    double.forget_rules();
    double.forget_requests();
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    assert_eq!(double.count(&on::manifest().get()), 0);
}

#[tokio::test]
async fn what_an_earlier_run_found_broken_is_read_in_every_sweep() {
    let double = registry_double::presets::stale_descriptor_cache().await;
    let image = double.image("app", Some("v1"), &[&vec![7; 20_000]]);
    double.image("other", Some("v1"), &[&vec![8; 20_000]]);
    double.empty_bytes(&image.layers[0]);
    let blind = Probe::of(&double).owing(not_due()).sweep().await;
    assert_eq!(told(&blind), ["intact"], "HEAD shows nothing");
    let sweep = Probe::of(&double)
        .owing(not_due())
        .suspecting("app")
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["broken", "finding app layer short_read: v1"]);
    assert_eq!(sweep.counts.blobs_put_off, 2, "those of `other`");
}

#[tokio::test]
async fn what_could_not_be_read_is_not_cleared_by_head() {
    let known = Arc::<KnownManifests>::default();
    let double = registry().await;
    assert_eq!(told(&probe(&double, &known).sweep().await), ["intact"]);
    let image = double.image("group-00/app-0001", Some("new"), &[&vec![9; 20_000]]);
    let layer = on::blob().get().reference(&image.layers[0]);
    double.when(layer).error(403, "DENIED");
    // The first look reads it, because it was pushed; the next one knows it.
    let sweep = probe(&double, &known).owing(not_due()).sweep().await;
    let forbidden = ["unverified", "unverified group-00/app-0001 forbidden"];
    assert_eq!(told(&sweep), forbidden);
}
