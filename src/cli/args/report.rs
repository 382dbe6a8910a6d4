//! The options of what to print, and what to fail on.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::REPORT;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = REPORT)]
pub(in crate::cli) struct ReportArgs {
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) output: OutputArg,

    /// Tell each broken object by itself and in full in the text report, and every name
    #[arg(long)]
    pub(in crate::cli) details: bool,

    /// Write the report to a file, too, such as junit=probe.xml; may be repeated
    #[arg(
        long = "report-file",
        value_name = "FORMAT=PATH",
        value_delimiter = ','
    )]
    pub(in crate::cli) report_files: Vec<ReportFile>,

    #[command(flatten)]
    pub(in crate::cli) fail_on: FailOnArgs,

    /// The form of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) log_format: LogFormat,

    #[command(flatten)]
    loudness: LoudnessArgs,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = REPORT)]
pub(in crate::cli) struct FailOnArgs {
    /// What to fail on; `never` exits with 0 whatever was found
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value = "broken,unverified",
        value_delimiter = ','
    )]
    pub(in crate::cli) fail_on: Vec<FailOn>,
}

/// The options of what is about one page.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = REPORT)]
pub(in crate::cli) struct PageArgs {
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) output: PageArg,

    #[command(flatten)]
    loudness: LoudnessArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PageArg {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Read as `Typed::loudness`.
#[derive(Clone, Debug, Args)]
struct LoudnessArgs {
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
    /// JUnit's XML, for CI systems that show the results of tests
    Junit,
    /// Annotations for GitHub Actions, and a summary of the step
    Github,
}

/// A file that a report is to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ReportFile {
    pub(in crate::cli) form: OutputArg,
    pub(in crate::cli) path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((form, path)) if !path.is_empty() => Ok(Self {
                form: OutputArg::from_str(form, false).map_err(|_| {
                    let forms = OutputArg::value_variants().iter();
                    let forms = forms.filter_map(ValueEnum::to_possible_value);
                    let forms: Vec<_> = forms.map(|form| form.get_name().to_owned()).collect();
                    format!("`{form}` is none of the formats {}", forms.join(", "))
                })?,
                path: path.into(),
            }),
            _ => Err("expected FORMAT=PATH".to_owned()),
        }
    }
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
    /// Exit with 3 if --in-use told nothing
    InUseSource,
    /// Exit with 0
    Never,
}
