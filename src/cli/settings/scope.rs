//! What of a registry to look at: patterns and lists of names resolved into a scope.

use std::path::Path;

use crate::cli::args::{RepositoryArgs, SweepArgs};
use crate::cli::error::{Error, read};
use crate::cli::surroundings::Surroundings;
use crate::oci::{Repository, shorten};
use crate::report::Shard;
use crate::sweep::{Filter, Scope, Source};

/// The scope that the options of a sweep describe.
pub(super) fn resolve(args: &SweepArgs, around: &Surroundings) -> Result<Scope, Error> {
    let shard = args.service.shard.as_deref();
    let shard = shard.map(|text| parse_shard(text, around));
    Ok(Scope {
        shard: shard.transpose()?,
        tags: filter(&args.tags.tags, &args.tags.exclude_tags)?,
        tags_per_repository: args.tags_per_repo.map(|most| most.get() as usize),
        ..repositories(&args.repositories)?
    })
}

/// The repositories that the options describe, with all their tags.
pub(super) fn repositories(args: &RepositoryArgs) -> Result<Scope, Error> {
    Ok(Scope {
        repositories: filter(&args.repos, &args.exclude_repos)?,
        ..Scope::new(source(args)?)
    })
}

/// What takes names that match some patterns and none of others.
pub(super) fn filter(include: &[String], exclude: &[String]) -> Result<Filter, Error> {
    let filter = Filter::new(include, exclude);
    filter.map_err(|error| Error::Usage(format!("not a pattern of names: {error}")))
}

/// `I/N`, or `auto/N`, where the number is the one that an Indexed Job gives (JOB_COMPLETION_INDEX), or
/// the one that the host name of a StatefulSet's pod ends with.
fn parse_shard(text: &str, around: &Surroundings) -> Result<Shard, Error> {
    let ordinal = || {
        let host = around.first(&["HOSTNAME"]);
        let pod = host.and_then(|name| name.rsplit_once('-'));
        around
            .first(&["JOB_COMPLETION_INDEX"])
            .or(pod.map(|(_, ordinal)| ordinal))
    };
    let shard = text.split_once('/').and_then(|(index, count)| {
        let index = match index {
            "auto" => ordinal()?,
            index => index,
        };
        Shard::new(index.parse().ok()?, count.parse().ok()?)
    });
    shard.ok_or_else(|| {
        let why = "is no part of a whole: give I/N with I from 0 to N - 1, or auto/N where \
                   JOB_COMPLETION_INDEX or a host name such as probe-0 tells which";
        Error::option("shard", format!("`{}` {why}", shorten(text, 80)))
    })
}

/// The catalog is needed only where it must be filtered.
fn source(args: &RepositoryArgs) -> Result<Source, Error> {
    let mut named = match &args.repos_file {
        Some(path) => repositories_in(path)?,
        None if args.repos.is_empty() || !args.repos.iter().all(|repo| is_plain(repo)) => {
            return Ok(Source::Catalog);
        }
        None => parse_repositories(&args.repos)?,
    };
    named.sort();
    named.dedup();
    Ok(Source::Repositories(named))
}

/// The repositories among the values of `--repo`, which may be patterns, too.
pub(in crate::cli) fn parse_repositories(repos: &[String]) -> Result<Vec<Repository>, Error> {
    let names = repos.iter().filter(|repo| is_plain(repo));
    let parsed = names.map(|name| {
        name.parse()
            .map_err(|error| Error::option("repo", format!("`{name}` is {error}")))
    });
    parsed.collect()
}

/// Whether a pattern is nothing but a name.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{'])
}

fn repositories_in(path: &Path) -> Result<Vec<Repository>, Error> {
    let refused = |why| {
        Err(Error::option(
            "repos-file",
            format!("{}{why}", path.display()),
        ))
    };
    let text = read(path, "repos-file")?;
    let mut named = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match line.split('#').next().unwrap_or_default().trim() {
            "" => {}
            name => match name.parse() {
                Ok(name) => named.push(name),
                Err(error) => {
                    let name = shorten(name, 80);
                    return refused(format!(", line {number}: `{name}` is {error}"));
                }
            },
        }
    }
    if named.is_empty() {
        return refused(" names no repository".to_owned());
    }
    Ok(named)
}
