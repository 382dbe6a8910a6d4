//! Tags: what HEAD says of them, and what GET gives, which is what clients pull.

use registry_double::{Double, Image, Registry, Reply, on};

use super::probe::{Probe, broken, told};

/// `app:multi`, an index of two images, and some tags with images of their own.
async fn shelf(tags: usize) -> (Double, Image, Image, String) {
    let double = Double::start().await;
    let amd64 = double.image("app", None, &[b"of amd64"]);
    let arm64 = double.child("linux/arm64", "app", &[b"of arm64"]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    let index = double.index("app", Some("multi"), &children);
    for n in 0..tags {
        double.image(
            "app",
            Some(&format!("v{n}")),
            &[format!("layer {n}").as_bytes()],
        );
    }
    (double, amd64, arm64, index)
}

/// HEAD of `tag` names this image, whatever GET gives.
fn head_names(registry: &Registry, tag: &str, image: &Image) {
    let (digest, length) = (image.digest.clone(), image.size.to_string());
    let media_type = image.media_type;
    registry
        .when(on::manifest().head().reference(tag))
        .answer(move |_, _| {
            Reply::status(200)
                .with_header("Docker-Content-Digest", &digest)
                .with_header("Content-Type", media_type)
                .with_header("Content-Length", &length)
        });
}

#[tokio::test]
async fn what_a_client_pulls_is_what_get_gives() {
    // The only tag of a repository is the one whose turn it is.
    let (double, amd64, arm64, index) = shelf(0).await;
    head_names(&double, "multi", &amd64);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    double.remove_manifest_link("app", &arm64.digest);
    for probe in [
        Probe::of(&double),
        Probe::of(&double).images(&[("app", "multi")]),
    ] {
        let sweep = probe.sweep().await;
        assert_eq!(
            told(&sweep),
            ["broken", "finding app child not_found: multi"]
        );
        let parent = sweep.findings[0].parent.as_ref().map(ToString::to_string);
        assert_eq!(parent.as_ref(), Some(&index));
        assert_eq!(broken(&sweep), std::slice::from_ref(&arm64.digest));
    }
}

#[tokio::test]
async fn a_registry_with_a_wrong_head_is_asked_by_get_afterwards() {
    let (double, amd64, arm64, _) = shelf(0).await;
    double.remove_manifest_link("app", &arm64.digest);
    // Of all tags but the one whose turn it is, GET is asked for this reason alone.
    for n in 0..5 {
        let tag = format!("multi{n}");
        let digest = double.digest_of("app", "multi").expect("the index");
        double.tag("app", &tag, &digest);
        head_names(&double, &tag, &amd64);
    }
    head_names(&double, "multi", &amd64);
    let sweep = Probe::of(&double).sweep().await;
    let tags = "multi multi0 multi1 multi2 multi3 multi4";
    let finding = format!("finding app child not_found: {tags}");
    assert_eq!(told(&sweep), ["broken", &finding]);
    // The tag whose turn it is, in each look.
    assert_eq!(double.count(&on::manifest().head()), 3);
}

#[tokio::test]
async fn one_tag_a_repository_is_asked_by_get_and_no_other() {
    let (double, ..) = shelf(5).await;
    double.image("other", Some("v1"), &[b"another"]);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    for name in ["app", "other"] {
        let by_tag = on::manifest().get().by_tag().repository(name);
        assert_eq!(double.count(&by_tag), 1, "{name}");
    }
    assert_eq!(double.count(&on::manifest().head()), 7);
    // One GET by digest for each manifest there is.
    let by_digest = on::manifest().get().by_digest();
    assert_eq!(double.count(&by_digest), 1 + 2 + 5 + 1);
}

#[tokio::test]
async fn what_is_named_is_asked_by_head_and_get() {
    let (double, ..) = shelf(2).await;
    let images = [("app", "multi"), ("app", "v1")];
    let sweep = Probe::of(&double).images(&images).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(double.count(&on::manifest().head()), 2);
    assert_eq!(double.count(&on::manifest().get().by_tag()), 2);
}

#[tokio::test]
async fn what_head_names_is_walked_too() {
    let other = registry_double::sha256("something else");
    let (double, ..) = shelf(0).await;
    let head = on::manifest().head().by_tag();
    double
        .when(head)
        .set_header("Docker-Content-Digest", &other);
    // containerd asks for that digest.
    let broken = ["broken", "finding app tag not_found: multi"];
    assert_eq!(told(&Probe::of(&double).sweep().await), broken);
    let named = Probe::of(&double).images(&[("app", "multi")]);
    assert_eq!(told(&named.sweep().await), broken);
}

#[tokio::test]
async fn headers_that_name_other_digests_than_the_bytes_have() {
    let other = registry_double::sha256("something else");
    for matcher in [on::manifest().get().by_tag(), on::manifest().get()] {
        let (double, ..) = shelf(0).await;
        double
            .when(matcher)
            .set_header("Docker-Content-Digest", &other);
        let sweep = Probe::of(&double).images(&[("app", "multi")]).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
    }
    // What comes is walked, and what its header names as well as its bytes is not.
    let (double, amd64, ..) = shelf(0).await;
    let by_tag = on::manifest().get().by_tag();
    double
        .when(by_tag)
        .set_header("Docker-Content-Digest", &amd64.digest);
    let index = double.digest_of("app", "multi").expect("the index");
    double.remove_manifest_link("app", &amd64.digest);
    let sweep = Probe::of(&double).images(&[("app", "multi")]).sweep().await;
    let finding = "finding app child not_found: multi";
    assert_eq!(told(&sweep), ["broken", finding]);
    let parent = sweep.findings[0].parent.as_ref().map(ToString::to_string);
    assert_eq!(parent, Some(index));
    // HEAD is right, whatever GET says.
    let (double, ..) = shelf(0).await;
    double
        .when(on::manifest().get())
        .set_header("Docker-Content-Digest", &other);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
}

#[tokio::test]
async fn a_manifest_damaged_by_tag_is_not_what_its_digest_has() {
    for depth in [0, 9] {
        let (double, ..) = shelf(0).await;
        // Whole under its digest, and never by its tag, which says no length.
        double
            .when(on::manifest().get().by_tag())
            .edit(move |_, reply| {
                let end = reply.body.len() - depth - 1;
                let cut = reply.body.slice(..end);
                reply.with_body(cut)
            });
        let sweep = Probe::of(&double).sweep().await;
        assert_ne!(sweep.verdict().word(), "intact");
    }
}
