//! Credential helpers: programs of docker's that keep logins (docker-credential-helpers' protocol).

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::secret::{Credentials, Secret};
use crate::oci::shorten;

/// A helper may ask a cloud service, and must not hold a sweep.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long after its end its output is waited for, which a child of it may hold.
const GRACE: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    username: String,
    secret: String,
}

/// The program that a helper's name stands for; `None` for a name that would lead elsewhere.
pub(crate) fn program(helper: &str) -> Option<String> {
    let is_plain = helper
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (is_plain && !helper.is_empty()).then(|| format!("docker-credential-{helper}"))
}

/// Asks `docker-credential-HELPER get`: the server's address on standard input, JSON on standard output.
/// `None` if the helper says that it has none.
///
/// # Errors
///
/// What is wrong with the helper, with what it says itself of that.
pub(super) async fn ask(helper: &str, server: &str) -> Result<Option<Credentials>, String> {
    let program = program(helper).ok_or("the name of a credential helper is not a plain word")?;
    let failed = |why: String| format!("`{program}` {why}");
    let mut child = tokio::process::Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {}", error.kind())))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons, and its exit status tells them.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let out = read(child.stdout.take());
    let err = read(child.stderr.take());
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
    let status = ended
        .map_err(|_| failed(format!("does not answer within {} s", TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.kind().to_string()))?;
    let (out, err) = tokio::join!(collected(out), collected(err));
    if !status.success() {
        // The protocol's words for "I have none"; they stand on standard output.
        let has_none = String::from_utf8_lossy(&out).contains("credentials not found");
        return if has_none {
            Ok(None)
        } else {
            Err(failed(complaint(status, &out, &err)))
        };
    }
    let answer: Answer = serde_json::from_slice(&out)
        .map_err(|_| failed("does not answer in its protocol".to_owned()))?;
    let is_empty = answer.username.is_empty() || answer.secret.is_empty();
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        _ if is_empty => None,
        "<token>" => Some(Credentials::IdentityToken(secret)),
        _ => Some(Credentials::Password {
            username: answer.username,
            password: secret,
        }),
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

/// How a helper ended, and what it says of that: by the protocol on standard output. What may hold a secret, as
/// the JSON of an answer does, is not repeated.
fn complaint(status: ExitStatus, out: &[u8], err: &[u8]) -> String {
    let said = [out, err].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let said = said.iter().find(|text| !text.is_empty());
    let line = said
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    if line.is_empty() || line.contains(['{', '"']) {
        format!("fails ({status})")
    } else {
        format!("fails ({status}) and says: {}", shorten(line, 200))
    }
}
