//! The name under which people and pods pull from a registry, where the probe dials another address.

use std::str::FromStr;

use super::credentials::StoredAs;
use super::endpoint::Endpoint;
use crate::oci::Repository;
use crate::registry::Access;

/// `HOST[:PORT][/PREFIX]`, with a scheme before it where that is not to be guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicName {
    /// Without the scheme, as it stands before a repository.
    name: String,
    endpoint: Endpoint,
    has_scheme: bool,
}

impl FromStr for PublicName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, name) = match text.split_once("://") {
            Some((scheme, name)) => (Some(scheme), name),
            None => (None, text),
        };
        let name = name.trim_end_matches('/');
        let (host, prefix) = match name.split_once('/') {
            Some((host, prefix)) => (host, Some(prefix)),
            None => (name, None),
        };
        let address = scheme.map_or(host.to_owned(), |scheme| format!("{scheme}://{host}"));
        let endpoint = Endpoint::parse(&address, false).map_err(|error| error.to_string())?;
        let is_of_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let is_word = !host.contains(['.', ':']) && host != "localhost";
        if is_word || !host.chars().all(is_of_host) {
            return Err(
                "the host must have a `.`, a port, or be localhost, or an image's name would be read as one \
                 of Docker Hub's"
                    .to_owned(),
            );
        }
        if let Some(Err(error)) = prefix.map(str::parse::<Repository>) {
            return Err(format!("its prefix is {error}"));
        }
        Ok(Self {
            name: name.to_owned(),
            endpoint,
            has_scheme: scheme.is_some(),
        })
    }
}

impl PublicName {
    /// As it stands before a repository: `HOST[:PORT][/PREFIX]`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How docker and podman call it where they store a login for it.
    pub(super) fn stored_as(&self) -> StoredAs {
        let prefix = self.name.split_once('/').map(|(_, prefix)| prefix);
        StoredAs {
            registry: self.endpoint.name().to_owned(),
            prefix: prefix.map(str::to_owned),
        }
    }

    /// How a person reaches the registry that the probe reaches by `dialled`. Nobody here has tried that
    /// name, so that it is taken for one of TLS whose certificate clients trust, unless it is loopback, says
    /// http, or is the host that was dialled.
    pub(super) fn access(&self, dialled: Access) -> Access {
        let (host, prefix) = match self.name.split_once('/') {
            Some((host, prefix)) => (host, format!("{prefix}/")),
            None => (self.name.as_str(), String::new()),
        };
        let is_same = !self.has_scheme && host == dialled.host;
        let (is_encrypted, is_verified) = if is_same {
            (dialled.is_encrypted, dialled.is_verified)
        } else {
            (self.endpoint.is_https(), self.endpoint.is_https())
        };
        let mut base = self.endpoint.base().clone();
        if is_same && !is_encrypted {
            let _ = base.set_scheme("http");
        }
        Access {
            host: self.name.clone(),
            api: format!("{base}{prefix}"),
            is_verified,
            is_encrypted,
            ..dialled
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_reach_a_registry_by_its_public_name() {
        let dialled = |host: &str| Access {
            host: host.to_owned(),
            api: format!("http://{host}/v2/"),
            ..Access::default()
        };
        for (text, from, api, is_verified) in [
            ("r.example", "registry:5000", "https://r.example/v2/", true),
            (
                "r.example:5443/team/mirror/",
                "registry:5000",
                "https://r.example:5443/v2/team/mirror/",
                true,
            ),
            (
                "localhost:5000",
                "registry:5000",
                "http://localhost:5000/v2/",
                false,
            ),
            (
                "http://r.example/a",
                "registry:5000",
                "http://r.example/v2/a/",
                false,
            ),
            // What was dialled is known.
            ("r.example/a", "r.example", "http://r.example/v2/a/", false),
            ("docker.io", "x:1", "https://registry-1.docker.io/v2/", true),
        ] {
            let public: PublicName = text.parse().expect("a name");
            let access = public.access(dialled(from));
            let seen = (access.host.as_str(), access.api.as_str());
            assert_eq!(seen, (public.name(), api), "{text}");
            assert_eq!(access.is_verified, is_verified, "{text}");
        }
    }

    #[test]
    fn what_images_cannot_begin_with_is_refused() {
        for (text, why) in [
            ("registry", "Docker Hub"),
            ("registry/app", "Docker Hub"),
            ("r.example/A", "prefix"),
            ("r.example//a", "prefix"),
            ("ftp://r.example", "neither http nor https"),
            ("https://u:hunter2@r.example", "credentials"),
            ("r.example?x", "query"),
            ("r.exa$mple:5", "Docker Hub"),
            ("", "empty host"),
        ] {
            let error = text.parse::<PublicName>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
