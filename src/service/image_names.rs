//! What a registry is called in the names of images, and what of it such a name means.

use crate::oci::{Reference, Repository};
use crate::registry::client::{Config, Endpoint, PublicName};

/// What of the registry that is reached so an image is, as docker reads its name; `None` if it is of another one.
#[must_use]
pub fn own_image(http: &Config, written: &str) -> Option<(Repository, Reference)> {
    Names::of(http).read(written).ok().flatten()
}

/// What is no name of an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoName;

/// What a registry is called in images.
pub(super) struct Names(Vec<String>);

impl Names {
    /// By its public name, and by the one that is dialled.
    pub(super) fn of(http: &Config) -> Self {
        let (public, endpoint) = (http.public_name.iter(), &http.endpoint);
        let dialled = endpoint.name().to_owned();
        let has_own_port = endpoint.is_https() || endpoint.has_port();
        let with_port = (!has_own_port).then(|| format!("{dialled}:80"));
        let public = public.map(|name| PublicName::name(name).to_owned());
        let names = public.chain([dialled]).chain(with_port);
        Self(names.filter_map(|name| plain(&name)).collect())
    }

    /// What of this registry an image is, as docker reads its name; `None` if it is of another one.
    pub(super) fn read(&self, written: &str) -> Result<Option<(Repository, Reference)>, NoName> {
        let (name, digest) = match written.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (written, None),
        };
        // What stands before the first slash is a registry if it could be no part of a path.
        let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (host, path) = match name.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path),
            _ => ("docker.io", name),
        };
        let (path, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
        let registry = plain(host);
        let is_official = registry.as_deref() == Some("docker.io") && !path.contains('/');
        let above = if is_official { "library/" } else { "" };
        let path = format!("{above}{path}");
        path.parse::<Repository>().map_err(|_| NoName)?;
        if host.ends_with(':') {
            return Err(NoName);
        }
        let tag = tag.parse().map_err(|_| NoName)?;
        let digest = digest.map(|digest| digest.parse().map_err(|_| NoName));
        let reference = match digest.transpose()? {
            Some(digest) => Reference::Digest(digest),
            None => Reference::Tag(tag),
        };
        let Some(registry) = registry else {
            return Ok(None);
        };
        let full = format!("{registry}/{path}");
        let mut own = self.0.iter();
        let path = own.find_map(|own| full.strip_prefix(own)?.strip_prefix('/'));
        let path = path.map(str::parse).transpose();
        Ok(path.map_err(|_| NoName)?.map(|path| (path, reference)))
    }
}

/// A name of a registry, `HOST[:PORT][/PREFIX]`, as all that name it alike: in small letters, without the port of TLS.
fn plain(name: &str) -> Option<String> {
    let (host, prefix) = name.split_at(name.find('/').unwrap_or(name.len()));
    let endpoint = Endpoint::parse(host, false).ok()?;
    Some(format!("{endpoint}{prefix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_of_a_registry_by_either_of_its_names() {
        let names = |names: &[&str]| Names(names.iter().map(ToString::to_string).collect());
        let own = names(&["r.example/mirror", "registry:5000"]);
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let by_digest = format!("registry:5000/team/app:1@{digest}");
        let too_long = format!("registry:5000/{}", "a".repeat(256));
        let long_enough = format!("registry:5000/{}", "a".repeat(255));
        let read = |own: &Names, written: &str| match own.read(written) {
            Ok(image) => image.map(|(repository, reference)| reference.in_repository(&repository)),
            Err(NoName) => Some("no name".to_owned()),
        };
        for (written, expected) in [
            ("r.example/mirror/app:1", Some("app:1")),
            ("registry:5000/team/app", Some("team/app:latest")),
            (&by_digest, Some(&*format!("team/app@{digest}"))),
            ("r.example/other/app:1", None),
            ("r.example/mirrored/app:1", None),
            ("registry/team/app", None),
            ("team/app:1", None),
            ("nginx", None),
            ("registry:5000/App", Some("no name")),
            ("other.example/App", Some("no name")),
            ("registry:5000/app:1@sha256:0", Some("no name")),
            ("registry:5000/app:-1", Some("no name")),
            ("http://registry:5000/app:1", Some("no name")),
            ("registry:/app:1", Some("no name")),
            (&too_long, Some("no name")),
            (&long_enough, Some(&*format!("{}:latest", "a".repeat(255)))),
            ("", Some("no name")),
        ] {
            assert_eq!(read(&own, written).as_deref(), expected, "{written}");
        }
        let hub = names(&["docker.io"]);
        for (written, expected) in [
            ("nginx", "library/nginx:latest"),
            ("team/app:1", "team/app:1"),
            ("index.docker.io/nginx:1", "library/nginx:1"),
        ] {
            assert_eq!(read(&hub, written).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn names_of_registries_are_compared_as_clients_read_them() {
        let of_it = |own: &Names, written: &str| matches!(own.read(written), Ok(Some(_)));
        let own = |public: &str, address: &str| {
            let endpoint = Endpoint::parse(address, false).expect("an address");
            Names::of(&Config {
                public_name: Some(public.parse().expect("a name")),
                ..Config::new(endpoint)
            })
        };
        for public in [
            "r.example/pre",
            "R.example/pre",
            "r.example:443/pre/",
            "https://r.EXAMPLE:443/pre",
        ] {
            let own = own(public, "http://Registry:5000");
            for host in ["r.example", "R.EXAMPLE", "r.example:443"] {
                let written = format!("{host}/pre/app:1");
                assert!(of_it(&own, &written), "{public}: {written}");
            }
            assert!(of_it(&own, "REGISTRY:5000/app:1"));
            for other in [
                "r.example:80/pre/app:1",
                "r.example/Pre/app:1",
                "r.example/app:1",
            ] {
                assert!(!of_it(&own, other), "{public}: {other}");
            }
        }
        for (address, written) in [
            ("localhost:80", "localhost/app"),
            ("localhost", "localhost:80/app"),
            ("http://r.example:443", "r.example:443/app"),
            ("http://r.example", "r.example:80/app"),
            ("http://registry", "registry:80/app"),
        ] {
            assert!(
                of_it(&own("p.example", address), written),
                "{address}: {written}"
            );
        }
    }
}
