//! A list of what is to be deleted, a line each, as clean-ups make it.

use crate::oci::{Reference, Repository, shorten};

/// What is to be deleted: a tag, or a manifest by its digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deletion {
    /// Where it is.
    pub repository: Repository,
    /// The tag, or the digest.
    pub reference: Reference,
}

impl Deletion {
    /// As it stands in such a list.
    #[must_use]
    pub fn name(&self) -> String {
        self.reference.in_repository(&self.repository)
    }
}

/// A line that is no deletion.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub struct Malformed {
    line: usize,
    why: String,
}

/// Reads a list: `REPOSITORY:TAG` or `REPOSITORY@DIGEST` in each line, `#` before comments. One of `hosts` may stand
/// before each, as registries are written before repositories.
///
/// # Errors
///
/// The first line that is neither. Nothing of such a list is to be gone by: a line may be half of another.
pub fn read(text: &str, hosts: &[&str]) -> Result<Vec<Deletion>, Malformed> {
    let mut deletions = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        // No name has a `#`.
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let deletion = parse(own_name(line, hosts));
        deletions.push(deletion.ok_or_else(|| Malformed {
            line: number,
            why: format!(
                "`{}` is neither REPOSITORY:TAG nor REPOSITORY@DIGEST",
                shorten(line, 100)
            ),
        })?);
    }
    Ok(deletions)
}

/// A line without the registry's own name before it; of several, the longest is left out.
fn own_name<'a>(line: &'a str, hosts: &[&str]) -> &'a str {
    let names = hosts.iter().filter_map(|host| {
        let rest = line.strip_prefix(host)?.strip_prefix('/')?;
        (!host.is_empty()).then_some(rest)
    });
    names.min_by_key(|rest| rest.len()).unwrap_or(line)
}

fn parse(text: &str) -> Option<Deletion> {
    let (repository, reference) = if let Some((repository, digest)) = text.split_once('@') {
        (repository, Reference::Digest(digest.parse().ok()?))
    } else {
        let (repository, tag) = text.rsplit_once(':')?;
        // A digest alone is none of a repository of that name.
        if matches!(repository, "sha256" | "sha512") && tag.len() >= 64 {
            return None;
        }
        (repository, Reference::Tag(tag.parse().ok()?))
    };
    let repository = repository.parse().ok()?;
    Some(Deletion {
        repository,
        reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_tags_or_digests() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "\u{feff}# old\n\n  team/app:v1 # gone \r\nr.example:5000/team/app@{digest}\nr.example:5000/x/app:v2\n"
        );
        let read = read(&text, &["r.example:5000", "r.example:5000/x", ""]).expect("a list");
        let names: Vec<_> = read.iter().map(Deletion::name).collect();
        let expected = ["team/app:v1", &format!("team/app@{digest}"), "app:v2"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_line_that_is_neither_is_named_by_its_number() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for line in [
            "team/app".to_owned(),
            "other.example:5000/app:v1".to_owned(),
            format!("app:v1@{digest}"),
            "app@sha256:0".to_owned(),
            "app:".to_owned(),
            format!("app blob {digest}"),
            digest,
        ] {
            let error = read(&format!("app:v1\n{line}\n"), &["r.example"]);
            let error = error.expect_err(&line).to_string();
            assert!(error.starts_with("line 2: `"), "{error}");
        }
    }
}
