//! A token service for one registry (distribution, spec/auth/token.md and oauth.md) that keeps a book.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry_double::{Background, Double, Reply, Request, in_background, on};
use serde_json::{Value, json};

use super::registry::Login;
use super::signing::Signer;

/// How registry and service call each other.
const SERVICE: &str = "registry of the tests";
const ISSUER: &str = "token service of the tests";
/// What distribution adds to the end of every token's life, for clocks that differ.
const LEEWAY: u64 = 60;

/// The refresh token that stands for the user.
pub(crate) const IDENTITY_TOKEN: &str = "identity-of-the-sweeper";

/// What the service gives, and to whom. The user may pull and push everything that is not denied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many seconds it says that a token lives.
    pub(crate) promised: u64,
    /// How many seconds, and at most one more, the registry takes it.
    pub(crate) kept: u64,
    /// The repository that nobody may pull.
    pub(crate) denied: &'static str,
    /// The repository that everybody may pull.
    pub(crate) public: &'static str,
}

impl Terms {
    /// Tokens of this life; `team/secret` is denied and `team/public` is public.
    pub(crate) fn of_seconds(life: u64) -> Self {
        Self {
            promised: life,
            kept: life,
            denied: "team/secret",
            public: "team/public",
        }
    }
}

/// As whom somebody asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Nobody,
    User,
    /// With a password or refresh token that is none.
    Impostor,
}

/// An entry of the book.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) who: Who,
    pub(crate) scopes: Vec<String>,
    pub(crate) status: u16,
}

/// A running service.
#[derive(Debug)]
pub(crate) struct TokenServer {
    double: Background<Double>,
    desk: Arc<Desk>,
}

impl TokenServer {
    /// Starts it, with a key in the directory.
    pub(crate) fn start(directory: &Path, terms: Terms) -> Self {
        let desk = Arc::new(Desk {
            signer: Signer::make(directory),
            terms,
            book: Mutex::default(),
        });
        let double = in_background(Double::start());
        let at_desk = Arc::clone(&desk);
        let issue = move |_: &_, request: &Request| at_desk.issue(request);
        double.when(on::any()).answer(issue);
        Self { double, desk }
    }

    /// The part of a registry's configuration that sends its clients here.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: {}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}\n",
            self.double.url(),
            self.desk.signer.bundle().display(),
        )
    }

    /// Everything that it was asked so far.
    pub(crate) fn book(&self) -> Vec<Asked> {
        self.desk
            .book
            .lock()
            .expect("nobody panics with it")
            .clone()
    }
}

/// What every connection shares.
#[derive(Debug)]
struct Desk {
    signer: Signer,
    terms: Terms,
    book: Mutex<Vec<Asked>>,
}

impl Desk {
    fn issue(&self, request: &Request) -> Reply {
        let (who, scopes) = (who(request), scopes(request));
        let (status, body) = if !is_sound(request) {
            (400, json!({ "error": "invalid_request" }))
        } else if who == Who::Impostor {
            (401, json!({ "error": "invalid_grant" }))
        } else {
            (200, self.token(request, who, &scopes))
        };
        let asked = Asked {
            at: Instant::now(),
            method: request.method.clone(),
            who,
            scopes,
            status,
        };
        self.book.lock().expect("nobody panics with it").push(asked);
        Reply::json(status, &body)
    }

    fn token(&self, request: &Request, who: Who, scopes: &[String]) -> Value {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since_epoch.expect("it is after 1970").as_secs();
        let granted: Vec<Value> = scopes
            .iter()
            .filter_map(|scope| self.granted(who, scope))
            .collect();
        let number = self.book.lock().expect("nobody panics with it").len();
        let claims = json!({
            "iss": ISSUER,
            "sub": if who == Who::User { "sweeper" } else { "" },
            "aud": SERVICE,
            // Whole seconds: one more, so that none is lost, and distribution's leeway less.
            "exp": now + 1 + self.terms.kept - LEEWAY,
            "nbf": now - LEEWAY,
            "iat": now,
            "jti": format!("{now}-{number}"),
            "access": granted,
        });
        let token = self.signer.sign(&claims);
        let life = self.terms.promised;
        if request.method == "POST" {
            json!({ "access_token": token, "expires_in": life, "scope": scopes.join(" ") })
        } else {
            json!({ "token": token, "expires_in": life })
        }
    }

    /// What of a scope (`TYPE:NAME:ACTIONS`) is granted, if any of it is.
    fn granted(&self, who: Who, scope: &str) -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let may = match (kind, actions) {
            ("registry", "*") => name == "catalog" && who == Who::User,
            ("repository", _) if name == self.terms.denied => false,
            ("repository", "pull,push") => who == Who::User,
            ("repository", "pull") => who == Who::User || name == self.terms.public,
            _ => false,
        };
        let actions: Vec<_> = actions.split(',').collect();
        may.then(|| json!({ "type": kind, "name": name, "actions": actions }))
    }
}

/// The values of a parameter of the query or of a field of the form.
fn values(request: &Request, name: &str) -> Vec<String> {
    if request.method == "POST" {
        request.fields(name)
    } else {
        request.params(name)
    }
}

/// Whether it has what the specification wants.
fn is_sound(request: &Request) -> bool {
    let is = |name: &str, value: &str| values(request, name).first().is_some_and(|it| it == value);
    let is_for_us = is("service", SERVICE);
    match request.method.as_str() {
        "GET" => is_for_us,
        "POST" => {
            let has_client = !request.fields("client_id").is_empty();
            is_for_us && is("grant_type", "refresh_token") && has_client
        }
        _ => false,
    }
}

fn who(request: &Request) -> Who {
    let Login { user, password } = Login::of_the_tests();
    let (shown, right) = if request.method == "POST" {
        let shown = request.fields("refresh_token").into_iter().next();
        (shown, IDENTITY_TOKEN.to_owned())
    } else {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        let shown = request.header("authorization").map(str::to_owned);
        (shown, format!("Basic {pair}"))
    };
    match shown {
        None => Who::Nobody,
        Some(shown) if shown == right => Who::User,
        Some(_) => Who::Impostor,
    }
}

/// Repeated in a query, joined by blanks in a form.
fn scopes(request: &Request) -> Vec<String> {
    let values = values(request, "scope");
    let scopes = values.iter().flat_map(|value| value.split(' '));
    scopes
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}
