//! The options of how to reach a registry, and as whom.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::{CONNECTION, positive_duration, rate};
use crate::registry::Software;
use crate::render::software;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub(in crate::cli) struct ConnectionArgs {
    /// What people and pods pull by, as HOST[/PREFIX], where the probe dials another address
    ///
    /// It stands in images and in commands to paste. These take it to have TLS and a certificate that
    /// clients trust, unless it is loopback or has http:// before it.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) public_name: Option<String>,

    /// The user to log in as [default: what docker and podman have stored]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) username: Option<String>,

    /// Read the password from the first line of a file; PROBE_PASSWORD holds it, too
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(in crate::cli) password_file: Option<PathBuf>,

    /// Read the password from standard input
    #[arg(long)]
    pub(in crate::cli) password_stdin: bool,

    /// Take logins from this docker config or podman auth.json alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password_file", "password_stdin"])]
    pub(in crate::cli) authfile: Option<PathBuf>,

    /// Trust the certificate authorities in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Option<PathBuf>,

    /// Show this client certificate to the registry where it asks for one: a PEM file, with its chain
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) client_cert: Option<PathBuf>,

    /// The key of --client-cert: a PEM file without a passphrase [default: in the same file]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) client_key: Option<PathBuf>,

    /// Take any certificate; for trying things out only
    #[arg(long)]
    pub(in crate::cli) insecure_skip_tls_verify: bool,

    /// Speak http where no scheme is given
    #[arg(long)]
    pub(in crate::cli) plain_http: bool,

    /// Requests at a time at most, per registry; fewer where more would make it slow
    #[arg(long, value_name = "N", default_value = "8")]
    pub(in crate::cli) concurrency: NonZeroUsize,

    /// Requests a second at most, per registry [default: as many as it takes]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(in crate::cli) max_rps: Option<f64>,

    /// The longest wait for an answer, and for each next piece of it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(in crate::cli) timeout: Duration,

    /// Which software the registry runs, such as zot, for advice and repairs [default: what its answers show]
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = true)]
    pub(in crate::cli) software: Option<Software>,
}

impl ValueEnum for Software {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word()).help(software::title(*self)))
    }
}
