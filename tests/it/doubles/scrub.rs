//! Full reads that are spread over time: what a short look takes for whole is found in its turn, and
//! stays found.

use std::time::{Duration, SystemTime};

use registry_double::{Double, Format, Image, on, sha256};
use registry_probe::registry::Depth;
use registry_probe::report::{Record, Sweep};
use registry_probe::sweep::{Schedule, Turn};
use serde_json::json;

use super::probe::{Probe, told};

const HOUR: Duration = Duration::from_secs(3600);
const SLOTS: u32 = 4;
const LAYERS: u32 = 24;
/// Longer than what is read in full at any depth.
const LAYER: usize = 20_000;

/// In the middle of one of the sweeps of a period.
fn moment(slot: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + HOUR * (480_000 + slot) + HOUR / 2
}

fn turn(slot: u32, most_bytes: Option<u64>) -> (Turn, Option<u64>) {
    let turn = Schedule::new(HOUR * SLOTS, HOUR).turn(moment(slot), None);
    (turn, most_bytes)
}

async fn registry() -> (Double, Image) {
    let double = Double::start().await;
    let layers: Vec<Vec<u8>> = (0..LAYERS)
        .map(|layer| vec![u8::try_from(layer).unwrap_or(0); LAYER])
        .collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let image = double.image("app", Some("v1"), &layers);
    (double, image)
}

#[tokio::test]
async fn in_one_period_every_blob_is_read_in_full_once() {
    let (double, image) = registry().await;
    let mut bytes = 0;
    let mut most = 0;
    for slot in 0..SLOTS {
        let turn = turn(slot, None);
        let sweep = Probe::of(&double).scrub(turn).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        assert_eq!(sweep.scrub_period, Some(HOUR * SLOTS));
        bytes += sweep.counts.scrubbed_bytes;
        most = most.max(sweep.counts.scrubbed_bytes);
    }
    let requests = double.requests();
    for layer in &image.layers {
        let whole = requests.iter().filter(|seen| {
            seen.method() == "GET" && seen.path().ends_with(layer) && seen.header("range").is_none()
        });
        assert_eq!(whole.count(), 1, "{layer}");
    }
    let layers = u64::from(LAYERS) * LAYER as u64;
    assert!((layers..layers + 16_384).contains(&bytes), "{bytes}");
    assert!(most < bytes, "not all of them at once");
}

/// The slot in which the altered layer of this registry is due, and the sweep that finds it.
async fn found(double: &Double) -> (u32, Sweep) {
    for slot in 0..SLOTS {
        let sweep = Probe::of(double).scrub(turn(slot, None)).sweep().await;
        if !sweep.findings.is_empty() {
            return (slot, sweep);
        }
        assert_eq!(told(&sweep), ["intact"]);
    }
    panic!("never found");
}

#[tokio::test]
async fn altered_bytes_are_found_in_their_turn_and_stay_found() {
    let (double, image) = registry().await;
    double.flip_bit(&image.layers[3], LAYER / 2);
    let (slot, sweep) = found(&double).await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer digest_mismatch: v1"]
    );
    assert_eq!(sweep.findings[0].depth, Depth::Digest);
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    let next = turn(slot + 1, None);
    let sweep = Probe::of(&double)
        .scrub(next)
        .knowing(&record)
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer digest_mismatch: v1"]
    );
}

#[tokio::test]
async fn a_body_cut_in_a_full_read_is_confirmed_by_another() {
    let (double, image) = registry().await;
    let whole = on::blob().get().reference(&image.layers[5]);
    double
        .when(whole.without_header("range"))
        .cut_after(LAYER / 2);
    let (_, sweep) = found(&double).await;
    assert_eq!(told(&sweep), ["broken", "finding app layer short_read: v1"]);
    assert_eq!(sweep.findings[0].depth, Depth::Digest);
}

#[tokio::test]
async fn a_limit_of_bytes_is_kept_and_told() {
    let (double, _) = registry().await;
    let mut told = 0;
    for slot in 0..SLOTS {
        let limited = turn(slot, Some(LAYER as u64));
        let sweep = Probe::of(&double).scrub(limited).sweep().await;
        assert!(sweep.counts.scrubbed_bytes <= LAYER as u64, "{slot}");
        told += sweep
            .warnings
            .iter()
            .filter(|warning| warning.contains("--scrub-max-bytes"))
            .count();
    }
    assert!(told > 1, "{told}");
}

/// Layers that are archives with nothing in them but an end, of which the config says this.
fn archives(double: &Double, diff_ids: impl Fn(usize, String) -> String) {
    let archive = |layer: u32| [vec![0; 1024], layer.to_le_bytes().repeat(LAYER / 4)].concat();
    let layers: Vec<Vec<u8>> = (0..LAYERS).map(archive).collect();
    let digests = layers.iter().map(sha256).enumerate();
    let diff_ids: Vec<_> = digests.map(|(at, digest)| diff_ids(at, digest)).collect();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).to_string();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    double.image_of(Format::Oci, "app", Some("v1"), config.into(), &layers);
}

#[tokio::test]
async fn layers_are_unpacked_in_their_turn_and_stay_found() {
    let double = Double::start().await;
    archives(
        &double,
        |at, digest| if at == 3 { sha256("another") } else { digest },
    );
    let mut found = Vec::new();
    for slot in 0..SLOTS {
        let probe = Probe::of(&double).scrub(turn(slot, None));
        assert_eq!(
            told(&probe.sweep().await),
            ["intact"],
            "they are as promised"
        );
        let probe = Probe::of(&double).scrub(turn(slot, None)).unpacking();
        let sweep = probe.sweep().await;
        if told(&sweep) != ["intact"] {
            found.push((slot, sweep));
        }
    }
    let broken = ["broken", "finding app layer digest_mismatch: v1"];
    let [(slot, sweep)] = <[_; 1]>::try_from(found).expect("it is due once");
    assert_eq!(told(&sweep), broken);
    assert_eq!(sweep.findings[0].depth, Depth::Unpack);
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    let next = async |record: &Record| {
        let probe = Probe::of(&double).scrub(turn(slot + 1, None)).unpacking();
        probe.knowing(record).sweep().await
    };
    assert_eq!(told(&next(&record).await), broken);
    archives(&double, |_, digest| digest);
    assert_eq!(told(&next(&record).await), ["intact"]);
}
