//! Examines a registry by a handful of requests that only read: what it can do, how it wants to be
//! asked, and what it lets us see.
//!
//! One request after the other: the greeting as nobody, the login, the first page of the catalog,
//! the tags of one repository, and one image as far as a sweep would pull it.

mod lists;
mod objects;

use std::collections::BTreeMap;
use std::time::SystemTime;

use url::Url;

use crate::doctor::{
    Contact, Examination, Greeting, Identity, Login, Page, Protection, Sample, Wanted,
};
use crate::oci::{Repository, shorten};
use crate::registry::Registry as _;
use crate::registry::client::auth::Scheme;
use crate::registry::client::certificate;
use crate::registry::client::challenge;
use crate::registry::client::classify::Failure;
use crate::registry::client::credentials::CredentialSource;
use crate::registry::client::exchange::Ask;
use crate::registry::client::reply::Reply;
use crate::registry::client::{HttpRegistry, vet_ping};
use crate::registry::{Unverified, UnverifiedReason};

/// Repositories that are looked into until one has a tag.
const MOST_REPOSITORIES: usize = 5;
/// As much of a header as a person reads.
const LONGEST_HEADER: usize = 100;
/// Headers of one answer that speak of limits, before somebody is joking.
const MOST_LIMITS: usize = 8;

impl HttpRegistry {
    /// Examines the registry. The sample is taken from the first of the `named` repositories that
    /// has a tag, or of the catalog if none are named.
    pub async fn examine(&self, named: &[Repository]) -> Examination {
        Doctor {
            registry: self,
            limits: BTreeMap::new(),
        }
        .examine(named)
        .await
    }
}

struct Doctor<'a> {
    registry: &'a HttpRegistry,
    limits: BTreeMap<String, String>,
}

impl Doctor<'_> {
    async fn examine(mut self, named: &[Repository]) -> Examination {
        let at = SystemTime::now();
        let (contact, wants_login) = self.greet().await;
        let (mut login, mut catalog, mut sample) = (Login::NotWanted, None, None);
        let is_registry = matches!(contact, Contact::Answered(_));
        if is_registry && wants_login {
            login = self.log_in(named.first()).await;
        }
        if is_registry && !self.is_shut_out(&login) {
            let (page, listed) = self.catalog().await;
            if login == Login::NotWanted && self.wanted() != Wanted::Nothing {
                // Some registries let everybody greet them, and only then ask who it is.
                login = self.late_login(&page, named.first()).await;
            }
            catalog = Some(page);
            let candidates = if named.is_empty() { &listed } else { named };
            sample = self.sample(candidates).await;
        }
        let traffic = self.registry.traffic();
        Examination {
            registry: self.registry.endpoint.name().to_owned(),
            address: self.registry.endpoint.base().to_string(),
            at,
            contact,
            identity: self.identity(named.first()).await,
            wanted: if wants_login && self.wanted() == Wanted::Nothing {
                Wanted::Other
            } else {
                self.wanted()
            },
            login,
            catalog,
            sample,
            limits: self.limits.into_iter().collect(),
            requests: traffic.requests,
            bytes: traffic.bytes,
        }
    }

    /// Asks, and keeps what the answer says about limits.
    async fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let reply = self.registry.exchange.ask(ask).await?;
        self.note_limits(&reply);
        Ok(reply)
    }

    /// Header names by draft-ietf-httpapi-ratelimit-headers, Docker Hub's, those with `X-` that many
    /// gateways send, and `Retry-After` (RFC 9110, 10.2.3).
    fn note_limits(&mut self, reply: &Reply) {
        for name in reply.headers.keys() {
            let name = name.as_str();
            let is_limit = name.starts_with("ratelimit")
                || name.starts_with("x-ratelimit")
                || name == "retry-after";
            let has_room = self.limits.len() < MOST_LIMITS || self.limits.contains_key(name);
            if let Some(value) = reply.header(name).filter(|_| is_limit && has_room) {
                let value = shorten(value, LONGEST_HEADER);
                self.limits.insert(name.to_owned(), value);
            }
        }
    }

    /// The first answer, asked for as nobody, and whether it asks who we are.
    async fn greet(&mut self) -> (Contact, bool) {
        let reply = match self
            .registry
            .exchange
            .ask_bare(&self.registry.ping_ask())
            .await
        {
            Ok(reply) => reply,
            Err(failure) => {
                let speaks_http = self.speaks_http(&failure.why).await;
                let why = failure.why;
                return (Contact::Silence { why, speaks_http }, false);
            }
        };
        self.note_limits(&reply);
        let auth = &self.registry.exchange.auth;
        let wants_login = reply.status.as_u16() == 401;
        // Whom the registry redirects to has no say in who we are.
        if !reply.redirected() {
            auth.note_refusal(wants_login);
            auth.learn(&challenge::challenges(&reply.headers), wants_login);
        }
        let contact = match vet_ping(&reply) {
            Ok(()) => Contact::Answered(self.greeting(&reply)),
            Err(why) => Contact::Stranger(self.greeting(&reply), why),
        };
        (contact, wants_login)
    }

    fn greeting(&self, reply: &Reply) -> Greeting {
        let header = |name: &str| {
            let text = reply
                .header(name)
                .map(str::trim)
                .filter(|text| !text.is_empty());
            text.map(|text| shorten(text, LONGEST_HEADER))
        };
        let is_encrypted = match &reply.redirected_to {
            Some(origin) => origin.starts_with("https:"),
            None => self.registry.endpoint.is_https(),
        };
        let certificate = reply.tls.as_ref().and_then(certificate::read);
        Greeting {
            status: reply.status.as_u16(),
            http: match reply.version {
                reqwest::Version::HTTP_2 => "2",
                reqwest::Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            server: header("server"),
            api_version: header("docker-distribution-api-version"),
            redirected_to: reply.redirected_to.clone(),
            protection: match (is_encrypted, self.registry.takes_any_certificate) {
                (false, _) => Protection::None,
                (true, false) => Protection::Verified(certificate),
                (true, true) => Protection::Unverified(certificate),
            },
        }
    }

    /// Whether the port at which TLS failed speaks plain HTTP. Nothing but a ping is sent in the
    /// open, and nothing in it says who we are.
    async fn speaks_http(&self, why: &Unverified) -> bool {
        let mut ask = self.registry.ping_ask();
        // Without a port in the address it would be another port that answers.
        let is_same_port = ask.url.port().is_some() && ask.url.set_scheme("http").is_ok();
        if why.reason != UnverifiedReason::Tls || !is_same_port {
            return false;
        }
        // Servers that want TLS say so in plain HTTP, with a 400.
        let reply = self.registry.exchange.ask_bare(&ask).await;
        reply.is_ok_and(|reply| vet_ping(&reply).is_ok())
    }

    async fn identity(&self, repository: Option<&Repository>) -> Identity {
        let login = &self.registry.exchange.auth.login;
        match (login.source(), login.is_there(repository).await) {
            (_, Ok(false)) | (CredentialSource::None, _) => Identity::Nobody,
            (CredentialSource::Given { username, .. }, _) => Identity::Given(username.clone()),
            (CredentialSource::Files(_), _) => Identity::Stored,
        }
    }

    fn wanted(&self) -> Wanted {
        match self.registry.exchange.auth.scheme() {
            Scheme::Open => Wanted::Nothing,
            Scheme::Basic => Wanted::Password,
            Scheme::Bearer(challenge) => Wanted::Token {
                host: host_of(&challenge.realm),
                service: challenge.service.map(|name| shorten(&name, LONGEST_HEADER)),
            },
        }
    }

    /// Tells the registry who we are, where it asked in answer to the greeting.
    async fn log_in(&mut self, repository: Option<&Repository>) -> Login {
        match self.registry.exchange.auth.login.is_there(repository).await {
            Err(why) => return Login::Untried(why.detail.to_string()),
            Ok(false) => return Login::Missing,
            Ok(true) => {}
        }
        if matches!(self.wanted(), Wanted::Token { .. }) {
            return self.token_login(repository).await;
        }
        match self.ask(&self.registry.ping_ask()).await {
            Ok(reply) if reply.status.is_success() => Login::Accepted,
            Ok(reply) => refused(reply.failure().why),
            Err(failure) => refused(failure.why),
        }
    }

    async fn token_login(&self, repository: Option<&Repository>) -> Login {
        match self
            .registry
            .exchange
            .auth
            .try_token_service(repository)
            .await
        {
            Ok(Some(())) => Login::Accepted,
            Ok(None) => Login::Untried("they are a token, which is sent as it is".into()),
            Err(why) => refused(why),
        }
    }

    /// What came of telling the registry who we are, where it asked with its catalog only.
    async fn late_login(
        &self,
        catalog: &Result<Page, Unverified>,
        named: Option<&Repository>,
    ) -> Login {
        match (
            self.registry.exchange.auth.login.is_there(named).await,
            catalog,
        ) {
            (Err(why), _) => Login::Untried(why.detail.to_string()),
            (Ok(false), _) => Login::Missing,
            (Ok(true), _) if matches!(self.wanted(), Wanted::Token { .. }) => {
                self.token_login(named).await
            }
            (Ok(true), Ok(_)) => Login::Accepted,
            (Ok(true), Err(why)) => refused(why.clone()),
        }
    }

    /// Whether asking for anything more would only be refused. An anonymous client may yet have a
    /// token for what is public.
    fn is_shut_out(&self, login: &Login) -> bool {
        match login {
            Login::NotWanted | Login::Accepted => false,
            Login::Refused(_) => true,
            Login::Missing | Login::Untried(_) => !matches!(self.wanted(), Wanted::Token { .. }),
        }
    }

    /// The first of some repositories that has a tag, or simply the first.
    async fn sample(&mut self, candidates: &[Repository]) -> Option<Sample> {
        let mut first = None;
        for repository in candidates.iter().take(MOST_REPOSITORIES) {
            let (tags, listed) = self.tags(repository).await;
            let repository = repository.clone();
            let mut sample = Sample {
                repository,
                tags,
                unknown: None,
                pull: None,
            };
            if !listed.is_empty() {
                sample.unknown = self.ask_for_unknown(&sample.repository).await;
                if sample.unknown != Some(500) {
                    sample.pull = self.pull(&sample.repository, listed).await;
                }
                return Some(sample);
            }
            first.get_or_insert(sample);
        }
        first
    }
}

/// A token service answers 403 and 400 to what it does not give, and 401 to whom it does not know.
fn refused(why: Unverified) -> Login {
    match why.reason {
        UnverifiedReason::Unauthorized => Login::Refused(why),
        _ => Login::Untried(why.detail.to_string()),
    }
}

/// The host of a URL that a registry wrote, with its port.
fn host_of(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| {
        let host = url.host_str()?;
        Some(
            url.port()
                .map_or(host.to_owned(), |port| format!("{host}:{port}")),
        )
    });
    shorten(
        &host.unwrap_or_else(|| "an unreadable address".into()),
        LONGEST_HEADER,
    )
}
