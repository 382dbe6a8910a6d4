//! What a sweep or an examination came to, for people and for programs: each report is a pure
//! function of `Sweep` or `Examination` values, with no clock, no environment and no output of its
//! own.

pub mod explain;
pub mod github;
pub mod json;
pub mod json_explain;
pub mod json_state;
pub mod junit;
pub mod metrics;
pub mod page;
pub mod text;

mod broken;
mod exposed;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/render.rs"]
pub(crate) mod fuzzing;
mod hint;
mod json_repair;
pub(crate) mod lines;
mod remembered;
mod repair;
mod requests;
mod scope;
mod shell;
mod unknown;
pub(crate) mod words;

pub use hint::hint;

use std::collections::BTreeSet;

use crate::oci::{Repository, Tag};
use crate::report::{Listed, Sweep, UnverifiedObjects};

/// Everything without a verdict, the listing included: a report that says "unverified" must
/// always be able to say why.
fn unverified(sweep: &Sweep) -> Vec<UnverifiedObjects> {
    let mut groups = sweep.unverified.clone();
    if let Listed::Failed(why) = &sweep.listed {
        let told = groups
            .iter()
            .any(|group| group.repository.is_none() && group.why.reason == why.reason);
        if !told {
            let why = why.clone();
            groups.push(UnverifiedObjects {
                repository: None,
                why,
                count: 1,
            });
        }
    }
    groups
}

/// The repositories that hold something broken.
fn broken_repositories(sweep: &Sweep) -> BTreeSet<&Repository> {
    sweep
        .findings
        .iter()
        .map(|finding| &finding.repository)
        .collect()
}

/// The tags that something broken breaks. A tag that is broken twice is one tag.
fn broken_tags(sweep: &Sweep) -> BTreeSet<(&Repository, &Tag)> {
    sweep
        .findings
        .iter()
        .flat_map(|finding| finding.tags.iter().map(|tag| (&finding.repository, tag)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_listing_is_told_once_whoever_told_it() {
        let told = fixture::unverified();
        let mut untold = told.clone();
        untold.unverified.clear();
        assert_eq!(unverified(&told), told.unverified);
        assert_eq!(unverified(&untold), told.unverified);
    }
}
