//! The login for a registry: whether there is one for what is asked, and whether it was ever asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::credentials::{CredentialSource, StoredAs};
use super::secret::Credentials;
use crate::oci::Repository;
use crate::registry::{Unverified, UnverifiedReason};

/// How long what a file or helper says is used before it is read again.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);
/// Repositories of which is kept whether there is a login for them.
const MANY: usize = 1024;

/// Where the login for one registry comes from, and what became of it.
pub(crate) struct Login {
    /// Its names, that which is dialled before that by which people call it.
    names: Vec<StoredAs>,
    source: CredentialSource,
    /// What came of looking for one for a repository, or for the registry as a whole. To look may start a
    /// program.
    known: Mutex<HashMap<Option<Repository>, Known>>,
    found_at: Mutex<Option<String>>,
    is_configured: AtomicBool,
    was_sent: AtomicBool,
    /// Whether the catalog was given to somebody without it, by a registry that had not asked for any.
    has_open_catalog: AtomicBool,
}

/// What came of looking for a login.
#[derive(Clone)]
struct Known {
    is_there: bool,
    /// Why it could not be had.
    trouble: Option<Unverified>,
    /// Whether a place that could not be asked may hold one for this registry.
    is_about_it: bool,
    /// Whether more is wrong than that a store has none.
    is_failure: bool,
    /// Until when that is believed.
    until: Instant,
}

/// For a registry that was asked as nobody.
pub(super) const LOG_IN: &str = "log in: --username with --password-file, PROBE_USERNAME with PROBE_PASSWORD, or `docker login` as the \
                                 user that runs the probe";
/// For one that does not take the login that there is.
pub(super) const LOG_IN_ANEW: &str = "the login is refused, and may have expired: set another by --username with --password-file, PROBE_USERNAME with \
                                      PROBE_PASSWORD, or `docker login` as the user that runs the probe";

impl Login {
    pub(crate) fn new(names: Vec<StoredAs>, source: CredentialSource) -> Self {
        Self {
            names,
            source,
            known: Mutex::default(),
            found_at: Mutex::default(),
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
        if self.known(repository).is_some_and(|known| !known.is_there) {
            return None;
        }
        let found = self.look(repository).await;
        self.was_sent.fetch_or(found.is_some(), Ordering::Relaxed);
        found
    }

    async fn look(&self, repository: Option<&Repository>) -> Option<Credentials> {
        let looked = self.source.look_by(&self.names, repository).await;
        let troubles = &looked.troubles;
        let answer = Known {
            is_there: looked.found.is_some(),
            trouble: looked.trouble(),
            is_about_it: troubles.iter().any(|trouble| trouble.is_about_it),
            is_failure: troubles.iter().any(|trouble| !trouble.has_none),
            until: Instant::now() + LIFETIME,
        };
        let mut known = self.known.lock();
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(repository.cloned(), answer);
        let (login, place) = looked.found?;
        *self.found_at.lock() = Some(place);
        Some(login)
    }

    fn known(&self, repository: Option<&Repository>) -> Option<Known> {
        let known = self.known.lock().get(&repository.cloned()).cloned();
        known.filter(|known| known.until > Instant::now())
    }

    /// Where it was found the last time.
    pub(crate) fn found_at(&self) -> Option<String> {
        self.found_at.lock().clone()
    }

    /// Why no login for a repository could be had, if one was looked for in vain.
    pub(crate) fn trouble(&self, repository: Option<&Repository>) -> Option<Unverified> {
        self.known(repository)?.trouble
    }

    /// The same where more is wrong than that a store has none.
    pub(crate) fn failure(&self, repository: Option<&Repository>) -> Option<Unverified> {
        let known = self.known(repository)?;
        known.trouble.filter(|_| known.is_failure)
    }

    /// The same where a login for this registry may be stored: what an anonymous client sees may be less than
    /// there is.
    pub(crate) fn trouble_with_its_own(
        &self,
        repository: Option<&Repository>,
    ) -> Option<Unverified> {
        let known = self.known(repository)?;
        known
            .trouble
            .filter(|_| known.is_about_it && known.is_failure)
    }

    /// Why the catalog that was given to nobody may not be the whole: a login for this registry is configured,
    /// and cannot be had. It is looked for here where the registry never asked for one.
    pub(crate) async fn why_not_whole(&self) -> Option<Unverified> {
        if self.is_configured.load(Ordering::Relaxed) {
            self.is_there(None).await;
        }
        let known = self.known(None)?;
        known.trouble.filter(|_| known.is_about_it)
    }

    /// Whether there is one.
    pub(crate) async fn is_there(&self, repository: Option<&Repository>) -> bool {
        match (&self.source, self.known(repository)) {
            (CredentialSource::None, _) => false,
            (CredentialSource::Given { .. }, _) => true,
            (CredentialSource::Stored(_), Some(known)) => known.is_there,
            (CredentialSource::Stored(_), None) => self.look(repository).await.is_some(),
        }
    }

    /// Finds out whether somebody meant this registry to be asked as somebody. Starts no program.
    pub(crate) async fn look_for_any(&self) {
        for name in &self.names {
            let is_configured = self.source.names(&name.registry).await;
            self.is_configured
                .fetch_or(is_configured, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_open_catalog(&self) {
        self.has_open_catalog.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_sent(&self) -> bool {
        self.was_sent.load(Ordering::Relaxed)
    }

    /// Why nothing can be asked where a login is wanted and there is none.
    pub(crate) fn is_missing(&self) -> Unverified {
        let name = self.names.first().map_or("", |name| &name.registry);
        let detail = format!("{name} wants a login, and there is none for it");
        Unverified::new(UnverifiedReason::Unauthorized, detail).advised(Some(LOG_IN))
    }

    /// What is to be said of a login that was not asked for. It is not sent unasked, so what only it may
    /// see was not looked at.
    pub(crate) fn notice(&self) -> Option<String> {
        let is_in_trouble = self
            .known
            .lock()
            .values()
            .any(|known| known.trouble.is_some());
        if !self.is_configured.load(Ordering::Relaxed) || is_in_trouble {
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
