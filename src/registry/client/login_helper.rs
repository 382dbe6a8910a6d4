//! Credential helpers: programs of docker's that keep logins (docker-credential-helpers' protocol).

use std::process::Stdio;
use std::time::Duration;

use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::json::{AsGo, Fields, replace};
use super::secret::{Credentials, Secret};
use crate::oci::shorten;
use crate::words::plain;

/// A helper may ask a cloud service, and must not hold a sweep.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long after its end its output is waited for, which a child of it may hold.
const GRACE: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024;

#[derive(Default)]
struct Answer {
    username: String,
    secret: String,
}

impl Fields for Answer {
    fn take<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "username" => replace(&mut self.username, map.next_value()?),
            "secret" => replace(&mut self.secret, map.next_value()?),
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(AsGo::default())
    }
}

/// The program that a helper's name stands for; `None` for a name that would lead elsewhere.
pub(crate) fn program(helper: &str) -> Option<String> {
    let is_plain = helper
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (is_plain && !helper.is_empty()).then(|| format!("docker-credential-{helper}"))
}

/// Why a helper gave no login.
pub(super) struct NoLogin {
    /// With what it says itself of that.
    pub(super) why: String,
    /// Whether it did its work, and has none.
    pub(super) has_none: bool,
}

/// Asks `docker-credential-HELPER get`: the server's address on standard input, JSON on standard output.
///
/// # Errors
///
/// That it has none, or what is wrong with it.
pub(super) async fn ask(helper: &str, server: &str) -> Result<Credentials, NoLogin> {
    let no_login = |why: String, has_none| NoLogin { why, has_none };
    let not_plain = || "the name of a credential helper is not a plain word".to_owned();
    let program = program(helper).ok_or_else(|| no_login(not_plain(), false))?;
    let failed = |why: String| no_login(format!("`{program}` {why}"), false);
    let mut child = tokio::process::Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {}", plain(&error))))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons, and its exit status tells them.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let out = read(child.stdout.take());
    let err = read(child.stderr.take());
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
    let status = ended
        .map_err(|_| failed(format!("does not answer within {} s", TIMEOUT.as_secs())))?
        .map_err(|error| failed(plain(&error)))?;
    let (out, err) = tokio::join!(collected(out), collected(err));
    if !status.success() {
        // The protocol's words for "I have none"; they stand on standard output.
        let has_none = String::from_utf8_lossy(&out).contains("credentials not found");
        let how = if has_none {
            "has none".to_owned()
        } else {
            format!("fails ({status})")
        };
        let why = format!("`{program}` {how}{}", complaint(&out, &err));
        return Err(no_login(why, has_none));
    }
    let answer: Answer = serde_json::from_slice(&out)
        .map_err(|_| failed("does not answer in its protocol".to_owned()))?;
    if answer.username.is_empty() || answer.secret.is_empty() {
        let why = format!("`{program}` has none: its answer is empty");
        return Err(no_login(why, true));
    }
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        "<token>" => Credentials::IdentityToken {
            token: secret,
            beside: None,
        },
        _ => Credentials::Password {
            username: answer.username,
            password: secret,
        },
    })
}

type Reading = (
    tokio::task::JoinHandle<()>,
    std::sync::Arc<parking_lot::Mutex<Vec<u8>>>,
);

/// Reads a stream while its program runs, which may write more than a pipe holds.
fn read(stream: Option<impl AsyncRead + Unpin + Send + 'static>) -> Option<Reading> {
    let mut stream = stream?.take(LONGEST_ANSWER);
    let bytes = std::sync::Arc::<parking_lot::Mutex<Vec<u8>>>::default();
    let read = std::sync::Arc::clone(&bytes);
    let task = tokio::spawn(async move {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            read.lock().extend_from_slice(&piece[..length]);
        }
    });
    Some((task, bytes))
}

/// What was written, as far as it came by the end of its program.
async fn collected(reading: Option<Reading>) -> Vec<u8> {
    let Some((mut task, bytes)) = reading else {
        return Vec::new();
    };
    if tokio::time::timeout(GRACE, &mut task).await.is_err() {
        task.abort();
    }
    std::mem::take(&mut *bytes.lock())
}

/// What a helper says of giving no login: by the protocol on standard output. What may hold a secret, as the JSON
/// of an answer does, is not repeated.
fn complaint(out: &[u8], err: &[u8]) -> String {
    let said = [out, err].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let said = said.iter().find(|text| !text.is_empty());
    let line = said
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    if line.is_empty() || line.contains(['{', '"']) {
        String::new()
    } else {
        format!(" and says: {}", shorten(line, 200))
    }
}
