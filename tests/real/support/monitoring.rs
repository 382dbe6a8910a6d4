//! An Alertmanager, a probe that sweeps every few seconds, and rules in which time passes as fast.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Client;
use super::process::{Server, free_port, run, tool, wait_until};
use super::webhook::Webhook;

/// How much faster than in production time passes: a run every nine seconds and not every 15 minutes.
pub(crate) const HASTE: u64 = 100;

/// Waits for something that takes as long as alerts do, in haste.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(600),
            "after {waited:?} still not so: {what}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The text of rules in haste: every duration and every number of seconds by [`HASTE`], nothing else.
pub(crate) fn in_haste(rules: &str) -> String {
    faster(rules, HASTE)
}

/// The same with time that passes so many times as fast.
pub(crate) fn faster(rules: &str, times: u64) -> String {
    let mut hasty = String::new();
    for line in rules.split_inclusive('\n') {
        let says_time = ["[", "offset", "for: ", "> 3600", "> 7200", "* 86400"];
        if line.trim_start().starts_with('#') || !says_time.iter().any(|word| line.contains(word)) {
            hasty.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(at);
            let digits = from
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(from.len());
            let (number, after) = from.split_at(digits);
            let number: u64 = number.parse().expect("it is a number");
            hasty.push_str(before);
            let unit = match after.chars().next() {
                Some('m') => 60_000,
                Some('h') => 3_600_000,
                Some('d') => 86_400_000,
                _ => 0,
            };
            if unit > 0 {
                hasty.push_str(&(number * unit / times).to_string());
                hasty.push_str("ms");
                rest = &after[1..];
            } else {
                let seconds = if number >= 3600 {
                    number / times
                } else {
                    number
                };
                hasty.push_str(&seconds.to_string());
                rest = after;
            }
        }
        hasty.push_str(rest);
    }
    hasty
}

/// A running Alertmanager.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    _server: Server,
    _directory: TempDir,
    host: String,
}

impl Alertmanager {
    /// Starts it with this configuration, and tells nobody.
    pub(crate) fn start(configuration: &Path) -> Self {
        let text = fs::read_to_string(configuration).expect("it can be read");
        // Whoever may listen at the address of the example gets nothing.
        Self::launch(&text.replace("127.0.0.1:5001", &format!("127.0.0.1:{}", free_port())))
    }

    /// Starts it with the example, in haste, whose receivers are this one.
    pub(crate) fn telling(webhook: &Webhook) -> Self {
        let mut text = super::files::text("alerts/alertmanager.example.yaml");
        for (from, to) in [
            ("http://127.0.0.1:5001", webhook.url().as_str()),
            ("group_wait: 30s", "group_wait: 300ms"),
            ("group_interval: 5m", "group_interval: 3s"),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        Self::launch(&text)
    }

    fn launch(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("alertmanager.yml");
        fs::write(&file, text).expect("it is written");
        let host = format!("127.0.0.1:{}", free_port());
        let server = Server::spawn(
            tool("prometheus-alertmanager")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.path={}",
                    directory.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={host}"))
                .arg("--cluster.listen-address=")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let client = Client::new(&format!("http://{host}"), None);
        wait_until("Alertmanager is ready", || {
            client.answers("/-/ready") && client.get("/-/ready").status == 200
        });
        Self {
            _server: server,
            _directory: directory,
            host,
        }
    }

    /// The lines of Prometheus' configuration that make it tell this one.
    pub(crate) fn configuration(&self) -> String {
        let host = &self.host;
        format!(
            "alerting:\n  alertmanagers:\n    - static_configs: [ {{ targets: ['{host}'] }} ]\n"
        )
    }

    /// Tells it of alerts, as Prometheus does: the name of each, and its registry.
    pub(crate) fn told(&self, alerts: &[(&str, &str)]) {
        let alert =
            |(name, registry): &(&str, &str)| json!({ "alertname": name, "registry": registry });
        self.told_labels(alerts.iter().map(alert));
    }

    /// The same, by all labels of each.
    pub(crate) fn told_labels(&self, alerts: impl Iterator<Item = Value>) {
        let alerts: Vec<_> = alerts.map(|labels| json!({ "labels": labels })).collect();
        let url = format!("http://{}/api/v2/alerts", self.host);
        run(tool("curl")
            .args([
                "--silent",
                "--fail",
                "--header",
                "Content-Type: application/json",
                "--data",
            ])
            .arg(Value::from(alerts).to_string())
            .arg(url));
    }

    /// The alerts of this name that are with it: their labels, and `active` or `suppressed`.
    pub(crate) fn alerts(&self, name: &str) -> Vec<(Value, String)> {
        // It answers nobody who asks for manifests, as the client of the harness does.
        let url = format!("http://{}/api/v2/alerts", self.host);
        let said = run(tool("curl").args(["--silent", "--fail", &url])).stdout;
        let json: Vec<Value> = serde_json::from_slice(&said).expect("it is JSON");
        let alerts = json
            .into_iter()
            .filter(|alert| alert["labels"]["alertname"] == name);
        alerts
            .map(|alert| {
                let state = alert["status"]["state"].as_str().unwrap_or_default();
                (alert["labels"].clone(), state.to_owned())
            })
            .collect()
    }

    /// Whether exactly one alert of this name is with it, in this state.
    pub(crate) fn has_one(&self, name: &str, state: &str) -> bool {
        matches!(&self.alerts(name)[..], [(_, found)] if found == state)
    }
}

/// A probe that sweeps in haste, always at the same address.
#[derive(Debug)]
pub(crate) struct HastyProbe {
    _server: Server,
    _home: TempDir,
}

impl HastyProbe {
    /// Starts it at this address, with these arguments.
    pub(crate) fn start(address: &str, args: &[&str]) -> Self {
        Self::every(15 * 60 / HASTE, address, args)
    }

    /// The same, whose sweeps begin this many seconds after one another.
    pub(crate) fn every(seconds: u64, address: &str, args: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probe"));
        let interval = format!("{seconds}s");
        command
            .env_clear()
            .env("HOME", home.path())
            .current_dir(home.path())
            .args([
                "--listen",
                address,
                "--interval",
                &interval,
                "--confirm-after",
                "0s",
            ])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Server::spawn(&mut command);
        let client = Client::new(&format!("http://{address}"), None);
        wait_until("the probe listens", || client.answers("/readyz"));
        Self {
            _server: server,
            _home: home,
        }
    }
}
