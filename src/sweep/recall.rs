//! Which manifests a sweep asks for by HEAD, because they were read before.

use std::sync::Arc;
use std::time::Duration;

use super::judge::Judged;
use super::known_manifests::{KnownManifests, Remembered};
use crate::oci::{Digest, Document, Repository};
use crate::registry::{Depth, ManifestBody, ManifestMethod, Registry, Software};

/// How manifests are asked for that were read before.
#[derive(Clone, Debug)]
pub struct ManifestPolicy {
    /// By which method.
    pub method: ManifestMethod,
    /// In how long a time each is read once all the same.
    pub every: Duration,
    /// Those that were read before; `None` where nothing is remembered.
    pub known: Option<Arc<KnownManifests>>,
}

impl Default for ManifestPolicy {
    /// Nothing is remembered.
    fn default() -> Self {
        Self {
            method: ManifestMethod::Auto,
            every: Duration::ZERO,
            known: None,
        }
    }
}

/// What one sweep makes of the manifests that are known.
#[derive(Clone)]
pub(super) struct Recall {
    known: Option<Arc<KnownManifests>>,
    every: Duration,
    method: ManifestMethod,
    /// Whether they are asked for by HEAD.
    is_by_head: bool,
    /// Whether that stays so for this sweep.
    is_decided: bool,
    /// Whether what is not known is new.
    tells_new: bool,
}

impl Recall {
    /// A sweep begins, at this depth. One that reads everything reads manifests, too.
    pub(super) fn begin(policy: &ManifestPolicy, depth: Depth) -> Self {
        Self {
            known: policy.known.clone(),
            every: policy.every,
            method: policy.method,
            is_by_head: false,
            is_decided: depth >= Depth::Digest,
            tells_new: policy.known.as_ref().is_some_and(|known| known.begin()),
        }
    }

    /// Decides whether what is known is asked for by HEAD. The registry's software may show itself in the course
    /// of a sweep; until then it counts as that of the sweep before.
    pub(super) fn decide<R: Registry>(&mut self, registry: &R) {
        let Some(known) = self.known.as_ref().filter(|_| !self.is_decided) else {
            return;
        };
        (self.is_by_head, self.is_decided) = match self.method {
            ManifestMethod::Get => (false, true),
            ManifestMethod::Head => (true, true),
            ManifestMethod::Auto => {
                let shown = registry.access().software.map(|found| found.name);
                if let Some(software) = shown {
                    known.runs(software);
                }
                let software = shown.or_else(|| known.software());
                let is_by_head = software.is_some_and(Software::is_asked_by_head);
                (is_by_head, shown.is_some())
            }
        };
    }

    /// Whether what is known is asked for by HEAD, as far as that is decided.
    pub(super) fn is_by_head(&self) -> bool {
        self.is_by_head
    }

    /// The same for what was in doubt, which is read.
    pub(super) fn by_get(self) -> Self {
        Self {
            is_by_head: false,
            ..self
        }
    }

    /// Whether no tag of a repository needs to be read by GET.
    pub(super) fn was_pulled(&self, repository: &Repository) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| known.was_pulled(repository, self.every))
    }

    /// Notes that a tag of a repository was just read by GET.
    pub(super) fn pulled(&self, repository: &Repository) {
        if let Some(known) = &self.known {
            known.pulled(repository);
        }
    }

    /// Keeps a manifest that was just read by GET and is intact. Gives whether it was pushed since the last
    /// sweep, as far as that shows.
    pub(super) fn keep(&self, digest: &Digest, body: &ManifestBody) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| known.keep(digest, body)) && self.tells_new
    }

    /// The sweep has ended. `is_whole` says that nothing kept it from reaching all but what keeps every sweep from it.
    pub(super) fn end(&self, is_whole: bool) {
        if let Some(known) = &self.known {
            known.end(is_whole);
        }
    }

    /// What a manifest is that HEAD shows to be there as it was read; `None` if it has to be read.
    pub(super) async fn look<R: Registry>(
        &self,
        registry: &R,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<(Judged, Document)> {
        let known = self.known.as_ref().filter(|_| self.is_by_head)?;
        let Remembered {
            body,
            judged,
            document,
        } = known.get(digest, self.every)?;
        let is_there = registry.still_has(repository, digest, &body).await;
        (is_there == Some(true)).then_some((judged, document))
    }
}
