//! Files in which docker and podman keep logins, and which entry of them is for a registry.
//!
//! Docker's rules are those of docker/cli (cli/config/configfile, cli/config/credentials), podman's those of
//! containers/image (pkg/docker/config). Both take the key that is written as they ask for it, and then look at
//! the others by the host in them; docker in no order, so that one of two is taken by chance.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};

use super::json::{AsGo, Fields, replace};
use super::secret::{Credentials, Secret};
use crate::oci::Repository;

/// Base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whose rules a file is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// docker's: a store may keep all logins.
    Docker,
    /// podman's: keys may have a path.
    Podman,
}

#[derive(Default)]
pub(crate) struct LoginFile {
    auths: BTreeMap<String, Option<Entry>>,
    creds_store: String,
    cred_helpers: BTreeMap<String, Option<String>>,
}

#[derive(Default)]
pub(crate) struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// A credential helper that a file names.
pub(crate) struct Helper<'a> {
    pub(crate) name: &'a str,
    /// The server's name by which it knows the registry.
    pub(crate) server: &'a str,
    /// Whether it is for this registry, and not for all of them.
    pub(crate) is_own: bool,
}

impl Fields for LoginFile {
    fn take<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "auths" => merge(&mut self.auths, map.next_value()?),
            "credhelpers" => merge(&mut self.cred_helpers, map.next_value()?),
            "credsstore" => replace(&mut self.creds_store, map.next_value()?),
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

impl Fields for Entry {
    fn take<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        let field = match key {
            "auth" => &mut self.auth,
            "username" => &mut self.username,
            "password" => &mut self.password,
            "identitytoken" => &mut self.identitytoken,
            "registrytoken" => &mut self.registrytoken,
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        *field = map.next_value::<Option<String>>()?.or(field.take());
        Ok(())
    }
}

impl<'de> Deserialize<'de> for LoginFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(AsGo::default())
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(AsGo::default())
    }
}

/// A table that stands there twice is one; `null` empties it.
fn merge<T>(into: &mut BTreeMap<String, T>, more: Option<BTreeMap<String, T>>) {
    match more {
        Some(more) => into.extend(more),
        None => into.clear(),
    }
}

impl LoginFile {
    /// Reads a file, or says why it is none. An empty one says nothing.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // Never quotes the content: a parser's message might.
        let file: Result<Option<Self>, _> = serde_json::from_slice(bytes);
        file.map(Option::unwrap_or_default).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            format!("not a docker config, line {line} column {column}")
        })
    }

    /// The helper to ask for the login. One for this registry comes before the store of all.
    pub(crate) fn helper<'a>(&'a self, registry: &'a str, rules: Rules) -> Option<Helper<'a>> {
        if let Some((server, name)) = best(&self.cred_helpers, registry) {
            return Some(Helper {
                name,
                server,
                is_own: true,
            });
        }
        let has_store = rules == Rules::Docker && !self.creds_store.is_empty();
        has_store.then_some(Helper {
            name: &self.creds_store,
            server: registry,
            is_own: false,
        })
    }

    /// The entry for a repository, or for the registry as a whole: that of the longest path, then that of the
    /// registry as it is written, then the others that lead to it.
    pub(crate) fn entry(&self, registry: &str, repository: Option<&Repository>) -> Option<&Entry> {
        let keys = keys(registry, repository);
        let exact = keys.iter().find_map(|key| self.auths.get(key)?.as_ref());
        exact.or_else(|| best(&self.auths, registry).map(|(_, entry)| entry))
    }

    /// Whether it says anything of the registry, or of a path in it. Docker writes empty entries for what a
    /// store keeps; without one they say nothing.
    pub(crate) fn names(&self, registry: &str) -> bool {
        let has_store = !self.creds_store.is_empty();
        let holds = |entry: &Option<Entry>| {
            let login = entry.as_ref().map(Entry::credentials);
            has_store || !matches!(login, None | Some(Ok(None)))
        };
        let entries = self.auths.iter().filter(|(_, entry)| holds(entry));
        let mut keys = entries.map(|(key, _)| key).chain(self.cred_helpers.keys());
        keys.any(|key| is_below(key, registry) || host(key) == host(registry))
    }
}

fn is_below(key: &str, registry: &str) -> bool {
    let rest = key.strip_prefix(registry);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Of the keys that lead to a registry the one that is written as it is asked for, or else the first in the order
/// of their letters, those with https before those with http.
fn best<'a, T>(
    entries: &'a BTreeMap<String, Option<T>>,
    registry: &str,
) -> Option<(&'a str, &'a T)> {
    let wanted = host(registry);
    let there = entries
        .iter()
        .filter_map(|(key, entry)| Some((key.as_str(), entry.as_ref()?)));
    let leads_there = |(key, _): &(&str, &T)| {
        let path = key
            .split_once('/')
            .map_or("", |(_, path)| path.trim_end_matches('/'));
        let is_host = key.contains("://") || ["", "v1", "v2"].contains(&path);
        is_host && host(key) == wanted
    };
    there
        .filter(leads_there)
        .min_by_key(|(key, _)| (*key != registry, key.starts_with("http://")))
}

/// The registry that a key is for: without scheme, path and the port that https has anyway, in small letters; Docker
/// Hub by one of its names.
fn host(key: &str) -> String {
    let (scheme, rest) = key.split_once("://").unwrap_or(("https", key));
    let host = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let port = if scheme.eq_ignore_ascii_case("http") {
        ":80"
    } else {
        ":443"
    };
    let host = host.strip_suffix(port).map(str::to_owned).unwrap_or(host);
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}

/// The keys under which a login for a repository may stand, the most specific first (containers-auth.json(5)).
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

impl Entry {
    /// The login that it holds; `None` for an empty one, as docker writes it for what a store keeps.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            // What stands beside it is for a registry that asks for a password, if it can be read.
            return Ok(Some(Credentials::IdentityToken {
                token: Secret::new(token),
                beside: self.pair().unwrap_or_default(),
            }));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(Secret::new(token))));
        }
        let pair = self.pair()?;
        Ok(pair.map(|(username, password)| Credentials::Password { username, password }))
    }

    fn pair(&self) -> Result<Option<(String, Secret)>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(auth) = given(&self.auth) else {
            let pair = given(&self.username).zip(given(&self.password));
            return Ok(pair.map(|(username, password)| (username, Secret::new(password))));
        };
        let auth: String = auth.split_whitespace().collect();
        let decoded = BASE64.decode(auth);
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let pair = pair.filter(|(username, _)| !username.is_empty());
        let (username, password) = pair.ok_or("`auth` is not base64 of USER:PASSWORD")?;
        // Docker pads old entries with NUL bytes.
        let password = Secret::new(password.trim_matches('\0'));
        Ok(Some((username.to_owned(), password)))
    }
}
