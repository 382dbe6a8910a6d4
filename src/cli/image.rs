//! Names of images, read as docker reads them.

use super::settings::{UsageError, parse_endpoint};
use crate::http::Endpoint;
use crate::model::{Reference, Repository};

/// Reads an image's name as docker does. A scheme may stand before it, for a registry on loopback
/// that speaks https.
pub(super) fn parse_image(
    text: &str,
    plain_http: bool,
) -> Result<(Endpoint, Repository, Reference), UsageError> {
    let invalid = || {
        UsageError(format!(
            "`{}` is not an image: expected HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST",
            crate::model::shorten(text, 100)
        ))
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
    let (registry, path) = split_registry(name);
    // A colon in the last component can only be a tag's, for the port went with the registry.
    let (repository, tag) = match path.rsplit_once(':') {
        Some((repository, tag)) => (repository.to_owned(), tag),
        None => (path, "latest"),
    };
    let address = match scheme {
        Some(scheme) => format!("{scheme}://{registry}"),
        None => registry.to_owned(),
    };
    let endpoint = parse_endpoint(&address, plain_http)?;
    let repository = repository.parse().map_err(|_| invalid())?;
    let tag = tag.parse().map_err(|_| invalid())?;
    let reference = match digest {
        Some(digest) => Reference::Digest(digest.parse().map_err(|_| invalid())?),
        None => Reference::Tag(tag),
    };
    Ok((endpoint, repository, reference))
}

/// Splits off the registry by docker's rule (distribution/reference, `splitDockerDomain`): what stands
/// before the first slash is one if it could not be a component of a path. Without one it is Docker
/// Hub, whose official images are under `library/`.
fn split_registry(name: &str) -> (&str, String) {
    let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match name.split_once('/') {
        Some((hub @ ("docker.io" | "index.docker.io"), path)) if !path.contains('/') => {
            (hub.trim_start_matches("index."), format!("library/{path}"))
        }
        Some(("index.docker.io", path)) => ("docker.io", path.to_owned()),
        Some((first, path)) if is_registry(first) => (first, path.to_owned()),
        Some(_) => ("docker.io", name.to_owned()),
        None => ("docker.io", format!("library/{name}")),
    }
}
