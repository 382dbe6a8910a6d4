//! The probe against real clients: registries that deviate as a seed decides, from which skopeo and
//! containerd take an image, and containerd unpacks it. What a client takes is not broken, and what none takes is not
//! intact; and what containerd unpacks or does not is neither contradicted nor intact.
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
mod summary;
#[path = "../real/support/tarball.rs"]
mod tarball;
mod trial;
mod verdicts;
mod wire;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use client::{Containerd, Taken, Unpacked};
use front::Front;
use futures::StreamExt as _;
use judge::Run;
use registry_double::Double;
use registry_probe::registry::Depth;
use summary::Summary;
use tokio::sync::Semaphore;
use trial::Trial;
use verdicts::Kept;

/// Trials that `make differential` goes through, and that are kept.
const ALL: u64 = 5_000;
/// Of those, every so many is replayed where no number is given.
const EVERY: usize = 5;
/// Trials at a time. They mostly wait.
const AT_A_TIME: usize = 16;
/// Clients at a time. They do not.
static CLIENTS: Semaphore = Semaphore::const_new(2);

/// Runs a trial; the clients are asked where there is a containerd.
async fn run(seed: u64, kept: Option<verdicts::Verdict>, clients: Option<Arc<Containerd>>) -> Run {
    let trial = Trial::of(seed);
    let double = Double::start().await;
    let whole = Double::start().await;
    trial.prepare(&double);
    trial.prepare(&whole);
    trial.damage(&double);
    let front = Front::start(double.clone(), whole.clone(), &trial).await;
    let mut asked = None;
    let mut reports = None;
    if let Some(containerd) = &clients {
        let _permit = CLIENTS.acquire().await.expect("it is never closed");
        let skopeo = client::skopeo(&front, &trial).await;
        let fetched = containerd.fetch(&front, &trial).await;
        let taken = [skopeo.taken, fetched.taken];
        let (mut unpacked, mut words) = (Unpacked::NotAsked, String::new());
        if fetched.taken == Taken::Whole {
            (unpacked, words) = containerd.unpack(&front).await;
        }
        containerd.forget(&trial);
        asked = Some(verdicts::Verdict { taken, unpacked });
        reports = Some([skopeo.said, fetched.said, words]);
    }
    let clients = asked.or(kept).expect("the clients are asked, or were");
    let mut said = Vec::new();
    for depth in [Depth::Unpack, Depth::Digest, Depth::Tail] {
        said.push(probe::sweep(&front, depth).await);
    }
    Run {
        trial,
        clients,
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

/// What is tried: `RUNS` seeds from `SEED` on, or of those that are kept every so many.
fn seeds(kept: usize, asks: bool) -> Vec<u64> {
    let first = number("PROBE_DIFFERENTIAL_SEED");
    let runs = number("PROBE_DIFFERENTIAL_RUNS").or(asks.then_some(ALL));
    if first.is_none() && runs.is_none() {
        return (0..kept as u64).step_by(EVERY).collect();
    }
    let first = first.unwrap_or(0);
    (first..first + runs.unwrap_or(1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_agrees_with_clients() {
    let containerd = match std::env::var_os("PROBE_DIFFERENTIAL_CLIENTS") {
        Some(programs) => Some(Arc::new(Containerd::start(Path::new(&programs)).await)),
        None => None,
    };
    let records = number("PROBE_DIFFERENTIAL_RECORD").is_some();
    let kept = if records {
        Kept::default()
    } else {
        verdicts::read()
    };
    let seeds = seeds(kept.verdicts.len(), containerd.is_some());
    let began = Instant::now();
    let trials = seeds.iter().map(|seed| {
        let (seed, containerd) = (*seed, containerd.clone());
        let known = usize::try_from(seed)
            .ok()
            .and_then(|seed| kept.verdicts.get(seed).copied());
        tokio::task::spawn_blocking(move || (known, on_a_thread(seed, known, containerd)))
    });
    let mut done = futures::stream::iter(trials).buffer_unordered(AT_A_TIME);
    let mut summary = Summary::default();
    while let Some(run) = done.next().await {
        let (known, run) = run.expect("no run panics");
        summary.add(known, &run);
        if seeds.len() == 1 {
            _ = writeln!(std::io::stdout(), "{}", run.told());
        }
    }
    let took = began.elapsed().as_secs_f64();
    _ = writeln!(
        std::io::stdout(),
        "{}{} runs in {took:.1} s",
        summary.table(),
        seeds.len()
    );
    if let Some(containerd) = &containerd {
        let clients = containerd.versions().await;
        if records {
            assert_eq!(
                seeds.first(),
                Some(&0),
                "they are recorded from the first one on"
            );
            let taken: Vec<_> = summary.taken.values().copied().collect();
            verdicts::write(&taken, &clients);
        } else if clients != kept.clients {
            summary
                .notes
                .push(format!("{clients} were asked, and {} before", kept.clients));
        }
    }
    if seeds.len() as u64 >= ALL {
        let unmet = summary.unmet();
        summary.notes.extend(unmet);
    }
    summary.notes.extend(summary.wrong.into_values());
    let notes = summary.notes;
    assert!(
        notes.is_empty(),
        "{} are wrong:\n\n{}",
        notes.len(),
        notes.join("\n\n")
    );
}
