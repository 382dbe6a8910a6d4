//! The registries that people run, healthy: everything is reached, nothing is found, and no request
//! is made that they would mind.

use registry_double::{Bearer, Double, Format, Image, on, presets};
use registry_probe::report::Sweep;

use super::manners;
use super::probe::{Probe, details, told};

static LONG: [u8; 100_000] = [b'x'; 100_000];

/// Two repositories with an index, an image and a Docker image.
fn fill(double: &Double) -> Image {
    let image = double.image("team/app", Some("v1"), &[b"a layer", &LONG]);
    double.index("team/app", Some("multi"), &[("linux/amd64", &image)]);
    double.image_in(Format::Docker, "team/other", Some("v1"), &[b"another"]);
    image
}

/// That the sweep reached all that [`fill`] put there.
fn assert_all(sweep: &Sweep, more: &[&str]) {
    let expected: Vec<_> = ["intact"].iter().chain(more).copied().collect();
    assert_eq!(told(sweep), expected, "{}", details(sweep));
    let counts = sweep.counts;
    assert_eq!((counts.repositories.checked, counts.tags.checked), (2, 3));
    assert_eq!((counts.indexes, counts.manifests, counts.blobs), (1, 2, 5));
}

const NAMED: [&str; 2] = ["team/app", "team/other"];

#[tokio::test]
async fn distribution_in_all_versions() {
    for double in [
        presets::distribution28().await,
        presets::debian_distribution().await,
        presets::distribution3().await,
        presets::distribution31().await,
        presets::stale_descriptor_cache().await,
        presets::stale_manifest_cache().await,
        presets::accept_strict().await,
        presets::object_storage().await,
    ] {
        fill(&double);
        let sweep = Probe::of(&double).sweep().await;
        assert_all(&sweep, &[]);
        assert!(double.requests().iter().all(|seen| seen.status < 400));
    }
}

#[tokio::test]
async fn a_token_per_repository_and_no_more() {
    let double = Double::start().await;
    double.require(Bearer::anonymous());
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &[]);
    // One for the catalog, which asks for it, and one for each repository.
    assert_eq!(double.count(&on::token()), 3);
    let catalog = on::token().param_with("scope", "registry:catalog:*");
    assert_eq!(double.count(&catalog), 1);
}

#[tokio::test]
async fn harbor_lists_for_its_admin_only_and_by_password() {
    let double = presets::harbor().await;
    fill(&double);
    let sweep = Probe::of(&double)
        .login("admin", "Harbor12345")
        .sweep()
        .await;
    assert_all(&sweep, &[]);
    assert!(double.count(&on::token()) <= 3);

    double.forget_requests();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
    assert!(details(&sweep).contains("--repo"));
    assert!(double.count(&on::catalog()) <= 2);
    let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
    assert_all(&sweep, &[]);
}

#[tokio::test]
async fn harbor_policies_are_no_absence() {
    let double = presets::harbor().await;
    fill(&double);
    double.image("policy/blocked", Some("v1"), &[b"vulnerable"]);
    let sweep = Probe::of(&double)
        .login("admin", "Harbor12345")
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified policy/blocked forbidden"]
    );
    assert_eq!(sweep.counts.repositories.checked, 2);
}

#[tokio::test]
async fn quay_is_paged_by_its_own_tokens_and_limits_politely() {
    let double = presets::quay().await;
    fill(&double);
    double.quirks(|quirks| {
        quirks.catalog.max = Some(1);
        quirks.tags.max = Some(1);
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &[]);
    manners::hold(double.companion());
    let refused = on::token().param_with("scope", "registry:catalog:");
    assert_eq!(double.count(&refused), 0);
}

#[tokio::test]
async fn gitea_and_forgejo() {
    let double = presets::gitea().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &["skipped range_unsupported 1"]);
    assert_eq!(double.count(&on::token()), 1, "one scope for everything");
    let double = presets::gitea_with_storage().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &[]);
    manners::hold(double.companion());
}

#[tokio::test]
async fn ecr_and_ecr_public() {
    let double = presets::ecr().await;
    fill(&double);
    let sweep = Probe::of(&double).login("AWS", "token").sweep().await;
    assert_all(&sweep, &[]);
    manners::hold(double.companion());
    let double = presets::ecr_public().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &[]);
    assert_eq!(double.count(&on::token()), 1, "one scope for everything");
}

#[tokio::test]
async fn nexus() {
    let double = presets::nexus().await;
    fill(&double);
    double.quirks(|quirks| {
        quirks.catalog.max = Some(1);
        quirks.tags.max = Some(1);
    });
    let sweep = Probe::of(&double).sweep().await;
    // A null at the end of each page: two of the catalog, three of tags.
    assert_all(&sweep, &["skipped invalid_name 5"]);
}

#[tokio::test]
async fn artifactory() {
    let double = presets::artifactory().await;
    let image = double.image("docker-local/team/app", Some("v1"), &[b"a layer", &LONG]);
    for tag in ["v2", "v3", "v4"] {
        double.tag("docker-local/team/app", tag, &image.digest);
    }
    double.quirks(|quirks| {
        quirks.catalog.max = Some(1);
        quirks.tags.max = Some(1);
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.tags.checked, 4);
}

#[tokio::test]
async fn ghcr_has_no_catalog_and_no_head_in_its_storage() {
    let double = presets::ghcr().await;
    let image = fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
    assert!(details(&sweep).contains("--repo"));

    for n in 0..150 {
        double.tag("team/app", &format!("n{n}"), &image.digest);
    }
    let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
    assert_eq!(told(&sweep), ["intact"], "{}", details(&sweep));
    assert_eq!(sweep.counts.tags.checked, 153);
    assert_eq!(double.count(&on::token()), 2);
    manners::hold(double.companion());
}

#[tokio::test]
async fn docker_hub_refuses_its_catalog_for_ever() {
    let double = presets::docker_hub().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
    assert!(details(&sweep).contains("--repo"));
    assert!(double.count(&on::catalog()) <= 2);
    assert!(double.count(&on::token()) <= 2);
    let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
    assert_all(&sweep, &[]);
    // What counts against the limit is asked for once: three manifests, and a tag of each repository.
    assert_eq!(double.count(&on::manifest().get()), 3 + 2);
    manners::hold(double.companion());
}

#[tokio::test]
async fn google_artifact_registry_lists_nothing_and_has_everything() {
    let double = presets::gar().await;
    fill(&double);
    let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
    assert_all(&sweep, &[]);
    assert_eq!(double.count(&on::catalog()), 0);
}

#[tokio::test]
async fn azure() {
    let double = presets::acr().await;
    fill(&double);
    let user = "00000000-0000-0000-0000-000000000000";
    let sweep = Probe::of(&double).login(user, "unused").sweep().await;
    assert_all(&sweep, &[]);
    assert_eq!(double.count(&on::token().method("POST")), 0);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
}

#[tokio::test]
async fn gitlab_refuses_its_catalog_at_the_token_service() {
    let double = presets::gitlab().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - forbidden"]);
    assert!(details(&sweep).contains("--repo"));
    let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
    assert_all(&sweep, &[]);
}

#[tokio::test]
async fn zot() {
    let double = presets::zot().await;
    fill(&double);
    let sweep = Probe::of(&double).sweep().await;
    assert_all(&sweep, &[]);
    assert!(double.requests().iter().all(|seen| seen.status < 400));
}
