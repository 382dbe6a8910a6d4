//! Each file of distribution's storage that can be lost or damaged, and what a client is told.

use registry_double::{Double, Image, on};

use super::probe::{Probe, broken, told};

/// `app`: `multi` of two platforms, `v1` being one of them, and a neighbour that stays whole.
struct Shelf {
    double: Double,
    amd64: Image,
    arm64: Image,
}

async fn shelf() -> Shelf {
    let double = Double::start().await;
    let amd64 = double.image("app", Some("v1"), &[b"amd64", b"shared"]);
    let arm64 = double.child("linux/arm64", "app", &[b"arm64", b"shared"]);
    double.index(
        "app",
        Some("multi"),
        &[("linux/amd64", &amd64), ("linux/arm64/v8", &arm64)],
    );
    double.image("neighbour", Some("v1"), &[b"another"]);
    Shelf {
        double,
        amd64,
        arm64,
    }
}

/// What a sweep says after this damage.
async fn after(damage: impl FnOnce(&Shelf)) -> Vec<String> {
    let shelf = shelf().await;
    damage(&shelf);
    told(&Probe::of(&shelf.double).sweep().await)
}

#[tokio::test]
async fn an_intact_shelf() {
    assert_eq!(after(|_| {}).await, ["intact"]);
}

#[tokio::test]
async fn links_of_manifests() {
    let found = after(|s| s.double.remove_manifest_link("app", &s.arm64.digest)).await;
    assert_eq!(found, ["broken", "finding app child not_found: multi"]);
    let found = after(|s| s.double.empty_manifest_link("app", &s.arm64.digest)).await;
    assert_eq!(found, ["broken", "finding app child unreadable: multi"]);
    let found = after(|s| s.double.remove_manifest_link("app", &s.amd64.digest)).await;
    // A tag whose manifest is gone is asked for by its name, and says no more than that.
    let both = [
        "finding app child not_found: multi",
        "finding app tag not_found: v1",
    ];
    assert_eq!(found, ["broken", both[0], both[1]]);
}

#[tokio::test]
async fn data_of_manifests() {
    let found = after(|s| s.double.remove_bytes(&s.arm64.digest)).await;
    assert_eq!(found, ["broken", "finding app child not_found: multi"]);
    let found = after(|s| s.double.empty_bytes(&s.arm64.digest)).await;
    assert_eq!(found, ["broken", "finding app child unreadable: multi"]);
    let found = after(|s| s.double.flip_bit(&s.arm64.digest, 40)).await;
    assert_eq!(
        found,
        ["broken", "finding app child digest_mismatch: multi"]
    );
}

#[tokio::test]
async fn links_and_data_of_blobs() {
    let layer = |s: &Shelf| s.arm64.layers[0].clone();
    let shared = |s: &Shelf| s.arm64.layers[1].clone();
    let found = after(|s| s.double.remove_layer_link("app", &layer(s))).await;
    assert_eq!(found, ["broken", "finding app layer not_found: multi"]);
    let found = after(|s| s.double.empty_layer_link("app", &layer(s))).await;
    assert_eq!(found, ["broken", "finding app layer unreadable: multi"]);
    let found = after(|s| s.double.remove_bytes(&shared(s))).await;
    assert_eq!(found, ["broken", "finding app layer not_found: multi v1"]);
    let found = after(|s| s.double.empty_bytes(&layer(s))).await;
    assert_eq!(found, ["broken", "finding app layer size_mismatch: multi"]);
    let found = after(|s| s.double.remove_bytes(&s.arm64.config)).await;
    assert_eq!(found, ["broken", "finding app config not_found: multi"]);
}

#[tokio::test]
async fn tags() {
    let found = after(|s| s.double.remove_tag_link("app", "v1")).await;
    assert_eq!(found, ["broken", "finding app tag not_found: v1"]);
    let found = after(|s| s.double.empty_tag_link("app", "v1")).await;
    assert_eq!(found, ["broken", "finding app tag unreadable: v1"]);
    assert_eq!(
        after(|s| s.double.remove_tag("app", "v1")).await,
        ["intact"]
    );
}

#[tokio::test]
async fn directories() {
    assert_eq!(
        after(|s| s.double.remove_tags_directory("app")).await,
        ["intact"]
    );
    assert_eq!(
        after(|s| s.double.remove_manifests_directory("app")).await,
        ["intact"]
    );
    // 2.8 drops the repository from its catalog; who names it is told.
    let shelf = shelf().await;
    shelf.double.remove_layers_directory("app");
    let sweep = Probe::of(&shelf.double)
        .repositories(&["app"])
        .sweep()
        .await;
    assert_eq!(sweep.findings.len(), 5, "{:?}", told(&sweep));
    assert!(
        told(&sweep)[1..]
            .iter()
            .all(|line| line.contains("not_found"))
    );
}

#[tokio::test]
async fn a_finding_tells_the_whole_trail() {
    let shelf = shelf().await;
    let layer = &shelf.arm64.layers[0];
    shelf.double.remove_bytes(layer);
    let sweep = Probe::of(&shelf.double).sweep().await;
    let finding = &sweep.findings[0];
    assert_eq!(broken(&sweep), std::slice::from_ref(layer));
    assert_eq!(finding.platforms, ["linux/arm64/v8"]);
    assert_eq!(
        finding.parent.as_ref().map(ToString::to_string),
        Some(shelf.arm64.digest.clone())
    );
    assert_eq!(finding.size, Some(5));
    assert_eq!(finding.defect.evidence.status, Some(404));
    assert_eq!(
        finding.defect.evidence.request.to_string(),
        format!("GET /v2/app/blobs/{layer}")
    );
    assert!(finding.defect.evidence.answer().contains("BLOB_UNKNOWN"));
}

#[tokio::test]
async fn an_image_named_by_digest_needs_no_tag() {
    let shelf = shelf().await;
    shelf.double.remove_tag("app", "v1");
    shelf.double.remove_bytes(&shelf.amd64.layers[0]);
    let digest = shelf.amd64.digest.as_str();
    let sweep = Probe::of(&shelf.double)
        .images(&[("app", digest)])
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: "]);
    assert_eq!(shelf.double.count(&on::tags()), 0);
    shelf.double.remove_manifest_link("app", digest);
    let sweep = Probe::of(&shelf.double)
        .images(&[("app", digest)])
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["broken", "finding app manifest not_found: "]);
}
