//! The real binary against a hostile registry: how it ended, how long it took, and the most memory
//! that it had.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::server::Server;
use crate::PATIENCE;

/// No hostile registry may make it take more.
const MOST_MEMORY: u64 = 192 << 20;
/// What may come on top of a deadline: starting, reading certificates, and the report, on a slow machine.
const GRACE: Duration = PATIENCE;

/// What came of a run.
pub(super) struct Told {
    /// Standard output and standard error.
    pub(super) output: String,
    pub(super) code: Option<i32>,
}

/// Sweeps the server, which is over by itself, and holds the run against what every run must be: in time, in
/// little memory, and with nothing in its outputs that a terminal would obey.
pub(super) fn sweep(server: &Server) -> Told {
    sweep_with(server, &[])
}

pub(super) fn sweep_with(server: &Server, arguments: &[&str]) -> Told {
    run(server, PATIENCE, PATIENCE / 2, arguments)
}

/// The same where only the deadline ends it, or a time-out that is short.
pub(super) fn sweep_to_the_deadline(server: &Server) -> Told {
    run(server, Duration::from_secs(5), Duration::from_secs(1), &[])
}

fn run(server: &Server, deadline: Duration, timeout: Duration, arguments: &[&str]) -> Told {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("output");
    let output = File::create(&path).expect("a file");
    let began = Instant::now();
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    // Nothing is answered before the memory was seen for the first time.
    let held = server.hold();
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .args(["--once", "-vv", "--deadline", &seconds(deadline)])
        .args(["--timeout", &seconds(timeout), "--confirm-after", "0s"])
        .args(arguments)
        .arg(format!("http://{}", server.address))
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a descriptor"))
        .stderr(output)
        .spawn()
        .expect("it starts");
    let mut memory = 0;
    while memory == 0 && child.try_wait().expect("a child").is_none() {
        memory = peak_memory(child.id()).unwrap_or(0);
    }
    drop(held);
    let status = loop {
        memory = peak_memory(child.id()).unwrap_or(0).max(memory);
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    let text = std::fs::read(&path).expect("written");
    let output = String::from_utf8(text).expect("text");
    let start: String = output.chars().take(2000).collect();
    assert!(took < deadline + GRACE, "it took {took:?}:\n{start}");
    assert!(memory > 0, "its memory was not seen");
    assert!(memory < MOST_MEMORY, "{} MiB:\n{start}", memory >> 20);
    let is_harmless = |c: char| c == '\n' || !c.is_control();
    assert!(output.chars().all(is_harmless), "{start:?}");
    Told {
        output,
        code: status.code(),
    }
}

/// The most memory that the probe had so far in this process, in bytes. A process that is only about to become
/// the probe still shares the memory of this one.
pub(crate) fn peak_memory(process: u32) -> Option<u64> {
    let program = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
    let probe = Path::new(env!("CARGO_BIN_EXE_probe")).canonicalize().ok()?;
    if program != probe {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
