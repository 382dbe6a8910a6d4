//! Who is let in: decides on each request by its credentials, before any handler sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoCertificate,
    NoCredentials,
}

/// Who may read the endpoints. Holds hashes only.
pub(super) struct Guard {
    users: BTreeMap<String, String>,
    tokens: Vec<[u8; 32]>,
    needs_certificate: bool,
    /// What each user's password was found to be, hashed, so that not every scrape costs a bcrypt.
    /// Never larger than `users`, and gone with the configuration that it is about.
    seen: Mutex<HashMap<String, [u8; 32]>>,
    /// One password at a time: guessing must not take all processors.
    bcrypt: Semaphore,
}

impl Guard {
    /// Users with the bcrypt hashes of their passwords, tokens as they are.
    pub(super) fn new(
        users: BTreeMap<String, String>,
        tokens: &[String],
        needs_certificate: bool,
    ) -> Self {
        Self {
            users,
            tokens: tokens
                .iter()
                .map(|token| sha256(token.as_bytes()))
                .collect(),
            needs_certificate,
            seen: Mutex::default(),
            bcrypt: Semaphore::new(1),
        }
    }

    /// Whether somebody gets in here who is asked for nothing, where he was asked for something.
    pub(super) fn is_looser_than(&self, other: &Self) -> bool {
        (other.needs_certificate && !self.needs_certificate)
            || (other.needs_credentials() && !self.needs_credentials())
    }

    fn needs_credentials(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }

    pub(super) async fn admit(
        self: &Arc<Self>,
        headers: &HeaderMap,
        is_certified: bool,
    ) -> Result<(), Refusal> {
        if self.needs_certificate && !is_certified {
            return Err(Refusal::NoCertificate);
        }
        if !self.needs_credentials() {
            return Ok(());
        }
        let header = headers.get(AUTHORIZATION).ok_or(Refusal::NoCredentials)?;
        let is_known = match Shown::read(header) {
            Some(Shown::Bearer(token)) => self.knows_token(&token),
            Some(Shown::Basic { user, password }) => self.knows_user(user, password).await,
            None => false,
        };
        is_known.then_some(()).ok_or(Refusal::NoCredentials)
    }

    /// Takes as long for each token, whichever is right.
    fn knows_token(&self, token: &[u8]) -> bool {
        let token = sha256(token);
        let equal = self.tokens.iter().map(|known| known.ct_eq(&token));
        equal
            .fold(subtle::Choice::from(0), |any, one| any | one)
            .into()
    }

    /// Takes as long for a user who is not known as for a wrong password.
    async fn knows_user(self: &Arc<Self>, user: String, password: Vec<u8>) -> bool {
        let Some((_, decoy)) = self.users.first_key_value() else {
            return false;
        };
        let digest = sha256(&password);
        if self.was_seen(&user, &digest) {
            return true;
        }
        let Ok(_one) = self.bcrypt.acquire().await else {
            return false;
        };
        let known = self.users.get(&user);
        let hash = known.unwrap_or(decoy).clone();
        let verified =
            tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let is_right = known.is_some() && verified.await.unwrap_or(false);
        if is_right {
            let mut seen = self.seen.lock();
            seen.insert(user, digest);
        }
        is_right
    }

    fn was_seen(&self, user: &str, digest: &[u8; 32]) -> bool {
        let seen = self.seen.lock();
        seen.get(user)
            .is_some_and(|known| known.ct_eq(digest).into())
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        if refusal == Refusal::NoCertificate {
            return (StatusCode::FORBIDDEN, "A client certificate is required.\n").into_response();
        }
        let text = "Credentials are required.\n";
        let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
        let mut challenge = |value| {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(WWW_AUTHENTICATE, value);
        };
        if !self.users.is_empty() {
            challenge("Basic realm=\"probe\", charset=\"UTF-8\"");
        }
        if !self.tokens.is_empty() {
            challenge("Bearer realm=\"probe\"");
        }
        response
    }
}

/// What an `Authorization` header says (RFC 7617, RFC 6750).
enum Shown {
    Basic { user: String, password: Vec<u8> },
    Bearer(Vec<u8>),
}

impl Shown {
    fn read(header: &HeaderValue) -> Option<Self> {
        let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.as_bytes().to_vec()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = base64::engine::general_purpose::STANDARD
            .decode(rest)
            .ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        Some(Self::Basic {
            user: String::from_utf8(pair[..colon].to_vec()).ok()?,
            password: pair[colon + 1..].to_vec(),
        })
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access(needs_certificate: bool) -> Arc<Guard> {
        let hash = |password: &str| bcrypt::hash(password, 4).expect("a hash");
        let users = [("alice", hash("wonderland")), ("bob", hash("builder"))];
        let users = users.map(|(name, hash)| (name.to_owned(), hash));
        let tokens = [TOKEN.to_owned(), "fedcba9876543210".to_owned()];
        Arc::new(Guard::new(users.into(), &tokens, needs_certificate))
    }

    pub(super) async fn admit(access: &Arc<Guard>, header: &str) -> bool {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            let value = HeaderValue::from_str(header).expect("a header");
            headers.insert(AUTHORIZATION, value);
        }
        access.admit(&headers, false).await.is_ok()
    }

    fn basic(pair: &str) -> String {
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        format!("Basic {pair}")
    }

    #[tokio::test]
    async fn those_who_are_known_are_let_in_and_nobody_else() {
        let access = access(false);
        for (header, expected) in [
            (basic("alice:wonderland"), true),
            (basic("bob:builder").replace("Basic", "bAsIc"), true),
            (basic("bob:wonderland"), false),
            // Unknown, with the password of the user whose hash stands in for his.
            (basic("mallory:wonderland"), false),
            (basic("alice:"), false),
            (basic("alice"), false),
            (basic(":wonderland"), false),
            (format!("Bearer {TOKEN}"), true),
            ("Bearer fedcba9876543210".to_owned(), true),
            ("Bearer 0123456789abcdeg".to_owned(), false),
            ("Bearer ".to_owned(), false),
            (format!("Token {TOKEN}"), false),
            ("Basic !".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(admit(&access, &header).await, expected, "{header}");
            // The second time by what was kept of the first.
            assert_eq!(admit(&access, &header).await, expected, "{header} again");
        }
        assert_eq!(access.seen.lock().len(), 2);
    }

    #[tokio::test]
    async fn a_password_that_was_seen_is_its_users_alone() {
        let access = access(false);
        assert!(admit(&access, &basic("alice:wonderland")).await);
        assert!(!admit(&access, &basic("bob:wonderland")).await);
        assert!(!admit(&access, &basic("alice:builder")).await);
    }

    #[tokio::test]
    async fn a_certificate_is_required_besides() {
        let access = access(true);
        let mut headers = HeaderMap::new();
        let token = HeaderValue::from_str(&format!("Bearer {TOKEN}")).expect("a header");
        headers.insert(AUTHORIZATION, token);
        let refused = access.admit(&headers, false).await;
        assert_eq!(refused, Err(Refusal::NoCertificate));
        assert_eq!(
            access.refuse(Refusal::NoCertificate).status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(access.admit(&headers, true).await, Ok(()));
    }

    #[test]
    fn less_than_before_is_looser() {
        let open = || Guard::new(BTreeMap::new(), &[], false);
        let by_token = || Guard::new(BTreeMap::new(), &[TOKEN.to_owned()], false);
        let certified = Guard::new(BTreeMap::new(), &[], true);
        assert!(open().is_looser_than(&by_token()));
        assert!(by_token().is_looser_than(&certified));
        assert!(!by_token().is_looser_than(&open()));
        assert!(!access(false).is_looser_than(&by_token()));
    }
}
