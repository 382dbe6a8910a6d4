//! The files of this repository that are no code, and the programs that `tests/setup.sh` installs to read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::{at_home, run, tool};

/// What a program for checking files prints as JSON: every document of a YAML file.
const TO_JSON: &str =
    "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// A path in this repository.
pub(crate) fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file in this repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files in a directory of this repository that end like this, in order.
pub(crate) fn names(directory: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(at(directory)).expect("the directory is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry can be read").file_name())
        .map(|name| name.into_string().expect("names are text"))
        .filter(|name| name.ends_with(end))
        .collect();
    assert!(!names.is_empty(), "{directory} has no *{end}");
    names.sort();
    names
}

/// A command for one of the programs that live beside what is built.
pub(crate) fn checker(name: &str) -> Command {
    let program = at("target/tools/bin").join(name);
    assert!(
        program.is_file(),
        "`{name}` is not installed: run tests/setup.sh"
    );
    Command::new(program)
}

/// Every document of a YAML file.
pub(crate) fn yaml(path: &Path) -> Vec<Value> {
    let said = run(checker("python").args(["-c", TO_JSON]).arg(path)).stdout;
    serde_json::from_slice(&said).expect("it is JSON")
}

/// The one document of a YAML file in this repository.
pub(crate) fn document(path: &str) -> Value {
    let mut documents = yaml(&at(path));
    assert_eq!(documents.len(), 1, "{path}");
    documents.remove(0)
}

/// What `kubectl kustomize` makes of a directory of this repository, as a file and as documents.
pub(crate) fn render(directory: &str, into: &Path) -> (PathBuf, Vec<Value>) {
    let copy = into.join("copy");
    run(tool("mkdir").arg("-p").arg(&copy));
    for part in ["alerts", "dashboards", "deploy"] {
        run(tool("cp").arg("-r").arg(at(part)).arg(&copy));
    }
    if is_old_kustomize() {
        directories_as_bases(&copy);
    }
    let mut kubectl = tool("kubectl");
    kubectl.arg("kustomize").arg(copy.join(directory));
    let rendered = run(at_home(&mut kubectl, into));
    let file = into.join("rendered.yaml");
    std::fs::write(&file, rendered.stdout).expect("it is written");
    let documents = yaml(&file);
    (file, documents)
}

/// Whether kubectl is older than 1.21, as Debian 12's is: its kustomize knows directories as `bases` only.
fn is_old_kustomize() -> bool {
    let said = run(tool("kubectl").args(["version", "--client", "--output=json"])).stdout;
    let said: Value = serde_json::from_slice(&said).expect("it is JSON");
    let minor = said["clientVersion"]["minor"]
        .as_str()
        .expect("it has a version");
    let minor: u32 = minor.trim_end_matches('+').parse().expect("it is a number");
    minor < 21
}

/// The same kustomizations in the words of an older kustomize.
fn directories_as_bases(copy: &Path) {
    let found = run(tool("find").arg(copy).args(["-name", "kustomization.yaml"])).stdout;
    for file in String::from_utf8(found).expect("paths are text").lines() {
        let text = std::fs::read_to_string(file).expect("it can be read");
        let is_directory = |line: &&str| line.starts_with("  - ..");
        let bases: Vec<_> = text.lines().filter(is_directory).collect();
        if !bases.is_empty() {
            let rest: Vec<_> = text.lines().filter(|line| !is_directory(line)).collect();
            let text = format!("{}\nbases:\n{}\n", rest.join("\n"), bases.join("\n"));
            std::fs::write(file, text).expect("it is written");
        }
    }
}
