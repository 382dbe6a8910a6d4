//! What a comparison comes to, with what is known of it from before.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::difference::{Compared, Difference, DifferenceKind, Direction};
use super::proof::Gap;
use crate::oci::Digest;
use crate::words::words;

words! {
    /// What a comparison comes to, in one word.
    Likeness {
        /// Both sides have the same.
        Equal = "equal",
        /// They do not.
        Different = "different",
        /// No difference is known, and not everything could be compared.
        Unverified = "unverified",
    }
}

/// A difference that an earlier run found, where this one could not see whether it is there still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// What differs.
    pub kind: DifferenceKind,
    /// On which side it is.
    pub direction: Direction,
    /// What it is about.
    pub what: String,
}

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the one side is called.
    pub a: String,
    /// What the other side is called.
    pub b: String,
    /// What came of it now. Its differences are those that count.
    pub compared: Compared,
    /// Differences that are too young to count.
    pub young: Vec<Difference>,
    /// What is known from before and could not be seen again.
    pub remembered: Vec<Remembered>,
    /// What could not be read of A, and of B.
    pub gaps: [Vec<Gap>; 2],
    /// Whether there may be nothing to compare.
    pub may_be_empty: bool,
}

impl Outcome {
    /// Whether everything was compared that there is. Nothing to compare is no answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let is_known = self.gaps.iter().all(Vec::is_empty) && self.compared.unverified == 0;
        is_known && (self.compared.images > 0 || self.may_be_empty)
    }

    /// What it comes to.
    #[must_use]
    pub fn likeness(&self) -> Likeness {
        if !self.compared.differences.is_empty() || !self.remembered.is_empty() {
            Likeness::Different
        } else if self.is_complete() {
            Likeness::Equal
        } else {
            Likeness::Unverified
        }
    }

    /// How many differences count, by kind and direction; all pairs that there can be.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Direction, DifferenceKind), u64> {
        let mut counts = BTreeMap::new();
        for kind in DifferenceKind::ALL {
            for direction in Direction::ALL {
                let is_one = (*kind == DifferenceKind::Digest) == (*direction == Direction::Both);
                if is_one {
                    counts.insert((*direction, *kind), 0);
                }
            }
        }
        let found = self.compared.differences.iter();
        let found = found.map(|found| (found.direction, found.kind));
        let remembered = self.remembered.iter();
        let remembered = remembered.map(|found| (found.direction, found.kind));
        for key in found.chain(remembered) {
            *counts.entry(key).or_default() += 1;
        }
        counts
    }
}

const FORMAT: &str = "registry-probe comparisons";
const VERSION: u32 = 2;

/// What is known of comparisons from one run to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    format: String,
    version: u32,
    comparisons: Vec<Known>,
}

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    a: String,
    b: String,
    /// What filters and names narrow it to: what another comparison left out is no longer the same.
    extent: String,
    /// When everything was last compared, in seconds since 1970.
    pub last_complete: Option<u64>,
    /// Each difference by what it is known by.
    differences: BTreeMap<String, Seen>,
}

/// Since when something differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    since: u64,
    /// Where both sides led when it was last seen.
    digests: [Option<Digest>; 2],
}

impl Seen {
    /// As it is seen now. Where both sides went on meanwhile, it is another difference than before.
    fn again(earlier: Option<Self>, difference: &Difference, now: u64) -> Self {
        let digests = difference.digests().map(Option::<&Digest>::cloned);
        let same = earlier.filter(|earlier| {
            let mut sides = earlier.digests.iter().zip(&digests);
            sides.any(|(before, now)| before == now)
        });
        // A clock that was put back makes nothing older.
        let since = same.map_or(now, |earlier| earlier.since.min(now));
        Self { since, digests }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            comparisons: Vec::new(),
        }
    }
}

impl Memory {
    /// Reads what was rendered; nothing is known from an empty text.
    ///
    /// # Errors
    ///
    /// If it is something else, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let memory: Result<Self, _> = serde_json::from_str(text);
        match memory {
            Ok(memory) if memory.format == FORMAT && memory.version == VERSION => Ok(memory),
            Ok(_) | Err(_) => Err("it holds something else than comparisons".to_owned()),
        }
    }

    /// As text.
    #[must_use]
    pub fn render(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// What is known of these two, as far as they are compared.
    pub fn known(&mut self, a: &str, b: &str, extent: &str) -> &mut Known {
        let mut known = self.comparisons.iter();
        let position =
            known.position(|known| known.a == a && known.b == b && known.extent == extent);
        let position = position.unwrap_or_else(|| {
            self.comparisons.push(Known {
                a: a.to_owned(),
                b: b.to_owned(),
                extent: extent.to_owned(),
                ..Known::default()
            });
            self.comparisons.len() - 1
        });
        &mut self.comparisons[position]
    }
}

impl Known {
    /// Takes an outcome in: what is younger than `grace` does not count in it, and what an incomplete one could not
    /// see is remembered.
    pub fn absorb(&mut self, outcome: &mut Outcome, grace: Duration, now: SystemTime) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let is_complete = outcome.is_complete();
        let mut earlier = std::mem::take(&mut self.differences);
        let found = std::mem::take(&mut outcome.compared.differences);
        for difference in found {
            let key = difference.key();
            let seen = Seen::again(earlier.remove(&key), &difference, now);
            let is_young = now - seen.since < grace.as_secs();
            self.differences.insert(key, seen);
            if is_young {
                outcome.young.push(difference);
            } else {
                outcome.compared.differences.push(difference);
            }
        }
        if is_complete {
            self.last_complete = Some(now);
            return;
        }
        for (key, seen) in earlier {
            if now.saturating_sub(seen.since) >= grace.as_secs() {
                outcome.remembered.extend(remembered(&key));
            }
            self.differences.insert(key, seen);
        }
    }
}

fn remembered(key: &str) -> Option<Remembered> {
    let mut parts = key.splitn(3, ' ');
    let (kind, direction, what) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Remembered {
        kind: *DifferenceKind::ALL.iter().find(|one| one.word() == kind)?,
        direction: *Direction::ALL.iter().find(|one| one.word() == direction)?,
        what: what.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(name: &str) -> Difference {
        Difference {
            kind: DifferenceKind::Tag,
            direction: Direction::AOnly,
            a: name.to_owned(),
            b: name.to_owned(),
            a_digest: None,
            b_digest: None,
            object: None,
            platform: None,
            other_images: 0,
        }
    }

    fn outcome(names: &[&str], is_complete: bool) -> Outcome {
        let compared = Compared {
            images: 3,
            unverified: u64::from(!is_complete),
            differences: names.iter().map(|name| difference(name)).collect(),
            ..Compared::default()
        };
        Outcome {
            a: "a.example".to_owned(),
            b: "b.example".to_owned(),
            compared,
            young: Vec::new(),
            remembered: Vec::new(),
            gaps: [Vec::new(), Vec::new()],
            may_be_empty: false,
        }
    }

    /// A run at this minute: the differences that count, the young and the remembered ones, and the word.
    fn run(
        memory: &mut Memory,
        minute: u64,
        names: &[&str],
        is_complete: bool,
    ) -> (usize, usize, usize, Likeness) {
        let mut outcome = outcome(names, is_complete);
        let now = UNIX_EPOCH + Duration::from_secs(60 * minute);
        let grace = Duration::from_secs(3600);
        *memory = Memory::parse(&memory.render()).expect("its own text");
        memory
            .known("a.example", "b.example", "")
            .absorb(&mut outcome, grace, now);
        let counted: u64 = outcome.counts().values().sum();
        let standing = outcome.compared.differences.len();
        assert_eq!(counted, (standing + outcome.remembered.len()) as u64);
        (
            standing,
            outcome.young.len(),
            outcome.remembered.len(),
            outcome.likeness(),
        )
    }

    #[test]
    fn differences_count_once_they_are_old_enough() {
        let mut memory = Memory::default();
        let memory = &mut memory;
        assert_eq!(
            run(memory, 0, &["app:v1"], true),
            (0, 1, 0, Likeness::Equal)
        );
        let both = ["app:v1", "app:v2"];
        assert_eq!(run(memory, 59, &both, true), (0, 2, 0, Likeness::Equal));
        assert_eq!(run(memory, 60, &both, true), (1, 1, 0, Likeness::Different));
        // What was away begins anew.
        assert_eq!(run(memory, 61, &[], true), (0, 0, 0, Likeness::Equal));
        assert_eq!(
            run(memory, 62, &["app:v1"], true),
            (0, 1, 0, Likeness::Equal)
        );
    }

    #[test]
    fn a_run_that_does_not_see_all_clears_nothing() {
        let mut memory = Memory::default();
        let memory = &mut memory;
        run(memory, 0, &["app:v1"], true);
        assert_eq!(run(memory, 10, &[], false), (0, 0, 0, Likeness::Unverified));
        assert_eq!(run(memory, 60, &[], false), (0, 0, 1, Likeness::Different));
        assert_eq!(
            run(memory, 61, &["app:v1"], false),
            (1, 0, 0, Likeness::Different)
        );
        assert_eq!(
            memory.known("a.example", "b.example", "").last_complete,
            Some(0)
        );
        assert_eq!(run(memory, 62, &[], true), (0, 0, 0, Likeness::Equal));
    }

    #[test]
    fn what_moves_on_both_sides_begins_anew() {
        let mut memory = Memory::default();
        let hour = Duration::from_secs(3600);
        let mut young = |minute: u64, extent: &str, a: &str, b: &str| {
            let mut outcome = outcome(&["app:v1"], true);
            let found = &mut outcome.compared.differences[0];
            [found.a_digest, found.b_digest] =
                [a, b].map(|name| (!name.is_empty()).then(|| Digest::sha256(name.as_bytes())));
            let now = UNIX_EPOCH + Duration::from_secs(60 * minute);
            memory = Memory::parse(&memory.render()).expect("its own text");
            let known = memory.known("a.example", "b.example", extent);
            known.absorb(&mut outcome, hour, now);
            outcome.young.len() == 1
        };
        assert!(young(0, "", "1", "0") && young(40, "", "2", "1"));
        assert!(young(80, "", "3", "2"));
        // Another comparison neither knows of it nor takes it away.
        assert!(young(100, "--tag v*", "3", "2"));
        assert!(young(139, "", "4", "2") && !young(140, "", "5", "2"));
        assert!(young(150, "--tag v*", "5", "2"));
        // What one side lacks, it lacks, wherever the other goes.
        assert!(young(200, "a", "1", "") && !young(260, "a", "2", ""));
    }

    #[test]
    fn nothing_to_compare_is_no_answer() {
        let mut nothing = outcome(&[], true);
        assert_eq!(nothing.likeness(), Likeness::Equal);
        nothing.compared.images = 0;
        assert_eq!(nothing.likeness(), Likeness::Unverified);
        nothing.may_be_empty = true;
        assert_eq!(nothing.likeness(), Likeness::Equal);
        for text in ["{}", "[1]", "registry"] {
            assert!(Memory::parse(text).is_err(), "{text}");
        }
    }
}
