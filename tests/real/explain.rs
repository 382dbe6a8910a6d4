//! `probe explain IMAGE`: the tree of an image, and its requests as a person pastes them.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

/// An image of two platforms, of which the second has lost its manifest.
fn half_gone(registry: &mut Registry) -> Content {
    let bad = Content::index("bad");
    skopeo::push(registry, &bad, "team/app:bad");
    registry
        .store()
        .remove_revision_link("team/app", &bad.images()[1].manifest.digest);
    registry.restart();
    bad
}

/// The objects of a tree, the root first.
fn nodes(tree: &Value) -> Vec<&Value> {
    let children = tree["children"].as_array().expect("children");
    std::iter::once(tree)
        .chain(children.iter().flat_map(nodes))
        .collect()
}

/// A home with a login where curl looks for it.
pub(crate) fn home(login: Option<&Login>) -> TempDir {
    let home = tempfile::tempdir().expect("a temporary directory");
    if let Some(Login { user, password }) = login {
        let line = format!("machine 127.0.0.1 login {user} password \"{password}\"\n");
        std::fs::write(home.path().join(".netrc"), line).expect("a login is written");
    }
    home
}

/// What a shell prints that some text is pasted into.
pub(crate) fn paste(home: &TempDir, text: &str) -> String {
    let output = Command::new("sh")
        .args(["-e", "-u", "-c", text])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{said}{error}");
    said
}

/// The statuses of the answers that curl printed the heads of.
pub(crate) fn statuses(said: &str) -> Vec<&str> {
    let heads = said.lines().filter(|line| line.starts_with("HTTP/"));
    heads.filter_map(|line| line.split(' ').nth(1)).collect()
}

/// What stands below the heading, from the first command on.
pub(crate) fn by_hand(outcome: &Outcome) -> String {
    let (_, rest) = outcome
        .stdout
        .split_once("To repeat by hand\n")
        .unwrap_or_else(|| panic!("no requests in {outcome}"));
    let lines = rest.lines().skip_while(|line| line.starts_with("  "));
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_no_secret(outcome: &Outcome, login: &Login) {
    assert!(!outcome.stdout.contains(&login.password), "{outcome}");
    assert!(!outcome.stderr.contains(&login.password), "{outcome}");
}

#[test]
fn the_tree_names_every_object_and_what_came_of_it() {
    let mut registry = Registry::start();
    let bad = half_gone(&mut registry);
    let image = format!("{}/team/app:bad", registry.host());
    let outcome = Probe::explain().json().arg(&image).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let page = outcome.json();
    let [amd64, arm64] = bad.images() else {
        panic!("two platforms")
    };
    let seen: Vec<_> = nodes(&page["tree"])
        .into_iter()
        .map(|node| (node["digest"].as_str(), node["outcome"].as_str()))
        .collect();
    let expected = [
        (bad.manifest().digest.as_str(), "intact"),
        (&amd64.manifest.digest, "intact"),
        (&amd64.config.digest, "intact"),
        (&amd64.layers[0].digest, "intact"),
        (&amd64.layers[1].digest, "intact"),
        (&arm64.manifest.digest, "broken"),
    ];
    assert_eq!(
        seen,
        expected.map(|(digest, word)| (Some(digest), Some(word)))
    );
    let gone = nodes(&page["tree"])[5];
    assert_eq!(gone["platform"], "linux/arm64");
    assert_eq!(gone["reason"], "not_found");
    assert_eq!(nodes(&page["tree"])[2]["size"], amd64.config.bytes.len());
}

#[test]
fn the_requests_work_as_pasted_in_rows_and_in_lines() {
    let mut registry = Registry::start();
    half_gone(&mut registry);
    let image = format!("{}/team/app:bad", registry.host());
    let text = Probe::explain().arg(&image).run();
    for line in by_hand(&text).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let home = home(None);
    let expected = ["200", "200", "206", "206", "206", "404"];
    let said = paste(&home, &by_hand(&text));
    assert_eq!(statuses(&said), expected, "{said}");

    let json = Probe::explain().json().arg(&image).run().json();
    let requests = nodes(&json["tree"])
        .into_iter()
        .map(|node| &node["request"]);
    let requests: Vec<_> = requests.filter_map(Value::as_str).collect();
    let said = paste(&home, &requests.join("\n"));
    assert_eq!(statuses(&said), expected, "{said}");
    assert!(json["login"].is_null());
}

#[test]
fn a_blob_that_is_read_whole_is_hashed_by_hand_too() {
    let registry = Registry::start();
    let image = Image::new("whole", "amd64");
    skopeo::push(&registry, &image.clone().into(), "app:v1");
    let name = format!("{}/app:v1", registry.host());
    let outcome = Probe::explain().depth("digest").arg(&name).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    let said = paste(&home(None), &by_hand(&outcome));
    for blob in image.layers.iter().chain([&image.config]) {
        let (_, hex) = blob.digest.split_once(':').expect("a digest");
        assert!(said.contains(hex), "{said}");
    }
}

#[test]
fn an_image_of_one_platform_says_which() {
    let registry = Registry::start();
    skopeo::push(&registry, &Image::new("one", "arm64").into(), "app:v1");
    let name = format!("{}/app:v1", registry.host());
    let outcome = Probe::explain().arg(&name).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("linux/arm64 manifest"), "{outcome}");
}

#[test]
fn a_login_is_taken_from_where_curl_keeps_it_and_is_on_no_page() {
    let login = Login::of_the_tests();
    let mut registry = Registry::start_with_login(login.clone());
    half_gone(&mut registry);
    let image = format!("{}/team/app:bad", registry.host());
    let probe = || {
        let probe = Probe::explain().arg("--username").arg(&login.user);
        probe.password_file(&login.password).arg(&image)
    };
    let (text, json) = (probe().run(), probe().json().run());
    assert_eq!(text.code, 1, "{text}");
    assert_no_secret(&text, &login);
    assert_no_secret(&json, &login);
    let said = paste(&home(Some(&login)), &by_hand(&text));
    let expected = ["200", "200", "206", "206", "206", "404"];
    // curl may ask once without the login.
    let mut seen = statuses(&said);
    seen.retain(|status| *status != "401");
    assert_eq!(seen, expected, "{said}");
}

#[test]
fn a_tag_that_is_not_there_has_a_request_that_shows_it() {
    let mut registry = Registry::start();
    half_gone(&mut registry);
    let image = format!("{}/team/app:absent", registry.host());
    let outcome = Probe::explain().arg(&image).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    let said = paste(&home(None), &by_hand(&outcome));
    assert_eq!(statuses(&said), ["404"], "{outcome}");
}
