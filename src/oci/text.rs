//! Text from a registry is hostile: what may reach a terminal, a log or a page goes through here;
//! and what is text in JSON is written and read here.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `text` with control characters (ANSI escapes, line breaks) and bidirectional overrides replaced,
/// so that it cannot move a cursor, forge a line or reorder what stands beside it.
#[must_use]
pub fn printable(text: &str) -> String {
    // Nearly all text is, and there is one of these for each request.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            let reorders = matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || reorders { '\u{fffd}' } else { c }
        })
        .collect()
}

/// The first `limit` characters of `text`, printable, with `…` in place of the rest.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    // No text has more characters than bytes.
    let end = (text.len() > limit).then(|| text.char_indices().nth(limit));
    match end.flatten() {
        None => printable(text),
        Some((end, _)) => printable(&text[..end]) + "…",
    }
}

/// Text that somebody else wrote, safe to show from the moment it is read: without control characters,
/// and of a length that fits a report.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Printable(Box<str>);

impl Printable {
    /// The longest text that is kept, in characters. What is longer ends in `…`.
    pub const LONGEST: usize = 500;

    /// `text`, made printable and cut after `limit` characters.
    #[must_use]
    pub fn cut(text: &str, limit: usize) -> Self {
        Self(shorten(text, limit.min(Self::LONGEST)).into())
    }
}

impl<T: AsRef<str>> From<T> for Printable {
    fn from(text: T) -> Self {
        Self::cut(text.as_ref(), Self::LONGEST)
    }
}

impl Deref for Printable {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for Printable {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl Serialize for Printable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Printable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Types that are written to JSON and read from it as the text of their `Display` and `FromStr`.
macro_rules! text_in_json {
    ($($name:ident),*) => { $(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": Self::PATTERN })
            }
        }
    )* };
}
pub(crate) use text_in_json;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_overrides_do_not_survive() {
        assert_eq!(
            printable("a\x1b[31mb\r\nc\u{202e}d"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shorten("äöü", 2), "äö…");
        assert_eq!(shorten("äöü", 3), "äöü");
    }
}
