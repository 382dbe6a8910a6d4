//! How fast the probe is where the registry is not the limit, and how much memory it needs for many
//! repositories, many tags and many blobs.
//!
//! Prints tables, and asserts that everything was checked, and never how fast. `benches/README.md` tells
//! what is measured.

mod run;
mod store;
#[path = "../../tests/real/support/mod.rs"]
#[expect(dead_code, reason = "the tests on real servers use the rest of it")]
mod support;

use std::io::Write as _;
use std::path::Path;

use run::{Cost, Loads, median};
use store::{Paths, Size, Static};

/// How often each of the two is run, unless `ROUNDS` says otherwise.
const ROUNDS: usize = 5;
const AT_A_TIME: &str = "8";

fn main() {
    // `cargo test --all-targets` starts benchmarks, too, to see whether they can be started.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let wanted =
        std::env::var("SCALE").unwrap_or_else(|_| "race,memory,tags,page,scrub".to_owned());
    for part in wanted.split(',') {
        match part {
            "race" => race(),
            "memory" => memory(&[1]),
            "million" => memory(&[1, 10]),
            "tags" => tags(),
            "page" => page(),
            "scrub" => scrub(),
            _ => {
                panic!("SCALE names race, memory, million, tags, page and scrub, and not `{part}`")
            }
        }
    }
}

fn rounds() -> usize {
    std::env::var("ROUNDS").map_or(ROUNDS, |text| text.parse().expect("ROUNDS is a number"))
}

/// The probe against a load generator that asks for the same things.
fn race() {
    let size = Size {
        repositories: 200,
        tags: 5,
        blobs: 10,
        shared: 0,
    };
    let mut paths = Paths::default();
    let registry = Static::start(size, Some(&mut paths));
    let loads = Loads::new(&registry.url(), &paths);
    let requests = 2 + size.repositories + 2 * size.images() + 2 * size.all_blobs();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        theirs.push(loads.run(registry.server(), AT_A_TIME));
        let report = run::sweep(&registry, size, AT_A_TIME, "tail");
        ours.push(report);
    }
    let row = |name: &str, runs: &[Cost], requests: usize| {
        let micros = |seconds: f64| seconds * 1e6 / requests as f64;
        let elapsed = median(runs, |cost| cost.elapsed);
        say(&format!(
            "| {name} | {requests} | {:.0} | {:.0} µs | {:.0} µs |",
            requests as f64 / elapsed,
            micros(median(runs, |cost| cost.processor)),
            micros(median(runs, |cost| cost.server)),
        ));
    };
    say(
        "| static registry (nginx) | requests | a second | client's CPU, each | server's CPU, each |",
    );
    say("|---|--:|--:|--:|--:|");
    row("h2load", &theirs, loads.requests);
    row("probe, tail", &ours, requests);
    let rate = |runs: &[Cost], requests: usize| requests as f64 / median(runs, |cost| cost.elapsed);
    let cpu =
        |runs: &[Cost], requests: usize| median(runs, |cost| cost.processor) / requests as f64;
    say(&format!(
        "\nThe probe's rate is {:.2} of h2load's, its CPU time per request {:.2} times as much.\n",
        rate(&ours, requests) / rate(&theirs, loads.requests),
        cpu(&ours, requests) / cpu(&theirs, loads.requests),
    ));
}

/// Peak memory for 10,000 repositories with 10 blobs in each image, and some numbers of images.
fn memory(tags: &[usize]) {
    say("| repositories | tags | blobs | time | peak memory |\n|--:|--:|--:|--:|--:|");
    for &tags in tags {
        holding(Size {
            repositories: 10_000,
            tags,
            blobs: 10,
            shared: 0,
        });
    }
    say("");
}

/// Peak memory for one repository with very many tags, each an image with a layer of its own.
fn tags() {
    say("| repositories | tags | blobs | time | peak memory |\n|--:|--:|--:|--:|--:|");
    holding(Size {
        repositories: 1,
        tags: 200_000,
        blobs: 2,
        shared: 3,
    });
    say("");
}

fn holding(size: Size) {
    let registry = Static::start(size, None);
    let cost = run::sweep(&registry, size, AT_A_TIME, "head");
    say(&format!(
        "| {} | {} | {} | {:.0} s | {:.0} MiB |",
        size.repositories,
        size.images(),
        size.all_blobs(),
        cost.elapsed,
        cost.peak_kib as f64 / 1024.0
    ));
}

/// How long a scrape of 10,000 repositories takes.
fn page() {
    let size = Size {
        repositories: 10_000,
        tags: 1,
        blobs: 1,
        shared: 0,
    };
    let registry = Static::start(size, None);
    let (times, bytes) = run::scrapes(&registry, 20);
    let (fastest, slowest) = times
        .iter()
        .fold((f64::MAX, 0.0_f64), |(a, b), &t| (a.min(t), b.max(t)));
    let mut times = times;
    times.sort_by(f64::total_cmp);
    say(&format!(
        "A scrape of {} repositories: {:.1} ms (median of {}; {:.1} to {:.1} ms), {bytes} bytes.\n",
        size.repositories,
        times[times.len() / 2] * 1e3,
        times.len(),
        fastest * 1e3,
        slowest * 1e3
    ));
}

/// Full reads against `curl | sha256sum`.
fn scrub() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let large = run::Large::start(Path::new(scratch.path()));
    let (mut probe, mut curl, mut sum, mut fetch) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds() {
        probe.push(large.probe());
        curl.push(large.shell("curl --silent --fail \"$0\" | sha256sum"));
        sum.push(large.shell("sha256sum \"$1\""));
        fetch.push(large.shell("curl --silent --fail --output /dev/null \"$0\""));
    }
    let rate = |runs: &[Cost]| run::LARGE as f64 / median(runs, |cost| cost.elapsed) / 1e6;
    let peak = probe
        .iter()
        .map(|cost| cost.peak_kib)
        .max()
        .unwrap_or_default();
    say(&format!(
        "Full read of {:.1} GB: probe {:.0} MB/s (peak {:.0} MiB), curl | sha256sum {:.0} MB/s, sha256sum alone \
         {:.0} MB/s, curl alone {:.0} MB/s.\n",
        run::LARGE as f64 / 1e9,
        rate(&probe),
        peak as f64 / 1024.0,
        rate(&curl),
        rate(&sum),
        rate(&fetch)
    ));
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output takes text");
}
