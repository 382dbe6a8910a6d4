//! One side of a comparison: what a sweep saw of it, and what that says of a tag or an object.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::Holdings;
use super::keep::reach;
use crate::oci::{Descriptor, Digest, Document, MediaKind, Reference, Repository, Tag};
use crate::report::{Kind, Reason, Sweep};
use crate::sweep::Contents;

/// What configs state, by their digests.
pub type Configs = BTreeMap<Digest, Stated>;

/// What a config states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The digests of the unpacked layers.
    diff_ids: Vec<String>,
    /// Of all that whoever runs the image goes by, however it is written down.
    whole: Digest,
}

/// What a config says of an image that runs (image-spec, config.md, "Properties"), but for how it was built.
const WHOLE: [&str; 7] = [
    "architecture",
    "config",
    "os",
    "os.features",
    "os.version",
    "rootfs",
    "variant",
];

/// What it says of the process.
const RUN: [&str; 10] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Labels",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

impl Stated {
    /// Reads a config; what is no JSON object says nothing but its own bytes.
    #[must_use]
    pub fn read(config: &[u8]) -> Self {
        Self::of_object(config).unwrap_or_else(|| Self {
            diff_ids: Vec::new(),
            whole: Digest::sha256(config),
        })
    }

    fn of_object(config: &[u8]) -> Option<Self> {
        #[derive(Default, Deserialize)]
        struct Layers {
            #[serde(default)]
            diff_ids: Vec<String>,
        }
        let mut config: serde_json::Map<_, _> = serde_json::from_slice(config).ok()?;
        let layers = config.get("rootfs").map(Layers::deserialize);
        let diff_ids = layers.and_then(Result::ok).unwrap_or_default().diff_ids;
        // What is empty there is as if it were left out, and some tools write it down; what Docker alone has there is
        // lost where its format is converted.
        let run = config.get_mut("config").and_then(Value::as_object_mut);
        if let Some(run) = run {
            run.retain(|name, value| RUN.contains(&&**name) && !is_empty(value));
        }
        config.retain(|name, value| WHOLE.contains(&&**name) && !is_empty(value));
        let whole = Digest::sha256(Value::Object(config).to_string().as_bytes());
        Some(Self { diff_ids, whole })
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// What it means that a sweep did not see a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// That it is not there.
    Absent,
    /// That it is not there if it was asked for by name.
    Asked,
    /// Nothing.
    Unknown,
}

/// One side of a comparison.
#[derive(Debug)]
pub struct Side<'a> {
    holdings: &'a Holdings,
    /// Tags that were asked for and lead nowhere.
    absent: BTreeSet<(&'a Repository, &'a Tag)>,
    broken: BTreeSet<(&'a Repository, &'a Digest, bool)>,
    /// Tags and manifests of which the registry did not say what they lead to.
    unread_tags: BTreeSet<(&'a Repository, &'a Tag)>,
    unread: BTreeSet<(&'a Repository, &'a Digest)>,
    unseen: Unseen,
}

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads<'a> {
    To(&'a Digest),
    Nowhere,
    Unknown,
}

impl<'a> Side<'a> {
    /// As a sweep and its inventory show it.
    #[must_use]
    pub fn new(holdings: &'a Holdings, sweep: &'a Sweep, unseen: Unseen) -> Self {
        let mut side = Self {
            holdings,
            absent: BTreeSet::new(),
            broken: BTreeSet::new(),
            unread_tags: BTreeSet::new(),
            unread: BTreeSet::new(),
            unseen,
        };
        for finding in &sweep.findings {
            let is_blob = finding.kind.is_blob();
            let is_unread = !is_blob && finding.defect.reason == Reason::Unreadable;
            match &finding.digest {
                Some(digest) if is_unread => {
                    side.unread.insert((&finding.repository, digest));
                }
                Some(digest) => {
                    side.broken.insert((&finding.repository, digest, is_blob));
                }
                None if finding.kind != Kind::Tag => {}
                None if finding.defect.is_absence() => side.absent.extend(finding.named_tags()),
                None => side.unread_tags.extend(finding.named_tags()),
            }
        }
        side
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
                    (true, _) => self.readable(repository, digest),
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
            Ok(digest) => self.readable(repository, digest),
            Err(named) if self.absent.contains(&named) => Leads::Nowhere,
            Err(named) if self.unread_tags.contains(&named) => Leads::Unknown,
            Err(_) if self.unseen == Unseen::Absent => Leads::Nowhere,
            Err(_) => Leads::Unknown,
        }
    }

    /// Whether a tag is promised there, and leads nowhere.
    pub(super) fn has_lost(&self, (repository, reference): &(Repository, Reference)) -> bool {
        match reference {
            Reference::Tag(tag) => self.absent.contains(&(repository, tag)),
            Reference::Digest(_) => false,
        }
    }

    fn readable(&self, repository: &Repository, digest: &'a Digest) -> Leads<'a> {
        let mut unread = self.unread.iter().filter(|(name, _)| *name == repository);
        let is_unread = unread.any(|(_, below)| self.holds(repository, digest, below));
        if is_unread {
            Leads::Unknown
        } else {
            Leads::To(digest)
        }
    }

    pub(super) fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<&'a Document> {
        self.contents(repository)?.manifests.get(digest)
    }

    pub(super) fn is_broken(
        &self,
        repository: &Repository,
        digest: &Digest,
        is_blob: bool,
    ) -> bool {
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

    /// Whether a manifest leads to an object.
    pub(super) fn names(&self, repository: &Repository, above: &Digest, object: &Digest) -> bool {
        self.contents(repository).is_some_and(|held| {
            let target = reach(held, [above.clone()]);
            target.manifests.contains(object) || target.blobs.contains(object)
        })
    }

    /// Whether a manifest leads to another one.
    pub(super) fn holds(&self, repository: &Repository, above: &Digest, digest: &Digest) -> bool {
        let contents = self.contents(repository);
        contents.is_some_and(|held| reach(held, [above.clone()]).manifests.contains(digest))
    }
}

/// Whether two image manifests are one image whose layers are packed in another way; `None` if that is for their configs
/// to say.
pub(super) fn is_same_image(a: &Document, b: &Document, configs: &Configs) -> Option<bool> {
    let is_image = |document: &Document| document.kind == MediaKind::Manifest;
    let (Some(config), Some(other)) = (&a.config, &b.config) else {
        return Some(false);
    };
    if !is_image(a) || !is_image(b) || a.layers.len() != b.layers.len() {
        return Some(false);
    }
    let mut layers = a.layers.iter().zip(&b.layers);
    let has_same_layers = layers.all(|(layer, other)| layer.digest == other.digest);
    if has_same_layers && config.digest == other.digest {
        return Some(true);
    }
    if !config.is_of_an_image() || !other.is_of_an_image() {
        return Some(false);
    }
    let (stated, of_other) = (configs.get(&config.digest)?, configs.get(&other.digest)?);
    let mut unpacked = BTreeMap::new();
    let mut images = [a, b].into_iter();
    let is_told = images.all(|image| are_of(&image.layers, stated, &mut unpacked));
    Some(stated.whole == of_other.whole && (has_same_layers || is_told))
}

/// Whether layers can be those that a config states: what is not packed has the stated digest itself, and what was seen
/// to unpack to one digest unpacks to no other.
fn are_of<'a>(
    layers: &'a [Descriptor],
    stated: &'a Stated,
    unpacked: &mut BTreeMap<&'a Digest, &'a String>,
) -> bool {
    let mut pairs = layers.iter().zip(&stated.diff_ids);
    layers.len() == stated.diff_ids.len()
        && pairs.all(|(layer, diff_id)| {
            let is_packed = !layer.media_type.ends_with("tar");
            let known = unpacked.insert(&layer.digest, diff_id);
            (is_packed || layer.digest.to_string() == *diff_id)
                && known.is_none_or(|known| known == diff_id)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_say_the_same_however_they_are_written() {
        let read = |text: &str| Stated::read(text.as_bytes());
        let text = r#"{"os":"linux","config":{"Cmd":["a"],"Volumes":{"/data":{}}}}"#;
        let same = r#"{ "config": {"Volumes":{"/data":{}}, "User":"", "Cmd":["a"], "Env":null},
            "os": "linux", "history": [] }"#;
        let docker = r#"{"os":"linux","container":"0a","docker_version":"24","container_config":{"Cmd":["x"]},
            "config":{"Cmd":["a"],"Hostname":"0a","Healthcheck":{"Test":["y"]},"Volumes":{"/data":{}}}}"#;
        assert_eq!(read(text), read(docker), "what only Docker knows");
        assert_eq!(read(text), read(same));
        for other in [
            r#"{"os":"linux","config":{"Cmd":["b"],"Volumes":{"/data":{}}}}"#,
            r#"{"os":"linux","config":{"Cmd":["a"],"Volumes":{}}}"#,
            r#"{"os":"linux","variant":"v8","config":{"Cmd":["a"],"Volumes":{"/data":{}}}}"#,
            r#"{"os":"linux","config":{"Cmd":["a"],"User":"0","Volumes":{"/data":{}}}}"#,
            r#"{"os":"linux","config":{"Cmd":["a",""],"Volumes":{"/data":{}}}}"#,
        ] {
            assert_ne!(read(text), read(other), "{other}");
        }
        let layers = read(r#"{"rootfs":{"diff_ids":["x"]}}"#);
        assert_eq!(layers.diff_ids, ["x"]);
        for nothing in ["", "[]", "{"] {
            assert_eq!(read(nothing), read(nothing));
            assert_ne!(read(nothing), read("null"), "{nothing}");
        }
    }
}
