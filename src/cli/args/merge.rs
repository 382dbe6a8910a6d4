//! The options of `probe merge`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::report::ReportArgs;
use super::{SCOPE, SERVICE, positive_duration};

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct MergeArgs {
    /// Reports in JSON, as `--output json` prints them; `-` is standard input
    #[arg(value_name = "REPORT", required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// Accept that there is nothing to check: without it, a registry or filter that names nothing is
    /// unverified, since a lost store looks the same
    #[arg(long, help_heading = SCOPE)]
    pub(in crate::cli) allow_empty: bool,

    /// From the beginning of one sweep to that of the next
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = positive_duration, help_heading = SERVICE)]
    pub(in crate::cli) interval: Duration,

    #[command(flatten)]
    pub(in crate::cli) report: ReportArgs,
}
