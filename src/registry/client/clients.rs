//! The HTTP clients of one registry: what is meant for the registry itself is shown to nobody to whom it sends us.

use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder};

use super::config::{ClientError, Config};
use super::own_certificates::trusted;
use super::resolver::Resolver;
use super::{classify, crypto};

/// One for the registry's own origin, and one for everybody else.
#[derive(Clone)]
pub(crate) struct Clients {
    own: Client,
    foreign: Client,
    /// Whether the first shows a client certificate to whoever asks for one.
    shows_certificate: bool,
}

impl Clients {
    /// Makes them; nothing is sent yet.
    pub(super) fn build(config: &Config, idle_connections: usize) -> Result<Self, ClientError> {
        let foreign = build(builder(config, idle_connections)?)?;
        let own = &config.own;
        if own.pair().is_none() && own.folder.authorities.is_empty() {
            let own = foreign.clone();
            return Ok(Self {
                own,
                foreign,
                shows_certificate: false,
            });
        }
        let mut builder = builder(config, idle_connections)?;
        for (path, pem) in &own.folder.authorities {
            let unusable = |why| ClientError(format!("{} {why}", path.display()));
            builder = builder.tls_certs_merge(trusted(pem).map_err(unusable)?);
        }
        if let Some(pair) = own.pair() {
            let path = pair.certificate.display();
            let identity = pair.identity();
            builder = builder.identity(identity.map_err(|error| {
                ClientError(format!(
                    "{path} cannot be used: {}",
                    classify::cause(&error)
                ))
            })?);
        }
        let own = build(builder)?;
        Ok(Self {
            own,
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

fn builder(config: &Config, idle_connections: usize) -> Result<ClientBuilder, ClientError> {
    // Compressed answers would make lengths and digests those of something else.
    let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let resolver = Resolver::new(config.endpoint.base().clone(), Arc::clone(&config.proxies));
    let mut builder = ClientBuilder::new()
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
        .tcp_nodelay(true)
        .proxy(config.proxies.rule());
    if config.skip_tls_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(pem) = &config.ca_pem {
        let authorities = trusted(pem);
        let path = config.files.ca.as_ref();
        let path = path.map_or(String::new(), |path| format!("{} ", path.display()));
        let unusable = |why| ClientError(format!("--ca-file: {path}{why}"));
        builder = builder.tls_certs_merge(authorities.map_err(unusable)?);
    }
    Ok(builder)
}

fn build(builder: ClientBuilder) -> Result<Client, ClientError> {
    crypto::install();
    builder.build().map_err(|error| {
        let cause = classify::cause(&error);
        ClientError(format!("no HTTP client can be made: {cause}"))
    })
}
