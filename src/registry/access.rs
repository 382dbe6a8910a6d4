//! How a registry is reached: its addresses, what it wants from a client, and its certificate.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::software::Identified;
use crate::oci::Repository;

/// How a person reaches a registry, as far as that belongs into a command: by its public name, or else as it
/// is dialled. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Access {
    /// What stands before a repository in image references: `HOST[:PORT]`, with `/PREFIX` where its public
    /// name has one.
    pub host: String,
    /// What stands before a repository in requests to its API: `https://HOST/v2/`, with the prefix.
    pub api: String,
    /// What the probe itself dials, as `SCHEME://HOST[:PORT]`: for what is said of requests, not for commands.
    pub dialled: String,
    /// Whether its certificate is to be verified: neither without TLS nor where the caller takes any.
    pub is_verified: bool,
    /// Whether it speaks TLS at all.
    pub is_encrypted: bool,
    /// What it wants from a client.
    pub login: Authentication,
    /// Which software it runs; `None` where nothing shows it.
    #[serde(skip)]
    pub software: Option<Identified>,
}

impl Access {
    /// What is said of a request, with what was dialled before the path: `GET http://registry:5000/v2/ answers
    /// 401`.
    #[must_use]
    pub fn dialled_in(&self, words: &str) -> String {
        let mut places = ["GET ", "HEAD "].iter().filter_map(|method| {
            let at = words.find(&format!("{method}/"))?;
            Some(at + method.len())
        });
        match places.next() {
            Some(at) => format!("{}{}{}", &words[..at], self.dialled, &words[at..]),
            None => words.to_owned(),
        }
    }

    /// The path of a repository as clients name it to the registry, which has the prefix.
    #[must_use]
    pub fn path(&self, repository: &Repository) -> String {
        match self.host.split_once('/') {
            Some((_, prefix)) => format!("{prefix}/{repository}"),
            None => repository.to_string(),
        }
    }
}

/// What a registry wants from a client that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "is", rename_all = "snake_case")]
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
    fn a_request_is_told_with_what_was_dialled() {
        let access = Access {
            dialled: "http://registry:5000".to_owned(),
            ..Access::default()
        };
        for (words, told) in [
            (
                "GET /v2/ answers 401",
                "GET http://registry:5000/v2/ answers 401",
            ),
            (
                "not whole: HEAD /v2/a/blobs/b",
                "not whole: HEAD http://registry:5000/v2/a/blobs/b",
            ),
            (
                "GET https://auth.example/token",
                "GET https://auth.example/token",
            ),
            ("nothing to do with /v2/", "nothing to do with /v2/"),
            ("", ""),
        ] {
            assert_eq!(access.dialled_in(words), told);
        }
    }

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
