//! What is in scope: which repositories, which tags, and what the filters leave out.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::oci::{Reference, Repository, Tag};
use crate::registry::Wanted;
use crate::report::Shard;

/// Where the repositories to sweep come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// All that the registry's catalog lists.
    Catalog,
    /// These, with all their tags; the catalog is not asked for.
    Repositories(Vec<Repository>),
    /// These images only; no list is asked for.
    Images(Vec<(Repository, Reference)>),
}

/// Patterns of names to take and to leave.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    /// Takes what matches one of `include` (everything, if there is none) and none of `exclude`.
    /// `*` matches any characters, `/` among them.
    ///
    /// # Errors
    ///
    /// If a pattern is not a glob.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        let include = if include.is_empty() {
            None
        } else {
            Some(set(include)?)
        };
        Ok(Self {
            include,
            exclude: set(exclude)?,
        })
    }

    /// Whether a name is taken.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.is_match(name))
            && !self.exclude.is_match(name)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    set.build()
}

/// What a sweep looks at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Where the repositories come from.
    pub source: Source,
    /// The part of them that is this probe's own.
    pub shard: Option<Shard>,
    /// Which of those.
    pub repositories: Filter,
    /// Which of their tags.
    pub tags: Filter,
    /// How many of those tags at most, the last ones in the order of their names.
    pub tags_per_repository: Option<usize>,
}

/// What a scope takes from a list of repositories.
pub(super) struct Taken {
    /// What this sweep has to look at.
    pub(super) repositories: Vec<Repository>,
    /// Repositories of this shard that the filter leaves out.
    pub(super) left_out: u64,
    /// Repositories that the filter takes, and that other shards look at.
    pub(super) of_other_shards: u64,
}

impl Scope {
    /// Everything from this source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            shard: None,
            repositories: Filter::default(),
            tags: Filter::default(),
            tags_per_repository: None,
        }
    }

    /// Takes what this sweep has to look at from a list of repositories.
    pub(super) fn repositories(&self, mut listed: Vec<Repository>) -> Taken {
        let (mut left_out, mut of_other_shards) = (0, 0);
        listed.retain(|repository| match self.wants(repository) {
            Wanted::Here => true,
            Wanted::LeftOut => {
                left_out += 1;
                false
            }
            Wanted::ByOthers => {
                of_other_shards += 1;
                false
            }
            Wanted::Unsaid => false,
        });
        Taken {
            repositories: listed,
            left_out,
            of_other_shards,
        }
    }

    /// Whether a repository that is listed is one to look at.
    #[must_use]
    pub fn wants(&self, repository: &Repository) -> Wanted {
        let is_own = self.shard.is_none_or(|shard| shard.holds(repository));
        match (is_own, self.repositories.takes(repository.as_str())) {
            (true, true) => Wanted::Here,
            (false, true) => Wanted::ByOthers,
            // What two reasons leave out counts once: for the shard that would have it.
            (true, false) => Wanted::LeftOut,
            (false, false) => Wanted::Unsaid,
        }
    }

    /// Whether a repository is in scope, should the registry list it.
    #[must_use]
    pub fn takes(&self, repository: &Repository) -> bool {
        let is_named = match &self.source {
            Source::Catalog => true,
            Source::Repositories(named) => named.contains(repository),
            Source::Images(images) => images.iter().any(|(name, _)| name == repository),
        };
        let is_own = self.shard.is_none_or(|shard| shard.holds(repository));
        is_named && is_own && self.repositories.takes(repository.as_str())
    }

    /// Whether a tag that is listed is one to look at.
    #[must_use]
    pub fn wants_tag(&self, tag: &Tag) -> Wanted {
        if self.tags.takes(tag.as_str()) {
            Wanted::Here
        } else {
            Wanted::LeftOut
        }
    }

    /// The tags to look at, the number of those that the filter leaves out, and the number of those
    /// beyond the limit.
    pub(super) fn tags(&self, mut listed: Vec<Tag>) -> (Vec<Tag>, u64, u64) {
        let all = listed.len();
        listed.retain(|tag| self.tags.takes(tag.as_str()));
        let left_out = all - listed.len();
        let beyond = self
            .tags_per_repository
            .map_or(0, |most| listed.len().saturating_sub(most));
        listed.drain(..beyond);
        (listed, left_out as u64, beyond as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(include: &[&str], exclude: &[&str], most: Option<usize>) -> Scope {
        let texts =
            |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let filter = Filter::new(&texts(include), &texts(exclude)).expect("globs");
        Scope {
            source: Source::Catalog,
            shard: None,
            repositories: filter.clone(),
            tags: filter,
            tags_per_repository: most,
        }
    }

    fn repositories(scope: &Scope) -> (Vec<String>, u64) {
        let listed = ["app", "team/app", "team/sub/x"]
            .iter()
            .map(|name| name.parse().expect("a name"));
        let taken = scope.repositories(listed.collect());
        let names = taken.repositories.iter().map(ToString::to_string);
        (names.collect(), taken.left_out)
    }

    #[test]
    fn a_star_crosses_slashes() {
        assert_eq!(
            repositories(&scope(&["team/*"], &[], None)),
            (vec!["team/app".into(), "team/sub/x".into()], 1)
        );
        assert_eq!(
            repositories(&scope(&[], &["*/app"], None)),
            (vec!["app".into(), "team/sub/x".into()], 1)
        );
        assert_eq!(repositories(&scope(&["app"], &["app"], None)), (vec![], 3));
    }

    #[test]
    fn the_last_tags_are_taken_and_the_others_counted() {
        let listed = ["a", "b", "c", "d"]
            .iter()
            .map(|name| name.parse().expect("a tag"));
        let (tags, left_out, beyond) = scope(&[], &["b"], Some(2)).tags(listed.collect());
        assert_eq!((tags.len(), left_out, beyond), (2, 1, 1));
        assert_eq!(tags[0].as_str(), "c");
    }
}
