//! What a list of deletions would break: the other tags, their platforms, and whoever else names an image.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::keep::Root;
use super::{Deletion, Holdings};
use crate::oci::{Digest, Printable, Reference, Repository, Tag};
use crate::sweep::Contents;

/// What would break, and by which deletions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breakage {
    /// Who names the image, in words; `None` for another tag.
    pub origin: Option<Printable>,
    /// The image, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub image: String,
    /// The platforms that would be gone, or children by their digests where no platform is stated; none if it is the
    /// image as a whole.
    pub platforms: Vec<Printable>,
    /// The deletions that break it, as they stand in the list.
    pub deletions: Vec<String>,
}

/// What is to be deleted of one repository.
#[derive(Default)]
struct Doomed<'a> {
    tags: BTreeSet<&'a Tag>,
    /// Each with the deletions that take it.
    manifests: BTreeMap<&'a Digest, Vec<&'a Deletion>>,
}

/// What some deletions would break of what was seen, tags first. `is_by_digest` says whether a tag is deleted by the
/// digest that it leads to, which takes every tag of that manifest.
#[must_use]
pub fn breakage(
    holdings: &Holdings,
    roots: &[Root],
    deletions: &[Deletion],
    is_by_digest: bool,
) -> Vec<Breakage> {
    let mut by_repository = BTreeMap::<&Repository, Vec<&Deletion>>::new();
    for deletion in deletions {
        let here = by_repository.entry(&deletion.repository).or_default();
        here.push(deletion);
    }
    let nothing = Contents::default();
    let (mut of_tags, mut of_others) = (Vec::new(), Vec::new());
    for (repository, deletions) in by_repository {
        let contents = holdings.get(repository).unwrap_or(&nothing);
        let doomed = Doomed::of(&deletions, contents, is_by_digest);
        for (tag, digest) in &contents.tags {
            let reference = Reference::Tag(tag.clone());
            if !doomed.tags.contains(tag) {
                let image = reference.in_repository(repository);
                of_tags.extend(doomed.breaks(contents, digest, None, image));
            }
        }
        for root in roots.iter().filter(|root| root.repository == *repository) {
            let image = root.reference.in_repository(repository);
            let origin = Some(root.origin.clone());
            if let Reference::Tag(tag) = &root.reference
                && doomed.tags.contains(tag)
            {
                of_others.push(Breakage {
                    origin,
                    deletions: vec![image.clone()],
                    image,
                    platforms: Vec::new(),
                });
            } else if let Some(digest) = root.leads_to(contents) {
                of_others.extend(doomed.breaks(contents, &digest, origin, image));
            }
        }
    }
    of_tags.append(&mut of_others);
    of_tags
}

impl<'a> Doomed<'a> {
    fn of(deletions: &[&'a Deletion], contents: &'a Contents, is_by_digest: bool) -> Self {
        let mut doomed = Self::default();
        for deletion in deletions {
            let digest = match &deletion.reference {
                Reference::Digest(digest) => Some(digest),
                Reference::Tag(tag) => {
                    doomed.tags.insert(tag);
                    contents.tags.get(tag).filter(|_| is_by_digest)
                }
            };
            if let Some(digest) = digest {
                doomed.manifests.entry(digest).or_default().push(deletion);
            }
        }
        doomed
    }

    /// What is broken of an image that leads to this manifest, if anything.
    fn breaks(
        &self,
        contents: &Contents,
        digest: &Digest,
        origin: Option<Printable>,
        image: String,
    ) -> Option<Breakage> {
        let mut platforms = BTreeSet::new();
        let mut by = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(digest, None::<Printable>, false)];
        let mut is_whole = false;
        while let Some((digest, platform, is_below_doomed)) = waiting.pop() {
            let deletions = self.manifests.get(digest);
            let is_gone = is_below_doomed || deletions.is_some();
            if let Some(deletions) = deletions {
                by.extend(deletions.iter().map(|deletion| deletion.name()));
                is_whole |= seen.is_empty();
            }
            if !seen.insert((digest, platform.clone(), is_gone)) {
                continue;
            }
            let document = contents.manifests.get(digest);
            let children = || document.iter().flat_map(|document| document.manifests());
            let names_none = children().next().is_none();
            if is_gone && (platform.is_some() || names_none) {
                let stated = platform.clone();
                platforms.insert(stated.unwrap_or_else(|| digest.to_string().into()));
            }
            // What goes with an image says nothing of platforms.
            for child in children().filter(|child| !(is_gone && child.attestation)) {
                let stated = child.platform.as_deref().map(Printable::from);
                let platform = stated.or_else(|| platform.clone());
                waiting.push((&child.digest, platform, is_gone));
            }
        }
        (!by.is_empty()).then(|| Breakage {
            origin,
            image,
            platforms: if is_whole {
                Vec::new()
            } else {
                platforms.into_iter().collect()
            },
            deletions: by.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::keep::tests::{digest, repository, shared};
    use super::*;
    use crate::oci::Document;

    fn deletion(reference: &str) -> Deletion {
        let reference = match reference.strip_prefix('@') {
            Some(name) => Reference::Digest(digest(name)),
            None => Reference::Tag(reference.parse().expect("a tag")),
        };
        Deletion {
            repository: repository("app"),
            reference,
        }
    }

    /// What is broken, as `IMAGE PLATFORM…`.
    fn broken(deletions: &[&str], roots: &[Root], is_by_digest: bool) -> Vec<String> {
        let deletions: Vec<_> = deletions.iter().map(|text| deletion(text)).collect();
        let mut app = shared();
        app.tags
            .insert("v1-amd64".parse().expect("a tag"), digest("a"));
        let holdings = [(repository("app"), app)].into();
        let found = breakage(&holdings, roots, &deletions, is_by_digest);
        let told = found.iter().map(|broken| {
            let origin = broken.origin.as_deref().unwrap_or_default();
            let parts = [origin, &broken.image].into_iter();
            let parts = parts.chain(broken.platforms.iter().map(|platform| &**platform));
            parts.collect::<Vec<_>>().join(" ").trim().to_owned()
        });
        told.collect()
    }

    #[test]
    fn a_shared_child_breaks_a_platform_of_each_tag() {
        let both = ["app:v1 linux/amd64", "app:v1-amd64", "app:v2 linux/amd64"];
        assert_eq!(broken(&["@a"], &[], false), both);
        assert_eq!(broken(&["@b"], &[], false), ["app:v1 linux/arm64"]);
        assert_eq!(broken(&["@old", "@unheard of"], &[], false), [""; 0]);
    }

    #[test]
    fn a_tag_takes_its_manifest_only_if_deleted_by_digest() {
        assert_eq!(broken(&["v1-amd64"], &[], false), [""; 0]);
        let both = ["app:v1 linux/amd64", "app:v2 linux/amd64"];
        assert_eq!(broken(&["v1-amd64"], &[], true), both);
        // What goes itself is not broken.
        assert_eq!(broken(&["v1-amd64", "v1", "v2"], &[], true), [""; 0]);
        assert_eq!(broken(&["@one"], &[], false), ["app:v1"]);
        assert_eq!(broken(&["@one", "v1"], &[], false), [""; 0]);
    }

    #[test]
    fn an_index_in_an_index_takes_its_platforms() {
        let mut app = shared();
        let text = serde_json::json!({ "schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": digest("one").to_string(),
            "size": 3,
        }] });
        let above = Document::parse(text.to_string().as_bytes(), None).expect("an index");
        app.manifests.insert(digest("above"), above);
        app.tags
            .insert("all".parse().expect("a tag"), digest("above"));
        let holdings = [(repository("app"), app)].into();
        let found = breakage(&holdings, &[], &[deletion("@one")], false);
        let told = found.iter().find(|broken| broken.image == "app:all");
        let platforms = &told.expect("it is broken").platforms;
        let expected = ["linux/amd64", "linux/arm64"].map(Printable::from);
        assert_eq!(*platforms, expected);
    }

    #[test]
    fn who_names_an_image_is_told() {
        let root = |reference: &str| Root {
            repository: repository("app"),
            reference: deletion(reference).reference,
            origin: "Deployment prod/web".into(),
        };
        let web = "Deployment prod/web app:v1";
        assert_eq!(broken(&["v1"], &[root("v1")], false), [web]);
        let both = ["app:v1".to_owned(), web.to_owned()];
        assert_eq!(broken(&["@one"], &[root("v1")], false), both);
        let old = format!("Deployment prod/web app@{}", digest("old"));
        assert_eq!(broken(&["@old"], &[root("@old")], false), [old]);
        assert_eq!(
            broken(&["v1"], &[root("@one"), root("gone")], false),
            [""; 0]
        );
    }
}
