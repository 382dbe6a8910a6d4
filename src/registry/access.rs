//! How a registry is reached: its addresses, what it wants from a client, and its certificate.

use std::time::{Duration, SystemTime};

use super::software::Identified;

/// How a registry is reached, as far as that belongs into a command. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its name in image references, as `HOST[:PORT]`.
    pub host: String,
    /// The address of its API, which ends in `/v2/`.
    pub api: String,
    /// Whether its certificate is to be verified: neither without TLS nor where the caller takes any.
    pub is_verified: bool,
    /// Whether it speaks TLS at all.
    pub is_encrypted: bool,
    /// What it wants from a client.
    pub login: Authentication,
    /// Which software it runs; `None` where nothing shows it.
    pub software: Option<Identified>,
}

/// What a registry wants from a client that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing, as far as was seen.
    #[default]
    Open,
    /// A user's password with every request.
    Password,
    /// A token, by the specification of distribution (spec/auth/token.md).
    Token {
        /// The token service's address.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
    },
}

/// A server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, such as `CN=registry.example`.
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// Until when.
    pub not_after: SystemTime,
}

/// A day, as certificates count their lives.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Certificate {
    /// Whole days from `now` to its end; `None` if that has passed.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> Option<u64> {
        let left = self.not_after.duration_since(now).ok()?;
        Some(left.as_secs() / DAY.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_end() {
        let now = SystemTime::UNIX_EPOCH + 100 * DAY;
        let left = |not_after| {
            let name = String::new;
            let certificate = Certificate {
                subject: name(),
                issuer: name(),
                not_after,
            };
            certificate.days_left(now)
        };
        assert_eq!(left(now + 3 * DAY + Duration::from_secs(9)), Some(3));
        assert_eq!(left(now), Some(0));
        assert_eq!(left(now - Duration::from_secs(1)), None);
    }
}
