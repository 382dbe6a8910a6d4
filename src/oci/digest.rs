//! Content digests: parsed once, compared and hashed cheaply, computed while bytes stream by.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

use super::text::text_in_json;

/// A content digest as the OCI image specification defines it (descriptor.md, "Digests").
///
/// Stored as raw bytes, not as text, because a walk holds one per object of a repository.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Sha256([u8; 32]),
    Sha512(Box<[u8; 64]>),
    /// Well-formed, but of an algorithm that this program cannot compute.
    Other(Box<str>),
}

/// A string that does not follow the digest grammar.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a digest: expected ALGORITHM:HEX, such as sha256: and 64 hex digits")]
pub struct MalformedDigest;

text_in_json!(Digest);

impl Digest {
    /// Its grammar, for the schema of the report.
    #[cfg(test)]
    pub(crate) const PATTERN: &str = "^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$";

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(Repr::Sha256(Sha256::digest(bytes).into()))
    }

    /// A hasher of this digest's algorithm, or `None` if the algorithm is unknown: then only
    /// existence can be checked.
    #[must_use]
    pub fn hasher(&self) -> Option<Hasher> {
        match self.0 {
            Repr::Sha256(_) => Some(Hasher::sha256()),
            Repr::Sha512(_) => Some(Hasher(Inner::Sha512(Box::new(Sha512::new())))),
            Repr::Other(_) => None,
        }
    }

    /// A number that is evenly distributed over all digests, and the same wherever it is asked for.
    #[must_use]
    pub fn spread(&self) -> u64 {
        let hashed;
        let bytes: &[u8] = match &self.0 {
            Repr::Sha256(bytes) => bytes,
            Repr::Sha512(bytes) => bytes.as_slice(),
            // Of its form nothing is known, so it is not random by itself.
            Repr::Other(text) => {
                hashed = Sha256::digest(text.as_bytes());
                &hashed
            }
        };
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        u64::from_be_bytes(first)
    }

    /// The digest of `bytes` under this digest's algorithm, or `None` if that is unknown.
    #[must_use]
    pub fn of_same_algorithm(&self, bytes: &[u8]) -> Option<Self> {
        let mut hasher = self.hasher()?;
        hasher.update(bytes);
        Some(hasher.finish())
    }
}

impl std::str::FromStr for Digest {
    type Err = MalformedDigest;

    /// Parses by the grammar of the image specification (descriptor.md): registered algorithms
    /// must carry lower-case hex of their length, other algorithms any encoded part that the
    /// grammar allows.
    fn from_str(text: &str) -> Result<Self, MalformedDigest> {
        // Nearly all are of this one, of which the grammar says no more than this.
        if let Some(hex) = text.strip_prefix("sha256:") {
            return from_hex(hex).map(Repr::Sha256).map(Self);
        }
        let parsed: oci_spec::image::Digest = text.parse().map_err(|_| MalformedDigest)?;
        let (algorithm, encoded) = (parsed.algorithm().as_ref(), parsed.digest());
        Ok(Self(match algorithm {
            "sha512" => Repr::Sha512(Box::new(from_hex(encoded)?)),
            // A longer text than any real digest is hostile, not an algorithm of the future.
            _ if text.len() > 256 => return Err(MalformedDigest),
            _ => Repr::Other(text.into()),
        }))
    }
}

fn from_hex<const N: usize>(digits: &str) -> Result<[u8; N], MalformedDigest> {
    let mut bytes = [0; N];
    let is_upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
    match hex::decode_to_slice(digits, &mut bytes) {
        Ok(()) if !is_upper => Ok(bytes),
        _ => Err(MalformedDigest),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, bytes): (_, &[u8]) = match &self.0 {
            Repr::Sha256(bytes) => ("sha256", bytes),
            Repr::Sha512(bytes) => ("sha512", bytes.as_slice()),
            Repr::Other(text) => return f.write_str(text),
        };
        // In one piece, because there is one of these in each request.
        let mut digits = [0; 128];
        let digits = &mut digits[..2 * bytes.len()];
        hex::encode_to_slice(bytes, digits).map_err(|_| fmt::Error)?;
        let digits = std::str::from_utf8(digits).map_err(|_| fmt::Error)?;
        f.write_str(algorithm)?;
        f.write_str(":")?;
        f.write_str(digits)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a digest over bytes that arrive in pieces.
pub struct Hasher(Inner);

enum Inner {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// Of SHA-256.
    #[must_use]
    pub fn sha256() -> Self {
        Self(Inner::Sha256(Sha256::new()))
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            Inner::Sha256(hasher) => Repr::Sha256(hasher.finalize().into()),
            Inner::Sha512(hasher) => Repr::Sha512(Box::new((*hasher).finalize().into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_OBJECT: &str =
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn the_empty_descriptor_of_the_image_specification() {
        assert_eq!(Digest::sha256(b"{}").to_string(), EMPTY_OBJECT);
        assert_eq!(EMPTY_OBJECT.parse(), Ok(Digest::sha256(b"{}")));
    }

    #[test]
    fn sha512_is_computed_too() {
        let text = format!("sha512:{}", "0".repeat(128));
        let promised: Digest = text.parse().expect("well-formed");
        let computed = promised.of_same_algorithm(b"").expect("known algorithm");
        assert!(computed.to_string().starts_with("sha512:cf83e1357eefb8bd"));
    }

    #[test]
    fn an_unknown_algorithm_is_well_formed_and_not_computable() {
        let digest: Digest = "blake3:0123456789abcdef".parse().expect("well-formed");
        assert_eq!(digest.to_string(), "blake3:0123456789abcdef");
        assert!(digest.hasher().is_none());
    }

    #[test]
    fn what_is_not_a_digest() {
        let upper = EMPTY_OBJECT.to_uppercase();
        let cut = &EMPTY_OBJECT[..70];
        for text in ["", "latest", "sha256:", "sha256:zz", "../etc", cut, &upper] {
            assert_eq!(text.parse::<Digest>(), Err(MalformedDigest), "{text}");
        }
    }
}
