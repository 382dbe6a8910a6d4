//! Reads the file of `--web-config`, which follows the convention of Prometheus' exporters:
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>.
//!
//! What of that convention has no meaning here is refused and not passed over, for whoever writes it
//! counts on it. `bearer_token_files` is an addition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use crate::yaml::{self, Entry, Node, Unusable, Value};

/// Costs above this take longer than a scrape may. 10 is what `htpasswd -B` and the convention suggest.
const HIGHEST_COST: u32 = 14;

/// What is in the file. Nothing else has been read yet.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct WebConfig {
    pub(super) tls: Option<TlsFiles>,
    /// Names and the bcrypt hashes of their passwords.
    pub(super) users: BTreeMap<String, String>,
    /// Files with a bearer token in their first line.
    pub(super) tokens: Vec<PathBuf>,
}

/// Where the parts of a TLS server are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) clients: Clients,
    /// Whether TLS 1.2 is refused.
    pub(super) only_tls13: bool,
}

/// Whether clients show certificates, and the authorities that must have signed them.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Clients {
    NotAsked,
    VerifiedIfGiven(PathBuf),
    Required(PathBuf),
}

impl Clients {
    pub(super) fn authorities(&self) -> Option<&PathBuf> {
        match self {
            Self::NotAsked => None,
            Self::VerifiedIfGiven(path) | Self::Required(path) => Some(path),
        }
    }
}

impl WebConfig {
    /// Reads a file. Paths in it are relative to it.
    ///
    /// # Errors
    ///
    /// One sentence for a person, with the file and the line.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let directory = path.parent().unwrap_or(Path::new("."));
        yaml::read(path)
            .and_then(|node| Self::of(&node, directory))
            .map_err(|error| error.in_file(path))
    }

    /// All files whose change matters.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Some(tls) = &self.tls {
            files.extend([tls.certificate.clone(), tls.key.clone()]);
            files.extend(tls.clients.authorities().cloned());
        }
        files.extend_from_slice(&self.tokens);
        files
    }

    fn of(node: &Node, directory: &Path) -> Result<Self, Unusable> {
        let mut config = Self::default();
        for entry in node.mapping("a web configuration")? {
            match entry.key.as_str() {
                "tls_server_config" => config.tls = Some(tls(entry, directory)?),
                "basic_auth_users" => config.users = users(&entry.value)?,
                "bearer_token_files" => {
                    let files = entry.value.texts("`bearer_token_files`")?;
                    config.tokens = files.iter().map(|file| directory.join(file)).collect();
                }
                _ => {
                    let known = "tls_server_config, basic_auth_users and bearer_token_files";
                    return Err(unknown(entry, known));
                }
            }
        }
        if config == Self::default() {
            let why = "it protects nothing: add tls_server_config, basic_auth_users or bearer_token_files";
            return Err(Unusable::at(node.line, why));
        }
        Ok(config)
    }
}

fn unknown(entry: &Entry, known: &str) -> Unusable {
    let key = crate::oci::shorten(&entry.key, 60);
    Unusable::at(
        entry.line,
        format!("`{key}` is not understood; the keys here are {known}"),
    )
}

fn tls(entry: &Entry, directory: &Path) -> Result<TlsFiles, Unusable> {
    let (mut certificate, mut key, mut authorities, mut policy, mut only_tls13) =
        (None, None, None, None, false);
    for entry in entry.value.mapping("`tls_server_config`")? {
        let text = || entry.value.text(&format!("`{}`", entry.key));
        match entry.key.as_str() {
            "cert_file" => certificate = Some(directory.join(text()?)),
            "key_file" => key = Some(directory.join(text()?)),
            "client_ca_file" => authorities = Some(directory.join(text()?)),
            "client_auth_type" => policy = Some((entry.line, text()?)),
            "min_version" => only_tls13 = is_tls13(entry.line, text()?)?,
            _ => {
                let known = "cert_file, key_file, client_ca_file, client_auth_type and min_version";
                return Err(unknown(entry, known));
            }
        }
    }
    let missing = |what| Unusable::at(entry.line, format!("`tls_server_config` has no {what}"));
    Ok(TlsFiles {
        certificate: certificate.ok_or_else(|| missing("cert_file"))?,
        key: key.ok_or_else(|| missing("key_file"))?,
        clients: clients(entry.line, authorities, policy)?,
        only_tls13,
    })
}

fn is_tls13(line: usize, version: &str) -> Result<bool, Unusable> {
    match version {
        "TLS12" => Ok(false),
        "TLS13" => Ok(true),
        _ => Err(Unusable::at(line, "`min_version` must be TLS12 or TLS13")),
    }
}

/// Policies that ask for a certificate without verifying it protect nothing, so they are refused.
fn clients(
    line: usize,
    authorities: Option<PathBuf>,
    policy: Option<(usize, &str)>,
) -> Result<Clients, Unusable> {
    let (line, policy) = policy.unwrap_or((line, "NoClientCert"));
    let why = match (policy, authorities) {
        ("NoClientCert", None) => return Ok(Clients::NotAsked),
        ("VerifyClientCertIfGiven", Some(path)) => return Ok(Clients::VerifiedIfGiven(path)),
        ("RequireAndVerifyClientCert", Some(path)) => return Ok(Clients::Required(path)),
        ("NoClientCert", Some(_)) => {
            "`client_ca_file` has no effect without `client_auth_type: RequireAndVerifyClientCert`"
        }
        ("VerifyClientCertIfGiven" | "RequireAndVerifyClientCert", None) => {
            "`client_auth_type` needs a `client_ca_file`"
        }
        _ => {
            "`client_auth_type` must be NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        }
    };
    Err(Unusable::at(line, why))
}

fn users(node: &Node) -> Result<BTreeMap<String, String>, Unusable> {
    let mut users = BTreeMap::new();
    for entry in node.mapping("`basic_auth_users`")? {
        let name = crate::oci::shorten(&entry.key, 60);
        let refused = |why: String| Err(Unusable::at(entry.line, why));
        if entry.key.contains(':') {
            return refused(format!("`{name}`: no user's name has a colon"));
        }
        // What stands there in place of a hash may be a password, so it is not repeated.
        let Value::Text(hash) = &entry.value.value else {
            return refused(format!("`{name}` has no hash of a password"));
        };
        match bcrypt::HashParts::from_str(hash) {
            Ok(parts) if (4..=HIGHEST_COST).contains(&parts.get_cost()) => {
                users.insert(entry.key.clone(), hash.clone());
            }
            Ok(parts) => {
                let cost = parts.get_cost();
                let why = format!("`{name}`: bcrypt costs from 4 to {HIGHEST_COST}, not {cost}");
                return refused(why);
            }
            Err(_) => {
                return refused(format!(
                    "`{name}`: not a bcrypt hash; `htpasswd -nBC 10 NAME` makes one"
                ));
            }
        }
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$04$Km3CVoGQ8Rn1Gvbx1e2w4u1PzVYZUkFJr5xWC7pYvFQ2mPZ0Zc7Wm";

    fn read(text: &str) -> Result<WebConfig, String> {
        let node = yaml::parse(text).expect("YAML");
        WebConfig::of(&node, Path::new("/etc/probe")).map_err(|e| e.in_file(Path::new("web.yml")))
    }

    #[test]
    fn the_convention_and_our_addition() {
        let config = read(&format!(
            "tls_server_config:\n  cert_file: tls.crt\n  key_file: /run/tls.key\n  \
             client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  \
             min_version: TLS13\nbasic_auth_users:\n  alice: {HASH}\nbearer_token_files: [token]\n"
        ))
        .unwrap_or_else(|error| panic!("{error}"));
        let tls = config.tls.clone().expect("TLS");
        assert!(tls.only_tls13);
        assert!(matches!(tls.clients, Clients::Required(_)));
        assert_eq!(config.users["alice"], HASH);
        let files: Vec<_> = config
            .files()
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        assert_eq!(
            files,
            [
                "/etc/probe/tls.crt",
                "/run/tls.key",
                "/etc/probe/ca.crt",
                "/etc/probe/token"
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_line() {
        let pair = "tls_server_config:\n  cert_file: c\n  key_file: k\n";
        for (text, expected) in [
            (
                "rate_limit: {}",
                "web.yml:1: `rate_limit` is not understood",
            ),
            ("", "web.yml:1: a web configuration must be a mapping"),
            ("basic_auth_users: {}", "web.yml:1: it protects nothing"),
            (
                "bearer_token_files:",
                "web.yml:1: `bearer_token_files` has no value",
            ),
            (
                "tls_server_config:\n  cert_file: c\n",
                "web.yml:1: `tls_server_config` has no key_file",
            ),
            (
                &format!("{pair}  cipher_suites: []\n"),
                "web.yml:4: `cipher_suites` is not understood",
            ),
            (
                &format!("{pair}  min_version: TLS10\n"),
                "web.yml:4: `min_version` must be TLS12 or TLS13",
            ),
            (
                &format!("{pair}  client_ca_file: ca\n"),
                "web.yml:1: `client_ca_file` has no effect",
            ),
            (
                &format!("{pair}  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca\n"),
                "web.yml:4: `client_auth_type` must be",
            ),
            (
                &format!("{pair}  client_auth_type: RequireAndVerifyClientCert\n"),
                "web.yml:4: `client_auth_type` needs a `client_ca_file`",
            ),
            (
                "basic_auth_users:\n  a: hunter2",
                "web.yml:2: `a`: not a bcrypt hash",
            ),
            (
                "basic_auth_users:\n  a: [hunter2]",
                "web.yml:2: `a` has no hash",
            ),
            (
                "basic_auth_users:\n  'a:b': x",
                "no user's name has a colon",
            ),
            (
                &format!("basic_auth_users:\n  a: {}", HASH.replace("$04$", "$20$")),
                "from 4 to 14, not 20",
            ),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
