//! What a sweep costs, counted in the registry's own access log.

use std::collections::BTreeSet;

use crate::support::access_log::{Entry, Tally};
use crate::support::assertions::assert_intact;
use crate::support::bulk::{self, Inventory, Push};
use crate::support::images::{Content, Image, Layer};
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::service::Service;

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

/// Sweeps at a depth; what was asked has to be what has to be asked, within two percent. What is `read` of blobs
/// is another number in each registry, and the others are asked for by HEAD.
fn assert_cost(depth: &str, read: fn(&Inventory) -> usize) {
    let registry = Registry::start();
    let pushes = pushes();
    bulk::push_all(&registry, &pushes);
    let holds = Inventory::of(&pushes);
    let read = read(&holds);
    let expected = Tally {
        pings: 1,
        catalog_pages: 1,
        tag_pages: holds.repositories.len(),
        manifest_heads: holds.tags.len(),
        // A tag of each repository by its name, too.
        manifest_gets: holds.manifests.len() + holds.repositories.len(),
        blob_heads: holds.blobs.len() - read,
        blob_gets: read,
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
    assert_eq!(tally.blob_gets, read, "each is read once: {tally}");
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
fn last_bytes_cost_no_more_and_are_read_once_for_all() {
    assert_cost("tail", |holds| {
        let digests: BTreeSet<_> = holds.blobs.iter().map(|(_, digest)| digest).collect();
        assert!(digests.len() < holds.blobs.len(), "some are shared");
        digests.len()
    });
}

/// The GETs of manifests, as `PATH`.
fn reads_of_manifests(entries: &[Entry]) -> Vec<&str> {
    let reads = entries
        .iter()
        .filter(|entry| entry.method == "GET" && entry.path.contains("/manifests/"));
    reads.map(|entry| entry.path.as_str()).collect()
}

/// What a later sweep has to ask for: as much as the first, and no manifest by GET.
fn assert_reads_no_manifest(entries: &[Entry], holds: &Inventory) {
    let tally = Tally::of(entries);
    assert_eq!(reads_of_manifests(entries), [""; 0], "{tally}");
    let (tags, manifests) = (holds.tags.len(), holds.manifests.len());
    assert_eq!(tally.manifest_heads, tags + manifests, "{tally}");
    assert_near(
        tally.blob_heads + tally.blob_gets,
        holds.blobs.len(),
        "blobs",
    );
}

/// More repositories than are begun before the first answer shows which software it is.
fn some() -> (Registry, Vec<Push>) {
    let registry = Registry::start();
    let mut pushes = pushes();
    pushes.truncate(84);
    bulk::push_all(&registry, &pushes);
    (registry, pushes)
}

#[test]
fn a_later_sweep_of_the_service_reads_no_manifest() {
    let (registry, pushes) = some();
    let holds = Inventory::of(&pushes);
    let service = Service::start([registry.host()]);
    for _ in 0..2 {
        let mark = registry.mark();
        service.sweep_again();
        assert_reads_no_manifest(&registry.requests_since(mark), &holds);
    }
}

#[test]
fn a_later_run_with_a_state_reads_no_manifest() {
    let (registry, pushes) = some();
    let holds = Inventory::of(&pushes);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let state = folder.path().join("state.json");
    let run = || {
        let mark = registry.mark();
        let probe = Probe::once().arg("--state").arg(&state);
        assert_intact(&probe.arg(registry.host()).run());
        registry.requests_since(mark)
    };
    assert!(reads_of_manifests(&run()).len() > holds.manifests.len());
    for _ in 0..2 {
        assert_reads_no_manifest(&run(), &holds);
    }
}

fn all_differ<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let items: Vec<_> = items.collect();
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}

#[test]
fn manifests_are_asked_for_once_and_last_bytes_by_range() {
    let registry = Registry::start();
    let pushes = pushes();
    let some = &pushes[..14];
    bulk::push_all(&registry, some);
    let images = some.iter().flat_map(|push| push.content.images());
    let configs: BTreeSet<_> = images.map(|image| &*image.config.digest).collect();
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
        let is_config = configs.iter().any(|config| entry.path.ends_with(config));
        let expected = if is_config { 200 } else { 206 };
        assert_eq!(
            entry.status, expected,
            "all of a config, and a part of a layer: {entry:?}"
        );
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
