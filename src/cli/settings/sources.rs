//! Where the values of options come from, and which wins: a flag over the environment over the
//! configuration file over the default.
//!
//! What the environment and the file say is put in front of what was typed, as flags, and the whole is
//! read by the one parser that there is. So every source has the same options with the same checks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, FromArgMatches};

use super::file::ConfigFile;
use super::{Surroundings, UsageError};
use crate::cli::args::{self, Cli};
use crate::oci::shorten;
use crate::registry::client::Endpoint;

/// Variables of the job that this program replaces, and the options that they stand for.
const OLD_NAMES: &[(&str, &str)] = &[
    ("instance", "REGISTRY_INSTANCE"),
    ("push-gateway", "PUSHGATEWAY"),
    ("tags-per-repo", "TAGS_PER_REPO"),
    ("username", "REG_USER"),
];

/// Those that hold a password.
pub(super) const PASSWORDS: [&str; 2] = ["PROBE_PASSWORD", "REG_PASS"];

/// What was typed, read once. It is usable as it stands.
pub(in crate::cli) struct Typed {
    words: Vec<OsString>,
    matches: ArgMatches,
    pub(in crate::cli) cli: Cli,
}

impl Typed {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    ///
    /// What is to be printed instead of doing anything, which may be the help.
    pub(in crate::cli) fn parse(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let matches = args::command().try_get_matches_from(&words)?;
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Self {
            words,
            matches,
            cli,
        })
    }

    /// The name of the subcommand, and what was typed for it or else for a sweep.
    fn command(&self) -> (Option<&str>, &ArgMatches) {
        match self.matches.subcommand() {
            Some((name, matches)) => (Some(name), matches),
            None => (None, &self.matches),
        }
    }
}

/// The command line, the environment and the configuration file together.
pub(in crate::cli) struct Sources<'a> {
    typed: &'a Typed,
    pub(in crate::cli) around: &'a Surroundings,
    pub(super) file: Option<ConfigFile>,
    /// The options of the command that was typed.
    declared: clap::Command,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Origin {
    Default,
    /// The top of the file, by its name and line.
    Top(String),
    /// The registry's entry in the file, likewise.
    Entry(String),
    /// A variable.
    Environment(String),
    Flag,
}

impl Origin {
    /// The greater wins.
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Top(_) => 1,
            Self::Entry(_) => 2,
            Self::Environment(_) => 3,
            Self::Flag => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Top(place) | Self::Entry(place) => f.write_str(place),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// The options of a command, for one registry or for none in particular.
pub(in crate::cli) struct Resolved<A> {
    pub(in crate::cli) args: A,
    pub(super) matches: ArgMatches,
    /// By long name; what is not here is the default.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// A value from the environment or the file.
struct Given<'a> {
    argument: &'a Arg,
    values: Vec<String>,
    origin: Origin,
}

impl<'a> Sources<'a> {
    /// Reads the configuration file, if there is one.
    pub(in crate::cli) fn new(
        typed: &'a Typed,
        around: &'a Surroundings,
    ) -> Result<Self, UsageError> {
        let (subcommand, matches) = typed.command();
        let flag = matches.get_one::<std::path::PathBuf>("config").cloned();
        let path = flag.or_else(|| around.first(&["PROBE_CONFIG"]).map(Into::into));
        Ok(Self {
            typed,
            around,
            file: path.map(|path| ConfigFile::read(&path)).transpose()?,
            declared: args::declared(subcommand),
        })
    }

    /// The options of the command that was typed: for the registry of this name, or for the process.
    ///
    /// # Errors
    ///
    /// A value in the environment or the file that is not usable: where it stands, and what is allowed.
    pub(in crate::cli) fn resolve<A: FromArgMatches>(
        &self,
        registry: Option<&str>,
    ) -> Result<Resolved<A>, UsageError> {
        let given = self.given(registry);
        let (subcommand, _) = self.typed.command();
        let typed_from = 1 + usize::from(subcommand.is_some());
        let (begin, rest) = self.typed.words.split_at(typed_from);
        let mut words = begin.to_vec();
        words.extend(given.iter().flat_map(Given::words).map(OsString::from));
        words.extend_from_slice(rest);
        let matches = args::command().try_get_matches_from(words);
        let mut matches = matches.map_err(|error| explain(&error, &given))?;
        if let Some((_, sub)) = matches.remove_subcommand() {
            matches = sub;
        }
        let args = A::from_arg_matches(&matches).map_err(|error| explain(&error, &given))?;
        let long = |argument: &Arg| argument.get_long().unwrap_or_default().to_owned();
        let flags = self.options().filter(|argument| self.is_typed(argument));
        let mut origins: BTreeMap<_, _> = flags.map(|arg| (long(arg), Origin::Flag)).collect();
        origins.extend(
            given
                .into_iter()
                .map(|one| (long(one.argument), one.origin)),
        );
        Ok(Resolved {
            args,
            matches,
            origins,
        })
    }

    /// The address of a registry: what was typed, unless that is only its name and the file knows more.
    pub(in crate::cli) fn endpoint(
        &self,
        address: &str,
        plain_http: bool,
    ) -> Result<Endpoint, UsageError> {
        let endpoint = super::parse_endpoint(address, plain_http)?;
        let entry = self
            .file
            .as_ref()
            .and_then(|file| file.entry(endpoint.name()));
        match entry {
            Some(entry) if !address.contains("://") => {
                super::parse_endpoint(&entry.address, plain_http)
            }
            _ => Ok(endpoint),
        }
    }

    /// The options of the command that can be configured.
    pub(super) fn options(&self) -> impl Iterator<Item = &Arg> {
        let all = self.declared.get_arguments();
        all.filter(|argument| args::is_configurable(argument))
    }

    fn is_typed(&self, argument: &Arg) -> bool {
        let (_, matches) = self.typed.command();
        matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    /// What the environment and the file say of options that were not typed.
    fn given(&self, registry: Option<&str>) -> Vec<Given<'_>> {
        let untyped = self.options().filter(|argument| !self.is_typed(argument));
        let found: Vec<_> = untyped
            .filter_map(|argument| {
                self.in_environment(argument)
                    .or_else(|| self.in_file(argument, registry))
            })
            .collect();
        // The password itself can be in the environment, which no option stands for.
        let password = Origin::Environment(String::new()).rank();
        let has_password = self.around.first(&PASSWORDS).is_some();
        let yields = |one: &Given| {
            let is_password_file = one.argument.get_id() == "password_file";
            (is_password_file && has_password && one.origin.rank() < password)
                || self.is_overruled(one, &found)
        };
        let keep: Vec<_> = found.iter().map(|one| !yields(one)).collect();
        let kept = found.into_iter().zip(keep).filter(|(_, keep)| *keep);
        kept.map(|(one, _)| one).collect()
    }

    /// Of two options that exclude each other, the one from the greater source wins, as it would if
    /// they were one.
    fn is_overruled(&self, one: &Given, found: &[Given]) -> bool {
        let rank = |argument: &Arg| {
            let same = found.iter().find(|other| other.argument == argument);
            match same {
                _ if self.is_typed(argument) => Origin::Flag.rank(),
                Some(other) => other.origin.rank(),
                None => 0,
            }
        };
        let excludes = |one: &Arg, other: &Arg| {
            let excluded = self.declared.get_arg_conflicts_with(one);
            excluded.contains(&other)
        };
        self.declared.get_arguments().any(|other| {
            (excludes(one.argument, other) || excludes(other, one.argument))
                && rank(other) > one.origin.rank()
        })
    }

    fn in_environment<'b>(&self, argument: &'b Arg) -> Option<Given<'b>> {
        let own = argument.get_env().and_then(|name| name.to_str());
        let old = OLD_NAMES
            .iter()
            .find(|(option, _)| argument.get_long() == Some(option));
        let mut names = own.into_iter().chain(old.map(|(_, variable)| *variable));
        names.find_map(|name| {
            Some(Given {
                argument,
                values: vec![self.around.first(&[name])?.to_owned()],
                origin: Origin::Environment(name.to_owned()),
            })
        })
    }

    fn in_file<'b>(&self, argument: &'b Arg, registry: Option<&str>) -> Option<Given<'b>> {
        // What is about the process is meant for the process that sweeps.
        let (subcommand, _) = self.typed.command();
        if subcommand.is_some() && !args::is_per_registry(argument) {
            return None;
        }
        let file = self.file.as_ref()?;
        let setting = file.setting(argument.get_long()?, registry)?;
        let place = file.place(setting.line);
        Some(Given {
            argument,
            values: setting.values.clone(),
            origin: if setting.is_own {
                Origin::Entry(place)
            } else {
                Origin::Top(place)
            },
        })
    }
}

impl Given<'_> {
    /// The words that say it on a command line.
    fn words(&self) -> Vec<String> {
        let long = self.argument.get_long().unwrap_or_default();
        let is_flag = matches!(self.argument.get_action(), ArgAction::SetTrue);
        let word = |value: &String| {
            if is_flag {
                is_true(value).then(|| format!("--{long}"))
            } else {
                Some(format!("--{long}={value}"))
            }
        };
        self.values.iter().filter_map(word).collect()
    }

    /// Whether the parser's words about an option are about this one.
    fn is_meant(&self, words: &str) -> bool {
        let long = self.argument.get_long().unwrap_or_default();
        words
            .strip_prefix("--")
            .and_then(|words| words.strip_prefix(long))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }
}

impl<A> Resolved<A> {
    /// Adds to an error about an option where its value stands, unless it was typed.
    pub(in crate::cli) fn locate(&self, error: UsageError) -> UsageError {
        let mentions = |long: &str| {
            let flag = format!("--{long}");
            let mut after = error.0.split(&flag).skip(1);
            after.any(|rest| !rest.starts_with(|c: char| c == '-' || c.is_alphanumeric()))
        };
        let origin = self.origins.iter().find(|(long, _)| mentions(long));
        match origin {
            Some((_, origin)) if *origin != Origin::Flag => {
                UsageError(format!("{origin}: {error}"))
            }
            _ => error,
        }
    }
}

/// As the variables of options are read: `0`, `false`, `no` and `off` are false.
fn is_true(value: &str) -> bool {
    let parsed =
        FalseyValueParser::new().parse_ref(&clap::Command::new("probe"), None, value.as_ref());
    parsed.unwrap_or(true)
}

/// What the parser says against a value that was not typed: where it stands, and what is allowed.
fn explain(error: &clap::Error, given: &[Given]) -> UsageError {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let value = without_login(&shorten(context(ContextKind::InvalidValue), 100));
    let allowed = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(allowed)) => allowed.join(", "),
        _ => String::new(),
    };
    let why = match std::error::Error::source(error) {
        _ if !allowed.is_empty() => format!("`{value}` is not one of {allowed}"),
        Some(source) => format!("`{value}`: {source}"),
        None => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    };
    let about = context(ContextKind::InvalidArg);
    UsageError(match given.iter().find(|one| one.is_meant(about)) {
        Some(Given {
            argument, origin, ..
        }) => match origin {
            Origin::Environment(_) => format!("{origin}: {why}"),
            _ => format!(
                "{origin}: `{}`: {why}",
                argument.get_long().unwrap_or_default()
            ),
        },
        None => why,
    })
}

/// A URL without the user and the password that may stand in it. The scheme may be missing.
pub(in crate::cli) fn without_login(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        // Without a scheme and a colon it is somebody's name.
        Some((login, host)) if !scheme.is_empty() || login.contains(':') => {
            format!("{scheme}hidden@{host}{path}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_url_is_hidden() {
        for (text, shown) in [
            ("https://u:p@h:9091/x@y", "https://hidden@h:9091/x@y"),
            ("u:p@h:9091", "hidden@h:9091"),
            ("https://p@ss:p@h", "https://hidden@h"),
            ("http://h/a:b@c", "http://h/a:b@c"),
            ("me@example", "me@example"),
            ("h:9091", "h:9091"),
        ] {
            assert_eq!(without_login(text), shown);
        }
    }

    #[test]
    fn the_old_names_stand_for_options_that_there_are() {
        let declared = args::declared(None);
        for (option, variable) in OLD_NAMES {
            let mut arguments = declared.get_arguments();
            assert!(
                arguments.any(|a| a.get_long() == Some(option)),
                "{variable}"
            );
        }
    }
}
