//! What comes from outside the command line: the environment, the user, standard input, the terminal.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;

/// A value, so that settings can be tested.
pub(super) struct Surroundings {
    pub(super) environment: HashMap<String, String>,
    /// The number of the user that the process runs as, if it is known.
    pub(super) user_id: Option<u32>,
    /// Read only if `--password-stdin` asks for it, and then once.
    pub(super) stdin: LazyLock<io::Result<String>>,
}

impl Surroundings {
    /// Those of this process. Variables that are not text are left out: none of ours is otherwise.
    pub(super) fn of_process() -> Self {
        let variables = std::env::vars_os();
        let process = std::fs::metadata("/proc/self");
        Self {
            environment: variables
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            user_id: process.ok().map(|process| process.uid()),
            stdin: LazyLock::new(|| {
                let mut text = String::new();
                io::stdin().take(64 * 1024).read_to_string(&mut text)?;
                Ok(text)
            }),
        }
    }

    /// The value of the first of some variables that is set to something.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        let values = names.iter().filter_map(|name| self.environment.get(*name));
        values.map(String::as_str).find(|value| !value.is_empty())
    }

    /// Colour on a terminal that shows it, which standard output or error `is_terminal` says to be, unless
    /// NO_COLOR is set to something (no-color.org).
    pub(super) fn uses_color(&self, is_terminal: bool) -> bool {
        is_terminal && self.first(&["NO_COLOR"]).is_none() && !self.is_dumb()
    }

    /// Whether the terminal does not know escape sequences.
    pub(super) fn is_dumb(&self) -> bool {
        let term = self.environment.get("TERM");
        term.is_none_or(|term| term == "dumb")
    }
}

#[cfg(test)]
impl Surroundings {
    /// These variables, a line on standard input, and user 7.
    pub(super) fn with<'a>(variables: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter();
        let pairs = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            environment: pairs.collect(),
            user_id: Some(7),
            stdin: LazyLock::new(|| Ok("piped\n".to_owned())),
        }
    }
}
