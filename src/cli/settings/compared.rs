//! Two registries resolved into the sides of a comparison, for `probe compare`.

use std::sync::Arc;

use super::connect::connection;
use super::contents::target;
use super::registries::{keep, publish, registries};
use super::scope;
use super::sources::{Resolved, Sources};
use crate::cli::args::CompareArgs;
use crate::cli::error::{Error, Rank, without_login};
use crate::content::{Mapping, Pair};
use crate::oci::{Reference, Repository, shorten};
use crate::registry::Wanted;
use crate::registry::client::{Endpoint, Share};
use crate::service::{Publish, Target};
use crate::sweep::{Empty, Scope, Source};

/// What `probe compare` compares, and where the result goes.
pub(in crate::cli) struct CompareSettings {
    pub(in crate::cli) a: Target,
    pub(in crate::cli) b: Target,
    /// What the sides are called.
    pub(in crate::cli) names: [String; 2],
    /// What repositories are called on the other side.
    pub(in crate::cli) mapping: Mapping,
    /// The images that were named, in place of all.
    pub(in crate::cli) pair: Option<Pair>,
    pub(in crate::cli) publish: Publish,
    pub(in crate::cli) args: CompareArgs,
}

/// What was named as one side: a registry, and how much of it.
struct Place {
    address: String,
    repository: Option<Repository>,
    reference: Option<Reference>,
}

/// What `probe compare` does.
pub(in crate::cli) fn compared(sources: &Sources) -> Result<CompareSettings, Error> {
    let process = sources.resolve::<CompareArgs>(None)?;
    let args = &process.args;
    let locate = |error| process.locate(error);
    if !args.grace.is_zero() && args.publish.state.is_none() {
        let why = "nothing is older than it without --state FILE, which remembers since when";
        return Err(locate(Error::option("grace", why)));
    }
    let (a, b) = (place(sources, &args.a)?, place(sources, &args.b)?);
    let mapping = match (&a.repository, &b.repository) {
        (Some(a), Some(b)) => Mapping::of_one(a, b),
        _ => Mapping::new(args.rules.clone()),
    };
    let mut scope = scope::repositories(&args.repositories).map_err(locate)?;
    scope.tags = scope::filter(&args.tags.tags, &args.tags.exclude_tags)?;
    let pair = pair(&a, &b, &mapping)?;
    let scopes = scopes(scope, &a, &b, pair.as_ref(), &mapping)?;
    let is_one = endpoint_name(sources, &a)? == endpoint_name(sources, &b)?;
    let mut sides = Vec::new();
    for ((place, scope), is_b) in [&a, &b].into_iter().zip(scopes).zip([false, true]) {
        let mut side = side(sources, place, scope, is_one)?;
        if is_b {
            let mapping = mapping.clone();
            let of_a = scope::repositories(&args.repositories).map_err(locate)?;
            let most = side.http.repositories.most;
            side.http.repositories = Share {
                wanted: Arc::new(move |name| match mapping.to_a(name) {
                    Some(name) => of_a.wants(&name),
                    None => Wanted::LeftOut,
                }),
                most,
            };
        }
        sides.push(side);
    }
    let [a_side, b_side] =
        <[Target; 2]>::try_from(sides).map_err(|_| Error::Usage(String::new()))?;
    let named = |side: &Target, place: &Place| {
        let registry = &side.policy.registry;
        match (&place.repository, &place.reference) {
            (None, _) => registry.clone(),
            (Some(repository), None) => format!("{registry}/{repository}"),
            (Some(repository), Some(reference)) => {
                format!("{registry}/{}", reference.in_repository(repository))
            }
        }
    };
    Ok(CompareSettings {
        names: [named(&a_side, &a), named(&b_side, &b)],
        a: a_side,
        b: b_side,
        mapping,
        pair,
        publish: publish(&args.publish, None, sources.around).map_err(locate)?,
        args: process.args.clone(),
    })
}

fn endpoint_name(sources: &Sources, place: &Place) -> Result<String, Error> {
    Ok(sources.endpoint(&place.address, false)?.name().to_owned())
}

/// One side. What is about one registry is not taken for both.
fn side(sources: &Sources, place: &Place, scope: Scope, is_one: bool) -> Result<Target, Error> {
    let name = Endpoint::parse(&place.address, false)?.name().to_owned();
    let own: Resolved<CompareArgs> = sources.resolve(Some(&name))?;
    for option in [
        "username",
        "password-file",
        "password-stdin",
        "client-cert",
        "public-name",
    ] {
        let origin = own.origins.get(option);
        if !is_one && origin.is_some_and(|origin| origin.rank != Rank::Entry) {
            let why = "is of one registry, and there are two: log in by docker or podman, or give each an entry \
                       in --config";
            return Err(own.locate(Error::option(option, why)));
        }
    }
    let args = &own.args;
    let http = connection(sources, &place.address, &args.connection);
    let mut http = http.map_err(|error| own.locate(error))?;
    keep(&mut http, &args.repositories, &scope);
    let mut side = target(http, &args.ask, scope).map_err(|error| own.locate(error))?;
    // Whether it has what it does not list, the second look asks.
    side.policy.empty = Empty::Allowed;
    Ok(side)
}

/// The images to compare, where both sides name one.
fn pair(a: &Place, b: &Place, mapping: &Mapping) -> Result<Option<Pair>, Error> {
    let named = |place: &Place| (place.repository.clone(), place.reference.clone());
    match (named(a), named(b)) {
        ((None, _), (Some(_), _)) => Err(Error::Usage(
            "B is a repository, and A is a registry: name the repository of A, too".to_owned(),
        )),
        ((_, None), (_, Some(_))) => Err(Error::Usage(
            "B is an image, and A is not: name the image of A, too".to_owned(),
        )),
        ((Some(repository), Some(reference)), (other, in_b)) => {
            let other = other.or_else(|| mapping.to_b(&repository));
            let other = other.ok_or_else(|| no_name(&repository))?;
            let in_b = in_b.unwrap_or_else(|| reference.clone());
            let (a, b) = ((repository, reference), (other, in_b));
            Ok(Some(Pair { a, b }))
        }
        _ => Ok(None),
    }
}

/// What is swept of each side.
fn scopes(
    scope: Scope,
    a: &Place,
    b: &Place,
    pair: Option<&Pair>,
    mapping: &Mapping,
) -> Result<[Scope; 2], Error> {
    let with = |source| Scope {
        source,
        tags: scope.tags.clone(),
        ..Scope::new(Source::Catalog)
    };
    if let Some(Pair { a, b }) = pair {
        return Ok([a, b].map(|image| Scope::new(Source::Images(vec![image.clone()]))));
    }
    let in_b = |name: &Repository| mapping.to_b(name).ok_or_else(|| no_name(name));
    if let Some(name) = &a.repository {
        let other = b.repository.clone().map_or_else(|| in_b(name), Ok)?;
        let named = [name.clone(), other];
        return Ok(named.map(|name| with(Source::Repositories(vec![name]))));
    }
    let source = match &scope.source {
        Source::Repositories(named) => {
            let others = named
                .iter()
                .filter(|name| scope.wants(name) == Wanted::Here);
            Source::Repositories(others.map(in_b).collect::<Result<_, _>>()?)
        }
        _ => Source::Catalog,
    };
    let other = with(source);
    Ok([scope, other])
}

fn no_name(name: &Repository) -> Error {
    Error::option("map", format!("{name} would have no name that is allowed"))
}

/// Reads what stands for a side: `HOST`, and below it a repository, a tag or a digest.
fn place(sources: &Sources, text: &str) -> Result<Place, Error> {
    let (scheme, name) = match text.split_once("://") {
        Some((scheme, name)) => (format!("{scheme}://"), name),
        None => (String::new(), text),
    };
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let address = format!("{scheme}{host}");
    // What has a scheme is meant, and what has none may be a word that is no registry.
    registries(sources, std::slice::from_ref(&address), "probe compare A B")?;
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        let (repository, reference) = (None, None);
        return Ok(Place {
            address,
            repository,
            reference,
        });
    }
    let unusable = || {
        let text = shorten(&without_login(text), 100);
        let expected =
            "expected HOST, HOST/REPOSITORY, HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST";
        Error::Usage(format!("`{text}`: {expected}"))
    };
    let (path, digest) = match path.split_once('@') {
        Some((path, digest)) => (path, Some(digest.parse().map_err(|_| unusable())?)),
        None => (path, None),
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag.parse().map_err(|_| unusable())?)),
        None => (path, None),
    };
    Ok(Place {
        address,
        repository: Some(path.parse().map_err(|_| unusable())?),
        // Of both the digest counts, as for docker.
        reference: digest.map(Reference::Digest).or(tag.map(Reference::Tag)),
    })
}
