//! Who is measured, and how one turn goes.

use std::process::Command;
use std::time::{Duration, Instant};

use super::processor::Spent;
use super::store::{self, Holds};
use super::support::nginx::Nginx;
use super::support::process::tool;
use super::support::registry::Registry;
use super::support::report::Report;

const SHELL_JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/shell-job.sh");

/// How many objects a sweep says that it checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Checked {
    pub(crate) tags: usize,
    pub(crate) manifests: usize,
    pub(crate) blobs: usize,
}

impl Checked {
    pub(crate) fn total(self) -> usize {
        self.tags + self.manifests + self.blobs
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) elapsed: Duration,
    pub(crate) spent: Spent,
}

/// A command that is run again and again.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    command: Command,
    exit_code: i32,
    /// Whether the registry is started anew before each turn, with nothing in its cache.
    is_cold: bool,
    /// Tells what the command checked from what it printed.
    read: fn(&[u8]) -> Checked,
    pub(crate) checked: Checked,
    pub(crate) requests: usize,
    pub(crate) turns: Vec<Turn>,
}

/// Sweeps of the registry itself, the shell job before all others.
pub(crate) fn plain_sweeps(registry: &Registry) -> Vec<Contestant> {
    let url = format!("http://{}", registry.host());
    let sweep = |name, depth| sweep(name, &["--depth", depth, &url]);
    vec![
        shell_job(&url),
        sweep("probe, tail", "tail"),
        sweep("probe, head", "head"),
        Contestant {
            is_cold: true,
            ..sweep("probe, tail, nothing cached", "tail")
        },
    ]
}

/// Sweeps through TLS, the shell job before all others.
pub(crate) fn tls_sweeps(front: &Nginx) -> Vec<Contestant> {
    let (url, authority) = (front.url(), front.authority());
    let authority = authority.to_str().expect("the path is text");
    let sweep = |name, depth| sweep(name, &["--depth", depth, "--ca-file", authority, &url]);
    vec![
        shell_job(&url),
        sweep("probe, tail", "tail"),
        sweep("probe, head", "head"),
    ]
}

/// `probe verify` on an image that is intact and on one that is broken.
pub(crate) fn verifications(registry: &Registry) -> [Contestant; 2] {
    let verify = |name, image: &str, exit_code| {
        let image = format!("{}/{image}", registry.host());
        let command = probe(&["verify", "--output", "json", &image]);
        Contestant {
            exit_code,
            ..Contestant::new(name, command, read_report)
        }
    };
    [
        verify("intact", &store::intact_image(), 0),
        verify("broken", &store::broken_image(), 1),
    ]
}

fn shell_job(url: &str) -> Contestant {
    let mut command = tool("bash");
    // No proxy of the caller's, and nothing else of the environment.
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).args([SHELL_JOB, url]);
    Contestant::new("shell job", command, read_shell_job)
}

fn sweep(name: &'static str, arguments: &[&str]) -> Contestant {
    let common = ["--once", "--confirm-after", "0s", "--output", "json"];
    let command = probe(&[&common[..], arguments].concat());
    Contestant::new(name, command, read_report)
}

/// The probe without anything of the caller's environment: as it is shipped, if `benches/run.sh` built it.
fn probe(arguments: &[&str]) -> Command {
    let shipped = std::env::var_os("PROBE");
    let mut command = Command::new(shipped.unwrap_or_else(|| env!("CARGO_BIN_EXE_probe").into()));
    command
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(arguments);
    command
}

impl Contestant {
    fn new(name: &'static str, command: Command, read: fn(&[u8]) -> Checked) -> Self {
        Self {
            name,
            command,
            exit_code: 0,
            is_cold: false,
            read,
            checked: Checked::default(),
            requests: 0,
            turns: Vec::new(),
        }
    }

    /// One sweep. Whoever leaves out anything that it is to check is not measured.
    pub(crate) fn sweep(&mut self, registry: &mut Registry, holds: &Holds) {
        if self.is_cold {
            registry.restart();
        }
        let mark = self.turns.is_empty().then(|| registry.mark());
        self.run();
        if let Some(mark) = mark {
            self.requests = registry.requests_since(mark).len();
        }
        let Checked {
            tags,
            manifests,
            blobs,
        } = self.checked;
        assert_eq!((tags, manifests), (holds.tags, holds.manifests), "{self:?}");
        assert!(blobs == 0 || blobs == holds.blobs, "{self:?}");
    }

    /// Runs the command once and takes the time.
    pub(crate) fn run(&mut self) {
        let (before, start) = (Spent::so_far(), Instant::now());
        let output = self.command.output().expect("the command can be started");
        let elapsed = start.elapsed();
        let spent = Spent::since(before);
        assert_eq!(output.status.code(), Some(self.exit_code), "{output:?}");
        self.turns.push(Turn { elapsed, spent });
        self.checked = (self.read)(&output.stdout);
    }

    /// The seconds in the middle of what all turns took by one clock.
    pub(crate) fn median(&self, clock: impl Fn(&Turn) -> Duration) -> f64 {
        let mut times: Vec<Duration> = self.turns.iter().map(clock).collect();
        times.sort();
        let (low, high) = (times[(times.len() - 1) / 2], times[times.len() / 2]);
        f64::midpoint(low.as_secs_f64(), high.as_secs_f64())
    }

    /// The seconds of the fastest and of the slowest turn.
    pub(crate) fn extremes(&self) -> (f64, f64) {
        let seconds = self.turns.iter().map(|turn| turn.elapsed.as_secs_f64());
        seconds.fold((f64::INFINITY, 0.0), |(least, most), one| {
            (least.min(one), most.max(one))
        })
    }
}

fn read_report(stdout: &[u8]) -> Checked {
    let json = serde_json::from_slice(stdout).expect("a report in JSON");
    let report = Report { json };
    Checked {
        tags: report.count("tags/checked"),
        manifests: report.count("indexes") + report.count("manifests"),
        blobs: report.count("blobs"),
    }
}

/// Reads `repositories=N tags=N children=N failures=N`.
fn read_shell_job(stdout: &[u8]) -> Checked {
    let text = String::from_utf8_lossy(stdout);
    let number = |name: &str| -> usize {
        let mut pairs = text.split_whitespace().filter_map(|w| w.split_once('='));
        let value = pairs.find(|(key, _)| *key == name).map(|(_, value)| value);
        value.and_then(|value| value.parse().ok()).expect("a count")
    };
    assert_eq!(number("failures"), 0, "{text}");
    Checked {
        tags: number("tags"),
        manifests: number("tags") + number("children"),
        blobs: 0,
    }
}
