//! Secrets, by type: what holds one cannot be printed. And the logins and headers that they go into.

use std::fmt;

use base64::Engine as _;
use reqwest::header::HeaderValue;

use crate::registry::{Unverified, UnverifiedReason};

/// A password or token. It has no `Display`, and `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the header or form that it is meant for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What to prove who we are with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Credentials {
    Password {
        username: String,
        password: Secret,
    },
    /// An OAuth2 refresh token, which only a token service takes. A user and a password may stand beside it, for a
    /// registry that has none.
    IdentityToken {
        token: Secret,
        beside: Option<(String, Secret)>,
    },
    /// A token that is sent as it is.
    RegistryToken(Secret),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[credentials]")
    }
}

/// `Authorization: Basic` for a user and a password (RFC 7617).
pub(crate) fn basic_header(username: &str, password: &Secret) -> Result<HeaderValue, Unverified> {
    let pair = format!("{username}:{}", password.reveal());
    header(&format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    ))
}

/// `Authorization: Bearer` for a token (RFC 6750).
pub(crate) fn bearer_header(token: &Secret) -> Result<HeaderValue, Unverified> {
    scheme_header("Bearer", token)
}

/// `Authorization` of another scheme.
pub(crate) fn scheme_header(scheme: &str, secret: &Secret) -> Result<HeaderValue, Unverified> {
    header(&format!("{scheme} {}", secret.reveal()))
}

fn header(text: &str) -> Result<HeaderValue, Unverified> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        Unverified::new(
            UnverifiedReason::Protocol,
            "a token or password cannot be sent in a header",
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}
