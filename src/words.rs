//! The macro for closed vocabularies, and what a system says of a file in plain words.

/// A closed set of values, each with the one word that names it in reports, metrics and JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that names this value in reports, JSON and metric labels.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

/// What is wrong with a file, as a person would say it. Rust's own word for one that is not there is "entity not
/// found".
pub(crate) fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{IsADirectory, NotFound};
    match error.kind() {
        NotFound => "it is not there".to_owned(),
        IsADirectory => "it is a folder".to_owned(),
        kind => kind.to_string(),
    }
}
