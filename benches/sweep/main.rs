//! The probe against the shell job that it replaces, in turns on one real registry on loopback.
//!
//! Prints tables. It asserts that everybody does what it is there to do, and never how fast: that is for
//! people to read. `benches/README.md` tells what is measured.

mod contest;
mod processor;
mod store;
#[path = "../../tests/real/support/mod.rs"]
#[expect(dead_code, reason = "the tests on real servers use the rest of it")]
mod support;
mod table;

use std::io::Write as _;

use contest::Contestant;
use store::Holds;
use support::nginx::Nginx;
use support::process::run;
use support::registry::{self, Registry};

/// How often each sweep is run, unless `ROUNDS` says otherwise.
const ROUNDS: usize = 5;
/// How often each image is verified.
const VERIFICATIONS: usize = 20;

fn main() {
    // `cargo test --all-targets` starts benchmarks, too, to see whether they can be started.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = std::env::var("ROUNDS").map_or(ROUNDS, |text| {
        text.parse().expect("ROUNDS is a number of rounds")
    });
    let mut registry = Registry::start();
    say(&surroundings());
    let holds = store::fill(&registry);
    say(&format!("{holds}\n"));

    let mut sweeps = contest::plain_sweeps(&registry);
    hold(rounds, &mut sweeps, &mut registry, &holds);
    say("Over plain HTTP:\n");
    say(&table::of_sweeps(&sweeps));

    let front = Nginx::tls(&registry);
    let mut sweeps = contest::tls_sweeps(&front);
    hold(rounds, &mut sweeps, &mut registry, &holds);
    say("Over TLS, by nginx in front of the same registry:\n");
    say(&table::of_sweeps(&sweeps));

    store::break_one_image(&registry);
    registry.restart();
    let mut verifications = contest::verifications(&registry);
    for _ in 0..VERIFICATIONS {
        verifications.iter_mut().for_each(Contestant::run);
    }
    say(&table::of_verifications(&verifications));
}

/// Everybody in turns, so that whatever else the machine does meets all alike.
fn hold(rounds: usize, sweeps: &mut [Contestant], registry: &mut Registry, holds: &Holds) {
    for _ in 0..rounds {
        for contestant in &mut *sweeps {
            contestant.sweep(registry, holds);
        }
    }
}

fn surroundings() -> String {
    let version = run(registry::program().arg("--version")).stdout;
    let version = String::from_utf8_lossy(&version);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // The program says by which path it was called; that is of no interest.
    let version = version.trim().rsplit('/').next().unwrap_or_default();
    format!("{version} on {processors} processors")
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output takes text");
}
