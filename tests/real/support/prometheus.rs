//! Debian's Prometheus and Pushgateway, one for each test.

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use super::http::Client;
use super::process::{Server, free_port, tool, wait_until};
use super::service::Metrics;

/// A running Prometheus that scrapes every second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    // Goes first, so that nobody writes to the directory while it is removed.
    _server: Server,
    _directory: TempDir,
    client: Client,
    url: String,
}

impl Prometheus {
    /// Scrapes the address as the job `probe`.
    pub(crate) fn scraping(address: &str) -> Self {
        Self::start(address, &[], "")
    }

    /// The same, with these files of rules and these lines of configuration besides.
    pub(crate) fn start(address: &str, rules: &[String], configuration: &str) -> Self {
        Self::launch(&[address], "", rules, configuration)
    }

    /// The same for a gateway, whose series have the job and instance of those that pushed them.
    pub(crate) fn of_gateway(gateway: &Pushgateway, rules: &[String], configuration: &str) -> Self {
        let honor = "    honor_labels: true\n";
        Self::launch(&[gateway.address()], honor, rules, configuration)
    }

    /// The same for several addresses, of which one may be a gateway's.
    pub(crate) fn of_all(addresses: &[&str], rules: &[String]) -> Self {
        Self::launch(addresses, "    honor_labels: true\n", rules, "")
    }

    fn launch(addresses: &[&str], more: &str, rules: &[String], configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        for (number, rules) in rules.iter().enumerate() {
            fs::write(at(&format!("{number}.rules.yml")), rules).expect("rules are written");
        }
        let targets = addresses.join("', '");
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [ '*.rules.yml' ]\n{configuration}\
             scrape_configs:\n  - job_name: probe\n{more}    static_configs: [ {{ targets: ['{targets}'] }} ]\n"
        );
        let file = at("prometheus.yml");
        fs::write(&file, configuration).expect("the configuration is written");
        let listen = format!("127.0.0.1:{}", free_port());
        let server = Server::spawn(
            tool("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", at("data").display()))
                .arg(format!("--web.listen-address={listen}"))
                // What a target does not show any more is gone at once. This is for Prometheus' own delays.
                .arg("--query.lookback-delta=30s")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let client = Client::new(&format!("http://{listen}"), None);
        let prometheus = Self {
            _server: server,
            _directory: directory,
            client,
            url: format!("http://{listen}"),
        };
        wait_until("Prometheus is ready", || {
            prometheus.client.answers("/-/ready") && prometheus.client.get("/-/ready").status == 200
        });
        prometheus
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The series that an expression gives, with their values.
    pub(crate) fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = self.client.get(&format!("/api/v1/query?query={query}"));
        let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(json["status"], "success", "{expression}: {json}");
        let series = json["data"]["result"].as_array().expect("a vector").iter();
        let value = |series: &Value| {
            let text = series["value"][1].as_str().expect("a value");
            text.parse().expect("a number")
        };
        series
            .map(|series| (series["metric"].clone(), value(series)))
            .collect()
    }

    /// Waits until an expression gives one series, and gives its labels and value.
    pub(crate) fn one(&self, expression: &str) -> (Value, f64) {
        let mut last = Vec::new();
        wait_until(&format!("{expression} is one series"), || {
            last = self.query(expression);
            last.len() == 1
        });
        last.remove(0)
    }

    /// Waits until an expression gives one series with this value.
    pub(crate) fn wait_for(&self, expression: &str, expected: f64) {
        let mut last = Vec::new();
        wait_until(&format!("{expression} is {expected}"), || {
            last = self.query(expression);
            matches!(&last[..], [(_, value)] if (value - expected).abs() < 1e-9)
        });
    }

    /// Waits until an expression gives nothing.
    pub(crate) fn wait_for_nothing(&self, expression: &str) {
        wait_until(&format!("{expression} is nothing"), || {
            self.query(expression).is_empty()
        });
    }
}

/// A running Pushgateway.
#[derive(Debug)]
pub(crate) struct Pushgateway {
    // Goes first, so that nobody writes to the directory while it is removed.
    _server: Server,
    _directory: TempDir,
    address: String,
    client: Client,
}

impl Pushgateway {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("pushgateway.data");
        let address = format!("127.0.0.1:{}", free_port());
        let server = Server::spawn(
            tool("prometheus-pushgateway")
                .arg(format!("--web.listen-address={address}"))
                // Debian's would share a file with all others of the machine.
                .arg(format!("--persistence.file={}", file.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let client = Client::new(&format!("http://{address}"), None);
        wait_until("the Pushgateway is ready", || client.answers("/-/ready"));
        Self {
            _server: server,
            _directory: directory,
            address,
            client,
        }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Everything that it holds.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.client.get("/metrics");
        Metrics::read(&String::from_utf8(answer.body).expect("metrics are text"))
    }

    /// Pushes as somebody else; the path is that of a group. Gives the status.
    pub(crate) fn push(&self, path: &str, text: &str) -> u16 {
        let put = self.client.put(path, "text/plain", text.to_owned().into());
        super::http::block_on(put).status
    }
}
