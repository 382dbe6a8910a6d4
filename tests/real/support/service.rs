//! The probe as the process that goes on: its endpoints, its log, and the signals that it is sent.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::heard::Heard;
use super::http::{Answer, Client};
use super::process::{Server, signal, wait_until};

/// A running service. It sweeps when it starts and when it is told to, and not by the clock.
#[derive(Debug)]
pub(crate) struct Service {
    server: Server,
    address: String,
    log: Heard,
    _home: TempDir,
}

impl Service {
    /// Starts it with these arguments, and waits for its first sweeps.
    pub(crate) fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let service = Self::launch(args);
        wait_until("every registry was swept", || {
            let metrics = service.metrics();
            let swept = metrics.all("registry_manifest_integrity_last_run_timestamp");
            let watched = metrics.all("registry_probe_http_concurrency_limit");
            !watched.is_empty() && swept.len() == watched.len()
        });
        service
    }

    /// Starts it with these arguments, and waits until it listens.
    pub(crate) fn launch<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut by = Command::new("/usr/bin/env");
        by.env_clear();
        Self::launch_by(by, args)
    }

    /// Starts it by a command that becomes it: one that takes a program and its arguments, and is the
    /// same process from then on.
    pub(crate) fn launch_by<S: AsRef<OsStr>>(
        mut command: Command,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        command
            .arg(env!("CARGO_BIN_EXE_probe"))
            .env("HOME", home.path())
            .current_dir(home.path())
            // What is given as an argument counts more.
            .env("PROBE_LISTEN", "127.0.0.1:0")
            .env("PROBE_INTERVAL", "1h")
            .env("PROBE_CONFIRM_AFTER", "0s")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = Server::spawn(&mut command);
        let log = Heard::from(server.stderr());
        let mut service = Self {
            server,
            address: String::new(),
            log,
            _home: home,
        };
        let mut address = None;
        wait_until("the probe listens", || {
            let log = service.log();
            let after = log.split_once("serving http://").map(|(_, after)| after);
            address = after.and_then(|after| Some(after.split_once('/')?.0.to_owned()));
            assert!(
                service.server.exited().is_none(),
                "the probe has ended:\n{log}"
            );
            address.is_some()
        });
        service.address = address.expect("it was awaited");
        service
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// `HOST:PORT` of its endpoints.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.so_far()
    }

    /// What one of its endpoints answers.
    pub(crate) fn get(&self, path: &str) -> Answer {
        Client::new(&format!("http://{}", self.address), None).get(path)
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        Metrics::read(&String::from_utf8(answer.body).expect("metrics are text"))
    }

    /// Tells it to sweep once more, and waits until it has.
    pub(crate) fn sweep_again(&self) {
        let runs =
            |metrics: &Metrics| metrics.all("registry_manifest_integrity_last_run_timestamp");
        let before = runs(&self.metrics());
        self.signal("HUP");
        wait_until("every registry was swept once more", || {
            let after = runs(&self.metrics());
            after
                .iter()
                .zip(&before)
                .all(|(after, before)| after.1 > before.1)
        });
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.server.id(), name);
    }

    /// Waits for its end: how it ended, and what it logged.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the probe ends", || {
            status = self.server.exited();
            status.is_some()
        });
        (status.expect("it was awaited"), self.log.until_the_end())
    }
}

/// Series with their labels and values.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<(String, BTreeMap<String, String>, f64)>);

impl Metrics {
    /// Reads the text format, as far as these tests meet it.
    pub(crate) fn read(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series has a value");
            let value = value.parse().expect("a value is a number");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split("\",");
            let labels = labels.filter_map(|label| {
                let (name, value) = label.split_once("=\"")?;
                Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
            });
            (name.to_owned(), labels.collect(), value)
        });
        Self(series.collect())
    }

    /// All series of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let series = self.0.iter().filter(|(found, ..)| found == name);
        series
            .map(|(_, labels, value)| (labels.clone(), *value))
            .collect()
    }

    /// The sum of the series with these labels; `None` if there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |found: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(label, value)| found.get(*label).is_some_and(|found| found == value))
        };
        let values = self
            .0
            .iter()
            .filter(|(found, labels, _)| found == name && has(labels));
        values.map(|(.., value)| *value).reduce(|a, b| a + b)
    }

    /// The series of this program's contract about registries, by their short names.
    pub(crate) fn integrity(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.sum(&format!("registry_manifest_integrity_{name}"), labels)
    }
}
