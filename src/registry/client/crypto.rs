//! The cryptography of TLS: that of `ring`, and the signatures of P-521 keys, which it does not know.

use std::sync::{Arc, LazyLock};

use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{Signature, VerifyingKey};
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// What all of the program's TLS goes by.

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let ring = ring::default_provider();
        Arc::new(CryptoProvider {
            signature_verification_algorithms: with_p521(ring.signature_verification_algorithms),
            ..ring
        })
    });
    Arc::clone(&PROVIDER)
}

/// Makes it the one that HTTP clients take, which can be asked for no other way.
pub(crate) fn install() {
    // Another part of the program may have installed it already, which is as well.
    let _ = CryptoProvider::clone(&provider()).install_default();
}

/// The lists have to live as long as the process does, and there is one of each.
fn with_p521(known: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let own = P521
        .iter()
        .map(|one| one as &dyn SignatureVerificationAlgorithm);
    let all: Vec<_> = known.all.iter().copied().chain(own).collect();
    let mut mapping = known.mapping.to_vec();
    mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, &IN_HANDSHAKE));
    WebPkiSupportedAlgorithms {
        all: all.leak(),
        mapping: mapping.leak(),
    }
}

/// Signatures by a P-521 key over a digest of one kind. Authorities choose the digest as they like.
#[derive(Debug)]
struct OfP521 {
    signature: AlgorithmIdentifier,
    digest: fn(&[u8]) -> Vec<u8>,
}

static P521: [OfP521; 3] = [
    OfP521 {
        signature: alg_id::ECDSA_SHA256,
        digest: |message| Sha256::digest(message).to_vec(),
    },
    OfP521 {
        signature: alg_id::ECDSA_SHA384,
        digest: |message| Sha384::digest(message).to_vec(),
    },
    OfP521 {
        signature: alg_id::ECDSA_SHA512,
        digest: |message| Sha512::digest(message).to_vec(),
    },
];

/// In a handshake the digest is that of the scheme (RFC 8446, 4.2.3).
static IN_HANDSHAKE: [&dyn SignatureVerificationAlgorithm; 1] = [&P521[2]];

/// The bytes of a number of 521 bits.
const FIELD: usize = 66;

impl SignatureVerificationAlgorithm for OfP521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // A digest is a number, and shorter ones begin with zeros (FIPS 186-5, 6.4); the crate refuses SHA-256
        // where it is not written so.
        let digest = (self.digest)(message);
        let mut number = [0; FIELD];
        number[FIELD - digest.len()..].copy_from_slice(&digest);
        let verified = key.verify_prehash(&number, &signature);
        verified.map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    /// An authority's certificate, and one of r.example by it for each digest, all with P-521 keys: by
    /// `openssl x509 -req -CA ca.pem -CAkey ca.key -sha384`.
    const CHAIN: &[u8] = include_bytes!("p521.pem");

    #[test]
    fn certificates_of_p521_authorities_are_verified() {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(CHAIN).collect();
        let chain = chain.expect("certificates");
        let (authority, signed) = chain.split_first().expect("an authority");
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).expect("an authority");
        let verify = |certificate: &CertificateDer<'_>| {
            let roots = Arc::new(roots.clone());
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider());
            let name = ServerName::try_from("r.example").expect("a name");
            let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
            let verifier = verifier.build().expect("a verifier");
            verifier
                .verify_server_cert(certificate, &[], &name, &[], now)
                .map(drop)
        };
        assert_eq!(signed.len(), 3);
        for certificate in signed {
            assert_eq!(verify(certificate), Ok(()));
            let mut forged = certificate.to_vec();
            // In the serial number, which is signed as everything is.
            forged[20] ^= 1;
            assert!(verify(&forged.into()).is_err());
        }
    }
}
