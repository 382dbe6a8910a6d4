//! How a visit asks: what each question takes to be answered, and what its answers come to.

use super::contradiction;
use super::judge::{self, Judged};
use super::reading::{BytesRead, Shared};
use super::recall::Recall;
use super::repeats::Repeated;
use super::seen::Seen;
use super::walk::{Keeper, NodeId};
use crate::oci::{Digest, Document, Reference, Repository, Tag};
use crate::registry::{Answer, Depth, ListEnd, Listing, Registry, Unpack};
use crate::report::Outcome;

/// A digest that no bytes are known to have: what a registry answers for it, it answers for what it does
/// not have.
pub(super) fn nothing() -> Digest {
    let text = format!("sha256:{}", "0".repeat(64));
    text.parse().expect("64 hexadecimal digits")
}

/// Looks at a manifest: by HEAD if it was read before and that is enough, or by reading it.
pub(super) async fn look_at_known<R: Registry>(
    registry: &R,
    (repository, id, digest, keeper): (&Repository, NodeId, Digest, Keeper),
    recall: &Recall,
    mut repeated: Repeated,
) -> Seen {
    if keeper == Keeper::Manifests
        && let Some((judged, document)) = recall.look(registry, repository, &digest).await
    {
        return Seen::Manifest(id, digest, judged, Some(document), false);
    }
    loop {
        let ((judged, document), is_new) = match keeper {
            Keeper::Manifests => look_at_manifest(registry, repository, &digest, recall).await,
            Keeper::Either => (look_at_document(registry, repository, &digest).await, false),
        };
        if let Some(outcome) = repeated.take(&judged.outcome) {
            let judged = Judged { outcome, ..judged };
            return Seen::Manifest(id, digest, judged, document, is_new);
        }
    }
}

/// A question for a blob.
pub(super) struct BlobVisit<'a, R> {
    pub(super) registry: &'a R,
    pub(super) repository: &'a Repository,
    pub(super) id: NodeId,
    pub(super) digest: Digest,
    pub(super) size: Option<u64>,
    /// Whether it is read as the config of an image.
    pub(super) is_config: bool,
    /// How to unpack it, if it is a layer that is.
    pub(super) unpack: Option<Unpack>,
    pub(super) repeated: Repeated,
}

impl<R: Registry> BlobVisit<'_, R> {
    /// Looks at this depth, or waits for another repository that reads the same bytes.
    pub(super) async fn run(self, depth: Depth, shared: Shared) -> Seen {
        match shared {
            Shared::No => self.look(depth).await,
            Shared::Here(outcome) => {
                let seen = self.look(depth).await;
                let read = match &seen {
                    Seen::Blob(_, _, _, judged) => BytesRead {
                        is_intact: judged.outcome == Outcome::Intact,
                        config: judged.config,
                        unpacks_to: judged.unpacks_to.clone(),
                    },
                    _ => BytesRead::default(),
                };
                // Nobody may wait for it.
                _ = outcome.send(Some(read));
                seen
            }
            Shared::Elsewhere(mut outcome) => {
                let again = Self {
                    digest: self.digest.clone(),
                    unpack: self.unpack.clone(),
                    repeated: self.repeated.clone(),
                    ..self
                };
                let mut seen = self.look(Depth::Head).await;
                let Seen::Blob(_, _, _, judged) = &mut seen else {
                    return seen;
                };
                if judged.outcome != Outcome::Intact {
                    return seen;
                }
                // Whoever reads them may have come to no end.
                let read = outcome.wait_for(Option::is_some).await;
                let read = read.ok().and_then(|read| read.clone()).unwrap_or_default();
                let is_all = read.config.is_some() || !again.is_config;
                let is_unpacked = read.unpacks_to.is_some() || depth < Depth::Unpack;
                if read.is_intact && is_all && is_unpacked {
                    judged.config = read.config;
                    judged.unpacks_to = read.unpacks_to;
                    return seen;
                }
                again.look(depth).await
            }
        }
    }

    async fn look(mut self, depth: Depth) -> Seen {
        let (digest, size) = (self.digest, self.size);
        loop {
            let judged = if self.is_config && depth > Depth::Head {
                let answer = self.registry.config(self.repository, &digest).await;
                contradiction::config(&digest, size, answer, depth == Depth::Unpack)
            } else if let Some(unpack) = self.unpack.clone().filter(|_| depth == Depth::Unpack) {
                let registry = self.registry;
                let answer = registry.layer(self.repository, &digest, size, unpack).await;
                if matches!(&answer, Answer::Found(look) if look.is_from_cache) {
                    return Seen::CachedBlob;
                }
                contradiction::layer(&digest, size, answer)
            } else {
                let registry = self.registry;
                let answer = registry.blob(self.repository, &digest, size, depth).await;
                if matches!(&answer, Answer::Found(look) if look.is_from_cache) {
                    return Seen::CachedBlob;
                }
                judge::blob(&digest, size, answer)
            };
            // What is not unpacked does not clear what unpacking found.
            let depth = match depth {
                Depth::Unpack if self.unpack.is_none() && !self.is_config => Depth::Digest,
                depth => depth,
            };
            if let Some(outcome) = self.repeated.take(&judged.outcome) {
                return Seen::Blob(self.id, digest, depth, Judged { outcome, ..judged });
            }
        }
    }
}

/// A repository's list of tags, asked for so many times while it is not there or empty.
pub(super) async fn tags<R: Registry>(
    registry: &R,
    repository: &Repository,
    times: u32,
) -> Listing<Tag> {
    let mut listing = registry.tags(repository).await;
    for _ in 1..times {
        let is_empty = listing.end == ListEnd::Whole && listing.items.is_empty();
        if !is_empty && !matches!(listing.end, ListEnd::Absent(_)) {
            break;
        }
        listing = registry.tags(repository).await;
    }
    listing
}

/// Whether a registry answers for a manifest as for one of a repository that it knows; or its list of tags,
/// which is not there, if it is there now: another replica may have it.
pub(super) async fn is_known<R: Registry>(registry: &R, repository: &Repository) -> Seen {
    let reference = Reference::Digest(nothing());
    let is_known = match registry.manifest(repository, &reference).await {
        Answer::Absent(refusal) => refusal.code.as_deref() == Some("MANIFEST_UNKNOWN"),
        Answer::Found(_) | Answer::Failing(_) | Answer::Unverified(_) => false,
    };
    let again = registry.tags(repository).await;
    match again.end {
        ListEnd::Absent(_) => Seen::IsKnown(is_known),
        ListEnd::Whole | ListEnd::Failed(_) => Seen::Tags(again),
    }
}

/// Reads a manifest. Gives besides whether it was pushed since the last sweep, as far as that shows.
async fn look_at_manifest<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
    recall: &Recall,
) -> ((Judged, Option<Document>), bool) {
    let reference = Reference::Digest(digest.clone());
    let answer = registry.manifest(repository, &reference).await;
    let body = match &answer {
        Answer::Found(body) => Some(body.clone()),
        _ => None,
    };
    let seen = judge::manifest(Some(digest), answer);
    let body = body.filter(|_| seen.0.outcome == Outcome::Intact);
    let is_new = body.is_some_and(|body| recall.keep(digest, &body));
    (seen, is_new)
}

/// Looks at a child of a type that clients do not know: containerd has it as a blob, others may have
/// it as a manifest.
async fn look_at_document<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
) -> (Judged, Option<Document>) {
    match registry.config(repository, digest).await {
        Answer::Found(body) => judge::kept_as_blob(digest, &body),
        Answer::Absent(refusal) => {
            let reference = Reference::Digest(digest.clone());
            let answer = match registry.manifest(repository, &reference).await {
                // Distribution fails where it has, or had, a blob of that digest.
                Answer::Failing(_) => Answer::Absent(refusal),
                answer => answer,
            };
            judge::manifest(Some(digest), answer)
        }
        answer => judge::manifest(Some(digest), answer),
    }
}
