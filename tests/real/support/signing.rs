//! Tokens as distribution takes them: JSON web tokens in RS256, with the certificate of their key along.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use serde_json::{Value, json};

use super::process::{run, tool};

/// A key that nobody but its registry trusts.
#[derive(Debug)]
pub(crate) struct Signer {
    key: Arc<dyn SigningKey>,
    certificate: Vec<u8>,
    bundle: PathBuf,
}

impl Signer {
    /// Makes a key and its certificate in the directory.
    pub(crate) fn make(directory: &Path) -> Self {
        let openssl = |arguments: &str| {
            run(tool("openssl")
                .current_dir(directory)
                .args(arguments.split(' ')));
        };
        openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout token.key -out token.pem",
        );
        openssl("pkcs8 -topk8 -nocrypt -in token.key -outform DER -out token-key.der");
        openssl("x509 -in token.pem -outform DER -out token.der");
        let read = |name: &str| fs::read(directory.join(name)).expect("openssl wrote it");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(read("token-key.der")));
        Self {
            key: any_supported_type(&key).expect("an RSA key"),
            certificate: read("token.der"),
            bundle: directory.join("token.pem"),
        }
    }

    /// What the registry has to trust.
    pub(crate) fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// The claims, signed.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let x5c = [STANDARD.encode(&self.certificate)];
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": x5c });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let scheme = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let scheme = scheme.expect("an RSA key signs so");
        let signature = scheme.sign(signed.as_bytes()).expect("it signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
