//! A program under way that signals are sent to: how it ends, after how long, and what it said.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::heard::Heard;
use super::process::{PATIENCE, signal, wait_until};

/// A child process, killed by its own id when its owner goes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    errors: Option<Heard>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
    /// How long that took since it was awaited.
    pub(crate) took: Duration,
}

impl End {
    /// Its exit code, as a shell tells it: 128 and the signal's number where it was killed by one.
    pub(crate) fn code(&self) -> i32 {
        let signal = self.status.signal().map(|number| 128 + number);
        self.status.code().or(signal).expect("it has ended")
    }

    /// Whether it was killed by a signal that it did not handle.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal().is_some()
    }
}

impl Running {
    /// The probe, without anything of the caller's environment.
    pub(crate) fn probe() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command.env_clear();
        command
    }

    /// Starts it. What it prints goes nowhere unless the command says otherwise.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let stderr = child.stderr.take().expect("it is piped");
        Self {
            child,
            errors: Some(Heard::from(stderr)),
        }
    }

    /// Waits until it handles a signal, which has this number, or has ended.
    pub(crate) fn handles(&mut self, signal: u32) {
        let path = format!("/proc/{}/status", self.child.id());
        wait_until("it handles a signal", || {
            let status = std::fs::read_to_string(&path).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            caught.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
                || self.child.try_wait().is_ok_and(|ended| ended.is_some())
        });
    }

    /// Sends it a signal, by its name without SIG. Whether it was still there.
    pub(crate) fn signal(&mut self, name: &str) -> bool {
        let is_there = self
            .child
            .try_wait()
            .expect("a child can be asked")
            .is_none();
        if is_there {
            // It is not reaped before it is asked again, so that its number is nobody else's.
            signal(self.child.id(), name);
        }
        is_there
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> End {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let said = self.errors.take().map(Heard::until_the_end);
                panic!("it does not end within {PATIENCE:?}:\n{said:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = start.elapsed();
        let errors = self.errors.take().expect("it is taken once");
        End {
            status,
            stderr: errors.until_the_end(),
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
