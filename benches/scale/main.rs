//! How fast the probe is where the registry is not the limit, and how much memory it needs for many
//! repositories, many tags and many blobs.
//!
//! Prints tables, and asserts that everything was checked, and never how fast. `benches/README.md` tells
//! what is measured.

mod cost;
mod generator;
#[path = "../sweep/processor.rs"]
mod processor;
mod race;
mod replay;
mod run;
#[path = "../../tests/real/support/mod.rs"]
#[expect(dead_code, reason = "the tests on real servers use the rest of it")]
mod support;

use std::io::Write as _;
use std::path::Path;

use race::Course;
use run::{Cost, median, number};
use support::many::{Paths, Size, Static};
use support::registry::Registry;

/// How often each is run, unless `ROUNDS` says otherwise.
const ROUNDS: usize = 5;
/// What there is to measure; `SCALE` picks.
const PARTS: [&str; 9] = [
    "race", "replay", "start", "cost", "shell", "memory", "tags", "page", "scrub",
];

fn main() {
    if generator::is_asked_to() {
        return;
    }
    // `cargo test --all-targets` starts benchmarks, too, to see whether they can be started.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let wanted = std::env::var("SCALE").unwrap_or_else(|_| PARTS.join(","));
    let parts: Vec<_> = wanted.split(',').collect();
    let unknown = parts.iter().find(|part| !PARTS.contains(part));
    assert!(unknown.is_none(), "SCALE names some of {PARTS:?}");
    races(&parts);
    let run = |part, run: fn()| {
        if parts.contains(&part) {
            run();
        }
    };
    run("start", replay::start);
    run("cost", cost::cost);
    run("memory", memory);
    run("tags", tags);
    run("page", page);
    run("scrub", scrub);
}

fn rounds() -> usize {
    std::env::var("ROUNDS").map_or(ROUNDS, |text| text.parse().expect("ROUNDS is a number"))
}

/// The probe against load generators, and against the shell job.
fn races(parts: &[&str]) {
    let size = |repositories| Size {
        repositories,
        tags: 5,
        blobs: 10,
        shared: 0,
    };
    if parts.contains(&"race") {
        let mut paths = Paths::default();
        let registry = Static::start(size(400), Some(&mut paths));
        Course::of_files(&registry, size(400), &paths).against_generators(rounds());
        let registry = Registry::start();
        Course::of_distribution(&registry, 40).against_generators(rounds());
    }
    if parts.contains(&"replay") {
        let registry = Static::start(size(400), None);
        Course::of_files(&registry, size(400), &Paths::default()).against_the_same(rounds());
        let registry = Registry::start();
        Course::of_distribution(&registry, 40).against_the_same(rounds());
    }
    if parts.contains(&"shell") {
        let registry = Static::start(size(100), None);
        let course = Course::of_files(&registry, size(100), &Paths::default());
        course.against_the_shell_job(rounds());
        let registry = Registry::start();
        Course::of_distribution(&registry, 40).against_the_shell_job(rounds());
    }
}

const HEADS: &str = "| repositories | tags | blobs | of them shared | time | peak memory |\n|--:|--:|--:|--:|--:|--:|";

/// Peak memory for 10,000 repositories with 100,000 blobs and with ten times as many, be they of many
/// images or shared by few.
fn memory() {
    say(HEADS);
    for (tags, blobs, shared) in [(1, 10, 0), (10, 10, 0), (5, 2, 90)] {
        holding(Size {
            repositories: 10_000,
            tags,
            blobs,
            shared,
        });
    }
    say("");
}

/// Peak memory for one repository with very many tags, each an image with a layer of its own.
fn tags() {
    say(HEADS);
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
    let holds = size.holds();
    let (cost, _) = run::sweep(&registry.url(), holds, "8", "head");
    say(&format!(
        "| {} | {} | {} | {} | {:.0} s | {:.0} MiB |",
        holds.repositories,
        holds.tags,
        holds.blobs,
        size.repositories * size.shared,
        cost.elapsed,
        number(cost.peak_kib) / 1024.0
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
    let rate = |runs: &[Cost]| number(run::LARGE_MB) / median(runs, |cost| cost.elapsed);
    let peak = probe
        .iter()
        .map(|cost| cost.peak_kib)
        .max()
        .unwrap_or_default();
    say(&format!(
        "Full read of {:.1} GB: probe {:.0} MB/s (peak {:.0} MiB), curl | sha256sum {:.0} MB/s, sha256sum alone \
         {:.0} MB/s, curl alone {:.0} MB/s.\n",
        number(run::LARGE_MB) / 1e3,
        rate(&probe),
        number(peak) / 1024.0,
        rate(&curl),
        rate(&sum),
        rate(&fetch)
    ));
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output takes text");
}
