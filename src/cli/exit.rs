//! What the process ends with.

use super::args::FailOn;
use crate::report::{Report, Verdict};

/// How a run ended, and the exit code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything in scope is intact, or what is not was not to count.
    Intact,
    /// Something is broken.
    Broken,
    /// The command line, the environment or a file is not usable.
    Usage,
    /// Not everything could be verified, and nothing is known to be broken.
    Unverified,
    /// Interrupted by SIGINT.
    Interrupted,
    /// Ended by SIGTERM.
    Terminated,
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Intact => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Unverified => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What some sweeps come to together. Broken wins over unverified, what is remembered as broken
    /// and could not be verified again is broken, and a result that could not be
    /// handed on is as good as none. What documents name or pods run and could not be judged is not verified.
    pub(super) fn of(reports: &[&Report], is_published: bool, fail_on: &[FailOn]) -> Self {
        let is_broken =
            |report: &&Report| report.verdict == Verdict::Broken || !report.remembered.is_empty();
        let is_source_away = |report: &&Report| {
            let in_use = report.sweep.in_use.as_ref();
            in_use.is_some_and(|in_use| in_use.away.is_some())
        };
        let is_unverified =
            |report: &&Report| !report.complete || report.sweep.others_unverified() > 0;
        let counts = |what| fail_on.contains(&what) && !fail_on.contains(&FailOn::Never);
        if counts(FailOn::Broken) && reports.iter().any(is_broken) {
            Self::Broken
        } else if (counts(FailOn::Unverified)
            && (!is_published || reports.iter().any(is_unverified)))
            || (counts(FailOn::InUseSource) && reports.iter().any(is_source_away))
        {
            Self::Unverified
        } else {
            Self::Intact
        }
    }
}
