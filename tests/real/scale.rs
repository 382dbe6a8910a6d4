//! Thousands of repositories and thousands of tags: every one is checked, up to the last of the last page.

use crate::support::access_log::Tally;
use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::bulk::{self, Push};
use crate::support::images::{Content, Image, Layer};
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::report::Finding;

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
    let outcome = Probe::once()
        .args(["--deadline", "120s"])
        .arg(registry.host())
        .run();
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

    let outcome = Probe::once()
        .args(["--deadline", "120s"])
        .arg(registry.host())
        .run();
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
