//! Where a registry is: the name that people give it, and the URLs that follow from it.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use url::{Host, Url};

use crate::oci::{Digest, Reference, Repository};

/// The room for a path that most fit into: that of an object has a name and a digest.
const LONG: usize = 256;

/// A registry's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    name: String,
    /// Ends in `/v2/`.
    base: Url,
}

/// An address that is not one of a registry.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct InvalidEndpoint(String);

impl Endpoint {
    /// Reads `HOST[:PORT]` or an http(s) URL, whose path goes before `/v2/`.
    ///
    /// Without a scheme it is https, or http if the host is loopback or `plain_http` says so.
    ///
    /// # Errors
    ///
    /// If there is no host, if the scheme is another one, or if there is a user, password, query
    /// or fragment, none of which belongs into a registry's address.
    pub fn parse(text: &str, plain_http: bool) -> Result<Self, InvalidEndpoint> {
        let invalid = |why: &str| {
            // What was typed may hold a password, so it is not repeated.
            InvalidEndpoint(format!(
                "not a registry's address ({why}): expected HOST[:PORT] or https://HOST[:PORT]"
            ))
        };
        let text = text.trim();
        // In a URL the one is a slash, and the others are passed over.
        if text.contains(|c: char| c == '\\' || c.is_control()) {
            return Err(invalid("it has a backslash or a control character"));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) => return Err(invalid("neither http nor https")),
            None if plain_http => ("http", text),
            None => ("", text),
        };
        let guess = if scheme.is_empty() { "https" } else { scheme };
        let mut base =
            Url::parse(&format!("{guess}://{rest}")).map_err(|e| invalid(&e.to_string()))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(invalid(
                "credentials belong into --username and --password-file",
            ));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid("it has a query or a fragment"));
        }
        let host = base.host().ok_or_else(|| invalid("no host"))?;
        if scheme.is_empty() && is_loopback(&host) {
            let _ = base.set_scheme("http");
            // The port that was typed is lost if it is the default of the scheme it was read by.
            if base.port().is_none() && rest.split('/').next().is_some_and(|h| h.ends_with(":443"))
            {
                let _ = base.set_port(Some(443));
            }
        }
        let mut name = name_of(&base);
        if matches!(name.as_str(), "docker.io" | "index.docker.io") {
            "docker.io".clone_into(&mut name);
            let _ = base.set_host(Some("registry-1.docker.io"));
        }
        let prefix = base
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/v2")
            .to_owned();
        base.set_path(&format!("{prefix}/v2/"));
        Ok(Self { name, base })
    }

    /// The registry's name as it stands in image references: `HOST[:PORT]`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The registry as it has to be written before a repository, for docker and whoever reads names as
    /// it does: a single word is a path of Docker Hub's there, unless a port follows
    /// (distribution/reference, `splitDockerDomain`).
    #[must_use]
    pub fn in_images(&self) -> String {
        let is_word = !self.name.contains(['.', ':']) && self.name != "localhost";
        match self.base.port_or_known_default() {
            Some(port) if is_word => format!("{}:{port}", self.name),
            _ => self.name.clone(),
        }
    }

    /// Whether its address says a port.
    #[must_use]
    pub fn has_port(&self) -> bool {
        self.base.port().is_some()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.base.host().is_some_and(|host| is_loopback(&host))
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn catalog(&self) -> Url {
        self.at(format_args!("_catalog"))
    }

    pub(crate) fn tags(&self, repository: &Repository) -> Url {
        self.at(format_args!("{repository}/tags/list"))
    }

    pub(crate) fn manifest(&self, repository: &Repository, reference: &Reference) -> Url {
        self.at(format_args!("{repository}/manifests/{reference}"))
    }

    pub(crate) fn blob(&self, repository: &Repository, digest: &Digest) -> Url {
        self.at(format_args!("{repository}/blobs/{digest}"))
    }

    pub(crate) fn referrers(&self, repository: &Repository, digest: &Digest) -> Url {
        self.at(format_args!("{repository}/referrers/{digest}"))
    }

    /// Names are valid by construction, so nothing in `path` can leave `/v2/`.
    fn at(&self, path: fmt::Arguments<'_>) -> Url {
        let (mut url, mut whole) = (self.base.clone(), String::with_capacity(LONG));
        whole.push_str(self.base.path());
        // Text takes whatever is written to it.
        let _ = whole.write_fmt(path);
        url.set_path(&whole);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn name_of(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    match base.port() {
        None => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        Endpoint::parse(text, false)
            .expect("an address")
            .base
            .to_string()
    }

    #[test]
    fn https_unless_it_is_this_machine_or_says_http() {
        assert_eq!(
            base("registry.example:5050"),
            "https://registry.example:5050/v2/"
        );
        assert_eq!(
            base("http://registry.example"),
            "http://registry.example/v2/"
        );
        assert_eq!(base("localhost:5000"), "http://localhost:5000/v2/");
        assert_eq!(base("127.0.0.1:443"), "http://127.0.0.1:443/v2/");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000/v2/");
        assert_eq!(
            base("https://localhost:5000/"),
            "https://localhost:5000/v2/"
        );
        assert_eq!(
            base("https://host/artifactory/key/v2/"),
            "https://host/artifactory/key/v2/"
        );
        let plain = Endpoint::parse("registry.example", true).expect("an address");
        assert!(!plain.is_https());
    }

    #[test]
    fn docker_hub_has_another_host_than_its_name() {
        for text in ["docker.io", "https://index.docker.io:443"] {
            let hub = Endpoint::parse(text, false).expect("an address");
            assert_eq!(
                (hub.name(), hub.base.as_str()),
                ("docker.io", "https://registry-1.docker.io/v2/")
            );
        }
    }

    #[test]
    fn a_single_word_needs_a_port_in_the_name_of_an_image() {
        for (text, written) in [
            ("registry", "registry:443"),
            ("http://registry", "registry:80"),
            ("registry:5000", "registry:5000"),
            ("localhost:80", "localhost"),
            ("registry.example:443", "registry.example"),
            ("[::1]", "[::1]"),
            ("docker.io", "docker.io"),
        ] {
            let endpoint = Endpoint::parse(text, false).expect("an address");
            assert_eq!(endpoint.in_images(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_and_is_not_repeated() {
        for text in [
            "",
            "ftp://x",
            "https://",
            "https://u:hunter2@x",
            "x?y",
            "x#y",
            "a b",
            "file:///etc",
            "host\\path",
            "ho\tst",
        ] {
            let error = Endpoint::parse(text, false).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
