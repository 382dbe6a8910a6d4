//! What a sweep comes to in one word.

use super::documents::Unasked;
use super::sweep::{Listed, Sweep};
use crate::words::words;

words! {
    /// What a sweep comes to, in one word.
    Verdict {
        /// Everything in scope was reached and kept its promise.
        Intact = "intact",
        /// Something is broken; other things may be unverified besides.
        Broken = "broken",
        /// Nothing is known to be broken, and not everything could be verified.
        Unverified = "unverified",
    }
}

impl<F> Sweep<F> {
    /// What the sweep comes to: broken wins over unverified.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_use_broken = self.in_use.iter().any(|it| !it.findings.is_empty());
        if !self.findings.is_empty() || !self.unmet.is_empty() || is_use_broken {
            Verdict::Broken
        } else if self.is_complete() && self.others_unverified() == 0 {
            Verdict::Intact
        } else {
            Verdict::Unverified
        }
    }

    /// Images that others than the registry name and that could not be judged. They make no sweep incomplete.
    #[must_use]
    pub fn others_unverified(&self) -> usize {
        // While the source is away, what is known of it stays as it is.
        let in_use = self.in_use.iter().filter(|it| it.away.is_none());
        let in_use: usize = in_use.map(|it| it.unverified.len()).sum();
        let documents = self.documents.iter().filter_map(|it| it.unasked.as_ref());
        in_use + documents.flat_map(Unasked::lacking).count()
    }

    /// Whether everything in scope was reached.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unverified.is_empty() && !matches!(self.listed, Listed::Failed(_))
    }
}
