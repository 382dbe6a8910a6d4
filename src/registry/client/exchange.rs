//! One question to the registry, from permit and authorization over redirects to a [`Reply`] in
//! plain data, or a [`Failure`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::auth::Auth;
use super::authorization::Authorization;
use super::challenge;
use super::classify::{self, Failure};
use super::clients::Clients;
use super::meter::{Asked, Meter};
use super::notices::Warnings;
use super::proxies::Proxies;
use super::rate_limiter::{Permit, Pool};
use super::redirect::{MOST_REDIRECTS, is_same_origin, redirect_target};
use super::reply::{Body, Read, ReadLimits, Reply};
use super::resolver;
use super::scope::Scope;
use super::signs::Signs;
use super::transcript::Transcript;
use super::way_out::{LOOK_THERE, Whose};
use crate::oci::{MANIFEST_ACCEPT, shorten};
use crate::registry::{Unverified, UnverifiedReason};

/// Attempts after the first on a transient failure.
const RETRIES: usize = 2;
/// Attempts after the first where the registry asks for patience, which it then rewards.
const RETRIES_WHEN_LIMITED: usize = 5;

/// What every request to one registry shares.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) client: Clients,
    pub(crate) base: Url,
    pub(crate) auth: Arc<Auth>,
    pub(crate) proxies: Arc<Proxies>,
    pub(super) registry_pool: Arc<Pool>,
    /// For the targets of redirects, which are other hosts with limits of their own.
    pub(super) storage_pool: Arc<Pool>,
    pub(crate) meter: Meter,
    pub(super) notices: Arc<Warnings>,
    pub(super) signs: Arc<Signs>,
    pub(crate) transcript: Arc<Transcript>,
    pub(crate) timeout: Duration,
    /// Whose turn it is to read a body that takes much memory.
    pub(crate) large_bodies: Arc<Semaphore>,
}

/// A question.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: &'static str,
    /// The bytes asked for, first and last.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) scope: Scope<'a>,
    pub(crate) read: Read,
}

impl<'a> Ask<'a> {
    /// Asks for the whole of something.
    pub(crate) fn get(url: Url, accept: &'static str, scope: Scope<'a>, read: Read) -> Self {
        Self {
            method: Method::GET,
            url,
            accept,
            range: None,
            scope,
            read,
        }
    }

    /// The request as a person would repeat it. The query is a page's, never a secret.
    fn words(&self) -> String {
        let mut words = [self.method.as_str(), " ", self.url.path()].concat();
        if let Some(query) = self.url.query() {
            words.extend(["?", query]);
        }
        if let Some((first, last)) = self.range {
            // Text takes whatever is written to it.
            let _ = write!(words, " (Range: bytes={first}-{last})");
        }
        shorten(&words, 400)
    }
}

impl Exchange {
    /// Asks, and asks again while what is in the way may pass.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let mut failures = 0;
        let attempt = || self.authorized(ask);
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .with_max_times(RETRIES_WHEN_LIMITED);
        attempt
            .retry(delays)
            .when(|failure: &Failure| {
                failures += 1;
                let is_limit = failure.why.reason == UnverifiedReason::RateLimited;
                let most = if is_limit {
                    RETRIES_WHEN_LIMITED
                } else {
                    RETRIES
                };
                failure.may_pass() && failures <= most
            })
            .notify(|failure, delay| {
                self.meter.retry(failure.why.reason);
                tracing::debug!(why = %failure.why, ?delay, "asking again");
            })
            .await
    }

    /// Asks, and once more, by the other one, where the body ends early.
    pub(crate) async fn ask_again_if_cut(
        &self,
        ask: &Ask<'_>,
        other: &Self,
    ) -> Result<Reply, Failure> {
        let reply = self.ask(ask).await?;
        if reply.body.was_cut() {
            Box::pin(other.ask(ask)).await
        } else {
            Ok(reply)
        }
    }

    /// Turns the statuses that say nothing about what was asked for into failures.
    pub(crate) fn settle(&self, reply: Reply) -> Result<Reply, Failure> {
        let pool = if reply.redirected() {
            &self.storage_pool
        } else {
            &self.registry_pool
        };
        // 501 refuses the method and not the object: what HEAD may not ask, GET may.
        let has_failed =
            reply.status.is_server_error() && reply.status != StatusCode::NOT_IMPLEMENTED;
        if !has_failed && reply.status != StatusCode::TOO_MANY_REQUESTS {
            pool.answered(&reply.headers);
            return Ok(reply);
        }
        let retry_after = classify::retry_after(&reply.headers);
        if matches!(reply.status.as_u16(), 429 | 503) {
            pool.throttled(reply.status, retry_after);
        }
        Err(Failure {
            retry_after,
            ..reply.failure()
        })
    }

    /// Sends, and follows redirects with the same method and range. The authorization stays with
    /// the registry's own origin (distribution-spec, "Redirects").
    pub(crate) async fn redirected(
        &self,
        ask: &Ask<'_>,
        sent: Option<&Authorization>,
    ) -> Result<Reply, Failure> {
        let request = ask.words();
        let mut url = Cow::Borrowed(&ask.url);
        let mut redirected = false;
        let mut anonymous = None;
        let mut permit = self.registry_pool.enter().await?;
        let _flight = self.meter.flight();
        for _ in 0..=MOST_REDIRECTS {
            let authorization = if redirected { anonymous.as_ref() } else { sent };
            let who = (&*url, !redirected);
            let response = self
                .send(ask, who, authorization, &request, &permit)
                .await?;
            if redirected && anonymous.is_none() && response.status() == StatusCode::UNAUTHORIZED {
                // Another registry, with a token service of its own (go-containerregistry meets
                // them, too). It may have an anonymous token of us, and never our credentials.
                let challenges = challenge::challenges(response.headers());
                let issued = Box::pin(self.auth.anonymous(&challenges)).await;
                anonymous = issued.map_err(Failure::last_word)?;
                if anonymous.is_some() {
                    continue;
                }
            }
            let Some(target) = redirect_target(&response, &request)? else {
                let redirected_to = redirected.then(|| url.origin().ascii_serialization());
                let reply = self.read(ask, response, request, redirected_to).await?;
                self.transcript.note(&ask.method, &reply);
                if !redirected {
                    self.signs.note(Asked::of_path(ask.url.path()), &reply);
                }
                return Ok(reply);
            };
            // Leaving is for good: who was elsewhere may have chosen the way back.
            if !redirected && !is_same_origin(&target, &self.base) {
                redirected = true;
                drop(permit);
                permit = self.storage_pool.enter().await?;
            }
            if !is_same_origin(&target, &url) {
                // What one host gave us is not the next one's business.
                anonymous = None;
            }
            url = Cow::Owned(target);
        }
        let detail = format!("{request} is redirected more than {MOST_REDIRECTS} times");
        Err(Failure::new(UnverifiedReason::Protocol, detail))
    }

    async fn send(
        &self,
        ask: &Ask<'_>,
        (url, is_own): (&Url, bool),
        authorization: Option<&Authorization>,
        request: &str,
        permit: &Permit<'_>,
    ) -> Result<Response, Failure> {
        let client = self.client.of(is_own);
        let mut question = Request::new(ask.method.clone(), url.clone());
        let headers = question.headers_mut();
        headers.insert(ACCEPT, accept(ask.accept));
        if let Some((first, last)) = ask.range {
            let range = format!("bytes={first}-{last}");
            let range = HeaderValue::try_from(range).expect("digits and a dash");
            headers.insert(RANGE, range);
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.header.clone());
        }
        let of = Whose::of(is_own);
        let said = || said_of(request, url, is_own);
        self.vet(url, is_own, &said).await?;
        let began = Instant::now();
        let sent = tokio::time::timeout(self.timeout, client.execute(question)).await;
        let status = sent.iter().flatten().map(Response::status).next();
        let asked = Asked::of_path(ask.url.path());
        let took = began.elapsed();
        self.meter.request(asked, &ask.method, status, took);
        let Ok(sent) = sent else {
            permit.timed_out();
            let (said, within) = (said(), self.timeout.as_secs_f64());
            let detail = format!("{said}: no answer within {within} s");
            let why = Unverified::new(UnverifiedReason::Timeout, detail);
            return Err(self.proxies.told(why, url).into());
        };
        let failed = |error| {
            let why = classify::transport(&error, &said(), of);
            let why = self.proxies.told(why, url);
            let look_there = (of == Whose::Foreign && why.advice.is_none()).then_some(LOOK_THERE);
            why.advised(look_there)
        };
        let response = sent.map_err(failed)?;
        permit.took((asked, ask.method == Method::HEAD), took);
        let is_own = is_same_origin(url, &self.base);
        self.notices.note(&response, is_own);
        // A redirect's query is a signature, so only the host is named.
        tracing::debug!(
            request,
            host = url.host_str(),
            status = response.status().as_u16(),
            "answered"
        );
        Ok(response)
    }

    /// What keeps a URL from being asked for; `said` is how that begins.
    async fn vet<'a>(
        &self,
        url: &Url,
        is_own: bool,
        said: &impl Fn() -> Cow<'a, str>,
    ) -> Result<(), Failure> {
        let shows_certificate = self.client.shows_certificate(is_own);
        let vetted = self.proxies.vet(url, shows_certificate);
        vetted.map_err(|why| Failure::last_word(why.of(&said())))?;
        let led = resolver::vet(url, &self.base, &self.proxies).await;
        led.map_err(|why| Failure::new(UnverifiedReason::Protocol, format!("{}: {why}", said())))
    }

    async fn read(
        &self,
        ask: &Ask<'_>,
        mut response: Response,
        request: String,
        redirected_to: Option<String>,
    ) -> Result<Reply, Failure> {
        let limits = ReadLimits {
            timeout: self.timeout,
            meter: &self.meter,
            large_bodies: &self.large_bodies,
        };
        let headers = std::mem::take(response.headers_mut());
        let tls = response.extensions_mut().remove();
        let (status, version, url) = (response.status(), response.version(), response.url());
        let through = self.proxies.before(url).filter(|_| url.scheme() == "http");
        let proxy = through.map(ToString::to_string);
        let said = match redirected_to {
            None => Cow::Borrowed(&*request),
            Some(_) => Cow::Owned(said_of(&request, url, false).into_owned()),
        };
        let body = Body::read((response, &headers), &ask.read, &said, limits).await?;
        drop(said);
        Ok(Reply {
            request,
            status,
            headers,
            redirected_to,
            version,
            proxy,
            tls,
            body,
        })
    }
}

/// What is accepted, as a header. That of manifests is long, and there is one in each request for them.
fn accept(text: &'static str) -> HeaderValue {
    static OF_MANIFESTS: HeaderValue = HeaderValue::from_static(MANIFEST_ACCEPT);
    if text == MANIFEST_ACCEPT {
        OF_MANIFESTS.clone()
    } else {
        HeaderValue::from_static(text)
    }
}

/// A request, and who was asked for it where that was not the registry itself. The rest of such a URL is a signature.
fn said_of<'a>(request: &'a str, url: &Url, is_own: bool) -> Cow<'a, str> {
    if is_own {
        return Cow::Borrowed(request);
    }
    let origin = url.origin().ascii_serialization();
    Cow::Owned(format!("{request}, sent on to {origin}"))
}
