//! Images whose every byte is as promised, and whose config does not fit: what is found, once for all that have the
//! config, and what is told and no finding.

use std::time::{Duration, SystemTime};

use registry_double::{Double, Format, Image, on, sha256};
use registry_probe::oci::Digest;
use registry_probe::registry::Depth;
use registry_probe::report::{Mode, PlatformMismatch, Record};
use registry_probe::sweep::{Expectations, Schedule};
use serde_json::json;

use super::known_manifests::not_due;
use super::probe::{Probe, told};

/// A config for these layers on this platform.
fn config(platform: &str, layers: &[&str]) -> String {
    let (os, architecture) = platform.split_once('/').expect("two words");
    let diff_ids: Vec<_> = layers.iter().map(sha256).collect();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    json!({"os": os, "architecture": architecture, "rootfs": rootfs}).to_string()
}

/// An image of two layers with this config.
fn image(double: &Double, repository: &str, tag: Option<&str>, config: &str) -> Image {
    double.image_of(
        Format::Oci,
        repository,
        tag,
        config.to_owned().into(),
        &[b"one", b"two"],
    )
}

fn whole(platform: &str) -> String {
    config(platform, &["one", "two"])
}

const BROKEN: [&str; 2] = ["broken", "finding app tag contradiction: v1"];
const NOTICE: [&str; 2] = [
    "intact",
    "warning images whose config names another platform than their index, which may run all the same",
];

#[tokio::test]
async fn a_config_that_does_not_fit_its_manifest() {
    for depth in [Depth::Tail, Depth::Digest] {
        for config in [
            config("linux/amd64", &["one"]),
            "{}".into(),
            "no JSON".into(),
        ] {
            let double = Double::start().await;
            image(&double, "app", Some("v1"), &config);
            let sweep = Probe::of(&double).depth(depth).sweep().await;
            assert_eq!(told(&sweep), BROKEN, "{depth} {config}");
        }
    }
    let double = Double::start().await;
    image(&double, "app", Some("v1"), "{}");
    let head = Probe::of(&double).depth(Depth::Head).sweep().await;
    assert_eq!(told(&head), ["intact"], "it reads no config");
    // A cache would download it.
    let cache = Probe::of(&double).mode(Mode::PullThrough).sweep().await;
    assert_eq!(told(&cache)[0], "intact");
}

#[tokio::test]
async fn a_config_is_read_once_and_held_against_all_that_name_it() {
    let double = Double::start().await;
    let short = config("linux/amd64", &["one"]);
    let push = |tag: &str, layers: &[&[u8]]| {
        for repository in ["a", "b", "c"] {
            let format = Format::Oci;
            double.image_of(format, repository, Some(tag), short.clone().into(), layers);
        }
    };
    push("right", &[b"one"]);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let asked = on::blob().reference(&sha256(&short));
    assert_eq!(double.count(&asked.clone().get()), 1);
    assert_eq!(double.count(&asked.head()), 2);
    push("wrong", &[b"one", b"two"]);
    for concurrency in [1, 4, 16] {
        let sweep = Probe::of(&double).concurrency(concurrency).sweep().await;
        let found = ["a", "b", "c"].map(|name| format!("finding {name} tag contradiction: wrong"));
        assert_eq!(told(&sweep)[1..], found, "{concurrency}");
    }
}

#[tokio::test]
async fn a_known_contradiction_is_looked_at_again_in_every_sweep() {
    let double = Double::start().await;
    image(&double, "app", Some("v1"), "{}");
    image(&double, "app", Some("v2"), &whole("linux/amd64"));
    let mut record = Record::new(Probe::of(&double).sweep().await.registry);
    record.absorb(Probe::of(&double).sweep().await);
    // Neither a sweep to which nothing is due nor one that reads no config clears it.
    let idle = Probe::of(&double)
        .owing(not_due())
        .knowing(&record)
        .sweep()
        .await;
    assert_eq!(told(&idle), BROKEN);
    record.absorb(idle);
    let head = Probe::of(&double)
        .depth(Depth::Head)
        .knowing(&record)
        .sweep()
        .await;
    assert_eq!(told(&head), BROKEN);
    record.absorb(head);
    image(&double, "app", Some("v1"), &whole("linux/amd64"));
    let mended = Probe::of(&double)
        .owing(not_due())
        .knowing(&record)
        .sweep()
        .await;
    assert_eq!(told(&mended), ["intact"]);
}

#[tokio::test]
async fn children_in_the_place_of_others() {
    let (amd64, arm64) = (whole("linux/amd64"), whole("linux/arm64"));
    let windows = whole("windows/amd64");
    for (configs, is_broken) in [
        ([&amd64, &arm64], false),
        ([&arm64, &amd64], true),
        ([&windows, &arm64], true),
        // Built for each platform, with a config that names the builder's.
        ([&amd64, &amd64], false),
    ] {
        let double = Double::start().await;
        let children = configs.map(|config| image(&double, "app", None, config));
        let platforms = ["linux/amd64", "linux/arm64/v8"];
        let children: Vec<_> = platforms.into_iter().zip(&children).collect();
        double.index("app", Some("v1"), &children);
        let told = told(&Probe::of(&double).sweep().await);
        assert_eq!(told[0] == "broken", is_broken, "{told:?}");
        let mut found = told.iter().filter(|line| line.starts_with("finding"));
        assert!(
            found.all(|line| line == "finding app child contradiction: v1"),
            "{told:?}"
        );
    }
}

/// Whatever a sweep has time for: the configs of an index are all due in one of a day's sweeps.
#[tokio::test]
async fn children_in_the_place_of_others_are_due_together() {
    let double = Double::start().await;
    let children = ["linux/arm64", "linux/amd64"];
    let children = children.map(|platform| image(&double, "app", None, &whole(platform)));
    let platforms = ["linux/amd64", "linux/arm64"];
    let children: Vec<_> = platforms.into_iter().zip(&children).collect();
    double.index("app", Some("v1"), &children);
    let hour = Duration::from_secs(3600);
    let mut found = 0;
    for slot in 0..24 {
        let now = SystemTime::now() + hour * slot;
        let turn = Schedule::new(24 * hour, hour).turn(now, None);
        let told = told(&Probe::of(&double).owing(turn).sweep().await);
        found += u32::from(told[0] == "broken");
        // One alone is due at its own time, too, and it does not show then that another is in its place.
        assert!(
            ["intact", "broken"].contains(&&*told[0]),
            "{slot}: {told:?}"
        );
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn what_may_well_run_is_told_or_held_against_it() {
    let double = Double::start().await;
    let child = image(&double, "app", None, &whole("linux/amd64"));
    double.index("app", Some("v1"), &[("linux/arm64", &child)]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), NOTICE);
    assert_eq!(sweep.counts.platform_mismatches, 1);
    let strict = Probe::of(&double).platform_mismatch(PlatformMismatch::Fail);
    let broken = ["broken", "finding app child contradiction: v1"];
    assert_eq!(told(&strict.sweep().await), broken);
    let named = Probe::of(&double).images(&[("app", "v1")]);
    let verified = named.verify(&Expectations::default()).await;
    assert_eq!(told(&verified), NOTICE);
}

/// An index and a tag of its child, as `docker manifest create` leaves them.
#[tokio::test]
async fn a_config_has_its_turn_whichever_tag_is_read_first() {
    let hour = Duration::from_secs(3600);
    let config = whole("linux/amd64");
    let start = SystemTime::now();
    let mut slots = Vec::new();
    for [of_index, of_child] in [["v1", "v2"], ["v2", "v1"]] {
        let double = Double::start().await;
        let child = image(&double, "app", Some(of_child), &config);
        double.index("app", Some(of_index), &[("linux/amd64", &child)]);
        let asked = on::blob().reference(&sha256(&config)).get();
        let mut read = std::collections::BTreeSet::new();
        for slot in 0..24 {
            let before = double.count(&asked.clone());
            let now = start + hour * slot;
            let turn = Schedule::new(24 * hour, hour).turn(now, None);
            let probe = Probe::of(&double).concurrency(1).owing(turn);
            assert_eq!(told(&probe.sweep().await), ["intact"]);
            if double.count(&asked.clone()) > before {
                read.insert(slot);
            }
        }
        slots.push(read);
    }
    // However the order changes from sweep to sweep, it is read in one of them.
    assert!(!slots[0].is_disjoint(&slots[1]), "{slots:?}");
}

/// What is not read is not called intact. An artifact may have any config.
#[tokio::test]
async fn a_config_that_is_too_long_to_be_compared() {
    let long = whole("linux/amd64") + &" ".repeat(4 << 20);
    let double = Double::start().await;
    image(&double, "app", Some("v1"), &long);
    for depth in [Depth::Tail, Depth::Digest, Depth::Unpack] {
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified app too_large"],
            "{depth}"
        );
    }
    let head = Probe::of(&double).depth(Depth::Head).sweep().await;
    assert_eq!(told(&head), ["intact"], "it reads no config");
    let double = Double::start().await;
    let blob = double.blob("app", long);
    let wasm = "application/vnd.wasm.content.layer.v1+wasm";
    let config = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": double.descriptor(config, &blob),
        "layers": [double.descriptor(wasm, &blob)],
    });
    double.manifest_json("app", Some("v1"), &manifest);
    assert_eq!(
        told(&Probe::of(&double).sweep().await),
        ["intact", "skipped artifact 1"]
    );
}

/// Measured with containerd 1.6.20.
#[tokio::test]
async fn layers_that_are_as_promised_and_not_unpacked() {
    let archive: &[u8] = &[0; 1024];
    let like: Digest = format!("sha512:{}", "0".repeat(128))
        .parse()
        .expect("a digest");
    let by_sha512 = like.of_same_algorithm(archive).expect("known").to_string();
    for (layer, diff_id, reason) in [
        (archive, sha256(archive), None),
        // "wrong diff id calculated on extraction"
        (archive, by_sha512, Some("digest_mismatch")),
        // "reports content size of zero"
        (b"", sha256(b""), Some("unpack_failed")),
    ] {
        let double = Double::start().await;
        let rootfs = json!({"type": "layers", "diff_ids": [diff_id]});
        let config = json!({"rootfs": rootfs}).to_string();
        double.image_of(Format::Oci, "app", Some("v1"), config.into(), &[layer]);
        let sweep = Probe::of(&double).depth(Depth::Unpack).sweep().await;
        let found = told(&sweep)
            .into_iter()
            .find(|line| line.starts_with("finding"));
        let expected = reason.map(|reason| format!("finding app layer {reason}: v1"));
        assert_eq!(found, expected);
    }
}
