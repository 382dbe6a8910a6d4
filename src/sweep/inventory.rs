//! What a sweep saw of the content of repositories: where tags lead, and what manifests name.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::oci::{Digest, Document, Reference, Repository, Tag};

/// Filled by a sweep ([`super::Policy::inventory`]) for whoever has further questions of the same content.
/// What is broken or unverified stands in the sweep, and is missing here if it could not be read.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Of which images alone; `None` if of all.
    wanted: Option<BTreeSet<(Repository, Reference)>>,
    repositories: Mutex<BTreeMap<Repository, Contents>>,
}

/// The content of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Where each tag led when it was last asked for.
    pub tags: BTreeMap<Tag, Digest>,
    /// Each manifest that was read, whole and with the right digest.
    pub manifests: BTreeMap<Digest, Document>,
    /// What of their children was not there in a look, where the mode allows that.
    pub left_out: BTreeSet<Digest>,
}

/// Some images, and one besides that was seen to be there: what a registry fails on is told from an outage by
/// something that it answers.
#[must_use]
pub fn with_control(
    mut images: BTreeSet<(Repository, Reference)>,
    seen: &BTreeMap<Repository, Contents>,
) -> Vec<(Repository, Reference)> {
    let control = seen.iter().find_map(|(repository, contents)| {
        let mut tags = contents.tags.iter();
        let (tag, _) = tags.find(|(_, digest)| contents.manifests.contains_key(*digest))?;
        Some((repository.clone(), Reference::Tag(tag.clone())))
    });
    images.extend(control);
    images.into_iter().collect()
}

impl Inventory {
    /// Of everything that a sweep reads.
    #[must_use]
    pub fn of_all() -> Self {
        Self::default()
    }

    /// Of these images alone: where the tags lead, and the manifest there, without those that it names. One that
    /// was read for another tag before its own may be missing.
    #[must_use]
    pub fn of(wanted: BTreeSet<(Repository, Reference)>) -> Self {
        Self {
            wanted: Some(wanted),
            repositories: Mutex::default(),
        }
    }

    /// What was seen, by repository. Leaves nothing behind.
    #[must_use]
    pub fn take(&self) -> BTreeMap<Repository, Contents> {
        std::mem::take(&mut self.repositories.lock())
    }

    pub(super) fn tag_seen(&self, repository: &Repository, tag: &Tag, digest: &Digest) {
        if !self.wants(repository, || Reference::Tag(tag.clone())) {
            return;
        }
        let mut repositories = self.repositories.lock();
        let contents = repositories.entry(repository.clone()).or_default();
        contents.tags.insert(tag.clone(), digest.clone());
    }

    pub(super) fn manifest_seen(&self, repository: &Repository, digest: &Digest, read: &Document) {
        let is_wanted = self.wants(repository, || Reference::Digest(digest.clone()));
        let mut repositories = self.repositories.lock();
        let known = repositories.get(repository);
        let leads_here = |known: &Contents| known.tags.values().any(|target| target == digest);
        if is_wanted || known.is_some_and(leads_here) {
            let contents = repositories.entry(repository.clone()).or_default();
            contents.manifests.insert(digest.clone(), read.clone());
        }
    }

    /// Notes what the manifests that are kept have no child for. Of others it would be much, and nobody asks.
    pub(super) fn left_out(&self, repository: &Repository, left_out: &[Digest]) {
        let mut repositories = self.repositories.lock();
        let Some(contents) = repositories
            .get_mut(repository)
            .filter(|_| !left_out.is_empty())
        else {
            return;
        };
        let children = contents.manifests.values().flat_map(|it| &it.children);
        let named: BTreeSet<_> = children.map(|child| &child.digest).collect();
        let named = left_out.iter().filter(|digest| named.contains(digest));
        contents.left_out.extend(named.cloned());
    }

    fn wants(&self, repository: &Repository, reference: impl FnOnce() -> Reference) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(&(repository.clone(), reference())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_kept() {
        let name = |text: &str| text.parse::<Repository>().expect("a name");
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let [by_tag, by_digest, other] = [1, 2, 3].map(|number: u8| Digest::sha256(&[number]));
        let see = |inventory: &Inventory| {
            inventory.tag_seen(&name("app"), &tag("v1"), &by_tag);
            inventory.tag_seen(&name("app"), &tag("v2"), &other);
            for digest in [&by_tag, &by_digest, &other] {
                inventory.manifest_seen(&name("app"), digest, &Document::default());
                inventory.manifest_seen(&name("tools"), digest, &Document::default());
            }
            inventory.take()
        };
        let wanted = [
            (name("app"), Reference::Tag(tag("v1"))),
            (name("app"), Reference::Digest(by_digest.clone())),
        ];
        let seen = see(&Inventory::of(wanted.into()));
        assert_eq!(seen.keys().collect::<Vec<_>>(), [&name("app")]);
        let app = &seen[&name("app")];
        assert_eq!(app.tags, [(tag("v1"), by_tag.clone())].into());
        let expected = BTreeSet::from([&by_tag, &by_digest]);
        assert_eq!(app.manifests.keys().collect::<BTreeSet<_>>(), expected);

        let all = see(&Inventory::of_all());
        assert_eq!(all[&name("app")].tags.len(), 2);
        assert_eq!(all[&name("tools")].manifests.len(), 3);
    }
}
