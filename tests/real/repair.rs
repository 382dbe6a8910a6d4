//! From a finding to its repair: what the report says to paste is pasted, and the next sweep is intact. And
//! what it says garbage collection would break is what garbage collection breaks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::configured::Configured;
use crate::support::hand::Hand;
use crate::support::images::{Blob, Content, Image, Layer, sha256};
use crate::support::paste::{Shell, actions, commands, first_repair};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::{Login, Registry};
use crate::support::report::Finding;
use crate::support::skopeo;
use crate::support::token_server::{Terms, TokenServer};

fn sweep(registry: &Registry) -> Outcome {
    Probe::once().depth("digest").arg(registry.host()).run()
}

/// The finding on one object.
fn finding(outcome: &Outcome, digest: &str) -> Value {
    let report = outcome.report();
    let mut findings = report.raw_findings().iter();
    let finding = findings.find(|finding| finding["digest"] == digest);
    finding
        .unwrap_or_else(|| panic!("{digest} in {outcome}"))
        .clone()
}

/// The incident of 2026-04-19: two indexes share children whose links a clean-up took, and one sibling is whole.
fn incident() -> (Registry, [Content; 3]) {
    let mut registry = Registry::start();
    let child = |architecture| Image::new(&format!("shared {architecture}"), architecture);
    let children = vec![child("amd64"), child("arm64")];
    let first = Content::index_of("first", children.clone());
    let second = Content::index_of("second", children);
    let third = Content::index("third");
    for (tag, content) in [("1.1", &first), ("1.2", &second), ("1.0", &third)] {
        skopeo::push(&registry, content, &format!("team/app:{tag}"));
    }
    for child in first.images() {
        let store = registry.store();
        store.remove_revision_link("team/app", &child.manifest.digest);
    }
    registry.restart();
    (registry, [first, second, third])
}

#[test]
fn the_incident_fits_one_screen_and_its_repair_ends_it() {
    let (mut registry, [first, second, third]) = incident();
    let children: Vec<_> = first
        .images()
        .iter()
        .map(|child| child.manifest.digest.clone())
        .collect();
    let expected = |digest: &String| {
        Finding::new("team/app", "child/not_found", Some(digest), &["1.1", "1.2"])
    };
    let expected: Vec<_> = children.iter().map(expected).collect();
    let outcome = sweep(&registry);
    let report = assert_broken(&outcome, &expected);
    assert_eq!(report.count("broken_objects"), 2, "{outcome}");
    assert_eq!(report.count("broken_references"), 4, "{outcome}");
    for child in &children {
        let finding = finding(&outcome, child);
        assert_eq!(finding["cause"], "gc_or_retention", "{outcome}");
        assert_eq!(finding["nearby"]["sibling"][0], "1.0", "{outcome}");
        assert_eq!(
            actions(&finding),
            ["push", "rollback", "delete"],
            "{outcome}"
        );
    }

    let outcome = Probe::once_in_text().arg(registry.host()).run();
    let told = &outcome.stdout;
    let intact = &third.manifest().digest;
    let needed = children.iter().map(String::as_str).chain([
        "4 broken references to 2 objects",
        "breaks 2 tags: 1.1, 1.2",
        "[gc_or_retention]",
        "ROLLBACK: 1.1, 1.2 will contain 1.0",
        intact,
    ]);
    for words in needed {
        assert!(told.contains(words), "{words} is told: {outcome}");
    }
    assert!(told.lines().count() < 50, "in one screen: {outcome}");

    // One of the tags is enough: the push names the last.
    let shell = Shell::new().with_source(&second);
    shell.paste(&mut registry, &first_repair(&outcome));
    assert_intact(&sweep(&registry));
    // Exactly what it was.
    for (tag, content) in [("1.1", &first), ("1.2", &second)] {
        let path = format!("/v2/team/app/manifests/{tag}");
        let head = registry.client().head(&path);
        let digest = &content.manifest().digest;
        assert_eq!(head.header("docker-content-digest"), digest, "{tag}");
    }
}

#[test]
fn pushing_one_tag_again_restores_what_all_of_them_miss() {
    let (mut registry, [first, second, _]) = incident();
    let outcome = sweep(&registry);
    let finding = finding(&outcome, &first.images()[0].manifest.digest);
    let shell = Shell::new().with_source(&second);
    shell.paste(&mut registry, &commands(&finding, "push"));
    let head = registry.client().head("/v2/team/app/manifests/1.1");
    assert_eq!(
        head.header("docker-content-digest"),
        first.manifest().digest
    );
    assert_intact(&sweep(&registry));
}

#[test]
fn without_the_image_a_push_says_what_is_missing() {
    let (registry, [first, ..]) = incident();
    let finding = finding(&sweep(&registry), &first.images()[0].manifest.digest);
    let push = commands(&finding, "push");
    let output = std::process::Command::new("sh")
        .args(["-c", &push])
        .env_remove("SOURCE")
        .output();
    let said = String::from_utf8_lossy(&output.expect("there is a shell").stderr).into_owned();
    assert!(said.contains("where the image is"), "{said}");
}

#[test]
fn a_stale_cache_is_refreshed_where_a_push_does_nothing() {
    let mut registry = Registry::start();
    let layers = ["removed", "emptied", "halved", "whole"].map(Layer::gzip);
    let image: Content = Image::of("stale", "amd64", &layers).into();
    skopeo::push(&registry, &image, "stale/app:latest");
    assert_intact(&sweep(&registry));
    let [removed, emptied, halved, _] = layers.map(|layer| layer.blob.digest);
    let store = registry.store();
    store.remove_data(&removed);
    store.empty_data(&emptied);
    store.halve_data(&halved);

    let outcome = Probe::once().arg(registry.host()).run();
    let shell = Shell::new().with_source(&image);
    let findings = [&removed, &emptied, &halved].map(|digest| finding(&outcome, digest));
    let (gone, halved) = ("stale_descriptor_cache", "truncated");
    for (finding, cause) in findings.iter().zip([gone, gone, halved]) {
        assert_eq!(finding["cause"], cause, "{outcome}");
        assert_eq!(finding["evidence"]["observed"]["is"], "cut", "{outcome}");
        assert_eq!(actions(finding), ["restart", "delete"], "{outcome}");
    }
    let refresh = commands(&findings[0], "restart");
    let push = refresh.lines().last().expect("commands");
    shell.paste(&mut registry, push);
    let still = Probe::once().arg(registry.host()).run();
    assert_eq!(still.report().findings().len(), 3, "a push alone: {still}");
    for finding in &findings {
        shell.paste(&mut registry, &commands(finding, "restart"));
    }
    assert_intact(&sweep(&registry));
}

/// Two repositories of one layer, and one of them loses its link to it.
fn half_linked(mut registry: Registry) -> (Registry, String) {
    let shared = Layer::gzip("shared");
    let layers = [shared.clone(), Layer::gzip("own")];
    for (seed, name) in [("a", "team/app:v1"), ("b", "team/base:v1")] {
        let image: Content = Image::of(seed, "amd64", &layers).into();
        skopeo::push(&registry, &image, name);
    }
    let digest = shared.blob.digest;
    registry.store().remove_layer_link("team/app", &digest);
    registry.restart();
    (registry, digest)
}

#[test]
fn a_layer_that_another_repository_holds_is_mounted() {
    let (mut registry, digest) = half_linked(Registry::start());
    let outcome = sweep(&registry);
    let finding = finding(&outcome, &digest);
    assert_eq!(finding["cause"], "gc_or_retention", "{outcome}");
    assert_eq!(finding["nearby"]["copy"], "team/base", "{outcome}");
    assert_eq!(
        actions(&finding),
        ["restore", "push", "delete"],
        "{outcome}"
    );
    let said = Shell::new().paste(&mut registry, &commands(&finding, "restore"));
    assert_eq!(said, "201\n");
    assert_intact(&sweep(&registry));
}

#[test]
fn a_mount_logs_in_as_curl_does_and_no_report_holds_a_password() {
    let login = Login::of_the_tests();
    let (mut registry, digest) = half_linked(Registry::start_with_login(login.clone()));
    let sweep = |registry: &Registry| {
        let probe = Probe::once().args(["--username", &login.user]);
        probe
            .password_file(&login.password)
            .arg(registry.host())
            .run()
    };
    let outcome = sweep(&registry);
    let mount = commands(&finding(&outcome, &digest), "restore");
    assert!(mount.contains("--netrc"), "{mount}");
    assert!(!outcome.stdout.contains(&login.password), "{outcome}");
    let said = Shell::new().with_netrc(&login).paste(&mut registry, &mount);
    assert_eq!(said, "201\n");
    assert_intact(&sweep(&registry));
}

#[test]
fn behind_a_token_service_a_mount_asks_for_a_token_first() {
    let mut registry = Configured::start();
    let shared = Layer::gzip("shared");
    let layers = [shared.clone(), Layer::gzip("own")];
    let hand = Hand::new(&registry.host());
    for (seed, name) in [("a", "team/app"), ("b", "team/base")] {
        hand.push(name, "v1", &Image::of(seed, "amd64", &layers).into());
    }
    let digest = shared.blob.digest;
    registry.store().remove_layer_link("team/app", &digest);
    let service = TokenServer::start(registry.directory(), Terms::of_seconds(300));
    registry.restart_with(&service.configuration());
    let login = Login::of_the_tests();
    let sweep = || {
        let probe = Probe::once().args(["--username", &login.user]);
        probe
            .password_file(&login.password)
            .arg(registry.host())
            .run()
    };
    let outcome = sweep();
    let mount = commands(&finding(&outcome, &digest), "restore");
    let said = Shell::new().with_netrc(&login).paste_elsewhere(&mount);
    assert_eq!(said, "201\n", "{mount}");
    assert_intact(&sweep());
}

#[test]
fn a_child_that_another_repository_holds_is_copied() {
    let mut registry = Registry::start();
    let content = Content::index("copied");
    for name in ["team/app:v1", "team/archive:v1"] {
        skopeo::push(&registry, &content, name);
    }
    let child = &content.images()[1].manifest.digest;
    registry.store().remove_revision_link("team/app", child);
    registry.restart();
    let outcome = sweep(&registry);
    let finding = finding(&outcome, child);
    assert_eq!(actions(&finding)[0], "restore", "{outcome}");
    Shell::new().paste(&mut registry, &commands(&finding, "restore"));
    assert_intact(&sweep(&registry));
}

#[test]
fn a_dead_tag_is_deleted_by_its_digest() {
    let mut registry = Registry::start();
    let dead = Image::new("dead", "amd64");
    let layer = dead.layers[0].digest.clone();
    let manifest = dead.manifest.digest.clone();
    skopeo::push(&registry, &dead.into(), "team/app:dead");
    skopeo::push(&registry, &Content::index("alive"), "team/other:alive");
    registry.store().remove_data(&layer);
    registry.restart();
    let outcome = sweep(&registry);
    let finding = finding(&outcome, &layer);
    assert_eq!(finding["nearby"]["pointed_to"], json!([manifest]));
    assert_eq!(actions(&finding), ["push", "delete"], "{outcome}");
    let delete = commands(&finding, "delete");
    assert!(delete.contains(&manifest), "{delete}");
    Shell::new().paste(&mut registry, &delete);
    assert_intact(&sweep(&registry));
    let head = registry.client().head("/v2/team/app/manifests/dead");
    assert_eq!(head.status, 404);
}

#[test]
fn a_tag_that_leads_nowhere_is_removed() {
    let mut registry = Registry::start();
    for tag in ["1.9", "1.10", "1.11"] {
        let content = Content::index(tag);
        skopeo::push(&registry, &content, &format!("team/app:{tag}"));
    }
    registry.store().remove_tag_link("team/app", "1.10");
    let outcome = sweep(&registry);
    let report = outcome.report();
    let finding = &report.raw_findings()[0];
    // What it was is not known, so that no other version is known to be like it.
    assert_eq!(finding["nearby"]["sibling"], Value::Null, "{outcome}");
    assert_eq!(actions(finding), ["push", "delete"], "{outcome}");
    Shell::new().paste(&mut registry, &commands(finding, "delete"));
    let report = assert_intact(&sweep(&registry));
    assert_eq!(report.count("tags/checked"), 2);
}

#[test]
fn a_roll_back_gives_the_tags_the_older_version() {
    let (mut registry, [first, ..]) = incident();
    let finding = finding(&sweep(&registry), &first.images()[0].manifest.digest);
    Shell::new().paste(&mut registry, &commands(&finding, "rollback"));
    let report = assert_intact(&sweep(&registry));
    assert_eq!(report.count("tags/checked"), 3);
}

#[test]
fn an_older_image_of_another_platform_is_not_rolled_back_to() {
    for (architecture, expected) in [("arm64", Value::Null), ("amd64", json!("1.0"))] {
        let mut registry = Registry::start();
        let broken = Image::new("broken", "amd64");
        let layer = broken.layers[0].digest.clone();
        let older = Image::new("older", architecture);
        for (tag, image) in [("1.0", older), ("1.1", broken)] {
            skopeo::push(&registry, &image.into(), &format!("team/app:{tag}"));
        }
        registry.store().remove_layer_link("team/app", &layer);
        registry.restart();
        let outcome = sweep(&registry);
        let finding = finding(&outcome, &layer);
        assert_eq!(finding["nearby"]["sibling"][0], expected, "{outcome}");
    }
}

#[test]
fn each_damage_has_its_cause_and_pushing_afresh_mends_it() {
    let mut registry = Registry::start();
    let names = ["gone", "emptied", "halved", "flipped", "altered"];
    let contents: BTreeMap<_, Content> = names
        .map(|name| (name, Image::new(name, "amd64").into()))
        .into();
    for (name, content) in &contents {
        skopeo::push(&registry, content, &format!("team/{name}:v1"));
    }
    let layer = |name: &str| contents[name].images()[0].layers[0].digest.clone();
    let manifest = contents["altered"].manifest().digest.clone();
    let store = registry.store();
    store.remove_data(&layer("gone"));
    store.empty_data(&layer("emptied"));
    store.halve_data(&layer("halved"));
    store.flip_one_bit(&layer("flipped"));
    store.alter_manifest(&manifest);
    registry.restart();

    let outcome = sweep(&registry);
    let mut causes = BTreeMap::new();
    let report = outcome.report();
    for finding in report.raw_findings() {
        let name = finding["repository"].as_str().expect("text");
        let name = name.strip_prefix("team/").expect("of the team").to_owned();
        causes.insert(name.clone(), finding["cause"].as_str().expect("text"));
        let action = if name == "gone" { "push" } else { "restart" };
        assert_eq!(actions(finding)[0], action, "{name}: {outcome}");
        let shell = Shell::new().with_source(&contents[name.as_str()]);
        shell.paste(&mut registry, &commands(finding, action));
    }
    let expected = [
        ("altered", "bit_rot"),
        ("emptied", "empty_file"),
        ("flipped", "bit_rot"),
        ("gone", "gc_or_retention"),
        ("halved", "truncated"),
    ];
    let expected = expected.map(|(name, cause)| (name.to_owned(), cause));
    assert_eq!(causes, BTreeMap::from(expected), "{outcome}");
    assert_intact(&sweep(&registry));
}

/// An index over another index.
fn nested(inner: &Content) -> Blob {
    let media_type = inner.manifest().media_type;
    let descriptor = json!({
        "mediaType": media_type,
        "digest": inner.manifest().digest,
        "size": inner.manifest().bytes.len(),
    });
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [descriptor] });
    let bytes = index.to_string().into_bytes();
    Blob {
        media_type,
        digest: sha256(&bytes),
        bytes: bytes.into(),
    }
}

#[test]
fn garbage_collection_breaks_exactly_what_is_listed_as_exposed() {
    let mut registry = Registry::start();
    let hand = Hand::new(&registry.host());
    let (plain, pinned, inner) = (
        Content::index("plain"),
        Content::index("pinned"),
        Content::index("inner"),
    );
    hand.push("team/app", "plain", &plain);
    hand.push("team/app", "pinned", &pinned);
    let child: Content = pinned.images()[0].clone().into();
    hand.push("team/app", "pinned-amd64", &child);
    hand.push("team/nested", "inner", &inner);
    hand.put("team/nested", "outer", &nested(&inner));
    // Now only the outer index names the inner one.
    hand.put("team/nested", "inner", &nested(&plain_elsewhere(&hand)));
    hand.push("team/single", "v1", &Image::new("single", "amd64").into());

    let outcome = sweep(&registry);
    let report = assert_intact(&outcome);
    let mut listed = BTreeSet::new();
    for exposed in report.json["exposed"].as_array().expect("a list") {
        let repository = exposed["repository"].as_str().expect("text");
        for digest in exposed["digests"].as_array().expect("digests") {
            listed.insert((
                repository.to_owned(),
                digest.as_str().expect("text").to_owned(),
            ));
        }
    }
    assert_eq!(report.count("exposed"), listed.len(), "{outcome}");
    let mut promised = Vec::new();
    for (repository, contents) in [
        ("team/app", vec![&plain, &pinned]),
        ("team/nested", vec![&inner]),
    ] {
        let manifests = contents.into_iter().flat_map(Content::manifests);
        promised.extend(manifests.map(|manifest| (repository.to_owned(), manifest.digest.clone())));
    }
    assert!(listed.len() > 5, "{listed:#?}");

    registry.collect_untagged();
    let broken: BTreeSet<_> = promised
        .into_iter()
        .chain(listed.clone())
        .filter(|(repository, digest)| {
            let path = format!("/v2/{repository}/manifests/{digest}");
            registry.client().head(&path).status == 404
        })
        .collect();
    assert_eq!(broken, listed);
    let after = sweep(&registry).report();
    assert!(after.json["exposed"].as_array().expect("a list").is_empty());
    let found: BTreeSet<_> = after
        .findings()
        .into_iter()
        .filter_map(|finding| Some((finding.repository, finding.digest?)))
        .collect();
    assert!(!found.is_empty() && found.is_subset(&listed), "{found:#?}");
}

/// An index in the repository of nested ones.
fn plain_elsewhere(hand: &Hand) -> Content {
    let content = Content::index("elsewhere");
    hand.push("team/nested", "elsewhere", &content);
    content
}
