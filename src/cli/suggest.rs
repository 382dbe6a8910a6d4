//! Guesses at what was meant: a command that reads as a registry, an image where a registry is expected, and
//! a variable that no option has.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::args::{self, Cli};
use super::error::{Error, without_login};
use super::surroundings::Surroundings;
use crate::oci::shorten;

/// Typing errors up to which a word is taken for another one.
const ERRORS: usize = 2;

/// What other programs call our commands.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("scan", "sweep"),
    ("check", "sweep"),
    ("test", "sweep"),
    ("run", "sweep"),
    ("start", "serve"),
    ("daemon", "serve"),
    ("inspect", "explain"),
    ("status", "doctor"),
    ("version", "--version"),
];

/// What other programs call our options.
const OTHER_OPTIONS: &[(&str, &str)] = &[
    ("--json", "--output json"),
    ("--format", "--output"),
    ("--insecure", "--insecure-skip-tls-verify"),
    ("--tls-verify", "--insecure-skip-tls-verify"),
    ("--cacert", "--ca-file"),
    ("--cert", "--client-cert"),
    ("--key", "--client-key"),
    ("--user", "--username"),
];

/// An error about what was typed, with the option in it that was meant. The nearest name is not always it.
pub(super) fn option(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(typed)) if error.kind() == ErrorKind::UnknownArgument => typed,
        _ => return error,
    };
    let name = typed.split('=').next().unwrap_or_default();
    if let Some((_, meant)) = OTHER_OPTIONS.iter().find(|(other, _)| *other == name) {
        let meant = ContextValue::String((*meant).to_owned());
        error.insert(ContextKind::SuggestedArg, meant);
        // It has the nearest name in it.
        error.remove(ContextKind::Usage);
    }
    error
}

/// Looks at what was typed for registries, where the first might be a command. `is_known` says whether the
/// configuration file has an entry of that name.
///
/// # Errors
///
/// If one was hardly meant for a registry: what it may have been meant for.
pub(super) fn registries(
    typed: &[String],
    may_be_command: bool,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    for (at, text) in typed.iter().enumerate() {
        if is_image(text) {
            return Err(Error::Usage(format!(
                "`{text}` is an image, and this takes registries; did you mean `probe verify {text}`?"
            )));
        }
        let is_local = text.split('/').next() == Some("localhost");
        if text.contains(['.', ':']) || is_local || is_known(text) {
            continue;
        }
        let command = (may_be_command && at == 0)
            .then(|| command(text, typed))
            .flatten();
        if may_be_command && at == 0 && Cli::command().find_subcommand(text).is_some() {
            return Err(Error::Usage(format!(
                "`{text}` is a command, and comes before all options: `probe {text} --...`"
            )));
        }
        let text = shorten(text, 80);
        return Err(Error::Usage(match command {
            Some(command) => format!(
                "`{text}` is no command; did you mean `probe {command}`? (If it is a registry: \
                 `https://{text}`)"
            ),
            None => {
                format!("`{text}` is no registry; if it is the name of a host: `https://{text}`")
            }
        }));
    }
    Ok(())
}

/// The command that is meant by the first of some words.
fn command(word: &str, typed: &[String]) -> Option<String> {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == word);
    let commands = Cli::command();
    let names = commands.get_subcommands().map(clap::Command::get_name);
    let names = names.filter(|name| name.len() > ERRORS + 1);
    let name = other.map_or_else(|| nearest(word, names), |(_, name)| Some(*name))?;
    let rest: Vec<_> = typed[1..].iter().map(|text| without_login(text)).collect();
    let name = match rest.first() {
        Some(first) if name == "sweep" && is_image(first) => "verify",
        _ => name,
    };
    Some(shorten(
        [&[name.to_owned()], &rest[..]].concat().join(" ").trim(),
        200,
    ))
}

/// Of some names the one that was meant, if it is near.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.map(|name| (strsim::osa_distance(name, word), name));
    let (distance, name) = distances.min()?;
    (distance <= ERRORS).then_some(name)
}

/// Whether there is a tag or digest behind a path, which no registry's address has.
fn is_image(text: &str) -> bool {
    let name = text.split_once("://").map_or(text, |(_, name)| name);
    let path = name.split_once('/').map_or("", |(_, path)| path);
    path.contains([':', '@'])
}

/// What is said of variables that look like ours and are none.
pub(super) fn variables(around: &Surroundings) -> Vec<String> {
    let command = Cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let options = commands.flat_map(clap::Command::get_arguments);
    let options =
        options.filter(|option| args::is_configurable(option) || option.get_id() == "config");
    let mut known: BTreeSet<_> = options.map(args::variable).collect();
    known.extend(["PROBE_REGISTRY", "PROBE_PASSWORD"].map(str::to_owned));
    let names: BTreeSet<_> = around.environment.keys().map(String::as_str).collect();
    let unknown = names.into_iter().filter(|name| {
        name.starts_with("PROBE_") && !known.contains(*name) && !is_of_kubernetes(name)
    });
    unknown
        .map(
            |name| match nearest(name, known.iter().map(String::as_str)) {
                Some(nearest) => {
                    format!("{} is not read; did you mean {nearest}?", shorten(name, 80))
                }
                None => format!("{} is not read: no option is called so", shorten(name, 80)),
            },
        )
        .collect()
}

/// Whether Kubernetes sets it in every pod, for a Service whose name begins with `probe`.
fn is_of_kubernetes(name: &str) -> bool {
    let parts = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];
    parts.iter().any(|part| name.contains(part)) || name.ends_with("_PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(typed: &[&str]) -> Result<(), String> {
        let typed: Vec<_> = typed.iter().map(|text| (*text).to_owned()).collect();
        registries(&typed, true, |name| name == "entry").map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_the_file_has_is_a_registry() {
        assert_eq!(said(&["entry"]), Ok(()));
        assert!(said(&["enrty"]).is_err());
    }

    #[test]
    fn what_was_meant_is_named() {
        for (typed, meant) in [
            (&["verfy", "r.example/a"][..], "`probe verify r.example/a`"),
            (&["vreify"], "`probe verify`"),
            (&["docter"], "`probe doctor`"),
            (&["explan"], "`probe explain`"),
            (&["server", "r.example"], "`probe serve r.example`"),
            (&["scan", "r.example"], "`probe sweep r.example`"),
            (&["check", "r.example:5000"], "`probe sweep r.example:5000`"),
            (
                &["check", "r.example/a:v1"],
                "`probe verify r.example/a:v1`",
            ),
            (
                &["check", "https://u:hunter2@r.example"],
                "`probe sweep https://hidden@r",
            ),
            (&["version"], "`probe --version`"),
            (
                &["harbor"],
                "is no registry; if it is the name of a host: `https://harbor`",
            ),
            (&["team/app"], "`https://team/app`"),
            (&["r.example", "verfy"], "is no registry"),
            (&["r.example/app:v1"], "`probe verify r.example/app:v1`"),
            (&["localhost:5000/team/app@sha256:0"], "probe verify"),
            (&["https://r.example/app:v1"], "probe verify"),
        ] {
            let error = said(typed).expect_err("a mistake");
            assert!(error.contains(meant), "{typed:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn registries_are_left_alone() {
        for typed in [
            "localhost",
            "localhost/prefix",
            "localhost:5000",
            "registry:5000",
            "verify.example",
            "https://verfy",
            "https://r.example/prefix",
            "[::1]:5000",
            "r.example:5000/prefix/",
        ] {
            assert_eq!(said(&[typed]), Ok(()), "{typed}");
        }
    }

    #[test]
    fn a_variable_that_no_option_has_is_told() {
        let said = |name: &str| variables(&Surroundings::with(&[(name, "1"), ("PROBER", "")]));
        for (name, expected) in [
            (
                "PROBE_REPOO",
                "PROBE_REPOO is not read; did you mean PROBE_REPO?",
            ),
            ("PROBE_REGISTRYS", "did you mean PROBE_REGISTRY?"),
            ("PROBE_EXPECT_DIGETS", "did you mean PROBE_EXPECT_DIGEST?"),
            ("PROBE_SOMETHING_ELSE", "no option is called so"),
        ] {
            let said = said(name).join("\n");
            assert!(said.contains(expected), "{name}: {said}");
        }
        for name in [
            "PROBE_REPO",
            "PROBE_CONFIG",
            "PROBE_PASSWORD",
            "PROBE_WAIT",
            "PROBE_SERVICE_HOST",
            "PROBE_SERVICE_PORT_HTTP",
            "PROBE_PORT",
            "PROBE_PORT_9464_TCP_ADDR",
            "PROBE_CANARY_SERVICE_HOST",
        ] {
            assert_eq!(said(name), [""; 0], "{name}");
        }
    }
}
