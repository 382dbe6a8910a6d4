//! What became of all runs: a table by kinds of deviation, and what is wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use crate::client::Taken;
use crate::judge::{Disagreement, Run};
use crate::meant::MEANT;
use crate::verdicts::{Verdict, letter};

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
pub(crate) struct Summary {
    lines: BTreeMap<String, Line>,
    meant: BTreeMap<&'static str, usize>,
    /// What the clients made of each seed's image.
    pub(crate) taken: BTreeMap<u64, Verdict>,
    /// The seeds that are wrong, told in full.
    pub(crate) wrong: BTreeMap<u64, String>,
    /// What else is wrong.
    pub(crate) notes: Vec<String>,
}

impl Summary {
    pub(crate) fn add(&mut self, known: Option<Verdict>, run: &Run) {
        let line = self.lines.entry(run.trial.kinds().join(" + ")).or_default();
        self.taken.insert(run.trial.seed, run.clients);
        line.runs += 1;
        match run.clients.taken {
            [Taken::Whole, Taken::Whole] => line.taken += 1,
            [Taken::Not, Taken::Not] => line.refused += 1,
            _ => line.apart += 1,
        }
        if run.is_unverified_though_taken() {
            line.unverified += 1;
            _ = writeln!(
                std::io::stdout(),
                "unverified though taken: {}\n",
                run.told()
            );
        }
        let mut wrong = Vec::new();
        for (said, disagreement, meant) in run.disagreements() {
            let depth = said.depth;
            match (meant, disagreement) {
                (Some(meant), _) => *self.meant.entry(meant.name).or_default() += 1,
                (None, Disagreement::FalseAlarm) => {
                    wrong.push(format!("false alarm at depth {depth}"));
                }
                (None, Disagreement::Missed) => wrong.push(format!("missed at depth {depth}")),
                (None, Disagreement::NeverVerified) => {
                    wrong.push(format!("never verified at depth {depth}"));
                }
            }
            match (meant, disagreement) {
                (Some(_), _) => line.meant += 1,
                (None, Disagreement::FalseAlarm) => line.alarms += 1,
                (None, Disagreement::Missed) => line.missed += 1,
                // It is counted above.
                (None, Disagreement::NeverVerified) => {}
            }
        }
        if !wrong.is_empty() {
            let told = format!("{}: {}", wrong.join(", "), run.told());
            self.wrong.insert(run.trial.seed, told);
        }
        if known.is_some_and(|known| known != run.clients) {
            let known = known.map(letter);
            let told = format!("the clients said {known:?} before: {}", run.told());
            self.wrong.insert(run.trial.seed, told);
        }
    }

    /// The kinds that are meant and that no seed has met: nobody knows whether they are still so.
    pub(crate) fn unmet(&self) -> Vec<String> {
        let unmet = MEANT
            .iter()
            .filter(|meant| !self.meant.contains_key(meant.name));
        unmet
            .map(|meant| format!("no seed meets what is meant by {:?}", meant.name))
            .collect()
    }

    pub(crate) fn table(&self) -> String {
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
        for meant in MEANT {
            let count = self.meant.get(meant.name).copied().unwrap_or_default();
            _ = writeln!(
                text,
                "meant, {count} times: {}: {}",
                meant.name, meant.reason
            );
        }
        text
    }
}
