//! What `probe verify` may expect of images, and when it looks.

use std::time::Duration;

use serde_json::json;

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::images::{Content, Image};
use crate::support::probe::Probe;
use crate::support::process::wait_until;
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;

#[test]
fn a_tag_has_to_lead_to_what_was_pushed() {
    let registry = Registry::start();
    let (old, new) = (Content::index("old"), Content::index("new"));
    skopeo::push(&registry, &old, "app:v1");
    let image = format!("{}/app:v1", registry.host());
    let verify = |digest: &str| {
        let probe = Probe::verify().arg("--expect-digest").arg(digest);
        probe.arg(&image).run()
    };
    assert_intact(&verify(&old.manifest().digest));
    let outcome = verify(&new.manifest().digest);
    assert_eq!(outcome.code, 1, "{outcome}");
    let report = outcome.json();
    assert_eq!(report["verdict"], "broken");
    assert_eq!(report["findings"], json!([]));
    let observed = format!("it leads to {}", old.manifest().digest);
    let expected = json!([{
        "image": "app:v1",
        "digest": new.manifest().digest,
        "observed": observed,
    }]);
    assert_eq!(report["unmet"], expected, "{outcome}");
}

#[test]
fn a_platform_has_to_be_there_in_an_index_and_in_a_config() {
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("both"), "app:both");
    skopeo::push(&registry, &Image::new("one", "arm64").into(), "app:one");
    let run = |image: &str, platforms: &[&str]| {
        let mut probe = Probe::verify();
        for platform in platforms {
            probe = probe.arg("--platform").arg(platform);
        }
        probe.arg(format!("{}/{image}", registry.host())).run()
    };
    assert_intact(&run("app:both", &["linux/amd64", "linux/arm64"]));
    assert_intact(&run("app:both", &["linux/x86_64", "linux/arm64/v8"]));
    assert_intact(&run("app:one", &["linux/arm64"]));
    for (image, platform, observed) in [
        (
            "app:both",
            "linux/s390x",
            "it is for linux/amd64, linux/arm64",
        ),
        ("app:one", "linux/amd64", "it is for linux/arm64"),
    ] {
        let outcome = run(image, &["linux/arm64", platform]);
        assert_eq!(outcome.code, 1, "{outcome}");
        let unmet = &outcome.json()["unmet"];
        assert_eq!(unmet.as_array().map(Vec::len), Some(1), "{outcome}");
        assert_eq!(unmet[0]["platform"], platform, "{outcome}");
        assert_eq!(unmet[0]["observed"], observed, "{outcome}");
    }
}

/// In a sparse copy a platform may be absent, unless somebody needs it.
#[test]
fn a_platform_that_is_expected_may_not_be_left_out_of_a_mirror() {
    let mut registry = Registry::start();
    let sparse = Content::index("sparse");
    skopeo::push(&registry, &sparse, "app:v1");
    let gone = &sparse.images()[1].manifest.digest;
    registry.store().remove_revision_link("app", gone);
    registry.restart();
    let run = |platform: &str| {
        let probe = Probe::verify().args(["--mode", "mirror", "--platform", platform]);
        probe.arg(format!("{}/app:v1", registry.host())).run()
    };
    assert_intact(&run("linux/amd64"));
    let outcome = run("linux/arm64");
    assert_eq!(outcome.code, 1, "{outcome}");
    assert_eq!(outcome.json()["unmet"][0]["platform"], "linux/arm64");
}

#[test]
fn a_push_is_waited_for() {
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("other"), "app:other");
    let content = Content::index("late");
    let mark = registry.mark();
    // Longer than any run here: it does not wait for longer than it takes.
    let probe = Probe::verify()
        .args(["--wait", "1h", "--expect-digest"])
        .arg(&content.manifest().digest)
        .arg(format!("{}/app:late", registry.host()));
    let outcome = probe.run_while(|_| {
        wait_until("it is looked for", || {
            let requests = registry.requests_so_far(mark);
            requests.iter().any(|entry| entry.path.ends_with("/late"))
        });
        skopeo::push(&registry, &content, "app:late");
    });
    let report = assert_intact(&outcome);
    assert_eq!(report.count("tags/checked"), 1, "{outcome}");
}

#[test]
fn what_never_comes_is_waited_for_no_longer_than_asked() {
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("other"), "app:other");
    let image = format!("{}/app:never", registry.host());
    let expected = [Finding::new("app", "tag/not_found", None, &["never"])];
    let outcome = Probe::verify().args(["--wait", "3s"]).arg(&image).run();
    assert_broken(&outcome, &expected);
    assert!(outcome.elapsed >= Duration::from_secs(3), "{outcome}");
}

/// Other damage than an absence does not pass by waiting.
#[test]
fn damage_is_not_waited_for() {
    let mut registry = Registry::start();
    let image = Image::new("cut", "amd64");
    skopeo::push(&registry, &image.clone().into(), "app:cut");
    registry.store().flip_one_bit(&image.layers[0].digest);
    registry.restart();
    let name = format!("{}/app:cut", registry.host());
    let probe = Probe::verify().depth("digest").args(["--wait", "1h"]);
    let outcome = probe.arg(&name).run();
    assert_eq!(outcome.code, 1, "{outcome}");
}

/// The race with a clean-up: intact at first, and gone some time later.
#[test]
fn what_a_clean_up_takes_is_seen_by_the_recheck() {
    let mut registry = Registry::start();
    let content = Content::index("raced");
    skopeo::push(&registry, &content, "app:v1");
    let image = format!("{}/app:v1", registry.host());
    let child = content.images()[1].manifest.digest.clone();
    let mark = registry.mark();
    assert_intact(&Probe::verify().arg(&image).run());
    let one_look = registry.requests_since(mark).len();
    let mark = registry.mark();
    let probe = Probe::verify().args(["--recheck-after", "5s"]).arg(&image);
    let outcome = probe.run_while(|under_way| {
        wait_until("it has looked", || {
            registry.requests_so_far(mark).len() >= one_look
        });
        under_way.standing_still(|| {
            registry.store().remove_revision_link("app", &child);
            registry.restart();
        });
    });
    let expected = [Finding::new(
        "app",
        "child/not_found",
        Some(&child),
        &["v1"],
    )];
    assert_broken(&outcome, &expected);
}
