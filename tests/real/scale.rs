//! Thousands of repositories and thousands of tags: every one is checked, up to the last of the last page.

use crate::support::access_log::Tally;
use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::bulk::{self, Push};
use crate::support::images::{Content, Image, Layer};
use crate::support::many::{Holds, Size, Static};
use crate::support::peak::run_watched;
use crate::support::probe::Probe;
use crate::support::process::{run, tool};
use crate::support::registry::Registry;
use crate::support::report::{Finding, Report};

const REPOSITORIES: usize = 2_500;
const TAGS: usize = 3_000;

#[test]
fn a_catalog_of_2500_repositories_is_checked_to_its_end() {
    let mut registry = Registry::start();
    let layers = [Layer::gzip("all of them")];
    let common: Content = Image::of("common", "amd64", &layers).into();
    let last: Content = Image::of("last", "amd64", &layers).into();
    let name = |number: usize| format!("many/r{number:04}");
    let mut pushes: Vec<Push> = (1..REPOSITORIES)
        .map(|number| Push::new(&name(number), "v1", &common))
        .collect();
    pushes.push(Push::new(&name(REPOSITORIES), "v1", &last));
    bulk::push_all(&registry, &pushes);
    let config = &last.images()[0].config.digest;
    registry.store().remove_data(config);
    registry.restart();

    let mark = registry.mark();
    let outcome = Probe::once().arg(registry.host()).run();
    let expected = Finding::new(
        &name(REPOSITORIES),
        "config/not_found",
        Some(config),
        &["v1"],
    );
    let report = assert_broken(&outcome, &[expected]);
    assert_eq!(report.count("repositories/listed"), REPOSITORIES);
    assert_eq!(report.count("repositories/checked"), REPOSITORIES);
    assert_eq!(report.count("tags/checked"), REPOSITORIES);
    let tally = Tally::of(&registry.requests_since(mark));
    assert!(
        tally.catalog_pages >= 3,
        "the catalog has several pages: {tally}"
    );
    assert!(
        tally.tag_pages >= REPOSITORIES,
        "every repository is asked for its tags: {tally}"
    );
}

#[test]
fn a_repository_of_3000_tags_is_checked_to_its_end() {
    let mut registry = Registry::start();
    let layers = [Layer::gzip("all of them")];
    let tag = |number: usize| format!("v{number:04}");
    let common = Image::of("common", "amd64", &layers);
    let mut pushes: Vec<Push> = (1..TAGS)
        .map(|number| Push::new("tall/app", &tag(number), &common.again(&tag(number)).into()))
        .collect();
    let last = Image::of("last", "amd64", &layers);
    let config = last.config.digest.clone();
    pushes.push(Push::new("tall/app", &tag(TAGS), &last.into()));
    bulk::push_all(&registry, &pushes);
    registry.store().remove_data(&config);
    registry.restart();

    let outcome = Probe::once().arg(registry.host()).run();
    let expected = Finding::new("tall/app", "config/not_found", Some(&config), &[&tag(TAGS)]);
    let report = assert_broken(&outcome, &[expected]);
    assert_eq!(report.count("tags/listed"), TAGS);
    assert_eq!(report.count("tags/checked"), TAGS);
}

#[test]
fn a_repository_with_no_tags_is_no_finding() {
    let mut registry = Registry::start();
    let image: Content = Image::new("untagged", "amd64").into();
    let repositories = ["tagged", "no-tags-left", "no-directory-of-tags"];
    let pushes = repositories.map(|repository| Push::new(repository, "v1", &image));
    bulk::push_all(&registry, &pushes);
    registry.store().remove_tag("no-tags-left", "v1");
    registry.store().remove_tags("no-directory-of-tags");
    registry.restart();
    assert_eq!(
        registry.client().get("/v2/no-tags-left/tags/list").status,
        200
    );
    assert_eq!(
        registry
            .client()
            .get("/v2/no-directory-of-tags/tags/list")
            .status,
        404
    );

    let report = assert_intact(&Probe::once().arg(registry.host()).run());
    assert_eq!(report.count("repositories/listed"), 3);
    assert_eq!(report.count("repositories/checked"), 3);
    assert_eq!(report.count("tags/listed"), 1);
    assert_eq!(report.count("tags/checked"), 1);
}

/// The short form of what `benches/scale` measures with ten times as many repositories and blobs.
#[test]
fn five_times_as_many_blobs_take_hardly_more_memory() {
    let peaks = [2, 10].map(|tags| {
        let size = Size {
            repositories: 1_000,
            tags,
            blobs: 10,
            shared: 0,
        };
        let registry = Static::start(size, None);
        let (peak, report) = peak_of_a_sweep(&registry, "head");
        assert_eq!(Holds::checked(&report), size.holds());
        peak
    });
    let [few, many] = peaks;
    assert!(
        many * 10 <= few * 13,
        "{few} KiB, and {many} KiB for five times as many"
    );
    assert!(many <= 96 * 1024, "{many} KiB");
}

#[test]
fn a_layer_longer_than_the_memory_is_read_in_full() {
    const LENGTH: u64 = 300_000_000;
    let directory = tempfile::tempdir().expect("a directory");
    let layer = directory.path().join("layer");
    // Zeros that take no room on the disk.
    let file = std::fs::File::create(&layer).expect("a file");
    file.set_len(LENGTH).expect("a long file");
    let sum = run(tool("sha256sum").arg(&layer)).stdout;
    let sum = String::from_utf8_lossy(&sum);
    let hex = sum.split_whitespace().next().expect("a digest");
    let registry = Static::with_layer(&layer, &format!("sha256:{hex}"), LENGTH);
    let (peak, report) = peak_of_a_sweep(&registry, "digest");
    assert_eq!(
        report.count("scrubbed_bytes"),
        300_000_115,
        "with its config"
    );
    assert!(peak <= 64 * 1024, "{peak} KiB");
}

/// The most memory in KiB, and what was reported.
fn peak_of_a_sweep(registry: &Static, depth: &str) -> (u64, Report) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probe"));
    command.env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(["--once", "--output", "json", "--quiet", "--depth", depth]);
    let (peak, output) = run_watched(command.arg(registry.url()));
    let json = serde_json::from_slice(&output).expect("a report in JSON");
    (peak, Report { json })
}
