//! The server's side of TLS, from the files that a web configuration names.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};

use super::web_config::TlsFiles;
use crate::registry::client::crypto::provider;

/// Reads a certificate with its key, and how clients are verified.
///
/// A client without a certificate gets through the handshake even where one is required, and is turned
/// away by the guard, so that `/healthz` can be asked by whoever has none.
///
/// # Errors
///
/// One sentence for a person. A certificate and a key that do not belong together are an error.
pub(super) fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let provider = provider();
    let versions: &[&'static SupportedProtocolVersion] = if files.only_tls13 {
        &[&TLS13]
    } else {
        &[&TLS13, &TLS12]
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS cannot be served: {error}"))?;
    let builder = if let Some(path) = files.clients.authorities() {
        let unusable = |why: &dyn fmt::Display| format!("client_ca_file {}: {why}", path.display());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, "client_ca_file")? {
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable(&error))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = certificates(&files.certificate, "cert_file")?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("key_file {}: {error}", files.key.display()))?;
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("cert_file {certificate} and key_file {key}: {error}")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |why: &dyn fmt::Display| format!("{key} {}: {why}", path.display());
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(&"it holds no certificate")),
        found => found.map_err(|error| unusable(&error)),
    }
}
