//! The options of `probe verify`.

use std::time::Duration;

use clap::Args;

use super::check::CheckArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::expect::ExpectArgs;
use super::report::ReportArgs;
use super::{CHECKS, duration};

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Images to check: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "IMAGE", required = true)]
    pub(in crate::cli) images: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,

    #[command(flatten)]
    pub(in crate::cli) check: CheckArgs,

    /// Wait this long before what seems broken is looked at again
    #[arg(long, value_name = "TIME", env = "PROBE_CONFIRM_AFTER", default_value = "0s", value_parser = duration, help_heading = CHECKS)]
    pub(in crate::cli) confirm_after: Duration,

    #[command(flatten)]
    pub(in crate::cli) expect: ExpectArgs,
    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
    #[command(flatten)]
    pub(in crate::cli) report: ReportArgs,
}
