//! Proving who we are: which `Authorization` a request carries, and where it comes from.
//!
//! Credentials go to the registry's own origin and to the token service that it names, never
//! elsewhere, and never unencrypted when the registry itself is encrypted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::authorization::{Authorization, AuthorizationKind, Kept};
use super::challenge::{BearerChallenge, Challenge};
use super::login::{self, Login};
use super::scope::{Scope, Scopes, is_particular};
use super::secret::{Credentials, basic_header, bearer_header};
use super::token::{Fetched, TokenService};
use crate::oci::Repository;
use crate::registry::{Authentication, Unverified, UnverifiedReason};

/// What the registry was last seen to want.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Nothing, as far as we know.
    Open,
    Basic,
    Bearer(BearerChallenge),
}

/// One token (or password), fetched by one task at a time.
type TokenSlot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// The state of authentication with one registry.
pub(crate) struct Auth {
    pub(crate) login: Login,
    service: TokenService,
    scheme: Mutex<Scheme>,
    /// Whether it refused anybody who did not say who they are. If not, its challenges are an offer.
    insists: AtomicBool,
    /// A password that it does not know, and how it said so: to show it with every request may lock an account.
    wrong: Mutex<Option<(Authorization, Unverified)>>,
    /// Whether a login was taken. Until then one request at a time shows one, so that a wrong one is not shown by
    /// as many as there are at a time.
    is_proven: AtomicBool,
    proof: tokio::sync::Mutex<()>,
    tokens: Mutex<HashMap<String, TokenSlot>>,
    scopes: Scopes,
}

/// Slots kept before those that nobody waits for are dropped: a sweep of many thousands of
/// repositories needs each token for a short while only.
const MANY_TOKENS: usize = 256;

impl Auth {
    pub(super) fn new(login: Login, service: TokenService) -> Self {
        Self {
            login,
            service,
            scheme: Mutex::new(Scheme::Open),
            insists: AtomicBool::default(),
            wrong: Mutex::default(),
            is_proven: AtomicBool::default(),
            proof: tokio::sync::Mutex::default(),
            tokens: Mutex::default(),
            scopes: Scopes::default(),
        }
    }

    /// The authorization to send at once, by what the registry wanted so far.
    pub(crate) async fn current(
        &self,
        scope: &Scope<'_>,
    ) -> Result<Option<Authorization>, Unverified> {
        let scheme = self.scheme();
        // What everybody may have is asked for as somebody only where there is a login for it.
        let is_offer = scheme != Scheme::Open && !self.insists();
        if is_offer && !self.login.is_there(scope.repository()).await {
            return Ok(None);
        }
        match scheme {
            Scheme::Open => Ok(None),
            Scheme::Basic => self.basic(scope, None).await,
            Scheme::Bearer(challenge) => match self.scopes.name(&challenge, scope) {
                Some(named) => self.bearer(&challenge, &named, scope, None).await,
                // Nothing is asked for, but what is there may be sent.
                None => self.kept("", None, async || Ok(None)).await,
            },
        }
    }

    /// Whether the registry has shown a challenge, and there is a login for it.
    pub(crate) async fn offers_login(&self, scope: &Scope<'_>) -> bool {
        self.scheme() != Scheme::Open && self.login.is_there(scope.repository()).await
    }

    /// Takes note where the registry refuses those who do not say who they are.
    pub(crate) fn note_refusal(&self, is_refused: bool) {
        self.insists.fetch_or(is_refused, Ordering::Relaxed);
    }

    fn insists(&self) -> bool {
        self.insists.load(Ordering::Relaxed)
    }

    /// Learns what the registry wants, without fetching a token. What it only offers, beside an answer,
    /// takes the place of nothing that is known.
    pub(crate) fn learn(&self, challenges: &[Challenge], is_refused: bool) {
        if !is_refused && self.scheme() != Scheme::Open {
            return;
        }
        match preferred(challenges) {
            Some(Challenge::Bearer(challenge)) => self.adopt(challenge, &Scope::None),
            Some(Challenge::Basic) => self.set_scheme(Scheme::Basic),
            None => {}
        }
    }

    /// A new authorization after the one that was sent (if any) was refused. `None` if there is
    /// nothing else to try: then the refusal stands.
    pub(crate) async fn renew(
        &self,
        challenges: &[Challenge],
        scope: &Scope<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Unverified> {
        let challenge = match preferred(challenges) {
            Some(Challenge::Bearer(challenge)) => {
                self.adopt(challenge, scope);
                challenge.clone()
            }
            Some(Challenge::Basic) => {
                // Harbor wants Basic for its catalog only, and tokens for everything else.
                if self.scheme() == Scheme::Open {
                    self.set_scheme(Scheme::Basic);
                }
                return self.basic(scope, refused).await;
            }
            // Refused without a challenge, as ECR does with what has expired.
            None => match self.scheme() {
                Scheme::Open => return Ok(None),
                Scheme::Basic => return self.basic(scope, refused).await,
                Scheme::Bearer(challenge) => challenge,
            },
        };
        let named = self.scopes.name(&challenge, scope).unwrap_or_default();
        let again = self.bearer(&challenge, &named, scope, refused).await?;
        // A token that was given to us as it is cannot be had anew.
        Ok(again.filter(|again| {
            let is_same = refused.is_some_and(|refused| refused.header == again.header);
            if is_same {
                again.note_that_refusals_stand();
            }
            !is_same
        }))
    }

    /// An anonymous token for another registry, which the registry redirects to. `None` if its
    /// challenge wants anything else.
    pub(crate) async fn anonymous(
        &self,
        challenges: &[Challenge],
    ) -> Result<Option<Authorization>, Unverified> {
        let Some(Challenge::Bearer(challenge)) = preferred(challenges) else {
            return Ok(None);
        };
        let scope = challenge.scope.as_deref().unwrap_or_default();
        // Kept apart from the registry's own, by the service that issues it.
        let name = format!("anonymous {} {scope}", challenge.realm);
        let fetch = async || {
            let fetched = self.service.fetch(challenge, scope, None).await?;
            Kept::issued(&fetched).map(Some)
        };
        self.kept(&name, None, fetch).await
    }

    /// What the registry was last seen to want, for commands.
    pub(crate) fn wanted(&self) -> Authentication {
        match self.scheme() {
            _ if !self.insists() && !self.login.was_sent() => Authentication::Open,
            Scheme::Open => Authentication::Open,
            Scheme::Basic => Authentication::Password,
            Scheme::Bearer(challenge) => challenge.into(),
        }
    }

    /// Shows the credentials to the token service for a token that is good for nothing in
    /// particular, as `docker login` does. `None` where they are a token themselves, or where the
    /// registry names no token service.
    pub(crate) async fn try_token_service(
        &self,
        repository: Option<&Repository>,
    ) -> Result<Option<()>, Unverified> {
        let credentials = self.login.load(repository).await;
        let (Scheme::Bearer(challenge), Some(credentials)) = (self.scheme(), credentials) else {
            return Ok(None);
        };
        if matches!(credentials, Credentials::RegistryToken(_)) {
            return Ok(None);
        }
        let scope = challenge.scope.as_deref().unwrap_or_default();
        let fetched = self.service.fetch(&challenge, scope, Some(&credentials));
        fetched.await.map(|_| Some(()))
    }

    /// Keeps the challenge for the requests to come. A scope that names one repository or the
    /// catalog holds for this request only; any other (`*`, `aws`) is the registry's way.
    fn adopt(&self, challenge: &BearerChallenge, scope: &Scope<'_>) {
        self.scopes.note(challenge, scope);
        let scope_kept = challenge
            .scope
            .clone()
            .filter(|named| !is_particular(named));
        // The catalog's challenge says nothing of how repositories are asked for.
        if !matches!(scope, Scope::Catalog) || self.scheme() == Scheme::Open {
            self.set_scheme(Scheme::Bearer(BearerChallenge {
                scope: scope_kept,
                ..challenge.clone()
            }));
        }
    }

    /// The user's password, read anew if it is the one that was refused: it may be another one by
    /// now (ECR's live 12 hours). `None` if there is none, or still the same.
    async fn basic(
        &self,
        scope: &Scope<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Unverified> {
        let path = scope.repository().map_or("", Repository::as_str);
        let wrong = self.wrong.lock().clone();
        let refused = refused.or(wrong.as_ref().map(|(wrong, _)| wrong));
        let is_wrong = AtomicBool::default();
        let read = async || {
            let (header, kind) = match self.login.load(scope.repository()).await {
                Some(Credentials::Password { username, password }) => (
                    basic_header(&username, &password)?,
                    AuthorizationKind::Basic,
                ),
                Some(Credentials::RegistryToken(token)) => {
                    (bearer_header(&token)?, AuthorizationKind::Token)
                }
                Some(Credentials::IdentityToken(_)) | None => return Ok(None),
            };
            let is_new = refused.is_none_or(|refused| refused.header != header);
            let known = wrong
                .as_ref()
                .is_some_and(|(wrong, _)| wrong.header == header);
            is_wrong.store(known, Ordering::Relaxed);
            let authorization = Authorization::new(header, kind);
            Ok(is_new.then(|| Kept::of(authorization, login::LIFETIME)))
        };
        let kept = self.kept(&format!("basic {path}"), refused, read).await?;
        match wrong {
            Some((_, why)) if is_wrong.into_inner() => Err(why),
            _ => Ok(kept),
        }
    }

    /// The turn to show a login that was not taken before; `None` where nothing is shown, or one was.
    pub(crate) async fn turn(&self, shown: bool) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if !shown || self.is_proven.load(Ordering::Relaxed) {
            return None;
        }
        let turn = self.proof.lock().await;
        (!self.is_proven.load(Ordering::Relaxed)).then_some(turn)
    }

    pub(crate) fn note_proven(&self) {
        self.is_proven.store(true, Ordering::Relaxed);
    }

    /// Why a password is not shown again, if it was refused.
    pub(crate) fn refusal_of(&self, password: &Authorization) -> Option<Unverified> {
        let wrong = self.wrong.lock();
        let (refused, why) = wrong.as_ref()?;
        (refused.header == password.header).then(|| why.clone())
    }

    /// Takes note of a password that the registry does not know.
    pub(crate) fn note_wrong(&self, password: Authorization, why: Unverified) {
        *self.wrong.lock() = Some((password, why));
    }

    /// The token for a scope.
    async fn bearer(
        &self,
        challenge: &BearerChallenge,
        token_scope: &str,
        scope: &Scope<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Unverified> {
        let fetch = async || {
            let credentials = self.login.load(scope.repository()).await;
            if let Some(Credentials::RegistryToken(token)) = &credentials {
                let header = bearer_header(token)?;
                let authorization = Authorization::new(header, AuthorizationKind::Token);
                // It is read anew for each request, as whoever wrote it may have meant.
                return Ok(Some(Kept::of(authorization, Duration::ZERO)));
            }
            let fetched = self
                .fetch(challenge, token_scope, credentials.as_ref())
                .await?;
            Kept::issued(&fetched).map(Some)
        };
        self.kept(token_scope, refused, fetch).await
    }

    /// What is at hand under a name, or something new where nothing is, where it is about to expire, or
    /// where it is what was refused.
    async fn kept(
        &self,
        name: &str,
        refused: Option<&Authorization>,
        new: impl AsyncFnOnce() -> Result<Option<Kept>, Unverified>,
    ) -> Result<Option<Authorization>, Unverified> {
        let slot = self.slot(name);
        let mut kept = slot.lock().await;
        // Another task may have renewed it while this one waited for the slot.
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_usable(refused)) {
            return Ok(Some(kept.authorization.clone()));
        }
        let Some(new) = new().await? else {
            return Ok(None);
        };
        Ok(Some(kept.insert(new).authorization.clone()))
    }

    /// Fetches a token, unless the login is one that was refused before.
    async fn fetch(
        &self,
        challenge: &BearerChallenge,
        token_scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Fetched, Unverified> {
        let _turn = self.turn(credentials.is_some()).await;
        if let Some(why) = self.login.refusal_of(credentials) {
            return Err(why);
        }
        let fetched = self
            .service
            .fetch(challenge, token_scope, credentials)
            .await;
        if fetched.is_ok() && credentials.is_some() {
            self.note_proven();
        }
        if let (Err(why), Some(login)) = (&fetched, credentials)
            && why.reason == UnverifiedReason::Unauthorized
        {
            self.login.note_refusal(login, why);
        }
        fetched
    }

    fn slot(&self, token_scope: &str) -> TokenSlot {
        let mut tokens = self.tokens.lock();
        if tokens.len() >= MANY_TOKENS {
            tokens.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        tokens.entry(token_scope.to_owned()).or_default().clone()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme.lock().clone()
    }

    fn set_scheme(&self, scheme: Scheme) {
        *self.scheme.lock() = scheme;
    }
}

/// The challenge to answer, of several: a token says less about us than a password.
fn preferred(challenges: &[Challenge]) -> Option<&Challenge> {
    let is_bearer = |challenge: &&Challenge| matches!(challenge, Challenge::Bearer(_));
    challenges.iter().find(is_bearer).or(challenges.first())
}
