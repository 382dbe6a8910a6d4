//! Where a sweep begins: with the catalog and what was known besides, with named repositories, or with images.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::owner::{Crawl, Task};
use super::scope::Source;
use super::walk::{History, Walk};
use crate::oci::{Reference, Repository};
use crate::registry::{ListEnd, Registry};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Listed, SkipReason};

/// What helps where there is no catalog, or none for us.
const NO_CATALOG: &str =
    "; if this registry offers no catalog, name its repositories with --repo or --repos-file";

impl<R: Registry> Crawl<'_, R> {
    /// Finds out where to begin.
    pub(super) async fn seed(&mut self) -> Result<(), Unverified> {
        let policy = self.policy;
        if let Source::Images(images) = &policy.scope.source {
            // They are known before anything is asked, and so is that no list is.
            let names = images
                .iter()
                .map(|(name, reference)| reference.in_repository(name));
            self.ledger.listed(Listed::Images(names.collect()));
            self.begin_images(images);
        }
        self.registry.ping().await?;
        match &policy.scope.source {
            Source::Catalog => {
                let listing = self.registry.repositories().await;
                if let ListEnd::Absent(refusal) = listing.end {
                    let detail =
                        format!("{} answers {}{NO_CATALOG}", refusal.request, refusal.status);
                    return Err(Unverified::new(UnverifiedReason::Protocol, detail));
                }
                // Nobody's part has these: the first tells them for all.
                if policy.scope.shard.is_none_or(|shard| shard.index() == 0) {
                    self.ledger.skip(SkipReason::InvalidName, listing.invalid);
                }
                self.ledger
                    .skip(SkipReason::RepositoryFilter, listing.left_out);
                self.ledger.repositories_of_other_shards(listing.of_others);
                let is_whole = listing.end == ListEnd::Whole;
                if let ListEnd::Failed(mut why) = listing.end {
                    if !why.is_transient() {
                        // Many registries refuse a catalog, each in its own words.
                        why.extend(NO_CATALOG);
                    }
                    // What was listed before it is swept all the same.
                    self.ledger.listing_failed(why);
                }
                // A catalog may leave out what is there: its own list decides. Listings are in order.
                let known = self.known.repositories.keys().filter(|_| is_whole);
                let missing = known.filter(|name| listing.items.binary_search(name).is_err());
                let missing = missing.cloned().collect();
                self.wait_for(listing.items, true);
                self.wait_for(missing, false);
            }
            Source::Repositories(named) => {
                self.ledger.listed(Listed::Named);
                self.wait_for(named.clone(), true);
            }
            Source::Images(images) => {
                self.withheld = self.registry.withheld(images).await.into_iter().collect();
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, repositories: Vec<Repository>, is_listed: bool) {
        let taken = self.policy.scope.repositories(repositories);
        if is_listed {
            self.ledger
                .skip(SkipReason::RepositoryFilter, taken.left_out);
            self.ledger.repositories_listed(taken.repositories.len());
            self.ledger
                .repositories_of_other_shards(taken.of_other_shards);
        }
        let mut repositories = taken.repositories;
        let (turn, suspects) = (self.policy.turn, &self.policy.suspects);
        // What is broken in them is read in all that have it.
        repositories.sort_by_cached_key(|name| (!suspects.contains(name), place(name, turn)));
        let tasks = repositories.into_iter().map(|repository| Task {
            repository,
            is_listed,
            before: None,
        });
        self.waiting.extend(tasks);
    }

    /// Puts on the list what a catalog names that was read later than the first, and that no look has seen.
    pub(super) fn wait_for_new(&mut self, mut listed: Vec<Repository>) {
        let doubtful = self.doubtful.iter().map(|walked| &walked.repository);
        let doubtful: BTreeSet<_> = doubtful.collect();
        listed.retain(|name| {
            let is_seen = self.ledger.reached.contains_key(name) || doubtful.contains(name);
            !is_seen && self.policy.scope.takes(name)
        });
        for name in &listed {
            self.ledger.missing.remove(name);
        }
        self.wait_for(listed, true);
    }

    fn begin_images(&mut self, images: &[(Repository, Reference)]) {
        let mut by_repository = BTreeMap::<_, Vec<_>>::new();
        for (repository, reference) in images {
            by_repository
                .entry(repository.clone())
                .or_default()
                .push(reference);
        }
        self.ledger.repositories_listed(by_repository.len());
        for (repository, references) in by_repository {
            let mut walk = Walk::new(repository, self.policy, History::default());
            for reference in references {
                match reference {
                    Reference::Tag(tag) => walk.add_named_tag(tag.clone()),
                    Reference::Digest(digest) => walk.add_named(digest.clone()),
                }
            }
            self.open(walk, None);
        }
    }
}

/// Where a repository stands in the list of a sweep: with each turn elsewhere, since whoever comes first reads
/// the bytes of a blob for all that have it.
fn place(name: &Repository, turn: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (turn, name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_two_comes_first_in_half_of_the_turns() {
        let [app, debug] = ["team/app", "team/app-debug"].map(|name| name.parse().expect("a name"));
        let is_first = |turn: &u64| place(&app, *turn) < place(&debug, *turn);
        let firsts = (0..1000).filter(is_first).count();
        assert!((400..600).contains(&firsts), "{firsts}");
    }
}
