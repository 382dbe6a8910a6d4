//! What a registry may fetch from an upstream where it is asked for it, told before it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::HttpRegistry;
use super::classify::Stop;
use super::config::{MOST_TAGS, Share};
use crate::oci::{Reference, Repository, Tag};
use crate::registry::{
    Depth, ListEnd, Listing, Named, Software, Unverified, UnverifiedReason, Wanted,
};

/// What ends the doubt.
const SAY_MODE: &str =
    "say --mode private, or --mode pull-through if zot's `sync` has `onDemand: true`";

impl HttpRegistry {
    /// Whether it may fetch what it is asked for, and nothing would show it: zot with `onDemand` in its `sync` answers as
    /// any other does (pkg/api/routes.go, getImageManifest; measured), and then stores the whole image.
    pub(crate) fn may_fetch(&self) -> bool {
        let software = self.software();
        self.spares_upstream && software.is_some_and(|own| own.name == Software::Zot)
    }

    /// The images that are not asked for, since they are not stored, and why: neither the list of tags nor requests for
    /// blobs make zot fetch anything.
    pub(super) async fn not_stored(&self, images: &[Named]) -> Vec<(Named, Unverified)> {
        if !self.may_fetch() {
            return Vec::new();
        }
        let mut by_repository = BTreeMap::<_, Vec<_>>::new();
        for (repository, reference) in images {
            by_repository.entry(repository).or_default().push(reference);
        }
        let mut withheld = Vec::new();
        for (repository, references) in by_repository {
            let tags = references.iter().filter_map(|named| match named {
                Reference::Tag(tag) => Some(tag.clone()),
                Reference::Digest(_) => None,
            });
            let tags: BTreeSet<_> = tags.collect();
            let listing = if tags.is_empty() {
                None
            } else {
                Some(self.some_of(repository, tags).await)
            };
            let listing = listing.as_ref();
            for reference in references {
                if let Some(why) = self.is_withheld(repository, reference, listing).await {
                    withheld.push(((repository.clone(), reference.clone()), why));
                }
            }
        }
        withheld
    }

    /// Which of these tags a repository lists, whatever is kept of lists otherwise.
    async fn some_of(&self, repository: &Repository, tags: BTreeSet<Tag>) -> Listing<Tag> {
        let is_named = move |tag: &Tag| {
            if tags.contains(tag) {
                Wanted::Here
            } else {
                Wanted::LeftOut
            }
        };
        let share = Share {
            wanted: Arc::new(is_named),
            most: MOST_TAGS,
        };
        let url = self.endpoint.tags(repository);
        self.exchange.tag_list(url, repository, &share).await
    }

    async fn is_withheld(
        &self,
        repository: &Repository,
        reference: &Reference,
        listing: Option<&Listing<Tag>>,
    ) -> Option<Unverified> {
        let is_stored = match reference {
            Reference::Tag(tag) => {
                let is_listed = listing.is_some_and(|listing| listing.items.contains(tag));
                match listing.map(|listing| &listing.end) {
                    Some(ListEnd::Failed(why)) if !is_listed => return Some(why.clone()),
                    _ => is_listed,
                }
            }
            Reference::Digest(digest) => {
                let at = (repository, digest);
                let seen = self.look_at_blob(at, None, Depth::Head, None).await;
                // Any other failure is met again, and told.
                !matches!(seen, Err(Stop::Absent(_)))
            }
        };
        if is_stored {
            return None;
        }
        let image = reference.in_repository(repository);
        let detail = format!(
            "{image} is not stored here, and a zot that fetches on demand would fetch and store it; nothing \
             shows whether this one does"
        );
        let why = Unverified::new(UnverifiedReason::Protocol, detail);
        Some(why.advised(Some(SAY_MODE)))
    }
}
