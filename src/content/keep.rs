//! What must be kept of a registry: every manifest and blob that its tags, and others who name images, lead to.

use std::collections::{BTreeMap, BTreeSet};

use super::Holdings;
use crate::oci::{Digest, Printable, Reference, Repository};
use crate::sweep::Contents;

/// An image of the registry that somebody besides its own tags names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Where it is.
    pub repository: Repository,
    /// What it is named by.
    pub reference: Reference,
    /// Who names it, for people.
    pub origin: Printable,
}

impl Root {
    /// Whether these sweeps saw what it leads to.
    #[must_use]
    pub fn is_seen(&self, holdings: &Holdings) -> bool {
        let contents = holdings.get(&self.repository);
        contents.is_some_and(|contents| match &self.reference {
            Reference::Tag(tag) => contents.tags.contains_key(tag),
            Reference::Digest(digest) => contents.manifests.contains_key(digest),
        })
    }

    /// The manifest that it leads to, if there is one.
    pub(super) fn leads_to(&self, contents: &Contents) -> Option<Digest> {
        match &self.reference {
            Reference::Tag(tag) => contents.tags.get(tag).cloned(),
            Reference::Digest(digest) => Some(digest.clone()),
        }
    }
}

/// What must be kept of a repository. What is missing is named, too: a repair brings it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The manifests that something leads to.
    pub manifests: BTreeSet<Digest>,
    /// The blobs that these name.
    pub blobs: BTreeSet<Digest>,
}

/// What must be kept of a registry, by repository.
pub type Kept = BTreeMap<Repository, Target>;

/// What the tags that were seen and these roots lead to.
#[must_use]
pub fn kept(holdings: &Holdings, roots: &[Root]) -> Kept {
    let keep = |(repository, contents): (&Repository, &Contents)| {
        let here = roots.iter().filter(|root| root.repository == *repository);
        let named = here.filter_map(|root| root.leads_to(contents));
        let target = reach(contents, contents.tags.values().cloned().chain(named));
        (repository.clone(), target)
    };
    let kept = holdings.iter().map(keep);
    kept.filter(|(_, target)| !target.manifests.is_empty())
        .collect()
}

/// What some manifests lead to, themselves included.
pub(super) fn reach(contents: &Contents, from: impl IntoIterator<Item = Digest>) -> Target {
    let mut target = Target::default();
    let mut waiting: Vec<_> = from.into_iter().collect();
    while let Some(digest) = waiting.pop() {
        if let Some(document) = contents.manifests.get(&digest)
            && !target.manifests.contains(&digest)
        {
            waiting.extend(document.manifests().map(|child| child.digest.clone()));
            target
                .blobs
                .extend(document.blobs().map(|blob| blob.digest.clone()));
        }
        target.manifests.insert(digest);
    }
    target
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::oci::Document;

    pub(crate) fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    pub(crate) fn repository(name: &str) -> Repository {
        name.parse().expect("a name")
    }

    fn descriptor(name: &str, media_type: &str) -> serde_json::Value {
        json!({ "mediaType": media_type, "digest": digest(name).to_string(), "size": 3 })
    }

    /// An image manifest with this config and these layers.
    pub(crate) fn image(config: &str, layers: &[&str]) -> Document {
        let layer = |name: &&str| {
            let packed = if name.contains(".tar") { "" } else { "+gzip" };
            descriptor(
                name,
                &format!("application/vnd.oci.image.layer.v1.tar{packed}"),
            )
        };
        let config = descriptor(config, "application/vnd.oci.image.config.v1+json");
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let text = json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string();
        Document::parse(text.as_bytes(), None).expect("a manifest")
    }

    /// An index with a child for each of these architectures.
    pub(crate) fn index(children: &[(&str, &str)]) -> Document {
        let child = |(name, architecture): &(&str, &str)| {
            let mut child = descriptor(name, "application/vnd.oci.image.manifest.v1+json");
            child["platform"] = json!({ "os": "linux", "architecture": architecture });
            child
        };
        let children: Vec<_> = children.iter().map(child).collect();
        let text = json!({ "schemaVersion": 2, "manifests": children }).to_string();
        Document::parse(text.as_bytes(), None).expect("an index")
    }

    /// The content of a repository: tags, and manifests by names that stand for their bytes.
    pub(crate) fn contents(tags: &[(&str, &str)], manifests: &[(&str, Document)]) -> Contents {
        Contents {
            tags: tags
                .iter()
                .map(|(tag, name)| (tag.parse().expect("a tag"), digest(name)))
                .collect(),
            manifests: manifests
                .iter()
                .map(|(name, document)| (digest(name), document.clone()))
                .collect(),
            ..Contents::default()
        }
    }

    /// Two indexes that share a child, and an image that nothing leads to.
    pub(crate) fn shared() -> Contents {
        let manifests = [
            ("one", index(&[("a", "amd64"), ("b", "arm64")])),
            ("two", index(&[("a", "amd64"), ("c", "arm64")])),
            ("a", image("config a", &["base", "layer a"])),
            ("b", image("config b", &["base", "layer b"])),
            ("c", image("config c", &["base"])),
            ("old", image("config old", &["layer old"])),
        ];
        contents(&[("v1", "one"), ("v2", "two")], &manifests)
    }

    fn digests(names: &[&str]) -> BTreeSet<Digest> {
        names.iter().map(|name| digest(name)).collect()
    }

    #[test]
    fn what_tags_lead_to_is_kept_and_nothing_else() {
        let kept = kept(&[(repository("app"), shared())].into(), &[]);
        let app = &kept[&repository("app")];
        assert_eq!(app.manifests, digests(&["one", "two", "a", "b", "c"]));
        let blobs = [
            "base", "config a", "config b", "config c", "layer a", "layer b",
        ];
        assert_eq!(app.blobs, digests(&blobs));
    }

    #[test]
    fn what_others_name_is_kept_and_what_is_lost_is_named() {
        let root = |repository: Repository, name: &str| Root {
            repository,
            reference: Reference::Digest(digest(name)),
            origin: "Pod prod/web".into(),
        };
        let mut app = shared();
        app.manifests.remove(&digest("c"));
        let holdings = [
            (repository("app"), app),
            (repository("empty"), Contents::default()),
        ]
        .into();
        let roots = [
            root(repository("app"), "old"),
            root(repository("other"), "x"),
        ];
        let kept = kept(&holdings, &roots);
        assert_eq!(kept.keys().collect::<Vec<_>>(), [&repository("app")]);
        let app = &kept[&repository("app")];
        assert!(app.manifests.contains(&digest("old")) && app.blobs.contains(&digest("layer old")));
        assert!(app.manifests.contains(&digest("c")) && !app.blobs.contains(&digest("config c")));
        assert!(roots[0].is_seen(&holdings) && !roots[1].is_seen(&holdings));
    }
}
