//! A simulation: sweeps of registries whose truth is known, whose answers flap by schedule, and whose
//! clock is virtual. Whatever is drawn, the probe tells no lie; what a lie is says `oracle`.
//!
//! Short by itself. `make simulate RUNS=1000000` sweeps that often, and `make simulate SEED=7 RUNS=1`
//! replays the run of one seed.

mod answer;
mod campaign;
mod content;
mod draw;
mod fault;
mod flaps;
mod lies;
mod oracle;
mod plan;
mod registry;
mod run;
mod scene;
mod show;
mod view;
mod world;

use std::io::Write as _;

use campaign::simulate;
use plan::Plan;

/// Sweeps unless the environment says otherwise.
const FEW: u64 = if cfg!(debug_assertions) {
    1_500
} else {
    20_000
};

fn from_environment(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn no_lie_is_told() {
    let sweeps = from_environment("PROBE_SIMULATION_SWEEPS", FEW);
    let seed = from_environment("PROBE_SIMULATION_SEED", 0);
    let campaign = simulate(seed, sweeps);
    _ = write!(std::io::stdout(), "{campaign}");
    assert!(campaign.lies.is_empty(), "\n{}", campaign.shown());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..FEW / 100 {
        let run = || run::run(Plan::of(seed), false);
        let (one, other) = (run(), run());
        assert!(one.requests > 0, "seed {seed} asks for nothing");
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}
