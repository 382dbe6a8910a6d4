//! What is remembered of what is attached to images: which findings stay, which go, and since when an image lacks
//! something.

use registry_double::{Double, Reply, on};
use registry_probe::report::{Reach, Record};

use super::probe::Probe;
use super::referrers::{COSIGN, SIGNATURE, attach, attach_by_tag, list, lists, tag_of, with_image};

/// Takes in the next sweep by a probe. Gives the failures that are known then.
async fn next(record: &mut Record, probe: Probe<'_>) -> u64 {
    let sweep = probe.knowing(record).remembering().sweep().await;
    record.absorb(sweep);
    record.failures()
}

async fn record(double: &Double) -> Record {
    Record::new(Probe::of(double).sweep().await.registry)
}

#[tokio::test]
async fn a_filter_of_tags_keeps_no_finding_alive() {
    let signed = |double: &Double, digest: &str| {
        attach_by_tag(double, &(tag_of(digest) + ".sig"), COSIGN);
    };
    for way in ["signed", "deleted", "not required"] {
        let (double, image) = with_image().await;
        double.image("app", Some("other"), &[b"other"]);
        double.image("app", Some("v0"), &[b"zero"]);
        let zero = double.image("app", Some("v0"), &[b"zero"]);
        signed(&double, &zero.digest);
        let mut record = record(&double).await;
        let probe = |rule: &str| Probe::of(&double).tags("v*").require(rule);
        assert_eq!(next(&mut record, probe("signature")).await, 1, "{way}");
        let mut rule = "signature";
        match way {
            "signed" => signed(&double, &image.digest),
            "deleted" => double.remove_tag("app", "v1"),
            _ => rule = "signature;repo=another",
        }
        let of_rule = probe(rule).referrers(Reach::Tagged);
        assert_eq!(next(&mut record, of_rule).await, 0, "{way}");
    }
}

#[tokio::test]
async fn a_sweep_that_does_not_ask_clears_nothing() {
    let (double, image) = with_image().await;
    let mut record = record(&double).await;
    let asking = || Probe::of(&double).require("signature");
    assert_eq!(next(&mut record, asking()).await, 1);
    assert_eq!(next(&mut record, Probe::of(&double)).await, 1, "unasked");
    let signature = attach(&double, &image.digest, SIGNATURE);
    double.manifest_json("app", Some(&tag_of(&image.digest)), &list(&[signature]));
    assert_eq!(next(&mut record, asking()).await, 0);
}

/// The first look fails, and the second, which is not what is remembered, sees the image.
#[tokio::test]
async fn a_first_look_that_fails_forgets_nothing() {
    for fault in ["list", "image"] {
        let (double, image) = with_image().await;
        let mut record = record(&double).await;
        let strict = Probe::of(&double).require("signature");
        assert_eq!(next(&mut record, strict).await, 1);
        let first = record
            .repositories
            .values()
            .next()
            .map(|known| known.referrers.clone());
        let graceful = || Probe::of(&double).require("signature;grace=30m");
        let broken = match fault {
            "list" => on::tags(),
            _ => on::manifest().reference("v1"),
        };
        // Both tries of the first look.
        double.when(broken.first(4)).reply(Reply::status(503));
        assert_eq!(next(&mut record, graceful()).await, 1, "{fault}");
        let known = record
            .repositories
            .values()
            .next()
            .map(|known| known.referrers.clone());
        assert_eq!(known, first, "{fault}: since when it is there");
        double.forget_rules();
        assert_eq!(next(&mut record, graceful()).await, 1, "{fault}");
        assert!(double.count(&lists()) > 0, "{}", image.digest);
    }
}

/// An image that lacks something has its time, unless there is no room to remember since when it is there.
#[tokio::test]
async fn without_room_there_is_no_grace() {
    let (double, _) = with_image().await;
    let mut record = record(&double).await;
    let graceful = || Probe::of(&double).require("signature;grace=30m");
    record.has_no_room = true;
    assert_eq!(next(&mut record, graceful()).await, 1);
    let mut empty = Record::new(record.registry.clone());
    assert_eq!(next(&mut empty, graceful()).await, 0);
}
