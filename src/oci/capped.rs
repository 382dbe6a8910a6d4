//! Lists in JSON that somebody else wrote, of which no more is kept than there is room for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Descriptors that one list of a document may have. Real ones have some dozens; artifacts that are
/// split into chunks have a few thousand.
pub(super) const MOST_ENTRIES: usize = 10_000;

/// The first `MOST` entries of a list, as they are written and not read any further, so that neither
/// their number nor what is in them takes memory.
pub(crate) struct Capped<'a, const MOST: usize> {
    pub(crate) entries: Vec<&'a RawValue>,
    /// How many more there are.
    pub(crate) left_out: u64,
}

impl<const MOST: usize> Default for Capped<'_, MOST> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            left_out: 0,
        }
    }
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Capped<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<const MOST: usize>;

        impl<'de, const MOST: usize> Visitor<'de> for Entries<MOST> {
            type Value = Capped<'de, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut capped = Capped::default();
                while capped.entries.len() < MOST {
                    match list.next_element()? {
                        Some(entry) => capped.entries.push(entry),
                        None => return Ok(capped),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    capped.left_out += 1;
                }
                Ok(capped)
            }
        }

        deserializer.deserialize_seq(Entries::<MOST>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_is_counted() {
        let read = |json| {
            let capped: Capped<'_, 2> = serde_json::from_str(json).expect("a list");
            let entries: Vec<_> = capped.entries.iter().map(|entry| entry.get()).collect();
            (entries.join(" "), capped.left_out)
        };
        assert_eq!(read("[]"), (String::new(), 0));
        assert_eq!(read(r#"[{"a": []}, 2]"#), (r#"{"a": []} 2"#.to_owned(), 0));
        assert_eq!(read("[1, 2, 3, [4]]"), ("1 2".to_owned(), 2));
        for json in ["7", "{}", "[1", "[1, 2, 3,"] {
            assert!(
                serde_json::from_str::<Capped<'_, 2>>(json).is_err(),
                "{json}"
            );
        }
    }
}
