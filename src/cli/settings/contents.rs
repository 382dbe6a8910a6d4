//! Registries whose content is wanted, for `probe keep` and `probe compare`.

use std::path::Path;

use super::connect::connection;
use super::in_use;
use super::registries::{aim, keep, registries};
use super::scope;
use super::sources::Sources;
use crate::cli::args::{AskArgs, CheckArgs, KeepArgs};
use crate::cli::error::Error;
use crate::cli::input;
use crate::content::{self, Deletion};
use crate::registry::Depth;
use crate::registry::client::{Config, PublicName};
use crate::report::Mode;
use crate::service::Target;
use crate::sweep::{Objects, Scope, Source};

/// The largest list of deletions that is read.
const LARGEST_LIST: u64 = 64 << 20;

/// What `probe keep` looks at.
pub(in crate::cli) struct KeepSettings {
    pub(in crate::cli) target: Target,
    pub(in crate::cli) args: KeepArgs,
    /// What is to be deleted, where that is asked.
    pub(in crate::cli) deletions: Option<Vec<Deletion>>,
}

/// What `probe keep` does.
pub(in crate::cli) fn kept(sources: &Sources) -> Result<KeepSettings, Error> {
    let process = sources.resolve::<KeepArgs>(None)?;
    let named = registries(sources, &process.args.registries, "probe keep HOST[:PORT]")?;
    let [(address, _)] = named.as_slice() else {
        return Err(Error::Usage(
            "a list is of one registry, and there are several: name one".to_owned(),
        ));
    };
    let endpoint = sources.endpoint(address, false)?;
    let own = sources.resolve::<KeepArgs>(Some(endpoint.name()))?;
    let locate = |error| own.locate(error);
    let args = &own.args;
    let mut http = connection(sources, address, &args.connection).map_err(locate)?;
    let deletions = args.check.as_deref().map(|path| {
        let is_taken = input::is_standard(path) && args.connection.password_stdin;
        if is_taken {
            let why = "standard input holds the password already";
            return Err(Error::option("check", why));
        }
        deletions(path, &http)
    });
    let deletions = deletions.transpose().map_err(locate)?;
    let scope = match &deletions {
        // What an image is made of stands in its own repository.
        Some(deletions) => {
            let names = deletions.iter().map(|deletion| deletion.repository.clone());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names.dedup();
            Scope::new(Source::Repositories(names))
        }
        None => scope::repositories(&args.repositories)?,
    };
    keep(&mut http, &args.repositories, &scope);
    let mut target = target(http, &args.ask, scope).map_err(locate)?;
    target.policy.objects = Objects::Manifests;
    target.in_use = in_use::source(&args.in_use, sources.around).map_err(locate)?;
    Ok(KeepSettings {
        target,
        deletions,
        args: own.args,
    })
}

/// Everything of a registry, as far as its content goes.
pub(super) fn target(http: Config, ask: &AskArgs, scope: Scope) -> Result<Target, Error> {
    if ask.mode == Some(Mode::PullThrough) {
        let why =
            "a pull-through cache is not asked for its tags, so that its content is not known";
        return Err(Error::option("mode", why));
    }
    let check = CheckArgs {
        depth: Depth::Head,
        ask: AskArgs {
            // What is not there is to be told.
            mode: Some(Mode::Private),
            ..ask.clone()
        },
    };
    let mut target = aim(http, &check, scope);
    target.http.detect_cache = ask.mode.is_none();
    Ok(target)
}

fn deletions(path: &Path, http: &Config) -> Result<Vec<Deletion>, Error> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::option("check", format!("{}: {why}", input::name(path)))
    };
    let text = input::read(path, LARGEST_LIST).map_err(|why| refused(&why))?;
    let public = http.public_name.as_ref().map_or("", PublicName::name);
    let images = http.endpoint.in_images();
    let hosts = [http.endpoint.name(), images.as_str(), public];
    let deletions = content::read(&text, &hosts).map_err(|error| refused(&error))?;
    if deletions.is_empty() {
        return Err(refused(&"there is nothing to delete in it"));
    }
    Ok(deletions)
}
