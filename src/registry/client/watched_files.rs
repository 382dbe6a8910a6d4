//! Files that a configuration was made of and that change under a running service: Kubernetes swaps them when a
//! Secret is rotated.

use std::path::PathBuf;
use std::sync::Arc;

use super::config::Config;
use super::own_certificates::{ClientPair, authorities, is_special};
use super::{CredentialSource, Secret};
use crate::words::plain;

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
            && !is_special(path)
        {
            match std::fs::read_to_string(path).map(|text| password(&text)) {
                Ok(new) if !new.reveal().is_empty() => *old = new,
                Ok(_) => kept(path, "is empty"),
                Err(error) => kept(path, &format!("cannot be read ({})", plain(&error))),
            }
        }
        if let Some(path) = self.files.ca.as_ref().filter(|path| !is_special(path)) {
            match std::fs::read(path) {
                Ok(pem) if Some(&pem) == self.ca_pem.as_ref() => {}
                Ok(pem) => match authorities(&pem) {
                    Ok(_) => self.ca_pem = Some(pem),
                    Err(why) => kept(path, why),
                },
                Err(error) => kept(path, &format!("cannot be read ({})", plain(&error))),
            }
        }
        let own = Arc::make_mut(&mut self.own);
        let pair = own.given.as_mut();
        if let Some(Err(why)) = pair.map(ClientPair::read_again) {
            tracing::warn!("{why}: what was there before stays in use");
        }
        if let Err(why) = own.folder.read_again() {
            tracing::warn!("{why}: what was there before stays in use");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::{Endpoint, WatchedFiles};

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

    fn is_whole(pem: &[u8]) -> bool {
        authorities(pem).is_ok()
    }

    #[test]
    fn half_a_certificate_is_none() {
        let signed = rcgen::generate_simple_self_signed(vec!["r.example".to_owned()]);
        let pem = signed.expect("a certificate").cert.pem();
        assert!(is_whole(pem.as_bytes()));
        assert!(is_whole(format!("{pem}{pem}").as_bytes()));
        let half = &pem[..pem.len() / 2];
        assert!(!is_whole(format!("{pem}{half}").as_bytes()));
        assert!(!is_whole(half.as_bytes()));
        assert!(!is_whole(b""));
    }
}
