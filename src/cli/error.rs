//! Why the program cannot do its job: what cannot be used, and where that stands.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::registry::client::{ClientError, InvalidEndpoint};
use crate::yaml::Unusable;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The value of an option, or that it is given at all.
    #[error("{}: {why}", named(origin.as_ref(), option))]
    Option {
        option: String,
        /// `None` as long as nobody looked where it was given.
        origin: Option<Origin>,
        why: String,
    },
    #[error("{}", .1.in_file(.0))]
    File(PathBuf, Unusable),
    #[error(transparent)]
    Address(#[from] InvalidEndpoint),
    #[error("{0}: {1}")]
    Client(String, ClientError),
    #[error("`{0}` is not an image: expected HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST")]
    Image(String),
    /// There may be images, and none is known.
    #[error("{0}; --allow-unresolved accepts that")]
    Unresolved(String),
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// What is about no option or file.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// About an option, by its long name.
    pub(super) fn option(option: &str, why: impl fmt::Display) -> Self {
        Self::Option {
            option: option.to_owned(),
            origin: None,
            why: why.to_string(),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) rank: Rank,
    /// The variable, or the file and its line.
    pub(super) place: String,
}

/// Which value wins over that of the option itself: the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The top of the file.
    Top,
    /// The registry's entry in the file.
    Entry,
    Environment,
    Flag,
}

impl Origin {
    pub(super) fn flag() -> Self {
        let (rank, place) = (Rank::Flag, "flag".to_owned());
        Self { rank, place }
    }

    pub(super) fn variable(name: &str) -> Self {
        let (rank, place) = (Rank::Environment, name.to_owned());
        Self { rank, place }
    }
}

/// An option by the name that it was given by.
fn named(origin: Option<&Origin>, option: &str) -> String {
    match origin {
        Some(Origin { rank, place }) if *rank < Rank::Environment => format!("{place}: `{option}`"),
        Some(Origin { rank, place }) if *rank < Rank::Flag => place.clone(),
        _ => format!("--{option}"),
    }
}

/// Reads a text file that an option names.
pub(super) fn read(path: &Path, option: &str) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Error::option(option, format_args!("{path} cannot be read: {error}"))
    })?;
    Ok(without_mark(text))
}

/// A text without the byte order mark that some editors put first.
pub(super) fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// A URL without the user and the password that may stand in it. The scheme may be missing.
pub(super) fn without_login(text: &str) -> String {
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
    fn an_option_is_named_as_it_was_given() {
        let error = |rank, place: &str| {
            let place = place.to_owned();
            let (option, why) = ("depth".to_owned(), "no".to_owned());
            let origin = Some(Origin { rank, place });
            Error::Option {
                option,
                origin,
                why,
            }
            .to_string()
        };
        assert_eq!(Error::option("depth", "no").to_string(), "--depth: no");
        assert_eq!(error(Rank::Flag, "flag"), "--depth: no");
        assert_eq!(error(Rank::Environment, "PROBE_DEPTH"), "PROBE_DEPTH: no");
        assert_eq!(error(Rank::Entry, "f:3"), "f:3: `depth`: no");
    }
}
