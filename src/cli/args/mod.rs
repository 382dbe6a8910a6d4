//! What was typed: the flags as they are, checked one by one and not yet against each other.

mod check;
mod compare;
mod config;
mod connection;
mod doctor;
mod documents;
mod expect;
mod explain;
mod in_use;
mod keep;
mod look;
mod merge;
mod referrers;
mod repair;
mod report;
mod scope;
mod service;
mod sweep;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

pub(super) use check::{AskArgs, CheckArgs};
pub(super) use compare::CompareArgs;
pub(super) use connection::ConnectionArgs;
pub(super) use doctor::DoctorArgs;
pub(super) use documents::{DocumentArgs, Map};
pub(super) use explain::ExplainArgs;
pub(super) use in_use::InUseArgs;
pub(super) use keep::KeepArgs;
pub(super) use look::LookArgs;
pub(super) use merge::MergeArgs;
pub(super) use referrers::ReferrerArgs;
pub(super) use repair::RepairArgs;
pub(super) use report::{FailOn, LogFormat, OutputArg, PageArg, ReportArgs, ReportFile};
pub(super) use scope::RepositoryArgs;
pub(super) use service::{PublishArgs, ServiceArgs};
pub(super) use sweep::{ReadDepth, SweepArgs};
pub(super) use verify::VerifyArgs;

/// Can everything that a container registry advertises really be pulled?
///
/// Walks every tag to its index, manifests, configs and layers over the OCI Distribution API, as a
/// container runtime would, and says what is broken, what could not be checked, and what was left
/// out. It never writes to a registry.
#[derive(Clone, Debug, Parser)]
#[command(name = "probe", version, args_conflicts_with_subcommands = true)]
#[command(styles = STYLES, after_help = EXIT_CODES, after_long_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// Sweep once, print a report, and exit with a code that says what came of it, as `probe sweep` does
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
}

const EXIT_CODES: &str = "Exit codes: 0 intact, 1 broken, 2 usage or configuration, 3 could not verify,\n\
130 and 143 on signals. Options can be given in the environment, as PROBE_DEPTH for --depth,\n\
and in a file, too.";

/// The options of a command: `None` for those of a sweep. What is given elsewhere than on the command line
/// may say true and false in many ways.
pub(super) fn declared(subcommand: Option<&str>) -> clap::Command {
    let command = Cli::command();
    let found = subcommand.and_then(|name| command.find_subcommand(name).cloned());
    found
        .unwrap_or(command)
        .mut_args(|argument| match argument.get_action() {
            ArgAction::SetTrue => argument.value_parser(FalseyValueParser::new()),
            _ => argument,
        })
}

/// The variable of an option.
pub(super) fn variable(argument: &clap::Arg) -> String {
    let long = argument.get_long().unwrap_or_default();
    format!("PROBE_{}", long.to_uppercase().replace('-', "_"))
}

/// Whether an option is about one registry, so that each may have its own, or else about the process.
pub(super) fn is_per_registry(argument: &clap::Arg) -> bool {
    let heading = argument.get_help_heading();
    // Its name matters to the service, and no two may have the same.
    matches!(heading, Some(SCOPE | CHECKS | CONNECTION)) || argument.get_id() == "instance"
}

/// Whether a registry is reached in another way without this option, so that what is to be typed next needs it.
pub(super) fn is_to_be_repeated(argument: &clap::Arg) -> bool {
    argument.get_help_heading() == Some(CONNECTION) || argument.get_id() == "config"
}

/// Whether an option can be given elsewhere than on the command line. Those that cannot are about one
/// run by hand, or say where to look.
pub(super) fn is_configurable(argument: &clap::Arg) -> bool {
    let id = argument.get_id().as_str();
    let is_by_hand = matches!(
        id,
        "help"
            | "version"
            | "verbose"
            | "quiet"
            | "password_stdin"
            | "config"
            | "print_config"
            // The --map of `probe compare`: that of `probe verify` is another.
            | "rules"
    );
    !argument.is_positional() && !is_by_hand
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Sweep registries once, print a report, and exit with a code that says what came of it
    #[command(after_help = EXIT_CODES)]
    Sweep(Box<SweepArgs>),
    /// Sweep registries again and again, and serve /metrics and a status page
    #[command(after_help = EXIT_CODES)]
    Serve(Box<SweepArgs>),
    /// Check these images only, without asking for any list
    #[command(after_help = EXIT_CODES, after_long_help = VERIFY_EXAMPLES)]
    Verify(Box<VerifyArgs>),
    /// Show the tree of one image, with the request to repeat by hand for each object in it
    #[command(after_help = EXIT_CODES, after_long_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Say what a registry can do, what the probe will do about it, and what your login can see
    #[command(after_help = DOCTOR_EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Make one report, with one exit code, of the reports of shards
    #[command(after_help = MERGE_EXIT_CODES, after_long_help = MERGE_EXAMPLES)]
    Merge(MergeArgs),
    /// List what must be kept: every manifest that tags lead to; or say what deletions would break
    #[command(after_help = KEEP_EXIT_CODES, after_long_help = KEEP_EXAMPLES)]
    Keep(Box<KeepArgs>),
    /// Compare the content of two registries, repositories or images
    #[command(after_help = COMPARE_EXIT_CODES, after_long_help = COMPARE_EXAMPLES)]
    Compare(Box<CompareArgs>),
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which has to be there
        folder: PathBuf,
    },
}

const DOCTOR_EXIT_CODES: &str = "Asks about ten small questions, one after the other, and never writes.\n\
Exit codes: 0 it can be swept, 2 usage or configuration, 3 it cannot be reached or shows nothing,\n\
130 and 143 on signals.";

const MERGE_EXIT_CODES: &str = "Asks no registry. Exit codes: 0 intact, 1 broken in any shard, 2 no usable report, 3 not verified,\n\
or a report is missing, there twice, or of another run.";

const MERGE_EXAMPLES: &str = "Examples:
  probe merge 0.json 1.json 2.json 3.json
      Print one report of four shards, each of which ran with
      `--once --shard 0/4 --run-id NAME --report-file json=0.json`
  probe merge --output github --report-file junit=probe.xml reports/*.json
      In CI: annotations, a summary, and one file with the results of tests

Asks no registry. Exit codes: 0 intact, 1 broken in any shard, 2 no usable report, 3 not
verified, or a report is missing, there twice, or of another run.";

const KEEP_EXIT_CODES: &str = "Nothing is printed before all of the list is proven; its last line is `# complete N`. What filters\n\
leave out, and what refers to an image by its `subject` alone, is not in it.\n\
Exit codes: 0 proven, 2 usage or configuration, 3 not all could be read, and there is no list.\n\
With --check: 0 nothing breaks, 1 something does, 3 nothing was found and not all could be read.\n\
130 and 143 on signals.";

const KEEP_EXAMPLES: &str = "Examples:
  probe keep registry.example > keep.txt
      Print every manifest that a tag leads to, as REPOSITORY@DIGEST, and `# complete N`
  probe keep --check delete.txt registry.example
      Name every other tag and platform that these deletions would break

Nothing is printed before all of the list is proven. What filters leave out is not in it, nor is
what refers to an image by its `subject` alone. docs/clean-up.md has a whole clean-up.

Exit codes: 0 proven, 2 usage or configuration, 3 not all could be read, and there is no list;
with --check: 0 nothing breaks, 1 something does, 3 nothing was found and not all could be
read; 130 and 143 on signals.";

const COMPARE_EXIT_CODES: &str = "Exit codes: 0 equal, 1 different, 2 usage or configuration, 3 could not verify,\n\
130 and 143 on signals.";

const COMPARE_EXAMPLES: &str = "Examples:
  probe compare registry.example mirror.example
      Compare all that both have
  probe compare --map team=copies/team --repo 'team/*' registry.example mirror.example
      Some repositories, which have other names in the mirror
  probe compare --sparse registry.example/team/app mirror.example/app
      A copy of some tags and some platforms of one repository

Exit codes: 0 equal, 1 different, 2 usage or configuration, 3 could not verify,
130 and 143 on signals.";

const EXAMPLES: &str = "Examples:
  probe --once localhost:5000
      Sweep a registry, print what is broken, and exit with a code that says so
  probe --once --repo 'team/*' --depth digest registry.example
      Read every blob of some repositories whole
  probe --once --output github --report-file junit=probe.xml registry.example
      In CI: annotations and a summary, and a file with the results of tests
  probe serve registry.example
      Sweep every 15 minutes and serve /metrics and a status page; `probe registry.example`
      does so, too
  probe doctor registry.example
      Say first what the registry can do, and what your login can see

Exit codes: 0 intact, 1 broken, 2 usage or configuration, 3 could not verify,
130 and 143 on signals. Options can be given in the environment: PROBE_DEPTH for --depth.";

const VERIFY_EXAMPLES: &str = "Examples:
  probe verify registry.example/team/app:1.4.1
      Check one image
  probe verify --wait 2m --expect-digest \"$DIGEST\" registry.example/team/app:1.4.1
      Behind a push: wait until the tag leads to what was pushed
  probe verify --platform linux/amd64 --platform linux/arm64 registry.example/team/app
      Fail unless both platforms are there
  probe verify --recheck-after 10m registry.example/team/app:1.4.1
      Look once more in ten minutes: a clean-up may take what was just pushed
  helm template app | probe verify --images-from -
      Before a deployment: whether every image that a chart names can be pulled

Exit codes: 0 intact, 1 broken or not as expected, 2 usage or configuration, 3 could not
verify, 130 and 143 on signals.";

const EXPLAIN_EXAMPLES: &str = "Examples:
  probe explain registry.example/team/app:1.4.1
      Show the image's tree, and curl commands that show the same
  probe explain --output json registry.example/team/app@sha256:... | jq -r '.. | .request? // empty'
      The commands alone

Exit codes: 0 intact, 1 broken, 2 usage or configuration, 3 could not verify,
130 and 143 on signals.";

/// The colours that the help of the compiler's own tools has.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const SCOPE: &str = "Scope";
const CHECKS: &str = "Checks";
const DOCUMENTS: &str = "Documents";
const EXPECTATIONS: &str = "Expectations";
const COMPARISON: &str = "Comparison";
const KEEP: &str = "What to keep";
const DELETIONS: &str = "Deletions";
const CONNECTION: &str = "Connection";
const REPORT: &str = "Report";
const SERVICE: &str = "Service";

/// The longest time that an option takes: clocks cannot count on for ever.
const LONGEST: Duration = Duration::from_secs(3_660 * 24 * 3600);

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("it must be ten years at most".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

/// Requests a second: not none, and not so few that a sweep never ends.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        _ => Err("give a number of requests a second, from 0.01 on".into()),
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration.is_zero() => Err("it must be longer than nothing".into()),
        duration => Ok(duration),
    }
}

/// A part of a hundred, as `10%`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent = number.parse().ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| "not a part: give a whole number from 0% to 100%".into())
}

/// A number of bytes, as `500MB`, `2GiB` or `2Gi`.
fn size(text: &str) -> Result<u64, String> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim().to_ascii_lowercase();
    let prefix = unit.trim_end_matches('b');
    let (base, prefix) = match prefix.strip_suffix('i') {
        Some(prefix) => (1024_u64, prefix),
        None => (1000, prefix),
    };
    let power = (0..)
        .zip(["", "k", "m", "g", "t"])
        .find(|(_, known)| *known == prefix);
    let bytes =
        power.and_then(|(power, _)| number.parse::<u64>().ok()?.checked_mul(base.pow(power)));
    match bytes {
        Some(bytes @ 1..) => Ok(bytes),
        _ => {
            Err("not a size: give a whole number with kB, MB, GB or TB, or with KiB to TiB".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Whoever knows an option of one command knows it in every other.
    #[test]
    fn options_of_one_name_are_one_option() {
        let commands = [
            None,
            Some("sweep"),
            Some("serve"),
            Some("verify"),
            Some("explain"),
            Some("doctor"),
            Some("merge"),
            Some("keep"),
            Some("compare"),
        ];
        let mut known = std::collections::BTreeMap::new();
        for command in commands.map(declared) {
            for option in command
                .get_arguments()
                .filter(|option| is_configurable(option))
            {
                // There it names what a sample is taken from, and is no filter.
                if command.get_name() == "doctor" && option.get_id() == "repos" {
                    continue;
                }
                // There it is about repositories, and in documents about whole names.
                if command.get_name() == "compare" && option.get_id() == "rules" {
                    continue;
                }
                let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string);
                let it = (
                    text(option.get_help()),
                    text(option.get_long_help()),
                    option.get_help_heading().map(str::to_owned),
                    option.get_value_names().map(<[_]>::to_vec),
                    option.get_short(),
                );
                let (long, name) = (variable(option), command.get_name().to_owned());
                let (first, known) = known
                    .entry(long.clone())
                    .or_insert_with(|| (name.clone(), it.clone()));
                assert_eq!(*known, it, "{long}: {first} and {name}");
            }
        }
        assert!(known.len() > 40, "{known:?}");
    }

    #[test]
    fn times_are_no_longer_than_a_clock_can_count() {
        assert_eq!(positive_duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(positive_duration("0s").is_err());
        for endless in ["11y", "500000000000y"] {
            assert!(duration(endless).is_err(), "{endless}");
            assert!(positive_duration(endless).is_err(), "{endless}");
        }
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        for (text, bytes) in [
            ("1", 1),
            ("12kB", 12_000),
            ("20GB", 20_000_000_000),
            ("20g", 20_000_000_000),
            ("2GiB", 2 << 30),
            ("2Gi", 2 << 30),
            ("3 TB", 3_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "GB", "1.5GB", "-1", "1XB", "99999999999TB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_are_of_a_hundred() {
        for (text, part) in [("10%", 10), ("0", 0), ("100 %", 100)] {
            assert_eq!(percent(text), Ok(part), "{text}");
        }
        for text in ["", "%", "101%", "-1%", "0.5%", "10%%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_are_called_as_their_options() {
        let command = declared(Some("doctor"));
        let ca_file = command.get_arguments().find(|a| a.get_id() == "ca_file");
        assert_eq!(ca_file.map(variable).as_deref(), Some("PROBE_CA_FILE"));
    }
}
