//! The options of `probe explain`.

use std::time::Duration;

use clap::Args;

use super::check::CheckArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::doctor::PageArg;
use super::{CHECKS, REPORT, duration};

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The image: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) image: String,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,

    #[command(flatten)]
    pub(in crate::cli) check: CheckArgs,

    /// Wait this long before what seems broken is looked at again
    #[arg(long, value_name = "TIME", env = "PROBE_CONFIRM_AFTER", default_value = "0s", value_parser = duration, help_heading = CHECKS)]
    pub(in crate::cli) confirm_after: Duration,

    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,

    /// The form of the tree on standard output
    #[arg(long, value_enum, env = "PROBE_OUTPUT", default_value = "text", help_heading = REPORT)]
    pub(in crate::cli) output: PageArg,

    /// Say more on standard error; twice for every request
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = REPORT)]
    pub(in crate::cli) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = REPORT)]
    pub(in crate::cli) quiet: bool,
}
