//! `probe doctor` against real servers: the page tells the truth about each of them.

use std::process::Stdio;

use crate::support::images::Content;
use crate::support::nginx::Nginx;
use crate::support::process::wait_until;
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

/// What `probe doctor` says on standard output, and its exit code.
fn examine(arguments: &[&str], password: Option<&str>) -> (String, i32) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probe"));
    command
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .arg("doctor")
        .args(arguments)
        .stdin(Stdio::null());
    if let Some(password) = password {
        command.env("PROBE_PASSWORD", password);
    }
    let output = command.output().expect("the probe can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the probe speaks UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(stderr, "", "{stdout}");
    if let Some(password) = password {
        assert!(!stdout.contains(password), "{stdout}");
    }
    let code = output.status.code().expect("it is not killed by a signal");
    (stdout, code)
}

/// The page, with what differs from run to run blotted out without moving anything.
fn assert_page(name: &str, page: &str) {
    let mut blotted = page.to_owned();
    let differing = [
        ("127.0.0.1:", 5),
        ("nginx/", 6),
        ("day, on ", 10),
        ("/.tmp", 6),
    ];
    for (before, length) in differing {
        blotted = blot(&blotted, before, length);
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, blotted) });
}

/// Replaces so many characters behind each `before`.
fn blot(text: &str, before: &str, length: usize) -> String {
    let mut pieces = text.split(before);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let rest: String = piece.chars().skip(length).collect();
        text + before + &"_".repeat(length) + &rest
    })
}

/// Two repositories, of which the first has two tags.
fn fill(registry: &Registry) {
    let content = Content::index("doctor");
    for name in ["team/app:v1", "team/app:v2", "team/tool:latest"] {
        skopeo::push(registry, &content, name);
    }
}

#[test]
fn a_plain_registry() {
    let registry = Registry::start();
    fill(&registry);
    let mark = registry.mark();
    let (page, code) = examine(&[&registry.host()], None);
    assert_page("plain", &page);
    assert_eq!(code, 0);
    let entries = registry.requests_since(mark);
    assert!(entries.len() <= 10, "{entries:#?}");
}

#[test]
fn an_empty_registry() {
    let registry = Registry::start();
    let (page, code) = examine(&[&registry.host()], None);
    assert_page("empty", &page);
    assert_eq!(code, 3);
}

#[test]
fn a_registry_with_users() {
    let login = Login::of_the_tests();
    let registry = Registry::start_with_login(login.clone());
    fill(&registry);
    let (page, code) = examine(&[&registry.host()], None);
    assert_page("login_missing", &page);
    assert_eq!(code, 3);

    let host = registry.host();
    let arguments = [host.as_str(), "--username", &login.user];
    let (page, code) = examine(&arguments, Some("a-wrong-guess"));
    assert_page("login_refused", &page);
    assert_eq!(code, 3);

    let (page, code) = examine(&arguments, Some(&login.password));
    assert_page("login_accepted", &page);
    assert_eq!(code, 0);
}

#[test]
fn a_registry_behind_tls() {
    let registry = Registry::start();
    fill(&registry);
    let front = Nginx::tls(&registry);
    let url = front.url();
    let authority = front.authority().display().to_string();
    let (page, code) = examine(&[&url, "--ca-file", &authority], None);
    assert_page("tls", &page);
    assert_eq!(code, 0);

    let (page, code) = examine(&[&url, "--insecure-skip-tls-verify"], None);
    assert_page("tls_not_verified", &page);
    assert_eq!(code, 0);

    let (page, code) = examine(&[&url], None);
    assert_page("tls_of_an_unknown_authority", &page);
    assert_eq!(code, 3);

    // Plain HTTP to that port, and TLS to the one behind it.
    let (page, code) = examine(&[&front.host()], None);
    assert_page("http_where_tls_is_spoken", &page);
    assert_eq!(code, 3);
    let (page, code) = examine(&[&format!("https://{}", registry.host())], None);
    assert_page("tls_where_http_is_spoken", &page);
    assert_eq!(code, 3);
}

#[test]
fn a_pull_through_cache_stores_nothing_for_it() {
    let upstream = Registry::start();
    fill(&upstream);
    let proxy = Registry::start_as_cache_of(&upstream);
    let (page, code) = examine(&[&proxy.host()], None);
    assert_page("cache_without_a_name", &page);
    assert_eq!(code, 3);

    let (page, code) = examine(&[&proxy.host(), "--repo", "team/app"], None);
    assert_page("cache", &page);
    assert_eq!(code, 0);
    let mut written = proxy.disk();
    // Its own book-keeping of what expires when.
    written.retain(|path, _| !path.ends_with("scheduler-state.json"));
    assert!(written.is_empty(), "{written:#?}");
}

#[test]
fn a_pull_through_cache_is_known_when_it_is_warm_too() {
    let upstream = Registry::start();
    fill(&upstream);
    let proxy = Registry::start_as_cache_of(&upstream);
    let client = proxy.client();
    let content = Content::index("doctor");
    for manifest in content.manifests() {
        client.get(&format!("/v2/team/app/manifests/{}", manifest.digest));
    }
    for blob in content.blobs() {
        client.get(&format!("/v2/team/app/blobs/{}", blob.digest));
    }
    let is_catalogued = || {
        let answer = client.get("/v2/_catalog");
        String::from_utf8_lossy(&answer.body).contains("team/app")
    };
    wait_until("what was pulled is stored", is_catalogued);
    let (page, code) = examine(&[&proxy.host()], None);
    assert_page("warm_cache", &page);
    assert_eq!(code, 0);
}

#[test]
fn several_registries_in_one_go() {
    let (empty, full) = (Registry::start(), Registry::start());
    fill(&full);
    let (page, code) = examine(&[&full.host(), &empty.host()], None);
    assert!(page.contains(&format!("READY {}", full.host())), "{page}");
    assert!(page.contains(&format!("BLIND {}", empty.host())), "{page}");
    assert_eq!(code, 3);

    let (json, code) = examine(&[&full.host(), "--output", "json"], None);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let examination = &json["examinations"][0];
    assert_eq!(examination["outlook"], "ready");
    let checks = examination["checks"].as_array().expect("a list");
    let range = checks.iter().find(|check| check["id"] == "range");
    assert_eq!(range.expect("it is there")["data"]["answer"], "honoured");
    assert_eq!(code, 0);
}
