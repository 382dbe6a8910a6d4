//! Names of images, read as docker reads them.

use super::error::{Error, without_login};
use crate::oci::{Reference, Repository, shorten};
use crate::registry::client::Endpoint;

/// What was typed as an image, without a password that may stand in it: a digest has no slash and an algorithm, or
/// else that is a login.
fn shown(text: &str) -> String {
    let algorithms = ["sha256:", "sha512:"];
    let is_digest = |after: &str| {
        algorithms.iter().any(|start| after.starts_with(start)) && !after.contains('/')
    };
    match text.split_once('@') {
        Some((_, after)) if !is_digest(after) => shorten(&without_login(text), 100),
        _ => shorten(text, 100),
    }
}

/// Reads an image's name as docker does. A scheme may stand before it, for a registry on loopback
/// that speaks https.
pub(super) fn parse_image(
    text: &str,
    plain_http: bool,
) -> Result<(Endpoint, Repository, Reference), Error> {
    let invalid = || Error::Image(shown(text));
    if let Some(registry) = registry_alone(text) {
        return Err(Error::Usage(format!(
            "`{registry}` is a registry, and this takes images: `{registry}/REPOSITORY:TAG`; for all of them: \
             `probe sweep {registry}`"
        )));
    }
    let (scheme, name) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), name)) => (Some(scheme), name),
        Some(_) => return Err(invalid()),
        None => (None, text),
    };
    let (name, digest) = match name.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (name, None),
    };
    let (registry, path) = match scheme {
        // Nothing but a registry has a scheme, be its name a single word.
        Some(_) => name.split_once('/').ok_or_else(invalid)?,
        None => split_registry(name),
    };
    // A colon in the last component can only be a tag's, for the port went with the registry.
    let (repository, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    // What stands behind a colon is a port.
    if registry.ends_with(':') {
        return Err(invalid());
    }
    let address = match scheme {
        Some(scheme) => format!("{scheme}://{registry}"),
        None => registry.to_owned(),
    };
    let endpoint = Endpoint::parse(&address, plain_http)?;
    // Docker Hub's official images are under `library/`.
    let is_official = endpoint.name() == "docker.io" && !repository.contains('/');
    let above = if is_official { "library/" } else { "" };
    let repository = format!("{above}{repository}");
    let repository = repository.parse().map_err(|_| invalid())?;
    let tag = tag.parse().map_err(|_| invalid())?;
    let reference = match digest {
        Some(digest) => Reference::Digest(digest.parse().map_err(|_| invalid())?),
        None => Reference::Tag(tag),
    };
    Ok((endpoint, repository, reference))
}

/// The text, if it names a registry and no repository of it. docker takes `localhost:5000` for a tag of Docker
/// Hub's image `localhost`, which nobody means.
fn registry_alone(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('/');
    let name = text.split_once("://").map_or(text, |(_, name)| name);
    let (host, port) = name.split_once(':').unwrap_or((name, ""));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = host == "localhost" || host.contains('.') || name.starts_with('[');
    let has_scheme = text.len() > name.len();
    let is_alone = !name.is_empty() && !name.contains(['/', '@', '\\', ' ']);
    let is_registry = is_host || has_scheme || port.len() >= 4;
    (is_alone && is_registry && (is_port || name.starts_with('['))).then_some(text)
}

/// Splits off the registry by docker's rule (distribution/reference, `splitDockerDomain`): what stands
/// before the first slash is one if it could not be a component of a path. Without one it is Docker Hub.
fn split_registry(name: &str) -> (&str, &str) {
    let is_registry = |first: &str| {
        let has_capitals = first.contains(|c: char| c.is_ascii_uppercase());
        first.contains(['.', ':']) || first == "localhost" || has_capitals
    };
    match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path),
        _ => ("docker.io", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_alone_is_no_image() {
        for text in [
            "localhost",
            "localhost:5101",
            "localhost:5101/",
            "127.0.0.1:5000",
            "registry.example",
            "registry.example:5000",
            "registry:5000",
            "[::1]:5000",
            "https://registry.example",
            "http://registry",
        ] {
            let error = parse_image(text, false)
                .err()
                .map(|error| error.to_string());
            let error = error.unwrap_or_default();
            let bare = text.trim_end_matches('/');
            assert!(
                error.contains(&format!("`{bare}/REPOSITORY:TAG`")),
                "{text}: {error}"
            );
            assert!(
                error.contains(&format!("`probe sweep {bare}`")),
                "{text}: {error}"
            );
        }
        // Images of Docker Hub.
        for text in [
            "nginx",
            "nginx:1",
            "redis:7",
            "registry:2",
            "registry:2.8.3",
            "team/app:5000",
        ] {
            assert!(parse_image(text, false).is_ok(), "{text}");
        }
        // Nobody's password is repeated.
        for text in ["https://u:hunter2@r.example", "u:hunter2@r.example"] {
            let error = parse_image(text, false)
                .err()
                .map(|error| error.to_string());
            let error = error.expect("no image");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
