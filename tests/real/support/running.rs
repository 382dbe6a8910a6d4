//! A program under way that signals are sent to: how it ends, after how long, and what it said.

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::process::{PATIENCE, run, tool};

/// A child process, killed by its own id when its owner goes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    errors: Option<JoinHandle<String>>,
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
        let mut stderr = child.stderr.take().expect("it is piped");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            child,
            errors: Some(errors),
        }
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
            run(tool("kill")
                .args(["-s", name])
                .arg(self.child.id().to_string()));
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
                let said = self.errors.take().map(JoinHandle::join);
                panic!("it does not end within {PATIENCE:?}:\n{said:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = start.elapsed();
        let errors = self.errors.take().expect("it is taken once");
        End {
            status,
            stderr: errors.join().expect("a reader ends"),
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
