//! What keeps a question from an answer: a closed set of reasons, and what a person can do about each.

use std::fmt;

use serde::Serialize;

use crate::oci::Printable;
use crate::words::words;

words! {
    /// Why something could not be verified.
    UnverifiedReason {
        /// No answer in time.
        Timeout = "timeout",
        /// No connection, or one that was cut.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The host's name did not resolve.
        Dns = "dns",
        /// The registry wants (other) credentials.
        Unauthorized = "unauthorized",
        /// The credentials do not allow this.
        Forbidden = "forbidden",
        /// The storage that the registry redirects to refuses it (403), which S3 does with what is not there, too.
        StorageRefused = "storage_refused",
        /// The registry says that it does not know the repository.
        UnknownRepository = "unknown_repository",
        /// The registry asks for fewer requests.
        RateLimited = "rate_limited",
        /// The registry itself is in trouble (5xx, and not on one object alone).
        RegistryError = "registry_error",
        /// The answer makes no sense as one of a registry.
        Protocol = "protocol",
        /// The sweep's time was up.
        Deadline = "deadline",
        /// The sweep was told to stop.
        Cancelled = "cancelled",
        /// The answer is larger than any that this program is willing to read.
        TooLarge = "too_large",
        /// Many objects of several repositories were asked for, and not one was there.
        StorageUnavailable = "storage_unavailable",
        /// There was nothing to check, which is also what a registry answers that lost its store.
        NothingListed = "nothing_listed",
        /// Bytes of blobs were not read for more than twice the time in which all of them are to be read.
        ReadOverdue = "read_overdue",
        /// The report of a shard is missing, or does not belong to those that it was merged with.
        ShardsIncomplete = "shards_incomplete",
    }
}

/// What kept us from finding out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unverified {
    /// The reason, as one word.
    pub reason: UnverifiedReason,
    /// What happened, for a reader; free of secrets.
    pub detail: Printable,
    /// What a person can do about this one, where more is known than its reason.
    #[serde(skip)]
    pub advice: Option<Printable>,
}

impl Unverified {
    /// An unverified reason with its detail.
    #[must_use]
    pub fn new(reason: UnverifiedReason, detail: impl Into<Printable>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            advice: None,
        }
    }

    /// The same with what a person can do about it.
    #[must_use]
    pub fn advised(mut self, advice: Option<impl Into<Printable>>) -> Self {
        self.advice = advice.map(Into::into).or(self.advice);
        self
    }

    /// The same, with what was being done before the detail.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        let detail = format!("{what}: {}", self.detail).into();
        Self { detail, ..self }
    }

    /// Adds `words` to the detail.
    pub fn extend(&mut self, words: &str) {
        // Rather the beginning is cut than what is added.
        let room = Printable::LONGEST.saturating_sub(words.len() + 1);
        let detail = Printable::cut(&self.detail, room);
        self.detail = format!("{detail}{words}").into();
    }

    /// Whether asking again might help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use UnverifiedReason as R;
        match self.reason {
            // A restart, a fail-over or a lost packet passes; so does a limit.
            R::Timeout | R::Connect | R::Dns | R::RateLimited | R::RegistryError => true,
            // The same certificate, credential or page comes back; and our own limits do not move.
            R::Tls
            | R::Unauthorized
            | R::Forbidden
            | R::StorageRefused
            | R::UnknownRepository
            | R::Protocol
            | R::Deadline
            | R::Cancelled
            | R::TooLarge
            | R::StorageUnavailable
            | R::NothingListed
            | R::ReadOverdue
            | R::ShardsIncomplete => false,
        }
    }

    /// Whether another look may come to something else.
    #[must_use]
    pub fn may_change(&self) -> bool {
        use UnverifiedReason as R;
        !matches!(self.reason, R::TooLarge | R::Deadline | R::Cancelled)
    }

    /// Whether nothing was heard of the registry.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        use UnverifiedReason::{Connect, Dns, Timeout, Tls};
        matches!(self.reason, Connect | Dns | Timeout | Tls)
    }

    /// Whether the sweep ended before it asked.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        matches!(
            self.reason,
            UnverifiedReason::Deadline | UnverifiedReason::Cancelled
        )
    }

    /// Whether the registry answered, and refuses this to us.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use UnverifiedReason::{Forbidden, StorageRefused, Unauthorized};
        matches!(self.reason, Unauthorized | Forbidden | StorageRefused)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.advice.as_deref().unwrap_or_else(|| self.reason.hint())
    }
}

impl UnverifiedReason {
    /// What a person can do where no more than the reason is known.
    #[must_use]
    pub fn hint(self) -> &'static str {
        use UnverifiedReason as R;
        match self {
            R::Timeout => "raise --timeout, lower --concurrency, or look at the registry's load",
            R::Connect => {
                "check that the registry runs, that its host and port are right, and the proxy that HTTP_PROXY or \
                 HTTPS_PROXY names, if one does"
            }
            R::Tls => "look at the TLS settings of the registry, or of the proxy before it",
            R::Dns => "check the registry's host name and this machine's name server",
            R::Unauthorized => {
                "check the credentials: --username and --password-file, PROBE_USERNAME and PROBE_PASSWORD, or the \
                 docker config that holds this registry's login"
            }
            R::Forbidden => {
                "check the repository's name, and that these credentials may pull from it; or leave \
                 it out"
            }
            R::StorageRefused => {
                "look for the object in the storage: without s3:ListBucket, S3 says 403 also for what is not there; \
                 give the registry's role that permission, and an absence is told as one"
            }
            R::UnknownRepository => {
                "check the repository's name, and that these credentials may see it; or leave it out"
            }
            R::RateLimited => "lower --concurrency, or sweep less often",
            R::RegistryError => "look at the registry's own log and at its storage",
            R::Protocol => {
                "check that the address is a registry's and not a proxy's or login page's"
            }
            R::Deadline => "raise --deadline, or sweep fewer repositories at a time",
            R::Cancelled => "run it again, and let it come to its end",
            R::TooLarge => "look at who pushed this: no image needs it",
            R::StorageUnavailable => {
                "check that the registry's storage is mounted and is the one it had; no image is lost if it is \
                 not"
            }
            R::NothingListed => {
                "check the filters, the credentials and the registry's storage; say --allow-empty if there is \
                 nothing to check"
            }
            R::ReadOverdue => {
                "let sweeps run to their end: raise --deadline, or --read-every if the registry is too large for it"
            }
            R::ShardsIncomplete => {
                "sweep the shards that are missing with the same --run-id, and merge the reports of that one run"
            }
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unverified_reason_says_what_to_do() {
        for &reason in UnverifiedReason::ALL {
            assert!(!Unverified::new(reason, "x").hint().is_empty());
        }
    }
}
