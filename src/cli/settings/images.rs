//! Images that are named resolved into targets: what `probe verify` and `probe explain` look at.

use std::collections::{BTreeMap, HashSet};

use super::connect::{connection, public_name, repair_sources};
use super::documents;
use super::registries::{Settings, aim, configured};
use super::sources::{Resolved, Sources};
use crate::cli::args::{ExplainArgs, LookArgs, VerifyArgs};
use crate::cli::error::{Error, Rank};
use crate::cli::image::parse_image;
use crate::oci::{Reference, Repository, shorten};
use crate::registry::client::{Endpoint, PublicName};
use crate::report::{self, PlatformMismatch};
use crate::service::{Publish, Target};
use crate::sweep::{Scope, Source};

/// What `probe verify` does.
pub(in crate::cli) fn verify(sources: &Sources) -> Result<Settings, Error> {
    let process = sources.resolve::<VerifyArgs>(None)?;
    let args = &process.args;
    check(args).map_err(|error| process.locate(error))?;
    let known = known(sources)?;
    let plain_http = args.look.connection.plain_http;
    let mut by_registry = BTreeMap::<String, Vec<(Named, Option<report::Named>)>>::new();
    let typed = args.images.iter().map(|image| {
        let named = Named::read(image, plain_http, &known)?;
        Ok::<_, Error>((named, None))
    });
    let typed = typed.collect::<Result<Vec<_>, _>>()?;
    let documents = documents::read(&args.documents, plain_http, |text| {
        let named = Named::read(text, plain_http, &known).ok()?;
        Some((named.endpoint.name().to_owned(), named))
    });
    let documents = documents.map_err(|error| process.locate(error))?;
    let (images, unasked) = documents.map(|it| (it.images, it.unasked)).unzip();
    let images = images.into_iter().flatten();
    let images = images.map(|(image, written)| (image, Some(written)));
    for (named, written) in typed.into_iter().chain(images) {
        let images = by_registry.entry(named.endpoint.name().to_owned());
        images.or_default().push((named, written));
    }
    let several = by_registry.len() > 1;
    let (mut targets, mut reported) = (Vec::new(), Vec::new());
    for (name, images) in by_registry {
        let own = sources.resolve::<VerifyArgs>(Some(&name))?;
        let (images, written): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let tell = |(image, written): (&Named, Option<report::Named>)| {
            Some((image.reference.in_repository(&image.repository), written?))
        };
        let told = images.iter().zip(written).filter_map(tell);
        reported.push(documents::joined(told));
        let mut target = target(sources, images, &own, &own.args.look, &known)?;
        if !args.expect.platforms.is_empty() {
            target.policy.platform_mismatch = PlatformMismatch::Fail;
        }
        let repair_from = repair_sources(sources, &target.http, &own.args.repair);
        target.repair_from = repair_from.map_err(|error| own.locate(error))?;
        if several {
            check_several(&own, &target, unasked.is_some()).map_err(|error| own.locate(error))?;
        }
        targets.push(target);
    }
    Ok(Settings {
        targets,
        expectations: Some(args.expect.clone().into()),
        documents: unasked.map_or_else(Vec::new, |it| documents::reported(reported, it)),
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

/// Options that do not go together.
fn check(args: &VerifyArgs) -> Result<(), Error> {
    let documents = &args.documents.images_from;
    if args.images.is_empty() && documents.is_empty() {
        let what = "no image is named: `probe verify IMAGE`, or --images-from FILE";
        return Err(Error::Usage(what.to_owned()));
    }
    if args.expect.expect_digest.is_some() && args.images.len() > 1 {
        return Err(Error::option(
            "expect-digest",
            "about one image, and there are several",
        ));
    }
    if args.expect.expect_digest.is_some() && !documents.is_empty() {
        let why = "about one image, and documents may name several";
        return Err(Error::option("expect-digest", why));
    }
    let inputs = documents
        .iter()
        .filter(|path| path.as_os_str() == "-")
        .count();
    if inputs + usize::from(args.look.connection.password_stdin) > 1 {
        return Err(Error::Usage("standard input can be read once".to_owned()));
    }
    Ok(())
}

/// What is meant for one registry, where there are several. Who pipes documents in may not know whose images they
/// name, and no login goes to all of these.
fn check_several(
    own: &Resolved<VerifyArgs>,
    target: &Target,
    has_documents: bool,
) -> Result<(), Error> {
    let is_of_all = |option| {
        let origin = own.origins.get(option);
        origin.is_some_and(|origin| origin.rank != Rank::Entry)
    };
    if is_of_all("public-name") && target.http.public_name.is_some() {
        return Err(Error::option(
            "public-name",
            "names one registry, and there are several",
        ));
    }
    if is_of_all("username") && has_documents {
        let why =
            "is for one registry, and there are several: add --only-registry, or log in to each";
        return Err(Error::option("username", why));
    }
    Ok(())
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
    let mut seen = HashSet::new();
    for image in images {
        if image.is_exact {
            http.endpoint = image.endpoint;
        }
        let image = (image.repository, image.reference);
        if seen.insert(image.clone()) {
            named.push(image);
        }
    }
    let scope = Scope::new(Source::Images(named));
    Ok(aim(http, &look.check, scope))
}
