//! What protects the endpoints, read anew when one of its files changes: a certificate that is renewed
//! and a password that is withdrawn need no restart.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;

use axum::Router;
use axum::extract::{self, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::guard::Guard;
use super::tls;
use super::web_config::{Clients, WebConfig};

/// A web configuration and everything that it names, as of now.
pub struct WebProtection {
    path: PathBuf,
    state: Mutex<InForce>,
}

struct InForce {
    /// The files as they were before they were read.
    stamps: Vec<Stamped>,
    loaded: Arc<Loaded>,
}

/// What tells one content of a file from another: when it was written, its length, and its inode.
type Stamp = (i64, i64, u64, u64);

/// A file, and its stamp if it was there.
type Stamped = (PathBuf, Option<Stamp>);

/// Everything that was read at one moment.
pub(super) struct Loaded {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) guard: Arc<Guard>,
}

impl WebProtection {
    /// Reads a web configuration (the file of `--web-config`) and all files that it names.
    ///
    /// # Errors
    ///
    /// One sentence for a person: which file, which line where it is about one, and what is wrong.
    pub fn load(path: &Path) -> Result<Self, String> {
        let (loaded, files) = load(path);
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(InForce {
                stamps: files,
                loaded: Arc::new(loaded?),
            }),
        })
    }

    /// What is in force. Looks at the files first, beside the runtime, since a file system may hang.
    pub(super) async fn current(self: &Arc<Self>) -> Arc<Loaded> {
        let protection = Arc::clone(self);
        let refreshed = tokio::task::spawn_blocking(move || protection.refreshed()).await;
        // It ends without an answer only if the runtime is being shut down.
        refreshed.unwrap_or_else(|_| self.last())
    }

    /// Whether TLS is spoken.
    pub(super) fn is_encrypted(&self) -> bool {
        self.last().tls.is_some()
    }

    fn last(&self) -> Arc<Loaded> {
        let state = self.state.lock();
        Arc::clone(&state.loaded)
    }

    /// Reads again if a file has changed. What cannot be used is told once, and leaves what was in
    /// force: an unfinished change must neither stop the service nor open it.
    fn refreshed(&self) -> Arc<Loaded> {
        let mut state = self.state.lock();
        if state.stamps.iter().all(|(path, seen)| stamp(path) == *seen) {
            return Arc::clone(&state.loaded);
        }
        let (loaded, files) = load(&self.path);
        match loaded.and_then(|new| no_looser(&state.loaded, new)) {
            Ok(loaded) => {
                tracing::info!(
                    "{} or a file that it names has changed and is in force",
                    self.path.display()
                );
                state.loaded = Arc::new(loaded);
                state.stamps = files;
            }
            Err(why) => {
                tracing::warn!(
                    "a changed web configuration is not used, what was in force stays: {why}"
                );
                // Those known before stay watched, since a file that cannot be read names none.
                for (path, seen) in &mut state.stamps {
                    *seen = stamp(path);
                }
                for file in files {
                    if !state.stamps.iter().any(|(path, _)| *path == file.0) {
                        state.stamps.push(file);
                    }
                }
            }
        }
        Arc::clone(&state.loaded)
    }
}

/// A file is empty for a moment while it is rewritten in place, and that must not open anything.
fn no_looser(old: &Loaded, new: Loaded) -> Result<Loaded, String> {
    if old.tls.is_some() && new.tls.is_none() {
        Err("it has no tls_server_config any more, which takes a restart".to_owned())
    } else if new.guard.is_looser_than(&old.guard) {
        Err("it asks for less than before, which takes a restart".to_owned())
    } else {
        Ok(new)
    }
}

/// Reads everything, and says which files that are, as they were before.
fn load(path: &Path) -> (Result<Loaded, String>, Vec<Stamped>) {
    let stamped = |path: PathBuf| {
        let seen = stamp(&path);
        (path, seen)
    };
    let mut files = vec![stamped(path.to_owned())];
    let config = match WebConfig::read(path) {
        Ok(config) => config,
        Err(error) => return (Err(error), files),
    };
    files.extend(config.files().into_iter().map(stamped));
    let loaded = loaded(config).map_err(|why| format!("{}: {why}", path.display()));
    (loaded, files)
}

fn loaded(config: WebConfig) -> Result<Loaded, String> {
    let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
    let needs_certificate = config
        .tls
        .is_some_and(|tls| matches!(tls.clients, Clients::Required(_)));
    let tokens = config.tokens.iter().map(|path| token(path));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    Ok(Loaded {
        tls: tls.map(TlsAcceptor::from),
        guard: Arc::new(Guard::new(config.users, &tokens, needs_certificate)),
    })
}

/// The first line of a file. What is too short to be a secret is refused, above all nothing.
fn token(path: &Path) -> Result<String, String> {
    const SHORTEST: usize = 16;
    let text = fs::read_to_string(path)
        .map_err(|error| format!("bearer_token_files {}: {error}", path.display()))?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.len() < SHORTEST {
        return Err(format!(
            "bearer_token_files {}: a token has at least {SHORTEST} characters; \
             `openssl rand -hex 32` makes one",
            path.display()
        ));
    }
    Ok(token.to_owned())
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}

/// What an orchestrator asks, which has no credentials.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// What is known of a request's connection: whether its client has shown a certificate that was
/// verified.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub(super) is_certified: bool,
}

/// Lets only those requests through to the router that the protection admits, and those that are for
/// everybody (`/healthz`, `/readyz`).
pub(super) fn protect(router: Router, protection: Arc<WebProtection>) -> Router {
    router.layer(from_fn_with_state(protection, check))
}

async fn check(
    extract::State(protection): extract::State<Arc<WebProtection>>,
    request: Request,
    next: Next,
) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let guard = Arc::clone(&protection.current().await.guard);
    let is_certified = request
        .extensions()
        .get::<Caller>()
        .is_some_and(|caller| caller.is_certified);
    match guard.admit(request.headers(), is_certified).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => guard.refuse(refusal),
    }
}
