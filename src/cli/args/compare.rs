//! The options of `probe compare`.

use std::time::Duration;

use clap::Args;

use super::check::AskArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::report::{FailOnArgs, PageArgs};
use super::scope::{RepositoryArgs, TagArgs};
use super::service::PublishArgs;
use super::{COMPARISON, SCOPE, duration};
use crate::content::Rule;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct CompareArgs {
    /// HOST[:PORT], HOST/REPOSITORY, HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "A")]
    pub(in crate::cli) a: String,

    /// The other side, as A; where it names less, it has the same names as A
    #[arg(value_name = "B")]
    pub(in crate::cli) b: String,

    /// What is called A, or begins with A/, is called B on the other side; an empty name is the top; may be repeated
    #[arg(long = "map", value_name = "A=B", value_delimiter = ',', help_heading = COMPARISON)]
    pub(in crate::cli) rules: Vec<Rule>,

    /// B copies some tags and some platforms of A: what it leaves out is no difference
    #[arg(long, help_heading = COMPARISON)]
    pub(in crate::cli) sparse: bool,

    /// Differences that --state knows for less time are counted and are no findings: a copy takes its time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, help_heading = COMPARISON)]
    pub(in crate::cli) grace: Duration,

    /// Accept that there is nothing to check: without it, a registry or filter that names nothing is
    /// unverified, since a lost store looks the same
    #[arg(long, help_heading = SCOPE)]
    pub(in crate::cli) allow_empty: bool,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    #[command(flatten)]
    pub(in crate::cli) repositories: RepositoryArgs,
    #[command(flatten)]
    pub(in crate::cli) tags: TagArgs,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
    #[command(flatten)]
    pub(in crate::cli) publish: PublishArgs,
    #[command(flatten)]
    pub(in crate::cli) fail_on: FailOnArgs,
    #[command(flatten)]
    pub(in crate::cli) page: PageArgs,
}
