//! What the service says of each sweep.

use std::process::Stdio;

use registry_double::{Double, on};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::broken;

/// The line about the first sweep.
async fn line(arguments: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(["serve", "--listen", "127.0.0.1:0", "--confirm-after", "0s"])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let swept = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.contains(" swept ") {
                return line;
            }
        }
        panic!("it ended without a sweep")
    };
    let swept = tokio::time::timeout(crate::PATIENCE, swept).await;
    swept.expect("a sweep")
}

#[tokio::test]
async fn an_unverified_sweep_says_why_and_where() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.when(on::tags()).error(403, "DENIED");
    let said = line(&["--instance", "main", double.address()]).await;
    let expected = format!(
        "first_unverified=\"app: GET http://{}/v2/app/tags/list?n=1000 answers 403 Forbidden (DENIED) [forbidden]\"",
        double.address()
    );
    assert!(
        said.contains("verdict=\"unverified\" broken=0 unverified=1"),
        "{said}"
    );
    assert!(said.contains(&expected), "{expected}\n{said}");
    assert!(!said.contains("first_broken"), "{said}");
    let said = line(&["127.0.0.1:1"]).await;
    assert!(
        said.contains("first_unverified=\"GET http://127.0.0.1:1/v2/: "),
        "{said}"
    );
}

#[tokio::test]
async fn a_broken_sweep_names_an_image_and_what_it_lacks() {
    let (double, image) = broken().await;
    let said = line(&["--public-name", "r.example/mirror", double.address()]).await;
    let expected = "first_broken=\"r.example/mirror/app:v1: layer not found [layer/not_found]";
    assert!(said.contains(expected), "{said}");
    let request = format!(
        "http://{}/v2/app/blobs/{}",
        double.address(),
        image.layers[0]
    );
    assert!(said.contains(&request), "{request}\n{said}");
}

#[tokio::test]
async fn a_failing_start_is_told_in_the_form_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probe.yaml");
    std::fs::write(&file, "log-format: json\nno-such-option: 1\n").expect("written");
    let file = file.to_string_lossy();
    let variable: &[(&str, &str)] = &[("PROBE_LOG_FORMAT", "json")];
    for (arguments, environment, expected) in [
        (
            &["--log-format", "json", "--no-such"][..],
            &[][..],
            "--no-such",
        ),
        (&["--log-format=json"], &[], "no registry is named"),
        (
            &["--log-format=json", "--password", "x"],
            &[],
            "--password-file",
        ),
        (
            &["--once", "--depth", "deep", "r.example"],
            variable,
            "deep",
        ),
        (
            &["--once", "ftp://r.example"],
            variable,
            "neither http nor https",
        ),
        (&["--config", &file], &[], "no-such-option"),
        (
            &["--listen", "192.0.2.1:9464", "127.0.0.1:1"],
            variable,
            "--listen",
        ),
    ] {
        let said = super::probe(arguments, environment).await;
        assert_eq!((said.code, &*said.stdout), (Some(2), ""), "{arguments:?}");
        let lines = said.stderr.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            line["fields"]["message"].to_string()
        });
        // Each of them is one.
        let lines: Vec<_> = lines.collect();
        let is_told = lines.last().is_some_and(|last| last.contains(expected));
        assert!(is_told, "{arguments:?}: {}", said.stderr);
    }
    let help = super::probe(&["--log-format", "json", "--help"], &[]).await;
    assert_eq!((help.code, &*help.stderr), (Some(0), ""));
}

#[tokio::test]
async fn a_look_that_follows_at_once_is_no_warning() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.when(on::manifest()).error(403, "DENIED");
    let image = format!("{}/app:v1", double.address());
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(["verify", &image])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("looking again"), "{said}");
}
