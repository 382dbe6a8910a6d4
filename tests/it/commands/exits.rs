//! Exit codes mean the same in every command.

use std::process::Stdio;

use registry_double::{Double, on};
use tokio::process::{Child, Command};

use super::{broken, probe};
use crate::PATIENCE;

const QUICK: [&str; 2] = ["--confirm-after", "0s"];
/// Nothing listens at port 1.
const AWAY: &str = "127.0.0.1:1";

async fn code(arguments: &[&str]) -> Option<i32> {
    let said = probe(arguments, &[]).await;
    if said.code == Some(2) {
        assert!(said.stderr.starts_with("error: "), "{}", said.stderr);
        assert!(said.stdout.is_empty(), "{}", said.stdout);
    }
    said.code
}

#[tokio::test]
async fn of_a_sweep() {
    let (double, _) = broken().await;
    let sweep = |rest: &[&str]| [&["sweep"][..], &QUICK, rest].concat().join(" ");
    let registry = double.address();
    for (typed, expected) in [
        (sweep(&["--repo", "base", registry]), 0),
        (sweep(&[registry]), 1),
        (sweep(&[registry, AWAY]), 1),
        (sweep(&[AWAY]), 3),
        (sweep(&["--repo", "base", registry, AWAY]), 3),
        (sweep(&["--fail-on", "unverified", registry]), 0),
        (sweep(&["--fail-on", "never", registry, AWAY]), 0),
        (sweep(&[]), 2),
        (sweep(&["scan", registry]), 2),
        (sweep(&["--depth", "deep", registry]), 2),
    ] {
        let arguments: Vec<_> = typed.split(' ').collect();
        assert_eq!(code(&arguments).await, Some(expected), "{typed}");
        // The older spelling is the same.
        let older = [&["--once"], &arguments[1..]].concat();
        assert_eq!(code(&older).await, Some(expected), "{older:?}");
    }
}

#[tokio::test]
async fn of_images_that_are_named() {
    let (double, _) = broken().await;
    let image = |name: &str| format!("{}/{name}", double.address());
    let (intact, broken, gone) = (image("base:v1"), image("app:v1"), image("app:v9"));
    let away = format!("{AWAY}/app:v1");
    for (images, expected) in [
        (&[&intact][..], 0),
        (&[&broken], 1),
        (&[&gone], 1),
        (&[&away], 3),
        (&[&"localhost:5101".to_owned()], 2),
        (&[&"r.example/UPPER:v1".to_owned()], 2),
        (&[&broken, &away], 1),
        (&[&intact, &away], 3),
        (&[&intact, &broken], 1),
    ] {
        let images: Vec<_> = images.iter().map(|image| image.as_str()).collect();
        let verify = [&["verify"][..], &QUICK, &images].concat();
        assert_eq!(code(&verify).await, Some(expected), "{verify:?}");
        if let [image] = images[..] {
            let explain = ["explain", image];
            assert_eq!(code(&explain).await, Some(expected), "{explain:?}");
        }
    }
    assert_eq!(code(&["verify"]).await, Some(2));
    assert_eq!(code(&["explain"]).await, Some(2));
}

#[tokio::test]
async fn of_an_examination() {
    let (double, _) = broken().await;
    assert_eq!(code(&["doctor", double.address()]).await, Some(0));
    assert_eq!(code(&["doctor", AWAY]).await, Some(3));
    assert_eq!(code(&["doctor", double.address(), AWAY]).await, Some(3));
    assert_eq!(code(&["doctor"]).await, Some(2));
    assert_eq!(code(&["doctor", "ftp://r.example"]).await, Some(2));
}

#[tokio::test]
async fn of_what_asks_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    assert_eq!(code(&["completions", "bash"]).await, Some(0));
    assert_eq!(code(&["completions", "cmd"]).await, Some(2));
    assert_eq!(code(&["man", path]).await, Some(0));
    assert_eq!(code(&["man", "/nonexistent/folder"]).await, Some(2));
    assert_eq!(code(&["--version"]).await, Some(0));
    assert_eq!(code(&["serve"]).await, Some(2));
    assert_eq!(
        code(&["serve", "--listen", "nowhere", "r.example"]).await,
        Some(2)
    );
}

#[tokio::test]
async fn of_reports_that_are_merged() {
    let (double, _) = broken().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let names = ["whole", "intact", "away", "cut", "image"].map(path);
    let [whole, intact, away, cut, image] = &names;
    let app = format!("{}/base:v1", double.address());
    for (file, arguments) in [
        (whole, &["sweep", double.address()][..]),
        (intact, &["sweep", "--repo", "base", double.address()]),
        (away, &["sweep", AWAY]),
        (image, &["verify", &app]),
    ] {
        let file = format!("json={file}");
        let write = [arguments, &QUICK, &["--report-file", &file]].concat();
        code(&write).await;
    }
    let text = std::fs::read_to_string(intact).expect("it was written");
    std::fs::write(cut, &text[..text.len() / 2]).expect("it is written");
    let nowhere = "/nonexistent/report.json";
    for (files, expected) in [
        (&[intact.as_str()][..], 0),
        (&[whole], 1),
        (&[away], 3),
        (&[intact, away], 3),
        (&[whole, away], 1),
        // Two of one registry.
        (&[intact, intact], 3),
        (&[whole, intact], 1),
        (&[intact, cut], 3),
        (&[whole, cut, nowhere], 1),
        (&[cut], 2),
        (&[nowhere], 2),
        (&[image], 2),
        (&["/"], 2),
        (&["-"], 2),
        (&["-", "-", intact], 2),
        (&[], 2),
        (&["--interval", "0s", intact], 2),
        (&["--fail-on", "unverified", whole], 0),
        (&["--fail-on", "never", whole, cut], 0),
    ] {
        let merge = [&["merge"], files].concat();
        assert_eq!(code(&merge).await, Some(expected), "{merge:?}");
    }
}

/// A report that nobody got is as good as none, but what is broken stays so.
#[tokio::test]
async fn of_a_report_that_cannot_be_printed() {
    let (double, _) = broken().await;
    let image = |name: &str| format!("{}/{name}", double.address());
    let (intact, broken) = (image("base:v1"), image("app:v1"));
    for (arguments, expected) in [
        (&["sweep", "--repo", "base", double.address()][..], 3),
        (&["sweep", "--confirm-after", "0s", double.address()], 1),
        (&["verify", &intact], 3),
        (&["verify", &broken], 1),
        (&["explain", &intact], 3),
        (&["explain", &broken], 1),
        (&["doctor", double.address()], 3),
        (&["completions", "bash"], 3),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let ended = Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(arguments)
            .env_clear()
            .stdout(full.expect("a device that is full"))
            .stderr(Stdio::null())
            .status()
            .await;
        let ended = ended.expect("it starts");
        assert_eq!(ended.code(), Some(expected), "{arguments:?}");
    }
}

/// Sends a signal to a process that this test started.
async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status().await;
    assert!(sent.expect("there is kill").success());
}

#[tokio::test]
async fn of_signals() {
    for (name, expected) in [("INT", 130), ("TERM", 143)] {
        for command in ["sweep", "serve", "verify", "explain", "doctor", "keep"] {
            let double = Double::start().await;
            double.when(on::any()).delay(PATIENCE * 10);
            let what = match command {
                "verify" | "explain" => format!("{}/app:v1", double.address()),
                _ => double.address().to_owned(),
            };
            let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
                .args([command, "--timeout", "10m", &what])
                .env_clear()
                .env("PROBE_LISTEN", "127.0.0.1:0")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("it starts");
            let asked = async {
                while double.requests().is_empty() {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                signal(&child, name).await;
                child.wait().await.expect("it ends")
            };
            let ended = tokio::time::timeout(PATIENCE, asked).await;
            let ended = ended.expect("it ends in time");
            assert_eq!(ended.code(), Some(expected), "{command} {name}");
        }
    }
}
