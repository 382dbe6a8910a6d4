//! What the checks share: the registry that is examined, and what was found so far.

use std::collections::BTreeMap;

use super::{Check, Examination, LONGEST_HEADER};
use crate::oci::{Repository, shorten};
use crate::registry::client::HttpRegistry;
use crate::registry::client::transcript::Head;

/// Headers of one registry that speak of limits. More would fill the page.
const MOST_LIMITS: usize = 8;

pub(super) struct Doctor<'a> {
    pub(super) registry: &'a HttpRegistry,
    pub(super) named: &'a [Repository],
    /// The options that it was reached by, as they are typed, a space before each.
    pub(super) options: &'a str,
    /// Headers that speak of rate limits.
    pub(super) limits: BTreeMap<String, String>,
    pub(super) found: Examination,
}

impl<'a> Doctor<'a> {
    pub(super) fn new(
        registry: &'a HttpRegistry,
        named: &'a [Repository],
        options: &'a str,
        found: Examination,
    ) -> Self {
        let limits = BTreeMap::new();
        Self {
            registry,
            named,
            options,
            limits,
            found,
        }
    }

    /// What was answered since the last time, of which the words about limits are kept: header names by
    /// draft-ietf-httpapi-ratelimit-headers, Docker Hub's, those with `X-` that many gateways send, and
    /// `Retry-After` (RFC 9110, 10.2.3).
    pub(super) fn heads(&mut self) -> Vec<Head> {
        let heads = self.registry.exchange.transcript.take();
        for (name, value) in heads.iter().flat_map(|head| &head.reply.headers) {
            let name = name.as_str();
            let kinds = ["ratelimit", "x-ratelimit", "retry-after"];
            let is_limit = kinds.iter().any(|kind| name.starts_with(kind));
            let has_room = self.limits.len() < MOST_LIMITS || self.limits.contains_key(name);
            if let Some(value) = value.to_str().ok().filter(|_| is_limit && has_room) {
                let value = shorten(value, LONGEST_HEADER);
                self.limits.insert(name.to_owned(), value);
            }
        }
        heads
    }

    pub(super) fn note(&mut self, check: Check) {
        self.found.checks.push(check);
    }
}
