//! The token service that a `Bearer` challenge names (distribution, spec/auth/token.md and
//! spec/auth/oauth.md).

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::challenge::BearerChallenge;
use super::classify::{self, Failure};
use super::clients::Clients;
use super::login::{LOG_IN, LOG_IN_ANEW};
use super::meter::{Asked, Meter};
use super::proxies::Proxies;
use super::rate_limiter::Pool;
use super::redirect::{MOST_REDIRECTS, redirect_target};
use super::resolver;
use super::secret::{Credentials, Secret, basic_header};
use super::ssrf_guard;
use super::way_out::Whose;
use crate::oci::shorten;
use crate::registry::{Unverified, UnverifiedReason};

/// Real tokens have a few kilobytes.
const LARGEST_ANSWER: usize = 256 * 1024;
/// How long a token lives whose service does not say (spec/auth/token.md).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// No token is kept for longer, whatever its service claims.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const RETRIES: usize = 2;

/// A client of token services.
pub(super) struct TokenService {
    pub(super) client: Clients,
    pub(super) timeout: Duration,
    /// The registry. If it is spoken to over https, so must be its token service.
    pub(super) registry: Url,
    pub(super) proxies: Arc<Proxies>,
    pub(super) meter: Meter,
    /// The service's own limits: what it refuses to one repository it is not asked for the next.
    pub(super) pool: Pool,
}

/// A token as it was issued.
pub(super) struct Fetched {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
    /// Whether it was issued to nobody in particular.
    pub(super) is_anonymous: bool,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

impl TokenService {
    /// Fetches a token for `scope`, anonymously if there are no credentials.
    pub(super) async fn fetch(
        &self,
        challenge: &BearerChallenge,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Fetched, Unverified> {
        let realm = vet(&self.registry, &challenge.realm)?;
        let fetch = || self.attempt(&realm, challenge, scope, credentials);
        let retries = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_jitter()
            .with_max_times(RETRIES);
        fetch
            .retry(retries)
            .when(Failure::may_pass)
            .await
            .map_err(|failure| failure.why)
    }

    async fn attempt(
        &self,
        realm: &Url,
        challenge: &BearerChallenge,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Fetched, Failure> {
        if let Some(Credentials::IdentityToken { token, .. }) = credentials {
            let form = self.form(realm, challenge, scope, token);
            match self.ask(realm, Method::POST, form).await? {
                Ok(fetched) => return Ok(fetched),
                // Services without OAuth2 answer so (containerd's authorizer falls back likewise).
                Err(400 | 401 | 404 | 405) => {}
                Err(status) => return Err(refused(realm, status, true)),
            }
        }
        let mut url = realm.clone();
        if let Some(service) = &challenge.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        if !scope.is_empty() {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let mut request = self.client_of(realm).get(url);
        let has_credentials = matches!(credentials, Some(Credentials::Password { .. }));
        if let Some(Credentials::Password { username, password }) = credentials {
            request = request.header(AUTHORIZATION, basic_header(username, password)?);
        }
        match self.ask(realm, Method::GET, request).await? {
            // An identity token that was refused got us no further than anybody gets.
            Ok(fetched) => Ok(Fetched {
                is_anonymous: !has_credentials,
                ..fetched
            }),
            Err(status) => Err(refused(realm, status, credentials.is_some())),
        }
    }

    /// The registry's certificates are no business of a service elsewhere.
    fn client_of(&self, realm: &Url) -> &reqwest::Client {
        self.client.of(realm.origin() == self.registry.origin())
    }

    fn form(
        &self,
        realm: &Url,
        challenge: &BearerChallenge,
        scope: &str,
        token: &Secret,
    ) -> RequestBuilder {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token.reveal())
            .append_pair("client_id", "registry-probe")
            .append_pair("scope", scope);
        if let Some(service) = &challenge.service {
            form.append_pair("service", service);
        }
        self.client_of(realm)
            .post(realm.clone())
            .header(
                reqwest::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded",
            )
            .body(form.finish())
    }

    /// Sends one request, and repeats it as it is where a redirect leads within the service's own origin. What
    /// says who we are goes nowhere else; what does not is followed to wherever a registry may name a service.
    async fn send(
        &self,
        request: RequestBuilder,
        method: &Method,
        what: &str,
    ) -> Result<Response, Failure> {
        let request = request.timeout(self.timeout).build();
        let mut request = request.map_err(|error| classify::transport(&error, what, Whose::Own))?;
        let is_secret = request.headers().contains_key(AUTHORIZATION) || *method == Method::POST;
        let protocol = |detail| Failure::new(UnverifiedReason::Protocol, detail);
        let mut is_own = true;
        for _ in 0..=MOST_REDIRECTS {
            let again = request.try_clone();
            let from = request.url().clone();
            let began = Instant::now();
            // What is meant for the registry's own origin is shown to nobody that it leads to, and to nobody behind.
            is_own &= from.origin() == self.registry.origin();
            self.proxies
                .vet(&from, self.client.shows_certificate(is_own))
                .map_err(|why| Failure::last_word(why.of(what)))?;
            let led = resolver::vet(&from, &self.registry, &self.proxies).await;
            led.map_err(|why| protocol(format!("{what}: {why}")))?;
            let sent = self.client.of(is_own).execute(request).await;
            let status = sent.as_ref().ok().map(Response::status);
            self.meter
                .request(Asked::Token, method, status, began.elapsed());
            let of = Whose::of(is_own);
            let failed = |error| classify::transport(&error, what, of);
            let response = sent.map_err(|error| self.proxies.told(failed(error), &from))?;
            let Some(target) = redirect_target(&response, what)? else {
                return Ok(response);
            };
            if target.origin() != from.origin() {
                let host = target.host_str().unwrap_or_default();
                if is_secret {
                    return Err(protocol(format!(
                        "{what} is redirected to {host}, which gets no credentials"
                    )));
                }
                vet(&self.registry, target.as_str())?;
            }
            let Some(mut next) = again else {
                return Ok(response);
            };
            *next.url_mut() = target;
            request = next;
        }
        Err(protocol(format!(
            "{what} is redirected more than {MOST_REDIRECTS} times"
        )))
    }

    /// Asks with one request. The inner error is the status of a refusal.
    async fn ask(
        &self,
        realm: &Url,
        method: Method,
        request: RequestBuilder,
    ) -> Result<Result<Fetched, u16>, Failure> {
        let host = realm.host_str().unwrap_or_default();
        let what = format!("{method} to the token service at {host}");
        let permit = self.pool.enter().await?;
        tracing::debug!(host, "token request");
        let began = Instant::now();
        let mut response = self.send(request, &method, &what).await?;
        let took = began.elapsed();
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let retry_after = classify::retry_after(response.headers());
            if matches!(status.as_u16(), 429 | 503) {
                self.pool.throttled(status, retry_after);
            }
            return Err(Failure {
                retry_after,
                ..refused(realm, status.as_u16(), false)
            });
        }
        permit.took((Asked::Token, false), took);
        self.pool.answered(response.headers());
        if !status.is_success() {
            return Ok(Err(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| classify::transport(&e, &what, Whose::Foreign))?
        {
            self.meter.bytes(chunk.len());
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                let detail = format!("{what}: the answer is too long");
                return Err(Failure::new(UnverifiedReason::TooLarge, detail));
            }
        }
        read(&body).map(Ok).ok_or_else(|| {
            let detail = format!("{what}: the answer holds no token");
            Failure::new(UnverifiedReason::Protocol, detail)
        })
    }
}

/// Refuses a realm that would carry credentials in the open, or that is no web address.
pub(super) fn vet(registry: &Url, realm: &str) -> Result<Url, Unverified> {
    let refused = |why: &str| {
        let realm = shorten(realm.split('?').next().unwrap_or_default(), 100);
        let detail = format!("the registry names a token service that {why}: {realm}");
        Unverified::new(UnverifiedReason::Protocol, detail)
    };
    let url = Url::parse(realm).map_err(|_| refused("is not a URL"))?;
    if !ssrf_guard::may_send_us_to(registry, &url) {
        return Err(refused("is at an address of this machine or network"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if registry.scheme() != "https" => Ok(url),
        "http" => Err(refused("is not encrypted, while the registry is")),
        _ => Err(refused("is not on the web")),
    }
}

pub(super) fn read(body: &[u8]) -> Option<Fetched> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let not_empty = |token: &String| !token.is_empty();
    let token = answer
        .token
        .filter(not_empty)
        .or(answer.access_token.filter(not_empty))?;
    let lifetime = answer
        .expires_in
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|lifetime| !lifetime.is_zero())
        .unwrap_or(DEFAULT_LIFETIME)
        .min(LONGEST_LIFETIME);
    Some(Fetched {
        token: Secret::new(token),
        lifetime,
        is_anonymous: false,
    })
}

/// What a token service's refusal means for the one who asked.
fn refused(realm: &Url, status: u16, with_credentials: bool) -> Failure {
    let reason = match status {
        401 => UnverifiedReason::Unauthorized,
        429 => UnverifiedReason::RateLimited,
        500..=599 => UnverifiedReason::RegistryError,
        // GitLab and GHCR say 403, Quay 400, to a scope that the caller may not have.
        _ => UnverifiedReason::Forbidden,
    };
    let host = realm.host_str().unwrap_or_default();
    let who = if with_credentials {
        "these credentials"
    } else {
        "an anonymous client"
    };
    let detail = format!("the token service at {host} answers {status} to {who}");
    let advice = match (status, with_credentials) {
        (401, true) => Some(LOG_IN_ANEW),
        (401, false) => Some(LOG_IN),
        _ => None,
    };
    Unverified::new(reason, detail).advised(advice).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vet(registry: &str, realm: &str) -> Result<Url, Unverified> {
        super::vet(&Url::parse(registry).expect("a URL"), realm)
    }

    #[test]
    fn an_encrypted_registry_gets_no_credentials_in_the_open() {
        assert!(vet("https://registry.example/v2/", "https://auth.example/token").is_ok());
        assert!(vet("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token").is_ok());
        for realm in [
            "http://auth.example/token",
            "file:///etc/passwd",
            "https://127.0.0.1/token",
            "https://169.254.169.254/token",
            "auth.example",
            "",
        ] {
            assert!(
                vet("https://registry.example/v2/", realm).is_err(),
                "{realm}"
            );
        }
    }

    #[test]
    fn either_field_and_a_lifetime_within_reason() {
        let read = |body: &str| {
            read(body.as_bytes()).map(|f| (f.token.reveal().to_owned(), f.lifetime.as_secs()))
        };
        assert_eq!(
            read(r#"{"token":"a","expires_in":300}"#),
            Some(("a".into(), 300))
        );
        assert_eq!(
            read(r#"{"token":"","access_token":"b"}"#),
            Some(("b".into(), 60))
        );
        for lifetime in ["-1", "0", "1e300", "null"] {
            let body = format!(r#"{{"token":"a","expires_in":{lifetime}}}"#);
            assert_eq!(read(&body), Some(("a".into(), 60)), "{lifetime}");
        }
        assert_eq!(
            read(r#"{"token":"a","expires_in":1e9}"#),
            Some(("a".into(), 86_400))
        );
        for body in ["", "{}", "<html>", r#"{"token":7}"#] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
