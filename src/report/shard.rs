//! A part of a registry's repositories, for probes that share the work without knowing of each other.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::oci::Repository;

/// One of some equal parts of all repositories. Which part a repository belongs to follows from its
/// name alone, so that others that come or go move none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shard {
    /// Its number, from 0.
    index: u32,
    /// How many parts there are.
    count: u32,
}

impl<'de> Deserialize<'de> for Shard {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stated {
            index: u32,
            count: u32,
        }
        let Stated { index, count } = Stated::deserialize(from)?;
        let none = || D::Error::custom(format!("{index}/{count} is no part of a whole"));
        Self::new(index, count).ok_or_else(none)
    }
}

impl Shard {
    /// The part `index`, from 0, of `count`; `None` if there is no such part.
    #[must_use]
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Whether a repository belongs to this part.
    #[must_use]
    pub fn holds(self, repository: &Repository) -> bool {
        let digest = Sha256::digest(repository.as_str());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first) % u64::from(self.count) == u64::from(self.index)
    }

    /// What this part has of a total that all parts share as evenly as whole numbers go; nothing where there is not
    /// enough for all.
    #[must_use]
    pub fn part_of(self, total: usize) -> usize {
        let (index, count) = (self.index as usize, self.count as usize);
        total / count + usize::from(index < total % count)
    }

    /// How many parts there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Its number, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }
}

/// As it is written in `--shard`: `0/4`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: u32) -> Vec<Repository> {
        let name = |number| format!("team-{}/service-{number}", number % 7);
        (0..count)
            .map(|number| name(number).parse().expect("a name"))
            .collect()
    }

    #[test]
    fn every_repository_belongs_to_one_part_and_the_parts_are_even() {
        let names = names(4000);
        let shards: Vec<_> = (0..4).filter_map(|index| Shard::new(index, 4)).collect();
        let mut sizes = [0_u32; 4];
        for name in &names {
            let holders: Vec<_> = shards.iter().filter(|shard| shard.holds(name)).collect();
            assert_eq!(holders.len(), 1, "{name}");
            sizes[holders[0].index() as usize] += 1;
        }
        assert!(
            sizes.iter().all(|size| (900..1100).contains(size)),
            "{sizes:?}"
        );
    }

    /// The rule is a promise to the metrics of earlier versions.
    #[test]
    fn the_rule_does_not_change() {
        let of = |name: &str| {
            let name = name.parse().expect("a name");
            (0..8).find(|index| Shard::new(*index, 8).is_some_and(|shard| shard.holds(&name)))
        };
        assert_eq!(
            [of("app"), of("team/web"), of("library/nginx")],
            [Some(3), Some(4), Some(0)]
        );
    }

    #[test]
    fn a_total_is_shared_to_the_last_one() {
        for (total, count, parts) in [
            (8, 4, vec![2, 2, 2, 2]),
            (10, 4, vec![3, 3, 2, 2]),
            (3, 4, vec![1, 1, 1, 0]),
        ] {
            let shards = (0..count).filter_map(|index| Shard::new(index, count));
            let shared: Vec<_> = shards.map(|shard| shard.part_of(total)).collect();
            assert_eq!(shared, parts);
        }
    }

    #[test]
    fn there_is_no_part_beyond_the_last() {
        assert_eq!(Shard::new(4, 4), None);
        assert_eq!(Shard::new(0, 0), None);
        assert_eq!(Shard::new(3, 4).expect("a part").to_string(), "3/4");
    }
}
