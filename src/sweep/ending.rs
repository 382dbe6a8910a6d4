//! The end of a sweep: what was not reached, and what its parts know that the report says.

use super::ledger::Ending;
use super::owner::Crawl;
use crate::registry::{Registry, Unverified};
use crate::report::Sweep;

impl<R: Registry> Crawl<'_, R> {
    /// Ends the sweep, with what is left to ask put down to `cut_short`.
    pub(super) fn finish(mut self, cut_short: Option<Unverified>) -> Sweep {
        if let Some(why) = &cut_short {
            self.take_back_what_was_not_vetted(why);
            if self.is_in_doubt {
                self.ledger.listing_failed(why.clone());
            }
            for open in std::mem::take(&mut self.walks).into_iter().flatten() {
                let walked = self.end(open, Some(why));
                self.ledger.cut_short(walked, why);
            }
            for walked in std::mem::take(&mut self.doubtful) {
                self.ledger.cut_short(walked, why);
            }
            for task in std::mem::take(&mut self.waiting) {
                match task.before {
                    Some(before) => self.ledger.cut_short(*before, why),
                    None => self.ledger.not_reached(task.repository, why),
                }
            }
        }
        for notice in self.registry.notices() {
            self.ledger.warn(&notice);
        }
        if let Some(warning) = self.reading.warning() {
            self.ledger.warn(&warning);
        }
        let is_whole = cut_short.is_none() && !self.ledger.has_trouble();
        self.recall.end(is_whole);
        let read = self.reading.end(is_whole);
        if let Some(why) = read.overdue() {
            self.ledger.obstruct(None, &why);
        }
        let ending = Ending {
            access: self.registry.access(),
            traffic: self.registry.traffic(),
            certificate_expires_at: self.registry.certificate_end(),
            read,
        };
        self.ledger.close(ending, cut_short)
    }
}
