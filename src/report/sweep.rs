//! The result of one sweep of one registry: the one value that every report is made from.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::image::{Image, Unmet};
use super::outcome::{Defect, Kind, Reason, SkipReason};
use crate::oci::Digest;
use crate::oci::{Repository, Tag};
use crate::registry::Access;
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::words::words;

words! {
    /// What kind of registry is swept, which decides what an absence means.
    Mode {
        /// One that is pushed to: everything that is promised must be there.
        Private = "private",
        /// A sparse copy: a missing child of an index is counted, not broken.
        Mirror = "mirror",
        /// A cache: as a mirror, and blobs are not asked for, because asking would download them.
        PullThrough = "pull-through",
    }
}

impl Mode {
    /// Whether that says nothing against an object of such a registry. Sparse copies leave children out on
    /// purpose; a cache says 404 and 500 also when its upstream refuses it or cannot be reached.
    #[must_use]
    pub fn excuses(self, kind: Kind, reason: Reason) -> bool {
        match (self, reason) {
            (Self::Mirror, Reason::NotFound) => kind == Kind::Child,
            (Self::PullThrough, Reason::NotFound | Reason::Unreadable) => true,
            (Self::Private | Self::Mirror | Self::PullThrough, _) => false,
        }
    }
}

words! {
    /// What a sweep comes to, in one word.
    Verdict {
        /// Everything in scope was reached and kept its promise.
        Intact = "intact",
        /// Something is broken; other things may be unverified besides.
        Broken = "broken",
        /// Nothing is known to be broken, and not everything could be verified.
        Unverified = "unverified",
    }
}

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

/// How many there are, and how many of them were looked at to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// In scope, as listed.
    pub listed: u64,
    /// Of those, given a verdict.
    pub checked: u64,
}

/// What a sweep went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Repositories in scope.
    pub repositories: Coverage,
    /// Tags in scope (or images, where the caller named them).
    pub tags: Coverage,
    /// Indexes that were read, once per repository and digest.
    pub indexes: u64,
    /// Manifests that were read, indexes not included.
    pub manifests: u64,
    /// Blobs that were looked at, once per repository and digest.
    pub blobs: u64,
    /// Missing index children where the mode allows them.
    pub absent: u64,
    /// Requests sent, retries and token requests included.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// Bytes of the blobs that were read in full and hashed, be it in their turn or all of them.
    pub scrubbed_bytes: u64,
}

/// What was seen intact near a broken object: what a repair can rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nearby {
    /// The manifests that the finding's tags point to, each once.
    pub pointed_to: Vec<Digest>,
    /// The intact tag of the same repository whose name is nearest, and where it points to.
    pub sibling: Option<(Tag, Digest)>,
    /// Another repository in which the same digest was asked for, and was intact.
    pub copy: Option<Repository>,
}

/// One broken object of one repository, with everything that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub repository: Repository,
    /// What was promised.
    pub kind: Kind,
    /// The object; `None` for a tag that leads nowhere.
    pub digest: Option<Digest>,
    /// The media type that was promised for it.
    pub media_type: Option<String>,
    /// The length in bytes that was promised for it.
    pub size: Option<u64>,
    /// Every tag that cannot be pulled, or not for every platform, because of it.
    pub tags: Vec<Tag>,
    /// The platforms that it breaks, as `os/architecture[/variant]`.
    pub platforms: Vec<String>,
    /// A manifest that promises it.
    pub parent: Option<Digest>,
    /// What is wrong, and what shows it.
    pub defect: Defect,
    /// The depth at which this was seen.
    pub depth: Depth,
    /// How many later looks, each on a new connection, agreed with the first.
    pub confirmations: u32,
    /// What was seen intact near it.
    pub nearby: Nearby,
    /// Since when it is broken, where more than this one sweep is known.
    pub bracket: Bracket,
}

/// The two looks between which something broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bracket {
    /// The last whole look at the repository that did not find it.
    pub last_intact: Option<SystemTime>,
    /// The first look that did.
    pub first_broken: Option<SystemTime>,
}

/// What garbage collection would break in a repository that is intact today: manifests that an index
/// names and no tag does. registry:2 counts them as untagged (`garbage-collect --delete-untagged`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The repository.
    pub repository: Repository,
    /// How many manifests.
    pub manifests: u64,
    /// The first of them, in the order of their digests.
    pub digests: Vec<Digest>,
}

impl Exposed {
    /// How many digests are kept of a repository: what outlives its walk must not grow with it.
    pub const NAMED: usize = 16;
}

/// Objects without a verdict, grouped by where they are and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedObjects {
    /// The repository, or `None` for the registry as a whole.
    pub repository: Option<Repository>,
    /// What kept us from finding out, as it was first met.
    pub why: Unverified,
    /// How many objects (tags, manifests, blobs, listings) this concerns.
    pub count: u64,
}

/// What is known of one repository after a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The registry's name as it stands in image references.
    pub registry: String,
    /// How it is reached, for commands.
    pub access: Access,
    /// When the sweep began.
    pub started_at: SystemTime,
    /// When it ended.
    pub finished_at: SystemTime,
    /// How closely blobs were looked at.
    pub depth: Depth,
    /// What kind of registry it was taken for.
    pub mode: Mode,
    /// How the list of repositories came about.
    pub listed: Listed,
    /// What it went through.
    pub counts: Counts,
    /// Every repository in scope that was reached, by name.
    pub repositories: Vec<RepositoryResult>,
    /// Repositories that seem not to be there any more, and how that shows.
    pub missing: Vec<(Repository, Presence)>,
    /// Repositories that were known and that the filters leave out now.
    pub out_of_scope: Vec<Repository>,
    /// What is broken, by repository.
    pub findings: Vec<Finding>,
    /// What was found broken by an earlier sweep, in a repository that this one could not verify to
    /// the end: known to a [`super::Record`] only.
    pub remembered: Vec<Finding>,
    /// The images that the caller named, as they were seen; none where it named no images.
    pub images: Vec<Image>,
    /// What the caller expected of them and was not so.
    pub unmet: Vec<Unmet>,
    /// What garbage collection would break next, by repository, where all of a repository's tags were
    /// seen. A repository that is not here is not exposed, or it is not known.
    pub exposed: Vec<Exposed>,
    /// What could not be verified, by repository.
    pub unverified: Vec<UnverifiedObjects>,
    /// What was left out on purpose.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// What a reader should know besides, such as that there was nothing to check.
    pub warnings: Vec<String>,
    /// In how long a time every blob is read in full once, if their full reads are spread over time.
    pub scrub_period: Option<Duration>,
    /// When the registry's TLS certificate expires, if it showed one.
    pub certificate_expires_at: Option<SystemTime>,
}

impl Sweep {
    /// What the sweep comes to: broken wins over unverified.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() || !self.unmet.is_empty() {
            Verdict::Broken
        } else if self.is_complete() {
            Verdict::Intact
        } else {
            Verdict::Unverified
        }
    }

    /// Whether everything in scope was reached.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unverified.is_empty() && !matches!(self.listed, Listed::Failed(_))
    }

    /// Whether the registry's storage seems to be away.
    #[must_use]
    pub fn is_storage_unavailable(&self) -> bool {
        let is_it = |reason| reason == UnverifiedReason::StorageUnavailable;
        self.unverified.iter().any(|group| is_it(group.why.reason))
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
