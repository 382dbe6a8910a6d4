//! What is attached to images is what its own manifest shows: what a list or the name of a tag says of it is a hint.

use registry_double::{Double, Image, on};
use registry_probe::report::{Reach, Sweep};
use registry_probe::sweep::Expectations;
use serde_json::{Value, json};

use super::probe::{Probe, told};
use super::referrers::{
    COSIGN, MANIFEST, SIGNATURE, SPDX, answer, attach, attach_by_tag, attached_to, list, lists,
    tag_of, with_image,
};

const MISSING: [&str; 2] = ["broken", "finding app referrer referrer_missing: "];

async fn verify(double: &Double, what: &str) -> Sweep {
    let probe = Probe::of(double).images(&[("app", "v1")]);
    probe.require(what).verify(&Expectations::default()).await
}

/// Holds that a sweep and a named image find what is required missing.
async fn is_missing(double: &Double, what: &str) {
    let sweep = Probe::of(double).require(what).sweep().await;
    assert_eq!(told(&sweep)[..2], MISSING, "{what}");
    assert_eq!(told(&verify(double, what).await)[..2], MISSING, "{what}");
}

async fn is_met(double: &Double, what: &str) {
    let sweep = Probe::of(double).require(what).sweep().await;
    assert_eq!(told(&sweep)[0], "intact", "{what}");
    assert_eq!(told(&verify(double, what).await)[0], "intact", "{what}");
}

/// Lists an entry under the tag of an image, with other words than its own.
fn list_as(double: &Double, image: &Image, entry: &Value, artifact_type: Option<&str>) {
    let mut entry = entry.clone();
    match artifact_type {
        Some(said) => entry["artifactType"] = json!(said),
        None => {
            _ = entry
                .as_object_mut()
                .expect("an entry")
                .remove("artifactType");
        }
    }
    double.manifest_json("app", Some(&tag_of(&image.digest)), &list(&[entry]));
}

#[tokio::test]
async fn a_list_that_says_more_than_the_manifest_meets_nothing() {
    let (double, image) = with_image().await;
    let text = attach(&double, &image.digest, "text/plain");
    list_as(&double, &image, &text, Some(SPDX));
    is_missing(&double, "sbom").await;
    is_missing(&double, SPDX).await;
    is_met(&double, "text/plain").await;
    // It is attached to another image.
    let other = attach(&double, &registry_double::sha256("another"), SPDX);
    list_as(&double, &image, &other, Some(SPDX));
    is_missing(&double, "sbom").await;
    // A list that says less is enough.
    let sbom = attach(&double, &image.digest, SPDX);
    list_as(&double, &image, &sbom, None);
    is_met(&double, "sbom").await;
    is_met(&double, SPDX).await;
}

#[tokio::test]
async fn the_type_of_a_config_is_that_of_an_artifact_that_names_none() {
    let (double, image) = with_image().await;
    let config = double.blob("app", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let layer = double.blob("app", "packages");
    let sbom = double.manifest_json(
        "app",
        None,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": double.descriptor(SPDX, &config),
            "layers": [double.descriptor("application/octet-stream", &layer)],
            "subject": {"mediaType": MANIFEST, "digest": image.digest, "size": 1},
        }),
    );
    let entry = double.descriptor(MANIFEST, &sbom);
    answer(&double, vec![(image.digest.clone(), vec![entry])]);
    is_met(&double, "sbom").await;
    is_missing(&double, "signature").await;
}

#[tokio::test]
async fn a_tag_of_cosigns_that_holds_no_signature_is_none() {
    let (double, image) = with_image().await;
    let tag = tag_of(&image.digest) + ".sig";
    double.manifest_json("app", Some(&tag), &list(&[]));
    is_missing(&double, "signature").await;
    double.image("app", Some(&tag), &[b"an ordinary image"]);
    is_missing(&double, "signature").await;
    let config = double.blob("app", "{}");
    let empty = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": double.descriptor("application/vnd.oci.image.config.v1+json", &config),
    });
    double.manifest_json("app", Some(&tag), &empty);
    is_missing(&double, "signature").await;
    // An attestation is no signature.
    attach_by_tag(&double, &tag, "application/vnd.dsse.envelope.v1+json");
    is_missing(&double, "signature").await;
    is_met(&double, "attestation").await;
    attach_by_tag(&double, &tag, COSIGN);
    is_met(&double, "signature").await;
}

/// What is broken is told once, and not as missing besides.
#[tokio::test]
async fn a_broken_signature_is_one_finding() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    let digest = signature["digest"].as_str().expect("a digest").to_owned();
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    double.remove_manifest_link("app", &digest);
    let one = ["broken", "finding app referrer not_found: "];
    let sweep = Probe::of(&double).require("signature").sweep().await;
    assert_eq!(told(&sweep), one);
    assert_eq!(told(&verify(&double, "signature").await), one);
    // It is no SBOM, either way.
    let sweep = Probe::of(&double).require("sbom").sweep().await;
    assert_eq!(sweep.findings.len(), 2, "{:?}", sweep.findings);
}

#[tokio::test]
async fn a_signature_that_cannot_be_read_is_not_missing() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    let digest = signature["digest"].as_str().expect("a digest").to_owned();
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    double
        .when(on::manifest().reference(&digest))
        .error(403, "DENIED");
    let sweep = Probe::of(&double).require("signature").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
    let seen = sweep.referrers.as_ref().expect("it was asked");
    assert_eq!(seen.unanswered, 1);
}

/// A named image has what is attached under cosign's tags, too: one request for each class.
#[tokio::test]
async fn a_named_image_is_asked_for_tags_of_cosigns() {
    let (double, image) = with_image().await;
    let named = || Probe::of(&double).images(&[("app", "v1")]);
    let plain = named().verify(&Expectations::default()).await;
    double.forget_requests();
    let asked = named().referrers(Reach::Tagged);
    let sweep = asked.verify(&Expectations::default()).await;
    let list = double.count(&lists()) as u64;
    // And the list under a tag.
    assert_eq!(sweep.counts.requests, plain.counts.requests + list + 1 + 3);
    let tag = tag_of(&image.digest) + ".sig";
    let signature = attach_by_tag(&double, &tag, COSIGN);
    let asked = named().referrers(Reach::Tagged);
    let sweep = asked.verify(&Expectations::default()).await;
    assert_eq!(told(&sweep)[0], "intact");
    double.remove_layer_link("app", &registry_double::sha256(format!("under {tag}")));
    for probe in [named(), Probe::of(&double).tags("v*")] {
        let sweep = probe
            .referrers(Reach::Tagged)
            .verify(&Expectations::default())
            .await;
        assert_eq!(
            told(&sweep)[..2],
            ["broken", "finding app layer not_found: "]
        );
        assert_eq!(attached_to(&sweep.findings[0]), "v1");
        let parent = sweep.findings[0].parent.as_ref().map(ToString::to_string);
        assert_eq!(parent.as_deref(), Some(&*signature));
    }
}
