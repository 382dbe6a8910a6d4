//! The options of `probe doctor`.

use clap::Args;

use super::CHECKS;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::in_use::InUseArgs;
use super::report::PageArgs;
use crate::report::Mode;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Registries to examine: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) registries: Vec<String>,

    /// Take the sample from this repository, where there is no catalog to choose one from; patterns
    /// with a `*` are passed over
    #[arg(long = "repo", value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli) repos: Vec<String>,

    /// What kind of registry it is, which decides what an absence means [default: private, and the sweep
    /// stops where it answers as a pull-through cache does]
    #[arg(long, value_enum, help_heading = CHECKS)]
    pub(in crate::cli) mode: Option<Mode>,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,

    #[command(flatten)]
    pub(in crate::cli) in_use: InUseArgs,

    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
    #[command(flatten)]
    pub(in crate::cli) page: PageArgs,
}
