//! Images that pods run, held against what the registry has: what could not be pulled again, and whom that hurts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::finding::Finding;
use super::image::Platform;
use super::origin::Origin;
use super::outcome::{Kind, Reason};
use super::time;
use crate::oci::{Printable, Repository};

/// What uses an image: a container of all pods of one owner on nodes of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Workload {
    /// The owner of the pods, their namespace, and the container.
    #[serde(flatten)]
    pub origin: Origin,
    /// How many pods there are.
    pub pods: u64,
    /// Some of them by name.
    pub names: Vec<Printable>,
    /// The platform of their nodes, as far as that is known.
    pub platform: Option<Platform>,
    /// The build of their Windows, which not every image for Windows runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Printable>,
    /// Whether the container ever ran in any of them.
    pub has_run: bool,
}

/// Why an image that is in use could not be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// Something that it needs is broken.
    Promise(Reason),
    /// It is an index without an image for the platform of a node.
    PlatformMissing,
}

impl Wrong {
    /// The word that names it in reports, JSON and metric labels.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Promise(reason) => reason.word(),
            Self::PlatformMissing => "platform_missing",
        }
    }
}

impl Serialize for Wrong {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Wrong {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let reasons = Reason::ALL.iter().copied().map(Self::Promise);
        let mut all = reasons.chain([Self::PlatformMissing]);
        let found = all.find(|wrong| wrong.word() == word);
        found.ok_or_else(|| D::Error::custom("no reason of an image in use"))
    }
}

/// An image in use that could not be pulled again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InUseFinding {
    /// The image, as the pods write it.
    pub image: Printable,
    /// The repository that it is in.
    pub repository: Repository,
    /// The tag, or the digest, that a pull asks for.
    pub reference: Printable,
    /// What is broken of it: the tag or manifest itself, a child, config or layer.
    pub kind: Kind,
    /// In which way.
    #[cfg_attr(test, schemars(with = "String"))]
    pub reason: Wrong,
    /// The broken object, if it is known by a digest, or else what there is in place of the platform.
    pub detail: Printable,
    /// Whether `findings` has it, too, for the registry lists the tag; only what is not listed is told here alone.
    pub is_listed: bool,
    /// Whose pods could not start again.
    pub workloads: Vec<Workload>,
}

impl InUseFinding {
    /// Whether a user of the image would be hurt, too, as far as that is known.
    fn hurts(&self, user: &Workload) -> bool {
        let is_alike = |known: &Workload| {
            (&known.platform, &known.os_version) == (&user.platform, &user.os_version)
        };
        let is_of_platforms = self.reason == Wrong::PlatformMissing && user.platform.is_some();
        !is_of_platforms || self.workloads.iter().any(is_alike)
    }
}

/// An image in use that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InUseUnknown {
    /// The image, as the pods write it.
    pub image: Printable,
    /// What kept us from finding out.
    pub detail: Printable,
    /// Who uses it.
    #[serde(skip)]
    pub workloads: Vec<Workload>,
}

/// The images that a source says are in use, after a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InUseResult {
    /// The source, as it was named, without a login.
    pub source: Printable,
    /// Why it told nothing this time; null where it did. What was known of it stays then.
    pub away: Option<Printable>,
    /// Whether it may be of some clusters out of several: others may run more.
    #[serde(default)]
    pub is_part: bool,
    /// When it last told something.
    #[serde(default, with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub read_at: Option<SystemTime>,
    /// Containers of unfinished pods that it told of then.
    pub containers: u64,
    /// Images of this registry and in scope among what they run, each as it is written.
    pub images: u64,
    /// Images of other registries, which are not asked for.
    pub images_of_others: u64,
    /// Images of this registry that are used by such containers alone as never pull theirs.
    #[serde(default)]
    pub never_pulled: u64,
    /// Names that no runtime takes for those of an image: their containers never ran.
    #[serde(default)]
    pub invalid: Vec<InUseUnknown>,
    /// Images that could not be pulled again, of containers that have run.
    pub findings: Vec<InUseFinding>,
    /// The same of containers that never ran, be it for a typo: told, and never an alert.
    pub never_ran: Vec<InUseFinding>,
    /// Images of which neither could be found out.
    pub unverified: Vec<InUseUnknown>,
}

impl InUseResult {
    /// What a source that told nothing comes to.
    #[must_use]
    pub fn away(source: impl Into<Printable>, why: impl Into<Printable>) -> Self {
        Self {
            source: source.into(),
            away: Some(why.into()),
            ..Self::default()
        }
    }

    /// Notes an image that could not be pulled. Containers that never ran are told apart.
    pub fn found(&mut self, finding: &InUseFinding) {
        let workloads = finding.workloads.iter().cloned();
        let (ran, never): (Vec<_>, Vec<_>) = workloads.partition(|workload| workload.has_run);
        for (list, workloads) in [(&mut self.findings, ran), (&mut self.never_ran, never)] {
            if !workloads.is_empty() {
                list.push(InUseFinding {
                    workloads,
                    ..finding.clone()
                });
            }
        }
    }

    /// Takes in what was known before: all of it where the source is away, and else what was known of images that
    /// are still in use and could not be judged `now`, by a clock that may have been set back. What was in use and
    /// broken goes on hurting where only pods need it now that never ran: their node was drained, and they replace
    /// those that did.
    pub(super) fn recall(&mut self, known: &Self, now: SystemTime) {
        if self.away.is_some() {
            let source = std::mem::take(&mut self.source);
            let away = self.away.take();
            *self = Self {
                source,
                away,
                is_part: self.is_part,
                read_at: known.read_at.map(|at| at.min(now)),
                ..known.clone()
            };
            return;
        }
        let hurt: BTreeSet<_> = known.findings.iter().map(|old| &old.image).collect();
        let never_ran = std::mem::take(&mut self.never_ran).into_iter();
        let (replaced, never_ran): (Vec<_>, _) =
            never_ran.partition(|new| hurt.contains(&new.image));
        self.never_ran = never_ran;
        for new in replaced {
            self.add(new);
        }
        let unknown = self.unverified.iter();
        let unknown: BTreeMap<_, _> = unknown.map(|one| (&one.image, &one.workloads)).collect();
        let still = known.findings.iter().filter_map(|old| {
            let workloads = unknown.get(&old.image)?.iter();
            let workloads: Vec<_> = workloads.filter(|one| old.hurts(one)).cloned().collect();
            (!workloads.is_empty()).then(|| InUseFinding {
                workloads,
                ..old.clone()
            })
        });
        let still: Vec<_> = still.collect();
        self.findings.extend(still);
    }

    /// Adds a finding, or its users to the one that says the same.
    fn add(&mut self, new: InUseFinding) {
        let same = |known: &&mut InUseFinding| {
            (&known.image, known.reason, &known.detail) == (&new.image, new.reason, &new.detail)
        };
        match self.findings.iter_mut().find(same) {
            Some(known) => known.workloads.extend(new.workloads),
            None => self.findings.push(new),
        }
    }

    /// Adds what another shard knows: each has the images of its own repositories.
    pub(super) fn merge(whole: &mut Option<Self>, part: Option<Self>) {
        let Some(part) = part else {
            return;
        };
        let Some(whole) = whole else {
            *whole = Some(part);
            return;
        };
        whole.away = whole.away.take().or(part.away);
        whole.is_part |= part.is_part;
        whole.read_at = whole.read_at.min(part.read_at);
        whole.containers = whole.containers.max(part.containers);
        whole.images = whole.images.saturating_add(part.images);
        whole.images_of_others = whole.images_of_others.max(part.images_of_others);
        whole.never_pulled = whole.never_pulled.saturating_add(part.never_pulled);
        if whole.invalid.is_empty() {
            whole.invalid = part.invalid;
        }
        whole.findings.extend(part.findings);
        whole.never_ran.extend(part.never_ran);
        whole.unverified.extend(part.unverified);
    }

    /// Whose pods a finding hurts of what the registry lists.
    pub(super) fn users(&self, finding: &Finding) -> Vec<Workload> {
        let tags = finding.tags.iter().map(ToString::to_string);
        let pointed_to = finding.nearby.pointed_to.iter();
        let pointed_to = pointed_to.chain(&finding.digest).chain(&finding.parent);
        let names: Vec<_> = tags.chain(pointed_to.map(ToString::to_string)).collect();
        let all = self.findings.iter().chain(&self.never_ran);
        let of_it = all.filter(|found| {
            found.is_listed
                && found.repository == finding.repository
                && found.reason == Wrong::Promise(finding.defect.reason)
                && names.iter().any(|name| **name == *found.reference)
        });
        of_it.flat_map(|found| found.workloads.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(has_run: bool) -> Workload {
        Workload {
            origin: Origin::default(),
            pods: 1,
            names: Vec::new(),
            platform: None,
            os_version: None,
            has_run,
        }
    }

    fn finding(image: &str, workloads: &[Workload]) -> InUseFinding {
        InUseFinding {
            image: image.into(),
            repository: "app".parse().expect("a name"),
            reference: "1".into(),
            kind: Kind::Tag,
            reason: Wrong::Promise(Reason::NotFound),
            detail: "".into(),
            is_listed: false,
            workloads: workloads.to_vec(),
        }
    }

    fn images(result: &InUseResult) -> Vec<&str> {
        result.findings.iter().map(|found| &*found.image).collect()
    }

    #[test]
    fn what_never_ran_is_told_apart() {
        let mut result = InUseResult::default();
        result.found(&finding("a", &[workload(true), workload(false)]));
        result.found(&finding("b", &[workload(false)]));
        assert_eq!(images(&result), ["a"]);
        assert_eq!(result.findings[0].workloads.len(), 1);
        let never: Vec<_> = result.never_ran.iter().map(|found| &*found.image).collect();
        assert_eq!(never, ["a", "b"]);
    }

    #[test]
    fn what_was_known_stays_while_it_is_not_known_better() {
        let mut known = InUseResult {
            containers: 7,
            read_at: Some(SystemTime::UNIX_EPOCH),
            ..InUseResult::default()
        };
        for image in ["blind", "gone", "drained"] {
            known.found(&finding(image, &[workload(true)]));
        }
        let mut away = InUseResult::away("s", "refused");
        away.recall(&known, SystemTime::UNIX_EPOCH);
        assert_eq!(
            (images(&away), away.containers),
            (vec!["blind", "gone", "drained"], 7)
        );
        assert_eq!(
            (&*away.source, away.away.as_deref()),
            ("s", Some("refused"))
        );

        let unknown = |image: &str, has_run| InUseUnknown {
            image: image.into(),
            detail: "x".into(),
            workloads: vec![workload(has_run)],
        };
        let mut next = InUseResult {
            unverified: vec![unknown("blind", true), unknown("drained", false)],
            ..InUseResult::default()
        };
        next.found(&finding("new", &[workload(true)]));
        next.recall(&known, SystemTime::UNIX_EPOCH);
        assert_eq!(images(&next), ["new", "blind", "drained"]);
    }

    /// Nodes are drained: the pods that replace those that ran cannot pull what these had.
    #[test]
    fn what_ran_and_was_broken_hurts_what_replaces_it() {
        let of = |images: &[(&str, &[bool])]| {
            let mut result = InUseResult::default();
            for (image, users) in images {
                let users: Vec<_> = users.iter().map(|has_run| workload(*has_run)).collect();
                result.found(&finding(image, &users));
            }
            result
        };
        let mut known = of(&[("app", &[true]), ("part", &[true])]);
        let now: [(&str, &[bool]); 3] = [
            ("app", &[false]),
            ("part", &[true, false]),
            ("typo", &[false]),
        ];
        // It stays for as long as it lasts.
        for _ in 0..2 {
            let mut next = of(&now);
            next.recall(&known, SystemTime::UNIX_EPOCH);
            let told = |list: &[InUseFinding]| -> Vec<_> {
                let told = list
                    .iter()
                    .map(|found| (found.image.to_string(), found.workloads.len()));
                told.collect()
            };
            let mut findings = told(&next.findings);
            findings.sort();
            assert_eq!(findings, [("app".to_owned(), 1), ("part".to_owned(), 2)]);
            assert_eq!(told(&next.never_ran), [("typo".to_owned(), 1)]);
            known = next;
        }
        let mut mended = of(&[]);
        mended.recall(&known, SystemTime::UNIX_EPOCH);
        assert_eq!(images(&mended), [""; 0]);
    }

    #[test]
    fn a_platform_that_is_not_known_now_may_still_be_missed() {
        let on = |platform: &str| Workload {
            platform: platform.parse().ok(),
            ..workload(true)
        };
        let lacks = |platform: &str| InUseFinding {
            reason: Wrong::PlatformMissing,
            detail: platform.into(),
            ..finding("app", &[on(platform)])
        };
        let known = InUseResult {
            findings: vec![lacks("linux/arm64"), lacks("windows/amd64")],
            ..InUseResult::default()
        };
        let recalled = |users: &[Workload]| {
            let mut next = InUseResult {
                unverified: vec![InUseUnknown {
                    image: "app".into(),
                    detail: "x".into(),
                    workloads: users.to_vec(),
                }],
                ..InUseResult::default()
            };
            next.recall(&known, SystemTime::UNIX_EPOCH);
            let told = next.findings.iter().map(|found| found.detail.to_string());
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            recalled(&[on("linux/amd64"), on("linux/arm64")]),
            ["linux/arm64"]
        );
        assert_eq!(recalled(&[on("")]), ["linux/arm64", "windows/amd64"]);
        assert_eq!(recalled(&[on("linux/amd64")]), [""; 0]);
    }

    #[test]
    fn reasons_are_words() {
        let json = serde_json::to_string(&finding("a", &[workload(true)])).expect("JSON");
        let with = |word: &str| json.replace("not_found", word);
        let read =
            |json: &str| serde_json::from_str::<InUseFinding>(json).map(|found| found.reason);
        assert_eq!(read(&json).ok(), Some(Wrong::Promise(Reason::NotFound)));
        assert_eq!(
            read(&with("platform_missing")).ok(),
            Some(Wrong::PlatformMissing)
        );
        assert!(read(&with("bored")).is_err());
    }
}
