//! The result of one sweep of one registry: the one value that every report is made from.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cause::Cause;
use super::counts::{Counts, Exposed};
use super::documents::Documents;
use super::finding::Finding;
use super::image::{Image, Unmet};
use super::in_use::InUseResult;
use super::mode::Mode;
use super::outcome::SkipReason;
use super::reads::Reads;
use super::referrers::Referrers;
use super::shard::Shard;
use super::time;
use crate::oci::{Printable, Repository};
use crate::registry::{Access, Depth, Unverified, UnverifiedReason};

/// How the list of repositories came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The registry's catalog was read to its end.
    Catalog,
    /// The caller named the repositories.
    Named,
    /// The caller named the images, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    Images(Vec<String>),
    /// The catalog could not be read, or not to its end.
    Failed(Unverified),
}

impl Listed {
    fn serialize_word<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match self {
            Self::Catalog => "catalog",
            Self::Named | Self::Images(_) => "named",
            Self::Failed(_) => "failed",
        })
    }

    /// By its word alone: why a list failed stands among what is unverified.
    fn deserialize_word<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match &*String::deserialize(from)? {
            "catalog" => Ok(Self::Catalog),
            "named" => Ok(Self::Named),
            "failed" => Ok(Self::Failed(Unverified::new(
                UnverifiedReason::Protocol,
                "",
            ))),
            word => Err(D::Error::unknown_variant(
                word,
                &["catalog", "named", "failed"],
            )),
        }
    }
}

/// Whether a repository is there, by what the registry says of its list of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is there, or nothing says that it is not.
    #[default]
    There,
    /// The registry does not know it: its list of tags is 404, or empty and the catalog leaves it out.
    Gone,
    /// Its list of tags is refused (401, 403), which is how some registries hide what is not there.
    Refused,
}

/// Objects without a verdict, grouped by where they are and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnverifiedObjects {
    /// The repository, or `None` for the registry as a whole.
    pub repository: Option<Repository>,
    /// What kept us from finding out, as it was first met.
    #[serde(flatten)]
    pub why: Unverified,
    /// How many objects (tags, manifests, blobs, listings) this concerns.
    pub count: u64,
}

/// Objects without a verdict, with what is known of the reason.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Advised<'a> {
    #[serde(flatten)]
    group: &'a UnverifiedObjects,
    /// What most likely is behind it, where the answer itself says so.
    cause: Option<Cause>,
    /// What a person can do about it.
    hint: &'a str,
}

impl Advised<'_> {
    fn serialize<S: Serializer>(groups: &[UnverifiedObjects], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(groups.iter().map(|group| Advised {
            group,
            cause: Cause::of_unverified(group.why.reason),
            hint: group.why.hint(),
        }))
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<UnverifiedObjects>, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            repository: Option<Repository>,
            reason: UnverifiedReason,
            detail: Printable,
            count: u64,
            hint: Printable,
        }
        let groups = Vec::<Read>::deserialize(from)?.into_iter();
        let group = |read: Read| {
            let mut why = Unverified::new(read.reason, read.detail);
            if read.hint != why.hint() {
                why.advice = Some(read.hint);
            }
            let (repository, count) = (read.repository, read.count);
            UnverifiedObjects {
                repository,
                why,
                count,
            }
        };
        Ok(groups.map(group).collect())
    }
}

/// What is known of one repository after a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepositoryResult {
    /// Its name.
    pub name: Repository,
    /// Broken objects in it.
    pub broken: u64,
    /// Objects in it without a verdict. Only at 0 is `broken` the whole truth.
    pub unverified: u64,
    /// Tags in its list, whatever the filters.
    pub tags: u64,
}

/// One sweep of one registry, whole or partial, and honest about which.
///
/// Its findings are as the walk gives them, or with what a report says of each besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sweep<F = Finding> {
    /// The registry's name as it stands in image references.
    pub registry: String,
    /// How it is reached, for commands.
    pub access: Access,
    /// When the sweep began.
    #[serde(with = "time")]
    #[cfg_attr(test, schemars(with = "time::Rfc3339"))]
    pub started_at: SystemTime,
    /// When it ended.
    #[serde(with = "time")]
    #[cfg_attr(test, schemars(with = "time::Rfc3339"))]
    pub finished_at: SystemTime,
    /// Which part of the repositories it was to look at; null where it was all of them.
    pub shard: Option<Shard>,
    /// The run of all shards that it was a part of, as the caller calls it.
    pub run_id: Option<Printable>,
    /// From the beginning of one sweep to that of the next, in seconds; null where nobody said.
    #[serde(
        rename = "interval_seconds",
        serialize_with = "time::seconds",
        deserialize_with = "time::from_seconds"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub interval: Option<Duration>,
    /// How closely blobs were looked at.
    pub depth: Depth,
    /// What kind of registry it was taken for.
    pub mode: Mode,
    /// How the list of repositories came about: read from the `catalog`, `named` by the caller, or
    /// `failed`, when the catalog could not be read to its end.
    #[serde(
        serialize_with = "Listed::serialize_word",
        deserialize_with = "Listed::deserialize_word"
    )]
    #[cfg_attr(test, schemars(with = "String"))]
    pub listed: Listed,
    /// What it went through.
    #[serde(skip_serializing)]
    pub counts: Counts,
    /// Every repository in scope that was reached, by name.
    pub repositories: Vec<RepositoryResult>,
    /// Repositories that seem not to be there any more, and how that shows.
    #[serde(skip)]
    pub missing: Vec<(Repository, Presence)>,
    /// Repositories that were known and that the filters leave out now.
    #[serde(skip)]
    pub out_of_scope: Vec<Repository>,
    /// What is broken: one entry for each broken object and repository.
    pub findings: Vec<F>,
    /// What seemed broken in the only look at it, when the sweep was cut short. It counts as unverified, for
    /// nothing is called broken on one look.
    pub suspected: Vec<Finding>,
    /// The images that the caller named, as they were seen; none where it named no images.
    #[serde(skip)]
    pub images: Vec<Image>,
    /// What the caller expected of them and was not so.
    pub unmet: Vec<Unmet>,
    /// The images that are in use, where a source says which these are.
    #[serde(default)]
    pub in_use: Option<InUseResult>,
    /// What documents name of it, where any were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Documents>,
    /// What is attached to images, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrers: Option<Referrers>,
    /// What garbage collection would break next, by repository, where all of a repository's tags were
    /// seen. A repository that is not here is not exposed, or it is not known.
    pub exposed: Vec<Exposed>,
    /// What could not be verified, by repository.
    #[serde(
        serialize_with = "Advised::serialize",
        deserialize_with = "Advised::deserialize"
    )]
    #[cfg_attr(test, schemars(with = "Vec<Advised>"))]
    pub unverified: Vec<UnverifiedObjects>,
    /// What was left out on purpose: how much for each reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// What a reader should know besides, such as that there was nothing to check.
    pub warnings: Vec<String>,
    /// In how long a time every blob is read in full once, if their full reads are spread over time; in
    /// seconds.
    #[serde(
        rename = "scrub_period_seconds",
        serialize_with = "time::seconds",
        deserialize_with = "time::from_seconds"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub scrub_period: Option<Duration>,
    /// In how long a time the last bytes of every blob are read once, if that is spread over time; in seconds.
    #[serde(
        rename = "read_every_seconds",
        serialize_with = "time::seconds",
        deserialize_with = "time::from_seconds"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub read_every: Option<Duration>,
    /// When the last bytes were read of the blobs that were not read for the longest time, where reads are spread
    /// over time and all were read since that is remembered.
    #[serde(with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub oldest_read_at: Option<SystemTime>,
    /// When the bytes of blobs were last read.
    #[serde(skip)]
    pub reads: Reads,
    /// When the registry's TLS certificate expires, if it showed one.
    #[serde(with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub certificate_expires_at: Option<SystemTime>,
}

impl<F> Sweep<F> {
    /// What it is about, for a heading: the registry, and the shard, if it is one.
    #[must_use]
    pub fn title(&self) -> String {
        match self.shard {
            Some(shard) => format!("{}, shard {shard}", self.registry),
            None => self.registry.clone(),
        }
    }

    /// What most likely broke the object of a finding.
    #[must_use]
    pub fn cause(&self, finding: &Finding) -> Cause {
        let is_named = matches!(self.listed, Listed::Images(_));
        let software = self.access.software.as_ref().map(|found| found.name);
        Cause::of(finding, self.mode, is_named).in_software(software)
    }

    /// The same sweep with these findings.
    pub(super) fn with<G>(self, findings: Vec<G>) -> Sweep<G> {
        Sweep {
            registry: self.registry,
            access: self.access,
            started_at: self.started_at,
            finished_at: self.finished_at,
            shard: self.shard,
            run_id: self.run_id,
            interval: self.interval,
            depth: self.depth,
            mode: self.mode,
            listed: self.listed,
            counts: self.counts,
            repositories: self.repositories,
            missing: self.missing,
            out_of_scope: self.out_of_scope,
            findings,
            suspected: self.suspected,
            images: self.images,
            unmet: self.unmet,
            in_use: self.in_use,
            documents: self.documents,
            referrers: self.referrers,
            exposed: self.exposed,
            unverified: self.unverified,
            skipped: self.skipped,
            warnings: self.warnings,
            scrub_period: self.scrub_period,
            read_every: self.read_every,
            oldest_read_at: self.oldest_read_at,
            reads: self.reads,
            certificate_expires_at: self.certificate_expires_at,
        }
    }

    /// Counts a list that could not be read among what is unverified: a report that says "unverified"
    /// must always be able to say why.
    pub(super) fn name_failed_listing(&mut self) {
        let Listed::Failed(why) = &self.listed else {
            return;
        };
        let mut groups = self.unverified.iter();
        if groups.all(|group| group.repository.is_some() || group.why.reason != why.reason) {
            self.unverified.push(UnverifiedObjects {
                repository: None,
                why: why.clone(),
                count: 1,
            });
        }
    }

    /// Whether the registry's storage seems to be away.
    #[must_use]
    pub fn is_storage_unavailable(&self) -> bool {
        let is_it = |reason| reason == UnverifiedReason::StorageUnavailable;
        self.unverified.iter().any(|group| is_it(group.why.reason))
    }

    /// When everything that was verified was last looked at as closely as is promised: by this sweep, or when
    /// those blobs were read that were not read for the longest time; `None` if that is not known.
    #[must_use]
    pub fn looked_at(&self) -> Option<SystemTime> {
        match self.counts.blobs_put_off {
            0 => Some(self.finished_at),
            _ => self.oldest_read_at,
        }
    }

    /// How many manifests the next garbage collection would break.
    #[must_use]
    pub fn exposed_manifests(&self) -> u64 {
        self.exposed.iter().map(|exposed| exposed.manifests).sum()
    }

    /// The number of objects without a verdict.
    #[must_use]
    pub fn unverified_objects(&self) -> u64 {
        self.unverified.iter().map(|group| group.count).sum()
    }

    /// The reason that keeps most objects from a verdict, if any does.
    #[must_use]
    pub fn main_reason(&self) -> Option<UnverifiedReason> {
        self.unverified
            .iter()
            .max_by_key(|group| group.count)
            .map(|group| group.why.reason)
    }
}
