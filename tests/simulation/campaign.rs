//! Many runs, one after the other on each processor, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::oracle::{Class, Lie};
use super::plan::Plan;
use super::run::{Outcome, run};
use super::world::Ms;

/// Classes of lies of which a run is shown in full.
const MOST_SHOWN: usize = 4;

/// Seeds that are named for one class.
const MOST_SEEDS: usize = 5;

/// How often a lie was told, and the first seeds that did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) times: u64,
    pub(crate) seeds: BTreeSet<u64>,
}

/// What many runs came to.
#[derive(Default)]
pub(crate) struct Campaign {
    runs: u64,
    sweeps: u64,
    complete: u64,
    requests: u64,
    verdicts: BTreeMap<(&'static str, &'static str), u64>,
    stories: BTreeMap<String, u64>,
    faults: BTreeMap<&'static str, u64>,
    events: BTreeMap<&'static str, u64>,
    /// Drawn lengths of faults: in seconds, and as parts of the time until the second look.
    lengths: BTreeMap<usize, u64>,
    parts: BTreeMap<usize, u64>,
    pub(crate) lies: BTreeMap<Class, Told>,
    took: Duration,
}

/// Ends of the ranges in which lengths are counted, in milliseconds...
const LENGTHS: &[Ms] = &[200, 500, 1000, 2000, 5000, 10_000, 20_000];
/// ...and in hundredths of the time until the second look.
const PARTS: &[Ms] = &[10, 25, 50, 75, 100, 150, 200];

/// Runs seed after seed, until there were so many sweeps.
pub(crate) fn simulate(first: u64, sweeps: u64) -> Campaign {
    let begun = Instant::now();
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let all = Mutex::new(Campaign::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    std::thread::scope(|scope| {
        for _ in 0..threads.min(sweeps) {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < sweeps {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut own = Campaign::default();
                    own.run(seed);
                    done.fetch_add(own.sweeps.max(1), Ordering::Relaxed);
                    all.lock().unwrap_or_else(PoisonError::into_inner).add(own);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.took = begun.elapsed();
    all
}

/// Runs one seed. What panics outside of a sweep is a lie, too.
fn outcome(seed: u64, is_shown: bool) -> Outcome {
    let running = AssertUnwindSafe(|| run(Plan::of(seed), is_shown));
    std::panic::catch_unwind(running).unwrap_or_else(|_| {
        let text = "the run panicked".to_owned();
        Outcome {
            lies: vec![Lie::new(Class::Panicked, text, Vec::new())],
            ..Outcome::default()
        }
    })
}

impl Campaign {
    fn run(&mut self, seed: u64) {
        let plan = Plan::of(seed);
        self.runs += 1;
        *self.stories.entry(format!("{:?}", plan.story)).or_default() += 1;
        for event in &plan.events {
            *self.events.entry(event).or_default() += 1;
        }
        for window in &plan.world.windows {
            *self.faults.entry(window.name).or_default() += 1;
            if window.to < Ms::MAX && window.is_drawn {
                let length = window.to - window.from;
                *self.lengths.entry(range(LENGTHS, length)).or_default() += 1;
                let part = 100 * length / plan.confirm;
                *self.parts.entry(range(PARTS, part)).or_default() += 1;
            }
        }
        let outcome = outcome(seed, false);
        self.sweeps += outcome.sweeps;
        self.complete += outcome.complete;
        self.requests += outcome.requests;
        self.verdicts = outcome.verdicts;
        for lie in outcome.lies {
            let told = self.lies.entry(lie.class).or_default();
            told.times += 1;
            told.seeds.insert(seed);
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.sweeps += other.sweeps;
        self.complete += other.complete;
        self.requests += other.requests;
        add(&mut self.verdicts, other.verdicts);
        add(&mut self.stories, other.stories);
        add(&mut self.faults, other.faults);
        add(&mut self.events, other.events);
        add(&mut self.lengths, other.lengths);
        add(&mut self.parts, other.parts);
        for (class, told) in other.lies {
            let known = self.lies.entry(class).or_default();
            known.times += told.times;
            known.seeds.extend(told.seeds);
            while known.seeds.len() > MOST_SEEDS {
                known.seeds.pop_last();
            }
        }
    }

    /// The runs that lied: one seed for each class of lies, and the first of them in full.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        let mut seeds = BTreeSet::new();
        for (
            class,
            Told {
                seeds: first,
                times,
            },
        ) in &self.lies
        {
            _ = writeln!(text, "{class:?} {times} times, by the seeds {first:?}");
            if seeds.len() < MOST_SHOWN {
                seeds.extend(first.first());
            }
        }
        for seed in seeds {
            _ = writeln!(text, "\nmake simulate SEED={seed} RUNS=1");
            text += &outcome(seed, true).shown;
        }
        text
    }
}

fn add<K: Ord>(sum: &mut BTreeMap<K, u64>, part: BTreeMap<K, u64>) {
    for (key, count) in part {
        *sum.entry(key).or_default() += count;
    }
}

fn range(ends: &[Ms], value: Ms) -> usize {
    ends.partition_point(|end| *end < value)
}

fn ranges(
    f: &mut fmt::Formatter<'_>,
    counts: &BTreeMap<usize, u64>,
    ends: &[Ms],
    unit: &str,
) -> fmt::Result {
    let all: u64 = counts.values().sum();
    for (range, count) in counts {
        let share = 100 * count / all.max(1);
        match ends.get(*range) {
            Some(end) => writeln!(f, "  up to {end:>6} {unit:36}{count:>9} {share:>3} %")?,
            None => writeln!(f, "  more{:45}{count:>9} {share:>3} %", "")?,
        }
    }
    Ok(())
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.took.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        writeln!(
            f,
            "{} sweeps in {} runs, {} requests, {} % complete, {} sweeps a second in {} s",
            self.sweeps,
            self.runs,
            self.requests,
            100 * self.complete / self.sweeps.max(1),
            1000 * self.sweeps / millis,
            millis / 1000
        )?;
        for ((kind, verdict), count) in &self.verdicts {
            writeln!(f, "  {:50}{count:>9}", format!("{kind}: {verdict}"))?;
        }
        for (title, counts) in [("faults", &self.faults), ("events", &self.events)] {
            writeln!(f, "{title}:")?;
            for (name, count) in counts {
                writeln!(f, "  {name:50}{count:>9}")?;
            }
        }
        writeln!(f, "runs:")?;
        for (name, count) in &self.stories {
            writeln!(f, "  {name:50}{count:>9}")?;
        }
        writeln!(f, "lengths of faults:")?;
        ranges(f, &self.lengths, LENGTHS, "ms")?;
        writeln!(f, "lengths of faults in the time until the second look:")?;
        ranges(f, &self.parts, PARTS, "%")?;
        for (class, told) in &self.lies {
            writeln!(
                f,
                "LIES: {class:?} {} times, by the seeds {:?}",
                told.times, told.seeds
            )?;
        }
        Ok(())
    }
}
