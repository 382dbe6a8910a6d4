//! The probe against real clients: registries that deviate as a seed decides, from which skopeo and
//! containerd take an image. What a client takes is not broken, and what none takes is not intact.
//!
//! What the clients said is kept in `verdicts.txt`, so that a replay needs none. `make differential` asks
//! them again and compares.

mod client;
mod damage;
mod field;
mod front;
mod habit;
mod image;
mod incident;
mod judge;
mod kept;
mod meant;
mod probe;
#[path = "../real/support/tarball.rs"]
mod tarball;
mod trial;
mod verdicts;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use client::{Containerd, Taken};
use front::Front;
use futures::StreamExt as _;
use judge::{Disagreement, Run};
use registry_double::Double;
use registry_probe::model::Depth;
use tokio::sync::Semaphore;
use trial::Trial;

/// Trials that `make differential` goes through, and that are kept.
const ALL: u64 = 5_000;
/// Of those, every so many is replayed where no number is given.
const EVERY: u64 = 12;
/// Trials at a time. They mostly wait.
const AT_A_TIME: usize = 16;
/// Clients at a time. They do not.
static CLIENTS: Semaphore = Semaphore::const_new(2);

/// Runs a trial; the clients are asked where there is a containerd.
async fn run(seed: u64, kept: Option<verdicts::Verdict>, clients: Option<Arc<Containerd>>) -> Run {
    let trial = Trial::of(seed);
    let double = Double::start().await;
    let healthy = Double::start().await;
    trial.prepare(&double);
    trial.prepare(&healthy);
    trial.damage(&double);
    let (edit, is_over_tls) = (trial.edit(), trial.is_over_tls());
    let front = Front::start(double.clone(), healthy.clone(), edit, is_over_tls).await;
    let mut reports = None;
    if let Some(containerd) = &clients {
        let _permit = CLIENTS.acquire().await.expect("it is never closed");
        reports = Some([
            client::skopeo(&front, &trial).await,
            containerd.fetch(&front, &trial).await,
        ]);
    }
    let asked = reports
        .as_ref()
        .map(|reports| [reports[0].taken, reports[1].taken]);
    let taken = asked.or(kept).expect("the clients are asked, or were");
    let mut said = Vec::new();
    for depth in [Depth::Digest, Depth::Tail] {
        said.push(probe::sweep(&front, depth).await);
    }
    Run {
        trial,
        taken,
        reports,
        said,
    }
}

/// A sweep is one task, which cannot move between threads.
fn on_a_thread(
    seed: u64,
    kept: Option<verdicts::Verdict>,
    clients: Option<Arc<Containerd>>,
) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(run(seed, kept, clients))
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.map(|value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_agrees_with_clients() {
    let records =
        std::env::var_os("PROBE_DIFFERENTIAL_RECORD").is_some_and(|value| !value.is_empty());
    let kept = if records {
        Vec::new()
    } else {
        verdicts::read().expect("verdicts to go by")
    };
    let containerd = match std::env::var_os("PROBE_DIFFERENTIAL_CLIENTS") {
        Some(programs) => Some(Arc::new(Containerd::start(Path::new(&programs)).await)),
        None => None,
    };
    let first = number("PROBE_DIFFERENTIAL_SEED");
    let runs = number("PROBE_DIFFERENTIAL_RUNS").or(containerd.as_ref().map(|_| ALL));
    let seeds: Vec<u64> = match (first, runs) {
        (None, None) => (0..kept.len() as u64)
            .step_by(usize::try_from(EVERY).expect("it fits"))
            .collect(),
        (first, runs) => {
            let first = first.unwrap_or(0);
            (first..first + runs.unwrap_or(1)).collect()
        }
    };
    assert!(
        !records || (first.is_none() && containerd.is_some()),
        "all are recorded, from 0 on"
    );
    let began = Instant::now();
    let trials = seeds.clone().into_iter().map(|seed| {
        let known = usize::try_from(seed)
            .ok()
            .and_then(|seed| kept.get(seed).copied());
        let containerd = containerd.clone();
        async move {
            let task = tokio::task::spawn_blocking(move || on_a_thread(seed, known, containerd));
            (
                known,
                task.await.unwrap_or_else(|_| panic!("seed {seed} panics")),
            )
        }
    });
    let mut done = futures::stream::iter(trials).buffer_unordered(AT_A_TIME);
    let mut summary = Summary::default();
    let mut taken = BTreeMap::new();
    while let Some((known, run)) = done.next().await {
        taken.insert(run.trial.seed, run.taken);
        summary.add(known, &run);
    }
    if records {
        let taken: Vec<_> = taken.into_values().collect();
        verdicts::write(&taken, "skopeo and containerd");
    }
    let seconds = began.elapsed().as_secs_f64();
    _ = writeln!(
        std::io::stdout(),
        "{}{} runs in {seconds:.1} s",
        summary.table(),
        seeds.len()
    );
    for told in summary.unverified.values() {
        _ = writeln!(std::io::stdout(), "unverified though taken: {told}\n");
    }
    let wrong: Vec<_> = summary.wrong.into_values().collect();
    assert!(
        wrong.is_empty(),
        "{} seeds are wrong:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// What became of the runs of one kind of deviation.
#[derive(Default)]
struct Line {
    runs: usize,
    taken: usize,
    refused: usize,
    apart: usize,
    unverified: usize,
    alarms: usize,
    missed: usize,
    meant: usize,
}

/// What became of all runs.
#[derive(Default)]
struct Summary {
    lines: BTreeMap<String, Line>,
    unverified: BTreeMap<u64, String>,
    meant: BTreeMap<&'static str, usize>,
    wrong: BTreeMap<u64, String>,
}

impl Summary {
    fn add(&mut self, known: Option<verdicts::Verdict>, run: &Run) {
        let line = self.lines.entry(run.trial.kinds().join(" + ")).or_default();
        line.runs += 1;
        match run.taken {
            [Taken::Whole, Taken::Whole] => line.taken += 1,
            [Taken::Not, Taken::Not] => line.refused += 1,
            _ => line.apart += 1,
        }
        if run.is_unverified_though_taken() {
            line.unverified += 1;
            self.unverified.insert(run.trial.seed, run.told());
        }
        let mut wrong = Vec::new();
        for (said, disagreement, meant) in run.disagreements() {
            let depth = said.depth;
            match (meant, disagreement) {
                (Some(meant), _) => *self.meant.entry(meant.name).or_default() += 1,
                (None, Disagreement::FalseAlarm) => {
                    wrong.push(format!("false alarm at depth {depth}"))
                }
                (None, Disagreement::Missed) => wrong.push(format!("missed at depth {depth}")),
            }
            let counted = match (meant, disagreement) {
                (Some(_), _) => &mut line.meant,
                (None, Disagreement::FalseAlarm) => &mut line.alarms,
                (None, Disagreement::Missed) => &mut line.missed,
            };
            *counted += 1;
        }
        if !wrong.is_empty() {
            let told = format!("{}: {}", wrong.join(", "), run.told());
            self.wrong.insert(run.trial.seed, told);
        }
        if known.is_some_and(|known| known != run.taken) {
            let known = known.map(verdicts::letter);
            let told = format!("the clients said {known:?} before: {}", run.told());
            self.wrong.insert(run.trial.seed, told);
        }
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{:60}{:>7}{:>7}{:>8}{:>7}{:>12}{:>8}{:>8}{:>7}\n",
            "deviation",
            "runs",
            "taken",
            "refused",
            "apart",
            "unverified",
            "alarms",
            "missed",
            "meant"
        );
        for (kind, line) in &self.lines {
            _ = writeln!(
                text,
                "{kind:60}{:>7}{:>7}{:>8}{:>7}{:>12}{:>8}{:>8}{:>7}",
                line.runs,
                line.taken,
                line.refused,
                line.apart,
                line.unverified,
                line.alarms,
                line.missed,
                line.meant
            );
        }
        for (name, count) in &self.meant {
            _ = writeln!(text, "meant: {name}: {count}");
        }
        text
    }
}
