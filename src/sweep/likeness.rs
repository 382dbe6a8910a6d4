//! Whether an older image is one of the same kind: what its manifest and its config say.

use std::collections::{BTreeSet, HashMap};

use futures::StreamExt as _;
use serde_json::Value;

use crate::oci::{Digest, Reference, Repository};
use crate::registry::{Answer, Registry};
use crate::report::{Finding, Kind, Platform};

/// Images of one sweep that are read for it.
const LOOKS: usize = 128;

/// Takes back older versions that are another kind of artifact than the broken images, or of other platforms, or of
/// which that cannot be told. Two documents are read of each image.
pub(super) async fn drop_unlike<R: Registry>(
    registry: &R,
    findings: &mut [Finding],
    concurrency: usize,
) {
    let images = findings.iter().flat_map(images_of);
    let images: BTreeSet<_> = images.collect();
    let looks = images.into_iter().take(LOOKS).map(|image| async move {
        let kind = kind(registry, &image.0, &image.1).await;
        (image, kind)
    });
    let looks = futures::stream::iter(looks).buffer_unordered(concurrency);
    let kinds: HashMap<(Repository, Digest), Option<String>> = looks.collect().await;
    for finding in findings {
        let images = images_of(finding);
        let mut kinds = images
            .iter()
            .map(|image| kinds.get(image).cloned().flatten());
        // The first is that of the older version.
        let first = kinds.next().flatten();
        let is_alike = first.is_some() && kinds.all(|kind| kind == first);
        if !images.is_empty() && !is_alike {
            finding.nearby.sibling = None;
        }
    }
}

/// The older version of a finding and the broken images, if these are no indexes: the platforms of an index are known
/// from the walk.
fn images_of(finding: &Finding) -> Vec<(Repository, Digest)> {
    let Some((_, older)) = finding.nearby.sibling.as_ref() else {
        return Vec::new();
    };
    if !finding.platforms.is_empty() || finding.kind == Kind::Child {
        return Vec::new();
    }
    let broken = finding.nearby.pointed_to.iter();
    let digests = std::iter::once(older).chain(broken);
    digests
        .map(|digest| (finding.repository.clone(), digest.clone()))
        .collect()
}

/// What an image is, in words that are compared only; `None` if it cannot be read.
async fn kind<R: Registry>(
    registry: &R,
    repository: &Repository,
    digest: &Digest,
) -> Option<String> {
    let reference = Reference::Digest(digest.clone());
    let Answer::Found(body) = registry.manifest(repository, &reference).await else {
        return None;
    };
    let manifest: Value = serde_json::from_slice(&body.bytes).ok()?;
    if manifest["manifests"].is_array() {
        return Some("index".to_owned());
    }
    let config: Digest = manifest["config"]["digest"].as_str()?.parse().ok()?;
    let Answer::Found(body) = registry.config(repository, &config).await else {
        return None;
    };
    let platform = Platform::of_config(&body.bytes).map(|platform| platform.to_string());
    Some(format!("{} {platform:?}", manifest["artifactType"]))
}
