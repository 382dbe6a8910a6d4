//! What clients say against what the probe says.

use registry_probe::registry::Depth;
use registry_probe::report::Verdict;

use crate::client::{Taken, Unpacked};
use crate::meant::{MEANT, Meant};
use crate::probe::Said;
use crate::trial::Trial;
use crate::verdicts;

/// A trial that was run.
pub(crate) struct Run {
    pub(crate) trial: Trial,
    /// What skopeo and containerd made of the image.
    pub(crate) clients: verdicts::Verdict,
    /// What they said, and containerd when it unpacked, where they were asked.
    pub(crate) reports: Option<[String; 3]>,
    /// What the probe says at each depth.
    pub(crate) said: Vec<Said>,
}

/// What the clients' verdicts leave to the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    NotSayBroken,
    NotSayIntact,
    /// A client was content with a part.
    SayAnything,
}

/// How the probe disagrees with the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// Broken, and a client took it.
    FalseAlarm,
    /// Intact, and no client took it.
    Missed,
    /// Unverified for ever, for the registry has habits, and clients get along with them; or for bodies are
    /// cut, wherever that is, and no client gets one.
    NeverVerified,
}

impl Run {
    /// Where clients differ, containerd decides on documents, for what only containers/image refuses
    /// is no more than a notice; on answers any client does that gets on. Where both deviate, nobody
    /// knows which of them it is.
    pub(crate) fn must(&self) -> Must {
        let [skopeo, mut containerd] = self.clients.taken;
        if self.trial.shape.has_empty_layer {
            // It refuses a descriptor of 0 bytes whatever the registry has (core/remotes/handlers.go).
            containerd = skopeo;
        }
        let is_of_documents = self.trial.is_of_documents();
        let is_of_answers = self.trial.is_of_answers();
        match (skopeo, containerd) {
            // skopeo goes by GET of the tag; containerd by HEAD, and then by digest, as docker does and
            // whoever pins one.
            (Taken::Whole, Taken::Not) if self.trial.is_of_root_by_digest() => Must::NotSayIntact,
            // containerd asks for the rest of what was cut, and docker does not.
            (Taken::Whole, Taken::Whole)
                if self.trial.is_of_root_by_digest() && self.trial.may_be_cut() =>
            {
                Must::SayAnything
            }
            (Taken::Whole, Taken::Not) if self.trial.is_of_root_by_head() => Must::SayAnything,
            (Taken::Not, Taken::Whole) if self.trial.has_two_tags() => Must::NotSayIntact,
            // On documents containerd decides, and it has read those of the other tag.
            (Taken::Whole, _) if self.trial.has_two_tags() && is_of_documents => Must::SayAnything,
            // containerd asks for the rest of a body that was cut, with a range and again and again
            // (core/remotes/docker/httpreadseeker.go). No plain GET gets the object, and no other client.
            (Taken::Not, Taken::Whole) if self.trial.is_cut() => Must::NotSayIntact,
            (Taken::Not, Taken::Whole) if self.trial.may_be_cut() => Must::SayAnything,
            (_, Taken::Whole) => Must::NotSayBroken,
            (Taken::Whole, _) if !is_of_documents => Must::NotSayBroken,
            // What HEAD says is nothing to containerd, which refuses a descriptor of 0 bytes.
            (Taken::Whole, Taken::Not) if self.trial.promises_nothing() => Must::NotSayIntact,
            (Taken::Whole, _) if is_of_answers => Must::SayAnything,
            (_, Taken::Partly) | (Taken::Partly, _) => Must::SayAnything,
            (_, Taken::Not) => Must::NotSayIntact,
        }
    }

    /// What the probe says at this depth that it must not.
    fn disagreement(&self, said: &Said) -> Option<Disagreement> {
        let unpacked = self.clients.unpacked;
        let is_unpacked = match unpacked {
            Unpacked::Whole => true,
            // Of what it never had nobody knows, unless its documents are as they should be.
            Unpacked::NotAsked => !self.trial.is_of_documents(),
            Unpacked::NotByDocuments | Unpacked::NotByLayers => false,
        };
        if said.is_contradicted && is_unpacked {
            return Some(Disagreement::FalseAlarm);
        }
        let shows = unpacked == Unpacked::NotByDocuments
            || unpacked == Unpacked::NotByLayers && said.depth == Depth::Unpack;
        if shows && said.verdict == Verdict::Intact {
            return Some(Disagreement::Missed);
        }
        match (self.must(), said.verdict) {
            (Must::NotSayBroken, Verdict::Broken) if said.is_lost => Some(Disagreement::FalseAlarm),
            (Must::NotSayIntact, Verdict::Intact) => Some(Disagreement::Missed),
            (Must::NotSayBroken, Verdict::Unverified) if self.trial.is_of_habits_only() => {
                Some(Disagreement::NeverVerified)
            }
            (Must::NotSayIntact, Verdict::Unverified) if self.trial.is_of_cuts_only() => {
                Some(Disagreement::NeverVerified)
            }
            _ => None,
        }
    }

    /// All that it says and must not, with the kind of it that is meant, if it is.
    pub(crate) fn disagreements(&self) -> Vec<(&Said, Disagreement, Option<&'static Meant>)> {
        let mut found = Vec::new();
        for said in &self.said {
            if let Some(disagreement) = self.disagreement(said) {
                let meant = MEANT
                    .iter()
                    .find(|meant| (meant.is)(self, said, disagreement));
                found.push((said, disagreement, meant));
            }
        }
        found
    }

    /// Whether a client takes it and the probe cannot say for ever.
    pub(crate) fn is_unverified_though_taken(&self) -> bool {
        let is_unverified = |said: &Said| said.verdict == Verdict::Unverified;
        self.must() == Must::NotSayBroken && self.said.iter().any(is_unverified)
    }

    /// All that there is to know of it, and how to see it again.
    pub(crate) fn told(&self) -> String {
        let seed = self.trial.seed;
        let mut lines = vec![format!("seed {seed} ({})", self.trial.kinds().join(" + "))];
        lines.extend(
            self.trial
                .words()
                .into_iter()
                .map(|words| format!("  {words}")),
        );
        let clients = ["skopeo", "containerd"];
        for (at, (client, taken)) in clients.iter().zip(self.clients.taken).enumerate() {
            let said = self
                .reports
                .as_ref()
                .map_or("(as recorded)", |reports| &reports[at]);
            lines.push(format!("  {client}: {taken:?}: {said}"));
        }
        let unpacked = self.clients.unpacked;
        let said = self.reports.as_ref().map_or("", |reports| &reports[2]);
        lines.push(format!("  containerd unpacks: {unpacked:?}: {said}"));
        for said in &self.said {
            lines.push(format!(
                "  probe at depth {}: {}, in {:?}",
                said.depth, said.verdict, said.took
            ));
            lines.extend(said.lines.iter().map(|line| format!("    {line}")));
        }
        lines.push(format!("  again: make differential RUNS=1 SEED={seed}"));
        lines.join("\n")
    }
}
