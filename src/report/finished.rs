//! The one finished value: a sweep, and what is known besides. Every report is a view of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::cause::Cause;
use super::finding::Finding;
use super::hint::hint;
use super::in_use::Workload;
use super::outcome::{Kind, Reason};
use super::repair::Repair;
use super::sweep::{Sweep, UnverifiedObjects};
use super::verdict::Verdict;
use crate::oci::{Digest, Printable, Repository, Tag, printable};

/// A sweep with what it comes to, and what earlier sweeps found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// What the sweep comes to. Broken wins over unverified.
    pub verdict: Verdict,
    /// Whether everything in scope was reached. Only then are the findings the whole truth.
    pub complete: bool,
    /// The sweep.
    #[serde(flatten)]
    pub sweep: Sweep<Found>,
    /// What an earlier sweep found broken, in repositories that this one could not verify to the end.
    /// Known to the long-running service, and where a state is kept.
    pub remembered: Vec<Found>,
}

/// One broken object of one repository, why it is so, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Found {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// What most likely broke it, by what was seen.
    pub cause: Cause,
    /// What a person can do about it.
    pub hint: &'static str,
    /// What mends it, the best first; empty where no command helps.
    pub repairs: Vec<Repair>,
    /// Whose pods need it, where a source says which images are in use.
    pub in_use: Vec<Workload>,
    /// When the sweep of this report ended.
    #[serde(skip)]
    pub(crate) reported_at: SystemTime,
}

impl Deref for Found {
    type Target = Finding;

    fn deref(&self) -> &Finding {
        &self.finding
    }
}

impl Found {
    fn of<F>(finding: Finding, sweep: &Sweep<F>) -> Self {
        let repairs = Repair::of(&finding, sweep);
        let in_use = sweep.in_use.as_ref();
        Self {
            in_use: in_use.map_or_else(Vec::new, |in_use| in_use.users(&finding)),
            cause: sweep.cause(&finding),
            hint: hint(&finding, &sweep.access),
            repairs,
            reported_at: sweep.finished_at,
            finding,
        }
    }
}

impl From<Sweep> for Report {
    fn from(sweep: Sweep) -> Self {
        Self::of(sweep, Vec::new())
    }
}

impl Report {
    /// A sweep, with what earlier ones found and it could not look at again.
    #[must_use]
    pub fn of(mut sweep: Sweep, remembered: Vec<Finding>) -> Self {
        let (verdict, complete) = (sweep.verdict(), sweep.is_complete());
        sweep.name_failed_listing();
        for UnverifiedObjects { why, .. } in &mut sweep.unverified {
            let detail = sweep.access.dialled_in(&why.detail);
            why.detail = Printable::cut(&detail, Printable::LONGEST);
        }
        for text in sweep.warnings.iter_mut().chain([&mut sweep.registry]) {
            *text = printable(text);
        }
        let findings = std::mem::take(&mut sweep.findings).into_iter();
        let found = |finding| Found::of(finding, &sweep);
        let (findings, remembered) = (
            findings.map(found).collect(),
            remembered.into_iter().map(found).collect(),
        );
        Self {
            verdict,
            complete,
            remembered,
            sweep: sweep.with(findings),
        }
    }

    /// The broken objects, in the order of the repositories where each is first missed.
    #[must_use]
    pub fn objects(&self) -> Vec<Object<'_>> {
        Object::all(&self.sweep.findings)
    }

    /// As `objects`, of what is remembered.
    pub(crate) fn remembered_objects(&self) -> Vec<Object<'_>> {
        Object::all(&self.remembered)
    }

    /// The tags that something broken breaks. A tag that is broken twice is one tag.
    pub(crate) fn broken_tags(&self) -> BTreeSet<(&Repository, &Tag)> {
        let findings = self.sweep.findings.iter();
        findings.flat_map(|found| found.named_tags()).collect()
    }
}

/// One broken object, wherever it is missed: the same digest broken in the same way, with every image
/// that it breaks in any repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Object<'a> {
    /// The object; null for a tag that leads nowhere.
    pub digest: Option<&'a Digest>,
    /// What was promised.
    pub kind: Kind,
    /// In which way the promise is broken.
    pub reason: Reason,
    /// What most likely broke it.
    pub cause: Cause,
    /// The repositories that miss it.
    pub repositories: Vec<&'a Repository>,
    /// Every platform that it breaks.
    pub platforms: BTreeSet<&'a str>,
    /// How many references it breaks: one for each tag that needs it, or for the caller's own.
    pub references: u64,
    /// Every image that it breaks.
    #[serde(rename = "images", serialize_with = "Object::serialize_images")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub findings: Vec<&'a Found>,
}

impl<'a> Object<'a> {
    fn all(findings: &'a [Found]) -> Vec<Self> {
        let mut objects: Vec<Vec<&Found>> = Vec::new();
        let mut by_object = HashMap::<(&Digest, Reason), usize>::new();
        for found in findings {
            let next = objects.len();
            let position = match &found.digest {
                Some(digest) => *by_object
                    .entry((digest, found.defect.reason))
                    .or_insert(next),
                None => next,
            };
            if position == next {
                objects.push(Vec::new());
            }
            objects[position].push(found);
        }
        objects.into_iter().map(Self::of).collect()
    }

    fn of(findings: Vec<&'a Found>) -> Self {
        let all = || findings.iter().copied();
        let first = findings[0];
        let platforms = all().flat_map(|found| &found.platforms);
        Self {
            digest: first.digest.as_ref(),
            kind: first.kind,
            reason: first.defect.reason,
            cause: first.cause,
            repositories: all().map(|found| &found.repository).collect(),
            platforms: platforms.map(|platform| &**platform).collect(),
            references: all().map(|found| found.tags.len().max(1) as u64).sum(),
            findings,
        }
    }

    /// Its finding in the first of the repositories that miss it.
    #[must_use]
    pub fn first(&self) -> &'a Found {
        self.findings[0]
    }

    /// Every tag that it breaks, in all repositories.
    pub fn tags(&self) -> impl Iterator<Item = (&'a Repository, &'a Tag)> {
        self.findings.iter().flat_map(|found| found.named_tags())
    }

    fn serialize_images<S: Serializer>(findings: &[&Found], to: S) -> Result<S::Ok, S::Error> {
        let tags = findings.iter().flat_map(|found| found.named_tags());
        to.collect_seq(tags.map(|(repository, tag)| format!("{repository}:{tag}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::{Kind, Reason};

    #[test]
    fn findings_collapse_to_objects_and_count_what_they_break() {
        let finding = |repository: &str, object: &str, reason, tags: &[&str]| {
            let mut finding = fixture::finding(Kind::Layer, reason);
            finding.repository = repository.parse().expect("a name");
            finding.digest = Some(Digest::sha256(object.as_bytes()));
            finding.tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
            finding
        };
        let mut sweep = fixture::sweep();
        let mut dangling = finding("b", "", Reason::NotFound, &["gone"]);
        (dangling.kind, dangling.digest) = (Kind::Tag, None);
        sweep.findings = vec![
            finding("a", "shared", Reason::NotFound, &["1", "2"]),
            finding("a", "own", Reason::NotFound, &["2"]),
            finding("b", "shared", Reason::NotFound, &["1"]),
            finding("b", "own", Reason::DigestMismatch, &[]),
            dangling.clone(),
            dangling,
        ];
        let reported: Vec<_> = Report::from(sweep)
            .objects()
            .iter()
            .map(|object| {
                let tags = object
                    .tags()
                    .map(|(repository, tag)| format!("{repository}:{tag}"));
                (tags.collect::<Vec<_>>().join(" "), object.references)
            })
            .collect();
        let expected = [
            ("a:1 a:2 b:1", 3),
            ("a:2", 1),
            // Broken in another way, and so by something else.
            ("", 1),
            ("b:gone", 1),
            ("b:gone", 1),
        ];
        assert_eq!(
            reported,
            expected.map(|(tags, count)| (tags.to_owned(), count))
        );
    }
}
