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
