//! The probe against load generators and against the shell job that it replaces, in turns.
//!
//! A generator asks for what a sweep asks for, list by list, because it knows one method at a time: tags
//! by HEAD, manifests by GET, blobs by HEAD, and a byte of each blob by a ranged GET. It does not read
//! what comes back, follows nothing, and is given all addresses beforehand.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::run::{self, Cost, measure, median, number};
use super::say;
use super::support::bulk::{self, Inventory, Push};
use super::support::images::{Content, Image, Layer};
use super::support::many::{Holds, Paths, Size, Static};
use super::support::process::tool;
use super::support::registry::Registry;

pub(crate) const AT_A_TIME: &str = "8";
const SHELL_JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/shell-job.sh");

/// Where a race is held: a registry, and what is in it.
pub(crate) struct Course {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    holds: Holds,
    lists: Lists,
}

/// The addresses, in files that the generators read.
struct Lists {
    directory: TempDir,
    all: Vec<List>,
}

struct List {
    name: &'static str,
    is_head: bool,
    is_range: bool,
    count: usize,
}

impl Lists {
    fn new(base: &str, paths: &Paths) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let list = |name, is_head, is_range, paths: &[String]| {
            let lines: Vec<_> = paths.iter().map(|path| format!("{base}{path}")).collect();
            fs::write(directory.path().join(name), lines.join("\n")).expect("a file");
            let count = paths.len();
            List {
                name,
                is_head,
                is_range,
                count,
            }
        };
        let all = vec![
            list("tags", true, false, &paths.tags),
            list("manifests", false, false, &paths.manifests),
            list("heads", true, false, &paths.blobs),
            list("ranges", false, true, &paths.blobs),
        ];
        Self { directory, all }
    }

    fn file(&self, list: &List) -> String {
        self.directory.path().join(list.name).display().to_string()
    }

    /// All lists, one after the other, by `oha`.
    fn by_oha(&self) -> (Cost, usize) {
        let command = |list: &List| {
            let mut command = Command::new(oha());
            command.args(["--no-tui", "--output-format", "json", "--redirect", "0"]);
            command.args(["-c", AT_A_TIME, "-n", &list.count.to_string()]);
            command.args(["-m", if list.is_head { "HEAD" } else { "GET" }]);
            if list.is_range {
                command.args(["-H", "range: bytes=0-0"]);
            }
            command.args(["-H", &accept(), "--urls-from-file", &self.file(list)]);
            command
        };
        let has_all = |list: &List, output: &str| {
            let json: serde_json::Value = serde_json::from_str(output).expect("JSON");
            let statuses = json["statusCodeDistribution"].as_object();
            let good = statuses.into_iter().flatten();
            let good = good.filter(|(status, _)| status.starts_with('2'));
            let good: u64 = good.filter_map(|(_, count)| count.as_u64()).sum();
            assert_eq!(good, list.count as u64, "{output}");
        };
        self.run(|_| true, command, has_all)
    }

    /// Those that are asked for by GET, by `h2load`, which cannot read the answer to a HEAD of HTTP/1.1.
    fn by_h2load(&self) -> (Cost, usize) {
        let command = |list: &List| {
            let mut command = tool("h2load");
            command.args(["--h1", "--threads=1", "--max-concurrent-streams=1"]);
            command.arg(format!("--clients={AT_A_TIME}"));
            command.arg(format!("--requests={}", list.count));
            command.arg(format!("--input-file={}", self.file(list)));
            command.args(["-H", &accept()]);
            if list.is_range {
                command.arg("--header=range: bytes=0-0");
            }
            command
        };
        let has_all = |list: &List, output: &str| {
            assert!(
                output.contains(&format!("status codes: {} 2xx", list.count)),
                "{output}"
            );
        };
        self.run(|list| !list.is_head, command, has_all)
    }

    fn run(
        &self,
        takes: impl Fn(&List) -> bool,
        command: impl Fn(&List) -> Command,
        has_all: impl Fn(&List, &str),
    ) -> (Cost, usize) {
        let (mut sum, mut requests) = (Cost::default(), 0);
        for list in self.all.iter().filter(|list| takes(list)) {
            let (cost, output) = measure(&mut command(list));
            has_all(list, &String::from_utf8_lossy(&output));
            sum.elapsed += cost.elapsed;
            sum.processor += cost.processor;
            sum.server += cost.server;
            requests += list.count;
        }
        (sum, requests)
    }
}

/// What a sweep accepts, so that answers are the same. No generator minds that blobs are asked for with
/// it, too.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, */*";

fn accept() -> String {
    format!("accept: {ACCEPT}")
}

/// Debian has no package of it; `benches/run.sh` builds it and says where it is.
fn oha() -> std::ffi::OsString {
    std::env::var_os("OHA").unwrap_or_else(|| "oha".into())
}

/// Whoever takes part, with what each turn took.
pub(crate) struct Runner {
    pub(crate) name: &'static str,
    requests: usize,
    pub(crate) turns: Vec<Cost>,
}

impl Runner {
    pub(crate) fn new(name: &'static str, requests: usize) -> Self {
        Self {
            name,
            requests,
            turns: Vec::new(),
        }
    }

    pub(crate) fn rate(&self) -> f64 {
        number(self.requests) / median(&self.turns, |cost| cost.elapsed)
    }

    pub(crate) fn micros(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        median(&self.turns, of) * 1e6 / number(self.requests)
    }
}

impl Course {
    /// Files that nginx serves, so that the registry is not the limit.
    pub(crate) fn of_files(registry: &Static, size: Size, paths: &Paths) -> Self {
        Self {
            name: "nginx, files",
            url: registry.url(),
            holds: size.holds(),
            lists: Lists::new(&registry.url(), paths),
        }
    }

    /// A real registry, which is filled for it.
    pub(crate) fn of_distribution(registry: &Registry, repositories: usize) -> Self {
        let (mut paths, mut holds) = (Paths::default(), None::<Holds>);
        for number in 0..repositories {
            let pushes: Vec<Push> = (1..=5).map(|tag| image(number, tag)).collect();
            bulk::push_all(registry, &pushes);
            let all = Inventory::of(&pushes);
            let path = |kind: &'static str, names: &BTreeSet<(&str, &str)>| -> Vec<String> {
                let path =
                    |(repository, name): &(&str, &str)| format!("/v2/{repository}/{kind}/{name}");
                names.iter().map(path).collect()
            };
            paths.tags.extend(path("manifests", &all.tags));
            paths.manifests.extend(path("manifests", &all.manifests));
            paths.blobs.extend(path("blobs", &all.blobs));
            holds = Some(Holds {
                repositories: number + 1,
                tags: paths.tags.len(),
                manifests: paths.manifests.len(),
                blobs: paths.blobs.len(),
            });
        }
        let url = format!("http://{}", registry.host());
        Self {
            name: "docker-registry",
            lists: Lists::new(&url, &paths),
            holds: holds.expect("some repositories"),
            url,
        }
    }

    /// The probe against the load generators, in turns.
    pub(crate) fn against_generators(&self, rounds: usize) {
        let runner = |name| Runner::new(name, 0);
        let mut all = [
            runner("oha"),
            runner("probe, tail"),
            runner("h2load, its GETs only"),
        ];
        for _ in 0..rounds {
            for runner in &mut all {
                let (cost, requests) = match runner.name {
                    "oha" => self.lists.by_oha(),
                    "probe, tail" => run::sweep(&self.url, self.holds, AT_A_TIME, "tail"),
                    _ => self.lists.by_h2load(),
                };
                runner.turns.push(cost);
                runner.requests = requests;
            }
        }
        say(&format!(
            "| {} | requests | a second | of oha's | CPU of the client, each | of oha's | CPU of the server, each |",
            self.name
        ));
        say("|---|--:|--:|--:|--:|--:|--:|");
        for runner in &all {
            let cpu = |runner: &Runner| runner.micros(|cost| cost.processor);
            say(&format!(
                "| {} | {} | {:.0} | {:.2} | {:.0} µs | {:.2} | {:.0} µs |",
                runner.name,
                runner.requests,
                runner.rate(),
                runner.rate() / all[0].rate(),
                cpu(runner),
                cpu(runner) / cpu(&all[0]),
                runner.micros(|cost| cost.server),
            ));
        }
        say("");
    }

    /// The probe against the shell job, in turns.
    pub(crate) fn against_the_shell_job(&self, rounds: usize) {
        let objects = self.holds.tags + self.holds.manifests + self.holds.blobs;
        let (mut shell, mut tail, mut head) = (Vec::new(), Vec::new(), Vec::new());
        let mut checked = 0;
        for _ in 0..rounds {
            let (cost, looked_at) = self.shell_job();
            shell.push(cost);
            checked = looked_at;
            tail.push(run::sweep(&self.url, self.holds, AT_A_TIME, "tail").0);
            head.push(run::sweep(&self.url, self.holds, AT_A_TIME, "head").0);
        }
        say(&format!(
            "| {} | objects | seconds | objects a second | times the shell job's |\n|---|--:|--:|--:|--:|",
            self.name
        ));
        let rate =
            |turns: &[Cost], objects: usize| number(objects) / median(turns, |cost| cost.elapsed);
        let baseline = rate(&shell, checked);
        let rows = [
            ("shell job", &shell, checked),
            ("probe, tail", &tail, objects),
            ("probe, head", &head, objects),
        ];
        for (name, turns, objects) in rows {
            say(&format!(
                "| {name} | {objects} | {:.2} | {:.0} | {:.1} |",
                median(turns, |cost| cost.elapsed),
                rate(turns, objects),
                rate(turns, objects) / baseline,
            ));
        }
        say("");
    }

    /// What it took, and how many objects it looked at.
    fn shell_job(&self) -> (Cost, usize) {
        let mut command = tool("bash");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        let (cost, output) = measure(command.args([SHELL_JOB, &self.url]));
        let text = String::from_utf8_lossy(&output).into_owned();
        assert!(text.contains("failures=0"), "{text}");
        let number = |name: &str| -> usize {
            let mut pairs = text
                .split_whitespace()
                .filter_map(|word| word.split_once('='));
            let value = pairs.find(|(key, _)| *key == name).map(|(_, value)| value);
            value.and_then(|value| value.parse().ok()).expect("a count")
        };
        assert_eq!(number("tags"), self.holds.tags, "{text}");
        // A tag, the manifest behind it, and the children.
        (cost, 2 * number("tags") + number("children"))
    }
}

/// An image for two platforms, some of whose layers are shared.
fn image(number: usize, tag: usize) -> Push {
    let repository = format!("team{}/app{number:03}", number % 10);
    let children = ["amd64", "arm64"].map(|architecture| {
        let seed = format!("{repository} {tag} {architecture}");
        let shared = Layer::gzip(&format!("{repository} base"));
        let own = [0, 1].map(|own| Layer::gzip(&format!("{seed} {own}")));
        Image::of(&seed, architecture, &[&[shared][..], &own[..]].concat())
    });
    let content = Content::index_of(&format!("{repository} {tag}"), children.into());
    Push::new(&repository, &format!("v{tag}"), &content)
}
