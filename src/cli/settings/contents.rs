//! Registries whose content is wanted, for `probe keep` and `probe compare`.

use std::path::Path;

use super::connect::connection;
use super::documents;
use super::in_use;
use super::registries::{aim, keep, registries};
use super::scope;
use super::sources::Sources;
use crate::cli::args::{AskArgs, CheckArgs, KeepArgs, ReferrerArgs};
use crate::cli::error::Error;
use crate::cli::image::parse_image;
use crate::cli::input;
use crate::content::{self, Deletion, Root};
use crate::oci::Printable;
use crate::registry::Depth;
use crate::registry::client::{Config, PublicName};
use crate::report::{Mode, PlatformMismatch};
use crate::service::{Target, own_image};
use crate::sweep::{Objects, Scope, Source};

/// The largest list of deletions that is read.
const LARGEST_LIST: u64 = 64 << 20;

/// What `probe keep` looks at.
pub(in crate::cli) struct KeepSettings {
    pub(in crate::cli) target: Target,
    pub(in crate::cli) args: KeepArgs,
    /// What is to be deleted, where that is asked.
    pub(in crate::cli) deletions: Option<Vec<Deletion>>,
    /// What documents name.
    pub(in crate::cli) named: Named,
}

/// What documents name of a registry.
#[derive(Default)]
pub(in crate::cli) struct Named {
    pub(in crate::cli) roots: Vec<Root>,
    /// What may be an image of the registry, and nobody knows which.
    pub(in crate::cli) unresolved: Vec<Printable>,
    /// What was not taken for images.
    pub(in crate::cli) not_taken: usize,
    /// Whether documents name images, and none of the registry.
    pub(in crate::cli) is_of_others: bool,
}

/// What `probe keep` does.
pub(in crate::cli) fn kept(sources: &Sources) -> Result<KeepSettings, Error> {
    let process = sources.resolve::<KeepArgs>(None)?;
    let addresses = registries(sources, &process.args.registries, "probe keep HOST[:PORT]")?;
    let [(address, _)] = addresses.as_slice() else {
        return Err(Error::Usage(
            "a list is of one registry, and there are several: name one".to_owned(),
        ));
    };
    let endpoint = sources.endpoint(address, false)?;
    let own = sources.resolve::<KeepArgs>(Some(endpoint.name()))?;
    let locate = |error| own.locate(error);
    let args = &own.args;
    let mut http = connection(sources, address, &args.connection).map_err(locate)?;
    check_inputs(args)?;
    let deletions = args.check.as_deref().map(|path| deletions(path, &http));
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
    let named = named_in_documents(args, &http).map_err(locate)?;
    let mut target = target(http, &args.ask, scope).map_err(locate)?;
    target.policy.objects = Objects::Manifests;
    target.in_use = in_use::source(&args.in_use, sources.around).map_err(locate)?;
    Ok(KeepSettings {
        target,
        deletions,
        named,
        args: own.args,
    })
}

fn check_inputs(args: &KeepArgs) -> Result<(), Error> {
    let files = args.check.iter().chain(&args.documents.images_from);
    let inputs = files.filter(|path| input::is_standard(path)).count();
    if inputs + usize::from(args.connection.password_stdin) > 1 {
        return Err(Error::Usage("standard input can be read once".to_owned()));
    }
    if !args.documents.only_registries.is_empty() {
        let why = "a list is of one registry, and takes the images of that alone";
        return Err(Error::option("only-registry", why));
    }
    Ok(())
}

/// What documents name of a registry.
fn named_in_documents(args: &KeepArgs, http: &Config) -> Result<Named, Error> {
    let plain_http = args.connection.plain_http;
    let find = |name: &str| {
        let (endpoint, ..) = parse_image(name, plain_http).ok()?;
        let bare = name.split_once("://").map_or(name, |(_, name)| name);
        Some((endpoint.name().to_owned(), own_image(http, bare)))
    };
    let Some(found) = documents::read(&args.documents, plain_http, find)? else {
        return Ok(Named::default());
    };
    let mut named = Named {
        not_taken: found.unasked.not_taken.len(),
        ..Named::default()
    };
    let unresolved = found.unasked.lacking().map(|it| it.written.clone());
    named.unresolved.extend(unresolved);
    for (image, written) in found.images {
        let Some((repository, reference)) = image else {
            continue;
        };
        named
            .roots
            .extend(written.origins.iter().map(|origin| Root {
                repository: repository.clone(),
                reference: reference.clone(),
                origin: origin.to_string().into(),
            }));
    }
    named.is_of_others = named.roots.is_empty();
    Ok(named)
}

/// Everything of a registry, as far as its content goes.
pub(super) fn target(http: Config, ask: &AskArgs, scope: Scope) -> Result<Target, Error> {
    if ask.mode == Some(Mode::PullThrough) {
        let why =
            "a pull-through cache is not asked for its tags, so that its content is not known";
        return Err(Error::option("mode", why));
    }
    let check = CheckArgs {
        platform_mismatch: PlatformMismatch::Notice,
        unpack_max_bytes: 0,
        referrers: ReferrerArgs::default(),
        depth: Depth::Head,
        ask: AskArgs {
            // What is not there is to be told.
            mode: Some(Mode::Private),
            ..ask.clone()
        },
    };
    let mut target = aim(http, &check, scope);
    target.http.detect_cache = ask.mode.is_none();
    target.http.spares_upstream = ask.mode.is_none();
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
