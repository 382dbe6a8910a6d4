//! Blobs: what HEAD may be believed, what the last byte proves, and what only all bytes prove.

use std::time::Duration;

use registry_double::{Double, Image, Ranges, Reply, on, presets};
use registry_probe::registry::Depth;

use super::probe::{Probe, broken, told};

const SHORT: [&str; 2] = ["broken", "finding app layer short_read: v1"];
const SIZE: [&str; 2] = ["broken", "finding app layer size_mismatch: v1"];

/// Longer than what is read whole for want of a reason not to.
fn long() -> Vec<u8> {
    (0..=250_u8).cycle().take(300_000).collect()
}

/// A healthy `app:v1` with one short layer and one of 300 000 bytes.
async fn healthy() -> (Double, Image) {
    with_image(Double::start().await)
}

fn with_image(double: Double) -> (Double, Image) {
    let image = double.image("app", Some("v1"), &[b"a short layer", &long()]);
    (double, image)
}

#[tokio::test]
async fn no_length_or_none_to_speak_of_is_no_fault() {
    for depth in [Depth::Head, Depth::Tail] {
        let (double, _) = healthy().await;
        double.when(on::blob().head()).drop_header("Content-Length");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "no length, {depth}");

        let (double, _) = healthy().await;
        double
            .when(on::blob().head())
            .set_header("Content-Length", "0");
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "length 0, {depth}");
    }
}

#[tokio::test]
async fn another_length_is_a_fault_once_a_get_says_so_too() {
    let (double, image) = healthy().await;
    double.truncate_bytes(&image.layers[1], 1000);
    let sweep = Probe::of(&double).depth(Depth::Head).sweep().await;
    assert_eq!(told(&sweep), SIZE);
    assert_eq!(broken(&sweep), [image.layers[1].clone()]);

    // Where HEAD and GET differ, GET shows the bytes (Artifactory).
    let (double, _) = healthy().await;
    double
        .when(on::blob().head())
        .set_header("Content-Length", "299999");
    let sweep = Probe::of(&double).depth(Depth::Head).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn a_blob_that_head_refuses_is_asked_for_by_get() {
    for status in [403, 404, 405, 501] {
        let (double, _) = healthy().await;
        double.when(on::blob().head()).reply(Reply::status(status));
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn the_last_byte_is_asked_for_by_its_position() {
    let (double, image) = healthy().await;
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let reads = double.seen(&on::blob().get().reference(&image.layers[1]));
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0].header("range"), Some("bytes=299999-299999"));
}

#[tokio::test]
async fn head_depth_asks_for_no_byte_and_says_so() {
    let double = presets::stale_descriptor_cache().await;
    let (double, image) = with_image(double);
    double.remove_bytes(&image.layers[1]);
    let sweep = Probe::of(&double).depth(Depth::Head).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.depth, Depth::Head);
    assert_eq!(double.count(&on::blob().get()), 0);
}

#[tokio::test]
async fn a_stale_descriptor_cache_cannot_invent_the_last_byte() {
    for damage in [
        Double::remove_all as fn(&Double, &str),
        Double::leave_nothing,
        Double::leave_a_thousand,
    ] {
        let double = presets::stale_descriptor_cache().await;
        let (double, image) = with_image(double);
        damage(&double, &image.layers[1]);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), SHORT);
        assert_eq!(broken(&sweep), [image.layers[1].clone()]);
        assert_eq!(sweep.findings[0].depth, Depth::Digest);
    }
}

trait Damage {
    fn remove_all(&self, digest: &str);
    fn leave_nothing(&self, digest: &str);
    fn leave_a_thousand(&self, digest: &str);
}

impl Damage for Double {
    fn remove_all(&self, digest: &str) {
        self.remove_bytes(digest);
    }

    fn leave_nothing(&self, digest: &str) {
        self.empty_bytes(digest);
    }

    fn leave_a_thousand(&self, digest: &str) {
        self.truncate_bytes(digest, 1000);
    }
}

#[tokio::test]
async fn a_manifest_cache_hides_a_lost_link_from_every_client() {
    let double = presets::stale_manifest_cache().await;
    let (double, image) = with_image(double);
    double.index("app", Some("multi"), &[("linux/amd64", &image)]);
    double.remove_manifest_link("app", &image.digest);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    // After its restart the truth is out.
    double.quirks(|quirks| quirks.descriptor_cache = registry_double::DescriptorCache::Cold);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "broken",
            "finding app child not_found: multi",
            "finding app tag not_found: v1"
        ]
    );
}

#[tokio::test]
async fn a_truncated_layer_is_seen_without_a_cache_too() {
    let (double, image) = presets::truncated_layer().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), SIZE);
    assert_eq!(broken(&sweep), [image.layers[1].clone()]);

    // The same where a 416 ends in a closed connection.
    let (double, image) = with_image(presets::debian_distribution().await);
    double.truncate_bytes(&image.layers[1], 1000);
    assert_eq!(told(&Probe::of(&double).sweep().await), SIZE);
}

#[tokio::test]
async fn an_emptied_layer_is_seen_through_a_malformed_content_range() {
    for (preset, depth) in [(28, Depth::Head), (28, Depth::Tail), (3, Depth::Tail)] {
        let double = match preset {
            28 => presets::distribution28().await,
            _ => presets::distribution3().await,
        };
        let (double, image) = with_image(double);
        double.empty_bytes(&image.layers[1]);
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), SIZE, "{preset} {depth}");
    }
    // Distribution's own words for an empty part.
    let (double, image) = healthy().await;
    double.empty_bytes(&image.layers[1]);
    let layer = on::blob().reference(&image.layers[1]);
    double.when(layer.get().header("range")).reply(
        Reply::status(206)
            .with_header("Content-Range", "bytes 0--1/0")
            .with_header("Content-Type", "application/octet-stream"),
    );
    assert_eq!(told(&Probe::of(&double).sweep().await), SIZE);
}

#[tokio::test]
async fn the_total_of_a_range_is_held_against_the_promise() {
    let (double, image) = healthy().await;
    let ranged = on::blob().header("range").reference(&image.layers[1]);
    double
        .when(ranged.clone())
        .set_header("Content-Range", "bytes 299999-299999/300001");
    double
        .when(
            on::blob()
                .get()
                .without_header("range")
                .reference(&image.layers[1]),
        )
        .edit(|_, reply| {
            let longer = [&reply.body[..], b"x"].concat();
            reply.with_body(longer)
        });
    assert_eq!(told(&Probe::of(&double).sweep().await), SIZE);
    assert!(double.count(&ranged) >= 2);
}

#[tokio::test]
async fn an_ignored_range_is_told_and_the_rest_left_unread() {
    let (double, _) = with_image(presets::gitea().await);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped range_unsupported 1"]);
    // More than its start is not read.
    double
        .when(on::blob().get())
        .trickle(16 << 10, Duration::from_millis(100));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped range_unsupported 1"]);
    assert!(sweep.counts.bytes < 100_000, "{}", sweep.counts.bytes);
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_proves_nothing() {
    let (double, image) = healthy().await;
    let last_byte = on::blob().header_with("range", "bytes=299999");
    double
        .when(last_byte)
        .set_header("Content-Range", "bytes 0-0/300000");
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let whole = on::blob().get().without_header("range");
    assert_eq!(double.count(&whole.reference(&image.layers[1])), 1);

    // What is behind that part is gone.
    double
        .when(on::blob().get().without_header("range"))
        .cut_after(1000);
    assert_eq!(told(&Probe::of(&double).sweep().await), SHORT);
}

#[tokio::test]
async fn an_ignored_range_still_shows_the_length() {
    let (double, image) = healthy().await;
    double.quirks(|quirks| quirks.ranges = Ranges::Ignored);
    double.truncate_bytes(&image.layers[1], 1000);
    assert_eq!(told(&Probe::of(&double).sweep().await), SIZE);
    // Gitea goes on to state the length that its database has.
    let (double, image) = with_image(presets::gitea().await);
    double.truncate_bytes(&image.layers[1], 1000);
    assert_eq!(told(&Probe::of(&double).sweep().await), SHORT);
}

#[tokio::test]
async fn an_empty_blob_has_no_last_byte() {
    for depth in [Depth::Head, Depth::Tail, Depth::Digest] {
        let double = Double::start().await;
        let image = double.image("app", Some("v1"), &[b""]);
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        let notice =
            "warning manifests with a config or layer of 0 bytes, which containerd refuses";
        assert_eq!(told(&sweep), ["intact", notice], "{depth}");
        let reads = double.seen(&on::blob().get().reference(&image.layers[0]));
        assert!(reads.iter().all(|seen| seen.header("range").is_none()));
    }
}

#[tokio::test]
async fn inline_content_is_not_asked_for() {
    let zoo = presets::zoo().await;
    let sweep = Probe::of(&zoo.double).tags("inline").sweep().await;
    assert_eq!(told(&sweep)[..2], ["intact", "skipped inline_data 1"]);
    let inline = registry_double::sha256("{\"inline\":1}");
    assert_eq!(zoo.double.count(&on::any().reference(&inline)), 0);
}

#[tokio::test]
async fn bit_rot_is_found_by_reading_everything() {
    let (double, image) = healthy().await;
    double.flip_bit(&image.layers[1], 150_000);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let sweep = Probe::of(&double).depth(Depth::Digest).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer digest_mismatch: v1"]
    );
    assert_eq!(broken(&sweep), [image.layers[1].clone()]);
}

#[tokio::test]
async fn what_is_small_is_read_whole_at_no_further_cost() {
    let (double, image) = healthy().await;
    double.flip_bit(&image.layers[0], 3);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer digest_mismatch: v1"]
    );
    assert_eq!(broken(&sweep), [image.layers[0].clone()]);
}

#[tokio::test]
async fn bytes_are_read_in_full_once_for_all_repositories() {
    let double = Double::start().await;
    let image = double.image("one", Some("v1"), &[&long()]);
    double.image("two", Some("v1"), &[&long()]);
    let sweep = Probe::of(&double)
        .depth(Depth::Digest)
        .concurrency(1)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    let whole = on::blob().get().without_header("range");
    assert_eq!(double.count(&whole.reference(&image.layers[0])), 1);
    // The link is each repository's own.
    for name in ["one", "two"] {
        let link = on::blob().repository(name).reference(&image.layers[0]);
        assert_eq!(double.count(&link), 1, "{name}");
    }
}

/// zot can have a file of each blob for each repository.
#[tokio::test]
async fn no_repository_of_a_zot_is_read_for_another() {
    for (repository, concurrency) in [("one", 1), ("two", 1), ("one", 8), ("two", 8)] {
        let double = presets::zot().await;
        let image = double.image("one", Some("v1"), &[&long()]);
        double.image("two", Some("v1"), &[&long()]);
        let copy = on::blob().get().repository(repository);
        let altered = [b"x", &long()[1..]].concat();
        double
            .when(copy.reference(&image.layers[0]))
            .edit(move |_, reply| reply.with_body(altered.clone()));
        let probe = Probe::of(&double).depth(Depth::Digest);
        let sweep = probe.concurrency(concurrency).sweep().await;
        let finding = format!("finding {repository} layer digest_mismatch: v1");
        assert_eq!(told(&sweep), ["broken", &finding], "{concurrency}");
    }
}

/// `one` to `four`, which have a layer of their own each, and one in common.
fn sharing(double: &Double) -> Image {
    let names = ["one", "two", "three", "four"];
    let images = names.map(|name| double.image(name, Some("v1"), &[name.as_bytes(), &long()]));
    let [.., last] = images;
    last
}

#[tokio::test]
async fn the_last_byte_is_read_once_for_all_repositories() {
    for concurrency in [1, 8] {
        let double = Double::start().await;
        let image = sharing(&double);
        // Others ask while it is being read.
        let shared = on::blob().reference(&image.layers[1]);
        double
            .when(shared.clone().get())
            .delay(Duration::from_millis(300));
        let sweep = Probe::of(&double).concurrency(concurrency).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        let (by_get, by_head) = (
            double.count(&shared.clone().get()),
            double.count(&shared.head()),
        );
        assert_eq!((by_get, by_head), (1, 3), "{concurrency}");
        // Four short layers, four configs, and that one.
        assert_eq!(sweep.counts.blobs_read, 9);
    }
}

#[tokio::test]
async fn bytes_that_are_gone_are_gone_from_all_repositories() {
    for concurrency in [1, 8] {
        let double = presets::stale_descriptor_cache().await;
        let image = sharing(&double);
        double.empty_bytes(&image.layers[1]);
        let shared = on::blob().reference(&image.layers[1]).get();
        double.when(shared).delay(Duration::from_millis(100));
        let sweep = Probe::of(&double).concurrency(concurrency).sweep().await;
        let repositories: Vec<_> = sweep
            .findings
            .iter()
            .map(|finding| finding.repository.as_str())
            .collect();
        assert_eq!(
            repositories,
            ["four", "one", "three", "two"],
            "{concurrency}"
        );
    }
}

#[tokio::test]
async fn a_layer_link_is_each_repositorys_own() {
    let double = Double::start().await;
    let image = double.image("one", Some("v1"), &[b"a layer"]);
    double.image("two", Some("v1"), &[b"a layer"]);
    double.remove_layer_link("two", &image.layers[0]);
    for depth in [Depth::Head, Depth::Tail, Depth::Digest] {
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["broken", "finding two layer not_found: v1"]);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_once_is_no_fault() {
    for depth in [Depth::Tail, Depth::Digest] {
        let (double, _) = presets::closes_once().await;
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{depth}");
    }
    let (double, _) = healthy().await;
    double.when(on::any().first(1).per_path()).hang_up();
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let (double, _) = healthy().await;
    double
        .when(on::any().get().first(1).per_path())
        .cut_after(1);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn the_second_read_of_a_cut_body_is_on_a_new_connection() {
    let (double, image) = presets::closes_once().await;
    Probe::of(&double).sweep().await;
    let reads = double.seen(&on::blob().get().reference(&image.layers[0]));
    assert_eq!(reads.len(), 2);
    assert_ne!(reads[0].request.connection, reads[1].request.connection);
}
