//! The configuration that is in force, as a file that could be given in its place, with the source of
//! each value beside it.

use std::fmt::Write as _;

use clap::{Arg, ArgAction};

use super::sources::{PASSWORDS, Resolved, Sources};
use crate::cli::args::{self, SweepArgs};
use crate::cli::error::{Origin, without_login};

/// Prints what is about the process, and then for each registry what it would be swept with.
///
/// No secret is shown: of a password only where it comes from, of a URL not the login in it.
pub(super) fn render(
    sources: &Sources,
    process: &Resolved<SweepArgs>,
    named: &[(String, Origin)],
    registries: &[Resolved<SweepArgs>],
) -> String {
    let mut text = String::from("# What is in force, and where each value comes from.\n");
    let (own, shared): (Vec<_>, Vec<_>) = sources.options().partition(|a| args::is_per_registry(a));
    for option in shared {
        push(&mut text, "", option, process);
    }
    text.push_str("registries:\n");
    for ((address, origin), resolved) in named.iter().zip(registries) {
        let address = quoted(&without_login(address));
        let _ = writeln!(text, "  - registry: {address} # {}", origin.place);
        for option in &own {
            push(&mut text, "    ", option, resolved);
        }
        if let Some(source) = hidden_password(sources, resolved) {
            let _ = writeln!(text, "    # password: hidden, from {source}");
        }
    }
    text
}

/// One line, or none for an option that is not set.
fn push(text: &mut String, indent: &str, option: &Arg, resolved: &Resolved<SweepArgs>) {
    let (id, long) = (
        option.get_id().as_str(),
        option.get_long().unwrap_or_default(),
    );
    let raw = resolved.matches.get_raw(id).into_iter().flatten();
    let values: Vec<_> = raw
        .map(|value| quoted(&without_login(&value.to_string_lossy())))
        .collect();
    let value = match (option.get_action(), &values[..]) {
        (_, []) => return,
        (ArgAction::SetTrue, _) => resolved.matches.get_flag(id).to_string(),
        (ArgAction::Append, _) => format!("[{}]", values.join(", ")),
        (_, [value, ..]) => value.clone(),
    };
    let origin = resolved.origins.get(long);
    let place = origin.map_or("default", |origin| &origin.place);
    let _ = writeln!(text, "{indent}{long}: {value} # {place}");
}

/// Where a password comes from that no option shows.
fn hidden_password(sources: &Sources, resolved: &Resolved<SweepArgs>) -> Option<&'static str> {
    let connection = &resolved.args.connection;
    if connection.password_file.is_some() || connection.authfile.is_some() {
        return None;
    }
    let is_set = |name: &&&str| sources.around.first(&[name]).is_some();
    let variable = PASSWORDS.iter().find(is_set).copied();
    connection
        .password_stdin
        .then_some("--password-stdin")
        .or(variable)
}

/// Text as YAML: in quotes where it could be read as anything else.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@-".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "./".contains(c))
        && text.chars().all(is_plain)
        && !text.ends_with(':')
        && !text.eq_ignore_ascii_case("null");
    if is_word {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
