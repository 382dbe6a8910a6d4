//! What of a registry to look at: patterns and lists of names resolved into a scope.

use std::path::Path;

use super::{UsageError, read, usage};
use crate::cli::args::SweepArgs;
use crate::crawl::{Filter, Scope, Source};
use crate::model::Repository;

/// The scope that the options of a sweep describe.
pub(super) fn resolve(args: &SweepArgs) -> Result<Scope, UsageError> {
    let source = source(args)?;
    let filter = |include: &[String], exclude: &[String]| {
        Filter::new(include, exclude)
            .map_err(|error| UsageError(format!("not a pattern of names: {error}")))
    };
    let tags_per_repository = args.tags_per_repo.map(|most| most.get() as usize);
    Ok(Scope {
        source,
        repositories: filter(&args.repos, &args.exclude_repos)?,
        tags: filter(&args.tags, &args.exclude_tags)?,
        tags_per_repository,
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
                let name = crate::model::shorten(name, 80);
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
