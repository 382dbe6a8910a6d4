//! Images that are named resolved into targets: what `probe verify` and `probe explain` look at.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sources::Sources;
use super::{Connect, Settings, UsageError, output, policy, usage};
use crate::cli::args::{CheckArgs, ConnectionArgs, ExplainArgs, VerifyArgs};
use crate::cli::image::parse_image;
use crate::service::{Publish, Target};
use crate::sweep::{Scope, Source};

/// What `probe verify` does.
pub(super) fn verify(sources: &Sources) -> Result<Settings, UsageError> {
    let process = sources.resolve::<VerifyArgs>(None)?.args;
    if process.expect.expect_digest.is_some() && process.images.len() > 1 {
        return usage("--expect-digest is about one image, and there are several");
    }
    let mut by_registry = BTreeMap::<String, Vec<&str>>::new();
    for image in &process.images {
        let (endpoint, ..) = parse_image(image, process.connection.plain_http)?;
        let images = by_registry.entry(endpoint.name().to_owned()).or_default();
        images.push(image);
    }
    let targets = by_registry.iter().map(|(name, images)| {
        let own = sources.resolve::<VerifyArgs>(Some(name))?;
        let look = Look {
            connection: &own.args.connection,
            check: &own.args.check,
            confirm_after: own.args.confirm_after,
        };
        let target = look.at(sources, name, images);
        target.map_err(|error| own.locate(error))
    });
    Ok(Settings {
        targets: targets.collect::<Result<_, _>>()?,
        output: output(&process.report, sources.around),
        fail_on: process.report.fail_on,
        log_format: process.report.log_format,
        expectations: Some(process.expect.into()),
        publish: Publish::default(),
        known: Vec::new(),
        service: None,
    })
}

/// What `probe explain` looks at.
pub(in crate::cli) fn explained(sources: &Sources) -> Result<(Target, ExplainArgs), UsageError> {
    let process = sources.resolve::<ExplainArgs>(None)?.args;
    let (endpoint, ..) = parse_image(&process.image, process.connection.plain_http)?;
    let own = sources.resolve::<ExplainArgs>(Some(endpoint.name()))?;
    let look = Look {
        connection: &own.args.connection,
        check: &own.args.check,
        confirm_after: own.args.confirm_after,
    };
    let target = look.at(sources, endpoint.name(), &[&process.image]);
    Ok((target.map_err(|error| own.locate(error))?, process))
}

/// How to look at some images of a registry.
struct Look<'a> {
    connection: &'a ConnectionArgs,
    check: &'a CheckArgs,
    confirm_after: Duration,
}

impl Look<'_> {
    fn at(&self, sources: &Sources, registry: &str, images: &[&str]) -> Result<Target, UsageError> {
        let plain_http = self.connection.plain_http;
        let mut endpoint = sources.endpoint(registry, plain_http)?;
        let mut named = Vec::new();
        for image in images {
            let (typed, repository, reference) = parse_image(image, plain_http)?;
            if image.contains("://") {
                endpoint = typed;
            }
            named.push((repository, reference));
        }
        let mut http = Connect::new(self.connection, sources.around)?.config(endpoint);
        http.detect_cache = self.check.mode.is_none();
        let scope = Scope::new(Source::Images(named));
        let policy = policy(&http, self.check, scope, self.confirm_after);
        Ok(Target {
            http,
            policy,
            scrub: None,
        })
    }
}
