//! Churn: sweep follows sweep while clients push, re-tag and delete and garbage is collected; no false alarm is
//! raised, and an orphan made in that time is found at once.
//!
//! Short by itself; `PROBE_SOAK_SWEEPS=200` makes it long.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::assertions::assert_findings;
use crate::support::churn::Churn;
use crate::support::configured::Configured;
use crate::support::hand::Hand;
use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::report::Finding;

/// How many sweeps of a sound registry there are unless the environment says otherwise.
const FEW: usize = 15;
/// Garbage is collected at least so often, if it takes some sweeps more.
const COLLECTIONS: usize = 2;
/// The tag that nobody touches.
const QUIET: &str = "quiet";

/// What the sweeps came to.
#[derive(Default)]
struct Tally {
    sweeps: usize,
    second_looks: usize,
    /// Sweeps that could not verify everything, and why.
    incomplete: usize,
    unverified: BTreeMap<String, u64>,
    /// What was called broken while nothing was, with what was seen.
    false_alarms: Vec<String>,
}

impl Tally {
    /// Adds a sweep of a registry in which nothing is broken for longer than an action takes.
    fn take(&mut self, outcome: &Outcome) {
        self.sweeps += 1;
        let looked_again = outcome.stderr.contains("looking again");
        self.second_looks += usize::from(looked_again);
        let report = outcome.report();
        self.incomplete += usize::from(report.json["complete"] != true);
        for entry in report.json["unverified"].as_array().into_iter().flatten() {
            let reason = entry["reason"].as_str().expect("a reason is text");
            let count = entry["count"].as_u64().expect("a count is a number");
            *self.unverified.entry(reason.to_owned()).or_default() += count;
        }
        let findings = report.raw_findings();
        self.false_alarms.extend(
            findings
                .iter()
                .map(|finding| format!("in sweep {}: {finding:#}", self.sweeps)),
        );
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sweeps ({} with a second look), {} false findings, {} incomplete: {:?}",
            self.sweeps,
            self.second_looks,
            self.false_alarms.len(),
            self.incomplete,
            self.unverified
        )
    }
}

fn sweep(registry: &Configured, confirm_after: Duration) -> Outcome {
    let wait = format!("{}ms", confirm_after.as_millis());
    let probe = Probe::once().confirm_after(wait).arg("--verbose");
    probe.arg(registry.host()).run()
}

/// Sweeps while clients are at work, with a second look that comes later than any action of theirs takes: what
/// is half done in both looks is rightly called broken. Where one took longer than ever before, again.
fn sweep_in_churn(registry: &Configured, churn: &Churn) -> Outcome {
    for _ in 0..10 {
        let wait = Duration::from_millis(300) + churn.longest_action() * 3;
        let outcome = sweep(registry, wait);
        if churn.longest_action() < wait {
            return outcome;
        }
    }
    panic!(
        "the actions of clients become longer and longer: {}",
        churn.deeds()
    );
}

/// Says a line that the test harness does not keep to itself.
fn say(line: &str) {
    // Whoever closed standard error does not want it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn wanted_sweeps() -> usize {
    let given = std::env::var("PROBE_SOAK_SWEEPS").ok();
    given.map_or(FEW, |text| {
        text.parse().expect("PROBE_SOAK_SWEEPS is a number")
    })
}

/// Sweeps until it was often enough, and says what is called broken, and whether it is when nobody is at work.
fn sweep_on(registry: &Configured, churn: &Churn) -> Tally {
    let wanted = wanted_sweeps();
    let mut tally = Tally::default();
    for number in 0..wanted * 10 {
        let collections = churn.deeds().collections.load(Ordering::Relaxed);
        if number >= wanted && collections >= COLLECTIONS {
            break;
        }
        let outcome = sweep_in_churn(registry, churn);
        let before = tally.false_alarms.len();
        tally.take(&outcome);
        if tally.false_alarms.len() > before {
            let still = churn.paused(|| sweep(registry, Duration::ZERO));
            let still = still.report().findings();
            say(&format!(
                "soak: an alarm: {outcome}\nin the quiet after it: {still:#?}"
            ));
        }
    }
    tally
}

#[test]
fn churn_raises_no_false_alarm_and_hides_no_orphan() {
    let registry = Arc::new(Configured::start());
    let content = Content::index("a quiet image in a busy repository");
    let hand = Hand::new(&registry.host());
    hand.push(Churn::BUSY_REPOSITORY, QUIET, &content);
    let churn = Churn::start(&registry);

    let tally = sweep_on(&registry, &churn);
    say(&format!("soak: {tally}; {}", churn.deeds()));
    let alarms = tally.false_alarms.join("\n");
    assert!(tally.false_alarms.is_empty(), "false alarms:\n{alarms}");
    // What comes and goes while it is looked at is told as that, once in twenty sweeps at most.
    let most = (tally.sweeps / 20).max(1);
    assert!(tally.incomplete <= most, "a sound registry: {tally}");

    let child = content.images()[1].manifest.digest.as_str();
    let store = registry.store();
    churn.paused(|| store.remove_revision_link(Churn::BUSY_REPOSITORY, child));
    let orphan = Finding::new(
        Churn::BUSY_REPOSITORY,
        "child/not_found",
        Some(child),
        &[QUIET],
    );
    for _ in 0..2 {
        let outcome = sweep_in_churn(&registry, &churn);
        assert_eq!(outcome.code, 1, "exit code of {outcome}");
        assert_findings(&outcome.report(), std::slice::from_ref(&orphan), &outcome);
    }
    churn.stop();
}
