//! The options of a sweep: which registries, and what of them.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::check::CheckArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;
use super::in_use::InUseArgs;
use super::repair::RepairArgs;
use super::report::ReportArgs;
use super::scope::{RepositoryArgs, TagArgs};
use super::service::ServiceArgs;
use super::{CHECKS, SCOPE, duration, percent, positive_duration, size};
use crate::registry::ManifestMethod;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct SweepArgs {
    /// Registries to sweep: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) registries: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,

    /// Print what is in force, as such a file that says where each value comes from, and do nothing
    #[arg(long)]
    pub(in crate::cli) print_config: bool,

    #[command(flatten)]
    pub(in crate::cli) repositories: RepositoryArgs,
    #[command(flatten)]
    pub(in crate::cli) tags: TagArgs,

    /// Check the last N tags of each repository, in the order of their names [default: all]
    #[arg(long, value_name = "N", help_heading = SCOPE)]
    pub(in crate::cli) tags_per_repo: Option<NonZeroU32>,

    /// Accept that there is nothing to check: without it, a registry or filter that names nothing is
    /// unverified, since a lost store looks the same
    #[arg(long, help_heading = SCOPE)]
    pub(in crate::cli) allow_empty: bool,

    #[command(flatten)]
    pub(in crate::cli) in_use: InUseArgs,

    #[command(flatten)]
    pub(in crate::cli) check: CheckArgs,

    /// Read the last byte of every blob at least once in this time, a part of them in each sweep, which asks for the
    /// others by HEAD: 0 reads all in every sweep, as does --once without --interval
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "24h", help_heading = CHECKS)]
    pub(in crate::cli) read_every: Duration,

    /// While a sweep has not run for this part of --interval, it reads blobs that are not due, too: a small
    /// registry is read in every sweep
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "10%", help_heading = CHECKS)]
    pub(in crate::cli) load: u8,

    /// How to ask for manifests that an earlier sweep read: by HEAD where that is known to be as good, or where GET
    /// counts as a pull; each is read once in --read-every all the same
    #[arg(long, value_name = "METHOD", value_enum, default_value = "auto", help_heading = CHECKS)]
    pub(in crate::cli) manifests: ManifestMethod,

    /// Read every blob in full once in this time, a part of them in each sweep; with --once, --interval
    /// says how often that is run
    #[arg(long, value_name = "TIME", value_parser = positive_duration, help_heading = CHECKS)]
    pub(in crate::cli) scrub_every: Option<Duration>,

    /// Read every blob so closely once in --scrub-every, or else in --read-every [default: the last byte; with
    /// --scrub-every, digest]
    #[arg(long, value_name = "DEPTH", value_enum, help_heading = CHECKS)]
    pub(in crate::cli) read_depth: Option<ReadDepth>,

    /// With --scrub-every, read this much in one sweep at most, such as 20GB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = CHECKS)]
    pub(in crate::cli) scrub_max_bytes: Option<u64>,

    #[command(flatten)]
    pub(in crate::cli) repair: RepairArgs,
    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
    #[command(flatten)]
    pub(in crate::cli) service: ServiceArgs,
    #[command(flatten)]
    pub(in crate::cli) report: ReportArgs,
}

/// How closely blobs are looked at in their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ReadDepth {
    /// All of each is read and hashed
    Digest,
    /// Also, each layer is unpacked and compared with the config
    Unpack,
}

impl ValueEnum for ManifestMethod {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word()))
    }
}
