//! The probe against a generator that asks for the same addresses, in the same order and by the same methods: what
//! a first sweep asks for, and what a later one does that remembers. And what the start of the probe costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::processor::Spent;
use super::race::{AT_A_TIME, Course, Runner};
use super::run::{self, measure, number};
use super::{generator, say};

/// How often the probe is started, to tell what a start takes.
const STARTS: u32 = 50;

/// A sweep that can be repeated, and what it asks for.
struct Sweep<'a> {
    course: &'a Course,
    /// Where it finds what an earlier one kept, if it does: each run has a copy of its own.
    kept: Option<&'a Path>,
    directory: &'a Path,
}

impl Sweep<'_> {
    fn command(&self, options: &[&str]) -> Command {
        let mut command = run::probe();
        command.args(["--once", "--output", "json", "--depth", "head"]);
        command.args(["--concurrency", AT_A_TIME, &self.course.url]);
        command.args(options);
        if let Some(kept) = self.kept {
            let state = self.directory.join("state");
            copy(kept, &state);
            command.arg("--state").arg(state.join("state.json"));
        }
        command
    }

    /// What it asks for, in the order of the answers, in a file; and how many addresses that are.
    fn recorded(&self) -> (PathBuf, usize) {
        let mut command = self.command(&["-vv", "--log-format", "json"]);
        let output = command.output().expect("the probe can be started");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let asked = |line: &str| {
            let json: serde_json::Value = serde_json::from_str(line).ok()?;
            let request = json["fields"]["request"].as_str()?;
            let is_answer = json["fields"]["message"] == "answered";
            let range = request.replacen("(Range: ", "", 1).replace(')', "");
            is_answer.then_some(range)
        };
        let lines: Vec<_> = text.lines().filter_map(asked).collect();
        let file = self.directory.join("list");
        std::fs::write(&file, lines.join("\n")).expect("a file");
        (file, lines.len())
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

impl Course {
    /// The probe against the generator, in turns: a first sweep, and a later one.
    pub(crate) fn against_the_same(&self, rounds: usize) {
        say(&format!(
            "| {}, depth head | requests | a second | of the generator's | CPU of the client, each | of the generator's \
             | CPU of the server, each |\n|---|--:|--:|--:|--:|--:|--:|",
            self.name
        ));
        let kept = TempDir::new().expect("a folder");
        let mut first = run::probe();
        first.args(["--once", "--quiet", "--depth", "head", &self.url, "--state"]);
        measure(first.arg(kept.path().join("state.json")));
        for (name, kept) in [("first sweep", None), ("later sweep", Some(kept.path()))] {
            let directory = TempDir::new().expect("a folder");
            let sweep = Sweep {
                course: self,
                kept,
                directory: directory.path(),
            };
            let (list, requests) = sweep.recorded();
            let host = self.url.trim_start_matches("http://");
            let mut generated = Runner::new("generator", requests);
            let mut swept = Runner::new(name, requests);
            for _ in 0..rounds {
                let mut command = generator::command(host, &list, AT_A_TIME);
                generated.turns.push(measure(&mut command).0);
                swept
                    .turns
                    .push(measure(&mut sweep.command(&["--quiet"])).0);
            }
            let cpu = |runner: &Runner| runner.micros(|cost| cost.processor);
            for runner in [&generated, &swept] {
                say(&format!(
                    "| {} | {requests} | {:.0} | {:.2} | {:.0} µs | {:.2} | {:.0} µs |",
                    runner.name,
                    runner.rate(),
                    runner.rate() / generated.rate(),
                    cpu(runner),
                    cpu(runner) / cpu(&generated),
                    runner.micros(|cost| cost.server),
                ));
            }
        }
        say("");
    }
}

/// What the probe takes before its first request: it sweeps a registry that holds nothing.
pub(crate) fn start() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || empty(&stream));
        }
    });
    // One takes less than what the system's clocks count in.
    let before = Spent::so_far();
    for _ in 0..STARTS {
        let mut command = run::probe();
        command.args(["--once", "--quiet", "--output", "json", &url]);
        // Where nothing is looked at, nothing is verified.
        let output = command.output().expect("the probe can be started");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
    let sum = Spent::since(before).clients.as_secs_f64();
    let each = sum / number(STARTS) * 1e3;
    say(&format!(
        "A sweep of a registry that holds nothing, over plain HTTP: {each:.1} ms of CPU (mean of {STARTS}).\n"
    ));
}

/// Answers whatever is asked with a catalog of nothing, until the connection ends.
fn empty(mut stream: &std::net::TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
        Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 20\r\n\r\n{\"repositories\": []}";
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    for _ in lines.filter(String::is_empty) {
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}
