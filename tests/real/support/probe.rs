//! The probe as a process: arguments and environment in; exit code, standard output and error out.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::report::Report;

/// No run of the probe in these tests takes longer, whatever it meets.
const LIMIT: Duration = Duration::from_secs(180);

/// A run of the probe in the making.
#[derive(Debug)]
pub(crate) struct Probe {
    command: Command,
    home: TempDir,
    confirm_after: &'static str,
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
            confirm_after: "0s",
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
    pub(crate) fn confirm_after(mut self, time: &'static str) -> Self {
        self.confirm_after = time;
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

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.run_while(|| ())
    }

    /// Runs it to its end while something happens meanwhile.
    pub(crate) fn run_while(mut self, meanwhile: impl FnOnce()) -> Outcome {
        let start = Instant::now();
        let mut child = self
            .command
            .args(["--confirm-after", self.confirm_after])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the probe can be started");
        let stdout = drain(child.stdout.take().expect("it is piped"));
        let stderr = drain(child.stderr.take().expect("it is piped"));
        meanwhile();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                break status;
            }
            if start.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                let said = stderr.join().expect("a reader ends");
                panic!("the probe does not end within {LIMIT:?}:\n{said}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        Outcome {
            code: status.code().expect("the probe is not killed by a signal"),
            stdout: stdout.join().expect("a reader ends"),
            stderr: stderr.join().expect("a reader ends"),
            elapsed: start.elapsed(),
        }
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text)
            .expect("the probe speaks UTF-8");
        text
    })
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
