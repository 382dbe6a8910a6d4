//! What a registry lets its clients know beside its answers: warnings, and how long its certificate
//! is good for.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::SystemTime;

use parking_lot::Mutex;
use reqwest::Response;
use reqwest::header::WARNING;
use reqwest::tls::TlsInfo;

use super::certificate;
use crate::oci::shorten;

/// Different warnings that are kept; a registry has one or two, if any.
const MOST_NOTICES: usize = 8;

/// What one client of a registry was told so far.
#[derive(Default)]
pub(super) struct Warnings {
    warnings: Mutex<BTreeSet<String>>,
    certificate_end: OnceLock<Option<SystemTime>>,
}

impl Warnings {
    /// Takes note of what an answer says. `is_own` tells the registry's own answers from those of
    /// the storage that it redirects to.
    pub(super) fn note(&self, response: &Response, is_own: bool) {
        for warning in response.headers().get_all(WARNING) {
            self.warning(warning.to_str().unwrap_or_default());
        }
        if is_own && let Some(tls) = response.extensions().get::<TlsInfo>() {
            // Connections of one sweep are served by one certificate, mostly: one is read.
            self.certificate_end
                .get_or_init(|| certificate::read(tls).map(|read| read.not_after));
        }
    }

    /// Keeps the text of `Warning: 299 - "text"`; other codes are a cache's (RFC 7234, 5.5).
    fn warning(&self, header: &str) {
        let text = header
            .trim()
            .strip_prefix("299 ")
            .and_then(|rest| rest.split_once('"'));
        let Some((_, text)) = text else { return };
        let mut warnings = self.warnings.lock();
        if warnings.len() < MOST_NOTICES {
            warnings.insert(shorten(text.trim_end().trim_end_matches('"'), 200));
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.lock();
        warnings.iter().cloned().collect()
    }

    pub(super) fn certificate_end(&self) -> Option<SystemTime> {
        self.certificate_end.get().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_kept_once_and_made_printable() {
        let notices = Warnings::default();
        for header in [
            "299 - \"end of life\"",
            "299 - \"end of life\"",
            "110 - \"stale\"",
            "299",
            "299 - \"a\x1bb\"",
        ] {
            notices.warning(header);
        }
        assert_eq!(notices.warnings(), ["a\u{fffd}b", "end of life"]);
    }
}
