//! What the repositories of one registry are called in another, and which images are to be the same.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::Holdings;
use crate::oci::{Reference, Repository};

/// `A=B`: what is called `A`, or begins with it and a slash, is called `B` in the other registry. Nothing on one side
/// stands for the top: `=mirror` puts everything below `mirror/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    a: String,
    b: String,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| {
            let name = text.trim_end_matches('/');
            let is_name = name.is_empty() || name.parse::<Repository>().is_ok();
            is_name.then(|| name.to_owned())
        };
        let rule = text.split_once('=').and_then(|(a, b)| {
            let (a, b) = (side(a)?, side(b)?);
            Some(Self { a, b })
        });
        rule.ok_or_else(|| "expected A=B, each a repository or what some begin with".to_owned())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.a, self.b)
    }
}

/// What repositories are called on the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    rules: Vec<Rule>,
}

impl Mapping {
    /// By these rules, of which the one for the longest name counts. What no rule is about has the same name.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// That this one repository has that name.
    #[must_use]
    pub fn of_one(a: &Repository, b: &Repository) -> Self {
        let (a, b) = (a.to_string(), b.to_string());
        Self::new(vec![Rule { a, b }])
    }

    /// What a repository of A is called in B; `None` if that is no name.
    #[must_use]
    pub fn to_b(&self, name: &Repository) -> Option<Repository> {
        self.renamed(name, |rule| (&rule.a, &rule.b))
    }

    /// Which repository of A is called so in B; `None` if none is.
    #[must_use]
    pub fn to_a(&self, name: &Repository) -> Option<Repository> {
        let found = self.renamed(name, |rule| (&rule.b, &rule.a))?;
        (self.to_b(&found).as_ref() == Some(name)).then_some(found)
    }

    fn renamed<'a>(
        &'a self,
        name: &Repository,
        sides: impl Fn(&'a Rule) -> (&'a String, &'a String),
    ) -> Option<Repository> {
        let rest = |from: &str| match name.as_str().strip_prefix(from)? {
            rest if from.is_empty() || rest.is_empty() => Some(rest.to_owned()),
            rest => rest.strip_prefix('/').map(str::to_owned),
        };
        let fitting = self.rules.iter().map(sides);
        let fitting = fitting.filter_map(|(from, to)| Some((from, to, rest(from)?)));
        let Some((_, to, rest)) = fitting.max_by_key(|(from, ..)| from.len()) else {
            return Some(name.clone());
        };
        let parts = [to.as_str(), &rest].into_iter();
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        parts.join("/").parse().ok()
    }
}

/// An image of A, and the one of B that is to be the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// In A.
    pub a: (Repository, Reference),
    /// In B.
    pub b: (Repository, Reference),
}

impl Pair {
    /// Every tag that was seen on either side, with its like. What no repository of A stands for is left out.
    #[must_use]
    pub fn of_all(a: &Holdings, b: &Holdings, mapping: &Mapping) -> BTreeSet<Self> {
        let mut pairs = BTreeSet::new();
        let mut add = |a: &Repository, b: &Repository, holdings: &Holdings, name: &Repository| {
            let tags = holdings
                .get(name)
                .into_iter()
                .flat_map(|held| held.tags.keys());
            pairs.extend(tags.map(|tag| Self {
                a: (a.clone(), Reference::Tag(tag.clone())),
                b: (b.clone(), Reference::Tag(tag.clone())),
            }));
        };
        for name in a.keys() {
            if let Some(b) = mapping.to_b(name) {
                add(name, &b, a, name);
            }
        }
        for name in b.keys() {
            if let Some(a) = mapping.to_a(name) {
                add(&a, name, b, name);
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(rules: &[&str]) -> Mapping {
        Mapping::new(
            rules
                .iter()
                .map(|rule| rule.parse().expect("a rule"))
                .collect(),
        )
    }

    #[test]
    fn the_longest_name_counts_both_ways() {
        let mapping = mapping(&["team=mirror/team", "team/app=app"]);
        let name = |text: &str| text.parse::<Repository>().expect("a name");
        for (a, b) in [
            ("team/app", "app"),
            ("team/web", "mirror/team/web"),
            ("team", "mirror/team"),
            ("teams/app", "teams/app"),
        ] {
            assert_eq!(mapping.to_b(&name(a)), Some(name(b)), "{a}");
            assert_eq!(mapping.to_a(&name(b)), Some(name(a)), "{b}");
        }
        // These would be called otherwise.
        assert_eq!(mapping.to_a(&name("team/web")), None);
        assert_eq!(mapping.to_a(&name("mirror/team/app")), None);
    }

    #[test]
    fn everything_may_stand_below_a_name() {
        let mapping = mapping(&["=mirror"]);
        let name = |text: &str| text.parse::<Repository>().expect("a name");
        assert_eq!(
            mapping.to_b(&name("team/app")),
            Some(name("mirror/team/app"))
        );
        assert_eq!(
            mapping.to_a(&name("mirror/team/app")),
            Some(name("team/app"))
        );
        assert_eq!(mapping.to_a(&name("other")), None);
        for rule in ["", "team", "A=b", "a=b=c", "a b=c"] {
            assert!(rule.parse::<Rule>().is_err(), "{rule}");
        }
    }
}
