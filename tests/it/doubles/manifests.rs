//! Manifests: how they are asked for, and what of the answers counts.

use registry_double::{Double, Format, Reply, media_type, on, presets};

use super::probe::{Probe, broken, told};

#[tokio::test]
async fn every_type_is_accepted_by_name() {
    let double = presets::accept_strict().await;
    let oci = double.image("app", Some("oci"), &[b"a layer"]);
    double.index("app", Some("oci-index"), &[("linux/amd64", &oci)]);
    let docker = double.image_in(Format::Docker, "app", Some("docker"), &[b"another"]);
    double.index("app", Some("docker-list"), &[("linux/amd64", &docker)]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!((sweep.counts.indexes, sweep.counts.manifests), (2, 2));
    assert_eq!(sweep.counts.tags.checked, 4);
    // That each request named all of them is held by `manners`.
    assert!(double.count(&on::manifest().header_with("accept", "prettyjws")) >= 8);
}

#[tokio::test]
async fn a_list_is_not_asked_for_as_a_manifest() {
    let double = presets::artifactory().await;
    double.image("docker-local/app", Some("v1"), &[b"a layer"]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let lists = double.seen(&on::tags());
    assert!(lists.iter().all(|seen| seen.status != 406), "{lists:?}");
    assert!(
        lists
            .iter()
            .all(|seen| seen.header("accept") == Some("application/json"))
    );
}

#[tokio::test]
async fn nothing_is_asked_for_in_compressed_form() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    // A front that compresses whatever it may, and so loses the length.
    double
        .when(on::any().matching(|request| request.header("accept-encoding") != Some("identity")))
        .edit(|_, reply| {
            reply
                .with_header("Content-Encoding", "gzip")
                .with_body("\x1f")
        });
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn a_registry_that_states_no_digest_is_taken_at_its_bytes() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double
        .when(on::manifest())
        .drop_header("Docker-Content-Digest");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!((sweep.counts.manifests, sweep.counts.blobs), (1, 2));
    // Once by its tag, and once by the digest that its bytes have: that is how clients go on.
    assert_eq!(double.count(&on::manifest().get()), 2);
}

/// A client that is told no digest takes that of the bytes, and pulls by it.
#[tokio::test]
async fn what_is_there_by_its_tag_alone_is_broken() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("other", Some("v1"), &[b"whole"]);
    double
        .when(on::manifest().repository("app"))
        .drop_header("Docker-Content-Digest");
    double
        .when(on::manifest().reference(&image.digest))
        .reply(Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep)[1], "finding app tag not_found: v1");
}

#[tokio::test]
async fn a_digest_without_its_algorithm_is_no_digest() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    let bare = image.digest.trim_start_matches("sha256:").to_owned();
    double
        .when(on::manifest())
        .set_header("Docker-Content-Digest", &bare);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn a_stated_digest_that_is_another_one_is_decided_by_the_bytes() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    let other = registry_double::sha256("something else");
    double
        .when(on::manifest().get().by_digest())
        .set_header("Docker-Content-Digest", &other);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);

    double.replace_bytes(&image.digest, r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app tag digest_mismatch: v1"]
    );
}

#[tokio::test]
async fn altered_bytes_under_the_right_digest_header_are_a_mismatch() {
    let (double, image) = presets::altered_manifest().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app tag digest_mismatch: v1"]
    );
    assert_eq!(broken(&sweep), [image.digest]);
    assert_eq!(double.count(&on::blob()), 0, "what altered bytes name");
}

#[tokio::test]
async fn a_head_that_refuses_is_asked_again_by_get() {
    for status in [400, 403, 404, 405, 406, 501] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        double
            .when(on::manifest().head())
            .reply(Reply::status(status));
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn the_status_of_the_get_is_the_one_that_counts() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.when(on::manifest().head()).reply(Reply::status(404));
    double.when(on::manifest().get()).error(403, "DENIED");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
}

#[tokio::test]
async fn a_manifest_is_read_once_however_many_name_it() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    for tag in ["v2", "v3", "latest"] {
        double.tag("app", tag, &image.digest);
    }
    double.index("app", Some("multi"), &[("linux/amd64", &image)]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let by_digest = on::manifest().get().reference(&image.digest);
    assert_eq!(double.count(&by_digest), 1);
    assert_eq!(double.count(&on::manifest().get().by_tag()), 1);
    assert_eq!(double.count(&on::manifest().get()), 3);
    assert_eq!(double.count(&on::manifest().head()), 5);
}

#[tokio::test]
async fn a_manifest_is_linked_in_each_repository_on_its_own() {
    let double = Double::start().await;
    let image = double.image("one", Some("v1"), &[b"a layer"]);
    double.image("two", Some("v1"), &[b"a layer"]);
    double.remove_manifest_link("two", &image.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding two tag not_found: v1"]);
}

#[tokio::test]
async fn a_manifest_of_ten_mebibytes_is_read_and_much_more_not() {
    let double = Double::start().await;
    let padded = |length: usize| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]{}}}"#,
            media_type::OCI_INDEX,
            " ".repeat(length)
        )
    };
    double.manifest(
        "app",
        Some("large"),
        media_type::OCI_INDEX,
        padded(10 << 20),
    );
    assert_eq!(
        told(&Probe::of(&double).sweep().await),
        [
            "intact",
            "warning indexes that promise nothing",
            "warning manifests of more than 4 MiB, which podman, CRI-O and skopeo refuse, and containerd by tag"
        ]
    );
    double.manifest("app", Some("huge"), media_type::OCI_INDEX, padded(17 << 20));
    let sweep = Probe::of(&double).tags("huge").sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "unverified",
            "unverified app too_large",
            "skipped tag_filter 1"
        ]
    );
}

#[tokio::test]
async fn a_warning_is_passed_on_once_and_changes_nothing() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double
        .when(on::manifest())
        .set_header("Warning", "299 - \"This registry closes in June.\"");
    let sweep = Probe::of(&double).sweep().await;
    assert!(sweep.findings.is_empty() && sweep.unverified.is_empty());
    let said = |warning: &&String| warning.contains("This registry closes in June.");
    assert_eq!(sweep.warnings.iter().filter(said).count(), 1);
}
