//! Time on the processors, which tells who works and who waits, however busy the machine is (Linux only).

use std::fs;
use std::time::Duration;

/// What `/proc` counts in, on every architecture.
const TICKS_A_SECOND: u64 = 100;

// Positions in `/proc/PID/stat`, counted from the field after the name.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const REAPED: [usize; 2] = [13, 14];

/// Time spent so far by the servers (children that run) and by everybody else (children that have ended).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) servers: Duration,
    pub(crate) clients: Duration,
}

impl Spent {
    /// Looks at the clocks, at a moment when nothing but servers runs.
    pub(crate) fn so_far() -> Self {
        let me = std::process::id().to_string();
        let processes = fs::read_dir("/proc").expect("processes can be listed");
        let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // Most of them are of no interest, and some end in the meantime.
        let servers = names.filter_map(|name| {
            let fields = stat(&name)?;
            (fields.get(PARENT)? == &me).then(|| sum(&fields, OWN))
        });
        let own = stat("self").expect("this process has a clock");
        Self {
            servers: servers.sum(),
            clients: sum(&own, REAPED),
        }
    }

    /// What was spent since.
    pub(crate) fn since(earlier: Self) -> Self {
        let now = Self::so_far();
        Self {
            servers: now.servers.saturating_sub(earlier.servers),
            clients: now.clients.saturating_sub(earlier.clients),
        }
    }
}

/// The fields after the name, which is in brackets and may hold anything.
fn stat(process: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn sum(fields: &[String], positions: [usize; 2]) -> Duration {
    let ticks = |position: usize| -> u64 { fields[position].parse().expect("a number of ticks") };
    let ticks: u64 = positions.map(ticks).iter().sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}
