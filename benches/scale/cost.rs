//! What a sweep costs the registry: a first one, and a later one of ten times as much that remembers and reads bytes
//! as often as its load allows. `PROBE_BEFORE` names another version of the program to compare with.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::run::{self, Cost, measure, median};
use super::support::bulk::{Push, push_all};
use super::support::images::{Content, Image, Layer};
use super::support::registry::Registry;
use super::{rounds, say};

const REPOSITORIES: usize = 200;
const TAGS: usize = 5;
/// Stacks of base layers that repositories share: a third of the blobs.
const BASES: usize = 10;

/// Prints what both cost.
pub(crate) fn cost() {
    say(
        "| | requests | time | of before | CPU of the registry | of before |\n|---|--:|--:|--:|--:|--:|",
    );
    let registry = filled(1);
    compare("first sweep", &registry, None);
    drop(registry);
    let registry = filled(10);
    let kept = TempDir::new().expect("a folder");
    // As a service is that has gone on for a while: all was read once.
    measure(&mut sweep(run::probe(), &registry, Some(kept.path())));
    compare(
        "later sweep, ten times as much",
        &registry,
        Some(kept.path()),
    );
    say("");
}

/// A registry with as many repositories, each with tags of images for two platforms.
fn filled(times: usize) -> Registry {
    let registry = Registry::start();
    for number in 0..REPOSITORIES * times {
        let pushes: Vec<_> = (1..=TAGS).map(|tag| image(number, tag)).collect();
        push_all(&registry, &pushes);
    }
    registry
}

fn image(number: usize, tag: usize) -> Push {
    let repository = format!("team{}/app{number}", number % 10);
    let children = ["amd64", "arm64"].map(|architecture| {
        let seed = format!("{repository} {tag} {architecture}");
        let base = format!("base {} {tag} {architecture}", number % BASES);
        Image::of(
            &seed,
            architecture,
            &[Layer::gzip(&base), Layer::gzip(&seed)],
        )
    });
    let content = Content::index_of(&format!("{repository} {tag}"), children.into());
    Push::new(&repository, &format!("v{tag}"), &content)
}

fn sweep(mut probe: Command, registry: &Registry, kept: Option<&Path>) -> Command {
    probe.args(["--once", "--output", "json", "--quiet", &registry.host()]);
    if let Some(kept) = kept {
        probe
            .args(["--interval", "1m", "--state"])
            .arg(kept.join("state.json"));
    }
    probe
}

/// The version before, if there is one, and this one, in turns.
fn compare(name: &str, registry: &Registry, kept: Option<&Path>) {
    let before = std::env::var_os("PROBE_BEFORE");
    let (mut old, mut new, mut requests) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds() {
        if let Some(program) = &before {
            let mut command = Command::new(program);
            command.env_clear();
            old.push(measure(&mut sweep(command, registry, None)).0);
        }
        let (cost, output) = measure(&mut sweep(run::probe(), registry, kept));
        let json: serde_json::Value = serde_json::from_slice(&output).expect("a report");
        assert_eq!(json["verdict"], "intact", "{json}");
        requests = json["counts"]["requests"].as_u64().expect("a number");
        new.push(cost);
    }
    let row = |of: fn(&Cost) -> f64| {
        let now = median(&new, of);
        let ratio = (!old.is_empty()).then(|| format!("{:.2}", now / median(&old, of)));
        format!("{now:.1} s | {}", ratio.unwrap_or_default())
    };
    let (elapsed, server) = (row(|cost| cost.elapsed), row(|cost| cost.server));
    say(&format!("| {name} | {requests} | {elapsed} | {server} |"));
}
