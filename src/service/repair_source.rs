//! Other registries that may hold what is broken here: asked for it, and for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::oci::{Digest, Repository};
use crate::registry::Unverified;
use crate::registry::client::{Config, HttpRegistry};
use crate::report::{Elsewhere, Finding, Sweep};

/// Findings of one sweep that are asked for: whoever has more has other worries than where to copy from.
const LOOKS: usize = 64;
/// How long the results of a sweep wait for one source.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Requests at a time.
const CONCURRENCY: usize = 4;

/// A registry that may hold the images of another, under the same names or below a prefix.
#[derive(Clone, Debug)]
pub struct RepairSource {
    /// How to speak to it.
    pub http: Config,
    /// What its names begin with.
    pub prefix: Option<Repository>,
}

impl RepairSource {
    /// A repository as it is called there; `None` if that is no name.
    fn named(&self, repository: &Repository) -> Option<Repository> {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{repository}").parse().ok(),
            None => Some(repository.clone()),
        }
    }
}

/// Notes with each finding of `sweep` where its image is intact, by the first of the `sources` that has it:
/// one HEAD for each image and source, and none where nothing is broken. What a source refuses is logged; one
/// that fails is, too, and is asked no more. Who cancels does not wait for it.
pub async fn look_elsewhere(
    sweep: &mut Sweep,
    sources: &[RepairSource],
    cancel: &CancellationToken,
) {
    tokio::select! {
        biased;
        () = cancel.cancelled() => {}
        () = look(sweep, sources) => {}
    }
}

async fn look(sweep: &mut Sweep, sources: &[RepairSource]) {
    let mut wanted = wanted(sweep);
    for source in sources {
        if wanted.values().all(Option::is_some) {
            break;
        }
        let host = source.http.endpoint.in_images();
        let registry = match HttpRegistry::new(source.http.clone()) {
            Ok(registry) => registry,
            Err(error) => {
                tracing::warn!("--repair-from {host}: {error}");
                continue;
            }
        };
        let refused = Mutex::new(BTreeSet::new());
        let missing = wanted.iter_mut().filter(|(_, found)| found.is_none());
        let looks = missing.map(|((repository, digest), found)| {
            let (registry, host, refused) = (&registry, &host, &refused);
            async move {
                let Some(there) = source.named(repository) else {
                    return Ok(());
                };
                let is_there = match registry.has_manifest(&there, digest).await {
                    // Who may not pull from one repository may pull from the next.
                    Err(why) if why.is_refusal() => {
                        if refused.lock().insert(there.clone()) {
                            tracing::warn!("--repair-from {host}/{there}: {}", why.detail);
                        }
                        false
                    }
                    answer => answer?,
                };
                *found = is_there.then(|| Elsewhere {
                    image: format!("{host}/{there}@{digest}"),
                    is_verified: registry.endpoint.is_https(),
                });
                Ok::<_, Unverified>(())
            }
        });
        let looks = futures::stream::iter(looks).buffer_unordered(CONCURRENCY);
        // What else keeps it from one answer keeps it from the next.
        let asked = tokio::time::timeout(LONGEST_WAIT, looks.try_collect::<()>());
        match asked.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!("--repair-from {host}: {}", why.detail),
            Err(_) => tracing::warn!("--repair-from {host}: it does not answer in time"),
        }
    }
    for finding in &mut sweep.findings {
        if let Some(image) = image_of(finding) {
            finding.nearby.elsewhere = wanted.get(&image).cloned().flatten();
        }
    }
}

/// The images that are asked for, and nowhere found yet.
fn wanted(sweep: &Sweep) -> BTreeMap<(Repository, Digest), Option<Elsewhere>> {
    let images = sweep.findings.iter().filter_map(image_of);
    let mut wanted: BTreeMap<_, _> = images.map(|image| (image, None)).collect();
    while wanted.len() > LOOKS {
        wanted.pop_last();
    }
    wanted
}

/// The whole image that brings back what is broken: what its tags point to, or else the manifest itself.
fn image_of(finding: &Finding) -> Option<(Repository, Digest)> {
    let own = || finding.digest.as_ref().filter(|_| !finding.kind.is_blob());
    let digest = finding.nearby.pointed_to.first().or_else(own)?;
    Some((finding.repository.clone(), digest.clone()))
}
