//! A server with a certificate of its own, which answers as an empty registry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientCertVerifierBuilder, WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a certificate says.
pub(super) struct Names(CertificateParams);

impl Names {
    pub(super) fn of(name: &str) -> Self {
        Self(CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    pub(super) fn loopback() -> Self {
        Self::of("127.0.0.1")
    }

    /// The same, and one of an authority, as `openssl req -x509` makes it.
    pub(super) fn of_authority(mut self) -> Self {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    /// The same, and long past.
    pub(super) fn ended(mut self) -> Self {
        (self.0.not_before, self.0.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self
    }
}

/// A client's certificate, by nobody but itself.
pub(super) struct Client {
    pub(super) certificate: String,
    /// In PKCS#8.
    pub(super) key: String,
    der: CertificateDer<'static>,
}

impl Client {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let names = Names::of("client").0;
        let certificate = names.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    /// The key as `openssl ecparam -genkey` writes it: SEC1, with its curve beside it.
    pub(super) fn sec1(&self) -> String {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let der = pkcs8.secret_pkcs8_der();
        // The inner document begins with its version, and lacks the curve, which PKCS#8 says outside.
        let begin = der.windows(5).position(|part| part == [2, 1, 1, 4, 32]);
        let inner = &der[begin.expect("a SEC1 key")..];
        let curve = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        let (private, public) = inner.split_at(5 + 32);
        let whole = [private, &curve, public].concat();
        let length = u8::try_from(whole.len()).expect("a short key");
        let der = [&[0x30, length][..], &whole].concat();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----";
        format!(
            "{parameters}\n-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n"
        )
    }
}

/// The server, which ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    folder: TempDir,
    /// For each request whether the client showed a certificate.
    shown: Arc<Mutex<Vec<bool>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(names: &Names) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ServerConfig::builder().with_no_client_auth();
        Self::with(names, config, None).await
    }

    /// One that requires the client's certificate, and may send us elsewhere.
    pub(super) async fn asking(client: &Client, elsewhere: Option<String>) -> Self {
        let verifier = verifier(client).build().expect("a verifier");
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        Self::with(&Names::loopback(), config, elsewhere).await
    }

    /// One that asks for the client's certificate, and does without.
    pub(super) async fn offering(client: &Client) -> Self {
        let verifier = verifier(client).allow_unauthenticated().build();
        let config =
            ServerConfig::builder().with_client_cert_verifier(verifier.expect("a verifier"));
        Self::with(&Names::loopback(), config, None).await
    }

    async fn with(
        names: &Names,
        config: ConfigBuilder<ServerConfig, WantsServerCert>,
        elsewhere: Option<String>,
    ) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = names.0.clone().self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(authority(folder.path()), certificate.pem()).expect("written");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = config.with_single_cert(vec![certificate.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("usable")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shown = Arc::default();
        let seen = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(
                    acceptor.clone(),
                    stream,
                    Arc::clone(&seen),
                    elsewhere.clone(),
                ));
            }
        });
        Self {
            address,
            folder,
            shown,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn shown(&self) -> Vec<bool> {
        self.shown.lock().clone()
    }

    /// The file with what has to be trusted.
    pub(super) fn authority(&self) -> PathBuf {
        authority(self.folder.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

fn verifier(client: &Client) -> ClientCertVerifierBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(client.der.clone()).expect("an authority");
    WebPkiClientVerifier::builder(Arc::new(roots))
}

async fn answer(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    shown: Arc<Mutex<Vec<bool>>>,
    elsewhere: Option<String>,
) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.ok()?;
    assert!(length > 0, "a request");
    shown
        .lock()
        .push(stream.get_ref().1.peer_certificates().is_some());
    let body = r#"{"repositories":[]}"#;
    let path = String::from_utf8_lossy(&request)
        .split(' ')
        .nth(1)?
        .to_owned();
    let elsewhere = elsewhere.filter(|_| path.contains("_catalog"));
    let head = match elsewhere {
        Some(url) => format!("HTTP/1.1 307 Away\r\nLocation: {url}{path}\r\nConnection: close"),
        None => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close".to_owned(),
    };
    let reply = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(reply.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
