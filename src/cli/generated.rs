//! What is made from the command line's own declaration: completions for shells, and manual pages.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::error::Error;
use super::exit::Exit;

/// The completions for a shell.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "probe", &mut text);
    text
}

/// Writes a manual page for the program and for each of its commands into a folder that is there.
pub(super) fn manual(folder: &Path) -> Result<Exit, Error> {
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
        let folder = folder.display();
        Error::Usage(format!(
            "manual pages cannot be written to {folder}: {error}"
        ))
    })?;
    Ok(Exit::Intact)
}
