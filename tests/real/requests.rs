//! What a sweep costs, counted in the registry's own access log.

use std::collections::BTreeSet;

use crate::support::access_log::Tally;
use crate::support::assertions::assert_intact;
use crate::support::bulk::{self, Inventory, Push};
use crate::support::images::{Content, Image, Layer};
use crate::support::probe::Probe;
use crate::support::registry::Registry;

const REPOSITORIES: usize = 36;

/// Repositories in which much is shared: layers under many tags and in many repositories, a child under two
/// indexes, several tags on one digest. No config is small, so that every blob costs the same.
fn pushes() -> Vec<Push> {
    let everywhere = Layer::gzip("in every repository");
    let mut pushes = Vec::new();
    for number in 0..REPOSITORIES {
        let repository = format!("group{}/app{number:02}", number % 4);
        let base = Layer::gzip(&format!("{repository} base"));
        let image = |seed: &str, architecture| {
            let seed = format!("{repository} {seed}");
            let layers = [everywhere.clone(), base.clone(), Layer::plain(&seed)];
            Image::with_large_config(&seed, architecture, &layers)
        };
        let shared_child = image("shared child", "amd64");
        let single: Content = image("single", "amd64").into();
        let list = |seed: &str| {
            let children = vec![shared_child.clone(), image(seed, "arm64")];
            Content::index_of(&format!("{repository} {seed}"), children)
        };
        let (first, second) = (list("first"), list("second"));
        let tags = [
            ("single", &single),
            ("single-again", &single),
            ("1", &first),
            ("1.0", &first),
            ("1.0.0", &first),
            ("2", &second),
            (
                "child-by-its-own-name",
                &Content::from(shared_child.clone()),
            ),
        ];
        pushes.extend(tags.map(|(tag, content)| Push::new(&repository, tag, content)));
    }
    pushes
}

/// Sweeps at a depth; what was asked has to be what has to be asked, within two percent.
fn assert_cost(depth: &str, gets_of_blobs: fn(usize) -> usize) {
    let registry = Registry::start();
    let pushes = pushes();
    bulk::push_all(&registry, &pushes);
    let holds = Inventory::of(&pushes);
    let expected = Tally {
        pings: 1,
        catalog_pages: 1,
        tag_pages: holds.repositories.len(),
        manifest_heads: holds.tags.len(),
        // A tag of each repository by its name, too.
        manifest_gets: holds.manifests.len() + holds.repositories.len(),
        blob_heads: holds.blobs.len(),
        blob_gets: gets_of_blobs(holds.blobs.len()),
        other: 0,
    };

    let mark = registry.mark();
    let outcome = Probe::once().depth(depth).arg(registry.host()).run();
    let tally = Tally::of(&registry.requests_since(mark));
    let report = assert_intact(&outcome);
    assert_near(
        tally.total(),
        expected.total(),
        &format!("{tally}\nexpected {expected}"),
    );
    assert_near(
        report.count("requests"),
        tally.total(),
        "the report counts what the log counts",
    );
    assert_eq!(tally.other, 0, "nothing else is asked: {tally}");
    assert_eq!(report.count("tags/checked"), holds.tags.len());
}

fn assert_near(number: usize, expected: usize, what: &str) {
    let distance = number.abs_diff(expected);
    assert!(
        distance * 50 <= expected,
        "{number} is not within 2 % of {expected}: {what}"
    );
}

#[test]
fn heads_cost_one_request_for_each_tag_manifest_and_blob() {
    assert_cost("head", |_| 0);
}

#[test]
fn the_last_byte_costs_one_more_for_each_blob() {
    assert_cost("tail", |blobs| blobs);
}

fn all_differ<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let items: Vec<_> = items.collect();
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}

#[test]
fn manifests_are_asked_for_once_and_last_bytes_by_range() {
    let registry = Registry::start();
    bulk::push_all(&registry, &pushes()[..14]);
    let mark = registry.mark();
    assert_intact(&Probe::once().depth("tail").arg(registry.host()).run());
    let entries = registry.requests_since(mark);
    let gets = entries.iter().filter(|entry| entry.method == "GET");
    let manifests = gets
        .clone()
        .filter_map(|entry| entry.path.split_once("/manifests/"));
    let (by_digest, by_tag): (Vec<_>, Vec<_>) =
        manifests.partition(|(_, reference)| reference.starts_with("sha256:"));
    assert!(all_differ(by_digest.iter()), "{by_digest:?}");
    let repositories = by_tag.iter().map(|(repository, _)| repository);
    assert!(all_differ(repositories), "one tag of each: {by_tag:?}");
    for entry in gets.filter(|entry| entry.path.contains("/blobs/")) {
        assert_eq!(entry.status, 206, "a part of it: {entry:?}");
    }
    let writes = entries
        .iter()
        .filter(|entry| !["GET", "HEAD"].contains(&entry.method.as_str()));
    assert_eq!(writes.count(), 0, "it never writes");
    assert!(
        entries.iter().all(|entry| !entry.agent.is_empty()),
        "it says who it is"
    );
}
