//! The reports that the documents show: what the program prints for a registry that is broken in two places.

use std::process::{Command, Stdio};

use registry_double::{DescriptorCache, Double};

use serde_json::Value;

use super::read;

/// What the command line reference makes of a report in JSON.
const FILTER: &str = r#".findings[] | "\(.repository) \(.kind)/\(.reason) \(.tags | join(" "))""#;

/// Images for two platforms each: `team/app` has lost a child, and `team/web` the bytes of a layer, which a
/// cache hides.
async fn broken() -> Double {
    let double = Double::start().await;
    let layer = |name: &str| name.repeat(8 * 1024);
    let push = |repository: &str, version: &str, tags: &[&str]| {
        let images = ["amd64", "arm64"].map(|platform| {
            let unique = layer(&format!("{repository} {version} {platform}"));
            double.image(repository, None, &[unique.as_bytes(), b"shared"])
        });
        let platforms = [("linux/amd64", &images[0]), ("linux/arm64", &images[1])];
        for tag in tags {
            double.index(repository, Some(tag), &platforms);
        }
        images
    };
    push("team/app", "1.4.0", &["1.4.0"]);
    let [_, child] = push("team/app", "1.4.1", &["1.4.1", "latest"]);
    let [web, _] = push("team/web", "2.0.1", &["2.0.1"]);
    push("tools/build", "7.2", &["7", "7.2"]);
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
    double.remove_manifest_link("team/app", &child.digest);
    double.empty_bytes(&web.layers[0]);
    double
}

/// The words of a text, wherever its lines end, be it within a command.
fn words(text: &str) -> String {
    let joined = text.replace("\\\n", "");
    joined.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is shown below a command in a document, in parts where something is left out.
fn shown(document: &str, command: &str) -> Vec<String> {
    let text = read(document);
    let prompt = format!("```console\n$ probe {command}\n");
    let (_, block) = text.split_once(&prompt).expect("the command is shown");
    let (block, _) = block.split_once("```").expect("the block ends");
    let report = block.split("$ echo").next().unwrap_or_default();
    let lines: Vec<_> = report.lines().collect();
    let parts = lines.split(|line| line.trim() == "...");
    parts.map(|part| words(&part.join("\n"))).collect()
}

/// Runs the program on the registry, which is called as in the documents: its exit code and its report.
async fn run(double: &Double, arguments: &str) -> (Option<i32>, String) {
    let address = double.address().to_owned();
    let here = arguments.replace("localhost:5000", &address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command
        .args(here.split(' '))
        .args(["--confirm-after", "0s"])
        .env_clear()
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("it ends").expect("it starts");
    let report = String::from_utf8(output.stdout).expect("a report is text");
    (
        output.status.code(),
        report.replace(&address, "localhost:5000"),
    )
}

#[tokio::test]
async fn the_reports_are_what_the_program_prints() {
    let double = broken().await;
    let mut wrong = Vec::new();
    for (document, command) in [
        ("README.md", "--once localhost:5000"),
        ("docs/repairs.md", "--once --repo team/web localhost:5000"),
        ("docs/repairs.md", "explain localhost:5000/team/app:1.4.1"),
    ] {
        let (code, report) = run(&double, command).await;
        assert_eq!(code, Some(1), "{report}");
        let mut rest = words(&report);
        for part in shown(document, command) {
            match rest.find(&part) {
                Some(at) => drop(rest.drain(..at + part.len())),
                None => wrong.push(format!("{document}: {part}\nis not in\n{report}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_json_report_is_what_the_program_prints() {
    let double = broken().await;
    let (_, report) = run(&double, "--once --output json localhost:5000").await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let line = |finding: &Value| {
        let [repository, kind, reason] =
            ["repository", "kind", "reason"].map(|key| text(&finding[key]));
        let tags = finding["tags"].as_array().expect("a list");
        let tags: Vec<_> = tags.iter().map(text).collect();
        format!("{repository} {kind}/{reason} {}\n", tags.join(" "))
    };
    let findings = report["findings"].as_array().expect("a list");
    let lines: String = findings.iter().map(line).collect();
    let reference = read("docs/command-line.md");
    assert!(
        reference.contains(&format!(" | jq -r '{FILTER}'\n{lines}```")),
        "{lines}"
    );
}
