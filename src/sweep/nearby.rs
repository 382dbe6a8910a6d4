//! What a repair could rest on: the intact tag whose name is nearest to a broken one, and another
//! repository that holds the very object. Nothing here costs a request where nothing is broken.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash as _, Hasher as _};

use futures::StreamExt as _;

use super::walk::Endpoint;
use super::{judge, resolve};
use crate::oci::{Digest, Reference, Repository, Tag};
use crate::registry::Depth;
use crate::registry::{Registry, Way};
use crate::report::{Finding, Outcome, Reason};

/// Objects that are remembered. Those that many repositories share are seen again and again, and so
/// are the last to be forgotten.
const SLOTS: u64 = 1 << 16;

/// Further looks in one sweep, at siblings and at copies each: most registries have fewer findings,
/// and in one that has more these are not what is lacking.
const LOOKS: usize = 64;

/// Where objects were last seen intact: of fixed size, however large the registry is. What it says is
/// a guess, to be asked for.
#[derive(Default)]
pub(super) struct CopyTable(HashMap<u64, (u64, Repository)>);

impl CopyTable {
    pub(super) fn seen(&mut self, endpoint: Endpoint, digest: &Digest, repository: &Repository) {
        let key = key(endpoint, digest);
        self.0.insert(key % SLOTS, (key, repository.clone()));
    }

    fn of(&self, endpoint: Endpoint, digest: &Digest) -> Option<&Repository> {
        let key = key(endpoint, digest);
        let (seen, repository) = self.0.get(&(key % SLOTS))?;
        (*seen == key).then_some(repository)
    }
}

fn key(endpoint: Endpoint, digest: &Digest) -> u64 {
    let mut hasher = DefaultHasher::new();
    (endpoint, digest).hash(&mut hasher);
    hasher.finish()
}

/// Of some intact tags the one whose name is nearest to that of the latest of the `broken` ones: its
/// neighbour in the order of versions, on the side that has more of the name in common.
pub(super) fn nearest<'a>(
    broken: &[Tag],
    intact: &'a [(Tag, Digest)],
) -> Option<&'a (Tag, Digest)> {
    let broken = broken
        .iter()
        .map(Tag::as_str)
        .max_by_key(|tag| version(tag))?;
    let name = |entry: &&'a (Tag, Digest)| version(entry.0.as_str());
    let (before, after): (Vec<_>, Vec<_>) = intact
        .iter()
        .partition(|(tag, _)| version(tag.as_str()) < version(broken));
    let (before, after) = (
        before.into_iter().max_by_key(name),
        after.into_iter().min_by_key(name),
    );
    let in_common = |entry: &(Tag, Digest)| {
        let pairs = entry.0.as_str().bytes().zip(broken.bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    match (before, after) {
        (Some(before), Some(after)) if in_common(after) > in_common(before) => Some(after),
        (before, after) => before.or(after),
    }
}

/// A tag in an order in which 1.10 comes after 1.9: its runs of digits by their value, and what is
/// between them as text.
fn version(tag: &str) -> Vec<(bool, usize, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut parts = Vec::new();
    let mut rest = tag;
    while let Some(first) = rest.chars().next() {
        let is_number = is_digit(first);
        let end = rest
            .find(|c| is_digit(c) != is_number)
            .unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let value = part.trim_start_matches('0');
        parts.push(if is_number {
            (false, value.len(), value)
        } else {
            (true, 0, part)
        });
        rest = behind;
    }
    parts
}

/// Looks at what is near some findings: whether a sibling still is what it was, and whether another
/// repository holds the object.
pub(super) async fn look<R: Registry>(
    registry: &R,
    table: &CopyTable,
    findings: &mut [Finding],
    concurrency: usize,
) {
    let siblings = siblings(registry, findings, concurrency).await;
    let copies = copies(registry, table, findings, concurrency).await;
    for finding in findings {
        let repository = finding.repository.clone();
        if let Some((tag, _)) = &finding.nearby.sibling
            && siblings.get(&(repository, tag.clone())) == Some(&false)
        {
            finding.nearby.sibling = None;
        }
        if let Some((endpoint, digest)) = missing(finding) {
            finding.nearby.copy = copies.get(&(endpoint, digest)).cloned();
        }
    }
}

/// Whether each sibling still points to where it did.
async fn siblings<R: Registry>(
    registry: &R,
    findings: &[Finding],
    concurrency: usize,
) -> BTreeMap<(Repository, Tag), bool> {
    let sibling = |finding: &Finding| {
        let (tag, digest) = finding.nearby.sibling.clone()?;
        Some(((finding.repository.clone(), tag), digest))
    };
    let siblings: BTreeMap<_, _> = findings.iter().filter_map(sibling).collect();
    let looks = siblings.into_iter().take(LOOKS);
    let looks = looks.map(|((repository, tag), digest)| async move {
        let now = resolve::judge(registry.resolve(&repository, &tag, Way::Cheap).await);
        let is_same = now.is_ok_and(|now| now.digest == digest);
        ((repository, tag), is_same)
    });
    let looks = futures::stream::iter(looks).buffer_unordered(concurrency);
    looks.collect().await
}

/// The object that a finding misses, if what it misses can be had elsewhere: what is damaged in one
/// repository is damaged in all that share the file.
fn missing(finding: &Finding) -> Option<(Endpoint, Digest)> {
    let endpoint = if finding.kind.is_blob() {
        Endpoint::Blobs
    } else {
        Endpoint::Manifests
    };
    let digest = finding.digest.clone()?;
    (finding.defect.reason == Reason::NotFound).then_some((endpoint, digest))
}

/// Where missing objects are intact, of those that were seen somewhere.
async fn copies<R: Registry>(
    registry: &R,
    table: &CopyTable,
    findings: &[Finding],
    concurrency: usize,
) -> HashMap<(Endpoint, Digest), Repository> {
    let guess = |finding: &Finding| {
        let (endpoint, digest) = missing(finding)?;
        let repository = table.of(endpoint, &digest)?.clone();
        Some(((endpoint, digest), (repository, finding.size)))
    };
    let guesses: BTreeMap<_, _> = findings.iter().filter_map(guess).collect();
    let looks = guesses.into_iter().take(LOOKS);
    let looks = looks.map(|((endpoint, digest), (repository, size))| async move {
        let judged = match endpoint {
            Endpoint::Manifests => {
                let reference = Reference::Digest(digest.clone());
                let answer = registry.manifest(&repository, &reference).await;
                judge::manifest(Some(&digest), answer).0
            }
            Endpoint::Blobs => {
                let answer = registry.blob(&repository, &digest, size, Depth::Tail).await;
                judge::blob(&digest, size, answer)
            }
        };
        let is_intact = judged.outcome == Outcome::Intact;
        is_intact.then_some(((endpoint, digest), repository))
    });
    let looks = futures::stream::iter(looks).buffer_unordered(concurrency);
    looks.filter_map(|found| async { found }).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<(Tag, Digest)> {
        let tag = |name: &&str| {
            (
                name.parse().expect("a tag"),
                Digest::sha256(name.as_bytes()),
            )
        };
        names.iter().map(tag).collect()
    }

    #[test]
    fn the_nearest_tag() {
        for (broken, intact, expected) in [
            (&["v1", "v2"][..], &["v3"][..], Some("v3")),
            (&["1.10"], &["1.2", "1.9", "2.0"], Some("1.9")),
            (&["1.4.0"], &["1.3.9", "1.4.1"], Some("1.4.1")),
            (&["1.4.0"], &["1.3.9", "1.5.0"], Some("1.3.9")),
            (&["latest"], &["1.0", "1.1"], Some("1.1")),
            (&["1.9", "1.10"], &["1.8", "1.11"], Some("1.11")),
            (&["007"], &["6", "8"], Some("6")),
            (&["v1"], &[], None),
            (&[], &["v1"], None),
        ] {
            let names: Vec<Tag> = tags(broken).into_iter().map(|(tag, _)| tag).collect();
            let intact = tags(intact);
            let found = nearest(&names, &intact).map(|(tag, _)| tag.as_str());
            assert_eq!(found, expected, "{broken:?}");
        }
    }

    #[test]
    fn whereabouts_do_not_grow_and_never_mix_up_objects() {
        let mut copies = CopyTable::default();
        let repository: Repository = "app".parse().expect("a name");
        let digest = |n: u64| Digest::sha256(&n.to_le_bytes());
        for n in 0..3 * SLOTS {
            copies.seen(Endpoint::Blobs, &digest(n), &repository);
        }
        assert!(copies.0.len() as u64 <= SLOTS);
        let last = digest(3 * SLOTS - 1);
        assert_eq!(copies.of(Endpoint::Blobs, &last), Some(&repository));
        assert_eq!(copies.of(Endpoint::Manifests, &last), None);
        assert_eq!(copies.of(Endpoint::Blobs, &digest(3 * SLOTS)), None);
    }
}
