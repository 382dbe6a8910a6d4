//! The login for a registry: whether there is one for what is asked, and whether it was ever asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::credentials::CredentialSource;
use super::secret::Credentials;
use crate::oci::Repository;
use crate::registry::{Unverified, UnverifiedReason};

/// How long what a file or helper says is used before it is read again.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);
/// Repositories of which is kept whether there is a login for them.
const MANY: usize = 1024;

/// Where the login for one registry comes from, and what became of it.
pub(crate) struct Login {
    registry: String,
    source: CredentialSource,
    /// Whether there is one for a repository, or for the registry as a whole, and until when that is
    /// believed. To read it may start a program.
    known: Mutex<HashMap<Option<Repository>, (bool, Instant)>>,
    /// Why one could not be had the last time that it was looked for, and whether a place speaks of it.
    trouble: Mutex<Option<(Unverified, bool)>>,
    found_at: Mutex<Option<String>>,
    /// What a token service refused, and how: to try it for every repository may lock an account.
    refused: Mutex<Option<(Credentials, Unverified)>>,
    is_configured: AtomicBool,
    was_sent: AtomicBool,
    /// Whether the catalog was given to somebody without it, by a registry that had not asked for any.
    has_open_catalog: AtomicBool,
}

/// For a registry that was asked as nobody.
pub(super) const LOG_IN: &str = "log in: --username with --password-file, PROBE_USERNAME with PROBE_PASSWORD, or `docker login` as the \
                                 user that runs the probe";
/// For one that does not take the login that there is.
pub(super) const LOG_IN_ANEW: &str = "the login is refused, and may have expired: set another by --username with --password-file, PROBE_USERNAME with \
                                      PROBE_PASSWORD, or `docker login` as the user that runs the probe";

impl Login {
    pub(crate) fn new(registry: String, source: CredentialSource) -> Self {
        Self {
            registry,
            source,
            known: Mutex::default(),
            trouble: Mutex::default(),
            found_at: Mutex::default(),
            refused: Mutex::default(),
            is_configured: AtomicBool::default(),
            was_sent: AtomicBool::default(),
            has_open_catalog: AtomicBool::default(),
        }
    }

    pub(crate) fn source(&self) -> &CredentialSource {
        &self.source
    }

    /// The login for a repository, or for the registry as a whole, to be sent; `None` where there is none, or where
    /// it cannot be had: what everybody may see is asked for all the same.
    pub(crate) async fn load(&self, repository: Option<&Repository>) -> Option<Credentials> {
        let found = self.look(repository).await;
        self.was_sent.fetch_or(found.is_some(), Ordering::Relaxed);
        found
    }

    async fn look(&self, repository: Option<&Repository>) -> Option<Credentials> {
        let looked = self.source.look(&self.registry, repository).await;
        let is_about_it = looked.troubles.iter().any(|trouble| trouble.is_about_it);
        *self.trouble.lock() = looked.trouble().map(|why| (why, is_about_it));
        let (login, place) = looked.found?;
        *self.found_at.lock() = Some(place);
        Some(login)
    }

    /// Where it was found the last time.
    pub(crate) fn found_at(&self) -> Option<String> {
        self.found_at.lock().clone()
    }

    /// Why no login could be had, if one was looked for in vain.
    pub(crate) fn trouble(&self) -> Option<Unverified> {
        self.trouble.lock().as_ref().map(|(why, _)| why.clone())
    }

    /// The same where a login for this registry is stored somewhere: what is shown to nobody in particular may
    /// be less than there is.
    pub(crate) fn trouble_with_its_own(&self) -> Option<Unverified> {
        let trouble = self.trouble.lock();
        let (why, _) = trouble.as_ref().filter(|(_, is_about_it)| *is_about_it)?;
        Some(why.clone())
    }

    /// Whether there is one.
    pub(crate) async fn is_there(&self, repository: Option<&Repository>) -> bool {
        let CredentialSource::Stored(_) = self.source else {
            return !matches!(self.source, CredentialSource::None);
        };
        let now = Instant::now();
        let key = repository.cloned();
        let known = self.known.lock().get(&key).copied();
        if let Some((is_there, _)) = known.filter(|(_, until)| *until > now) {
            return is_there;
        }
        let is_there = self.look(repository).await.is_some();
        let mut known = self.known.lock();
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(key, (is_there, now + LIFETIME));
        is_there
    }

    /// What became of this login at a token service, if that refused it before.
    pub(crate) fn refusal_of(&self, credentials: Option<&Credentials>) -> Option<Unverified> {
        let refused = self.refused.lock();
        let (login, why) = refused.as_ref()?;
        (Some(login) == credentials).then(|| why.clone())
    }

    pub(crate) fn note_refusal(&self, credentials: &Credentials, why: &Unverified) {
        *self.refused.lock() = Some((credentials.clone(), why.clone()));
    }

    /// Finds out whether somebody meant this registry to be asked as somebody. Starts no program.
    pub(crate) async fn look_for_any(&self) {
        let is_configured = self.source.names(&self.registry).await;
        self.is_configured.store(is_configured, Ordering::Relaxed);
    }

    pub(crate) fn note_open_catalog(&self) {
        self.has_open_catalog.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_sent(&self) -> bool {
        self.was_sent.load(Ordering::Relaxed)
    }

    /// Why nothing can be asked where a login is wanted and there is none.
    pub(crate) fn is_missing(&self) -> Unverified {
        let detail = format!("{} wants a login, and there is none for it", self.registry);
        Unverified::new(UnverifiedReason::Unauthorized, detail).advised(Some(LOG_IN))
    }

    /// What is to be said of a login that was not asked for. It is not sent unasked, so what only it may
    /// see was not looked at.
    pub(crate) fn notice(&self) -> Option<String> {
        if !self.is_configured.load(Ordering::Relaxed) {
            return None;
        }
        let what_happened = match self.was_sent() {
            false => "the login was never asked for, and so not sent",
            true if self.has_open_catalog.load(Ordering::Relaxed) => {
                "the catalog was given before the login was asked for"
            }
            true => return None,
        };
        Some(format!(
            "{what_happened}: repositories that only it may see may be missing; name them with --repo or \
             --repos-file, or let the registry show a challenge (WWW-Authenticate) with its answer to /v2/"
        ))
    }
}
