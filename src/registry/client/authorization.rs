//! An `Authorization` header: how it came about, and for how long it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::secret::bearer_header;
use super::standing::{Standing, Test};
use super::token::Fetched;
use crate::registry::Unverified;

/// An `Authorization` header and how it came about.
#[derive(Clone)]
pub(crate) struct Authorization {
    pub(crate) header: HeaderValue,
    pub(crate) kind: AuthorizationKind,
    /// Whether it was refused when it was new, so that a refusal says nothing of its age. Clones share
    /// this, so that it is renewed in vain once and not for every request.
    is_refused_anyway: Arc<AtomicBool>,
    /// Of the login, where that itself is sent.
    pub(crate) standing: Option<Arc<Standing>>,
}

impl Authorization {
    pub(crate) fn new(header: HeaderValue, kind: AuthorizationKind) -> Self {
        Self {
            header,
            kind,
            is_refused_anyway: Arc::default(),
            standing: None,
        }
    }

    pub(crate) fn password(header: HeaderValue, standing: Arc<Standing>) -> Self {
        Self {
            standing: Some(standing),
            ..Self::new(header, AuthorizationKind::Basic)
        }
    }

    /// Whether a login is known to be right, or can be put to the test.
    pub(crate) fn may_be_sent_unasked(&self, ping_wants_password: bool) -> bool {
        self.standing.as_ref().is_none_or(|of| match of.test() {
            Test::Ping => of.is_taken() || ping_wants_password,
            Test::At(_) => true,
            Test::None => of.is_taken(),
        })
    }

    pub(crate) fn note_that_refusals_stand(&self) {
        self.is_refused_anyway.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_be_too_old(&self) -> bool {
        !self.is_refused_anyway.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthorizationKind {
    /// A user's password.
    Basic,
    /// A token that was issued to a user.
    Token,
    /// A token that was issued to nobody in particular.
    AnonymousToken,
}

/// An authorization at hand.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) authorization: Authorization,
    renew_at: Instant,
}

impl Kept {
    pub(crate) fn of(authorization: Authorization, lifetime: Duration) -> Self {
        Self {
            authorization,
            renew_at: Instant::now() + lifetime,
        }
    }

    pub(crate) fn issued(fetched: &Fetched) -> Result<Self, Unverified> {
        let header = bearer_header(&fetched.token)?;
        let kind = if fetched.is_anonymous {
            AuthorizationKind::AnonymousToken
        } else {
            AuthorizationKind::Token
        };
        // Renewed at three quarters of its life, by our own clock: services' clocks differ.
        let lifetime = fetched.lifetime.mul_f64(0.75);
        Ok(Self::of(Authorization::new(header, kind), lifetime))
    }

    pub(crate) fn is_usable(&self, refused: Option<&Authorization>) -> bool {
        let was_refused = refused.is_some_and(|r| r.header == self.authorization.header);
        let standing = self.authorization.standing.as_ref();
        let is_wrong = standing.is_some_and(|standing| standing.refusal().is_some());
        self.renew_at > Instant::now() && !was_refused && !is_wrong
    }
}
