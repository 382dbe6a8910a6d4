//! How to sweep: what to look at, how closely, and for how long.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::inventory::Inventory;
use super::known_manifests::KnownManifests;
use super::progress::Progress;
use super::recall::ManifestPolicy;
use super::referrers::ReferrerPolicy;
use super::schedule::Owed;
use super::scope::Scope;
use crate::oci::{Printable, Repository};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Mode, PlatformMismatch, Record};

/// How to sweep.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The registry's name, for the report.
    pub registry: String,
    /// The run of all shards that the sweep is a part of, for the report.
    pub run_id: Option<Printable>,
    /// What to look at.
    pub scope: Scope,
    /// How closely to look at blobs.
    pub depth: Depth,
    /// Which objects to ask for.
    pub objects: Objects,
    /// Where to note what manifests name, for whoever has further questions of it.
    pub inventory: Option<Arc<Inventory>>,
    /// What is read of blobs in this sweep.
    pub owed: Owed,
    /// How manifests are asked for that were read before.
    pub manifests: ManifestPolicy,
    /// Repositories in which something was broken that is not known: their blobs are read as closely as any.
    pub suspects: BTreeSet<Repository>,
    /// What kind of registry it is.
    pub mode: Mode,
    /// Picks the tag of each repository that is asked for by GET, too: with each number the next one.
    pub turn: u64,
    /// The most bytes to unpack of a layer.
    pub unpack_max_bytes: u64,
    /// What an image comes to whose config names another platform than its index.
    pub platform_mismatch: PlatformMismatch,
    /// What is asked about what is attached to images.
    pub referrers: ReferrerPolicy,
    /// What nothing to check comes to.
    pub empty: Empty,
    /// Visits at a time.
    pub concurrency: NonZeroUsize,
    /// How long to wait before a negative is looked at again.
    pub confirm_after: Duration,
    /// When to end the sweep, whatever is left.
    pub deadline: Option<Duration>,
    /// From the beginning of one sweep to that of the next, for the report; `None` if that is not known.
    pub interval: Option<Duration>,
    /// Whether it is one of many sweeps of the same in a row, which does not log each look.
    pub is_repeated: bool,
    /// Where to note how far it is; several sweeps may share it.
    pub progress: Arc<Progress>,
}

impl Policy {
    /// How `probe --once` sweeps a registry of this name, but for the options: what is in this scope at depth
    /// `tail`, one visit at a time, with a recheck after 30 seconds and without a deadline.
    #[must_use]
    pub fn new(registry: impl Into<String>, scope: Scope) -> Self {
        Self {
            registry: registry.into(),
            run_id: None,
            scope,
            depth: Depth::Tail,
            objects: Objects::All,
            inventory: None,
            owed: Owed::default(),
            manifests: ManifestPolicy::default(),
            suspects: BTreeSet::new(),
            mode: Mode::Private,
            turn: 0,
            platform_mismatch: PlatformMismatch::Notice,
            unpack_max_bytes: 50_000_000_000,
            referrers: ReferrerPolicy::default(),
            empty: Empty::Unverified,
            concurrency: NonZeroUsize::MIN,
            confirm_after: Duration::from_secs(30),
            deadline: None,
            interval: None,
            is_repeated: false,
            progress: Arc::default(),
        }
    }
}

impl Policy {
    /// The manifests of the registry that were read, with its name, where they are remembered.
    #[must_use]
    pub fn known_manifests(&self) -> Option<(String, Arc<KnownManifests>)> {
        let known = self.manifests.known.clone()?;
        Some((self.registry.clone(), known))
    }

    /// How closely a sweep looks at blobs that are due. Those of a cache are not asked for.
    pub(super) fn depth_of_blobs(&self) -> Depth {
        let has_blobs = self.objects == Objects::All && self.mode != Mode::PullThrough;
        if has_blobs { self.depth } else { Depth::Head }
    }

    /// How closely a sweep looks at any blob.
    pub(super) fn closest(&self) -> Depth {
        match self.owed.digest {
            Some(_) if self.owed.unpacks => Depth::Unpack,
            Some(_) => self.depth.max(Depth::Digest),
            // What was broken there may have been found by its bytes.
            None => self.depth.max(Depth::Tail),
        }
    }
}

/// Which objects a sweep asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// All that is promised.
    All,
    /// Tags and manifests. Blobs are neither asked for nor counted.
    Manifests,
}

/// What a sweep comes to that finds nothing to check: an empty registry answers as one that lost its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// It is intact.
    Allowed,
    /// It is intact if nothing was ever known of the registry.
    AllowedIfAlwaysSo,
    /// It is unverified.
    Unverified,
}

/// Objects that are not there, of at least this many and in at least so many repositories, while nothing
/// is: then the storage is away. One image, or a registry of one tag, may be plainly broken.
pub(super) const MANY_OBJECTS: u64 = 8;
pub(super) const MANY_REPOSITORIES: usize = 3;

/// What a sweep that looks at nothing is held against.
pub(super) struct Need {
    empty: Empty,
    /// Repositories in scope that were known, how many of them had tags, and how many tags.
    repositories: usize,
    tagged: usize,
    tags: u64,
}

impl Need {
    pub(super) fn of(policy: &Policy, known: &Record) -> Self {
        let in_scope = known.repositories.iter();
        let in_scope = in_scope.filter(|(name, _)| policy.scope.takes(name));
        let tagged = in_scope.clone().filter(|(_, known)| known.tags > 0);
        Self {
            empty: policy.empty,
            tags: tagged.clone().map(|(_, known)| known.tags).sum(),
            tagged: tagged.count(),
            repositories: in_scope.count(),
        }
    }

    /// What keeps a sweep that looked at nothing from a verdict. `has_repositories` says whether any was
    /// listed: repositories that never had a tag are an answer.
    pub(super) fn judge(&self, what: &str, has_repositories: bool) -> Option<Unverified> {
        let is_much = self.tagged >= MANY_REPOSITORIES && self.tags >= MANY_OBJECTS;
        let reason = match self.empty {
            Empty::Allowed => return None,
            _ if is_much => UnverifiedReason::StorageUnavailable,
            Empty::AllowedIfAlwaysSo
                if self.tagged == 0 && (has_repositories || self.repositories == 0) =>
            {
                return None;
            }
            Empty::Unverified | Empty::AllowedIfAlwaysSo => UnverifiedReason::NothingListed,
        };
        let detail = if self.repositories > 0 {
            format!(
                "{what}, and {} repositories with {} tags were known; if that is right, say --allow-empty",
                self.repositories, self.tags
            )
        } else {
            what.to_owned()
        };
        Some(Unverified::new(reason, detail))
    }
}
