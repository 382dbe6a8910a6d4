//! A server as the service runs it, its files, and clients of it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use registry_probe::service::{Limits, Listener, WebProtection};
use reqwest::{Client, ClientBuilder, Response};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;

/// A certificate authority made for one test and known to nobody else.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name and its key, for a server and a client alike.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// The directory of a web configuration.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new(web_config: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("a directory"));
        files.write("web.yml", web_config);
        files
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as a whole, as those do who renew certificates.
    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).expect("written");
        fs::rename(self.path("new"), self.path(name)).expect("renamed");
    }

    /// `tls.crt` and `tls.key`, for loopback.
    pub(super) fn certify(&self, authority: &Authority) {
        let (certificate, key) = authority.issue("127.0.0.1");
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
    }

    pub(super) fn protection(&self) -> Result<WebProtection, String> {
        WebProtection::load(&self.path("web.yml"))
    }
}

/// A line of `basic_auth_users`, with a hash that costs little.
pub(super) fn user(name: &str, password: &str) -> String {
    let hash = bcrypt::hash(password, 4).expect("a hash");
    format!("  {name}: {hash}\n")
}

/// A server under way. Ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    /// One permit for each request for `/slow` and `/stuck` that has arrived.
    pub(super) arrived: Arc<Semaphore>,
    /// Lets `/slow` be answered.
    pub(super) finish: Arc<Notify>,
    pub(super) served: JoinHandle<()>,
}

impl Server {
    pub(super) async fn of(files: &Files) -> Self {
        let protection = files.protection().unwrap_or_else(|error| panic!("{error}"));
        Self::start(Some(protection), Limits::default()).await
    }

    /// Serves what the service does, and a handler that takes long.
    #[expect(clippy::unused_async, reason = "it is only ever done in a runtime")]
    pub(super) async fn start(protection: Option<WebProtection>, limits: Limits) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, protection, limits);
        let listener = listener.expect("an address that is free");
        let arrived = Arc::new(Semaphore::new(0));
        let finish = Arc::<Notify>::default();
        let (at_slow, at_stuck) = (Arc::clone(&arrived), Arc::clone(&arrived));
        let finished = Arc::clone(&finish);
        let slow = async move || {
            at_slow.add_permits(1);
            finished.notified().await;
            "slow"
        };
        let stuck = async move || {
            at_stuck.add_permits(1);
            std::future::pending::<()>().await;
        };
        let router = Router::new()
            .route("/healthz", get(async || "ok"))
            .route("/readyz", get(async || "ready"))
            .route("/metrics", get(async || "metrics"))
            .route("/slow", get(slow))
            .route("/stuck", get(stuck));
        let (address, stop) = (listener.address(), CancellationToken::new());
        Self {
            address,
            arrived,
            finish,
            served: tokio::spawn(listener.serve(router, stop.clone())),
            stop,
        }
    }

    pub(super) fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

/// A client that trusts nobody, and never reuses a connection.
pub(super) fn client() -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE)
        .tls_certs_only([])
}

pub(super) fn trusting(authority: &Authority) -> ClientBuilder {
    let pem = authority.pem();
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).expect("PEM");
    client().tls_certs_only([certificate])
}

pub(super) trait Ask {
    /// The status of an answer; `None` if there was none.
    async fn status(self) -> Option<u16>;
}

impl<F: Future<Output = reqwest::Result<Response>>> Ask for F {
    async fn status(self) -> Option<u16> {
        Some(self.await.ok()?.status().as_u16())
    }
}
