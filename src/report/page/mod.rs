//! The status page.

use std::time::SystemTime;

use crate::model::Record;

/// One registry.
pub struct Watch<'a> {
    /// What is known of it.
    pub record: &'a Record,
    /// What its loop does.
    pub phase: Phase,
}

/// What a loop does.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// A sweep runs.
    Sweeping {
        /// When it began.
        since: SystemTime,
    },
    /// None does.
    Waiting {
        /// When the next is due.
        until: SystemTime,
    },
}

/// The page.
#[must_use]
pub fn render(watches: &[Watch<'_>], _now: SystemTime) -> String {
    format!("{} registries", watches.len())
}

/// Its policy.
#[must_use]
pub fn content_security_policy() -> &'static str {
    "default-src 'none'"
}
