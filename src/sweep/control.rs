//! The control: whether the registry answers at all, and with the store that it had a moment ago.

use std::collections::VecDeque;

use super::walk::Endpoint;
use crate::oci::{Digest, Reference, Repository, manifest_digest};
use crate::registry::{Answer, Registry, Way};
use crate::registry::{Depth, Unverified, UnverifiedReason};

/// Objects that were found intact in this sweep, the latest of each kind: if the registry answers for
/// them, it answers. Manifests and blobs may fail apart, for they are stored and served apart.
#[derive(Default)]
pub(super) struct Controls {
    /// Manifests of different repositories, for one of them may be deleted meanwhile.
    manifests: VecDeque<(Repository, Digest)>,
    /// Several, for a sweep that goes no deeper than HEAD does not see which of them are empty.
    blobs: VecDeque<(Repository, Digest, Option<u64>)>,
}

/// Manifests that are kept as controls, and how many of one repository: clients may delete some of
/// them while the sweep goes on.
const CONTROLS: usize = 8;
const CONTROLS_OF_ONE: usize = 2;
const BLOBS: usize = 4;

impl Controls {
    pub(super) fn manifest_is_intact(&mut self, repository: &Repository, digest: Digest) {
        let mut of_this_one = 0;
        self.manifests.retain(|(of, _)| {
            of_this_one += usize::from(of == repository);
            of != repository || of_this_one < CONTROLS_OF_ONE
        });
        self.manifests.truncate(CONTROLS - 1);
        self.manifests.push_front((repository.clone(), digest));
    }

    pub(super) fn blob_is_intact(
        &mut self,
        repository: &Repository,
        digest: Digest,
        length: Option<u64>,
    ) {
        self.blobs.truncate(BLOBS - 1);
        let control = (repository.clone(), digest, length);
        self.blobs.push_front(control);
    }

    /// The manifest that was seen intact last.
    pub(super) fn manifest(&self) -> Option<&(Repository, Digest)> {
        self.manifests.front()
    }

    /// The blobs that were seen intact last, the last one first.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &(Repository, Digest, Option<u64>)> {
        self.blobs.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Whether something of the same kind was ever readable.
    pub(super) fn has_kind_of(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Blobs => !self.blobs.is_empty(),
            Endpoint::Manifests => !self.manifests.is_empty(),
        }
    }
}

/// Whether the registry answers at all right now, and with the same store. An outage makes every
/// negative worthless; so does a volume that is gone, behind which everything is "not found".
pub(super) async fn answers<R: Registry>(
    registry: &R,
    controls: &Controls,
) -> Result<(), Unverified> {
    if controls.manifests.is_empty() {
        registry.ping().await?;
    }
    let mut is_there = controls.manifests.is_empty();
    let mut altered = None;
    for (repository, digest) in &controls.manifests {
        let reference = Reference::Digest(digest.clone());
        let answer = registry.manifest(repository, &reference).await;
        if let Answer::Found(body) = &answer
            && manifest_digest(&body.bytes, digest).as_ref() != Some(digest)
        {
            altered.get_or_insert_with(|| body.request.clone());
            continue;
        }
        is_there = answered(answer)?;
        if is_there {
            break;
        }
    }
    if !is_there && let Some(request) = altered {
        let detail = format!(
            "{request}: what came whole a moment ago arrives cut or altered now, as does all else"
        );
        return Err(Unverified::new(UnverifiedReason::Connect, detail));
    }
    if !is_there && !has_another(registry, controls).await {
        let detail = "nothing that was intact a moment ago is there any more, as when a store is \
                      unmounted or emptied";
        return Err(Unverified::new(UnverifiedReason::RegistryError, detail));
    }
    if let Some((repository, digest, size)) = controls.blobs.front() {
        answered(registry.blob(repository, digest, *size, Depth::Tail).await)?;
    }
    Ok(())
}

/// Whether anything else is there, in the places where something was: a tag that resolves.
async fn has_another<R: Registry>(registry: &R, controls: &Controls) -> bool {
    for (repository, _) in &controls.manifests {
        if let Some(tag) = registry.tags(repository).await.items.last()
            && matches!(
                registry.resolve(repository, tag, Way::Cheap).await,
                Answer::Found(_)
            )
        {
            return true;
        }
    }
    false
}

/// Whether an object is there, or what keeps the registry from saying.
fn answered<T>(answer: Answer<T>) -> Result<bool, Unverified> {
    match answer {
        Answer::Found(_) => Ok(true),
        Answer::Absent(_) => Ok(false),
        Answer::Failing(refusal) => {
            let (request, status) = (refusal.request, refusal.status);
            let detail = format!("{request} answers {status}, though it answered well before");
            Err(Unverified::new(UnverifiedReason::RegistryError, detail))
        }
        Answer::Unverified(why) => Err(why),
    }
}
