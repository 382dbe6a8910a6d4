//! The blast radius: findings collapsed to the objects that are broken, each with all that it breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::cause::Cause;
use super::outcome::Reason;
use super::sweep::{Finding, Sweep};
use crate::oci::Digest;
use crate::oci::{Repository, Tag};

/// One broken object, wherever it is missed: the same digest broken in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root<'a> {
    /// Why it is broken, as far as the sweep tells.
    pub cause: Cause,
    /// Its findings, one for each repository that misses it, by repository; never empty.
    pub findings: Vec<&'a Finding>,
}

impl<'a> Root<'a> {
    /// The object; `None` for a tag that leads nowhere.
    #[must_use]
    pub fn digest(&self) -> Option<&'a Digest> {
        self.findings[0].digest.as_ref()
    }

    /// Every tag that it breaks, in all repositories.
    pub fn tags(&self) -> impl Iterator<Item = (&'a Repository, &'a Tag)> {
        let of_one = |finding: &&'a Finding| {
            let finding = *finding;
            finding
                .tags
                .iter()
                .map(move |tag| (&finding.repository, tag))
        };
        self.findings.iter().flat_map(of_one)
    }

    /// Every platform that it breaks, in all repositories.
    #[must_use]
    pub fn platforms(&self) -> BTreeSet<&'a str> {
        let platforms = self.findings.iter().flat_map(|finding| &finding.platforms);
        platforms.map(String::as_str).collect()
    }

    /// How many references it breaks: one for each tag that needs it, or for the caller's own.
    #[must_use]
    pub fn references(&self) -> u64 {
        let of_one = |finding: &&Finding| finding.tags.len().max(1) as u64;
        self.findings.iter().map(of_one).sum()
    }
}

impl Sweep {
    /// The broken objects, in the order of the repositories where each is first missed.
    #[must_use]
    pub fn roots(&self) -> Vec<Root<'_>> {
        let mut roots: Vec<Root<'_>> = Vec::new();
        let mut by_object = BTreeMap::<(&Digest, Reason), usize>::new();
        for finding in &self.findings {
            let root = || Root {
                cause: Cause::of(finding, self),
                findings: vec![finding],
            };
            let Some(digest) = &finding.digest else {
                roots.push(root());
                continue;
            };
            let next = roots.len();
            let position = *by_object
                .entry((digest, finding.defect.reason))
                .or_insert(next);
            if position == next {
                roots.push(root());
            } else {
                roots[position].findings.push(finding);
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::{Kind, Reason};

    #[test]
    fn findings_collapse_to_objects_and_count_what_they_break() {
        let finding = |repository: &str, object: &str, reason, tags: &[&str]| {
            let mut finding = fixture::finding(Kind::Layer, reason);
            finding.repository = repository.parse().expect("a name");
            finding.digest = Some(Digest::sha256(object.as_bytes()));
            finding.tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
            finding
        };
        let mut sweep = fixture::sweep();
        let mut dangling = finding("b", "", Reason::NotFound, &["gone"]);
        (dangling.kind, dangling.digest) = (Kind::Tag, None);
        sweep.findings = vec![
            finding("a", "shared", Reason::NotFound, &["1", "2"]),
            finding("a", "own", Reason::NotFound, &["2"]),
            finding("b", "shared", Reason::NotFound, &["1"]),
            finding("b", "own", Reason::DigestMismatch, &[]),
            dangling.clone(),
            dangling,
        ];
        let told: Vec<_> = sweep
            .roots()
            .iter()
            .map(|root| {
                let tags = root
                    .tags()
                    .map(|(repository, tag)| format!("{repository}:{tag}"));
                (tags.collect::<Vec<_>>().join(" "), root.references())
            })
            .collect();
        let expected = [
            ("a:1 a:2 b:1", 3),
            ("a:2", 1),
            // Broken in another way, and so by something else.
            ("", 1),
            ("b:gone", 1),
            ("b:gone", 1),
        ];
        assert_eq!(told, expected.map(|(tags, count)| (tags.to_owned(), count)));
    }
}
