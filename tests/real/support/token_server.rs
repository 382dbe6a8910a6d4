//! A token service for one registry (distribution, spec/auth/token.md and oauth.md) that keeps a book.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::listening::Listening;
use super::process::PATIENCE;
use super::registry::Login;
use super::signing::Signer;

/// How registry and service call each other.
const SERVICE: &str = "registry of the tests";
const ISSUER: &str = "token service of the tests";
/// What distribution adds to the end of every token's life, for clocks that differ.
const LEEWAY: u64 = 60;
/// The longest body that is read.
const LONGEST_BODY: usize = 64 * 1024;

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
    listening: Listening,
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
        let at_desk = Arc::clone(&desk);
        let listening = Listening::start(move |stream| at_desk.serve(&stream));
        Self { listening, desk }
    }

    /// The part of a registry's configuration that sends its clients here.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}\n",
            self.listening.host(),
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
    /// Answers the one request of a connection.
    fn serve(&self, mut stream: &TcpStream) {
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a time is set");
        let Some(request) = Request::read(stream) else {
            return;
        };
        let (who, scopes) = (request.who(), request.scopes());
        let (status, body) = if !request.is_sound() {
            (400, json!({ "error": "invalid_request" }))
        } else if who == Who::Impostor {
            (401, json!({ "error": "invalid_grant" }))
        } else {
            (200, self.token(&request, who, &scopes))
        };
        let asked = Asked {
            at: Instant::now(),
            method: request.method,
            who,
            scopes,
            status,
        };
        self.book.lock().expect("nobody panics with it").push(asked);
        let body = body.to_string();
        let mut answer = format!("HTTP/1.1 {status} Answer\r\nConnection: close\r\n");
        write!(
            answer,
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("text takes text");
        // The client may have gone.
        let _ = stream.write_all(answer.as_bytes());
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

/// A request as it came.
struct Request {
    method: String,
    authorization: Option<String>,
    /// Of the query or of the form.
    fields: Vec<(String, String)>,
}

impl Request {
    /// Reads one; none if the client went away first.
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        lines.read_line(&mut first).ok()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut authorization, mut length) = (None, 0);
        // No client of these tests sends more headers.
        for _ in 0..100 {
            let mut line = String::new();
            lines.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => authorization = Some(value.to_owned()),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length.min(LONGEST_BODY)];
        lines.read_exact(&mut body).ok()?;
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let form = if method == "POST" {
            &body
        } else {
            query.as_bytes()
        };
        let fields = form_urlencoded::parse(form).into_owned().collect();
        Some(Self {
            method,
            authorization,
            fields,
        })
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter();
        fields.filter_map(move |(field, value)| (field == name).then_some(value.as_str()))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Whether it has what the specification wants.
    fn is_sound(&self) -> bool {
        let is_for_us = self.value("service") == Some(SERVICE);
        match self.method.as_str() {
            "GET" => is_for_us,
            "POST" => {
                let grant = self.value("grant_type") == Some("refresh_token");
                is_for_us && grant && self.value("client_id").is_some()
            }
            _ => false,
        }
    }

    fn who(&self) -> Who {
        let Login { user, password } = Login::of_the_tests();
        let (shown, right) = if self.method == "POST" {
            let shown = self.value("refresh_token").map(str::to_owned);
            (shown, IDENTITY_TOKEN.to_owned())
        } else {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            (self.authorization.clone(), format!("Basic {pair}"))
        };
        match shown {
            None => Who::Nobody,
            Some(shown) if shown == right => Who::User,
            Some(_) => Who::Impostor,
        }
    }

    /// Repeated in a query, joined by blanks in a form.
    fn scopes(&self) -> Vec<String> {
        let values = self.values("scope").flat_map(|value| value.split(' '));
        values
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
