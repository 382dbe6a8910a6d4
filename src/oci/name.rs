//! Names: repositories, tags and references, valid by construction and safe inside a URL path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::digest::Digest;
use super::text::text_in_json;

/// A name that the grammar of the distribution specification (spec.md, "Pulling manifests") does
/// not allow.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a name that the distribution specification allows")]
pub struct InvalidName;

/// A repository's name, such as `team/app`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(Arc<str>);

text_in_json!(Repository, Tag);

impl Repository {
    /// Its grammar, for the schema of the report.
    #[cfg(test)]
    pub(crate) const PATTERN: &str =
        "^[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*$";
}

impl FromStr for Repository {
    type Err = InvalidName;

    /// Takes path components of lower-case letters and digits, separated inside by `.`, `_`, `__`
    /// or dashes, joined by `/`, 255 characters in all.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() <= 255 && text.split('/').all(is_path_component) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

fn is_path_component(text: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = (text.bytes().next(), text.bytes().next_back());
    let (Some(first), Some(last)) = edges else {
        return false;
    };
    is_alphanumeric(first)
        && is_alphanumeric(last)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

/// A tag's name, such as `v1.2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// Its grammar, for the schema of the report.
    #[cfg(test)]
    pub(crate) const PATTERN: &str = "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$";
}

impl FromStr for Tag {
    type Err = InvalidName;

    /// Takes `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = text.bytes();
        let starts = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let goes_on = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if starts && goes_on && text.len() <= 128 {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

macro_rules! texts {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

texts!(Repository, Tag);

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// By a tag, which may move.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

impl Reference {
    /// The name of the image that it leads to in a repository: `REPOSITORY:TAG` or
    /// `REPOSITORY@DIGEST`.
    #[must_use]
    pub fn in_repository(&self, repository: &Repository) -> String {
        match self {
            Self::Tag(tag) => format!("{repository}:{tag}"),
            Self::Digest(digest) => format!("{repository}@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_by_the_grammar() {
        for name in ["a", "team/app", "a.b_c__d---e/0", "library/nginx-1"] {
            assert!(name.parse::<Repository>().is_ok(), "{name}");
        }
        let long = "a".repeat(256);
        for name in [
            "", "/", "a/", "/a", "a//b", "A", "../x", "a/../b", "a..b", "a___b", "-a", "a-", "a b",
            "a\x1b", "a?b", "a%2fb", "ä", &long,
        ] {
            assert!(name.parse::<Repository>().is_err(), "{name}");
        }
    }

    #[test]
    fn tags_by_the_grammar() {
        for name in ["latest", "_x", "v1.2-RC_3", "sha256-ab.sig"] {
            assert!(name.parse::<Tag>().is_ok(), "{name}");
        }
        let long = "a".repeat(129);
        for name in ["", ".", "-a", "a/b", "sha256:ab", "a\n", "a b", &long] {
            assert!(name.parse::<Tag>().is_err(), "{name}");
        }
    }
}
