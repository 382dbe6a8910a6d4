//! What further looks make of differences: one counts if two looks in a row see it, and see the same.

use std::collections::BTreeSet;

use super::difference::{Compared, Difference};
use super::mapping::Pair;
use crate::oci::Digest;

/// Differences on their way to be told.
#[derive(Debug, Default)]
pub struct Confirming {
    /// What came of it so far, with the differences that are confirmed.
    compared: Compared,
    /// What was seen in the last look alone.
    open: Vec<Difference>,
}

type Identity = (String, [Option<Digest>; 2]);

fn identity(difference: &Difference) -> Identity {
    let digests = difference.digests().map(Option::<&Digest>::cloned);
    (difference.key(), digests)
}

impl Confirming {
    /// Begins with what a first look saw.
    #[must_use]
    pub fn new(mut first: Compared) -> Self {
        let open = std::mem::take(&mut first.differences);
        Self {
            compared: first,
            open,
        }
    }

    /// The images that are to be looked at once more.
    #[must_use]
    pub fn doubtful(&self) -> &BTreeSet<Pair> {
        &self.compared.doubtful
    }

    /// Takes up another look at these images. What is seen otherwise than before stays in doubt.
    pub fn look(&mut self, seen: Compared) {
        let known: BTreeSet<_> = self.open.iter().map(identity).collect();
        let told: BTreeSet<_> = self.compared.differences.iter().map(identity).collect();
        let seen_now = seen.differences.into_iter();
        let seen_now = seen_now.filter(|it| !told.contains(&identity(it)));
        let (same, open) = seen_now.partition::<Vec<_>, _>(|it| known.contains(&identity(it)));
        let names: BTreeSet<_> = open.iter().map(|difference| &difference.a).collect();
        let is_open = |pair: &Pair| names.contains(&pair.a.1.in_repository(&pair.a.0));
        self.compared.doubtful = seen.doubtful.into_iter().filter(is_open).collect();
        self.open = open;
        self.compared.differences.extend(same);
        self.compared.converted.extend(seen.converted);
        self.compared.converted.sort();
        self.compared.converted.dedup();
        self.unverified(seen.unverified);
    }

    /// What came of it. What never stood still long enough is not verified.
    #[must_use]
    pub fn finish(mut self) -> Compared {
        let moving = std::mem::take(&mut self.compared.doubtful);
        self.unverified(moving.len() as u64);
        self.compared
    }

    fn unverified(&mut self, count: u64) {
        self.compared.unverified += count;
        self.compared.images = self.compared.images.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::super::difference::{DifferenceKind, Direction};
    use super::super::keep::tests::{digest, repository};
    use super::*;
    use crate::oci::Reference;

    /// A look at two tags, of which these lead to other digests.
    fn look(differing: &[(&str, &str, &str)]) -> Compared {
        let mut compared = Compared {
            images: 2,
            ..Compared::default()
        };
        for (tag, a, b) in differing {
            let image = (
                repository("app"),
                Reference::Tag(tag.parse().expect("a tag")),
            );
            let name = format!("app:{tag}");
            compared.differences.push(Difference {
                kind: DifferenceKind::Digest,
                direction: Direction::Both,
                a: name.clone(),
                b: name,
                a_digest: Some(digest(a)),
                b_digest: Some(digest(b)),
                object: None,
                platform: None,
                other_images: 0,
            });
            let (a, b) = (image.clone(), image);
            compared.doubtful.insert(Pair { a, b });
        }
        compared
    }

    /// The tags that are told, those still in doubt, the number not verified, and of all that were compared.
    fn told(looks: &[&[(&str, &str, &str)]]) -> (Vec<String>, usize, u64, u64) {
        let mut confirming = Confirming::new(look(looks[0]));
        for seen in &looks[1..] {
            confirming.look(look(seen));
        }
        let doubtful = confirming.doubtful().len();
        let compared = confirming.finish();
        let names = compared.differences.iter().map(|it| it.a.clone());
        (
            names.collect(),
            doubtful,
            compared.unverified,
            compared.images,
        )
    }

    #[test]
    fn only_what_stood_still_is_told() {
        let stands = ("v1", "a", "b");
        let v1 = vec!["app:v1".to_owned()];
        assert_eq!(told(&[&[stands], &[stands]]), (v1.clone(), 0, 0, 2));
        assert_eq!(told(&[&[stands], &[]]), (Vec::new(), 0, 0, 2));
        // Both sides moved on between the looks.
        let moved = ("v1", "c", "d");
        assert_eq!(told(&[&[stands], &[moved]]), (Vec::new(), 1, 1, 1));
        assert_eq!(told(&[&[stands], &[moved], &[]]), (Vec::new(), 0, 0, 2));
        let thrice: [&[_]; 3] = [&[stands], &[moved], &[moved]];
        assert_eq!(told(&thrice), (v1.clone(), 0, 0, 2));
        let again = ("v1", "e", "f");
        let moving: [&[_]; 3] = [&[stands], &[moved], &[again]];
        assert_eq!(told(&moving), (Vec::new(), 1, 1, 1));
        // What is told already is not told again, nor in doubt.
        let other = [("v2", "a", "b"), ("v2", "c", "d")];
        let with: [&[_]; 3] = [&[stands, other[0]], &[stands, other[1]], &[stands]];
        assert_eq!(told(&with), (v1, 0, 0, 2));
    }
}
