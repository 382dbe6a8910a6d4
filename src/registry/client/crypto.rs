//! The cryptography of TLS: that of `ring`, and the curve P-521, which it does not know.

use std::sync::{Arc, LazyLock};

use p521::ecdh::diffie_hellman;
use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{Signature, VerifyingKey};
use p521::elliptic_curve::sec1::ToEncodedPoint as _;
use p521::{PublicKey, SecretKey};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, WebPkiSupportedAlgorithms,
    ring,
};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use rustls::{NamedGroup, PeerMisbehaved, SignatureScheme};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// What all of the program's TLS goes by.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let ring = ring::default_provider();
        Arc::new(CryptoProvider {
            signature_verification_algorithms: with_p521(ring.signature_verification_algorithms),
            // The last choice. Servers of TLS 1.2 show a P-521 certificate only to who knows the curve (RFC 8422, 5.1).
            kx_groups: [&ring.kx_groups[..], &[&Exchanges]].concat(),
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
    type Algorithm = &'static dyn SignatureVerificationAlgorithm;
    let [sha256, sha384, sha512]: [Algorithm; 3] = [&P521[0], &P521[1], &P521[2]];
    let all = [known.all, &[sha256, sha384, sha512]].concat();
    let mut mapping = known.mapping.to_vec();
    // TLS 1.3 takes the first of each scheme. In TLS 1.2 a scheme names the digest alone (RFC 8446, 4.2.3).
    for (scheme, algorithms) in &mut mapping {
        let further = match scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => sha256,
            SignatureScheme::ECDSA_NISTP384_SHA384 => sha384,
            _ => continue,
        };
        *algorithms = [*algorithms, &[further]].concat().leak();
    }
    mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, vec![sha512].leak()));
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

/// Key exchange on P-521.
#[derive(Debug)]
struct Exchanges;

struct Exchange {
    secret: SecretKey,
    public: Vec<u8>,
}

/// A number of 521 bits is none of the curve's once in more tries than anybody makes.
const TRIES: usize = 8;

impl SupportedKxGroup for Exchanges {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        for _ in 0..TRIES {
            let mut number = [0; FIELD];
            provider().secure_random.fill(&mut number)?;
            number[0] &= 1;
            if let Ok(secret) = SecretKey::from_slice(&number) {
                let public = secret.public_key().to_encoded_point(false);
                let public = public.as_bytes().to_vec();
                return Ok(Box::new(Exchange { secret, public }));
            }
        }
        Err(rustls::Error::FailedToGetRandomBytes)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
        let peer = PublicKey::from_sec1_bytes(peer)
            .map_err(|_| rustls::Error::from(PeerMisbehaved::InvalidKeyShare))?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
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
    fn both_sides_of_an_exchange_on_p521_get_one_secret() {
        let (one, other) = (
            Exchanges.start().expect("a key"),
            Exchanges.start().expect("a key"),
        );
        let (of_one, of_other) = (one.pub_key().to_vec(), other.pub_key().to_vec());
        assert_ne!(of_one, of_other);
        let shared = one.complete(&of_other).expect("a secret");
        let same = other.complete(&of_one).expect("a secret");
        assert_eq!(shared.secret_bytes(), same.secret_bytes());
        assert_eq!(shared.secret_bytes().len(), FIELD);
        for odd in [&b""[..], &[4; 133], &[0]] {
            let again = Exchanges.start().expect("a key");
            assert!(again.complete(odd).is_err());
        }
    }

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
