//! The files of this repository that are no code, and the programs that `tests/setup.sh` installs to read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use super::process::{at_home, run, tool};

/// What a program for checking files prints as JSON: every document of a YAML file.
const TO_JSON: &str =
    "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// A path in this repository.
pub(crate) fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `deploy/build-static.sh` made, which has to be newer than what it was made from.
pub(crate) fn image_parts() -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_probe")).ancestors().nth(2);
    let parts = directory.expect("it is built somewhere").join("image");
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let built = changed(&parts.join("out/probe"));
    let built =
        built.unwrap_or_else(|error| panic!("{}: {error}: run `make static`", parts.display()));
    let sources = run(tool("find").arg(at("src")).args(["-name", "*.rs"])).stdout;
    let sources = String::from_utf8(sources).expect("paths are text");
    let newest = sources
        .lines()
        .map(Path::new)
        .map(|path| changed(path).expect("it is there"));
    let newest = newest.max().unwrap_or(SystemTime::UNIX_EPOCH);
    assert!(
        newest <= built,
        "the static binary is older than its source: run `make static`"
    );
    parts
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
    beside("target/tools/bin", name)
}

/// A command for one of those that `deploy/tools.sh` builds.
pub(crate) fn go_tool(name: &str) -> Command {
    beside("target/go-tools", name)
}

fn beside(folder: &str, name: &str) -> Command {
    let program = at(folder).join(name);
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

/// What kustomize makes of a directory of this repository, as a file and as documents.
pub(crate) fn render(directory: &str, into: &Path) -> (PathBuf, Vec<Value>) {
    let copy = into.join("copy");
    run(tool("mkdir").arg("-p").arg(&copy));
    for part in ["alerts", "dashboards", "deploy"] {
        run(tool("cp").arg("-r").arg(at(part)).arg(&copy));
    }
    let mut kustomize = go_tool("kustomize");
    kustomize.arg("build").arg(copy.join(directory));
    let rendered = run(at_home(&mut kustomize, into));
    let file = into.join("rendered.yaml");
    std::fs::write(&file, rendered.stdout).expect("it is written");
    let documents = yaml(&file);
    (file, documents)
}
