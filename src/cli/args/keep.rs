//! The options of `probe keep`.

use std::path::PathBuf;

use clap::Args;

use super::check::AskArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::documents::DocumentArgs;
use super::in_use::InUseArgs;
use super::report::PageArgs;
use super::scope::RepositoryArgs;
use super::{DELETIONS, KEEP};

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct KeepArgs {
    /// The registry: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) registries: Vec<String>,

    /// List the blobs of these manifests, too
    #[arg(long, help_heading = KEEP)]
    pub(in crate::cli) blobs: bool,

    /// Name what these deletions would break instead: REPOSITORY:TAG or REPOSITORY@DIGEST, one a line, `#` for
    /// comments; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = DELETIONS, conflicts_with_all = ["blobs", "repos", "exclude_repos", "repos_file"])]
    pub(in crate::cli) check: Option<PathBuf>,

    /// With --check, a tag is deleted by the digest that it leads to, which takes every other tag of that digest
    #[arg(long, help_heading = DELETIONS, requires = "check")]
    pub(in crate::cli) delete_by_digest: bool,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    #[command(flatten)]
    pub(in crate::cli) repositories: RepositoryArgs,
    #[command(flatten)]
    pub(in crate::cli) in_use: InUseArgs,
    #[command(flatten)]
    pub(in crate::cli) documents: DocumentArgs,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
    #[command(flatten)]
    pub(in crate::cli) page: PageArgs,
}
