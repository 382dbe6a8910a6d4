//! The HTTP clients of one registry: what is meant for the registry itself is shown to nobody to whom it sends us.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;

use super::config::{ClientError, Config};
use super::own_certificates::authorities;
use super::resolver::Resolver;
use super::trust::{Trust, tls};
use super::{classify, crypto};

/// One for the registry's own origin, and one for everybody else.
#[derive(Clone)]
pub(crate) struct Clients {
    own: Client,
    foreign: Client,
    /// Whether the first shows a client certificate to whoever asks for one.
    shows_certificate: bool,
}

/// What the clients of one registry go by in TLS: all of them share it, and with it what was read of the system's
/// authorities and the sessions that can be resumed.
pub(super) struct Tls {
    /// With what is meant for the registry's own origin, if there is such a thing.
    own: Option<ClientConfig>,
    foreign: ClientConfig,
}

impl Tls {
    /// Reads the system's authorities only for a registry that shows a certificate: most others are never asked
    /// for anything that needs them.
    pub(super) fn of(config: &Config) -> Result<Self, ClientError> {
        let mut further = Vec::new();
        if let Some(pem) = &config.ca_pem {
            let path = config.files.ca.as_ref();
            let path = path.map_or(String::new(), |path| format!("{} ", path.display()));
            let unusable = |why| ClientError(format!("--ca-file: {path}{why}"));
            further = authorities(pem).map_err(unusable)?;
        }
        let trust = |further| {
            let trust = if config.skip_tls_verify {
                Trust::Everybody
            } else {
                Trust::authorities(further)
            };
            Arc::new(trust)
        };
        let foreign = trust(further.clone());
        let own = &config.own;
        let mut own_trust = Arc::clone(&foreign);
        if !own.folder.authorities.is_empty() {
            for (path, pem) in &own.folder.authorities {
                let unusable = |why| ClientError(format!("{} {why}", path.display()));
                further.extend(authorities(pem).map_err(unusable)?);
            }
            own_trust = trust(further);
        }
        if config.endpoint.is_https() {
            own_trust.read().map_err(|why| no_client(&why))?;
        }
        let is_special = own.pair().is_some() || !own.folder.authorities.is_empty();
        let special = is_special.then(|| {
            tls(&own_trust, own.pair()).map_err(|why| match own.pair() {
                Some(pair) => {
                    let path = pair.certificate.display();
                    ClientError(format!("{path} cannot be used: {why}"))
                }
                None => no_client(&why),
            })
        });
        Ok(Self {
            own: special.transpose()?,
            foreign: tls(&foreign, None).map_err(|why| no_client(&why))?,
        })
    }
}

impl Clients {
    /// Makes them; nothing is sent yet.
    pub(super) fn build(
        config: &Config,
        tls: &Tls,
        idle_connections: usize,
    ) -> Result<Self, ClientError> {
        let build = |tls: &ClientConfig| build(builder(config, idle_connections), tls.clone());
        let foreign = build(&tls.foreign)?;
        let own = tls.own.as_ref().map(build);
        Ok(Self {
            own: own.transpose()?.unwrap_or_else(|| foreign.clone()),
            foreign,
            shows_certificate: config.own.pair().is_some(),
        })
    }

    /// Whether whoever asks for a client certificate gets one.
    pub(super) fn shows_certificate(&self, is_own: bool) -> bool {
        self.shows_certificate && is_own
    }

    /// The one for the registry's own origin, or else the other.
    pub(super) fn of(&self, is_own: bool) -> &Client {
        if is_own { &self.own } else { &self.foreign }
    }
}

fn builder(config: &Config, idle_connections: usize) -> ClientBuilder {
    // Compressed answers would make lengths and digests those of something else.
    let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let resolver = Resolver::new(config.endpoint.base().clone(), Arc::clone(&config.proxies));
    let builder = ClientBuilder::new()
        .user_agent(concat!("registry-probe/", env!("CARGO_PKG_VERSION")))
        .default_headers(identity)
        // Redirects are followed by `exchange`, which knows where credentials may go.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tls_info(true)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(config.timeout)
        .pool_max_idle_per_host(idle_connections)
        .tcp_nodelay(true);
    config.proxies.on(builder)
}

fn build(builder: ClientBuilder, tls: ClientConfig) -> Result<Client, ClientError> {
    crypto::install();
    let client = builder.tls_backend_preconfigured(tls).build();
    client.map_err(|error| no_client(&classify::cause(&error)))
}

fn no_client(why: &dyn fmt::Display) -> ClientError {
    ClientError(format!("no HTTP client can be made: {why}"))
}
