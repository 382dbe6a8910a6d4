//! Whom TLS trusts, and what it shows: the system's authorities, which are read where a certificate has to be
//! verified and not before, since that takes longer than all else at the start.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::crypto;
use super::own_certificates::ClientPair;

/// Who is trusted.
#[derive(Debug)]
pub(crate) enum Trust {
    /// The system's authorities, and these.
    Authorities {
        further: Vec<CertificateDer<'static>>,
        read: OnceLock<Result<Verifier, Error>>,
    },
    /// Anybody.
    Everybody,
}

impl Trust {
    /// The system's authorities, and these.
    pub(crate) fn authorities(further: Vec<CertificateDer<'static>>) -> Self {
        let read = OnceLock::new();
        Self::Authorities { further, read }
    }

    /// Reads the system's authorities, unless that was done before.
    ///
    /// # Errors
    ///
    /// If there are none, or one of the others cannot be used.
    pub(crate) fn read(&self) -> Result<(), Error> {
        self.verifier().map(drop)
    }

    /// `None` where nothing is verified.
    fn verifier(&self) -> Result<Option<&Verifier>, Error> {
        let Self::Authorities { further, read } = self else {
            return Ok(None);
        };
        let verifier = read
            .get_or_init(|| Verifier::new_with_extra_roots(further.clone(), crypto::provider()));
        verifier.as_ref().map(Some).map_err(Error::clone)
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verifier()? {
            Some(verifier) => verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.verifier()? {
            Some(verifier) => verifier.verify_tls12_signature(message, cert, dss),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.verifier()? {
            Some(verifier) => verifier.verify_tls13_signature(message, cert, dss),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = crypto::provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// What clients go by that trust these and show a certificate to whoever asks for one. Clones share the
/// sessions that can be resumed.
///
/// # Errors
///
/// If the certificate cannot be used.
pub(crate) fn tls(trust: &Arc<Trust>, shown: Option<&ClientPair>) -> Result<ClientConfig, Error> {
    let trust = Arc::clone(trust) as Arc<dyn ServerCertVerifier>;
    let config = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(trust);
    let mut config = match shown {
        Some(pair) => {
            let (chain, key) = pair.parts()?;
            config.with_client_auth_cert(chain, key)?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_once_and_where_they_are_needed() {
        let trust = Arc::new(Trust::authorities(Vec::new()));
        let config = tls(&trust, None).expect("a configuration");
        assert!(!config.alpn_protocols.is_empty() && !trust.supported_verify_schemes().is_empty());
        let Trust::Authorities { read, .. } = &*trust else {
            panic!("it trusts authorities");
        };
        assert!(read.get().is_none(), "nothing is verified yet");
        let shown = CertificateDer::from(vec![0]);
        let name = ServerName::try_from("r.example").expect("a name");
        let verified = trust.verify_server_cert(&shown, &[], &name, &[], UnixTime::now());
        assert!(verified.is_err());
        assert!(read.get().is_some());
        Trust::Everybody.read().expect("nothing to read");
    }
}
