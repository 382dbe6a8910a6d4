//! What a client of one registry is made of.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::CredentialSource;
use super::endpoint::Endpoint;
use super::meter::Meter;
use super::own_certificates::OwnCertificates;
use super::page::MOST_ENTRIES;
use super::proxies::Proxies;
use super::public_name::PublicName;
use crate::oci::{Repository, Tag};
use crate::registry::{Software, Wanted};

/// Repositories that are kept of a catalog. One takes more memory than a tag.
pub(crate) const MOST_REPOSITORIES: usize = 100_000;
/// Tags that are kept of a repository's list.
pub(crate) const MOST_TAGS: usize = MOST_ENTRIES;

/// Says of an entry of a list whether it is wanted.
type IsWanted<T> = dyn Fn(&T) -> Wanted + Send + Sync;

/// What is kept of a list, and how much of it at most.
#[derive(Clone)]
pub struct Share<T> {
    /// What is wanted of it.
    pub wanted: Arc<IsWanted<T>>,
    /// How many of those are kept at most.
    pub most: usize,
}

impl<T> Share<T> {
    /// Everything, up to so many.
    #[must_use]
    pub fn all(most: usize) -> Self {
        Self {
            wanted: Arc::new(|_| Wanted::Here),
            most,
        }
    }
}

impl<T> fmt::Debug for Share<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({})", self.most)
    }
}

/// How to speak to a registry.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What people and pods call it, if that is another name.
    pub public_name: Option<PublicName>,
    /// Who we are.
    pub credentials: CredentialSource,
    /// Certificate authorities to trust besides the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// What is shown to it and trusted of it, and of nobody to whom it sends us.
    pub own: Arc<OwnCertificates>,
    /// The files that the login and the authorities came from, if they did.
    pub files: WatchedFiles,
    /// Which proxies stand before whom.
    pub proxies: Arc<Proxies>,
    /// Whether to take any certificate. For trying things out.
    pub skip_tls_verify: bool,
    /// Whether to recognise a pull-through cache by its answers, which is then not asked for more.
    pub detect_cache: bool,
    /// Whether it is not known to have no upstream, so that nothing is asked for that it might fetch.
    pub spares_upstream: bool,
    /// Which software it runs, where the caller says so.
    pub software: Option<Software>,
    /// Requests at a time at most; how many there really are, the registry's answers decide.
    pub concurrency: NonZeroUsize,
    /// Requests a second to each host, of the registry and of its storage.
    pub max_rps: Option<f64>,
    /// The longest wait for a response's head, and for each next piece of its body.
    pub timeout: Duration,
    /// What is kept of the list of repositories.
    pub repositories: Share<Repository>,
    /// What is kept of the list of a repository's tags.
    pub tags: Share<Tag>,
    /// Counts what is asked, for as long as its owner likes.
    pub meter: Meter,
}

impl Config {
    /// A registry that is asked as nobody, one request at a time, and given a minute for each answer.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            meter: Meter::new(endpoint.name()),
            endpoint,
            public_name: None,
            credentials: CredentialSource::None,
            ca_pem: None,
            own: Arc::default(),
            files: WatchedFiles::default(),
            proxies: Arc::default(),
            skip_tls_verify: false,
            detect_cache: true,
            spares_upstream: true,
            software: None,
            concurrency: NonZeroUsize::MIN,
            max_rps: None,
            timeout: Duration::from_secs(60),
            repositories: Share::all(MOST_REPOSITORIES),
            tags: Share::all(MOST_TAGS),
        }
    }
}

/// Where parts of a configuration came from.
#[derive(Clone, Debug, Default)]
pub struct WatchedFiles {
    /// The file of the password.
    pub password: Option<PathBuf>,
    /// The file of the certificate authorities.
    pub ca: Option<PathBuf>,
}

/// Why there can be no client: the TLS configuration is unusable.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub(super) String);
