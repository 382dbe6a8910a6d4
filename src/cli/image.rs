//! Names of images, read as docker reads them.

use super::error::{Error, without_login};
use crate::oci::{Reference, Repository, shorten};
use crate::registry::client::Endpoint;

/// Reads an image's name as docker does. A scheme may stand before it, for a registry on loopback
/// that speaks https.
pub(super) fn parse_image(
    text: &str,
    plain_http: bool,
) -> Result<(Endpoint, Repository, Reference), Error> {
    let invalid = || {
        // A digest has no slash: that is a login, and its password is not repeated.
        let has_login = text
            .split_once('@')
            .is_some_and(|(_, after)| after.contains('/'));
        let shown = if has_login {
            without_login(text)
        } else {
            text.to_owned()
        };
        Error::Image(shorten(&shown, 100))
    };
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

/// Splits off the registry by docker's rule (distribution/reference, `splitDockerDomain`): what stands
/// before the first slash is one if it could not be a component of a path. Without one it is Docker Hub.
fn split_registry(name: &str) -> (&str, &str) {
    let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path),
        _ => ("docker.io", name),
    }
}
