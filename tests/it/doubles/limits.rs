//! What a sweep cannot see, or not to its end, is never taken for intact, broken or cleared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use registry_double::{Bearer, Double, Reply, media_type as t, on};
use registry_probe::oci::Repository;
use registry_probe::registry::{Depth, UnverifiedReason};
use registry_probe::report::{Mode, Record, Shard, Sweep};
use registry_probe::sweep::Expectations;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::probe::{DEADLINE, Probe, details, told};

/// An image whose manifest has so many bytes, and some more.
fn padded(double: &Double, tag: &str, bytes: usize) {
    let config = double.blob("app", &b"{}"[..]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": t::OCI_MANIFEST,
        "config": double.descriptor(t::OCI_CONFIG, &config),
        "layers": [],
        "annotations": {"x": "y".repeat(bytes)},
    });
    double.manifest_json("app", Some(tag), &manifest);
}

/// More than is read of any manifest.
const LARGE: usize = 17 << 20;

const TOO_LARGE: [&str; 2] = ["unverified", "unverified app too_large"];

#[tokio::test]
async fn what_is_too_large_stays_unverified_in_every_look() {
    let double = Double::start().await;
    padded(&double, "big", LARGE);
    let image = double.image("app", Some("ok"), &[b"a layer"]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), TOO_LARGE);
    assert_eq!(sweep.counts.tags.checked, 1);
    let blip = on::blob().reference(&image.layers[0]).first(2);
    double.when(blip).error(404, "BLOB_UNKNOWN");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), TOO_LARGE);
    assert_eq!(
        (sweep.counts.tags.listed, sweep.counts.tags.checked),
        (2, 1)
    );
}

#[tokio::test]
async fn a_manifest_too_large_does_not_clear_a_known_failure() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.remove_bytes(&image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    padded(&double, "v1", LARGE);
    let sweep = Probe::of(&double).knowing(&record).sweep().await;
    assert_eq!(told(&sweep), TOO_LARGE);
    record.absorb(sweep);
    assert_eq!(record.failures(), 1);
}

#[tokio::test]
async fn what_no_client_gets_by_digest_is_broken() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    let by_digest = on::manifest().reference(&image.digest);
    double.when(by_digest).error(404, "MANIFEST_UNKNOWN");
    let broken = ["broken", "finding app tag not_found: v1"];
    assert_eq!(told(&Probe::of(&double).sweep().await), broken);
    let probe = Probe::of(&double).images(&[("app", "v1")]);
    let sweep = probe.verify(&Expectations::default()).await;
    assert_eq!(told(&sweep), broken);
}

#[tokio::test]
async fn a_filter_that_takes_nothing_takes_nothing_in_any_shard() {
    let double = Double::start().await;
    for number in 0..12 {
        double.image(&format!("team/r{number}"), Some("v1"), &[b"a layer"]);
    }
    for index in 0..3 {
        let shard = Shard::new(index, 3).expect("a shard");
        let probe = || Probe::of(&double).shard(shard);
        for probe in [probe().matching("tema/*"), probe().tags("no-such*")] {
            let said = told(&probe.sweep().await);
            assert_eq!(said[..2], ["unverified", "unverified - nothing_listed"]);
        }
        assert_eq!(told(&probe().sweep().await), ["intact"]);
    }
}

#[tokio::test]
async fn a_cut_off_end_makes_no_finding_of_what_it_would_show() {
    let page = Reply::html(404, "404 page not found");
    for (reply, reason) in [
        (page, UnverifiedReason::Cancelled),
        (
            Reply::error(500, "UNKNOWN", "no"),
            UnverifiedReason::RegistryError,
        ),
    ] {
        let double = Double::start().await;
        double.image("a", Some("v1"), &[b"of the first"]);
        double.image("b", Some("v1"), &[b"of the second"]);
        let cancel = CancellationToken::new();
        let tag = on::manifest().get().by_tag().repository("b");
        let stop = cancel.clone();
        double.when(on::blob().repository("a")).reply(reply.clone());
        double.when(on::blob().repository("b")).reply(reply);
        // The last look at the second one, when the first is done.
        double.when(tag.after(2)).then(move |_, _| stop.cancel());
        let probe = Probe::of(&double).concurrency(1).cancelled_by(&cancel);
        let sweep = probe.sweep().await;
        assert!(cancel.is_cancelled());
        assert_eq!(sweep.findings, [], "{}", details(&sweep));
        let reasons = sweep.unverified.iter().map(|group| group.why.reason);
        assert!(
            reasons.into_iter().any(|it| it == reason),
            "{}",
            details(&sweep)
        );
    }
}

fn arm64() -> Expectations {
    Expectations {
        platforms: vec!["linux/arm64".parse().expect("a platform")],
        ..Expectations::default()
    }
}

async fn observed(double: &Double) -> String {
    let probe = Probe::of(double).images(&[("app", "v1")]);
    let sweep = probe.verify(&arm64()).await;
    assert_eq!(sweep.findings, []);
    let unmet = sweep.unmet.first().expect("something is unmet");
    unmet.observed.to_string()
}

#[tokio::test]
async fn a_platform_is_expected_of_every_kind_of_image() {
    let double = Double::start().await;
    let layer = double.blob("app", &b"a layer"[..]);
    let schema1 = json!({
        "schemaVersion": 1,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": layer}],
        "history": [{"v1Compatibility": "{}"}],
    });
    let bytes = schema1.to_string();
    double.manifest("app", Some("v1"), t::DOCKER_SCHEMA1, bytes);
    assert_eq!(observed(&double).await, "it states no platform");

    let double = Double::start().await;
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": t::OCI_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": registry_double::sha256(b"{}"),
            "size": 2,
            "data": "e30=",
        },
        "layers": [],
    });
    double.manifest_json("app", Some("v1"), &artifact);
    assert_eq!(observed(&double).await, "it states no platform");
}

#[tokio::test]
async fn a_platform_that_cannot_be_read_is_neither_there_nor_missing() {
    let double = Double::start().await;
    let image = double.image("app", None, &[b"a layer"]);
    let child: Value = double.descriptor(t::OCI_MANIFEST, &image.digest);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    let config = on::blob().reference(&image.config);
    double.when(config).error(403, "DENIED");
    let probe = Probe::of(&double).images(&[("app", "v1")]);
    let sweep = probe.verify(&arm64()).await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
    assert_eq!(sweep.unmet, []);
}

#[tokio::test]
async fn to_read_platforms_ends_when_it_is_told_to() {
    let double = Double::start().await;
    let children: Vec<_> = (0..20_u8)
        .map(|number| {
            let image = double.image("app", None, &[&[number; 8]]);
            double.descriptor(t::OCI_MANIFEST, &image.digest)
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": children});
    double.manifest_json("app", Some("v1"), &index);
    // The sweep reads each config once; what comes after that is about platforms.
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let after = on::blob().get().after(42);
    double.when(after).then(move |_, _| stop.cancel());
    let images = [("app", "v1")];
    let probe = Probe::of(&double).images(&images).cancelled_by(&cancel);
    let sweep = probe.verify(&arm64()).await;
    assert!(cancel.is_cancelled());
    assert_eq!(told(&sweep), ["unverified", "unverified - cancelled"]);
    assert!(double.count(&on::blob().get()) < 60);
}

#[tokio::test]
async fn a_size_that_is_another_each_time_is_asked_for_a_few_times() {
    let double = Double::start().await;
    let digest = double.blob("app", vec![7; 20_000]);
    for (tag, size) in [("v1", 30_000), ("v2", 40_000)] {
        let config = double.blob("app", &b"{}"[..]);
        let mut layer = double.descriptor(t::OCI_LAYER, &digest);
        layer["size"] = json!(size);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": t::OCI_MANIFEST,
            "config": double.descriptor(t::OCI_CONFIG, &config),
            "layers": [layer],
        });
        double.manifest_json("app", Some(tag), &manifest);
    }
    let layer = || on::blob().head().reference(&digest);
    for (rule, size) in [(layer(), "30000"), (layer().alternate(), "40000")] {
        double.when(rule).set_header("Content-Length", size);
    }
    let probe = Probe::of(&double).depth(Depth::Head).deadline(DEADLINE);
    let sweep = probe.sweep().await;
    assert_ne!(told(&sweep)[0], "intact");
    assert!(
        double.count(&on::any()) < 100,
        "{}",
        double.count(&on::any())
    );
}

#[tokio::test]
async fn a_repository_that_is_gone_in_harbors_words_is_forgotten() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let gone = double.image("gone", Some("v1"), &[b"another layer"]);
    double.remove_bytes(&gone.layers[0]);
    let name: Repository = "gone".parse().expect("a name");
    let sweep = Probe::of(&double).sweep().await;
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    assert_eq!(record.failures(), 1);
    let all = Reply::json(200, &json!({"repositories": ["app", "gone"]}));
    let rest = Reply::json(200, &json!({"repositories": ["app"]}));
    // While the catalog names it, that says nothing.
    for (catalog, is_known) in [(&all, true), (&all, true), (&rest, true), (&rest, false)] {
        double.forget_rules();
        double
            .when(on::any().repository("gone"))
            .error(404, "NOT_FOUND");
        double.when(on::catalog()).reply(catalog.clone());
        let sweep: Sweep = Probe::of(&double).knowing(&record).sweep().await;
        record.absorb(sweep);
        assert_eq!(record.repositories.contains_key(&name), is_known);
    }
    let last = record.last_complete.expect("the last sweep was complete");
    assert!(last <= SystemTime::now() + Duration::from_secs(1));
}

#[tokio::test]
async fn a_sweep_of_lists_clears_no_wrong_bytes() {
    let double = Double::start().await;
    let altered = double.image("app", Some("v1"), &[b"a layer"]);
    double.flip_bit(&altered.layers[0], 3);
    let lost = double.image("app", Some("v2"), &[b"another layer"]);
    double.remove_bytes(&lost.layers[0]);
    let probe = || Probe::of(&double).depth(Depth::Digest);
    let sweep = probe().sweep().await;
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    assert_eq!(record.failures(), 2);
    // A cache lacks what it has not been asked for; it does not alter it.
    let cache = probe().mode(Mode::PullThrough).knowing(&record);
    record.absorb(cache.sweep().await);
    assert_eq!(record.failures(), 1);
}

#[tokio::test]
async fn a_named_image_that_has_no_child_is_not_intact_in_any_mode() {
    let double = Double::start().await;
    let layers = ["of the first", "of another"];
    let children = layers.map(|layer| double.image("app", None, &[layer.as_bytes()]));
    let platforms = ["linux/amd64", "linux/arm64"];
    let images: Vec<_> = platforms.into_iter().zip(&children).collect();
    double.index("app", Some("v1"), &images);
    for child in &children {
        double.remove_manifest_link("app", &child.digest);
    }
    let named = || Probe::of(&double).images(&[("app", "v1")]);
    let cache = named().mode(Mode::PullThrough);
    let sweep = cache.verify(&Expectations::default()).await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app registry_error"]
    );
    let mirror = named().mode(Mode::Mirror);
    let sweep = mirror.verify(&Expectations::default()).await;
    assert_eq!(told(&sweep)[0], "broken");
}

#[tokio::test]
async fn a_list_that_one_replica_lacks_is_not_an_empty_one() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.remove_bytes(&image.layers[0]);
    double.when(on::tags().first(1)).error(404, "NAME_UNKNOWN");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
}

#[tokio::test]
async fn a_manifest_that_many_clients_refuse_to_read_is_told() {
    let double = Double::start().await;
    padded(&double, "v1", 5 << 20);
    let said = told(&Probe::of(&double).sweep().await);
    assert_eq!(said[0], "intact");
    assert!(said[1].starts_with("warning manifests of more than 4 MiB"));
}

#[tokio::test]
async fn a_head_that_is_refused_takes_no_token_of_its_own() {
    let double = Double::start().await;
    for tag in ["v1", "v2", "v3", "v4"] {
        double.image("app", Some(tag), &[tag.as_bytes()]);
    }
    double.require(Bearer::user_only("user", "secret"));
    // A service that issues the same to the same question.
    let issued = Arc::<Mutex<BTreeMap<String, Reply>>>::default();
    double.when(on::token()).edit(move |request, reply| {
        let mut issued = issued.lock().expect("nobody panics with it");
        let question = request.query.clone();
        issued.entry(question).or_insert(reply).clone()
    });
    let intact = || Probe::of(&double).login("user", "secret").sweep();
    assert_eq!(told(&intact().await), ["intact"]);
    let usual = double.count(&on::token());
    double.forget_requests();
    double.when(on::manifest().head()).reply(Reply::status(403));
    double.when(on::blob().head()).reply(Reply::status(403));
    assert_eq!(told(&intact().await), ["intact"]);
    let renewed = double.count(&on::token());
    assert!(renewed <= 2 * usual, "{renewed} of {usual}");
}
