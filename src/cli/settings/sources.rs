//! Where the values of options come from, and which wins: a flag over the environment over the
//! configuration file over the default.
//!
//! What the environment and the file say becomes the options' defaults, and the one parser that there is
//! reads what was typed with these. So every source has the same options with the same checks.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches};

use super::file::{ConfigFile, Setting};
use crate::cli::args::{self, Cli};
use crate::cli::error::{Error, Origin, Rank, without_login};
use crate::cli::suggest;
use crate::cli::surroundings::Surroundings;
use crate::oci::shorten;
use crate::registry::client::Endpoint;
use crate::report::shell::quote;

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
        let matches = Cli::command().try_get_matches_from(&words);
        let matches = matches.map_err(suggest::option)?;
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Self {
            words,
            matches,
            cli,
        })
    }

    /// How much more than warnings is to be said, and whether not even these.
    pub(in crate::cli) fn loudness(&self) -> (u8, bool) {
        let (_, matches) = self.command();
        let verbose = matches.try_get_one("verbose").ok().flatten();
        let quiet = matches.try_get_one("quiet").ok().flatten();
        (verbose.copied().unwrap_or(0), quiet == Some(&true))
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
    /// The command that was typed.
    declared: clap::Command,
}

/// The options of a command, for one registry or for none in particular.
pub(in crate::cli) struct Resolved<A> {
    pub(in crate::cli) args: A,
    pub(super) matches: ArgMatches,
    /// By long name; what is not here is the default.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// An option, and what the greatest source says of it: no values where it was typed, since the parser reads
/// these itself.
type Given<'a> = (&'a Arg, Setting);

impl<'a> Sources<'a> {
    /// Reads the configuration file, if there is one.
    pub(in crate::cli) fn new(typed: &'a Typed, around: &'a Surroundings) -> Result<Self, Error> {
        let (subcommand, matches) = typed.command();
        let declared = args::declared(subcommand);
        // What asks no registry takes no file.
        let takes_file = declared.get_arguments().any(|a| a.get_id() == "config");
        let path = takes_file.then(|| {
            let flag = matches.get_one::<std::path::PathBuf>("config").cloned();
            flag.or_else(|| around.first(&["PROBE_CONFIG"]).map(Into::into))
        });
        let path = path.flatten();
        Ok(Self {
            typed,
            around,
            file: path.map(|path| ConfigFile::read(&path)).transpose()?,
            declared,
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
    ) -> Result<Resolved<A>, Error> {
        let given = self.given(registry)?;
        let mut command = self.declared.clone();
        for (argument, setting) in &given {
            if setting.origin.rank != Rank::Flag {
                let default = |argument: Arg| argument.default_values(&setting.values);
                command = command.mut_arg(argument.get_id(), default);
            }
        }
        let name_at = usize::from(self.command().is_some());
        let matches = command.try_get_matches_from_mut(&self.typed.words[name_at..]);
        let unusable = |error| explain(&error, &command, &given);
        let matches = matches.map_err(unusable)?;
        let args = A::from_arg_matches(&matches).map_err(unusable)?;
        let origins = given.into_iter().filter_map(|(argument, setting)| {
            Some((argument.get_long()?.to_owned(), setting.origin))
        });
        let origins = origins.collect();
        Ok(Resolved {
            args,
            matches,
            origins,
        })
    }

    /// The name of the subcommand.
    pub(super) fn command(&self) -> Option<&str> {
        self.typed.command().0
    }

    /// The address of a registry: what was typed, unless that is only its name and the file knows more.
    pub(super) fn endpoint(&self, address: &str, plain_http: bool) -> Result<Endpoint, Error> {
        let endpoint = Endpoint::parse(address, plain_http)?;
        let entry = self
            .file
            .as_ref()
            .and_then(|file| file.entry(endpoint.name()));
        match entry {
            Some(entry) if !address.contains("://") => {
                Ok(Endpoint::parse(&entry.address, plain_http)?)
            }
            _ => Ok(endpoint),
        }
    }

    /// The options of the command that can be configured.
    pub(super) fn options(&self) -> impl Iterator<Item = &Arg> {
        let all = self.declared.get_arguments();
        all.filter(|argument| args::is_configurable(argument))
    }

    /// What the greatest source says of each option. Of two options that exclude each other, the one from
    /// the greater source wins, as it would if they were one.
    fn given(&self, registry: Option<&str>) -> Result<Vec<Given<'_>>, Error> {
        let arguments = self.declared.get_arguments();
        let all: Vec<Given> = arguments
            .filter_map(|argument| Some((argument, self.setting(argument, registry)?)))
            .collect();
        let excludes = |one: &Arg, other: &Arg| {
            let excluded = self.declared.get_arg_conflicts_with(one);
            excluded.contains(&other)
        };
        let mut kept = Vec::new();
        for one in &all {
            let rivals = all
                .iter()
                .filter(|other| excludes(one.0, other.0) || excludes(other.0, one.0));
            let strongest = rivals.max_by_key(|(_, setting)| setting.origin.rank);
            let order = strongest.map(|(_, rival)| rival.origin.rank.cmp(&one.1.origin.rank));
            match (order, strongest) {
                (Some(Ordering::Greater), _) => {}
                (Some(Ordering::Equal), Some((rival, _))) => {
                    let rival = rival.get_long().unwrap_or_default();
                    return Err(unusable(one, format!("cannot be used with --{rival}")));
                }
                _ => kept.push(one.clone()),
            }
        }
        Ok(kept)
    }

    fn setting(&self, argument: &Arg, registry: Option<&str>) -> Option<Setting> {
        let (_, matches) = self.typed.command();
        let source = matches.value_source(argument.get_id().as_str());
        if source == Some(ValueSource::CommandLine) {
            let (values, origin) = (Vec::new(), Origin::flag());
            Some(Setting { values, origin })
        } else if args::is_configurable(argument) {
            let environment = self.in_environment(argument);
            environment.or_else(|| self.in_file(argument, registry))
        } else {
            None
        }
    }

    fn in_environment(&self, argument: &Arg) -> Option<Setting> {
        let own = args::variable(argument);
        let mut old = OLD_NAMES.iter();
        let old = old.find(|(option, _)| argument.get_long() == Some(option));
        let names = [Some(own.as_str()), old.map(|(_, variable)| *variable)];
        names.into_iter().flatten().find_map(|name| {
            let values = vec![self.around.first(&[name])?.to_owned()];
            let origin = Origin::variable(name);
            Some(Setting { values, origin })
        })
    }

    fn in_file(&self, argument: &Arg, registry: Option<&str>) -> Option<Setting> {
        // What is about the process is meant for the process that sweeps.
        let is_meant = self
            .command()
            .is_none_or(|name| matches!(name, "sweep" | "serve"))
            || args::is_per_registry(argument);
        // The password itself can be in the environment, which no option stands for.
        let yields =
            argument.get_id() == "password_file" && self.around.first(&PASSWORDS).is_some();
        let file = self.file.as_ref().filter(|_| is_meant && !yields)?;
        file.setting(argument.get_long()?, registry).cloned()
    }
}

fn unusable((argument, setting): &Given, why: String) -> Error {
    Error::Option {
        option: argument.get_long().unwrap_or_default().to_owned(),
        origin: Some(setting.origin.clone()),
        why,
    }
}

impl<A> Resolved<A> {
    /// The options of the connection that were typed, and the file that was named, to be typed again: a space
    /// before each. None of them holds a secret.
    pub(in crate::cli) fn typed(&self, sources: &Sources) -> String {
        let mut typed = String::new();
        let options = sources.declared.get_arguments();
        for option in options.filter(|option| args::is_to_be_repeated(option)) {
            let long = option.get_long().unwrap_or_default();
            let origin = self.origins.get(long);
            if origin.is_none_or(|origin| origin.rank != Rank::Flag) {
                continue;
            }
            let _ = write!(typed, " --{long}");
            let values = self.matches.get_raw(option.get_id().as_str());
            if option.get_action().takes_values()
                && let Some(value) = values.and_then(|mut values| values.next())
            {
                let _ = write!(typed, " {}", quote(&value.to_string_lossy()));
            }
        }
        typed
    }

    /// Adds to an error about an option where its value stands.
    pub(in crate::cli) fn locate(&self, error: Error) -> Error {
        match error {
            Error::Option { option, why, .. } => Error::Option {
                origin: self.origins.get(&option).cloned(),
                option,
                why,
            },
            other => other,
        }
    }
}

/// What the parser says against a value that was not typed: where it stands, and what is allowed.
fn explain(error: &clap::Error, command: &clap::Command, given: &[Given]) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let value = without_login(&shorten(context(ContextKind::InvalidValue), 100));
    let why = match (
        error.get(ContextKind::ValidValue),
        std::error::Error::source(error),
    ) {
        (Some(ContextValue::Strings(allowed)), _) if !allowed.is_empty() => {
            format!("`{value}` is not one of {}", allowed.join(", "))
        }
        (_, Some(source)) => format!("`{value}`: {source}"),
        _ => error.kind().to_string(),
    };
    // The parser calls an option as it shows it.
    let about = context(ContextKind::InvalidArg);
    let mut arguments = command.get_arguments();
    let argument = arguments.find(|argument| argument.to_string() == about);
    let is_meant = |(one, _): &&Given| argument.is_some_and(|a| a.get_id() == one.get_id());
    match given.iter().find(is_meant) {
        Some(one) => unusable(one, why),
        None => Error::Usage(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
