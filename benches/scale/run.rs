//! Runs programs, and takes their time, their processor and their memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};


use super::processor::Spent;
use super::store::Static;
use super::support::process::{run, tool};
use super::support::report::Report;
use super::support::service::Service;

/// The blob that is read in full.
pub(crate) const LARGE: u64 = 5_000_000_000;

/// What a run took: seconds, and the most memory that it had.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) elapsed: f64,
    /// On the processors: the program, and the servers.
    pub(crate) processor: f64,
    pub(crate) server: f64,
    pub(crate) peak_kib: u64,
}

/// How many objects a registry promises, each counted once in a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holds {
    pub(crate) repositories: usize,
    pub(crate) tags: usize,
    pub(crate) manifests: usize,
    pub(crate) blobs: usize,
}

impl Holds {
    /// Those that a sweep checks.
    pub(crate) fn objects(self) -> usize {
        self.tags + self.manifests + self.blobs
    }
}

pub(crate) fn median(runs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a command to its end; gives what it wrote to standard output, too.
pub(crate) fn measure(command: &mut Command) -> (Cost, Vec<u8>) {
    let output = tempfile::NamedTempFile::new().expect("a file");
    let before = Spent::so_far();
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen().expect("a file"))
        .spawn()
        .expect("the program can be started");
    let (peak_kib, is_well) = watch(&mut child);
    let elapsed = start.elapsed().as_secs_f64();
    assert!(is_well, "{command:?}");
    let spent = Spent::since(before);
    let cost = Cost {
        elapsed,
        processor: spent.clients.as_secs_f64(),
        server: spent.servers.as_secs_f64(),
        peak_kib,
    };
    (cost, fs::read(output.path()).expect("its output"))
}

/// Waits for the end of a program, and looks at its memory meanwhile.
fn watch(child: &mut Child) -> (u64, bool) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(kib.unwrap_or_default());
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return (peak, status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A sweep of everything, which must find everything.
pub(crate) fn sweep(url: &str, holds: Holds, at_a_time: &str, depth: &str) -> (Cost, usize) {
    let mut command = probe();
    command.args(["--once", "--output", "json", "--quiet", "--depth", depth]);
    command.args(["--concurrency", at_a_time, url]);
    let (cost, output) = measure(&mut command);
    let json = serde_json::from_slice(&output).expect("a report in JSON");
    let report = Report { json };
    let seen = Holds {
        repositories: report.count("repositories/checked"),
        tags: report.count("tags/checked"),
        manifests: report.count("indexes") + report.count("manifests"),
        blobs: report.count("blobs"),
    };
    assert_eq!(seen, holds);
    (cost, report.count("requests"))
}

fn probe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Seconds that scrapes took, one by one, and the length of one.
pub(crate) fn scrapes(registry: &Static, count: usize) -> (Vec<f64>, usize) {
    let service = Service::launch([registry.url()]);
    let begin = Instant::now();
    let last_run = "registry_manifest_integrity_last_run_timestamp";
    while service.metrics().all(last_run).is_empty() {
        assert!(
            begin.elapsed() < Duration::from_secs(600),
            "no sweep has ended"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    let url = format!("http://{}/metrics", service.address());
    let scrape = |_| {
        let mut command = tool("curl");
        command.args([
            "--silent",
            "--fail",
            "--output",
            "/dev/null",
            "--write-out",
            "%{time_total} %{size_download}",
        ]);
        let output = run(command.arg(&url));
        let text = String::from_utf8_lossy(&output.stdout);
        let (seconds, bytes) = text.split_once(' ').expect("two numbers");
        (
            seconds.parse::<f64>().expect("seconds"),
            bytes.parse::<usize>().expect("bytes"),
        )
    };
    let all: Vec<_> = (0..count).map(scrape).collect();
    let bytes = all.last().map_or(0, |last| last.1);
    (all.into_iter().map(|one| one.0).collect(), bytes)
}

/// A registry of one image with one very long layer, and a server in front of it.
#[derive(Debug)]
pub(crate) struct Large {
    registry: Static,
    layer: PathBuf,
    digest: String,
}

impl Large {
    pub(crate) fn start(scratch: &Path) -> Self {
        let layer = scratch.join("layer");
        let file = fs::File::create(&layer).expect("a file");
        // Zeros that take no room on the disk; a digest costs the same of anything.
        file.set_len(LARGE).expect("a long file");
        let output = run(tool("sha256sum").arg(&layer));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let digest = format!(
            "sha256:{}",
            text.split_whitespace().next().expect("a digest")
        );
        let registry = Static::with_layer(&layer, &digest, LARGE);
        Self {
            registry,
            layer,
            digest,
        }
    }

    pub(crate) fn probe(&self) -> Cost {
        let mut command = probe();
        command.args(["--once", "--output", "json", "--quiet", "--depth", "digest"]);
        command.arg(self.registry.url());
        let (cost, output) = measure(&mut command);
        let json = serde_json::from_slice(&output).expect("a report in JSON");
        let report = Report { json };
        assert!(report.count("scrubbed_bytes") as u64 > LARGE);
        cost
    }

    /// A shell command, which is given the layer's address and its file.
    pub(crate) fn shell(&self, script: &str) -> Cost {
        let mut command = tool("bash");
        let url = format!("{}/v2/large/blobs/{}", self.registry.url(), self.digest);
        command
            .args(["-o", "pipefail", "-c", script])
            .arg(url)
            .arg(&self.layer);
        measure(&mut command).0
    }
}
