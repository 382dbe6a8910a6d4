//! The options of the service: when to sweep, where to listen, where to hand results on to.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::oci::Printable;

use super::{SERVICE, positive_duration};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SERVICE)]
pub(in crate::cli) struct ServiceArgs {
    /// From the beginning of one sweep to that of the next
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = positive_duration)]
    pub(in crate::cli) interval: Duration,

    /// Serve /metrics and the status page at this address; :PORT is that of every address of this
    /// machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = listen)]
    pub(in crate::cli) listen: SocketAddr,

    /// Where others find the status page, such as https://probe.example: alerts give its address, too
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) external_url: Option<String>,

    /// Ask for certificates, passwords or tokens there, by a file in the form of Prometheus' web
    /// configuration
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) web_config: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) publish: PublishArgs,

    /// What the registry is called in metrics and reports, if there is one; never in images [default: the
    /// public name, or else the address]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) instance: Option<String>,

    /// Sweep one part of N of the repositories: I/N with I from 0, or auto/N in an Indexed Job or a
    /// StatefulSet
    #[arg(long, value_name = "I/N")]
    pub(in crate::cli) shard: Option<String>,

    /// Name the run that this shard is a part of, such as a Job's name: `probe merge` takes reports of
    /// one run only
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(in crate::cli) run_id: Option<String>,

    /// With --shard, requests at a time of all shards together, in place of --concurrency: each has its part of them,
    /// and one at least
    #[arg(long, value_name = "N")]
    pub(in crate::cli) concurrency_total: Option<NonZeroUsize>,
}

/// The options of where results go besides standard output.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SERVICE)]
pub(in crate::cli) struct PublishArgs {
    /// Push each result to this Pushgateway, with --once, too
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) push_gateway: Option<String>,

    /// Trust the certificate authorities in this PEM file for the Pushgateway, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) push_ca_file: Option<PathBuf>,

    /// Show this client certificate to the Pushgateway where it asks for one: a PEM file, with its chain
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) push_client_cert: Option<PathBuf>,

    /// The key of --push-client-cert: a PEM file without a passphrase [default: in the same file]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) push_client_key: Option<PathBuf>,

    /// The job that results are pushed as
    #[arg(long, value_name = "NAME", default_value = "registry_integrity_probe", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) job: String,

    /// Keep in this file what is known, across restarts and with --once, too: since when something
    /// is broken, and what was broken where a sweep sees nothing
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) state: Option<PathBuf>,

    /// Write metrics to this file, for the node exporter's textfile collector, with --once, too
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) textfile: Option<PathBuf>,
}

/// A name that stands in reports as it was given.
fn run_id(text: &str) -> Result<String, String> {
    let is_whole = *Printable::from(text) == *text;
    let is_name = !text.trim().is_empty() && text.len() <= 200;
    let run_id = (is_name && is_whole).then(|| text.to_owned());
    run_id.ok_or_else(|| "expected a name of up to 200 bytes, without control characters".into())
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let every = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.to_owned(),
    };
    every.parse().map_err(|_| {
        "expected IP:PORT, or :PORT for every address of this machine (0.0.0.0:PORT for IPv4 alone)"
            .to_owned()
    })
}
