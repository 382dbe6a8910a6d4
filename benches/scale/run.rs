//! Runs programs, and takes their time, their processor and their memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::processor::Spent;
use super::support::many::{Holds, Static};
use super::support::peak::run_watched;
use super::support::process::{run, tool};
use super::support::report::Report;
use super::support::service::Service;

/// The length, in MB, of the blob that is read in full.
pub(crate) const LARGE_MB: u32 = 5_000;
const LARGE: u64 = LARGE_MB as u64 * 1_000_000;

/// What a run took: seconds, and the most memory that it had.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) elapsed: f64,
    /// On the processors: the program, and the servers.
    pub(crate) processor: f64,
    pub(crate) server: f64,
    pub(crate) peak_kib: u64,
}

/// A count, to calculate with.
pub(crate) fn number(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().ok().expect("not so many"))
}

pub(crate) fn median(runs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a command to its end; gives what it wrote to standard output, too.
pub(crate) fn measure(command: &mut Command) -> (Cost, Vec<u8>) {
    let (before, start) = (Spent::so_far(), Instant::now());
    let (peak_kib, output) = run_watched(command);
    let elapsed = start.elapsed().as_secs_f64();
    let spent = Spent::since(before);
    let cost = Cost {
        elapsed,
        processor: spent.clients.as_secs_f64(),
        server: spent.servers.as_secs_f64(),
        peak_kib,
    };
    (cost, output)
}

/// A sweep of everything, which must find everything.
pub(crate) fn sweep(url: &str, holds: Holds, at_a_time: &str, depth: &str) -> (Cost, usize) {
    let mut command = probe();
    command.args(["--once", "--output", "json", "--quiet", "--depth", depth]);
    command.args(["--concurrency", at_a_time, url]);
    let (cost, output) = measure(&mut command);
    let json = serde_json::from_slice(&output).expect("a report in JSON");
    let report = Report { json };
    assert_eq!(Holds::checked(&report), holds);
    (cost, report.count("requests"))
}

/// The probe without anything of the caller's environment: as it is shipped, if `benches/run.sh` built it.
pub(crate) fn probe() -> Command {
    let shipped = std::env::var_os("PROBE");
    let mut command = Command::new(shipped.unwrap_or_else(|| env!("CARGO_BIN_EXE_probe").into()));
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
