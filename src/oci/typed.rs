//! JSON as Go's clients read it: keys in any case, into fields that have types. What does not fit is an
//! error to them, whatever it is worth, and a key that is there twice is read twice.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The value of a field, as it is written, and not read before its type is known: what is hidden in a
/// place where something else belongs takes no memory.
pub(super) type Field<'a> = Option<&'a RawValue>;

/// Of a document's keys that are there more than once, as many are remembered.
const MOST_EARLIER: usize = 64;

/// Fields of a JSON object.
pub(super) struct Fields<'a, const N: usize> {
    /// The value that counts for each: the last one that is not null, which changes no text, number or
    /// object.
    pub(super) last: [Field<'a>; N],
    /// A null that comes after it, which empties a list.
    pub(super) null: [Field<'a>; N],
    /// The values before it, with the position of their field. They have to fit, too.
    pub(super) earlier: Vec<(usize, &'a RawValue)>,
}

impl<'a, const N: usize> Fields<'a, N> {
    fn take(&mut self, position: usize, value: &'a RawValue) {
        let last = &mut self.last[position];
        self.null[position] = is_null(value).then_some(value);
        match *last {
            Some(before) if is_null(value) && !is_null(before) => {}
            Some(before) if is_null(before) => *last = Some(value),
            Some(before) => {
                *last = Some(value);
                if self.earlier.len() < MOST_EARLIER {
                    self.earlier.push((position, before));
                }
            }
            None => *last = Some(value),
        }
    }

    /// Whether all values fit that are there, the earlier ones too: Go reads each into the same place.
    pub(super) fn all(&self, fit: impl Fn([Field<'a>; N]) -> bool) -> bool {
        fit(self.last) && self.each_earlier().all(fit)
    }

    /// Each earlier value, as if there were nothing else.
    pub(super) fn each_earlier(&self) -> impl Iterator<Item = [Field<'a>; N]> {
        self.earlier.iter().map(|(position, value)| {
            let mut alone = [None; N];
            alone[*position] = Some(*value);
            alone
        })
    }
}

/// The fields of these names of a JSON object.
///
/// # Errors
///
/// If the text is not a JSON object.
pub(super) fn fields<'a, const N: usize>(
    text: &'a [u8],
    names: &[&str; N],
) -> serde_json::Result<Fields<'a, N>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let fields = Names(names).deserialize(&mut reader)?;
    reader.end()?;
    Ok(fields)
}

/// The value, if it is of this type.
pub(super) fn read<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// Whether a field can be read into this type; one that is not there, or null, into any.
pub(super) fn fits<'a, T: Deserialize<'a>>(field: Field<'a>) -> bool {
    field.is_none_or(is_null) || read::<T>(field).is_some()
}

pub(super) fn is_null(field: &RawValue) -> bool {
    field.get() == "null"
}

/// A struct of fields, and the keys that they have in JSON.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $key:literal,)* }) => {
        $(#[$doc])*
        pub(super) struct $name<'a> { $($field: Field<'a>,)* }

        impl<'a> $name<'a> {
            const KEYS: &'static [&'static str; [$($key),*].len()] = &[$($key),*];

            fn holding([$($field),*]: [Field<'a>; [$($key),*].len()]) -> Self {
                Self { $($field),* }
            }
        }
    };
}
pub(super) use object;

struct Names<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Names<'_, N> {
    type Value = Fields<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Names<'_, N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields {
            last: [None; N],
            null: [None; N],
            earlier: Vec::new(),
        };
        while let Some(Key(key)) = map.next_key()? {
            let key = folded(key);
            let is_it = |name: &&str| name.as_bytes().eq_ignore_ascii_case(&key);
            match self.0.iter().position(is_it) {
                Some(position) => fields.take(position, map.next_value()?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(fields)
    }
}

/// A key with the two letters that Go takes for others: Unicode says that they are those in another case.
fn folded(key: Vec<u8>) -> Vec<u8> {
    if key.is_ascii() {
        return key;
    }
    let key = String::from_utf8_lossy(&key);
    key.replace('\u{17f}', "s")
        .replace('\u{212a}', "k")
        .into_bytes()
}

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

/// A key, as bytes.
struct Key(Vec<u8>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<Key, E> {
                Ok(Key(key.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Any)
    }
}

/// Text, which is not read any further: Go takes half a surrogate pair, which no `str` holds.
pub(super) struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = <&RawValue>::deserialize(deserializer)?.get();
        let is_text = written.starts_with('"');
        is_text
            .then_some(Self)
            .ok_or_else(|| D::Error::custom("not text"))
    }
}

/// A list of texts, or of nulls, which are read and not kept.
pub(super) struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                while list.next_element::<Option<Text>>()?.is_some() {}
                Ok(Texts)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// An object whose values are texts, or nulls, which are read and not kept.
pub(super) struct TextMap;

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = TextMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap, A::Error> {
                while map.next_entry::<Text, Option<Text>>()?.is_some() {}
                Ok(TextMap)
            }
        }

        deserializer.deserialize_map(Map)
    }
}

/// An object whose values are objects, or nulls, which are not read any further.
pub(super) struct Objects;

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Objects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Objects, A::Error> {
                while let Some((Key(_), value)) = map.next_entry::<Key, &RawValue>()? {
                    if !is_null(value) && !value.get().starts_with('{') {
                        return Err(A::Error::custom("not an object"));
                    }
                }
                Ok(Objects)
            }
        }

        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> [Option<String>; 2] {
        let fields = fields(text.as_bytes(), &["size", "urls"]).expect("an object");
        fields
            .last
            .map(|field| field.map(|value| value.get().to_owned()))
    }

    #[test]
    fn a_null_changes_nothing_that_stood_there_before() {
        for text in [
            r#"{"size": 1, "size": null}"#,
            r#"{"size": null, "SIZE": 1, "size": null}"#,
        ] {
            assert_eq!(written(text)[0].as_deref(), Some("1"), "{text}");
        }
        let text = r#"{"size": "x", "urls": [], "size": null, "Size": 2, "size": 3}"#;
        let fields = fields(text.as_bytes(), &["size", "urls"]).expect("an object");
        let earlier = fields
            .each_earlier()
            .map(|alone| alone.map(|field| field.map(RawValue::get)));
        assert_eq!(
            earlier.collect::<Vec<_>>(),
            [[Some("\"x\""), None], [Some("2"), None]]
        );
        let many = format!("{{{}\"size\": 0}}", "\"size\": 7, ".repeat(9_999));
        let fields = super::fields(many.as_bytes(), &["size"]).expect("an object");
        assert_eq!(fields.earlier.len(), MOST_EARLIER);
    }

    #[test]
    fn keys_are_read_in_any_case_and_the_last_one_counts() {
        let [size, urls] = written(r#"{"Size": 1, "x": {"size": 9}, "SIZE": [ 2 ], "urls": null}"#);
        assert_eq!(size.as_deref(), Some("[ 2 ]"));
        assert_eq!(urls.as_deref(), Some("null"));
        assert_eq!(written("{}"), [None, None]);
        // Unicode has a second small letter S, and a second capital K.
        assert_eq!(written("{\"\u{17f}ize\": 3}")[0].as_deref(), Some("3"));
        for text in ["", "[]", "null", r#"{"size": }"#, "{} {}", "\u{feff}{}"] {
            assert!(fields(text.as_bytes(), &["size"]).is_err(), "{text}");
        }
    }

    #[test]
    fn values_fit_or_do_not() {
        let fits = |text: &str| {
            let text = format!(r#"{{"x": {text}}}"#);
            let [x] = fields(text.as_bytes(), &["x"]).expect("an object").last;
            [
                fits::<i64>(x),
                fits::<Text>(x),
                fits::<Texts>(x),
                fits::<TextMap>(x),
            ]
        };
        for (text, expected) in [
            ("null", [true; 4]),
            ("1", [true, false, false, false]),
            ("-1", [true, false, false, false]),
            ("1.0", [false; 4]),
            ("1e3", [false; 4]),
            ("18446744073709551615", [false; 4]),
            (r#""1\n""#, [false, true, false, false]),
            (r#""\ud83d""#, [false, true, false, false]),
            ("[]", [false, false, true, false]),
            (r#"["a", null]"#, [false, false, true, false]),
            ("[1]", [false; 4]),
            (r#"{"a": "b", "c": null}"#, [false, false, false, true]),
            (r#"{"\udead": "\ud83d"}"#, [false, false, false, true]),
            (r#"{"a": 1}"#, [false; 4]),
        ] {
            assert_eq!(fits(text), expected, "{text}");
        }
    }

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
