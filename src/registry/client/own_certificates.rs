//! What is shown to and trusted of one registry alone: a client certificate, and what stands in `certs.d` for it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::{Secret, crypto};
use crate::words::plain;

/// What is meant for the registry's own origin alone.
#[derive(Clone, Debug, Default)]
pub struct OwnCertificates {
    /// The client certificate that somebody named.
    pub given: Option<ClientPair>,
    /// What stands in `certs.d`.
    pub folder: CertsFolder,
}

impl OwnCertificates {
    /// The client certificate that is shown where one is asked for: one that was named, or else the folder's.
    pub(crate) fn pair(&self) -> Option<&ClientPair> {
        self.given.as_ref().or(self.folder.pair.as_ref())
    }
}

impl OwnCertificates {
    /// What a person should know of them, and of a `--ca-file`, if one `is_trusted`.
    pub(crate) fn notices(
        &self,
        is_encrypted: bool,
        is_trusted: bool,
    ) -> impl Iterator<Item = String> {
        let of_key = self.pair().and_then(ClientPair::warning);
        let unused = self.folder.trouble.iter();
        let named = [
            (is_trusted, "--ca-file"),
            (self.given.is_some(), "--client-cert"),
        ];
        let named = named
            .into_iter()
            .filter(move |(is_named, _)| *is_named && !is_encrypted);
        let in_vain = named.map(|(_, option)| {
            format!("{option} is in vain over http: if the registry speaks TLS, write https:// before its name")
        });
        unused
            .map(|why| format!("not used: {why}"))
            .chain(of_key)
            .chain(in_vain)
    }
}

/// Why a client certificate cannot be used.
#[derive(Debug)]
pub struct UnusablePair {
    /// Whether it is for its key.
    pub is_key: bool,
    /// One sentence for a person, with the file.
    pub why: String,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPair {
    /// The file of the certificate and its chain.
    pub certificate: PathBuf,
    /// The file of the key, which may be the same.
    pub key: PathBuf,
    /// Both in PEM, and nothing else of what the files hold.
    pem: Secret,
}

impl ClientPair {
    /// Reads the two files.
    ///
    /// # Errors
    ///
    /// Which of the two cannot be used, and one sentence for a person. A certificate and a key that do not belong together are an error.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, UnusablePair> {
        let (shown, hidden) = (certificate.display(), key.display());
        let of_certificate = |why| UnusablePair { is_key: false, why };
        let of_key = |why| UnusablePair { is_key: true, why };
        let chain = read(certificate)
            .and_then(|pem| authorities(&pem).map_err(|why| format!("{shown} {why}")));
        let chain = chain.map_err(of_certificate)?;
        let text = read(key).map_err(of_key)?;
        let is_encrypted = String::from_utf8_lossy(&text).contains("ENCRYPTED");
        if is_encrypted {
            return Err(of_key(format!(
                "the key in {hidden} is encrypted, and nobody is here to ask for its passphrase: \
                 `openssl pkey` writes it without one"
            )));
        }
        let der = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
            of_key(format!(
                "{hidden} holds no private key in PEM (PKCS#8, SEC1 or PKCS#1)"
            ))
        })?;
        let pem = Secret::new(pem_of(&chain, &der));
        match CertifiedKey::from_der(chain, der, &crypto::provider()) {
            Ok(_) => Ok(Self {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                pem,
            }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(of_key(format!(
                "the key in {hidden} is not that of the certificate in {shown}"
            ))),
            Err(Error::InvalidCertificate(_)) => Err(of_certificate(format!(
                "{shown} holds no usable certificate"
            ))),
            Err(_) => Err(of_key(format!(
                "the key in {hidden} cannot be used: it must be RSA, ECDSA by P-256 or P-384, or Ed25519"
            ))),
        }
    }

    /// Reads the files again. A pair that cannot be used stays as it was.
    ///
    /// # Errors
    ///
    /// Why it stays.
    pub(crate) fn read_again(&mut self) -> Result<(), String> {
        if !is_special(&self.certificate) && !is_special(&self.key) {
            *self = Self::read(&self.certificate, &self.key).map_err(|error| error.why)?;
        }
        Ok(())
    }

    /// What to think of the key's file: one that everybody on this machine can read.
    fn warning(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.key).ok()?.mode() & 0o777;
        let key = self.key.display();
        (mode & 0o007 != 0).then(|| {
            format!("everybody on this machine can read the key in {key} (mode {mode:04o}): 0400 is enough")
        })
    }

    /// The same for TLS.
    ///
    /// # Errors
    ///
    /// Never, as it was read before.
    pub(crate) fn parts(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let pem = self.pem.reveal().as_bytes();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let unusable = |_| Error::General("it holds no key or no certificate".to_owned());
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(unusable)?;
        Ok((chain.map_err(unusable)?, key))
    }
}

/// As Go reads it. `PrivateKeyDer` knows three forms, and more may come.
fn pem_of(chain: &[CertificateDer], key: &PrivateKeyDer) -> String {
    let section = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let chain = chain.iter().map(|der| section("CERTIFICATE", der));
    chain.chain([section(label, key.secret_der())]).collect()
}

/// The certificates in a text, each of which can be read to its end.
///
/// # Errors
///
/// What the text is or holds, to be said behind its name.
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let count = |mark: &[u8]| pem.windows(mark.len()).filter(|part| *part == mark).count();
    let is_whole = count(b"-----BEGIN CERTIFICATE-----") == count(b"-----END CERTIFICATE-----");
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if is_whole && !found.is_empty() => {
            let mut store = RootCertStore::empty();
            let are_certificates = found.iter().all(|one| store.add(one.clone()).is_ok());
            let broken = "holds something that is no certificate";
            are_certificates.then_some(found).ok_or(broken)
        }
        _ => Err("holds no whole PEM certificate"),
    }
}

/// Reads a file. Where it may not be read, says whose it is.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        let of = std::fs::metadata(path)
            .ok()
            .filter(|_| error.kind() == io::ErrorKind::PermissionDenied);
        let of = of.map(|of| format!(" (mode {:04o}, of user {})", of.mode() & 0o777, of.uid()));
        format!(
            "{} cannot be read: {}{}",
            path.display(),
            plain(&error),
            of.unwrap_or_default()
        )
    })
}

/// A registry's folder in `certs.d`, as docker and podman lay it out: each `*.crt` holds authorities, and
/// `NAME.cert` with `NAME.key` is a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertsFolder {
    /// Where it could be; the first that is there counts.
    looked_at: Vec<PathBuf>,
    /// The one that is there.
    pub(crate) path: Option<PathBuf>,
    /// The files of authorities, and what is in them.
    pub(crate) authorities: Vec<(PathBuf, Vec<u8>)>,
    /// The first client certificate by its name.
    pub(crate) pair: Option<ClientPair>,
    /// What is there and cannot be used.
    pub(crate) trouble: Vec<String>,
}

impl CertsFolder {
    /// Reads the first of these folders that is there.
    #[must_use]
    pub fn read(looked_at: Vec<PathBuf>) -> Self {
        let path = looked_at.iter().find(|path| path.exists()).cloned();
        let mut folder = Self {
            looked_at,
            ..Self::default()
        };
        let Some(path) = path else {
            return folder;
        };
        let mut files: Vec<_> = match std::fs::read_dir(&path) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) => {
                let why = format!("{} cannot be read: {}", path.display(), plain(&error));
                folder.trouble.push(why);
                Vec::new()
            }
        };
        files.sort();
        folder.path = Some(path);
        for file in &files {
            folder.take(file);
        }
        folder
    }

    fn take(&mut self, file: &Path) {
        let taken = match file.extension().and_then(|ending| ending.to_str()) {
            Some("crt") => read(file).and_then(|pem| {
                authorities(&pem).map_err(|why| format!("{} {why}", file.display()))?;
                self.authorities.push((file.to_owned(), pem));
                Ok(())
            }),
            Some("cert") if !file.with_extension("key").exists() => Err(format!(
                "{} has no .key beside it; authorities end in .crt",
                file.display()
            )),
            Some("key") if !file.with_extension("cert").exists() => {
                Err(format!("{} has no .cert beside it", file.display()))
            }
            Some("cert") if self.pair.is_none() => {
                let pair = ClientPair::read(file, &file.with_extension("key"));
                pair.map(|pair| self.pair = Some(pair))
                    .map_err(|error| error.why)
            }
            _ => Ok(()),
        };
        self.trouble.extend(taken.err());
    }

    /// Reads it again. One that is gone or cannot be used whole stays as it was, and is told.
    ///
    /// # Errors
    ///
    /// Why it stays.
    pub(super) fn read_again(&mut self) -> Result<(), String> {
        let new = Self::read(self.looked_at.clone());
        let is_lost = self.path.is_some() && new.path.is_none();
        let has_new_trouble = new.trouble.iter().any(|one| !self.trouble.contains(one));
        if is_lost || has_new_trouble {
            let path = self.path.as_ref().or(new.path.as_ref());
            let path = path
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            return Err(match new.trouble.first() {
                Some(trouble) => trouble.clone(),
                None => format!("{path} is gone"),
            });
        }
        *self = new;
        Ok(())
    }

    /// Where it was looked for.
    pub(crate) fn places(&self) -> Vec<String> {
        let places = self.looked_at.iter();
        places.map(|path| path.display().to_string()).collect()
    }
}

/// Whether something is there that is no file, such as a pipe: it is read once, and to open it again may wait for
/// ever.
pub(crate) fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn signed() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["client".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_or_says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let ((certificate, key), (_, other)) = (signed(), signed());
        fs::write(at("c"), &certificate).expect("written");
        let both = format!("{key}{certificate}");
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, expected) in [
            (&*key, ""),
            (&both, ""),
            (&other, "is not that of the certificate"),
            ("", "holds no private key"),
            (&key[..key.len() / 2], "holds no private key"),
            (encrypted, "is encrypted"),
        ] {
            fs::write(at("k"), text).expect("written");
            let error = ClientPair::read(&at("c"), &at("k"))
                .err()
                .map_or_else(String::new, |error| error.why);
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.is_empty(), expected.is_empty(), "{error}");
            assert!(
                !error.contains(text.lines().nth(1).unwrap_or("-")),
                "{error}"
            );
        }
        fs::write(at("both"), both).expect("written");
        let pair = ClientPair::read(&at("both"), &at("both")).expect("a pair");
        assert!(pair.parts().is_ok());
        assert!(format!("{pair:?}").contains("[secret]"), "{pair:?}");
        let gone = ClientPair::read(&at("gone"), &at("k")).expect_err("gone");
        assert!(!gone.is_key);
        let expected = "gone cannot be read: it is not there";
        assert!(gone.why.ends_with(expected), "{}", gone.why);
        let gone = ClientPair::read(&at("c"), &at("gone")).expect_err("gone");
        assert!(gone.is_key, "{}", gone.why);
    }

    #[test]
    fn a_key_for_everybody_is_told_with_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = signed();
        let path = folder.path().join("both");
        fs::write(&path, format!("{certificate}{key}")).expect("written");
        let pair = ClientPair::read(&path, &path).expect("a pair");
        for (mode, is_told) in [(0o644, true), (0o640, false), (0o400, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(pair.warning().is_some(), is_told, "{mode:o}");
        }
    }

    #[test]
    fn a_folder_as_docker_lays_it_out() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("r.example:5000");
        let places = || vec![root.path().join("elsewhere"), folder.clone()];
        assert_eq!(CertsFolder::read(places()).path, None);
        fs::create_dir(&folder).expect("made");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("written");
        let (authority, _) = signed();
        write("ca.crt", &authority);
        write("other.crt", &authority);
        write("notes.txt", "nothing");
        let ((first, first_key), (second, second_key)) = (signed(), signed());
        write("a.cert", &first);
        write("a.key", &first_key);
        write("b.cert", &second);
        write("b.key", &second_key);
        let mut read = CertsFolder::read(places());
        assert_eq!(read.authorities.len(), 2);
        let pair = read.pair.as_ref().expect("a pair");
        assert!(pair.certificate.ends_with("a.cert"), "{pair:?}");
        assert!(read.trouble.is_empty(), "{:?}", read.trouble);

        let before = read.clone();
        write("ca.crt", &authority[..authority.len() / 2]);
        assert!(read.read_again().is_err());
        assert_eq!(read, before, "half of a file changes nothing");
        write("ca.crt", &signed().0);
        assert_eq!(read.read_again(), Ok(()));
        assert_ne!(read, before);

        write("c.cert", &first);
        write("d.key", &first_key);
        let read = CertsFolder::read(places());
        let told = read.trouble.join("\n");
        assert!(told.contains("c.cert has no .key"), "{told}");
        assert!(told.contains("d.key has no .cert"), "{told}");
        assert_eq!(read.authorities.len(), 2, "the rest is used");
    }
}
