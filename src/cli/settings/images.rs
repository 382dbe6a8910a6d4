//! Images that are named resolved into targets: what `probe verify` and `probe explain` look at.

use std::collections::BTreeMap;

use super::connect::{connection, repair_sources};
use super::registries::{Settings, aim};
use super::sources::{Resolved, Sources};
use crate::cli::args::{ExplainArgs, LookArgs, VerifyArgs};
use crate::cli::error::Error;
use crate::cli::image::parse_image;
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
    let mut by_registry = BTreeMap::<String, Vec<&str>>::new();
    for image in &args.images {
        let (endpoint, ..) = parse_image(image, args.look.connection.plain_http)?;
        let images = by_registry.entry(endpoint.name().to_owned()).or_default();
        images.push(image);
    }
    let targets = by_registry.iter().map(|(name, images)| {
        let own = sources.resolve::<VerifyArgs>(Some(name))?;
        let mut target = target(sources, name, images, &own, &own.args.look)?;
        let repair_from = repair_sources(sources, &target.http, &own.args.repair);
        target.repair_from = repair_from.map_err(|error| own.locate(error))?;
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
    let (endpoint, ..) = parse_image(&args.image, args.look.connection.plain_http)?;
    let name = endpoint.name();
    let own = sources.resolve::<ExplainArgs>(Some(name))?;
    let target = target(sources, name, &[&args.image], &own, &own.args.look)?;
    Ok((target, args))
}

/// Some images of a registry.
fn target<A>(
    sources: &Sources,
    registry: &str,
    images: &[&str],
    own: &Resolved<A>,
    look: &LookArgs,
) -> Result<Target, Error> {
    let http = connection(sources, registry, &look.connection);
    let mut http = http.map_err(|error| own.locate(error))?;
    let mut named = Vec::new();
    for image in images {
        let (typed, repository, reference) = parse_image(image, look.connection.plain_http)?;
        if image.contains("://") {
            http.endpoint = typed;
        }
        named.push((repository, reference));
    }
    let scope = Scope::new(Source::Images(named));
    Ok(aim(http, &look.check, scope))
}
