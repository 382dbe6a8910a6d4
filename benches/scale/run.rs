//! Runs programs, and takes their time, their processor and their memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::store::{BLOB, Paths, Size, Static};
use super::support::process::{run, tool};
use super::support::report::Report;
use super::support::service::Service;

/// What `/proc` counts processor time in, on every architecture.
const TICKS_A_SECOND: f64 = 100.0;
/// The blob that is read in full.
pub(crate) const LARGE: u64 = 5_000_000_000;

/// What a run took: seconds, and the most memory that it had.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) elapsed: f64,
    /// Of the program and of the server that it asked.
    pub(crate) processor: f64,
    pub(crate) server: f64,
    pub(crate) peak_kib: u64,
}

pub(crate) fn median(runs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a command to its end; gives what it wrote to standard output, too.
fn measure(command: &mut Command, server: u32) -> (Cost, Vec<u8>) {
    let output = tempfile::NamedTempFile::new().expect("a file");
    let before = (reaped(), own(server));
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen().expect("a file"))
        .spawn()
        .expect("the program can be started");
    let (peak_kib, is_well) = watch(&mut child);
    let elapsed = start.elapsed().as_secs_f64();
    assert!(is_well, "{command:?}");
    let cost = Cost {
        elapsed,
        processor: reaped() - before.0,
        server: own(server) - before.1,
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

/// Seconds of processor that children took which have ended, and that a process took so far.
fn reaped() -> f64 {
    ticks("self", [13, 14])
}

fn own(process: u32) -> f64 {
    ticks(&process.to_string(), [11, 12])
}

/// Fields of `/proc/PID/stat`, counted from the one after the name, which is in brackets.
fn ticks(process: &str, fields: [usize; 2]) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let (_, rest) = text.rsplit_once(')').unwrap_or_default();
    let all: Vec<_> = rest.split_whitespace().collect();
    let ticks = |field: usize| {
        all.get(field)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    fields.map(ticks).iter().sum::<f64>() / TICKS_A_SECOND
}

/// A sweep of everything, which must find everything.
pub(crate) fn sweep(registry: &Static, size: Size, at_a_time: &str, depth: &str) -> Cost {
    let mut command = probe();
    command.args(["--once", "--output", "json", "--quiet", "--depth", depth]);
    command
        .args(["--concurrency", at_a_time])
        .arg(registry.url());
    let (cost, output) = measure(&mut command, registry.server());
    let json = serde_json::from_slice(&output).expect("a report in JSON");
    let report = Report { json };
    assert_eq!(report.count("repositories/checked"), size.repositories);
    assert_eq!(report.count("tags/checked"), size.images());
    assert_eq!(report.count("blobs"), size.all_blobs());
    cost
}

fn probe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// What the load generator asks for: what the probe does, less the lists.
#[derive(Debug)]
pub(crate) struct Loads {
    directory: TempDir,
    base: String,
    /// Lists of addresses: the name, whether by HEAD, whether the last byte only, and how many.
    lists: Vec<(&'static str, bool, bool, usize)>,
    pub(crate) requests: usize,
}

impl Loads {
    pub(crate) fn new(base: &str, paths: &Paths) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let lists = [
            ("tags", true, false, &paths.tags),
            ("manifests", false, false, &paths.manifests),
            ("heads", true, false, &paths.blobs),
            ("ranges", false, true, &paths.blobs),
        ];
        let write = |(name, head, range, list): (&'static str, bool, bool, &Vec<String>)| {
            let lines: String = list.iter().map(|path| format!("{base}{path}\n")).collect();
            fs::write(directory.path().join(name), lines).expect("a file");
            (name, head, range, list.len())
        };
        let lists: Vec<_> = lists.map(write).into();
        let requests = lists.iter().map(|list| list.3).sum();
        Self {
            directory,
            base: base.to_owned(),
            lists,
            requests,
        }
    }

    /// One list after the other.
    pub(crate) fn run(&self, server: u32, at_a_time: &str) -> Cost {
        let mut sum = Cost::default();
        for &(name, head, range, count) in &self.lists {
            let mut command = tool("h2load");
            command.args(["--h1", "--threads=1", "--max-concurrent-streams=1"]);
            command.arg(format!("--clients={at_a_time}"));
            command.arg(format!("--requests={count}"));
            command.arg(format!(
                "--input-file={}",
                self.directory.path().join(name).display()
            ));
            if head {
                command.arg("--header=:method: HEAD");
            }
            if range {
                command.arg(format!("--header=range: bytes={0}-{0}", BLOB - 1));
            }
            let (cost, output) = measure(&mut command, server);
            let text = String::from_utf8_lossy(&output);
            assert!(
                text.contains(&format!("{count} succeeded")),
                "{}: {text}",
                self.base
            );
            assert!(text.contains(&format!("{count} 2xx")), "{text}");
            sum.elapsed += cost.elapsed;
            sum.processor += cost.processor;
            sum.server += cost.server;
        }
        sum
    }
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
        let (cost, output) = measure(&mut command, self.registry.server());
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
        measure(&mut command, self.registry.server()).0
    }
}
