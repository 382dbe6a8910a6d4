//! Content digests: what they look like and how they are computed.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

/// The digest algorithms that the registry can store content under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The one that everybody uses.
    Sha256,
    /// The other one that the image specification registers.
    Sha512,
}

impl Algorithm {
    /// The digest of these bytes, as `sha256:<hex>` or `sha512:<hex>`.
    pub fn digest(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha256 => format!("sha256:{}", hex(&Sha256::digest(bytes))),
            Self::Sha512 => format!("sha512:{}", hex(&Sha512::digest(bytes))),
        }
    }
}

/// The `sha256:<hex>` digest of these bytes.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Algorithm::Sha256.digest(bytes.as_ref())
}

/// The algorithm of a well-formed digest; nothing for a malformed digest or an algorithm nobody
/// registered.
pub(crate) fn algorithm_of(digest: &str) -> Option<Algorithm> {
    let (name, encoded) = digest.split_once(':')?;
    let (algorithm, length) = match name {
        "sha256" => (Algorithm::Sha256, 64),
        "sha512" => (Algorithm::Sha512, 128),
        _ => return None,
    };
    let is_hex = encoded
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && encoded.len() == length).then_some(algorithm)
}

/// Lower-case hexadecimal, two characters a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        assert_eq!(
            sha256("{}"),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(
            algorithm_of(&Algorithm::Sha512.digest(b"x")),
            Some(Algorithm::Sha512)
        );
    }

    #[test]
    fn malformed_digests_have_no_algorithm() {
        for digest in [
            "sha256:abc",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "latest",
            "sha256:",
        ] {
            assert_eq!(algorithm_of(digest), None, "{digest}");
        }
        assert_eq!(algorithm_of(&sha256("x").to_uppercase()), None);
    }
}
