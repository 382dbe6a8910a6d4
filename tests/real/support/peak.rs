//! The most memory that a program has while it runs (Linux only).

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs a command to its end, which must be a good one. Gives the most memory that it had, in KiB, and
/// what it wrote to standard output.
pub(crate) fn run_watched(command: &mut Command) -> (u64, Vec<u8>) {
    let output = tempfile::NamedTempFile::new().expect("a file");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen().expect("a file"))
        .spawn()
        .expect("the program can be started");
    let (peak, is_well) = watch(&mut child);
    assert!(is_well, "{command:?}");
    (peak, fs::read(output.path()).expect("its output"))
}

/// The kernel remembers the peak as long as the process is there, so the last look sees nearly all of it.
fn watch(child: &mut Child) -> (u64, bool) {
    let process = format!("/proc/{}", child.id());
    let own = std::env::current_exe().expect("this program has a path");
    let mut peak = 0;
    loop {
        // Until it has become the program, it shares the memory of this one.
        let is_begun = fs::read_link(format!("{process}/exe")).is_ok_and(|exe| exe != own);
        let status = fs::read_to_string(format!("{process}/status"));
        let text = status.ok().filter(|_| is_begun).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(kib.unwrap_or_default());
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return (peak, status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
