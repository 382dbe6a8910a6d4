//! A server with a certificate of its own, which answers as an empty registry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
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

    /// The same, and long past.
    pub(super) fn ended(mut self) -> Self {
        (self.0.not_before, self.0.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self
    }
}

/// The server, which ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(names: &Names) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = names.0.clone().self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(authority(folder.path()), certificate.pem()).expect("written");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("usable")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(acceptor.clone(), stream));
            }
        });
        Self {
            address,
            folder,
            task,
        }
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

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.ok()?;
    assert!(length > 0, "a request");
    let body = r#"{"repositories":[]}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let reply = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(reply.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
