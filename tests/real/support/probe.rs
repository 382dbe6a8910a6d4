//! The probe as a process: arguments and environment in; exit code, standard output and error out.

use std::ffi::OsStr;
use std::fmt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::heard::Heard;
use super::process::{signal, wait_until};
use super::report::Report;

/// No run of the probe in these tests takes longer, whatever it meets, on a slow machine.
const LIMIT: Duration = Duration::from_secs(1200);

/// A run of the probe in the making.
#[derive(Debug)]
pub(crate) struct Probe {
    command: Command,
    home: TempDir,
    confirm_after: String,
    input: Stdio,
}

impl Probe {
    /// `probe --once`, at a speed that suits a test, with its report in JSON.
    pub(crate) fn once() -> Self {
        Self::new("--once").json()
    }

    /// `probe verify` in the same way.
    pub(crate) fn verify() -> Self {
        Self::new("verify").json()
    }

    /// `probe --once` with its report in text.
    pub(crate) fn once_in_text() -> Self {
        Self::new("--once")
    }

    /// `probe keep` with its list in text.
    pub(crate) fn keep() -> Self {
        Self::new("keep")
    }

    /// `probe compare` in JSON.
    pub(crate) fn compare() -> Self {
        Self::new("compare").json()
    }

    /// `probe explain` with its page in text.
    pub(crate) fn explain() -> Self {
        Self::new("explain")
    }

    /// `probe verify` with its report in text.
    pub(crate) fn verify_in_text() -> Self {
        Self::new("verify")
    }

    /// Nothing of the caller's environment reaches the probe.
    fn new(first: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command
            .env_clear()
            .env("HOME", home.path())
            .current_dir(home.path())
            .arg(first);
        Self {
            command,
            home,
            confirm_after: "0s".into(),
            input: Stdio::null(),
        }
    }

    /// `--output json`.
    pub(crate) fn json(self) -> Self {
        self.args(["--output", "json"])
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// `--depth`.
    pub(crate) fn depth(self, depth: &str) -> Self {
        self.args(["--depth", depth])
    }

    /// `--confirm-after`, which is at once otherwise.
    pub(crate) fn confirm_after(mut self, time: impl Into<String>) -> Self {
        self.confirm_after = time.into();
        self
    }

    /// One more variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// `--password-file` with this password in it.
    pub(crate) fn password_file(self, password: &str) -> Self {
        let path = self.home.path().join("password");
        std::fs::write(&path, format!("{password}\n")).expect("a password is written");
        self.arg("--password-file").arg(path)
    }

    /// Text on standard input.
    pub(crate) fn input(mut self, text: &str) -> Self {
        let path = self.home.path().join("input");
        std::fs::write(&path, text).expect("an input is written");
        self.input = std::fs::File::open(path).expect("it is there").into();
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.run_while(|_| ())
    }

    /// Runs it to its end while something happens meanwhile.
    pub(crate) fn run_while(mut self, meanwhile: impl FnOnce(&UnderWay)) -> Outcome {
        let start = Instant::now();
        let mut child = self
            .command
            .args(["--confirm-after", &self.confirm_after])
            .stdin(self.input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the probe can be started");
        let stdout = Heard::from(child.stdout.take().expect("it is piped"));
        let under_way = UnderWay {
            process: child.id(),
            stderr: Heard::from(child.stderr.take().expect("it is piped")),
        };
        meanwhile(&under_way);
        let stderr = under_way.stderr;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                break status;
            }
            if start.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                let said = stderr.until_the_end();
                panic!("the probe does not end within {LIMIT:?}:\n{said}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        Outcome {
            code: status.code().expect("the probe is not killed by a signal"),
            stdout: stdout.until_the_end(),
            stderr: stderr.until_the_end(),
            elapsed: start.elapsed(),
        }
    }
}

/// A run that has begun.
#[derive(Debug)]
pub(crate) struct UnderWay {
    process: u32,
    stderr: Heard,
}

impl UnderWay {
    /// Waits until it waits for its second look, and lets something happen while it stands still: then
    /// nothing of what happens is too late.
    pub(crate) fn between_looks(&self, happens: impl FnOnce()) {
        wait_until("it looks again", || {
            self.stderr.so_far().contains("looking again")
        });
        self.standing_still(happens);
    }

    /// Lets something happen while it stands still.
    pub(crate) fn standing_still(&self, happens: impl FnOnce()) {
        let still = Standstill::of(self.process);
        happens();
        drop(still);
    }
}

/// A process that goes on when this is dropped.
struct Standstill(u32);

impl Standstill {
    fn of(process: u32) -> Self {
        signal(process, "STOP");
        Self(process)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Standard output as JSON, and nothing else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON ({error}): {self}"))
    }

    /// The report on the one registry.
    pub(crate) fn report(&self) -> Report {
        Report { json: self.json() }
    }

    /// The reports on several registries.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let json = self.json();
        let reports = json["reports"].as_array().expect("several reports");
        reports
            .iter()
            .cloned()
            .map(|json| Report { json })
            .collect()
    }

    /// Everything a person reads on a terminal, in lower case.
    pub(crate) fn words(&self) -> String {
        format!("{}{}", self.stdout, self.stderr).to_lowercase()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.elapsed, self.stdout, self.stderr
        )
    }
}
