//! A store with one of each kind of damage: every one is named for what it is, and nothing else is.

use std::collections::BTreeSet;

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::images::{Blob, Content, Image, Layer};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;
use crate::support::store::Store;

/// The tag that each damaged repository has beside one that stays whole.
const TAG: &str = "broken";

/// What is done to one object of a repository, given by its digest.
type Damage = fn(&Store, &str, &str);

/// A repository, what has to be found in it, and what is done to the object that is found.
const FAULTS: [(&str, &str, Damage); 13] = [
    ("child-unlinked", "child/not_found", unlink_manifest),
    ("child-removed", "child/not_found", remove),
    ("child-emptied", "child/unreadable", empty),
    ("child-altered", "child/digest_mismatch", alter),
    ("tag-unlinked", "tag/not_found", unlink_manifest),
    ("tag-removed", "tag/not_found", remove),
    ("config-unlinked", "config/not_found", unlink_blob),
    ("config-removed", "config/not_found", remove),
    ("layer-unlinked", "layer/not_found", unlink_blob),
    ("layer-removed", "layer/not_found", remove),
    ("layer-emptied", "layer/size_mismatch", empty),
    ("layer-halved", "layer/size_mismatch", halve),
    (BIT_FLIPPED, "layer/digest_mismatch", flip),
];

fn unlink_manifest(store: &Store, repository: &str, digest: &str) {
    store.remove_revision_link(repository, digest);
}

fn unlink_blob(store: &Store, repository: &str, digest: &str) {
    store.remove_layer_link(repository, digest);
}

fn remove(store: &Store, _: &str, digest: &str) {
    store.remove_data(digest);
}

fn empty(store: &Store, _: &str, digest: &str) {
    store.empty_data(digest);
}

fn halve(store: &Store, _: &str, digest: &str) {
    store.halve_data(digest);
}

fn flip(store: &Store, _: &str, digest: &str) {
    store.flip_one_bit(digest);
}

fn alter(store: &Store, _: &str, digest: &str) {
    store.alter_manifest(digest);
}

/// The one repository whose damage only a full read can see.
const BIT_FLIPPED: &str = "layer-bit-flipped";

/// The repository in which one layer is under every tag.
const SHARED: &str = "team/shared-layer";

/// The object that a kind of finding is about: child and config for arm64, the last layer for amd64.
fn object<'a>(content: &'a Content, what: &str) -> &'a Blob {
    let [amd64, arm64] = content.images() else {
        panic!("an index over two images");
    };
    match what.split('/').next() {
        Some("tag") => content.manifest(),
        Some("child") => &arm64.manifest,
        Some("config") => &arm64.config,
        Some("layer") => amd64.layers.last().expect("an image has layers"),
        _ => panic!("no kind of finding: {what}"),
    }
}

/// Pushes everything, damages it, and starts the registry anew: nothing is remembered of what was pushed.
fn damaged() -> (Registry, Vec<Finding>) {
    let mut registry = Registry::start();
    let contents: Vec<Content> = FAULTS
        .iter()
        .map(|(name, ..)| Content::index(name))
        .collect();
    for ((repository, ..), content) in FAULTS.iter().zip(&contents) {
        skopeo::push(&registry, content, &format!("{repository}:{TAG}"));
        let whole = Image::new(&format!("{repository} whole"), "amd64").into();
        skopeo::push(&registry, &whole, &format!("{repository}:whole"));
    }
    skopeo::push(&registry, &Content::index("intact"), "team/intact:latest");
    let base = push_shared(&registry);

    let store = registry.store();
    let mut expected = Vec::new();
    for ((repository, what, damage), content) in FAULTS.iter().zip(&contents) {
        let digest = &object(content, what).digest;
        damage(&store, repository, digest);
        // Of a tag that leads nowhere no digest is known to a client.
        let known = (!what.starts_with("tag/")).then_some(digest.as_str());
        expected.push(Finding::new(repository, what, known, &[TAG]));
    }
    store.remove_data(&base);
    let tags = ["app", "job", "list"];
    expected.push(Finding::new(SHARED, "layer/not_found", Some(&base), &tags));
    registry.restart();
    (registry, expected)
}

/// Two images and an index, all on one base layer.
fn push_shared(registry: &Registry) -> String {
    let base = Layer::gzip("shared base");
    let image = |seed: &str, architecture| {
        Image::of(seed, architecture, &[base.clone(), Layer::plain(seed)])
    };
    let push = |tag: &str, content: &Content| {
        skopeo::push(registry, content, &format!("{SHARED}:{tag}"));
    };
    push("app", &image("app", "amd64").into());
    push("job", &image("job", "amd64").into());
    let children = vec![image("list amd64", "amd64"), image("list arm64", "arm64")];
    push("list", &Content::index_of("list", children));
    base.blob.digest
}

fn sweep(registry: &Registry, depth: &str) -> Outcome {
    Probe::once().depth(depth).arg(registry.host()).run()
}

/// What is found by everything less than a full read.
fn without_the_bit_flip(expected: Vec<Finding>) -> Vec<Finding> {
    let seen = expected.into_iter();
    seen.filter(|finding| finding.repository != BIT_FLIPPED)
        .collect()
}

#[test]
fn a_full_read_finds_all_of_it_and_nothing_else() {
    let (registry, expected) = damaged();
    let outcome = sweep(&registry, "digest");
    let report = assert_broken(&outcome, &expected);
    assert_eq!(report.count("tags/checked"), report.count("tags/listed"));

    let platforms = |kind: &str| -> BTreeSet<String> {
        let findings = report.raw_findings().iter();
        let findings = findings.filter(|finding| finding["kind"] == kind);
        findings
            .map(|finding| {
                finding["platforms"][0]
                    .as_str()
                    .unwrap_or("none")
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(
        platforms("child"),
        BTreeSet::from(["linux/arm64".to_owned()]),
        "{outcome}"
    );
    assert_eq!(
        platforms("config"),
        BTreeSet::from(["linux/arm64".to_owned()]),
        "{outcome}"
    );
    for finding in report.raw_findings() {
        let confirmations = finding["confirmations"].as_u64();
        assert!(
            confirmations.is_some_and(|times| times >= 1),
            "confirmed: {finding}"
        );
    }
}

#[test]
fn the_last_byte_finds_all_but_the_flipped_bit() {
    let (registry, expected) = damaged();
    let expected = without_the_bit_flip(expected);
    assert_broken(&sweep(&registry, "tail"), &expected);
}

#[test]
fn heads_on_a_cold_cache_find_all_but_the_flipped_bit() {
    let (registry, expected) = damaged();
    let expected = without_the_bit_flip(expected);
    assert_broken(&sweep(&registry, "head"), &expected);
}

#[test]
fn the_text_report_names_every_broken_repository_and_every_tag() {
    let (registry, expected) = damaged();
    let outcome = Probe::once_in_text()
        .depth("digest")
        .arg(registry.host())
        .run();
    assert_eq!(outcome.code, 1, "{outcome}");
    for finding in &expected {
        assert!(
            outcome.stdout.contains(&finding.repository),
            "{finding:?} in {outcome}"
        );
        for tag in &finding.tags {
            assert!(
                outcome.stdout.contains(tag),
                "{tag} of {finding:?} in {outcome}"
            );
        }
    }
    assert!(
        !outcome.stdout.contains("team/intact"),
        "nothing is wrong with it: {outcome}"
    );
    assert!(
        !outcome.stdout.contains('\u{1b}'),
        "no colour into a pipe: {outcome}"
    );
}

#[test]
fn links_that_are_gone_or_empty_break_their_tag() {
    let mut registry = Registry::start();
    for repository in ["dangling", "empty-tag", "empty-revision", "cleaned"] {
        let content = Image::new(repository, "amd64").into();
        skopeo::push(&registry, &content, &format!("{repository}:{TAG}"));
        let whole = Image::new(&format!("{repository} whole"), "amd64").into();
        skopeo::push(&registry, &whole, &format!("{repository}:whole"));
    }
    let digest = Content::from(Image::new("empty-revision", "amd64"))
        .manifest()
        .digest
        .clone();
    let store = registry.store();
    store.remove_tag_link("dangling", TAG);
    store.empty_tag_link("empty-tag", TAG);
    store.empty_revision_link("empty-revision", &digest);
    store.remove_tag("cleaned", TAG);
    registry.restart();

    // A tag whose directory is gone is no longer advertised.
    let expected = [
        Finding::new("dangling", "tag/not_found", None, &[TAG]),
        Finding::new("empty-tag", "tag/unreadable", None, &[TAG]),
        Finding::new("empty-revision", "tag/unreadable", None, &[TAG]),
    ];
    assert_broken(&sweep(&registry, "tail"), &expected);
}

#[test]
fn a_store_without_damage_is_intact_at_every_depth() {
    let mut registry = Registry::start();
    skopeo::push(&registry, &Content::index("intact"), "team/intact:latest");
    push_shared(&registry);
    registry.restart();
    for depth in ["head", "tail", "digest"] {
        let report = assert_intact(&sweep(&registry, depth));
        assert_eq!(report.json["depth"], depth);
        assert_eq!(report.count("tags/checked"), 4);
        assert_eq!(report.count("repositories/checked"), 2);
    }
}
