//! The options of `probe doctor`.

use clap::{Args, ValueEnum};

use super::REPORT;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Registries to examine: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) registries: Vec<String>,

    /// Take the sample from this repository, where there is no catalog to choose one from; patterns
    /// with a `*` are passed over
    #[arg(
        long = "repo",
        value_name = "NAME",
        env = "PROBE_REPO",
        value_delimiter = ','
    )]
    pub(in crate::cli) repos: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,

    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,

    /// The form of the page on standard output
    #[arg(long, value_enum, env = "PROBE_OUTPUT", default_value = "text", help_heading = REPORT)]
    pub(in crate::cli) output: PageArg,

    /// Say more on standard error; twice for every request
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = REPORT)]
    pub(in crate::cli) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = REPORT)]
    pub(in crate::cli) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PageArg {
    /// For people
    Text,
    /// For programs
    Json,
}
