//! What was typed: the flags as they are, checked one by one and not yet against each other.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::model::{Depth, Mode};

/// Can everything that a container registry advertises really be pulled?
///
/// Walks every tag to its index, manifests, configs and layers over the OCI Distribution API, as a
/// container runtime would, and says what is broken, what could not be checked, and what was left
/// out. It never writes to a registry.
#[derive(Debug, Parser)]
#[command(name = "probe", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
}

const EXIT_CODES: &str = "Exit codes: 0 intact, 1 broken, 2 usage or configuration, 3 could not verify,\n\
130 and 143 on signals. Options can be given in the environment: PROBE_DEPTH for --depth.";

/// The command line. Its help does not repeat the variable of every option, which follow one rule.
pub(super) fn command() -> clap::Command {
    let hide = |argument: clap::Arg| argument.hide_env(true);
    let command = Cli::command().mut_args(hide);
    command.mut_subcommands(|subcommand| subcommand.mut_args(hide))
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check these images only, without asking for any list
    #[command(after_help = EXIT_CODES)]
    Verify(VerifyArgs),
    /// Say what a registry can do, what the probe will do about it, and what your login can see
    #[command(after_help = DOCTOR_EXIT_CODES)]
    Doctor(DoctorArgs),
}

const DOCTOR_EXIT_CODES: &str = "Asks about ten small questions, one after the other, and never writes.\n\
Exit codes: 0 it can be swept, 2 usage or configuration, 3 it cannot be reached or shows nothing.";

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Registries to sweep: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(super) registries: Vec<String>,

    /// Sweep once, print a report, and exit with a code that says what came of it
    #[arg(long, env = "PROBE_ONCE", value_parser = FalseyValueParser::new())]
    pub(super) once: bool,

    /// Sweep repositories that match, `*` matching any characters; without a `*` in any of them the
    /// catalog is not needed
    #[arg(long = "repo", value_name = "GLOB", env = "PROBE_REPO", value_delimiter = ',', help_heading = SCOPE)]
    pub(super) repos: Vec<String>,

    /// Leave out repositories that match
    #[arg(long = "exclude-repo", value_name = "GLOB", env = "PROBE_EXCLUDE_REPO", value_delimiter = ',', help_heading = SCOPE)]
    pub(super) exclude_repos: Vec<String>,

    /// Check tags that match
    #[arg(long = "tag", value_name = "GLOB", env = "PROBE_TAG", value_delimiter = ',', help_heading = SCOPE)]
    pub(super) tags: Vec<String>,

    /// Leave out tags that match
    #[arg(long = "exclude-tag", value_name = "GLOB", env = "PROBE_EXCLUDE_TAG", value_delimiter = ',', help_heading = SCOPE)]
    pub(super) exclude_tags: Vec<String>,

    /// Sweep the repositories named in a file, one a line, `#` for comments; for registries that
    /// have no catalog
    #[arg(long, value_name = "FILE", env = "PROBE_REPOS_FILE", help_heading = SCOPE)]
    pub(super) repos_file: Option<PathBuf>,

    /// Check the last N tags of each repository, in the order of their names [default: all]
    #[arg(long, value_name = "N", env = "PROBE_TAGS_PER_REPO", help_heading = SCOPE)]
    pub(super) tags_per_repo: Option<NonZeroU32>,

    #[command(flatten)]
    pub(super) check: CheckArgs,

    /// Wait this long before what seems broken is looked at again
    #[arg(long, value_name = "TIME", env = "PROBE_CONFIRM_AFTER", default_value = "30s", value_parser = humantime::parse_duration, help_heading = CHECKS)]
    pub(super) confirm_after: Duration,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Images to check: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "IMAGE", required = true)]
    pub(super) images: Vec<String>,

    #[command(flatten)]
    pub(super) check: CheckArgs,

    /// Wait this long before what seems broken is looked at again
    #[arg(long, value_name = "TIME", env = "PROBE_CONFIRM_AFTER", default_value = "0s", value_parser = humantime::parse_duration, help_heading = CHECKS)]
    pub(super) confirm_after: Duration,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Registries to examine: `HOST[:PORT]` or a URL; https unless it is loopback or says http
    #[arg(value_name = "REGISTRY")]
    pub(super) registries: Vec<String>,

    /// Take the sample from this repository, where there is no catalog to choose one from; patterns
    /// with a `*` are passed over
    #[arg(
        long = "repo",
        value_name = "NAME",
        env = "PROBE_REPO",
        value_delimiter = ','
    )]
    pub(super) repos: Vec<String>,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,

    /// The form of the page on standard output
    #[arg(long, value_enum, env = "PROBE_OUTPUT", default_value = "text", help_heading = REPORT)]
    pub(super) output: PageArg,

    /// Say more on standard error; twice for every request
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = REPORT)]
    pub(super) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = REPORT)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PageArg {
    /// For people
    Text,
    /// For programs
    Json,
}

const SCOPE: &str = "Scope";
const CHECKS: &str = "Checks";
const CONNECTION: &str = "Connection";
const REPORT: &str = "Report";

#[derive(Debug, Args)]
#[command(next_help_heading = CHECKS)]
pub(super) struct CheckArgs {
    /// How closely to look at blobs
    #[arg(long, value_enum, env = "PROBE_DEPTH", default_value = "tail")]
    pub(super) depth: DepthArg,

    /// What kind of registry it is, which decides what an absence means
    #[arg(long, value_enum, env = "PROBE_MODE", default_value = "private")]
    pub(super) mode: ModeArg,

    /// End after this long, with a partial report [default: none]
    #[arg(long, value_name = "TIME", env = "PROBE_DEADLINE", value_parser = positive_duration)]
    pub(super) deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DepthArg {
    /// Ask whether each blob is there and how long it is
    Head,
    /// Also read its last byte: a stale cache cannot make that up
    Tail,
    /// Also read all of it and compute its digest
    Digest,
}

impl From<DepthArg> for Depth {
    fn from(depth: DepthArg) -> Self {
        match depth {
            DepthArg::Head => Self::Head,
            DepthArg::Tail => Self::Tail,
            DepthArg::Digest => Self::Digest,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ModeArg {
    /// Pushed to: everything that is promised must be there
    Private,
    /// A sparse copy: missing children of indexes are counted, not broken
    Mirror,
    /// A cache: as mirror, and blobs are not asked for, since that would download them
    PullThrough,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Private => Self::Private,
            ModeArg::Mirror => Self::Mirror,
            ModeArg::PullThrough => Self::PullThrough,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub(super) struct ConnectionArgs {
    /// The user to log in as [default: what docker and podman have stored]
    #[arg(long, value_name = "NAME", env = "PROBE_USERNAME")]
    pub(super) username: Option<String>,

    /// Read the password from the first line of a file; PROBE_PASSWORD holds it, too
    #[arg(
        long,
        value_name = "FILE",
        env = "PROBE_PASSWORD_FILE",
        conflicts_with = "password_stdin"
    )]
    pub(super) password_file: Option<PathBuf>,

    /// Read the password from standard input
    #[arg(long)]
    pub(super) password_stdin: bool,

    /// Take logins from this docker config or podman auth.json alone
    #[arg(long, value_name = "FILE", env = "PROBE_AUTHFILE")]
    pub(super) authfile: Option<PathBuf>,

    /// Trust the certificate authorities in this PEM file, besides the system's
    #[arg(long, value_name = "FILE", env = "PROBE_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// Take any certificate; for trying things out only
    #[arg(long, env = "PROBE_INSECURE_SKIP_TLS_VERIFY", value_parser = FalseyValueParser::new())]
    pub(super) insecure_skip_tls_verify: bool,

    /// Speak http where no scheme is given
    #[arg(long, env = "PROBE_PLAIN_HTTP", value_parser = FalseyValueParser::new())]
    pub(super) plain_http: bool,

    /// Requests at a time, per registry
    #[arg(long, value_name = "N", env = "PROBE_CONCURRENCY", default_value = "8")]
    pub(super) concurrency: NonZeroUsize,

    /// The longest wait for an answer, and for each next piece of it
    #[arg(long, value_name = "TIME", env = "PROBE_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub(super) timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = REPORT)]
pub(super) struct ReportArgs {
    /// The form of the report on standard output
    #[arg(long, value_enum, env = "PROBE_OUTPUT", default_value = "text")]
    pub(super) output: OutputArg,

    /// What to fail on; `never` exits with 0 whatever was found
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        env = "PROBE_FAIL_ON",
        default_value = "broken,unverified",
        value_delimiter = ','
    )]
    pub(super) fail_on: Vec<FailOn>,

    /// Say more on standard error; twice for every request
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputArg {
    /// For people
    Text,
    /// For programs, by docs/report.schema.json
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Exit with 1 if anything is broken
    Broken,
    /// Exit with 3 if anything could not be verified
    Unverified,
    /// Exit with 0
    Never,
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than nothing".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_can_be_given_in_the_environment() {
        let command = Cli::command();
        let subcommands = command
            .get_subcommands()
            .flat_map(clap::Command::get_arguments);
        for argument in command.get_arguments().chain(subcommands) {
            let name = argument.get_id().as_str();
            let is_exempt = argument.is_positional()
                || matches!(
                    name,
                    "help" | "version" | "verbose" | "quiet" | "password_stdin"
                );
            let flag = argument.get_long().unwrap_or_default();
            let expected = format!("PROBE_{}", flag.to_uppercase().replace('-', "_"));
            let given = argument
                .get_env()
                .map(|env| env.to_string_lossy().into_owned());
            assert!(is_exempt || given == Some(expected), "{name}: {given:?}");
        }
    }
}
