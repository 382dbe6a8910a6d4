//! One side of a comparison: what a sweep saw of it, and what that says of a tag or an object.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Holdings;
use super::keep::reach;
use crate::oci::{Digest, Document, MediaKind, Reference, Repository, Tag};
use crate::report::{Kind, Sweep};
use crate::sweep::Contents;

/// The digests of the unpacked layers that configs state, by the configs' digests.
pub type Configs = BTreeMap<Digest, Vec<String>>;

/// What a config states of its unpacked layers; nothing if it is no config of an image.
#[must_use]
pub fn diff_ids(config: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Vec<String>,
    }
    let config: Result<Config, _> = serde_json::from_slice(config);
    config
        .map(|config| config.rootfs.diff_ids)
        .unwrap_or_default()
}

/// One side of a comparison.
#[derive(Debug)]
pub struct Side<'a> {
    holdings: &'a Holdings,
    /// Tags that were asked for and lead nowhere.
    absent: BTreeSet<(&'a Repository, &'a Tag)>,
    broken: BTreeSet<(&'a Repository, &'a Digest, bool)>,
    /// Whether what no list names is not there.
    is_listed: bool,
}

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads<'a> {
    To(&'a Digest),
    Nowhere,
    Unknown,
}

impl<'a> Side<'a> {
    /// As a sweep and its inventory show it. `is_listed` says whether tags that it did not see count as not there, or
    /// else only those that were asked for.
    #[must_use]
    pub fn new(holdings: &'a Holdings, sweep: &'a Sweep, is_listed: bool) -> Self {
        let (mut absent, mut broken) = (BTreeSet::new(), BTreeSet::new());
        for finding in &sweep.findings {
            match &finding.digest {
                Some(digest) => {
                    let is_blob = finding.kind.is_blob();
                    broken.insert((&finding.repository, digest, is_blob));
                }
                None if finding.kind == Kind::Tag => {
                    absent.extend(finding.named_tags());
                }
                None => {}
            }
        }
        Self {
            holdings,
            absent,
            broken,
            is_listed,
        }
    }

    pub(super) fn contents(&self, repository: &Repository) -> Option<&'a Contents> {
        self.holdings.get(repository)
    }

    pub(super) fn leads(&self, (repository, reference): &'a (Repository, Reference)) -> Leads<'a> {
        let target = match reference {
            Reference::Digest(digest) => {
                let is_broken = self.is_broken(repository, digest, false);
                let contents = self.contents(repository);
                let is_read = contents.is_some_and(|held| held.manifests.contains_key(digest));
                return match (is_read, is_broken) {
                    (true, _) => Leads::To(digest),
                    (false, true) => Leads::Nowhere,
                    (false, false) => Leads::Unknown,
                };
            }
            Reference::Tag(tag) => {
                let target = self
                    .contents(repository)
                    .and_then(|held| held.tags.get(tag));
                target.ok_or((repository, tag))
            }
        };
        match target {
            Ok(digest) => Leads::To(digest),
            Err(named) if self.is_listed || self.absent.contains(&named) => Leads::Nowhere,
            Err(_) => Leads::Unknown,
        }
    }

    pub(super) fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<&'a Document> {
        self.contents(repository)?.manifests.get(digest)
    }

    fn is_broken(&self, repository: &Repository, digest: &Digest, is_blob: bool) -> bool {
        self.broken.contains(&(repository, digest, is_blob))
    }

    /// What is broken of all that a manifest leads to, and whether each is a blob.
    pub(super) fn broken(&self, repository: &Repository, digest: &Digest) -> Vec<(Digest, bool)> {
        let first = self.broken.iter().find(|(name, ..)| *name == repository);
        let Some(contents) = first.and_then(|_| self.contents(repository)) else {
            return Vec::new();
        };
        let target = reach(contents, [digest.clone()]);
        let manifests = target.manifests.into_iter().map(|digest| (digest, false));
        let blobs = target.blobs.into_iter().map(|digest| (digest, true));
        let all = manifests.chain(blobs);
        all.filter(|(digest, is_blob)| self.is_broken(repository, digest, *is_blob))
            .collect()
    }

    /// Whether a manifest leads to another one.
    pub(super) fn holds(&self, repository: &Repository, above: &Digest, digest: &Digest) -> bool {
        let contents = self.contents(repository);
        contents.is_some_and(|held| reach(held, [above.clone()]).manifests.contains(digest))
    }
}

/// Whether two image manifests have the same layers, in whatever bytes; `None` if that is for their configs to say.
pub(super) fn is_same_image(a: &Document, b: &Document, configs: &Configs) -> Option<bool> {
    let is_image = |document: &Document| document.kind == MediaKind::Manifest;
    let (Some(config), Some(other)) = (&a.config, &b.config) else {
        return Some(false);
    };
    if !is_image(a) || !is_image(b) || a.layers.len() != b.layers.len() {
        return Some(false);
    }
    let digests = |document: &Document| -> Vec<_> {
        let layers = document.layers.iter();
        layers.map(|layer| layer.digest.clone()).collect()
    };
    if config.digest == other.digest {
        // A config that states no layers says nothing of them.
        return Some(config.is_of_an_image() || digests(a) == digests(b));
    }
    if !config.is_of_an_image() || !other.is_of_an_image() {
        return Some(false);
    }
    let (a, b) = (configs.get(&config.digest)?, configs.get(&other.digest)?);
    Some(!a.is_empty() && a == b)
}
