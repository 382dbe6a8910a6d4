//! Files that a configuration was made of and that change under a running service: Kubernetes swaps them when a
//! Secret is rotated.

use std::path::PathBuf;

use reqwest::Certificate;

use super::{Config, CredentialSource, Secret};

/// Where parts of a configuration came from.
#[derive(Clone, Debug, Default)]
pub struct WatchedFiles {
    /// The file of the password.
    pub password: Option<PathBuf>,
    /// The file of the certificate authorities.
    pub ca: Option<PathBuf>,
}

/// The password in the text of a file or of standard input: its first line, without a byte order mark.
#[must_use]
pub fn password(text: &str) -> Secret {
    let text = text.trim_start_matches('\u{feff}');
    Secret::new(text.lines().next().unwrap_or_default())
}

impl Config {
    /// Reads the watched files again. One that is gone, empty or half-written is logged, and what it said before
    /// stays.
    pub fn read_again(&mut self) {
        let kept = |path: &PathBuf, why: &str| {
            let path = path.display();
            tracing::warn!("{path} {why}: what it said before stays in use");
        };
        if let (Some(path), CredentialSource::Given { password: old, .. }) =
            (&self.files.password, &mut self.credentials)
        {
            match std::fs::read_to_string(path).map(|text| password(&text)) {
                Ok(new) if !new.reveal().is_empty() => *old = new,
                Ok(_) => kept(path, "is empty"),
                Err(error) => kept(path, &format!("cannot be read ({})", error.kind())),
            }
        }
        if let Some(path) = &self.files.ca {
            match std::fs::read(path) {
                Ok(pem) if Some(&pem) == self.ca_pem.as_ref() => {}
                Ok(pem) if holds_authorities(&pem) => self.ca_pem = Some(pem),
                Ok(_) => kept(path, "holds no whole PEM certificate"),
                Err(error) => kept(path, &format!("cannot be read ({})", error.kind())),
            }
        }
    }
}

/// A file that is cut has a beginning without its end.
fn holds_authorities(pem: &[u8]) -> bool {
    let count = |mark: &[u8]| pem.windows(mark.len()).filter(|part| *part == mark).count();
    let is_whole = count(b"-----BEGIN CERTIFICATE-----") == count(b"-----END CERTIFICATE-----");
    let authorities = Certificate::from_pem_bundle(pem);
    is_whole && authorities.is_ok_and(|authorities| !authorities.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::Endpoint;

    #[test]
    fn a_rotated_password_is_used_and_a_lost_one_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        let endpoint = Endpoint::parse("r.example", false).expect("an address");
        let mut config = Config {
            credentials: CredentialSource::Given {
                username: "user".into(),
                password: Secret::new("old"),
            },
            files: WatchedFiles {
                password: Some(path.clone()),
                ca: None,
            },
            ..Config::new(endpoint)
        };
        let mut read = |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&path, text).expect("written"),
                None => std::fs::remove_file(&path).expect("removed"),
            }
            config.read_again();
            match &config.credentials {
                CredentialSource::Given { password, .. } => password.reveal().to_owned(),
                _ => String::new(),
            }
        };
        assert_eq!(read(Some("\u{feff}new\r\nmore")), "new");
        assert_eq!(read(Some("")), "new");
        assert_eq!(read(None), "new");
        assert_eq!(read(Some("newer")), "newer");
    }

    #[test]
    fn half_a_certificate_is_none() {
        let signed = rcgen::generate_simple_self_signed(vec!["r.example".to_owned()]);
        let pem = signed.expect("a certificate").cert.pem();
        assert!(holds_authorities(pem.as_bytes()));
        assert!(holds_authorities(format!("{pem}{pem}").as_bytes()));
        let half = &pem[..pem.len() / 2];
        assert!(!holds_authorities(format!("{pem}{half}").as_bytes()));
        assert!(!holds_authorities(half.as_bytes()));
        assert!(!holds_authorities(b""));
    }
}
