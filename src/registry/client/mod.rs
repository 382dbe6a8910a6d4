//! A registry over HTTP: the OCI Distribution API as real registries speak it.
//!
//! [`HttpRegistry`] implements [`Registry`]. `exchange` carries one question through pacing
//! (`rate_limiter`), authorization (`attempt`, `auth`, `token`, `login`) and redirects to a plain `reply`;
//! `listing` and `objects` say which questions to ask; `classify` is the only judge of statuses and
//! transport errors. `doctor` reads in the `transcript` how they were
//! answered.

mod archive;
mod attempt;
pub(crate) mod auth;
mod authorization;
pub(crate) mod blobs;
pub(crate) mod certificate;
mod challenge;
pub(crate) mod classify;
mod clients;
mod concurrency_limit;
mod config;
mod content_range;
pub(crate) mod credentials;
pub(crate) mod crypto;
mod endpoint;
pub(crate) mod exchange;
mod fields;
mod frames;
#[cfg(any(test, fuzzing))]
#[path = "../../../fuzz/checks/client.rs"]
pub(crate) mod fuzzing;
mod habits;
mod json;
pub(crate) mod link;
pub(crate) mod listing;
mod login;
pub(crate) mod login_file;
pub(crate) mod login_helper;
mod members;
mod meter;
mod notices;
pub(crate) mod objects;
mod on_demand;
pub(crate) mod own_certificates;
mod packed;
mod page;
pub(crate) mod proxies;
mod public_name;
mod query_api;
mod rate_limiter;
mod redirect;
mod referrers;
pub(crate) mod reply;
mod resolver;
pub(crate) mod scope;
mod secret;
mod sign_table;
mod signs;
mod ssrf_guard;
mod standing;
mod token;
pub(crate) mod transcript;
pub(crate) mod trust;
mod unpack;
mod watched_files;
pub(crate) mod way_out;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Semaphore;

pub use config::{ClientError, Config, Share, WatchedFiles};
pub(crate) use config::{MOST_REPOSITORIES, MOST_TAGS};
pub use credentials::{CredentialSource, LoginStore, Place};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use login_file::Rules;
pub use meter::{Asked, Meter};
pub use own_certificates::{CertsFolder, ClientPair, OwnCertificates, authorities};
pub use proxies::Proxies;
pub use public_name::PublicName;
pub use query_api::{ApiLogin, Held, QueryApi};
pub use secret::Secret;
pub use watched_files::password;

use crate::oci::{Descriptor, Digest, Reference, Repository, Tag};
use crate::registry::{Access, Depth, Identified, Software, Unverified, UnverifiedReason};
use crate::registry::{
    Answer, BlobLook, ListEnd, Listing, ManifestBody, Named, Registry, Resolved, Traffic, Unpack,
    Way,
};
use auth::Auth;
use clients::{Clients, Tls};
use credentials::StoredAs;
use exchange::{Ask, Exchange};
use habits::{Habits, Tries};
use login::Login;
use rate_limiter::{Bounds, Pool};
use reply::{Read, Reply};
use scope::Scope;
use token::TokenService;

/// A registry that is asked over HTTP.
#[derive(Clone)]
pub struct HttpRegistry {
    pub(crate) endpoint: Arc<Endpoint>,
    public_name: Option<PublicName>,
    pub(crate) exchange: Arc<Exchange>,
    /// The same, on a new connection each time.
    fresh: Arc<Exchange>,
    habits: Arc<Habits>,
    /// Lists of what is attached to manifests.
    lists: Arc<Tries>,
    pub(crate) takes_any_certificate: bool,
    /// For `doctor`: what is trusted and shown, and by which way.
    pub(crate) files: Arc<WatchedFiles>,
    pub(crate) own: Arc<OwnCertificates>,
    detect_cache: bool,
    spares_upstream: bool,
    software: Option<Software>,
    repositories: Share<Repository>,
    tags: Share<Tag>,
}

impl HttpRegistry {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the certificate authorities cannot be read, or the system's cannot be found.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let (base, meter) = (config.endpoint.base().clone(), &config.meter);
        let at_a_time = config.concurrency.get();
        let bounds = Bounds {
            at_a_time,
            a_second: config.max_rps,
        };
        let pool = || Pool::new(bounds, meter.clone());
        let tls = Tls::of(&config)?;
        let service = TokenService {
            client: Clients::build(&config, &tls, 1)?,
            timeout: config.timeout,
            registry: base.clone(),
            proxies: Arc::clone(&config.proxies),
            meter: meter.clone(),
            pool: pool(),
        };
        let dialled = StoredAs {
            registry: config.endpoint.name().to_owned(),
            prefix: None,
        };
        let public = config.public_name.as_ref().map(PublicName::stored_as);
        let public = public.filter(|public| *public != dialled);
        let names = std::iter::once(dialled).chain(public).collect();
        let login = Login::new(names, config.credentials.clone());
        let exchange = Exchange {
            client: Clients::build(&config, &tls, at_a_time)?,
            base,
            auth: Arc::new(Auth::new(login, service)),
            proxies: Arc::clone(&config.proxies),
            registry_pool: Arc::new(pool().shown()),
            storage_pool: Arc::new(pool()),
            meter: meter.clone(),
            notices: Arc::default(),
            signs: Arc::default(),
            transcript: Arc::default(),
            timeout: config.timeout,
            large_bodies: Arc::new(Semaphore::new(1)),
        };
        let fresh = Exchange {
            client: Clients::build(&config, &tls, 0)?,
            ..exchange.clone()
        };
        Ok(Self {
            endpoint: Arc::new(config.endpoint),
            public_name: config.public_name,
            exchange: Arc::new(exchange),
            fresh: Arc::new(fresh),
            habits: Arc::default(),
            lists: Arc::default(),
            takes_any_certificate: config.skip_tls_verify,
            files: Arc::new(config.files),
            own: config.own,
            detect_cache: config.detect_cache,
            spares_upstream: config.spares_upstream,
            software: config.software,
            repositories: config.repositories,
            tags: config.tags,
        })
    }

    /// Which software it runs: what the caller says, and else what its answers show so far.
    fn software(&self) -> Option<Identified> {
        let named = self.software.map(|name| Identified {
            name,
            signs: Vec::new(),
        });
        named.or_else(|| self.exchange.signs.identify(self.endpoint.name()))
    }

    pub(crate) fn ping_ask(&self) -> Ask<'static> {
        let (url, read) = (self.endpoint.base().clone(), Read::Whole { cap: 1 << 20 });
        Ask::get(url, "application/json", Scope::None, read)
    }
}

/// Whether something answers a ping as a registry does.
pub(crate) fn vet_ping(reply: &Reply) -> Result<(), Unverified> {
    if reply.body.was_cut() {
        // Where not even this comes whole, nothing that is cut is the fault of what was asked for.
        let detail = format!("{}: the answer was cut short", reply.request);
        return Err(Unverified::new(UnverifiedReason::Connect, detail));
    }
    match reply.status.as_u16() {
        200..=299 if !reply.is_page() => Ok(()),
        // A login is wanted, here at least: learned, and shown with the first request that needs it. What is
        // asked for may be public, or have a login of its own.
        401 => Ok(()),
        400..=499 if !challenge::challenges(&reply.headers).is_empty() => Ok(()),
        _ => Err(reply.failure().why),
    }
}

impl Registry for HttpRegistry {
    async fn ping(&self) -> Result<(), Unverified> {
        let reply = self.ask_again_if_cut(&self.ping_ask()).await;
        let reply = reply.map_err(|failure| failure.why)?;
        // So do servers of TLS answer what is not encrypted.
        let wants_tls = reply.status == 400 && !self.endpoint.is_https();
        let advice = wants_tls.then_some(way_out::SPEAKS_TLS);
        vet_ping(&reply).map_err(|why| why.advised(advice))?;
        self.exchange.auth.login.look_for_any().await;
        Ok(())
    }

    async fn repositories(&self) -> Listing<Repository> {
        let catalog = self.endpoint.catalog();
        let mut listing = self.exchange.catalog(catalog, &self.repositories).await;
        // A catalog is cut to who asks, and that is not who was meant to.
        if let ListEnd::Whole = &listing.end
            && let Some(why) = self.exchange.auth.login.why_not_whole().await
        {
            listing.end = ListEnd::Failed(why);
        }
        listing
    }

    async fn tags(&self, repository: &Repository) -> Listing<Tag> {
        self.exchange
            .tag_list(self.endpoint.tags(repository), repository, &self.tags)
            .await
    }

    async fn resolve(&self, repository: &Repository, tag: &Tag, way: Way) -> Answer<Resolved> {
        self.resolve_tag(repository, tag, way).await.into()
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Answer<ManifestBody> {
        self.read_manifest(repository, reference).await.into()
    }

    async fn still_has(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: &ManifestBody,
    ) -> Option<bool> {
        self.manifest_is_still_there(repository, digest, body).await
    }

    async fn config(&self, repository: &Repository, digest: &Digest) -> Answer<ManifestBody> {
        self.read_config(repository, digest).await.into()
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        depth: Depth,
    ) -> Answer<BlobLook> {
        self.look_at_blob((repository, digest), size, depth, None)
            .await
            .into()
    }

    async fn layer(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        unpack: Unpack,
    ) -> Answer<BlobLook> {
        self.look_at_blob((repository, digest), size, Depth::Digest, Some(unpack))
            .await
            .into()
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Unverified> {
        let read = self.read_referrers(repository, digest).await;
        read.map_err(|failure| failure.why)
    }

    async fn withheld(&self, images: &[Named]) -> Vec<(Named, Unverified)> {
        self.not_stored(images).await
    }

    fn reconnected(&self) -> Self {
        Self {
            exchange: Arc::clone(&self.fresh),
            // What one look was told is for the next to see.
            lists: Arc::default(),
            ..self.clone()
        }
    }

    fn notices(&self) -> Vec<String> {
        let of_login = self.exchange.auth.login.notice();
        let said = self.exchange.notices.warnings().into_iter();
        let said = said.map(|notice| format!("the registry says: {notice}"));
        let of_own = self
            .own
            .notices(self.endpoint.is_https(), self.files.ca.is_some());
        said.chain(of_login).chain(of_own).collect()
    }

    fn certificate_end(&self) -> Option<SystemTime> {
        self.exchange.notices.certificate_end()
    }

    fn access(&self) -> Access {
        let is_encrypted = self.endpoint.is_https();
        let dialled = Access {
            host: self.endpoint.in_images(),
            api: self.endpoint.base().to_string(),
            dialled: self.endpoint.base().origin().ascii_serialization(),
            is_verified: is_encrypted && !self.takes_any_certificate,
            is_encrypted,
            login: self.exchange.auth.wanted(),
            software: self.software(),
        };
        match &self.public_name {
            Some(name) => name.access(dialled),
            None => dialled,
        }
    }

    fn traffic(&self) -> Traffic {
        self.exchange.meter.traffic()
    }
}
