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
use super::login::{self, LOG_IN_ANEW, Login};
use super::scope::{Scope, Scopes, is_particular};
use super::secret::{Credentials, basic_header, bearer_header};
use super::standing::Standings;
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
    /// Whether the ping is refused to nobody, and let through with a password.
    ping_wants_password: AtomicBool,
    logins: Standings,
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
            ping_wants_password: AtomicBool::default(),
            logins: Standings::default(),
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
        if is_offer && !Box::pin(self.login.is_there(scope.repository())).await {
            return Ok(None);
        }
        match scheme {
            Scheme::Open => Ok(None),
            // Until it was taken, whether it is wanted here is for what is asked for to say: what is public needs
            // none, and is given to a wrong one, too. A catalog is cut to who asks.
            Scheme::Basic => {
                let password = self.basic(scope, None).await.unwrap_or_default();
                let is_catalog = matches!(scope, Scope::Catalog);
                let may_ping = self.ping_wants_password();
                Ok(password.filter(|sent| is_catalog || sent.may_be_sent_unasked(may_ping)))
            }
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

    /// Takes note of how the ping was answered to nobody.
    pub(crate) fn note_ping(&self, is_refused: bool, challenges: &[Challenge]) {
        self.note_refusal(is_refused);
        self.learn(challenges, is_refused);
        let wants_password = is_refused && preferred(challenges) == Some(&Challenge::Basic);
        self.ping_wants_password
            .store(wants_password, Ordering::Relaxed);
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
        self.fetch(&challenge, scope, Some(&credentials)).await?;
        match self.logins.of(&credentials).refusal() {
            Some(why) => Err(why),
            None => Ok(Some(())),
        }
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
        let read = async || {
            let authorization = match self.login.load(scope.repository()).await {
                Some(Credentials::RegistryToken(token)) => {
                    Authorization::new(bearer_header(&token)?, AuthorizationKind::Token)
                }
                Some(
                    Credentials::Password { username, password }
                    | Credentials::IdentityToken {
                        beside: Some((username, password)),
                        ..
                    },
                ) => {
                    let header = basic_header(&username, &password)?;
                    let standing = self
                        .logins
                        .of(&Credentials::Password { username, password });
                    if let Some(why) = standing.refusal() {
                        return Err(why);
                    }
                    Authorization::password(header, standing)
                }
                Some(Credentials::IdentityToken { beside: None, .. }) | None => return Ok(None),
            };
            let is_new = refused.is_none_or(|refused| refused.header != authorization.header);
            Ok(is_new.then(|| Kept::of(authorization, login::LIFETIME)))
        };
        self.kept(&format!("basic {path}"), refused, read).await
    }

    pub(crate) fn ping_wants_password(&self) -> bool {
        self.ping_wants_password.load(Ordering::Relaxed)
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
        // Rare, and large: what is at hand is given without it.
        let Some(new) = Box::pin(new()).await? else {
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
        let standing = credentials.map(|login| self.logins.of(login));
        let _turn = match &standing {
            Some(standing) => standing.turn().await,
            None => None,
        };
        let refused = standing.as_ref().and_then(|standing| standing.refusal());
        let (Some(login), Some(standing), None) = (credentials, &standing, &refused) else {
            let fetch = async || self.service.fetch(challenge, token_scope, None).await;
            return match (credentials, refused) {
                // Who is not known by it is as good as nobody.
                (Some(Credentials::IdentityToken { .. }), Some(refused)) => {
                    let is_refusal =
                        |why: &Unverified| why.reason == UnverifiedReason::Unauthorized;
                    fetch()
                        .await
                        .map_err(|why| if is_refusal(&why) { refused } else { why })
                }
                (_, Some(refused)) => Err(refused),
                (_, None) => fetch().await,
            };
        };
        let fetched = self
            .service
            .fetch(challenge, token_scope, Some(login))
            .await;
        match &fetched {
            Ok(fetched) if fetched.is_anonymous => {
                let detail = "the token service does not take the identity token";
                let why = Unverified::new(UnverifiedReason::Unauthorized, detail);
                standing.note_unknown(why.advised(Some(LOG_IN_ANEW)));
            }
            Ok(_) => standing.note_taken(None),
            Err(why) if why.reason == UnverifiedReason::Unauthorized => {
                standing.note_unknown(why.clone());
            }
            Err(_) => {}
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
