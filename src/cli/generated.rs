//! What is made from the command line's own declaration: completions for shells, and manual pages.

use std::path::Path;

use clap_complete::Shell;

use super::args;
use super::error::Error;
use super::exit::Exit;
use super::output::print;

const NAME: &str = "probe";

/// Prints what was asked for, which is all there is to do.
pub(super) fn told(text: &[u8]) -> Exit {
    if print(text) {
        Exit::Intact
    } else {
        Exit::Unverified
    }
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), NAME, &mut text);
    told(&text)
}

/// Writes a manual page for the program and for each of its commands into a folder that is there.
pub(super) fn manual(folder: &Path) -> Result<Exit, Error> {
    clap_mangen::generate_to(args::command(), folder).map_err(|error| {
        let folder = folder.display();
        Error::Usage(format!(
            "manual pages cannot be written to {folder}: {error}"
        ))
    })?;
    Ok(Exit::Intact)
}
