//! The gate before the registry: who passes, and with what challenge the others are sent away.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;
use tokio::time::Instant;

use super::{Auth, Basic, Bearer, CatalogAccess, ScopeShown};
use crate::digest::sha256;
use crate::locked;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::{Endpoint, Request};

/// What is asked for, and the tokens given so far.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    auth: Auth,
    since: Option<Instant>,
    /// What everybody may see without a login; nothing at all where there is no such policy.
    public: Option<BTreeSet<String>>,
    grants: HashMap<String, Grant>,
    issued: u64,
}

/// What a token allows.
#[derive(Clone, Debug)]
struct Grant {
    scopes: Vec<String>,
    until: Instant,
}

impl Gate {
    pub(crate) fn require(&self, auth: Auth) {
        *locked(&self.state) = State {
            auth,
            since: Some(Instant::now()),
            ..State::default()
        };
    }

    pub(crate) fn open_to_everybody(&self, repositories: &[&str]) {
        let names = repositories.iter().map(|name| (*name).to_owned());
        locked(&self.state).public = Some(names.collect());
    }

    /// Whether whoever asks may see a repository in the catalog.
    pub(crate) fn shows(&self, request: &Request, repository: &str) -> bool {
        let is_somebody = request.header("authorization").is_some();
        let state = locked(&self.state);
        let public = state.public.as_ref().filter(|_| !is_somebody);
        public.is_none_or(|public| public.contains(repository))
    }

    pub(crate) fn token_path(&self) -> Option<String> {
        self.bearer(|bearer| bearer.path.clone())
    }

    /// Looks at the settings of the token service; nothing where there is none.
    pub(super) fn bearer<T>(&self, look: impl FnOnce(&Bearer) -> T) -> Option<T> {
        match &locked(&self.state).auth {
            Auth::Bearer(bearer) => Some(look(bearer)),
            Auth::Open | Auth::Basic(_) => None,
        }
    }

    /// Makes a token for these scopes. It looks random and is the same in every run.
    pub(super) fn grant(&self, scopes: Vec<String>, lifetime: Duration) -> String {
        let mut state = locked(&self.state);
        state.issued += 1;
        let token = sha256(format!("token {}", state.issued))["sha256:".len()..].to_owned();
        state.grants.insert(
            token.clone(),
            Grant {
                scopes,
                until: Instant::now() + lifetime,
            },
        );
        token
    }

    pub(crate) fn expire_tokens(&self) {
        let now = Instant::now();
        for grant in locked(&self.state).grants.values_mut() {
            grant.until = now;
        }
    }

    /// Why this request may not pass; nothing where it may.
    pub(crate) fn refusal(&self, registry: &Registry, request: &Request) -> Option<Reply> {
        if matches!(
            request.endpoint,
            Endpoint::Token | Endpoint::Storage | Endpoint::Other
        ) {
            return None;
        }
        let state = locked(&self.state);
        if state.is_public(request) {
            return None;
        }
        let refusal = match &state.auth {
            Auth::Open => None,
            Auth::Basic(basic) => state.refuse_basic(basic, request),
            Auth::Bearer(bearer) => state.refuse_bearer(bearer, registry, request),
        };
        refusal.map(|reply| reply.with_header("Docker-Distribution-Api-Version", "registry/2.0"))
    }
}

impl State {
    /// Whether a request without a login is for what everybody may see.
    fn is_public(&self, request: &Request) -> bool {
        let is_anonymous = request.header("authorization").is_none();
        let public = self.public.as_ref().filter(|_| is_anonymous);
        public.is_some_and(|public| match request.endpoint {
            Endpoint::Ping | Endpoint::Catalog => true,
            _ => public.contains(request.repository()),
        })
    }

    fn refuse_basic(&self, basic: &Basic, request: &Request) -> Option<Reply> {
        let known = password(request)
            .is_some_and(|(user, password)| basic.users.get(&user) == Some(&password));
        if !known {
            return Some(
                unauthorized().with_header("WWW-Authenticate", &basic_challenge(&basic.realm)),
            );
        }
        let (lifetime, answer) = basic.expiry.as_ref()?;
        let expired = self.since.is_some_and(|since| since.elapsed() >= *lifetime);
        expired.then(|| answer.clone())
    }

    fn refuse_bearer(
        &self,
        bearer: &Bearer,
        registry: &Registry,
        request: &Request,
    ) -> Option<Reply> {
        let by_password = password(request)
            .is_some_and(|(user, password)| bearer.users.get(&user) == Some(&password));
        let is_catalog = request.endpoint == Endpoint::Catalog;
        let takes_password = bearer.also_basic.is_some()
            || (is_catalog && bearer.catalog == CatalogAccess::BasicOnly);
        if by_password && takes_password {
            return None;
        }
        let challenge = |error| challenge(bearer, registry, request, error);
        let Some(authorization) = request.header("authorization") else {
            return Some(challenge(None));
        };
        let grant = authorization
            .strip_prefix("Bearer ")
            .and_then(|token| self.grants.get(token));
        let Some(grant) = grant else {
            return Some(challenge(Some("invalid_token")));
        };
        if grant.until <= Instant::now() {
            return Some(
                bearer
                    .expired
                    .clone()
                    .unwrap_or_else(|| challenge(Some("invalid_token"))),
            );
        }
        if suffices(&grant.scopes, bearer, request) {
            return None;
        }
        Some(match &bearer.insufficient_as_basic {
            Some(realm) => unauthorized().with_header("WWW-Authenticate", &basic_challenge(realm)),
            None => challenge(Some("insufficient_scope")),
        })
    }
}

/// Whether a token with these scopes may make this request.
fn suffices(scopes: &[String], bearer: &Bearer, request: &Request) -> bool {
    if request.endpoint == Endpoint::Catalog && bearer.catalog == CatalogAccess::BasicOnly {
        return false;
    }
    let needed = needed_scope(bearer, request);
    let Some((resource, actions)) = needed.rsplit_once(':') else {
        return true;
    };
    if let ScopeShown::Fixed(scope) = &bearer.scope_shown
        && scopes.contains(scope)
    {
        return !bearer.denied.contains(request.repository());
    }
    scopes
        .iter()
        .filter_map(|scope| scope.rsplit_once(':'))
        .any(|(granted, rights)| {
            let has = |action| {
                rights
                    .split(',')
                    .any(|right| right == action || right == "*")
            };
            granted == resource && actions.split(',').all(has)
        })
}

/// The scope that a request needs; empty where any token will do.
fn needed_scope(bearer: &Bearer, request: &Request) -> String {
    let actions = match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        "DELETE" => "delete",
        _ => "pull,push",
    };
    match request.endpoint {
        Endpoint::Catalog if bearer.catalog == CatalogAccess::AnyToken => String::new(),
        Endpoint::Catalog => "registry:catalog:*".to_owned(),
        Endpoint::Ping => String::new(),
        _ => {
            let name = request.repository();
            let name = name.strip_prefix(&bearer.hidden_prefix).unwrap_or(name);
            format!("repository:{name}:{actions}")
        }
    }
}

/// A 401 that says where the token is to be had.
fn challenge(
    bearer: &Bearer,
    registry: &Registry,
    request: &Request,
    error: Option<&str>,
) -> Reply {
    let realm = bearer
        .realm
        .clone()
        .unwrap_or_else(|| format!("{}{}", registry.url(), bearer.path));
    let needed = needed_scope(bearer, request);
    let scope = match &bearer.scope_shown {
        ScopeShown::Needed => Some(needed).filter(|scope| !scope.is_empty()),
        ScopeShown::Fixed(scope) => Some(scope.clone()),
        ScopeShown::Empty => Some(String::new()),
        ScopeShown::Absent => None,
    };
    let parameters = [
        Some(format!("realm=\"{realm}\"")),
        bearer
            .service
            .as_ref()
            .map(|service| format!("service=\"{service}\"")),
        scope.map(|scope| format!("scope=\"{scope}\"")),
        error.map(|error| format!("error=\"{error}\"")),
    ];
    let parameters: Vec<_> = parameters.into_iter().flatten().collect();
    let error = if bearer.codes_alone {
        Reply::error(401, "UNAUTHORIZED", "")
    } else {
        unauthorized()
    };
    let reply = error.with_header(
        "WWW-Authenticate",
        &format!("Bearer {}", parameters.join(",")),
    );
    match &bearer.also_basic {
        Some(realm) => reply.and_header("WWW-Authenticate", &basic_challenge(realm)),
        None => reply,
    }
}

fn basic_challenge(realm: &str) -> String {
    format!("Basic realm=\"{realm}\"")
}

fn unauthorized() -> Reply {
    Reply::error_with(401, "UNAUTHORIZED", "authentication required", &json!(null))
}

/// The user and password of a request.
pub(super) fn password(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
}
