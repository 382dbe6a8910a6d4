//! Which software it is: told from the answers that a sweep gets anyway, and what is said of it.

use registry_double::{Double, Reply, on, presets};
use registry_probe::registry::{Identified, Software};
use registry_probe::report::{Cause, Sweep};

use super::probe::{Probe, details, told};

const LAYER: &[u8] = &[b'x'; 80_000];

fn name(sweep: &Sweep) -> Option<Software> {
    sweep.access.software.as_ref().map(|found| found.name)
}

fn is_sure(sweep: &Sweep) -> bool {
    let software = sweep.access.software.as_ref();
    software.is_some_and(Identified::is_sure)
}

async fn swept(double: &Double) -> Sweep {
    double.image("team/app", Some("v1"), &[LAYER]);
    let probe = Probe::of(double).repositories(&["team/app"]);
    probe.sweep().await
}

#[tokio::test]
async fn by_what_a_sweep_hears() {
    let tells = [
        (
            presets::distribution28().await,
            Some(Software::Distribution2),
            true,
        ),
        (
            presets::debian_distribution().await,
            Some(Software::Distribution2),
            true,
        ),
        (
            presets::distribution3().await,
            Some(Software::Distribution3),
            true,
        ),
        (presets::zot().await, Some(Software::Zot), true),
        (presets::gitea().await, Some(Software::Gitea), true),
        (
            presets::gitea_with_storage().await,
            Some(Software::Gitea),
            true,
        ),
        (presets::gitlab().await, Some(Software::GitLab), false),
        (presets::ghcr().await, Some(Software::Ghcr), true),
        (presets::docker_hub().await, Some(Software::DockerHub), true),
        (presets::harbor().await, Some(Software::Harbor), false),
        (presets::quay().await, Some(Software::Quay), false),
        (presets::nexus().await, Some(Software::Nexus), false),
        (
            presets::artifactory().await,
            Some(Software::Artifactory),
            true,
        ),
        (presets::gar().await, Some(Software::Gar), false),
        // Its blobs are elsewhere, and the greeting alone is one that many copy.
        (presets::object_storage().await, None, false),
    ];
    for (double, expected, sure) in tells {
        let sweep = swept(&double).await;
        assert_eq!(
            told(&sweep)[0],
            "intact",
            "{expected:?}: {}",
            details(&sweep)
        );
        let found = &sweep.access.software;
        assert_eq!(
            (name(&sweep), is_sure(&sweep)),
            (expected, sure),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn what_the_caller_says_wins_and_costs_nothing() {
    let double = presets::distribution28().await;
    let requests = swept(&double).await.counts.requests;
    double.forget_requests();
    let probe = Probe::of(&double).repositories(&["team/app"]);
    let sweep = probe.software(Software::Harbor).sweep().await;
    assert_eq!(
        (name(&sweep), is_sure(&sweep)),
        (Some(Software::Harbor), true)
    );
    assert_eq!(sweep.counts.requests, requests);
}

#[tokio::test]
async fn what_contradicts_itself_stays_unknown() {
    let double = presets::zot().await;
    double
        .when(on::ping().get())
        .set_header("Server", "Nexus/3.87.1-01 (PRO)");
    assert_eq!(name(&swept(&double).await), None);
}

/// HEAD and Range say 404 there, which no clean-up has to do with: a plain GET serves what is left.
#[tokio::test]
async fn a_cut_file_of_zot_is_cut() {
    for (left, reason, cause) in [
        (1_000, "size_mismatch", Cause::Truncated),
        (0, "size_mismatch", Cause::EmptyFile),
    ] {
        let double = presets::zot().await;
        let image = double.image("team/app", Some("v1"), &[LAYER]);
        double.image("team/other", Some("v1"), &[b"whole"]);
        double.truncate_bytes(&image.layers[0], left);
        let sweep = Probe::of(&double).sweep().await;
        let finding = format!("finding team/app layer {reason}: v1");
        assert_eq!(told(&sweep), ["broken", &finding], "{}", details(&sweep));
        let found = &sweep.findings[0];
        assert_eq!(sweep.cause(found), cause, "{found:#?}");
        assert_eq!(name(&sweep), Some(Software::Zot));
    }
    // What is gone is gone for GET, too.
    let double = presets::zot().await;
    let image = double.image("team/app", Some("v1"), &[LAYER]);
    double.remove_bytes(&image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep)[1], "finding team/app layer not_found: v1");
    assert_eq!(sweep.cause(&sweep.findings[0]), Cause::GcOrRetention);
}

/// Lengths come from the database there, so that a cut file shows by the bytes that do not come.
#[tokio::test]
async fn a_cut_file_of_gitea_is_cut() {
    for (left, cause) in [(1_000, Cause::Truncated), (0, Cause::EmptyFile)] {
        let double = presets::gitea().await;
        let image = double.image("team/app", Some("v1"), &[LAYER]);
        double.image("team/other", Some("v1"), &[b"whole"]);
        double.truncate_bytes(&image.layers[0], left);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep)[1],
            "finding team/app layer short_read: v1",
            "{}",
            details(&sweep)
        );
        let found = &sweep.findings[0];
        assert_eq!(sweep.cause(found), cause, "{found:#?}");
        assert_eq!(name(&sweep), Some(Software::Gitea));
    }
}

/// The file is looked at for every answer, so that one that is gone is gone for HEAD, too.
#[tokio::test]
async fn a_lost_file_of_gitea_is_not_found() {
    let double = presets::gitea().await;
    let image = double.image("team/app", Some("v1"), &[LAYER]);
    double.remove_bytes(&image.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep)[1], "finding team/app layer not_found: v1");
    let asked = double.seen(&on::blob().reference(&image.layers[0]));
    assert!(asked.iter().all(|seen| seen.status == 404));
}

#[tokio::test]
async fn a_login_page_tells_nothing() {
    let double = Double::start().await;
    double.when(on::any()).reply(Reply::html(200, "Sign in"));
    assert_eq!(name(&Probe::of(&double).sweep().await), None);
}
