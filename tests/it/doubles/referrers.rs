//! What is attached to images: lists by the registry and under tags, what is walked, what is required, and what says
//! nothing because it was not answered.

use registry_double::{Double, Image, Registry, Reply, on, presets};
use registry_probe::registry::Software;
use registry_probe::report::{Finding, Kind, Reach, Record, Sweep};
use registry_probe::sweep::Expectations;
use serde_json::{Value, json};

use super::probe::{Probe, told};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const SIGNATURE: &str = "application/vnd.cncf.notary.signature";
pub(super) const COSIGN: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const SPDX: &str = "application/spdx+json";

/// Attaches something of a type to an image, in no list yet. Gives its descriptor.
pub(super) fn attach(registry: &Registry, subject: &str, artifact_type: &str) -> Value {
    let empty = registry.blob("app", "{}");
    let content = registry.blob("app", format!("{artifact_type} of {subject}"));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": registry.descriptor("application/vnd.oci.empty.v1+json", &empty),
        "layers": [registry.descriptor("application/octet-stream", &content)],
        "subject": {"mediaType": MANIFEST, "digest": subject, "size": 1},
    });
    let digest = registry.manifest_json("app", None, &manifest);
    let mut entry = registry.descriptor(MANIFEST, &digest);
    entry["artifactType"] = json!(artifact_type);
    entry
}

/// Puts a layer of a type under a tag, as cosign does.
pub(super) fn attach_by_tag(registry: &Registry, tag: &str, media_type: &str) -> String {
    let config = registry.blob("app", r#"{"rootfs":{"type":"layers","diff_ids":[""]}}"#);
    let content = registry.blob("app", format!("under {tag}"));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": registry.descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [registry.descriptor(media_type, &content)],
    });
    registry.manifest_json("app", Some(tag), &manifest)
}

pub(super) fn list(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

pub(super) fn tag_of(subject: &str) -> String {
    subject.replace(':', "-")
}

/// Whether a request is for the registry's own list of what is attached to a manifest.
pub(super) fn lists() -> on::Matcher {
    on::any().matching(|request| request.path.contains("/referrers/"))
}

/// Answers for what is attached to each of these images, and that nothing is to others.
pub(super) fn answer(registry: &Registry, of: Vec<(String, Vec<Value>)>) {
    registry.when(lists()).answer(move |_, request| {
        let mut known = of.iter();
        let known = known.find(|(subject, _)| request.path.ends_with(subject.as_str()));
        let entries = known.map_or(&[][..], |(_, entries)| entries);
        Reply::json(200, &list(entries)).with_header("Content-Type", INDEX)
    });
}

pub(super) async fn with_image() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"one"]);
    (double, image)
}

/// What a sweep says of what is attached.
fn counts(sweep: &Sweep) -> (u64, u64, u64, u64) {
    let seen = sweep.referrers.as_ref().expect("it was asked");
    (seen.images, seen.attached, seen.unanswered, seen.dangling)
}

pub(super) fn attached_to(finding: &Finding) -> String {
    let tags: Vec<_> = finding
        .attached_to
        .iter()
        .map(ToString::to_string)
        .collect();
    tags.join(" ")
}

#[tokio::test]
async fn without_the_option_not_one_request_more() {
    let (double, image) = with_image().await;
    double.image("app", Some("v2"), &[b"two"]);
    let signature = attach(&double, &image.digest, SIGNATURE);
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    let plain = Probe::of(&double).sweep().await;
    assert_eq!(told(&plain), ["intact"]);
    assert_eq!(double.count(&lists()), 0);
    assert_eq!(plain.referrers, None);
    let asked = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!(told(&asked), ["intact", "skipped artifact 1"]);
    assert_eq!(double.count(&lists()), 2, "one for each tag");
    // And what is attached, as an image: its manifest, its config and its layer.
    assert_eq!(asked.counts.requests, plain.counts.requests + 2 + 3);
    assert_eq!(counts(&asked), (2, 1, 0, 0));
}

#[tokio::test]
async fn two_tags_of_one_image_are_one_question() {
    let double = Double::start().await;
    let child = double.child("linux/amd64", "app", &[b"one"]);
    let index = double.index("app", Some("v1"), &[("linux/amd64", &child)]);
    double.tag("app", "latest", &index);
    let signature = attach(&double, &child.digest, SIGNATURE);
    answer(&double, vec![(child.digest.clone(), vec![signature])]);
    let tagged = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!((counts(&tagged), double.count(&lists())), ((1, 0, 0, 0), 1));
    let all = Probe::of(&double).referrers(Reach::All).sweep().await;
    assert_eq!((counts(&all), double.count(&lists())), ((2, 1, 0, 0), 3));
}

#[tokio::test]
async fn a_registry_without_lists_is_asked_for_two_and_then_by_tags() {
    let (double, image) = with_image().await;
    double.image("app", Some("v2"), &[b"two"]);
    let signature = attach(&double, &image.digest, SIGNATURE);
    double.manifest_json("app", Some(&tag_of(&image.digest)), &list(&[signature]));
    let probe = Probe::of(&double).referrers(Reach::Tagged);
    let sweep = probe.concurrency(1).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped artifact 1"]);
    assert_eq!(counts(&sweep), (2, 1, 0, 0));
    assert_eq!(double.count(&lists()), 2, "one 404 may be a gateway's");
}

#[tokio::test]
async fn what_is_attached_is_broken_and_the_image_is_not() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    let digest = signature["digest"].as_str().expect("a digest").to_owned();
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    double.remove_manifest_link("app", &digest);
    for reach in [Reach::Tagged, Reach::All] {
        let sweep = Probe::of(&double).referrers(reach).sweep().await;
        // No tag is broken by it.
        assert_eq!(told(&sweep), ["broken", "finding app referrer not_found: "]);
        assert_eq!(attached_to(&sweep.findings[0]), "v1");
        assert!(sweep.findings[0].nearby.pointed_to.is_empty());
    }
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn no_answer_for_what_is_attached_says_nothing_of_the_registry() {
    let big = list(&vec![
        json!({"mediaType": MANIFEST, "digest": format!("sha256:{}", "a".repeat(64)), "size": 1});
        6_000
    ]);
    for (name, reply) in [
        ("500", Reply::error(500, "UNKNOWN", "unknown error")),
        ("403", Reply::error(403, "DENIED", "denied")),
        ("page", Reply::html(200, "Welcome")),
        ("garbage", Reply::text(200, "[1, 2")),
        ("no index", Reply::json(200, &json!({"errors": []}))),
        ("misfit", Reply::json(200, &list(&[json!({"digest": 7})]))),
        (
            "endless",
            Reply::json(200, &list(&[]))
                .with_header("Link", "</v2/app/referrers/x?page=2>; rel=\"next\""),
        ),
        ("many", Reply::json(200, &big)),
        (
            "giant",
            Reply::text(200, "{").with_body(vec![b' '; 17 << 20]),
        ),
        ("hang-up", Reply::hang_up()),
    ] {
        let (double, image) = with_image().await;
        let signature = attach(&double, &image.digest, SIGNATURE);
        double.when(lists()).reply(reply);
        let probe = Probe::of(&double).referrers(Reach::Tagged);
        let sweep = probe.require("signature").sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{name}");
        assert!(sweep.is_complete(), "{name}");
        assert_eq!(counts(&sweep), (1, 0, 1, 0), "{name}");
        assert!(double.count(&lists()) <= 4, "{name}");
        let mut record = Record::new(sweep.registry.clone());
        record.absorb(sweep);
        let last = record
            .last
            .as_ref()
            .expect("a sweep")
            .sweep
            .warnings
            .join("\n");
        assert!(
            last.contains("is not known of 1 of 1 images"),
            "{name}: {last}"
        );
        let is_for_people = !last.contains(" column ") && !last.contains("with no ");
        assert!(is_for_people, "{name}: {last}");
        // Who asks for nothing else has no answer.
        let verify = Probe::of(&double)
            .images(&[("app", "v1")])
            .require("signature");
        let verified = verify.verify(&Expectations::default()).await;
        assert_eq!(told(&verified)[0], "unverified", "{name}");
        drop(signature);
    }
}

/// By the specification, the registry keeps no lists then.
#[tokio::test]
async fn a_404_of_any_words_leads_to_the_list_under_the_tag() {
    for reply in [
        Reply::html(404, "Not here"),
        Reply::text(404, "404 page not found"),
        Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        Reply::error(404, "NAME_UNKNOWN", "repository name not known"),
        Reply::error(404, "UNSUPPORTED", "unsupported"),
        Reply::json(404, &json!({"detail": "Not Found"})),
    ] {
        let (double, image) = with_image().await;
        double.when(lists()).reply(reply);
        let missing = ["broken", "finding app referrer referrer_missing: "];
        assert_eq!(required(&double, "signature").await, missing);
        let signature = attach(&double, &image.digest, SIGNATURE);
        double.manifest_json("app", Some(&tag_of(&image.digest)), &list(&[signature]));
        assert_eq!(required(&double, "signature").await[0], "intact");
    }
}

/// One image is answered by a gateway that has no such route for a moment.
#[tokio::test]
async fn one_odd_404_does_not_turn_lists_off() {
    let double = Double::start().await;
    let mut attached = Vec::new();
    for tag in ["v1", "v2", "v3"] {
        let image = double.image("app", Some(tag), &[tag.as_bytes()]);
        let signature = attach(&double, &image.digest, SIGNATURE);
        attached.push((image.digest, vec![signature]));
    }
    double
        .when(lists().first(1))
        .reply(Reply::text(404, "404 page not found"));
    answer(&double, attached);
    let probe = Probe::of(&double).require("signature").concurrency(1);
    let sweep = probe.sweep().await;
    assert_eq!(told(&sweep)[0], "intact");
    assert_eq!(counts(&sweep), (3, 2, 0, 0));
}

/// zot answers so for all images of a repository that has lost any manifest.
#[tokio::test]
async fn silence_of_zot_is_no_absence() {
    let (double, _) = with_image().await;
    double.when(lists()).reply(Reply::status(404));
    let probe = Probe::of(&double).software(Software::Zot);
    let sweep = probe.require("signature").sweep().await;
    assert_eq!(
        (told(&sweep), counts(&sweep)),
        (vec!["intact".to_owned()], (1, 0, 1, 0))
    );
    // Of what is known to keep no such lists, it says that.
    let probe = Probe::of(&double).software(Software::Gitea);
    let sweep = probe.require("signature").sweep().await;
    assert_eq!(told(&sweep)[0], "broken");
}

#[tokio::test]
async fn a_dead_api_is_given_up_after_some_images() {
    let double = Double::start().await;
    for number in 0..40 {
        let layer = format!("layer {number}");
        double.image("app", Some(&format!("v{number}")), &[layer.as_bytes()]);
    }
    double.when(lists()).error(403, "DENIED");
    let probe = Probe::of(&double).referrers(Reach::Tagged).concurrency(1);
    let sweep = probe.sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(
        (counts(&sweep), double.count(&lists())),
        ((40, 0, 40, 0), 4)
    );
}

async fn required(double: &Double, what: &str) -> Vec<String> {
    told(&Probe::of(double).require(what).sweep().await)
}

#[tokio::test]
async fn what_is_required_is_there_by_any_way_or_it_is_missing() {
    let missing = ["broken", "finding app referrer referrer_missing: "];
    let (double, image) = with_image().await;
    let sweep = required;
    assert_eq!(sweep(&double, "signature").await, missing);
    assert_eq!(sweep(&double, "signature;repo=other").await, ["intact"]);
    assert_eq!(
        sweep(&double, "signature;repo=a*;grace=30m").await,
        missing,
        "nobody remembers"
    );
    // Under a tag of cosign's, by the list of tags or by its name.
    let there = ["intact", "skipped artifact 1"];
    let tag = tag_of(&image.digest) + ".sig";
    attach_by_tag(&double, &tag, COSIGN);
    assert_eq!(sweep(&double, "signature").await, there);
    assert_eq!(sweep(&double, "sbom").await[..2], missing);
    let filtered = Probe::of(&double)
        .tags("v*")
        .require("signature")
        .sweep()
        .await;
    assert_eq!(
        told(&filtered),
        ["intact", "skipped artifact 1", "skipped tag_filter 1"]
    );
    let named = Probe::of(&double).images(&[("app", "v1")]);
    let verified = named
        .require("signature")
        .verify(&Expectations::default())
        .await;
    assert_eq!(told(&verified), there);
    // In the list under a tag.
    double.remove_tag("app", &tag);
    let entries = [attach(&double, &image.digest, SPDX)];
    double.manifest_json("app", Some(&tag_of(&image.digest)), &list(&entries));
    assert_eq!(sweep(&double, "sbom").await[0], "intact");
    assert_eq!(sweep(&double, SPDX).await[0], "intact");
    assert_eq!(sweep(&double, "text/spdx").await[..2], missing);
}

/// What could not be looked at is not missing.
#[tokio::test]
async fn a_tag_of_a_signature_that_fails_is_no_missing_signature() {
    let (double, image) = with_image().await;
    let tag = tag_of(&image.digest) + ".sig";
    attach_by_tag(&double, &tag, COSIGN);
    double
        .when(on::manifest().reference(&tag))
        .error(403, "DENIED");
    let sweep = Probe::of(&double).require("signature").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
    assert_eq!(counts(&sweep), (1, 0, 1, 0));
}

#[tokio::test]
async fn what_is_missing_names_its_image_and_breaks_no_tag() {
    let (double, image) = with_image().await;
    let probe = Probe::of(&double).require("sbom").require("signature");
    let sweep = probe.sweep().await;
    let [finding] = sweep.findings.as_slice() else {
        panic!("one for the image: {:?}", sweep.findings);
    };
    assert_eq!(
        finding.digest.as_ref().map(ToString::to_string),
        Some(image.digest)
    );
    assert_eq!((finding.tags.len(), &*attached_to(finding)), (0, "v1"));
    let evidence = &finding.defect.evidence;
    let promised = evidence.promised.as_ref().map(ToString::to_string);
    assert_eq!(
        promised.as_deref(),
        Some("an image with attached sbom, signature")
    );
}

#[tokio::test]
async fn verify_waits_for_a_signature_that_is_yet_to_come() {
    let (double, image) = with_image().await;
    let tag = tag_of(&image.digest) + ".sig";
    let seen = std::sync::atomic::AtomicUsize::new(0);
    double
        .when(on::manifest().reference(&tag))
        .then(move |registry, request| {
            // Signed behind the fourth look, from where on time is skipped.
            let look = seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if look == 0 {
                tokio::time::pause();
            }
            if look == 3 {
                let tag = request.reference.as_deref().expect("a tag");
                attach_by_tag(registry, tag, COSIGN);
            }
        });
    let expectations = Expectations {
        wait: std::time::Duration::from_secs(120),
        ..Expectations::default()
    };
    let probe = Probe::of(&double)
        .images(&[("app", "v1")])
        .require("signature");
    let sweep = probe.verify(&expectations).await;
    assert_eq!(told(&sweep), ["intact", "skipped artifact 1"]);
}

#[tokio::test]
async fn a_signature_of_an_image_that_is_gone_is_told_apart() {
    let (double, image) = with_image().await;
    let gone = registry_double::sha256("an image that is gone");
    double.image("app", Some(&(tag_of(&gone) + ".sig")), &[b"signature"]);
    double.image("app", Some(&(tag_of(&image.digest) + ".sig")), &[b"other"]);
    let sweep = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    let warning = "warning images that are gone, and to which something is attached still";
    assert_eq!(told(&sweep), ["intact", warning]);
    assert!(sweep.warnings[0].contains(&gone), "{:?}", sweep.warnings);
    assert_eq!(counts(&sweep), (1, 1, 0, 1));
    // What says by its subject that it is attached to something is no other.
    let other = registry_double::sha256("another image that is gone");
    let signature = attach(&double, &other, SIGNATURE);
    let signature = signature["digest"].as_str().expect("a digest");
    double.tag("app", "signature-of-another", signature);
    let sweep = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!(counts(&sweep), (2, 1, 0, 2));
    assert!(sweep.warnings[0].contains(&other), "{:?}", sweep.warnings);
    double.remove_tag("app", "signature-of-another");
    // Where the registry does not say, it is not gone.
    double
        .when(on::manifest().reference(&gone))
        .error(500, "UNKNOWN");
    let sweep = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!(
        (told(&sweep), counts(&sweep).3),
        (vec!["intact".to_owned()], 0)
    );
}

/// A zot might fetch it, and then it would be there.
#[tokio::test]
async fn an_image_that_is_gone_is_not_asked_of_a_zot() {
    let double = presets::zot().await;
    double.image("app", Some("v1"), &[b"one"]);
    let gone = registry_double::sha256("an image that is gone");
    double.image("app", Some(&(tag_of(&gone) + ".sig")), &[b"signature"]);
    let sweep = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!(counts(&sweep).3, 1, "{:?}", told(&sweep));
    assert_eq!(double.count(&on::manifest().reference(&gone)), 0);
}

#[tokio::test]
async fn one_level_is_walked_and_a_circle_ends() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    let digest = signature["digest"].as_str().expect("a digest").to_owned();
    let mut image_entry = double.descriptor(MANIFEST, &image.digest);
    image_entry["artifactType"] = json!(SPDX);
    let blob = double.descriptor("application/x", &image.layers[0]);
    let own = vec![signature.clone(), image_entry.clone()];
    answer(
        &double,
        vec![(image.digest.clone(), own), (digest, vec![image_entry])],
    );
    let sweep = Probe::of(&double).referrers(Reach::All).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped artifact 1"]);
    assert_eq!(double.count(&lists()), 1);
    // What is no manifest is not there as one, for which distribution answers 500.
    double.forget_rules();
    answer(&double, vec![(image.digest.clone(), vec![signature, blob])]);
    let sweep = Probe::of(&double).referrers(Reach::Tagged).sweep().await;
    assert_eq!(
        told(&sweep)[..2],
        ["broken", "finding app referrer unreadable: "]
    );
}

#[tokio::test]
async fn a_known_finding_stays_while_nobody_answers() {
    let (double, image) = with_image().await;
    let mut record = Record::new(Probe::of(&double).sweep().await.registry);
    let sweep = |record: &Record| {
        let probe = Probe::of(&double).require("signature").knowing(record);
        probe.sweep()
    };
    record.absorb(sweep(&record).await);
    assert_eq!(record.failures(), 1);
    double.when(lists()).error(500, "UNKNOWN");
    record.absorb(sweep(&record).await);
    assert_eq!(record.failures(), 1, "nothing is known of it");
    double.forget_rules();
    let signature = attach(&double, &image.digest, SIGNATURE);
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    record.absorb(sweep(&record).await);
    record.absorb(sweep(&record).await);
    assert_eq!(record.failures(), 0);
}

#[tokio::test]
async fn what_was_attached_and_is_not_any_more_is_a_warning() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    let mut record = Record::new(Probe::of(&double).sweep().await.registry);
    let mut warned = Vec::new();
    for round in 0..5 {
        match round {
            1 => {
                double.forget_rules();
                answer(&double, Vec::new());
            }
            4 => {
                double.forget_rules();
                let again = attach(&double, &image.digest, SIGNATURE);
                answer(&double, vec![(image.digest.clone(), vec![again])]);
            }
            _ => {}
        }
        let probe = Probe::of(&double).referrers(Reach::Tagged).knowing(&record);
        record.absorb(probe.sweep().await);
        let seen_last = &record.last.as_ref().expect("a sweep").sweep;
        let lost = seen_last
            .referrers
            .as_ref()
            .map_or(0, |seen| seen.lost.len());
        assert_eq!(seen_last.warnings.len(), lost, "{:?}", seen_last.warnings);
        warned.push(lost);
        assert_eq!(record.failures(), 0);
    }
    assert_eq!(warned, [0, 0, 1, 1, 0]);
}

#[tokio::test]
async fn a_named_image_has_what_is_attached_in_its_tree() {
    let (double, image) = with_image().await;
    let signature = attach(&double, &image.digest, SIGNATURE);
    answer(&double, vec![(image.digest.clone(), vec![signature])]);
    let probe = Probe::of(&double).images(&[("app", "v1")]);
    let sweep = probe.referrers(Reach::Tagged).sweep().await;
    let children = sweep.images[0].root.children.iter();
    let kinds: Vec<_> = children
        .map(|child| (child.kind, child.children.len()))
        .collect();
    assert_eq!(kinds.last(), Some(&(Kind::Referrer, 2)), "{kinds:?}");
}
