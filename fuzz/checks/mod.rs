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
    ("document", crate::crawl::fuzzing::document),
    ("challenge", crate::http::fuzzing::challenge),
    ("link", crate::http::fuzzing::link),
    ("docker_config", crate::http::fuzzing::docker_config),
    ("image", crate::cli::fuzzing::image),
    ("content_range", crate::http::fuzzing::content_range),
    ("envelope", crate::http::fuzzing::envelope),
    ("names", crate::model::fuzzing::names),
    ("redirect", crate::http::fuzzing::redirect),
    ("token", crate::http::fuzzing::token),
    ("retry_after", crate::http::fuzzing::retry_after),
    ("page", crate::http::fuzzing::page),
    ("certificate", crate::http::fuzzing::certificate),
    ("state", crate::report::fuzzing::state),
    ("gateway", crate::report::fuzzing::gateway),
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
