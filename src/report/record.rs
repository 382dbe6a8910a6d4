//! What is known of one registry across sweeps: each sweep is absorbed, and what it could not
//! re-verify stays as it was known.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::finding::{Bracket, Finding};
use super::finished::Report;
use super::in_use::InUseResult;
use super::kept;
use super::reads::Reads;
use super::referrers::KnownReferrers;
use super::sweep::{Listed, Presence, Sweep};
use super::time;
use super::verdict::Verdict;
use crate::oci::{Digest, Repository};

/// Sweeps in a row that have to find a repository gone before it is forgotten: from the catalog, and its own
/// list of tags with it.
const ABSENCES: u32 = 2;
/// Sweeps in a row that have to be refused a repository's list of tags before it is forgotten: GHCR, Quay and
/// GitLab refuse what is not there.
const REFUSALS: u32 = 3;

/// Sweeps of which a [`Glance`] is kept: a day of them at the default interval.
const MOST_GLANCES: usize = 96;

/// What is known of one registry, as of its last sweep and, where that one was blind, of those before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The registry's name as it stands in image references.
    pub registry: String,
    /// Every repository that is known to be there, by name.
    #[serde(with = "repositories")]
    pub repositories: BTreeMap<Repository, Known>,
    /// What the last sweep came to.
    #[serde(skip)]
    pub last: Option<Report>,
    /// When the last sweep that reached everything ended.
    #[serde(default, with = "time::option")]
    pub last_complete: Option<SystemTime>,
    /// The last sweeps in brief, the oldest first.
    pub glances: VecDeque<Glance>,
    /// When the bytes of blobs were last read.
    #[serde(default)]
    pub reads: Reads,
    /// The images that are in use, where a source says which these are.
    #[serde(default)]
    pub in_use: Option<InUseResult>,
    /// When it was last known of all images what is attached to them.
    #[serde(default, with = "time::option")]
    pub referrers_at: Option<SystemTime>,
    /// Whether there is no room to remember what is attached to other images.
    #[serde(default)]
    pub has_no_room: bool,
}

/// What is known of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Broken objects; `None` if not even one whole look at the repository succeeded so far, and what
    /// could be seen was intact.
    pub failures: Option<u64>,
    /// The broken objects themselves. Fewer than `failures` only where another process counted them.
    #[serde(with = "kept")]
    pub findings: Vec<Finding>,
    /// When everything in it was last verified and intact.
    #[serde(default, with = "time::option")]
    pub last_success: Option<SystemTime>,
    /// When everything in it was last verified, whatever came of it.
    #[serde(default, with = "time::option")]
    pub last_verified: Option<SystemTime>,
    /// When a sweep last read bytes of blobs in their turn, and not all of this repository.
    #[serde(default, with = "time::option")]
    pub unverified_at: Option<SystemTime>,
    /// Tags in its list, whatever the filters.
    #[serde(default)]
    pub tags: u64,
    /// Sweeps in a row that found it gone.
    #[serde(default)]
    pub absences: u32,
    /// Sweeps in a row in which its list of tags was refused, while others were answered.
    #[serde(default)]
    pub refusals: u32,
    /// What was attached to its images, where that is asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub referrers: BTreeMap<Digest, KnownReferrers>,
    /// Whether the last sweep verified all of it, so that nothing here is older than that sweep.
    #[serde(skip)]
    pub is_current: bool,
}

/// One sweep in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    /// When it ended.
    #[serde(with = "time")]
    pub finished_at: SystemTime,
    /// How long it took.
    #[serde(rename = "millis", with = "time::millis")]
    pub duration: Duration,
    /// What it came to.
    pub verdict: Verdict,
    /// Whether it reached everything in scope.
    pub is_complete: bool,
    /// Broken objects.
    pub broken: u64,
    /// Objects without a verdict.
    pub unverified: u64,
}

impl Record {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(registry: impl Into<String>) -> Self {
        Self {
            registry: registry.into(),
            repositories: BTreeMap::new(),
            last: None,
            last_complete: None,
            glances: VecDeque::new(),
            reads: Reads::default(),
            in_use: None,
            referrers_at: None,
            has_no_room: false,
        }
    }

    /// Takes in the next sweep. What it verified replaces what was known; a repository that it could
    /// not verify to the end keeps its known failures; one that is out of scope is forgotten at once, and
    /// one that is gone when sweeps have said so often enough.
    ///
    /// The findings of the last sweep, as they are kept, say since when each is broken.
    pub fn absorb(&mut self, mut sweep: Sweep) {
        for name in &sweep.out_of_scope {
            self.repositories.remove(name);
        }
        self.repositories
            .values_mut()
            .for_each(|known| known.is_current = false);
        self.forget_the_future(sweep.finished_at);
        let mut found = BTreeMap::<_, Vec<Finding>>::new();
        for finding in &mut sweep.findings {
            if let Some(known) = self.repositories.get(&finding.repository) {
                finding.bracket = known.bracket(finding);
            }
            let now = sweep.finished_at;
            finding.bracket.first_broken.get_or_insert(now);
            let inside = found.entry(finding.repository.clone()).or_default();
            inside.push(finding.clone());
        }
        let has_read = sweep.reads.tail.is_some() && sweep.reads.tail != self.reads.tail;
        for result in &sweep.repositories {
            let findings = found.remove(&result.name).unwrap_or_default();
            let known = self.repositories.entry(result.name.clone()).or_default();
            if result.unverified == 0 {
                let mut findings = findings;
                findings.extend(known.kept(&sweep, &findings));
                known.replace(findings, sweep.finished_at, sweep.looked_at());
                known.tags = result.tags;
            } else {
                known.merge(findings, has_read.then_some(sweep.finished_at));
                known.tags = known.tags.max(result.tags);
            }
        }
        self.count_missing(&sweep);
        self.remember(&mut sweep);
        if sweep.is_complete() {
            self.last_complete = Some(sweep.finished_at);
        }
        if self.glances.len() == MOST_GLANCES {
            self.glances.pop_front();
        }
        self.glances.push_back(Glance::of(&sweep));
        let mut found = HashMap::<_, Vec<&Finding>>::new();
        for finding in &sweep.findings {
            found.entry(&finding.repository).or_default().push(finding);
        }
        let is_found = |known: &&Finding| {
            let found = found.get(&known.repository).into_iter().flatten();
            found.into_iter().any(|new| is_same(new, known))
        };
        let remembered = self.findings().filter(|known| !is_found(known)).cloned();
        let remembered = remembered.collect();
        self.last = Some(Report::of(sweep, remembered));
    }

    /// Notes when bytes were read, and what is in use, with what is known of that from before.
    fn remember(&mut self, sweep: &mut Sweep) {
        self.reads.update(&sweep.reads);
        if let (Some(in_use), Some(known)) = (&mut sweep.in_use, &self.in_use) {
            in_use.recall(known, sweep.finished_at);
        }
        self.in_use.clone_from(&sweep.in_use);
        self.remember_referrers(sweep);
    }

    /// Takes in what another process knew of a repository: its number of broken objects, and when
    /// it was last intact. Counts only where the last sweep was blind.
    pub fn recall(
        &mut self,
        repository: Repository,
        failures: u64,
        last_success: Option<SystemTime>,
    ) {
        let is_listed = matches!(
            self.last.as_ref().map(|last| &last.sweep.listed),
            Some(Listed::Catalog | Listed::Named | Listed::Images(_))
        );
        if is_listed && !self.repositories.contains_key(&repository) {
            return;
        }
        let known = self.repositories.entry(repository).or_default();
        if !known.is_current {
            known.failures = known.failures.max(Some(failures));
            // A clock that was ahead there must not hide how old this is here.
            let now = self.last.as_ref().map(|last| last.sweep.finished_at);
            let last_success = last_success.map(|time| now.map_or(time, |now| time.min(now)));
            known.last_success = known.last_success.max(last_success);
        }
    }

    /// What happened later than now happened by a clock that was set back since: it would count as fresh
    /// until that time comes.
    fn forget_the_future(&mut self, now: SystemTime) {
        let known = self.repositories.values_mut();
        let times = known.flat_map(|known| {
            let brackets = known.findings.iter_mut().flat_map(|finding| {
                let Bracket {
                    last_intact,
                    first_broken,
                } = &mut finding.bracket;
                [last_intact, first_broken]
            });
            [
                &mut known.last_success,
                &mut known.last_verified,
                &mut known.unverified_at,
            ]
            .into_iter()
            .chain(brackets)
        });
        for time in times
            .chain([&mut self.last_complete, &mut self.referrers_at])
            .flatten()
        {
            *time = now.min(*time);
        }
        let Reads { tail, digest } = &mut self.reads;
        for slots in [tail, digest].into_iter().flatten() {
            slots.forget_the_future(now);
        }
    }

    /// All broken objects that are known, by repository.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.repositories.values().flat_map(|known| &known.findings)
    }

    /// The number of broken objects that are known.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let known = self.repositories.values();
        let failures = known.filter_map(|known| known.failures);
        // Those that a gateway remembers may be any number.
        failures.fold(0, u64::saturating_add)
    }

    /// Counts the sweeps in a row that missed a repository, and forgets it when they are enough.
    fn count_missing(&mut self, sweep: &Sweep) {
        for result in &sweep.repositories {
            let is_missing = |(name, _): &(Repository, Presence)| *name == result.name;
            if let Some(known) = self.repositories.get_mut(&result.name)
                && !sweep.missing.iter().any(is_missing)
            {
                (known.absences, known.refusals) = (0, 0);
            }
        }
        let are_others_answered = sweep
            .repositories
            .iter()
            .any(|result| result.unverified == 0);
        for (name, presence) in &sweep.missing {
            let Some(known) = self.repositories.get_mut(name) else {
                continue;
            };
            // What a catalog or the caller still names is damaged, and not gone.
            let is_contested = sweep.repositories.iter().any(|result| result.name == *name);
            let is_forgotten = match presence {
                Presence::There => false,
                Presence::Gone if is_contested => false,
                Presence::Gone => {
                    known.absences += 1;
                    known.absences >= ABSENCES
                }
                Presence::Refused => {
                    known.refusals += u32::from(are_others_answered);
                    known.refusals >= REFUSALS
                }
            };
            if is_forgotten {
                self.repositories.remove(name);
            }
        }
    }
}

impl Known {
    /// Takes what a look at all of it found, whose bytes were last read at `looked_at`.
    fn replace(&mut self, findings: Vec<Finding>, now: SystemTime, looked_at: Option<SystemTime>) {
        self.failures = Some(findings.len() as u64);
        if findings.is_empty() {
            // What was left out in its turn has its next one a period later.
            let looked_at = looked_at.filter(|at| self.unverified_at.is_none_or(|left| left < *at));
            self.last_success = self.last_success.max(looked_at);
        }
        self.findings = findings;
        self.last_verified = Some(now);
        self.is_current = true;
    }

    /// Nobody knows whether what is not among `findings` was repaired or not looked at. `unverified_at` is when bytes
    /// were read in their turn.
    fn merge(&mut self, findings: Vec<Finding>, unverified_at: Option<SystemTime>) {
        self.unverified_at = unverified_at.or(self.unverified_at);
        let known = std::mem::replace(&mut self.findings, findings);
        for old in known {
            if !self.findings.iter().any(|new| is_same(new, &old)) {
                self.findings.push(old);
            }
        }
        let count = self.findings.len() as u64;
        if count > 0 || self.failures.is_some() {
            self.failures = self.failures.max(Some(count));
        }
    }
}

/// Whether two findings are about the same object of the same repository.
pub(crate) fn is_same(a: &Finding, b: &Finding) -> bool {
    let is_one_object = a.kind == b.kind && a.digest == b.digest;
    a.repository == b.repository && is_one_object && (a.digest.is_some() || a.tags == b.tags)
}

impl Glance {
    fn of(sweep: &Sweep) -> Self {
        let duration = sweep.finished_at.duration_since(sweep.started_at);
        Self {
            finished_at: sweep.finished_at,
            duration: duration.unwrap_or_default(),
            verdict: sweep.verdict(),
            is_complete: sweep.is_complete(),
            broken: sweep.findings.len() as u64,
            unverified: sweep.unverified_objects(),
        }
    }
}

/// Repositories as a list, each with its name.
mod repositories {
    use super::{BTreeMap, Deserialize, Deserializer, Known, Repository, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Entry<K> {
        name: Repository,
        #[serde(flatten)]
        known: K,
    }

    pub(super) fn serialize<S: Serializer>(
        repositories: &BTreeMap<Repository, Known>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(repositories.iter().map(|(name, known)| Entry {
            name: name.clone(),
            known,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Repository, Known>, D::Error> {
        let entries = Vec::<Entry<Known>>::deserialize(from)?.into_iter();
        let named = entries.map(|Entry { name, mut known }| {
            for finding in &mut known.findings {
                finding.repository = name.clone();
            }
            (name, known)
        });
        Ok(named.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Unverified, UnverifiedReason};
    use crate::report::fixture;
    use crate::report::{Kind, Reason, RepositoryResult, UnverifiedObjects};

    fn name(text: &str) -> Repository {
        text.parse().expect("a name")
    }

    fn finding(repository: &str, tag: &str) -> Finding {
        Finding {
            repository: name(repository),
            digest: None,
            tags: vec![tag.parse().expect("a tag")],
            ..fixture::finding(Kind::Tag, Reason::NotFound)
        }
    }

    /// A sweep that ended `at` seconds after the epoch. `repositories` are names, the tags that are
    /// broken there, and the number of objects without a verdict.
    fn sweep(at: u64, repositories: &[(&str, &[&str], u64)]) -> Sweep {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let why = Unverified::new(UnverifiedReason::Timeout, "slow");
        let mut sweep = Sweep {
            started_at: time,
            finished_at: time,
            ..fixture::sweep()
        };
        for &(repository, broken, unverified) in repositories {
            let findings = broken.iter().map(|tag| finding(repository, tag));
            sweep.findings.extend(findings);
            sweep.repositories.push(RepositoryResult {
                name: name(repository),
                broken: broken.len() as u64,
                unverified,
                tags: 1,
            });
            if unverified > 0 {
                sweep.unverified.push(UnverifiedObjects {
                    repository: Some(name(repository)),
                    why: why.clone(),
                    count: unverified,
                });
            }
        }
        sweep
    }

    fn blind(at: u64) -> Sweep {
        let mut sweep = sweep(at, &[]);
        sweep.listed = Listed::Failed(Unverified::new(UnverifiedReason::Connect, "refused"));
        sweep
    }

    fn record(sweeps: Vec<Sweep>) -> Record {
        let mut record = Record::new("r.example");
        for sweep in sweeps {
            record.absorb(sweep);
        }
        record
    }

    fn failures(record: &Record, repository: &str) -> Option<u64> {
        record.repositories.get(&name(repository))?.failures
    }

    #[test]
    fn a_blind_sweep_keeps_what_was_known() {
        let seen = sweep(1, &[("a", &["x", "y"], 0), ("b", &[], 0)]);
        let record = record(vec![seen, blind(2)]);
        assert_eq!(failures(&record, "a"), Some(2));
        assert_eq!(failures(&record, "b"), Some(0));
        assert_eq!(record.findings().count(), 2);
        assert!(!record.repositories[&name("a")].is_current);
        assert_eq!(
            record.last_complete,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        );
    }

    #[test]
    fn what_was_left_out_in_its_turn_is_no_success_before_the_next() {
        let at = |at| SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let spread = |now: u64, oldest: u64, unverified| {
            let mut sweep = sweep(now, &[("a", &[], unverified), ("b", &[], 0)]);
            let mut slots = crate::report::Slots::new(2, at(0));
            slots.read(0, at(oldest));
            slots.read(1, at(now));
            sweep.counts.blobs_put_off = 1;
            (sweep.oldest_read_at, sweep.reads.tail) = (slots.oldest(), Some(slots));
            sweep
        };
        let success = |record: &Record| record.repositories[&name("a")].last_success;
        let mut record = record(vec![spread(10, 5, 0)]);
        assert_eq!(success(&record), Some(at(5)));
        // Blobs of `a` were not read in the turns of 11 and 12, and are in those of 21 and 22.
        record.absorb(spread(12, 11, 1));
        record.absorb(spread(20, 12, 0));
        assert_eq!(success(&record), Some(at(5)));
        assert_eq!(record.repositories[&name("b")].last_success, Some(at(12)));
        record.absorb(spread(22, 21, 0));
        assert_eq!(success(&record), Some(at(21)));
    }

    #[test]
    fn a_clock_that_was_ahead_hides_no_age() {
        let at = |at| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(at));
        let ahead = sweep(1_000_000, &[("a", &["x"], 0), ("b", &[], 0)]);
        let mut record = record(vec![sweep(1, &[("a", &[], 0)]), ahead, blind(100)]);
        assert_eq!(record.last_complete, at(100));
        let b = &record.repositories[&name("b")];
        assert_eq!((b.last_success, b.last_verified), (at(100), at(100)));
        let bracket = record.findings().next().expect("one is broken").bracket;
        assert_eq!(
            (bracket.last_intact, bracket.first_broken),
            (at(1), at(100))
        );
        record.absorb(blind(200));
        assert_eq!(record.last_complete, at(100), "it ages again");
        record.recall(name("b"), 0, at(1_000_000));
        assert_eq!(record.repositories[&name("b")].last_success, at(200));
    }

    #[test]
    fn a_repository_that_was_half_seen_adds_and_clears_nothing() {
        let half = sweep(2, &[("a", &["y"], 1), ("b", &["z"], 1), ("c", &[], 1)]);
        let record = record(vec![sweep(1, &[("a", &["x"], 0), ("b", &[], 0)]), half]);
        assert_eq!(failures(&record, "a"), Some(2));
        assert_eq!(failures(&record, "b"), Some(1));
        assert_eq!(failures(&record, "c"), None, "nothing is known of it");
    }

    #[test]
    fn a_whole_look_replaces_what_was_known() {
        let record = record(vec![
            sweep(1, &[("a", &["x"], 0)]),
            blind(2),
            sweep(3, &[("a", &[], 0)]),
        ]);
        let known = &record.repositories[&name("a")];
        assert_eq!((known.failures, known.findings.len()), (Some(0), 0));
        assert_eq!(
            known.last_success,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3))
        );
    }

    #[test]
    fn the_last_success_outlives_a_failure() {
        let record = record(vec![
            sweep(1, &[("a", &[], 0)]),
            sweep(2, &[("a", &["x"], 0)]),
        ]);
        let known = &record.repositories[&name("a")];
        assert_eq!(
            known.last_success,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        );
    }

    #[test]
    fn what_is_gone_is_forgotten_after_enough_sweeps() {
        let all = sweep(1, &[("a", &["x"], 0), ("b", &[], 0)]);
        let missing = |at, presence| Sweep {
            missing: vec![(name("a"), presence)],
            ..sweep(at, &[("b", &[], 0)])
        };
        // A catalog that leaves it out says nothing of its list.
        let unlisted = record(vec![all.clone(), sweep(2, &[("b", &[], 0)])]);
        assert_eq!(failures(&unlisted, "a"), Some(1));
        let (gone, refused) = (Presence::Gone, Presence::Refused);
        for (sweeps, expected) in [
            (vec![missing(2, gone)], Some(1)),
            (vec![missing(2, gone), missing(3, gone)], None),
            (
                vec![missing(2, gone), all.clone(), missing(4, gone)],
                Some(1),
            ),
            (vec![missing(2, refused), missing(3, refused)], Some(1)),
            (
                vec![
                    missing(2, refused),
                    missing(3, refused),
                    missing(4, refused),
                ],
                None,
            ),
            // Nothing else was answered either.
            (vec![blind(2), blind(3), blind(4)], Some(1)),
        ] {
            let sweeps = std::iter::once(all.clone()).chain(sweeps);
            let record = record(sweeps.collect());
            assert_eq!(failures(&record, "a"), expected);
        }
        let left_out = Sweep {
            out_of_scope: vec![name("a")],
            ..sweep(2, &[("b", &[], 0)])
        };
        assert_eq!(failures(&record(vec![all, left_out]), "a"), None);
    }

    #[test]
    fn what_another_process_knew_counts_only_for_the_unseen() {
        let mut blind = record(vec![blind(2)]);
        blind.recall(name("a"), 3, None);
        assert_eq!(failures(&blind, "a"), Some(3));
        let mut half = record(vec![sweep(2, &[("a", &[], 1), ("b", &[], 0)])]);
        for repository in ["a", "b", "gone"] {
            half.recall(name(repository), 3, None);
        }
        assert_eq!(failures(&half, "a"), Some(3));
        assert_eq!(failures(&half, "b"), Some(0));
        assert_eq!(failures(&half, "gone"), None);
    }

    #[test]
    fn a_finding_says_between_which_looks_it_broke() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let bracket = |record: &Record, tag: &str| {
            let report = record.last.as_ref().expect("a sweep");
            let all = report.sweep.findings.iter().chain(&report.remembered);
            let mut all = all.filter(|finding| finding.tags[0].as_str() == tag);
            let bracket = all.next().expect("it is known").bracket;
            (bracket.last_intact, bracket.first_broken)
        };
        let first = sweep(1, &[("a", &["x"], 0)]);
        let mut record = record(vec![first, sweep(2, &[("a", &["x"], 0)])]);
        assert_eq!(bracket(&record, "x"), (None, at(1)));
        record.absorb(sweep(3, &[("a", &["x", "y"], 0)]));
        assert_eq!(bracket(&record, "x"), (None, at(1)));
        assert_eq!(bracket(&record, "y"), (at(2), at(3)));
        // A blind look neither ends nor begins anything.
        record.absorb(blind(4));
        assert_eq!(bracket(&record, "y"), (at(2), at(3)));
        record.absorb(sweep(5, &[("a", &["z"], 1)]));
        assert_eq!(bracket(&record, "z"), (at(3), at(5)));
        assert_eq!(bracket(&record, "y"), (at(2), at(3)));
        // Mended and broken again is broken anew.
        record.absorb(sweep(6, &[("a", &[], 0)]));
        record.absorb(sweep(7, &[("a", &["y"], 0)]));
        assert_eq!(bracket(&record, "y"), (at(6), at(7)));
    }

    #[test]
    fn what_is_known_and_was_not_seen_is_remembered() {
        let tags = |record: &Record| {
            let sweep = record.last.as_ref().expect("a sweep");
            let tags = sweep.remembered.iter().map(|finding| &finding.tags[0]);
            tags.map(ToString::to_string).collect::<Vec<_>>()
        };
        let seen = sweep(1, &[("a", &["x", "y"], 0)]);
        let blind = record(vec![seen.clone(), blind(2)]);
        assert_eq!(tags(&blind), ["x", "y"]);
        let half = record(vec![seen.clone(), sweep(2, &[("a", &["y"], 1)])]);
        assert_eq!(tags(&half), ["x"]);
        let whole = record(vec![seen, sweep(2, &[("a", &["y"], 0)])]);
        assert!(tags(&whole).is_empty());
    }

    #[test]
    fn the_glances_are_bounded() {
        let record = record((0..200).map(|at| sweep(at, &[])).collect());
        assert_eq!(record.glances.len(), MOST_GLANCES);
    }
}
