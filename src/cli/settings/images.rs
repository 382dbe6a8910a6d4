//! Images that are named resolved into targets: what `probe verify` and `probe explain` look at.

use std::collections::BTreeMap;

use super::connect::{connection, public_name, repair_sources};
use super::registries::{Settings, aim, configured};
use super::sources::{Resolved, Sources};
use crate::cli::args::{ExplainArgs, LookArgs, VerifyArgs};
use crate::cli::error::{Error, Rank};
use crate::cli::image::parse_image;
use crate::oci::{Reference, Repository, shorten};
use crate::registry::client::{Endpoint, PublicName};
use crate::report::PlatformMismatch;
use crate::service::{Publish, Target};
use crate::sweep::{Scope, Source};

/// What `probe verify` does.
pub(in crate::cli) fn verify(sources: &Sources) -> Result<Settings, Error> {
    let process = sources.resolve::<VerifyArgs>(None)?;
    let args = &process.args;
    if args.expect.expect_digest.is_some() && args.images.len() > 1 {
        let error = Error::option("expect-digest", "about one image, and there are several");
        return Err(process.locate(error));
    }
    let known = known(sources)?;
    let mut by_registry = BTreeMap::<String, Vec<Named>>::new();
    for image in &args.images {
        let named = Named::read(image, args.look.connection.plain_http, &known)?;
        let images = by_registry.entry(named.endpoint.name().to_owned());
        images.or_default().push(named);
    }
    let several = by_registry.len() > 1;
    let targets = by_registry.into_iter().map(|(name, images)| {
        let own = sources.resolve::<VerifyArgs>(Some(&name))?;
        let mut target = target(sources, images, &own, &own.args.look, &known)?;
        if !args.expect.platforms.is_empty() {
            target.policy.platform_mismatch = PlatformMismatch::Fail;
        }
        let repair_from = repair_sources(sources, &target.http, &own.args.repair);
        target.repair_from = repair_from.map_err(|error| own.locate(error))?;
        let origin = own.origins.get("public-name");
        let is_of_all = origin.is_some_and(|origin| origin.rank != Rank::Entry);
        if several && is_of_all && target.http.public_name.is_some() {
            let error = Error::option("public-name", "names one registry, and there are several");
            return Err(own.locate(error));
        }
        Ok::<_, Error>(target)
    });
    Ok(Settings {
        targets: targets.collect::<Result<_, _>>()?,
        expectations: Some(args.expect.clone().into()),
        report: args.report.clone(),
        summary: sources
            .around
            .first(&["GITHUB_STEP_SUMMARY"])
            .map(Into::into),
        publish: Publish::default(),
        known: Vec::new(),
        service: None,
    })
}

/// What `probe explain` looks at.
pub(in crate::cli) fn explained(sources: &Sources) -> Result<(Target, ExplainArgs), Error> {
    let args = sources.resolve::<ExplainArgs>(None)?.args;
    let known = known(sources)?;
    let named = Named::read(&args.image, args.look.connection.plain_http, &known)?;
    let own = sources.resolve::<ExplainArgs>(Some(named.endpoint.name()))?;
    let target = target(sources, vec![named], &own, &own.args.look, &known)?;
    Ok((target, args))
}

/// A registry that the environment or the file names.
struct Known {
    endpoint: Endpoint,
    public_name: Option<PublicName>,
}

/// The registries that are configured, which images may be named by the public names of.
fn known(sources: &Sources) -> Result<Vec<Known>, Error> {
    let addresses = configured(sources).unwrap_or_default();
    let is_one = addresses.len() == 1;
    let known = addresses.iter().map(|(address, _)| {
        let endpoint = Endpoint::parse(address, false)?;
        let own = sources.resolve::<LookArgs>(Some(endpoint.name()))?;
        // One that was typed is about the image that was typed.
        let origin = own.origins.get("public-name").map(|origin| origin.rank);
        let is_its_own =
            origin == Some(Rank::Entry) || (is_one && origin.is_some_and(|rank| rank < Rank::Flag));
        Ok(Known {
            endpoint: sources.endpoint(address, own.args.connection.plain_http)?,
            public_name: public_name(&own.args.connection)?.filter(|_| is_its_own),
        })
    });
    known.collect()
}

/// An image that was named, and where it is asked for.
struct Named {
    endpoint: Endpoint,
    /// Whether the endpoint is as it was typed or configured, with its scheme, or else by its name alone.
    is_exact: bool,
    repository: Repository,
    reference: Reference,
}

impl Named {
    fn read(text: &str, plain_http: bool, known: &[Known]) -> Result<Self, Error> {
        let by_public_name = known.iter().filter_map(|one| {
            let rest = text.strip_prefix(one.public_name.as_ref()?.name())?;
            Some((one, rest.strip_prefix('/')?))
        });
        // Of two names the longer one: the other is the same host without that prefix.
        let by_public_name = by_public_name.min_by_key(|(_, rest)| rest.len());
        if let Some((one, rest)) = by_public_name {
            // What stands before it is read, and not dialled.
            let (_, repository, reference) =
                parse_image(&format!("https://r.invalid/{rest}"), false)
                    .map_err(|_| Error::Image(shorten(text, 100)))?;
            return Ok(Self {
                endpoint: one.endpoint.clone(),
                is_exact: true,
                repository,
                reference,
            });
        }
        let (endpoint, repository, reference) = parse_image(text, plain_http)?;
        Ok(Self {
            endpoint,
            is_exact: text.contains("://"),
            repository,
            reference,
        })
    }
}

/// Some images of a registry.
fn target<A>(
    sources: &Sources,
    images: Vec<Named>,
    own: &Resolved<A>,
    look: &LookArgs,
    known: &[Known],
) -> Result<Target, Error> {
    let name = images.first().map_or("", |image| image.endpoint.name());
    // With its scheme: what is shown and trusted for a registry depends on that.
    let exact = images.iter().rev().find(|image| image.is_exact);
    let address = exact.map_or(name.to_owned(), |image| image.endpoint.base().to_string());
    let http = connection(sources, &address, &look.connection);
    let mut http = http.map_err(|error| own.locate(error))?;
    // One that is configured for a registry is not the name of another.
    let origin = own.origins.get("public-name").map(|origin| origin.rank);
    let is_of_all = origin.is_some_and(|rank| !matches!(rank, Rank::Entry | Rank::Flag));
    if is_of_all && !known.is_empty() && known.iter().all(|one| one.endpoint.name() != name) {
        http.public_name = None;
    }
    let mut named = Vec::new();
    for image in images {
        if image.is_exact {
            http.endpoint = image.endpoint;
        }
        named.push((image.repository, image.reference));
    }
    let scope = Scope::new(Source::Images(named));
    Ok(aim(http, &look.check, scope))
}
