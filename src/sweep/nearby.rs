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
/// are the last to be forgotten. As many as a table of 2^16 places holds before it grows.
const SLOTS: u64 = 7 << 13;

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

/// Of some intact tags the newest one that is an older version of each of the `broken` ones: what these could
/// be rolled back to.
pub(super) fn older<'a>(
    broken: &[Tag],
    intact: impl Iterator<Item = &'a (Tag, Digest)>,
) -> Option<&'a (Tag, Digest)> {
    let is_older = |(tag, _): &&(Tag, Digest)| broken.iter().all(|broken| is_older(tag, broken));
    let numbers = |(tag, _): &&(Tag, Digest)| Version::of(tag).map(|version| version.numbers);
    let older = intact.filter(|_| !broken.is_empty());
    older.filter(is_older).max_by_key(numbers)
}

/// Whether a version or a date is an older one than another, of the same kind: a lower version of the same
/// major, with the same prefix and suffix, or an earlier date. Numbers of builds and of pull requests say
/// nothing.
fn is_older(older: &Tag, newer: &Tag) -> bool {
    let (Some(older), Some(newer)) = (Version::of(older), Version::of(newer)) else {
        return false;
    };
    let is_of_same_line = older.numbers[0] == newer.numbers[0] || older.is_date();
    older.affixes == newer.affixes
        && older.numbers.len() == newer.numbers.len()
        && older.is_date() == newer.is_date()
        && is_of_same_line
        && older.numbers < newer.numbers
}

/// Numbers with dots or dashes between them, and what stands before and after.
struct Version<'a> {
    affixes: (&'a str, &'a str),
    numbers: Vec<u64>,
}

impl<'a> Version<'a> {
    fn of(tag: &'a Tag) -> Option<Self> {
        let text = tag.as_str();
        let prefix = usize::from(text.starts_with('v'));
        let rest = &text[prefix..];
        let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        // A suffix begins after a dash: `1.4.0-alpine`.
        let numbers = rest[..end].trim_end_matches(['-', '.']);
        let numbers_end = prefix + numbers.len();
        let numbers: Result<Vec<u64>, _> = numbers.split(['.', '-']).map(str::parse).collect();
        let numbers = numbers.ok().filter(|numbers| numbers.len() >= 2)?;
        Some(Self {
            affixes: (&text[..prefix], &text[numbers_end..]),
            numbers,
        })
    }

    /// Such as `2024.05.01`: no version has so high a major.
    fn is_date(&self) -> bool {
        self.numbers[0] >= 1990
    }
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
    fn the_newest_of_the_older_versions() {
        for (broken, intact, expected) in [
            (&["1.10"][..], &["1.2", "1.9", "2.0"][..], Some("1.9")),
            (&["1.4.0"], &["1.3.9", "1.4.1"], Some("1.3.9")),
            (&["1.9", "1.10"], &["1.8", "1.11"], Some("1.8")),
            (&["1.9", "latest"], &["1.8"], None),
            (&["latest"], &["1.0", "1.1"], None),
            (&["v1.1"], &[], None),
            (&[], &["v1.1"], None),
        ] {
            let names: Vec<Tag> = tags(broken).into_iter().map(|(tag, _)| tag).collect();
            let intact = tags(intact);
            let found = older(&names, intact.iter()).map(|(tag, _)| tag.as_str());
            assert_eq!(found, expected, "{broken:?}");
        }
    }

    #[test]
    fn only_an_older_version_of_the_same_line_is_rolled_back_to() {
        let is_older = |older: &str, newer: &str| {
            let tag = |text: &str| text.parse().expect("a tag");
            is_older(&tag(older), &tag(newer))
        };
        for (older, newer) in [
            ("1.4.0", "1.4.1"),
            ("1.9.9", "1.10.0"),
            ("v2.0.3", "v2.1.0"),
            ("1.4.0-alpine", "1.4.1-alpine"),
            ("2024.05.01", "2025.01.02"),
            ("2024-05-01", "2024-05-02"),
        ] {
            assert!(is_older(older, newer), "{older} {newer}");
            assert!(!is_older(newer, older), "{newer} {older}");
        }
        for (other, tag) in [
            ("1.4.1", "1.4.1"),
            ("1.9", "2.0"),
            ("1.4", "1.4.1"),
            ("1.4.0-alpine", "1.4.1"),
            ("v2.0-amd64", "v2.1-arm64"),
            ("v1.0.0", "1.0.1"),
            ("v6", "v7"),
            ("6", "7"),
            ("pr-6", "pr-7"),
            ("build-41", "build-42"),
            ("frontend-1.0", "backend-1.1"),
            ("buildcache", "latest"),
            ("dev-1.0", "prod"),
            ("sha256-0a.sig", "1.0"),
            ("1.2", "2024.5"),
        ] {
            assert!(!is_older(other, tag), "{other} {tag}");
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
