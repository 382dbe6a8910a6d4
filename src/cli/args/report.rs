//! The options of what to print, and what to fail on.

use clap::{Args, ValueEnum};

use super::REPORT;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = REPORT)]
pub(in crate::cli) struct ReportArgs {
    /// The form of the report on standard output
    #[arg(long, value_enum, env = "PROBE_OUTPUT", default_value = "text")]
    pub(in crate::cli) output: OutputArg,

    /// What to fail on; `never` exits with 0 whatever was found
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        env = "PROBE_FAIL_ON",
        default_value = "broken,unverified",
        value_delimiter = ','
    )]
    pub(in crate::cli) fail_on: Vec<FailOn>,

    /// The form of the log on standard error
    #[arg(long, value_enum, env = "PROBE_LOG_FORMAT", default_value = "text")]
    pub(in crate::cli) log_format: LogFormat,

    /// Say more on standard error; twice for every request
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(in crate::cli) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(in crate::cli) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OutputArg {
    /// For people
    Text,
    /// For programs, by docs/report.schema.json
    Json,
    /// Metrics, as /metrics has them
    Prom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FailOn {
    /// Exit with 1 if anything is broken
    Broken,
    /// Exit with 3 if anything could not be verified
    Unverified,
    /// Exit with 0
    Never,
}
