//! What a hostile input must not do, parser by parser: a table of functions that take any bytes and
//! panic where a promise is broken. Fuzzers call them, and so do the tests, with the seeds of `fuzz/corpus`.

#[cfg(test)]
mod mutants;
#[cfg(test)]
mod replay;

/// A function that takes any bytes.
type Check = fn(&[u8]);

/// The targets, by the names of their programs in `fuzz` and of their folders in `fuzz/corpus`.
const TARGETS: &[(&str, Check)] = &[
    ("document", crate::sweep::fuzzing::document),
    ("challenge", crate::registry::client::fuzzing::challenge),
    ("link", crate::registry::client::fuzzing::link),
    (
        "docker_config",
        crate::registry::client::fuzzing::docker_config,
    ),
    ("image", crate::cli::fuzzing::image),
    (
        "content_range",
        crate::registry::client::fuzzing::content_range,
    ),
    ("envelope", crate::registry::client::fuzzing::envelope),
    ("documents", crate::sources::documents::fuzzing::documents),
    ("names", crate::oci::fuzzing::names),
    ("redirect", crate::registry::client::fuzzing::redirect),
    ("token", crate::registry::client::fuzzing::token),
    ("retry_after", crate::registry::client::fuzzing::retry_after),
    ("page", crate::registry::client::fuzzing::page),
    ("certificate", crate::registry::client::fuzzing::certificate),
    ("state", crate::render::fuzzing::state),
    ("report", crate::render::fuzzing::report),
    ("gateway", crate::render::fuzzing::gateway),
];

/// Gives `input` to a target.
///
/// # Panics
///
/// If the program does with it what it must not, or if there is no such target.
pub fn check(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    check(input);
}
