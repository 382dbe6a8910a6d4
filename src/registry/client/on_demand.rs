//! What a registry may fetch from an upstream where it is asked for it, told before it is asked for.

use super::HttpRegistry;
use super::classify::Stop;
use crate::oci::{Reference, Repository};
use crate::registry::{Depth, ListEnd, Registry as _, Software, Unverified, UnverifiedReason};

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

    /// Why some images are not asked for, by the first of them that is not stored: neither the list of tags nor
    /// requests for blobs make zot fetch anything.
    pub(super) async fn first_not_stored(
        &self,
        images: &[(Repository, Reference)],
    ) -> Option<Unverified> {
        if !self.may_fetch() {
            return None;
        }
        for (repository, reference) in images {
            let is_stored = match reference {
                Reference::Tag(tag) => {
                    let listing = self.tags(repository).await;
                    let is_listed = listing.items.contains(tag);
                    match listing.end {
                        ListEnd::Failed(why) if !is_listed => return Some(why),
                        _ => is_listed,
                    }
                }
                Reference::Digest(digest) => {
                    let at = (repository, digest);
                    match self.look_at_blob(at, None, Depth::Head, None).await {
                        Ok(_) => true,
                        Err(Stop::Absent(_)) => false,
                        // Whatever that is, it is met again, and told.
                        Err(_) => return None,
                    }
                }
            };
            if !is_stored {
                let image = reference.in_repository(repository);
                let detail = format!(
                    "{image} is not stored here, and a zot that fetches on demand would fetch and store it; nothing \
                     shows whether this one does"
                );
                let why = Unverified::new(UnverifiedReason::Protocol, detail);
                return Some(why.advised(Some(SAY_MODE)));
            }
        }
        None
    }
}
