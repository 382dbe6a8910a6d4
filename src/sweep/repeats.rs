//! Asking many times for what looks disagree about: replicas that take turns show themselves so.

use super::walk::{History, Object};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Defect, Observed, Outcome, Reason};

/// Times that the last look asks for what an earlier one saw otherwise. One of two replicas that take
/// turns shows itself in them but for one time in some hundred.
const TIMES: u32 = 12;
/// Objects that a sweep asks for so often: what replicas disagree about shows in these.
const MOST_REPEATED: u32 = 4;

/// What of a sweep is asked for many times.
#[derive(Default)]
pub(super) struct Repeats {
    objects: u32,
    lists: u32,
}

impl Repeats {
    /// How often to ask for a repository's list of tags while it says that there is none. Where the catalog
    /// lacks the repository, too, that is to be believed.
    pub(super) fn of_list(&mut self, history: &History, is_unlisted: bool) -> u32 {
        let is_repeated = is_unlisted && history.looks > 0 && self.lists < MOST_REPEATED;
        self.lists += u32::from(is_repeated);
        if is_repeated { TIMES } else { 1 }
    }

    /// How often to ask for an object of a repository with this history; `object` is `None` where nothing
    /// was seen broken there.
    pub(super) fn of(&mut self, history: &History, object: Option<&Object>) -> Repeated {
        let past = object.and_then(|object| history.past(object));
        let is_repeated = past.is_some() && history.is_last_next() && self.objects < MOST_REPEATED;
        self.objects += u32::from(is_repeated);
        Repeated {
            left: if is_repeated { TIMES } else { 1 },
            is_expected_broken: past.is_some_and(|past| past.was_broken_last),
            changes: 0,
            // Clients delete a tag and push it again; contents take them longer.
            enough: if matches!(object, Some(Object::Tag(_))) {
                4
            } else {
                2
            },
            was_broken: None,
            defect: None,
        }
    }
}

/// What several looks at one object in a row come to. What changes once was pushed or deleted meanwhile;
/// what changes and changes back is answered by replicas that disagree.
#[derive(Clone)]
pub(super) struct Repeated {
    pub(super) left: u32,
    /// Whether one look is enough that finds it broken, as the look before did.
    is_expected_broken: bool,
    changes: u32,
    /// Changes from which on it is replicas that disagree, and not a client at work.
    enough: u32,
    was_broken: Option<bool>,
    defect: Option<Defect>,
}

impl Repeated {
    /// Takes in one look. Gives what all of them come to once there were enough.
    pub(super) fn take(&mut self, outcome: &Outcome) -> Option<Outcome> {
        self.left = self.left.saturating_sub(1);
        let defect = match outcome {
            Outcome::Broken(_) if self.is_expected_broken && self.was_broken.is_none() => {
                return Some(outcome.clone());
            }
            Outcome::Broken(defect) => Some(defect),
            // Nothing is learned by asking on what cannot be asked.
            Outcome::Unverified(_) => return Some(outcome.clone()),
            Outcome::Intact => None,
        };
        let is_broken = defect.is_some();
        let changes = self.was_broken.replace(is_broken) == Some(!is_broken);
        self.changes += u32::from(changes);
        self.defect = defect.cloned().or(self.defect.take());
        if self.left > 0 {
            return None;
        }
        Some(match self.defect.take() {
            Some(defect) if self.changes >= self.enough => inconsistent(defect),
            Some(defect) if self.changes > 1 => {
                let evidence = &defect.evidence;
                let detail = format!("{} comes and goes", evidence.request);
                Outcome::Unverified(Unverified::new(UnverifiedReason::RegistryError, detail))
            }
            _ => outcome.clone(),
        })
    }
}

fn inconsistent(mut defect: Defect) -> Outcome {
    defect.reason = Reason::Inconsistent;
    let observed = defect.evidence.observed.take().map(Box::new);
    defect.evidence.observed = observed.map(|observed| Observed::Changing { observed });
    Outcome::Broken(defect)
}
