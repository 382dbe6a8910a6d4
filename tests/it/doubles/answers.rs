//! Odd answers: what passes for a whole object and is none, and what clients take though it looks odd.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use registry_double::{
    DescriptorCache, Double, Endpoint, Image, Ranges, Reply, Request, media_type, on,
};
use registry_probe::registry::Depth;
use serde_json::json;

use super::probe::{Probe, broken, told};

const INTACT: [&str; 1] = ["intact"];
const SHORT: [&str; 2] = ["broken", "finding app layer short_read: v1"];
const SIZE: [&str; 2] = ["broken", "finding app layer size_mismatch: v1"];
const NO_BYTES: &str =
    "warning manifests with a config or layer of 0 bytes, which containerd refuses";

/// Longer than what is read whole, or of what no end can be read.
fn long() -> Vec<u8> {
    (0..=250_u8).cycle().take(300_000).collect()
}

/// A healthy `app:v1` with one short layer and one of 300,000 bytes.
async fn healthy() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a short layer", &long()]);
    (double, image)
}

/// In chunks that end after so many bytes, without the last one.
fn cut_chunks(bytes: usize) -> impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static {
    move |_, reply| reply.without_header("Content-Length").cut_after(bytes)
}

#[tokio::test]
async fn chunks_that_end_without_the_last_one_are_a_cut_body() {
    for depth in [Depth::Tail, Depth::Digest] {
        let (double, image) = healthy().await;
        let whole = on::blob().get().without_header("range");
        let layer = whole.clone().reference(&image.layers[1]);
        double.when(layer.clone()).edit(cut_chunks(100_000));
        // A range is worth what it shows: the last byte is there.
        let expected: &[&str] = if depth == Depth::Digest {
            &SHORT
        } else {
            &INTACT
        };
        assert_eq!(
            told(&Probe::of(&double).depth(depth).sweep().await),
            expected
        );
        double
            .when(on::blob().header("range"))
            .error(400, "UNSUPPORTED");
        assert_eq!(told(&Probe::of(&double).depth(depth).sweep().await), SHORT);

        let (double, image) = healthy().await;
        let config = on::blob().get().reference(&image.config);
        double.when(config).edit(cut_chunks(10));
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(
            told(&sweep),
            ["broken", "finding app config short_read: v1"]
        );

        let (double, _) = healthy().await;
        double.when(on::manifest().get()).edit(cut_chunks(100));
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["broken", "finding app tag short_read: v1"]);

        let (double, _) = healthy().await;
        double.when(on::any().get()).drop_header("Content-Length");
        assert_eq!(told(&Probe::of(&double).depth(depth).sweep().await), INTACT);
    }
}

#[tokio::test]
async fn chunks_that_bring_every_byte_and_no_end_are_cut() {
    let (double, image) = healthy().await;
    let layer = on::blob().get().reference(&image.layers[1]);
    double.when(layer).edit(cut_chunks(300_000));
    let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer short_read: v1"]);
}

#[tokio::test]
async fn json_in_place_of_a_manifest_is_no_manifest() {
    for body in [
        json!({}),
        json!({"errors": [{"code": "UNKNOWN", "message": "unknown error"}]}),
        json!({"message": "upstream request timeout"}),
    ] {
        for media_type in [
            "application/json",
            media_type::OCI_MANIFEST,
            media_type::OCI_INDEX,
        ] {
            let (double, _) = healthy().await;
            let reply = Reply::json(200, &body).with_header("Content-Type", media_type);
            double.when(on::manifest()).reply(reply);
            let sweep = Probe::of(&double).sweep().await;
            let expected = ["broken", "finding app tag invalid_manifest: v1"];
            assert_eq!(told(&sweep), expected, "{body} {media_type}");
        }
    }
}

#[tokio::test]
async fn a_manifest_without_a_digest_that_is_cut_at_changing_places() {
    let (double, _) = healthy().await;
    double
        .when(on::manifest())
        .drop_header("Docker-Content-Digest");
    let answers = AtomicUsize::new(0);
    double.when(on::manifest().get()).edit(move |_, reply| {
        let place = 11 + answers.fetch_add(1, Ordering::Relaxed) * 7;
        let end = place % reply.body.len();
        reply.cut_after(end)
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag short_read: v1"]);
}

#[tokio::test]
async fn what_ignores_ranges_shows_at_least_that_bytes_come() {
    let (double, image) = healthy().await;
    double.quirks(|quirks| quirks.ranges = Ranges::Ignored);
    let skipped = ["intact", "skipped range_unsupported 1"];
    assert_eq!(told(&Probe::of(&double).sweep().await), skipped);
    // As it is promised, whatever is left of it.
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
    double.empty_bytes(&image.layers[1]);
    assert_eq!(told(&Probe::of(&double).sweep().await), SHORT);

    let double_of = |reply: Reply| async move {
        let (double, image) = healthy().await;
        double
            .when(on::blob().get().reference(&image.layers[1]))
            .reply(reply);
        told(&Probe::of(&double).sweep().await)
    };
    let chunked = |reply: Reply| reply.without_header("Content-Length");
    assert_eq!(double_of(chunked(Reply::status(200))).await, SIZE);
    let json = Reply::json(200, &json!({"message": "no healthy upstream"}));
    assert_eq!(double_of(json.clone()).await, SIZE);
    assert_eq!(double_of(chunked(json)).await, SIZE);
    let in_the_way = ["unverified", "unverified app protocol"];
    assert_eq!(double_of(Reply::html(200, "Sign in")).await, in_the_way);
    assert_eq!(
        double_of(chunked(Reply::html(200, "Sign in"))).await,
        in_the_way
    );
}

#[tokio::test]
async fn a_layer_that_is_promised_to_be_empty_and_is_not() {
    for depth in [Depth::Head, Depth::Tail, Depth::Digest] {
        let (double, _) = healthy().await;
        let image = double.image("app", Some("v1"), &[b"its only layer"]);
        let mut layer = double.descriptor(media_type::OCI_LAYER, &image.layers[0]);
        layer["size"] = json!(0);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": double.descriptor(media_type::OCI_CONFIG, &image.config), "layers": [layer],
        });
        double.manifest_json("app", Some("v1"), &manifest);
        double.when(on::blob().head()).drop_header("Content-Length");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), [SIZE[0], SIZE[1], NO_BYTES], "{depth}");
    }
}

#[tokio::test]
async fn a_head_that_fails_is_asked_again_by_get() {
    for status in [500, 502] {
        let (double, _) = healthy().await;
        for tag in ["v2", "v3", "v4"] {
            double.image("app", Some(tag), &[tag.as_bytes()]);
        }
        double.when(on::any().head()).error(status, "UNKNOWN");
        // It is given up: three tries for the first tag, and for the first blob where HEAD would be enough.
        for (depth, tries) in [(Depth::Tail, 3), (Depth::Head, 6)] {
            double.forget_requests();
            let probe = Probe::of(&double).depth(depth).concurrency(1);
            assert_eq!(told(&probe.sweep().await), INTACT, "{status}");
            assert_eq!(double.count(&on::any().head()), tries, "{status} {depth}");
        }
    }
    // HEAD of one object fails, and not that of others.
    let (double, image) = healthy().await;
    double.image("app", Some("v2"), &[&long()]);
    let layer = on::blob().reference(&image.layers[0]);
    double.when(layer.clone().head()).error(500, "UNKNOWN");
    assert_eq!(told(&Probe::of(&double).sweep().await), INTACT);
    double.when(layer.get()).error(500, "UNKNOWN");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer unreadable: v1"]);
}

type Edit = dyn Fn(Reply) -> Reply + Send + Sync;

/// What a registry may answer to a range of what it serves whole.
fn refusals() -> Vec<(&'static str, Box<Edit>)> {
    let status = |status: u16| move |_| Reply::error(status, "UNSUPPORTED", "no ranges");
    let other = |range: &'static str| move |reply: Reply| reply.with_header("Content-Range", range);
    vec![
        (
            "416",
            Box::new(|_| Reply::status(416).with_header("Content-Range", "bytes */1000")),
        ),
        ("400", Box::new(status(400))),
        ("403", Box::new(status(403))),
        ("404", Box::new(status(404))),
        ("500", Box::new(status(500))),
        ("502", Box::new(status(502))),
        (
            "200 with the part",
            Box::new(|mut reply| {
                reply.status = 200;
                reply
            }),
        ),
        (
            "another total",
            Box::new(other("bytes 299999-299999/300001")),
        ),
        ("another part", Box::new(other("bytes 0-0/300000"))),
        (
            "no Content-Range",
            Box::new(|reply| reply.without_header("Content-Range")),
        ),
        ("no byte", Box::new(|reply| reply.with_body(""))),
    ]
}

#[tokio::test]
async fn a_range_that_is_refused_says_nothing_of_the_blob() {
    let each = refusals().into_iter().map(|(name, refuse)| async move {
        let (double, image) = healthy().await;
        let ranged = on::blob().header("range");
        double.when(ranged).edit(move |_, reply| refuse(reply));
        assert_eq!(told(&Probe::of(&double).sweep().await), INTACT, "{name}");
        // And hides nothing of it.
        double.flip_bit(&image.layers[0], 3);
        let sweep = Probe::of(&double).sweep().await;
        let expected = ["broken", "finding app layer digest_mismatch: v1"];
        assert_eq!(told(&sweep), expected, "{name}");
        assert_eq!(broken(&sweep), [image.layers[0].clone()], "{name}");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_registry_that_refuses_ranges_is_asked_without_them() {
    for status in [400, 416] {
        let double = Double::start().await;
        let layers: Vec<_> = (0..4_u8).map(|n| vec![n; 300_000]).collect();
        let layers: Vec<_> = layers.iter().map(Vec::as_slice).collect();
        let image = double.image("app", Some("v1"), &layers);
        let ranged = on::blob().header("range");
        double.when(ranged.clone()).error(status, "UNSUPPORTED");
        // One that is small enough to be read whole, or the first large one, shows it.
        for _ in 0..2 {
            double.forget_requests();
            let sweep = Probe::of(&double).concurrency(1).sweep().await;
            let skipped = told(&sweep);
            assert!(skipped[0] == "intact" && skipped.len() == 2, "{skipped:?}");
            assert!(
                ["skipped range_unsupported 3", "skipped range_unsupported 4"]
                    .contains(&&*skipped[1])
            );
            assert_eq!(double.count(&ranged), 1, "it is tried anew in each sweep");
        }
        // Emptied, though HEAD has it as it was.
        double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
        double.empty_bytes(&image.layers[2]);
        let sweep = Probe::of(&double).concurrency(1).sweep().await;
        assert_eq!(told(&sweep)[..2], SHORT);
    }
}

#[tokio::test]
async fn one_odd_blob_does_not_end_the_ranges_of_others() {
    let (double, image) = healthy().await;
    let other = double.image("app", Some("v2"), &[&vec![7; 200_000]]);
    let odd = on::blob().header("range").reference(&image.layers[0]);
    double.when(odd).error(416, "UNSUPPORTED");
    // The others were read by ranges before, or are afterwards.
    for _ in 0..3 {
        assert_eq!(
            told(&Probe::of(&double).concurrency(1).sweep().await)
                .first()
                .map(String::as_str),
            Some("intact")
        );
    }
    double.truncate_bytes(&other.layers[0], 100);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep)[..2],
        ["broken", "finding app layer size_mismatch: v2"]
    );
}

#[tokio::test]
async fn other_bytes_of_another_length_than_head_states_are_read() {
    let other = || Reply::text(200, "other bytes");
    for bytes in [long(), b"short".to_vec()] {
        let double = Double::start().await;
        let layer = double.blob("app", bytes);
        // It promises a digest, and no length.
        let schema1 = json!({
            "schemaVersion": 1, "name": "app", "tag": "v1", "architecture": "amd64",
            "fsLayers": [{"blobSum": layer}], "history": [{"v1Compatibility": "{}"}],
        });
        double.manifest(
            "app",
            Some("v1"),
            media_type::DOCKER_SCHEMA1,
            schema1.to_string(),
        );
        double.when(on::blob().get()).reply(other());
        for depth in [Depth::Tail, Depth::Digest] {
            let sweep = Probe::of(&double).depth(depth).sweep().await;
            let expected = ["broken", "finding app layer digest_mismatch: v1"];
            assert_eq!(told(&sweep), expected, "{depth}");
        }
    }
}

#[tokio::test]
async fn blobs_of_no_promised_length_where_head_is_refused() {
    let double = Double::start().await;
    let layer = double.blob("app", long());
    let schema1 = json!({
        "schemaVersion": 1, "name": "app", "tag": "v1", "architecture": "amd64",
        "fsLayers": [{"blobSum": layer}], "history": [{"v1Compatibility": "{}"}],
    });
    let digest = double.manifest(
        "app",
        Some("v1"),
        media_type::DOCKER_SCHEMA1,
        schema1.to_string(),
    );
    double.when(on::blob().head()).error(403, "DENIED");
    let started = ["intact", "skipped range_unsupported 1"];
    assert_eq!(told(&Probe::of(&double).sweep().await), started);
    let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
    assert_eq!(told(&sweep), INTACT);
    double.flip_bit(&layer, 250_000);
    let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer digest_mismatch: v1"]
    );
    double.flip_bit(&digest, 150);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app tag digest_mismatch: v1"]
    );

    for depth in [Depth::Head, Depth::Tail, Depth::Digest] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b""]);
        double.quirks(|quirks| quirks.ranges = Ranges::HonouredByOldGo);
        double.when(on::blob().head()).error(405, "UNSUPPORTED");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["intact", NO_BYTES], "{depth}");
    }
}

/// What is asked for whole or in part, lists aside.
fn objects() -> on::Matcher {
    let is_object =
        |request: &Request| matches!(request.endpoint, Endpoint::Manifest | Endpoint::Blob);
    on::any().get().matching(is_object)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[tokio::test]
async fn what_comes_compressed_is_what_it_holds_or_what_it_is() {
    for depth in [Depth::Tail, Depth::Digest] {
        // A front that compresses whatever it may.
        let (double, image) = healthy().await;
        double.when(objects()).edit(|_, reply| {
            let body = compressed(&reply.body);
            reply
                .with_body(body)
                .with_header("Content-Encoding", "gzip")
        });
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), INTACT, "{depth}");
        double.flip_bit(&image.layers[1], 150_000);
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        let expected = ["broken", "finding app layer digest_mismatch: v1"];
        assert_eq!(told(&sweep), expected, "{depth}");

        // One that says so of what it leaves as it is.
        let (double, _) = healthy().await;
        double
            .when(objects())
            .set_header("Content-Encoding", "gzip");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), INTACT, "{depth}");
        // Layers are compressed themselves, mostly.
        let double = Double::start().await;
        double.image(
            "app",
            Some("v1"),
            &[&compressed(b"a layer"), &compressed(&long())],
        );
        double
            .when(on::blob().get())
            .set_header("Content-Encoding", "gzip");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), INTACT, "{depth}");
    }
}

#[tokio::test]
async fn a_few_bytes_that_hold_many_are_not_unpacked_to_the_end() {
    let (double, image) = healthy().await;
    let bomb = compressed(&vec![0; 200 << 20]);
    double
        .when(on::blob().get().reference(&image.layers[1]))
        .edit(move |_, reply| {
            reply
                .with_body(bomb.clone())
                .with_header("Content-Encoding", "gzip")
        });
    let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
    assert_eq!(sweep.verdict().word(), "broken");
}

#[tokio::test]
async fn types_that_are_not_in_our_list_are_accepted_all_the_same() {
    let double = Double::start().await;
    let own = "application/vnd.example.image.v1+json";
    let image = double.image("app", None, &[b"a layer"]);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": own,
        "config": double.descriptor(media_type::OCI_CONFIG, &image.config),
        "layers": [double.descriptor(media_type::OCI_LAYER, &image.layers[0])],
    });
    double.manifest("app", Some("v1"), own, manifest.to_string());
    double.when(on::manifest()).edit(|request, reply| {
        let accepted = request.header("accept").unwrap_or_default();
        let served = reply.header("Content-Type").unwrap_or_default();
        if accepted.contains(served) || accepted.contains("*/*") {
            reply
        } else {
            Reply::error(404, "MANIFEST_UNKNOWN", "not that you would accept")
        }
    });
    let own_type = "warning documents of a type that no client knows";
    assert_eq!(
        told(&Probe::of(&double).sweep().await),
        ["intact", own_type]
    );
    // What it loses is found.
    double.remove_bytes(&image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer not_found: v1", own_type]
    );
}

#[tokio::test]
async fn clients_take_200_for_an_answer() {
    for status in [201, 203, 206] {
        for endpoint in [on::manifest(), on::blob()] {
            let (double, _) = healthy().await;
            let whole = endpoint.get().without_header("range");
            double.when(whole).edit(move |_, mut reply| {
                reply.status = status;
                reply
            });
            let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
            let odd = ["unverified", "unverified app protocol"];
            assert_eq!(told(&sweep), odd, "{status}");
        }
    }
}
