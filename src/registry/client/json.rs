//! JSON as Go's clients read it: the keys of an object in capitals or small letters, and any of them twice
//! (encoding/json). Logins are written by hand and by programs that were only ever tried with those clients.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};

/// What an object is read into, field by field.
pub(super) trait Fields: Default {
    /// Takes the value that stands under a key, which is given in small letters.
    fn take<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error>;
}

/// Reads an object.
pub(super) struct AsGo<T>(PhantomData<T>);

impl<T> Default for AsGo<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Fields> Visitor<'de> for AsGo<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<T, M::Error> {
        let mut read = T::default();
        while let Some(key) = map.next_key::<String>()? {
            read.take(&key.to_lowercase(), &mut map)?;
        }
        Ok(read)
    }
}

/// Writes a text over another; `null` leaves what was there.
pub(super) fn replace(into: &mut String, with: Option<String>) {
    if let Some(with) = with {
        *into = with;
    }
}
