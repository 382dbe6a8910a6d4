//! What the documents say, held against the program.

mod commands;
mod reports;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use registry_probe::registry::UnverifiedReason;
use registry_probe::report::{Cause, Reason, SkipReason};

use crate::tidy::source::{self, Source};

/// Around the part of the command line reference that is the program's own help.
const HELP: [&str; 2] = ["<!-- help: begin -->\n", "<!-- help: end -->"];

/// The commands of that reference, each with its own help.
const COMMANDS: [&[&str]; 7] = [
    &[],
    &["verify"],
    &["explain"],
    &["doctor"],
    &["merge"],
    &["keep"],
    &["compare"],
];

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect("the document is there")
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension() == Some("md".as_ref())
}

/// The pages in a folder, as paths from the package's root.
fn pages(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut pages: Vec<_> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| is_page(name))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    pages.sort();
    pages
}

/// What people read: everything but the sources.
fn all() -> Vec<String> {
    let mut all = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "benches/README.md",
    ]
    .map(String::from)
    .to_vec();
    all.extend(pages("docs"));
    all.extend(pages("docs/runbooks"));
    all
}

/// What a command's `--help` prints where there is no terminal, in the environment of nobody in particular.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("help is text");
    text.lines()
        .fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

#[test]
fn the_reference_is_the_help_of_this_program() {
    let name = "docs/command-line.md";
    let reference = read(name);
    let [begin, end] = HELP;
    let (before, rest) = reference.split_once(begin).expect("the help's beginning");
    let (shown, after) = rest.split_once(end).expect("the help's end");
    let mut help = String::new();
    for command in COMMANDS {
        let title = [&["probe"], command].concat().join(" ");
        let text = self::help(command);
        let _ = write!(help, "\n### {title}\n\n```text\n{text}```\n\n");
    }
    if std::env::var_os("UPDATE").is_some() {
        let rewritten = [before, begin, &help, end, after].concat();
        fs::write(path(name), rewritten).expect("the reference can be written");
    } else {
        assert!(
            shown == help,
            "{name} is old: rewrite it with `make update`"
        );
    }
}

/// Somebody who has never heard of the program reads it in five minutes, and finds the rest from there.
#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(
        lines <= 200,
        "README.md has {lines} lines: move some to docs"
    );
    for page in pages("docs") {
        assert!(
            readme.contains(&format!("]({page})")),
            "README.md does not link to {page}"
        );
    }
}

/// A reason that nobody explains is looked up in vain.
#[test]
fn every_reason_and_every_cause_is_explained() {
    let words = |page: &str| -> BTreeSet<String> {
        let rows = read(page);
        let first = rows.lines().filter_map(|line| {
            let row = line.strip_prefix("| `")?;
            row.split(" | ").next().map(str::to_owned)
        });
        first
            .flat_map(|cell| {
                cell.split(['`', ',', ' '])
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let (checks, repairs) = (words("docs/checks.md"), words("docs/repairs.md"));
    let reasons = Reason::ALL.iter().map(|reason| reason.word());
    let unverified = UnverifiedReason::ALL.iter().map(|reason| reason.word());
    let skip_reasons = SkipReason::ALL.iter().map(|reason| reason.word());
    for word in reasons.chain(unverified).chain(skip_reasons) {
        assert!(checks.contains(word), "docs/checks.md has no row `{word}`");
    }
    for cause in Cause::ALL {
        let word = cause.word();
        assert!(
            repairs.contains(word),
            "docs/repairs.md has no row `{word}`"
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

/// What the headings of a page are called in a link: lower case, with `-` for spaces, without other signs.
fn anchors(page: &str) -> Vec<String> {
    let sign = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || "-_".contains(c) => Some(c.to_ascii_lowercase()),
        _ => None,
    };
    let text = read(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| line.trim_start_matches('#').trim());
    names
        .map(|name| name.chars().filter_map(sign).collect())
        .collect()
}

/// A link that leads nowhere is found by a reader otherwise.
#[test]
fn documents_link_to_files_and_headings_that_are_there() {
    for document in all() {
        let text = read(&document);
        let folder = Path::new(&document).parent().expect("a folder");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = match file {
                "" => document.clone(),
                file => folder.join(file).to_string_lossy().into_owned(),
            };
            assert!(path(&linked).exists(), "{document} links to {target}");
            assert!(
                heading.is_empty() || anchors(&linked).iter().any(|it| it == heading),
                "{document} links to {target}, a heading that is not there"
            );
        }
    }
}

/// One bound, and room in the pods for what is broken besides.
#[test]
fn the_memory_that_is_promised_is_the_same_everywhere() {
    for document in ["docs/limits.md", "docs/hostile.md", "SECURITY.md"] {
        let text = read(document).replace('\n', " ");
        assert!(text.contains("192 MiB"), "{document}");
    }
    let hostile = read("tests/it/hostile/run.rs");
    assert!(hostile.contains("MOST_MEMORY: u64 = 192 << 20;"));
    let mut pods = 0;
    for overlay in [
        "cronjob/objects",
        "sharded/objects",
        "merged/shards",
        "deployment/objects",
    ] {
        let text = read(&format!("deploy/kustomize/overlays/{overlay}.yaml"));
        let limits = text.split("limits:").skip(1);
        for limit in limits {
            let memory = limit
                .split("memory: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            assert_eq!(memory, Some("256Mi"), "{overlay}");
            pods += 1;
        }
    }
    assert!(pods >= 4, "{pods}");
    let unit = read("deploy/systemd/registry-probe.service");
    assert!(unit.contains("\nMemoryMax=256M\n"));
}

/// The architecture names every folder, is short, and names no file that is gone.
#[test]
fn the_architecture_names_every_folder() {
    let architecture = read("ARCHITECTURE.md");
    let lines = architecture.lines().count();
    assert!(lines <= 200, "ARCHITECTURE.md has {lines} lines");
    let sources = source::read_all("src");
    for source in &sources {
        let below = source.path.trim_start_matches("src/");
        let (folder, file) = below.rsplit_once('/').unwrap_or(("", below));
        let name = if folder.is_empty() {
            file.to_owned()
        } else {
            format!("{folder}/")
        };
        let is_named = architecture.contains(&format!("`{name}`")) || folder == "cli/args";
        assert!(is_named, "ARCHITECTURE.md does not name {name}");
    }
    let named = architecture.split('`').skip(1).step_by(2);
    let is_file =
        |name: &&str| !name.contains(' ') && Path::new(name).extension() == Some("rs".as_ref());
    for name in named.filter(is_file) {
        let is_there = sources
            .iter()
            .any(|s| s.path.ends_with(&format!("/{name}")))
            || path(name).exists();
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
