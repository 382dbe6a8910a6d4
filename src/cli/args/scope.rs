//! The options of what to look at: which repositories, and which of their tags.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use super::SCOPE;
use crate::registry::client;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SCOPE)]
pub(in crate::cli) struct RepositoryArgs {
    /// Sweep repositories that match, `*` matching any characters; without a `*` in any of them the
    /// catalog is not needed
    #[arg(long = "repo", value_name = "GLOB", value_delimiter = ',')]
    pub(in crate::cli) repos: Vec<String>,

    /// Leave out repositories that match
    #[arg(long = "exclude-repo", value_name = "GLOB", value_delimiter = ',')]
    pub(in crate::cli) exclude_repos: Vec<String>,

    /// Sweep the repositories named in a file, one a line, `#` for comments; for registries that
    /// have no catalog
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) repos_file: Option<PathBuf>,

    /// Keep this many repositories of a catalog at most, filters and --shard considered; more are unverified
    #[arg(long, value_name = "N", default_value_t = most_repositories())]
    pub(in crate::cli) max_repositories: NonZeroU32,

    /// Keep this many tags of a repository at most, filters considered; more are unverified
    #[arg(long, value_name = "N", default_value_t = most_tags())]
    pub(in crate::cli) max_tags: NonZeroU32,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SCOPE)]
pub(in crate::cli) struct TagArgs {
    /// Check tags that match
    #[arg(long = "tag", value_name = "GLOB", value_delimiter = ',')]
    pub(in crate::cli) tags: Vec<String>,

    /// Leave out tags that match
    #[arg(long = "exclude-tag", value_name = "GLOB", value_delimiter = ',')]
    pub(in crate::cli) exclude_tags: Vec<String>,
}

fn most_repositories() -> NonZeroU32 {
    at_least_one(client::MOST_REPOSITORIES)
}

fn most_tags() -> NonZeroU32 {
    at_least_one(client::MOST_TAGS)
}

fn at_least_one(count: usize) -> NonZeroU32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}
