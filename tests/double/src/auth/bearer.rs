//! How a registry with a token service behaves: its challenge, its tokens, its refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::reply::Reply;

/// Bearer tokens from a token service on the same server. By default as distribution's: everybody
/// may pull, tokens live five minutes and say so.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub(crate) path: String,
    pub(crate) realm: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) scope_shown: ScopeShown,
    pub(crate) hidden_prefix: String,
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) anonymous: bool,
    pub(crate) private: BTreeSet<String>,
    pub(crate) denied: BTreeSet<String>,
    pub(crate) denial: Option<Reply>,
    pub(crate) catalog: CatalogAccess,
    pub(crate) lifetime: Duration,
    pub(crate) lifetime_said: Option<u64>,
    pub(crate) field: TokenField,
    pub(crate) expired: Option<Reply>,
    pub(crate) insufficient_as_basic: Option<String>,
    pub(crate) also_basic: Option<String>,
    pub(crate) codes_alone: bool,
    pub(crate) post_refused: Option<u16>,
    pub(crate) refresh_tokens: BTreeMap<String, String>,
}

/// Which scope the challenge names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeShown {
    /// The one that the request needs, `repository:app:pull`.
    Needed,
    /// This one for everything, which then also suffices for everything: `*`, `aws`.
    Fixed(String),
    /// `scope=""`
    Empty,
    /// There is no scope parameter.
    Absent,
}

/// Who may list the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogAccess {
    /// Whoever has a token for `registry:catalog:*`, which is given to whoever asks.
    Granted,
    /// Whoever has a token, whatever it is for; the challenge names no scope.
    AnyToken,
    /// Nobody: the token comes without the right, and the registry says `insufficient_scope` for
    /// ever.
    Never,
    /// Users with their password, and no token will do.
    BasicOnly,
}

/// The field of the token service's answer that the token is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenField {
    /// `token`
    Token,
    /// `access_token`
    AccessToken,
    /// Both.
    Both,
}

impl Default for Bearer {
    fn default() -> Self {
        Self {
            path: "/token".to_owned(),
            realm: None,
            service: Some("registry".to_owned()),
            scope_shown: ScopeShown::Needed,
            hidden_prefix: String::new(),
            users: BTreeMap::new(),
            anonymous: true,
            private: BTreeSet::new(),
            denied: BTreeSet::new(),
            denial: None,
            catalog: CatalogAccess::Granted,
            lifetime: Duration::from_secs(300),
            lifetime_said: Some(300),
            field: TokenField::Both,
            expired: None,
            insufficient_as_basic: None,
            also_basic: None,
            codes_alone: false,
            post_refused: None,
            refresh_tokens: BTreeMap::new(),
        }
    }
}

impl Bearer {
    /// Where everybody may pull.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Where only this user may do anything.
    pub fn user_only(user: &str, password: &str) -> Self {
        Self {
            anonymous: false,
            ..Self::default()
        }
        .user(user, password)
    }

    /// Behind a gateway that takes this off the names of repositories, so that scopes do not have it.
    pub fn hidden_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.hidden_prefix);
        self
    }

    /// A user, who may do everything that is not denied to all.
    pub fn user(mut self, user: &str, password: &str) -> Self {
        self.users.insert(user.to_owned(), password.to_owned());
        self
    }

    /// The path of the token service.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The whole realm, for a token service at another server
    /// ([`Double::beside`](crate::Double::beside)).
    pub fn realm(mut self, url: &str) -> Self {
        self.realm = Some(url.to_owned());
        self
    }

    /// The service of the challenge; an empty one leaves it out.
    pub fn service(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned()).filter(|service| !service.is_empty());
        self
    }

    /// The scope of the challenge.
    pub fn scope(mut self, shown: ScopeShown) -> Self {
        self.scope_shown = shown;
        self
    }

    /// Only users may pull this repository: anonymous tokens come without the right.
    pub fn private(mut self, repository: &str) -> Self {
        self.private.insert(repository.to_owned());
        self
    }

    /// Nobody may pull this repository.
    pub fn deny(mut self, repository: &str) -> Self {
        self.denied.insert(repository.to_owned());
        self
    }

    /// The token service answers this where a right is denied, instead of giving a token with less
    /// rights than asked for.
    pub fn denial(mut self, answer: Reply) -> Self {
        self.denial = Some(answer);
        self
    }

    /// Who may list the catalog.
    pub fn catalog(mut self, access: CatalogAccess) -> Self {
        self.catalog = access;
        self
    }

    /// How long tokens live; `expires_in` says it in whole seconds.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self.lifetime_said = Some(lifetime.as_secs());
        self
    }

    /// `expires_in` is absent, or says this, whatever the truth.
    pub fn saying_lifetime(mut self, seconds: Option<u64>) -> Self {
        self.lifetime_said = seconds;
        self
    }

    /// The field that the token is in.
    pub fn field(mut self, field: TokenField) -> Self {
        self.field = field;
        self
    }

    /// An expired token gets this answer in place of a 401 with a challenge.
    pub fn expired(mut self, answer: Reply) -> Self {
        self.expired = Some(answer);
        self
    }

    /// A request with an `Authorization` that does not suffice gets a Basic challenge with this
    /// realm, as from Harbor.
    pub fn basic_after_bearer(mut self, realm: &str) -> Self {
        self.insufficient_as_basic = Some(realm.to_owned());
        self
    }

    /// Passwords are good without a token too, and a second `WWW-Authenticate` header with this
    /// realm says so.
    pub fn also_basic(mut self, realm: &str) -> Self {
        self.also_basic = Some(realm.to_owned());
        self
    }

    /// The error beside a challenge has an empty message and no detail, as from Gitea.
    pub fn codes_alone(mut self) -> Self {
        self.codes_alone = true;
        self
    }

    /// The token service answers every POST with this status.
    pub fn post_refused(mut self, status: u16) -> Self {
        self.post_refused = Some(status);
        self
    }

    /// This refresh token stands for that user in a POST with `grant_type=refresh_token`.
    pub fn refresh_token(mut self, token: &str, user: &str) -> Self {
        self.refresh_tokens
            .insert(token.to_owned(), user.to_owned());
        self
    }
}
