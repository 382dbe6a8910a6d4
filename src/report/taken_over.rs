//! What the next sweep takes over: since when something is broken, what it does not clear because it was not asked or
//! not answered, and what is attached to images.

use super::finding::{Bracket, Finding};
use super::mode::Mode;
use super::outcome::Reason;
use super::record::{Known, Record, is_same};
use super::referrers::{self, SeenReferrers};
use super::sweep::{Listed, Sweep};
use crate::oci::Digest;

impl Known {
    /// Since when something is broken that was just found so.
    pub(super) fn bracket(&self, finding: &Finding) -> Bracket {
        let known = self.findings.iter().find(|known| is_same(known, finding));
        known.map_or(
            Bracket {
                last_intact: self.last_verified,
                first_broken: None,
            },
            |known| known.bracket,
        )
    }

    /// The known findings that a sweep of the repository with these `findings` does not clear.
    pub(super) fn kept(&self, sweep: &Sweep, findings: &[Finding]) -> Vec<Finding> {
        // A sweep that asked for no image clears none.
        let is_of_lists =
            sweep.mode == Mode::PullThrough && !matches!(sweep.listed, Listed::Images(_));
        let is_unasked =
            |old: &Finding| is_of_lists && !sweep.mode.excuses(old.kind, old.defect.reason);
        // Nobody knows of what is attached to images whether it is still so.
        let referrers = sweep.referrers.as_ref();
        let is_unanswered = |old: &Finding| {
            let is_new = || findings.iter().any(|new| is_same(new, old));
            // Nor does a sweep know that did not ask.
            let is_unknown = || referrers.is_none_or(|seen| seen.is_unanswered(old));
            old.is_of_referrers() && is_unknown() && !is_new()
        };
        let known = self.findings.iter();
        let kept = known.filter(|old| is_unasked(old) || is_unanswered(old));
        kept.cloned().collect()
    }
}

impl Record {
    /// Notes what is attached to images, and says what is not any more.
    pub(super) fn remember_referrers(&mut self, sweep: &mut Sweep) {
        let (now, results) = (sweep.finished_at, &sweep.repositories);
        let Some(seen) = &mut sweep.referrers else {
            return;
        };
        let known = self.repositories.values();
        let mut room = referrers::room(known.map(|known| known.referrers.len()).sum());
        let mut is_cut = false;
        for result in results {
            let Some(known) = self.repositories.get_mut(&result.name) else {
                continue;
            };
            let here = seen.seen.remove(&result.name);
            // Of one that was not asked about, there is nothing to remember any more.
            let here = here.unwrap_or_else(|| SeenReferrers {
                is_all: result.unverified == 0,
                ..SeenReferrers::default()
            });
            is_cut |= here.is_cut;
            let is_all = here.is_all && !here.is_cut;
            let findings = &known.findings;
            let is_held = |image: &Digest| {
                let mut missing = findings
                    .iter()
                    .filter(|known| known.defect.reason == Reason::ReferrerMissing);
                missing.any(|known| known.digest.as_ref() == Some(image))
            };
            let images = (&result.name, here.images.as_slice());
            let known = &mut known.referrers;
            let lost = referrers::remember(known, images, is_all, is_held, now, &mut room);
            seen.lost.extend(lost);
        }
        self.has_no_room = is_cut || room == 0;
        if seen.unanswered == 0 && sweep.is_complete() {
            self.referrers_at = Some(now);
        }
        if let Some(seen) = &mut sweep.referrers {
            seen.answered_at = self.referrers_at;
            sweep.warnings.extend(seen.warnings());
            let no_room = self.has_no_room.then(referrers::no_room);
            sweep.warnings.extend(no_room);
        }
    }
}
