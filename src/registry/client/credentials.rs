//! Credentials: what was given, or what docker and podman keep in their files and helpers.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use super::secret::Secret;
use crate::oci::Repository;
use crate::registry::{Unverified, UnverifiedReason};

/// A helper may ask a cloud service, and must not hold a sweep.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where credentials come from. Files and helpers are read anew whenever they are asked, because
/// some (ECR) hold passwords that live for hours only.
#[derive(Clone, Debug, Default)]
pub enum CredentialSource {
    /// There are none: ask anonymously.
    #[default]
    None,
    /// A user and a password, as given.
    Given {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
    },
    /// Docker config files (podman's `auth.json` has the same form); the first that knows the
    /// registry wins, and those that do not exist are passed over.
    Files(Vec<PathBuf>),
}

/// What to prove who we are with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    Password {
        username: String,
        password: Secret,
    },
    /// An OAuth2 refresh token, which only a token service takes.
    IdentityToken(Secret),
    /// A token that is sent as it is.
    RegistryToken(Secret),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[credentials]")
    }
}

impl CredentialSource {
    /// The credentials for `repository` of the registry named `registry`, or for the registry as a
    /// whole. `None` if nothing is known of it.
    pub(crate) async fn load(
        &self,
        registry: &str,
        repository: Option<&Repository>,
    ) -> Result<Option<Credentials>, Unverified> {
        match self {
            Self::None => Ok(None),
            Self::Given { username, password } => Ok(Some(Credentials::Password {
                username: username.clone(),
                password: password.clone(),
            })),
            Self::Files(paths) => {
                for path in paths {
                    if let Some(found) = from_file(path, registry, repository).await? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether it says anything of the registry, or of a path in it. Asks no helper.
    pub(crate) async fn names(&self, registry: &str) -> bool {
        let Self::Files(paths) = self else {
            return matches!(self, Self::Given { .. });
        };
        for path in paths {
            let bytes = tokio::fs::read(path).await.unwrap_or_default();
            if parse(&bytes).is_ok_and(|config| config.names(registry)) {
                return true;
            }
        }
        false
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DockerConfig {
    auths: HashMap<String, AuthEntry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Never quotes the file's content: a parser's error message might.
fn unusable(path: &Path, why: &str) -> Unverified {
    Unverified::new(
        UnverifiedReason::Unauthorized,
        format!("credentials in {}: {why}", path.display()),
    )
}

async fn from_file(
    path: &Path,
    registry: &str,
    repository: Option<&Repository>,
) -> Result<Option<Credentials>, Unverified> {
    let bytes = match tokio::fs::read(path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error.kind().to_string())),
    };
    let config = parse(&bytes).map_err(|why| unusable(path, &why))?;
    for key in keys(registry, repository) {
        if let Some((server, helper)) = config.helper(&key, registry)
            && let Some(found) = from_helper(path, helper, server).await?
        {
            return Ok(Some(found));
        }
        if let Some(entry) = config.entry(&key)
            && let Some(found) = entry.credentials().map_err(|why| unusable(path, why))?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads such a file, or says why it is none.
pub(crate) fn parse(bytes: &[u8]) -> Result<DockerConfig, String> {
    serde_json::from_slice(bytes).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        format!("not a docker config, line {line} column {column}")
    })
}

impl DockerConfig {
    /// The helper that knows about `key`, and the name under which it does.
    pub(crate) fn helper<'a>(&'a self, key: &str, registry: &'a str) -> Option<(&'a str, &'a str)> {
        let own = self
            .cred_helpers
            .iter()
            .find(|(written, _)| normal(written) == key)
            .map(|(written, helper)| (written.as_str(), helper.as_str()));
        // A store knows registries, not paths in them (config.json of docker).
        let store = self.creds_store.as_deref().filter(|_| key == registry);
        own.or(store.map(|helper| (registry, helper)))
    }

    /// Whether there is a key of the registry, or of a path in it. Docker writes empty entries for what
    /// a store keeps.
    fn names(&self, registry: &str) -> bool {
        let mut keys = self.auths.keys().chain(self.cred_helpers.keys());
        keys.any(|written| {
            let rest = normal(written).strip_prefix(registry);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// What the file itself says about `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&AuthEntry> {
        let mut entries = self.auths.iter();
        let found = entries.find(|(written, _)| normal(written) == key);
        found.map(|(_, entry)| entry)
    }
}

/// The keys under which credentials for a repository may stand, the most specific first
/// (containers-auth.json(5)).
pub(crate) fn keys(registry: &str, repository: Option<&Repository>) -> Vec<String> {
    let path = repository.map_or("", Repository::as_str);
    let mut key = format!("{registry}/{path}");
    let mut keys = Vec::new();
    while let Some(end) = key.rfind('/') {
        if end + 1 < key.len() {
            keys.push(key.clone());
        }
        key.truncate(end);
    }
    keys.push(registry.to_owned());
    keys
}

/// A key as docker writes it (`https://index.docker.io/v1/`), in the form that [`keys`] gives.
fn normal(written: &str) -> &str {
    let bare = written
        .split_once("://")
        .map_or(written, |(_, rest)| rest)
        .trim_end_matches('/');
    let bare = bare
        .strip_suffix("/v1")
        .or(bare.strip_suffix("/v2"))
        .unwrap_or(bare);
    if bare == "index.docker.io" {
        "docker.io"
    } else {
        bare
    }
}

impl AuthEntry {
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(Secret::new(token))));
        }
        if let (Some(username), Some(password)) = (given(&self.username), given(&self.password)) {
            return Ok(Some(Credentials::Password {
                username,
                password: Secret::new(password),
            }));
        }
        let Some(auth) = given(&self.auth) else {
            return Ok(None);
        };
        let decoded = base64::engine::general_purpose::STANDARD.decode(auth.trim());
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = pair.ok_or("`auth` is not base64 of USER:PASSWORD")?;
        // Docker pads old entries with NUL bytes.
        let password = Secret::new(password.trim_end_matches('\0'));
        Ok(Some(Credentials::Password {
            username: username.to_owned(),
            password,
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
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

/// Asks `docker-credential-HELPER get` (docker-credential-helpers' protocol: the server's address
/// on standard input, JSON on standard output).
async fn from_helper(
    path: &Path,
    helper: &str,
    server: &str,
) -> Result<Option<Credentials>, Unverified> {
    let program = program(helper)
        .ok_or_else(|| unusable(path, "a credential helper's name is not a plain word"))?;
    let failed = |why: &str| unusable(path, &format!("`{program}` {why}"));
    let mut child = tokio::process::Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(&format!("cannot be started: {}", e.kind())))?;
    let server = if server == "docker.io" {
        "https://index.docker.io/v1/"
    } else {
        server
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons, and its exit status tells them.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = tokio::time::timeout(HELPER_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| failed("does not answer"))?
        .map_err(|e| failed(&e.kind().to_string()))?;
    if !output.status.success() {
        // The protocol's words for "I have none"; they stand on standard output.
        let said = String::from_utf8_lossy(&output.stdout);
        let has_none = said.contains("credentials not found");
        return if has_none {
            Ok(None)
        } else {
            Err(failed(&output.status.to_string()))
        };
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("does not answer in its protocol"))?;
    let secret = Secret::new(answer.secret);
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::IdentityToken(secret),
        _ => Credentials::Password {
            username: answer.username,
            password: secret,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(json: &str) -> (tempfile::TempDir, CredentialSource) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).expect("written");
        let missing = dir.path().join("missing.json");
        (dir, CredentialSource::Files(vec![missing, path]))
    }

    async fn load(
        json: &str,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credentials>, Unverified> {
        let (_dir, source) = source(json);
        source
            .load(registry, repository.parse().ok().as_ref())
            .await
    }

    fn password(username: &str, password: &str) -> Credentials {
        Credentials::Password {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    #[tokio::test]
    async fn auth_entries_in_every_spelling_of_the_key() {
        for key in [
            "r.example:5000",
            "https://r.example:5000",
            "https://r.example:5000/v2/",
            "r.example:5000/",
        ] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpwOnE="}}}}}}"#);
            assert_eq!(
                load(&json, "r.example:5000", "a").await,
                Ok(Some(password("u", "p:q"))),
                "{key}"
            );
        }
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#;
        assert_eq!(
            load(hub, "docker.io", "library/nginx").await,
            Ok(Some(password("u", "p")))
        );
        assert_eq!(load(hub, "r.example", "a").await, Ok(None));
    }

    #[tokio::test]
    async fn the_most_specific_path_wins() {
        let json = r#"{"auths":{"r":{"auth":"YTph"},"r/team":{"auth":"Yjpi"},"r/team/app":{"auth":"Yzpj"}}}"#;
        for (repository, user) in [
            ("x", "a"),
            ("team/x", "b"),
            ("team/app", "c"),
            ("team2", "a"),
        ] {
            assert_eq!(
                load(json, "r", repository).await,
                Ok(Some(password(user, user))),
                "{repository}"
            );
        }
        let (_dir, source) = source(json);
        assert_eq!(source.load("r", None).await, Ok(Some(password("a", "a"))));
    }

    #[tokio::test]
    async fn tokens() {
        let json = r#"{"auths":{"r":{"auth":"dTo=","identitytoken":"t"}}}"#;
        assert_eq!(
            load(json, "r", "a").await,
            Ok(Some(Credentials::IdentityToken(Secret::new("t"))))
        );
        let json = r#"{"auths":{"r":{"registrytoken":"t"}}}"#;
        assert_eq!(
            load(json, "r", "a").await,
            Ok(Some(Credentials::RegistryToken(Secret::new("t"))))
        );
    }

    #[tokio::test]
    async fn a_bad_file_is_told_without_its_content() {
        for json in [
            "{hunter2",
            r#"{"auths":{"r":{"auth":"hunter2"}}}"#,
            r#"{"auths":{"r":{"auth":7}}}"#,
        ] {
            let why = load(json, "r", "a").await.expect_err(json);
            assert_eq!(why.reason, UnverifiedReason::Unauthorized);
            assert!(!why.detail.contains("hunter2"), "{why}");
        }
        for helper in ["", "../x", "a b", "/bin/sh"] {
            let json = format!(r#"{{"credsStore":"{helper}"}}"#);
            assert!(load(&json, "r", "a").await.is_err(), "{helper}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let text = format!(
            "{:?} {:?}",
            password("u", "hunter2"),
            Secret::new("hunter2")
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
