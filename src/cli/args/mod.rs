//! What was typed: the flags as they are, checked one by one and not yet against each other.

mod check;
mod config;
mod connection;
mod doctor;
mod report;
mod service;
mod sweep;
mod verify;

use std::time::Duration;

use clap::builder::Resettable;
use clap::{CommandFactory as _, Parser, Subcommand};

pub(super) use check::CheckArgs;
pub(super) use connection::ConnectionArgs;
pub(super) use doctor::{DoctorArgs, PageArg};
pub(super) use report::{FailOn, LogFormat, OutputArg};
pub(super) use service::ServiceArgs;
pub(super) use sweep::SweepArgs;
pub(super) use verify::VerifyArgs;

/// Can everything that a container registry advertises really be pulled?
///
/// Walks every tag to its index, manifests, configs and layers over the OCI Distribution API, as a
/// container runtime would, and says what is broken, what could not be checked, and what was left
/// out. It never writes to a registry.
#[derive(Clone, Debug, Parser)]
#[command(name = "probe", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
}

const EXIT_CODES: &str = "Exit codes: 0 intact, 1 broken, 2 usage or configuration, 3 could not verify,\n\
130 and 143 on signals. Options can be given in the environment, as PROBE_DEPTH for --depth,\n\
and in a file, too.";

/// The command line alone: the variables that options are declared with are read by the settings, which
/// put them in order with the configuration file.
pub(super) fn command() -> clap::Command {
    let deaf = |argument: clap::Arg| argument.env(Resettable::Reset);
    let command = Cli::command().mut_args(deaf);
    command.mut_subcommands(|subcommand| subcommand.mut_args(deaf))
}

/// The options of a command with their variables: `None` for those of a sweep.
pub(super) fn declared(subcommand: Option<&str>) -> clap::Command {
    let command = Cli::command();
    let found = subcommand.and_then(|name| command.find_subcommand(name).cloned());
    found.unwrap_or(command)
}

/// Whether an option is about one registry, so that each may have its own, or else about the process.
pub(super) fn is_per_registry(argument: &clap::Arg) -> bool {
    let heading = argument.get_help_heading();
    // Its name matters to the service, and no two may have the same.
    matches!(heading, Some(SCOPE | CHECKS | CONNECTION)) || argument.get_id() == "instance"
}

/// Whether an option can be given elsewhere than on the command line. Those that cannot are about one
/// run by hand, or say where to look.
pub(super) fn is_configurable(argument: &clap::Arg) -> bool {
    let id = argument.get_id().as_str();
    let is_by_hand = matches!(
        id,
        "help" | "version" | "verbose" | "quiet" | "password_stdin" | "config" | "print_config"
    );
    !argument.is_positional() && !is_by_hand
}

#[derive(Clone, Debug, Subcommand)]
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

const SCOPE: &str = "Scope";
const CHECKS: &str = "Checks";
const CONNECTION: &str = "Connection";
const REPORT: &str = "Report";
const SERVICE: &str = "Service";

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
            let is_exempt = !is_configurable(argument) && name != "config";
            let flag = argument.get_long().unwrap_or_default();
            let expected = format!("PROBE_{}", flag.to_uppercase().replace('-', "_"));
            let given = argument
                .get_env()
                .map(|env| env.to_string_lossy().into_owned());
            assert!(is_exempt || given == Some(expected), "{name}: {given:?}");
        }
    }
}
