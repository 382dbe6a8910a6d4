//! The options of where to learn which images are in use.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{SCOPE, positive_duration};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SCOPE)]
#[expect(
    clippy::struct_field_names,
    reason = "options are called as their fields"
)]
pub(in crate::cli) struct InUseArgs {
    /// Learn from here which images pods run, and say which of these could not be pulled again, be their tags listed or
    /// not: `prometheus=URL` of a Prometheus that scrapes kube-state-metrics, or a file with what
    /// `kubectl get pods,nodes --all-namespaces --output json` prints
    #[arg(long, value_name = "SOURCE")]
    pub(in crate::cli) in_use: Option<String>,

    /// With --in-use prometheus=URL, its login and certificates, by a file in the form of Prometheus' http_config
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) in_use_config: Option<PathBuf>,

    /// With --in-use prometheus=URL, take series with these labels, such as cluster="prod", alone
    #[arg(long, value_name = "LABELS")]
    pub(in crate::cli) in_use_matcher: Option<String>,

    /// There are clusters of which --in-use tells nothing: alerts go by kube-state-metrics, too. --in-use-matcher implies it
    #[arg(long, requires = "in_use")]
    pub(in crate::cli) in_use_partial: bool,

    /// With --in-use FILE, a file that was written longer ago tells nothing
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = positive_duration)]
    pub(in crate::cli) in_use_max_age: Duration,
}
