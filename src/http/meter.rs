//! What has been sent and received so far, and what the registry wants to be known.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::shorten;
use crate::registry::Traffic;

/// Counters that every clone of a registry shares.
#[derive(Default)]
pub(super) struct Meter {
    requests: AtomicU64,
    bytes: AtomicU64,
    notices: Mutex<BTreeSet<String>>,
}

/// Different warnings that are kept; a registry has one or two, if any.
const MOST_NOTICES: usize = 8;

impl Meter {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Keeps the text of `Warning: 299 - "text"`; other codes are a cache's (RFC 7234, 5.5).
    pub(super) fn warning(&self, header: &str) {
        let text = header
            .trim()
            .strip_prefix("299 ")
            .and_then(|rest| rest.split_once('"'));
        let Some((_, text)) = text else { return };
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() < MOST_NOTICES {
            notices.insert(shorten(text.trim_end().trim_end_matches('"'), 200));
        }
    }

    pub(super) fn notices(&self) -> Vec<String> {
        let notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.iter().cloned().collect()
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_kept_once_and_made_printable() {
        let meter = Meter::default();
        for header in [
            "299 - \"end of life\"",
            "299 - \"end of life\"",
            "110 - \"stale\"",
            "299",
            "299 - \"a\x1bb\"",
        ] {
            meter.warning(header);
        }
        assert_eq!(meter.notices(), ["a\u{fffd}b", "end of life"]);
    }
}
