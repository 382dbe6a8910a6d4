//! What the registry was asked, in order, and how it answered.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use crate::locked;
use crate::request::{Endpoint, Request};

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request itself, so that matchers and tests can look at any part of it.
    pub request: Request,
    /// The status of the answer; 0 when the connection was closed without one.
    pub status: u16,
    /// When it had been read.
    pub at: Instant,
}

impl Seen {
    /// `GET`, `HEAD`, …
    pub fn method(&self) -> &str {
        &self.request.method
    }

    /// The path as sent.
    pub fn path(&self) -> &str {
        &self.request.path
    }

    /// The query as sent.
    pub fn query(&self) -> &str {
        &self.request.query
    }

    /// The headers by lower-case name.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.request.headers
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.header(name)
    }

    /// What was asked for.
    pub fn endpoint(&self) -> Endpoint {
        self.request.endpoint
    }
}

impl std::fmt::Display for Seen {
    /// `GET /v2/app/tags/list?n=2 -> 200`, for the messages of failing tests.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.query().is_empty() { "" } else { "?" };
        write!(
            f,
            "{} {}{mark}{} -> {}",
            self.method(),
            self.path(),
            self.query(),
            self.status
        )
    }
}

/// The requests so far, and how many were being answered at once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    seen: Mutex<Vec<Seen>>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

impl Log {
    /// Notes a request that was read at `at`.
    pub(crate) fn note(&self, request: &Request, status: u16, at: Instant) {
        let mut request = request.clone();
        if request.endpoint == Endpoint::Upload {
            // Pushed layers are in storage already; once is enough.
            request.body.clear();
        }
        locked(&self.seen).push(Seen {
            request,
            status,
            at,
        });
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        locked(&self.seen).clone()
    }

    pub(crate) fn forget(&self) {
        locked(&self.seen).clear();
        self.peak.store(0, Ordering::Relaxed);
    }

    /// Counts a request as being answered until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// One request that is being answered.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Log);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
