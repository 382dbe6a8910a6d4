//! Guesses at what was meant: a command that was mistyped and so reads as a registry, and an image
//! where a registry is expected.

use clap::CommandFactory as _;

use super::args::Cli;
use super::error::Error;

/// Typing errors up to which a word is taken for another one.
const ERRORS: usize = 2;

/// Looks at what was given for a registry.
///
/// # Errors
///
/// If it was hardly meant for one: what it may have been meant for.
pub(super) fn registry(text: &str) -> Result<(), Error> {
    if let Some(command) = command(text) {
        return Err(Error::Usage(format!(
            "`{text}` is no command; did you mean `probe {command}`? (If it is a registry: \
             `https://{text}`)"
        )));
    }
    if is_image(text) {
        return Err(Error::Usage(format!(
            "`{text}` is an image, and a sweep takes registries; did you mean `probe verify {text}`?"
        )));
    }
    Ok(())
}

/// The command that is nearest to a word which is no address: those have a dot, a port or a scheme.
fn command(text: &str) -> Option<String> {
    if text.contains(['.', ':', '/']) {
        return None;
    }
    let commands = Cli::command();
    let names = commands.get_subcommands().map(clap::Command::get_name);
    let names = names.filter(|name| name.len() > ERRORS + 1);
    let distance = |name: &&str| strsim::osa_distance(name, text);
    let nearest = names.min_by_key(distance)?;
    (distance(&nearest) <= ERRORS).then(|| nearest.to_owned())
}

/// Whether there is a tag or digest behind a path, which no registry's address has.
fn is_image(text: &str) -> bool {
    let name = text.split_once("://").map_or(text, |(_, name)| name);
    let path = name.split_once('/').map_or("", |(_, path)| path);
    path.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_named() {
        for (typed, meant) in [
            ("verfy", "`probe verify`"),
            ("vreify", "`probe verify`"),
            ("docter", "`probe doctor`"),
            ("explan", "`probe explain`"),
            ("r.example/app:v1", "`probe verify r.example/app:v1`"),
            ("localhost:5000/team/app@sha256:0", "probe verify"),
            ("https://r.example/app:v1", "probe verify"),
        ] {
            let error = registry(typed).expect_err(typed).to_string();
            assert!(error.contains(meant), "{typed}: {error}");
        }
    }

    #[test]
    fn registries_are_left_alone() {
        for typed in [
            "localhost",
            "localhost:5000",
            "harbor",
            "registry",
            "nexus",
            "r",
            "verify.example",
            "https://verfy",
            "https://r.example/prefix",
            "[::1]:5000",
            "r.example:5000/prefix/",
        ] {
            assert!(registry(typed).is_ok(), "{typed}");
        }
    }
}
