//! Four probes share a registry, and `probe merge` makes one report of theirs: as good as that of one probe,
//! and no better than its parts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use registry_probe::oci::Repository;
use registry_probe::report::Shard;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::process::{signal, wait_until};
use crate::support::registry::Registry;
use crate::support::report::Report;
use crate::support::skopeo;

const COUNT: u32 = 4;

/// A registry of twelve repositories, each with an image, an index, and a tag that the filters leave out.
fn registry() -> Registry {
    let registry = Registry::start();
    for number in 0..12 {
        let name = name(number);
        let list = Content::index(&name);
        skopeo::push(&registry, &image(&name).into(), &format!("{name}:image"));
        skopeo::push(&registry, &list, &format!("{name}:list"));
        skopeo::push(&registry, &list, &format!("{name}:old"));
    }
    registry
}

fn name(number: u32) -> String {
    format!("team-{}/app-{number}", number % 3)
}

fn image(name: &str) -> Image {
    Image::new(&format!("image of {name}"), "amd64")
}

/// The shard that a repository belongs to.
fn shard_of(name: &str) -> u32 {
    let name: Repository = name.parse().expect("a name");
    let holds = |index: &u32| Shard::new(*index, COUNT).is_some_and(|shard| shard.holds(&name));
    (0..COUNT).find(holds).expect("it belongs to one")
}

/// Where the reports of a run are.
struct Run {
    host: String,
    folder: TempDir,
    id: &'static str,
}

impl Run {
    fn new(registry: &Registry, id: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            host: registry.host(),
            folder,
            id,
        }
    }

    fn file(&self, index: u32) -> PathBuf {
        self.folder.path().join(format!("{index}.json"))
    }

    fn arguments(&self, index: u32) -> Vec<String> {
        let file = format!("json={}", self.file(index).display());
        let shard = format!("{index}/{COUNT}");
        let arguments = [
            "--exclude-tag",
            "old",
            "--shard",
            &shard,
            "--run-id",
            self.id,
        ];
        let rest = ["--report-file", &file, &self.host];
        let all = arguments.iter().chain(&rest);
        all.map(|word| (*word).to_owned()).collect()
    }

    /// Runs these shards side by side, to their ends.
    fn shards(&self, indexes: &[u32]) -> Vec<Outcome> {
        thread::scope(|scope| {
            let start = |index: &u32| {
                let probe = Probe::once().args(self.arguments(*index));
                scope.spawn(|| probe.run())
            };
            let running: Vec<_> = indexes.iter().map(start).collect();
            let ended = running.into_iter().map(|one| one.join().expect("it ends"));
            ended.collect()
        })
    }

    /// Runs a shard and kills it while the registry answers nothing.
    fn killed(&self, registry: &Registry, index: u32) {
        registry.freeze();
        let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
            .env_clear()
            .args(["--once", "-vv"])
            .args(self.arguments(index))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        signal(child.id(), "KILL");
        let status = child.wait().expect("it ended");
        assert!(status.code().is_none(), "{status}");
    }

    /// Merges the reports of all shards, wherever they are.
    fn merge(&self, more: &[&str]) -> Output {
        let files = (0..COUNT).map(|index| self.file(index));
        merge(files, more)
    }
}

fn merge<P: AsRef<Path>>(files: impl IntoIterator<Item = P>, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.env_clear().arg("merge").args(more);
    for file in files {
        command.arg(file.as_ref());
    }
    command.stdin(Stdio::null()).output().expect("it starts")
}

fn report(output: &Output) -> Report {
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Report { json }
}

fn said(output: &Output) -> String {
    let words = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(words).expect("text");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A report without what is another in every sweep, and what only a sweep of everything can know.
fn timeless(report: &Report) -> Value {
    let mut json = report.json.clone();
    for path in ["/started_at", "/finished_at", "/run_id", "/oldest_read_at"] {
        *json.pointer_mut(path).expect(path) = Value::Null;
    }
    // Shards do not know which blobs the others read.
    for path in ["/counts/requests", "/counts/bytes", "/counts/blobs_read"] {
        *json.pointer_mut(path).expect(path) = json!(0);
    }
    // The parts of a registry show its software in an order of their own.
    let signs = &mut json["software"]["signs"];
    let signs = signs.as_array_mut().expect("a list");
    signs.sort_by_key(ToString::to_string);
    for finding in json["findings"].as_array_mut().expect("a list") {
        finding["first_broken"] = Value::Null;
    }
    json
}

#[test]
fn four_shards_merged_are_the_report_of_one_probe() {
    let mut registry = registry();
    let store = registry.store();
    let lost = image(&name(0)).layers[0].digest.clone();
    store.remove_layer_link(&name(0), &lost);
    let child = Content::index(&name(5)).images()[0].manifest.digest.clone();
    store.remove_revision_link(&name(5), &child);
    store.empty_data(&image(&name(7)).layers[0].digest);
    store.remove_tag_link(&name(9), "list");
    registry.restart();

    let junit = tempfile::tempdir().expect("a folder");
    let files = ["one.xml", "merged.xml"].map(|file| junit.path().join(file));
    let [one, merged] = files
        .each_ref()
        .map(|file| format!("junit={}", file.display()));
    let whole = Probe::once()
        .args(["--exclude-tag", "old", "--report-file", &one])
        .arg(registry.host())
        .run();
    let run = Run::new(&registry, "nightly");
    let shards = run.shards(&[0, 1, 2, 3]);
    for (index, shard) in (0..COUNT).zip(&shards) {
        let has_broken = [0, 5, 7, 9].map(|number| shard_of(&name(number)));
        let code = i32::from(has_broken.contains(&index));
        assert_eq!(shard.code, code, "{shard}");
    }
    let output = run.merge(&["--output", "json", "--report-file", &merged]);
    assert_eq!(
        (whole.code, output.status.code()),
        (1, Some(1)),
        "{output:?}"
    );
    let (whole, merged) = (whole.report(), report(&output));
    assert_eq!(whole.findings().len(), 4);
    assert_eq!(merged.json["run_id"], "nightly");
    assert_eq!(timeless(&merged), timeless(&whole));

    // Both of a suite with its time and the same cases.
    let cases = |file: &Path| {
        let text = std::fs::read_to_string(file).expect("it was written");
        let cases = text.lines().filter(|line| line.contains("<testcase "));
        cases.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cases(&files[0]).len(), 12);
    assert_eq!(cases(&files[1]), cases(&files[0]));
}

#[test]
fn a_shard_that_is_killed_is_missed_and_hides_nothing() {
    let mut registry = registry();
    let broken = name(0);
    let killed = (shard_of(&broken) + 1) % COUNT;
    let others: Vec<_> = (0..COUNT).filter(|index| *index != killed).collect();
    let run = Run::new(&registry, "first");
    for shard in run.shards(&others) {
        assert_eq!(shard.code, 0, "{shard}");
    }
    run.killed(&registry, killed);
    let output = run.merge(&[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let missing = format!("of 4 shards, there is no report of shard {killed}/4");
    assert!(said(&output).contains(&missing), "{}", said(&output));
    assert!(
        said(&output).contains("it cannot be read"),
        "{}",
        said(&output)
    );
    let output = run.merge(&["--fail-on", "broken"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    // The shard's report of this run, left over for the next.
    registry.restart();
    assert_eq!(run.shards(&[killed])[0].code, 0);
    assert_eq!(run.merge(&[]).status.code(), Some(0));
    let next = Run::new(&registry, "second");
    std::fs::copy(run.file(killed), next.file(killed)).expect("it is copied");
    let layer = image(&broken).layers[0].digest.clone();
    registry.store().remove_layer_link(&broken, &layer);
    next.shards(&others);
    let output = next.merge(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for words in [
        &*missing,
        "it is of the run first, and the newest one is of the run second",
        &broken,
    ] {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
}

#[test]
fn a_pipe_is_read_and_a_file_without_end_is_not() {
    let registry = Registry::start();
    skopeo::push(&registry, &image("app").into(), "app:v1");
    let written = Probe::once().arg(registry.host()).run();
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .args(["merge", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, written.stdout.as_bytes()).expect("it reads");
    drop(stdin);
    let mut status = None;
    wait_until("it ends", || {
        status = child.try_wait().expect("it can be asked");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));

    let output = merge(["/dev/zero"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("more than 256 MiB"), "{output:?}");
}
