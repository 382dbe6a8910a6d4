//! What of a registry to look at: patterns and lists of names resolved into a scope.

use std::path::Path;

use super::{Surroundings, UsageError, read, usage};
use crate::cli::args::SweepArgs;
use crate::oci::{Repository, shorten};
use crate::report::Shard;
use crate::sweep::{Filter, Scope, Source};

/// The scope that the options of a sweep describe.
pub(super) fn resolve(args: &SweepArgs, around: &Surroundings) -> Result<Scope, UsageError> {
    let shard = args
        .service
        .shard
        .as_deref()
        .map(|text| shard(text, around))
        .transpose()?;
    let source = source(args)?;
    let filter = |include: &[String], exclude: &[String]| {
        Filter::new(include, exclude)
            .map_err(|error| UsageError(format!("not a pattern of names: {error}")))
    };
    let tags_per_repository = args.tags_per_repo.map(|most| most.get() as usize);
    Ok(Scope {
        source,
        shard,
        repositories: filter(&args.repos, &args.exclude_repos)?,
        tags: filter(&args.tags, &args.exclude_tags)?,
        tags_per_repository,
    })
}

/// `I/N`, or `auto/N`, where the number is the one that an Indexed Job gives (JOB_COMPLETION_INDEX), or
/// the one that the host name of a StatefulSet's pod ends with.
fn shard(text: &str, around: &Surroundings) -> Result<Shard, UsageError> {
    let ordinal = || {
        let host = around
            .first(&["HOSTNAME"])
            .and_then(|name| name.rsplit_once('-'));
        let index = around
            .first(&["JOB_COMPLETION_INDEX"])
            .or(host.map(|(_, ordinal)| ordinal));
        index.and_then(|index| index.parse().ok())
    };
    let shard = text.split_once('/').and_then(|(index, count)| {
        let index = if index == "auto" {
            ordinal()?
        } else {
            index.parse().ok()?
        };
        Shard::new(index, count.parse().ok()?)
    });
    shard.ok_or_else(|| {
        UsageError(format!(
            "--shard `{}` is no part of a whole: give I/N with I from 0 to N - 1, or auto/N where \
             JOB_COMPLETION_INDEX or a host name such as probe-0 tells which",
            shorten(text, 80)
        ))
    })
}

/// The catalog is needed only where it must be filtered.
fn source(args: &SweepArgs) -> Result<Source, UsageError> {
    let mut named = match &args.repos_file {
        Some(path) => repositories_in(path)?,
        None => Vec::new(),
    };
    let is_plain = |pattern: &String| is_plain(pattern);
    if args.repos_file.is_none() && !args.repos.is_empty() && args.repos.iter().all(is_plain) {
        for name in &args.repos {
            named.push(parse_repository(name)?);
        }
    } else if args.repos_file.is_none() {
        return Ok(Source::Catalog);
    }
    named.sort();
    named.dedup();
    Ok(Source::Repositories(named))
}

/// Whether a pattern is nothing but a name.
pub(in crate::cli) fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{'])
}

pub(in crate::cli) fn parse_repository(name: &str) -> Result<Repository, UsageError> {
    let parsed = name.parse();
    parsed.map_err(|error| UsageError(format!("--repo `{name}`: {error}")))
}

fn repositories_in(path: &Path) -> Result<Vec<Repository>, UsageError> {
    let text = read(path, "--repos-file")?;
    let mut named = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        match name.parse() {
            Ok(name) => named.push(name),
            Err(error) => {
                let name = crate::oci::shorten(name, 80);
                return usage(format!(
                    "--repos-file {}, line {}: `{name}` is {error}",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    if named.is_empty() {
        return usage(format!(
            "--repos-file {} names no repository",
            path.display()
        ));
    }
    Ok(named)
}
