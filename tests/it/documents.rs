//! What the documents say, held against the program.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tidy::source::{self, Source};

/// Around the part of README.md that is the program's own help.
const HELP: [&str; 2] = ["<!-- help: begin -->\n", "<!-- help: end -->"];

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect("the document is there")
}

/// What `probe -h` prints where there is no terminal, in the environment of nobody in particular.
fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("-h")
        .env_clear()
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("help is text")
}

#[test]
fn the_readme_shows_the_help_of_this_program() {
    let readme = read("README.md");
    let [begin, end] = HELP;
    let (before, rest) = readme.split_once(begin).expect("the help's beginning");
    let (shown, after) = rest.split_once(end).expect("the help's end");
    let help = format!("```text\n$ probe -h\n{}```\n", help());
    if std::env::var_os("UPDATE").is_some() {
        let rewritten = [before, begin, &help, end, after].concat();
        fs::write(path("README.md"), rewritten).expect("README.md can be written");
    } else {
        assert_eq!(
            shown, help,
            "rewrite it: UPDATE=1 cargo test --test it readme"
        );
    }
}

#[test]
fn this_version_has_an_entry_in_the_changelog() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("CHANGELOG.md");
    let mut headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "));
    assert!(
        headings.any(|heading| heading.split(' ').next() == Some(version)),
        "CHANGELOG.md has no `## {version}`"
    );
}

/// A link that leads nowhere is found by a reader otherwise.
#[test]
fn documents_link_to_files_that_are_there() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        let text = read(document);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(path(file).exists(), "{document} links to {target}");
        }
    }
}

/// The architecture names every source file, and none that is gone.
#[test]
fn the_architecture_names_every_file() {
    let architecture = read("ARCHITECTURE.md");
    let sources = source::read_all("src");
    for source in &sources {
        let below = source.path.trim_start_matches("src/");
        assert!(
            architecture.contains(&format!("`{below}`")),
            "ARCHITECTURE.md does not name {below}"
        );
    }
    let named = architecture.split('`').skip(1).step_by(2);
    let is_file =
        |name: &&str| !name.contains(' ') && Path::new(name).extension() == Some("rs".as_ref());
    for name in named.filter(is_file) {
        let is_there =
            sources.iter().any(|s| s.path == format!("src/{name}")) || path(name).exists();
        assert!(is_there, "ARCHITECTURE.md names {name}, which is not there");
    }
}

/// A walk-through that names what is not there any more misleads.
#[test]
fn the_architecture_names_what_is_there() {
    let architecture = read("ARCHITECTURE.md");
    let sources = source::read_all("src");
    let tokens: Vec<_> = sources.iter().flat_map(Source::tokens).collect();
    let is_path = |name: &&str| {
        name.contains("::")
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || ":_".contains(c))
    };
    let paths = architecture.split('`').skip(1).step_by(2).filter(is_path);
    for word in paths.flat_map(|path| path.split("::")) {
        assert!(
            tokens.iter().any(|token| token.text == word),
            "ARCHITECTURE.md names `{word}`, which is not there"
        );
    }
}
