//! What a product is to these tests: how it is served, where it keeps what, how it breaks, and what a sweep has to
//! see of that.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pushed::Pushed;
use crate::registry::{Login, Place, Registry};

/// Software that people run as a registry.
pub(crate) struct Product {
    /// As `NAME` says it, and `--software` begins.
    pub(crate) name: &'static str,
    /// As its makers write it.
    pub(crate) title: &'static str,
    /// What its program says of its version.
    pub(crate) version: fn(&Path) -> String,
    /// Writes its configuration, and gives the command that serves.
    pub(crate) serve: fn(&Place<'_>) -> Command,
    /// What has to be done once it answers, such as making a user.
    pub(crate) prepare: fn(&Place<'_>) -> Option<Login>,
    /// The file of an object, below the folder of its store.
    pub(crate) file: fn(&str, &str) -> PathBuf,
    /// What comes of damaged files: of each object, of each damage in the order of [`Damage::ALL`].
    pub(crate) files: [(Object, [Expected; 4]); 4],
    /// Its own ways of breaking.
    pub(crate) own: &'static [Own],
    /// How its whole store goes away, beside being stopped.
    pub(crate) outages: &'static [Outage],
    /// What it does besides, each with a line for the table.
    pub(crate) habits: &'static [fn(&Path) -> String],
}

/// How a whole store goes away: as the table says it, and how it is done.
pub(crate) type Outage = (&'static str, fn(&mut Registry));

/// An object of the image that is broken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object {
    Index,
    Child,
    Config,
    Layer,
}

impl Object {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Index => "the tag's own manifest",
            Self::Child => "the manifest of a platform",
            Self::Config => "a config",
            Self::Layer => "a layer",
        }
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    Deleted,
    Emptied,
    Halved,
    Altered,
}

impl Damage {
    pub(crate) const ALL: [Self; 4] = [Self::Deleted, Self::Emptied, Self::Halved, Self::Altered];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Emptied => "emptied",
            Self::Halved => "cut in half",
            Self::Altered => "other bytes of the same length",
        }
    }

    /// Does it. Links of one file to another are kept, as a disk does.
    pub(crate) fn apply(self, file: &Path) {
        let read =
            || std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let write = |bytes: &[u8]| std::fs::write(file, bytes).expect("a file is written");
        match self {
            Self::Deleted => std::fs::remove_file(file).expect("a file is removed"),
            Self::Emptied => write(b""),
            Self::Halved => write(&read()[..read().len() / 2]),
            Self::Altered => {
                let mut bytes = read();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                write(&bytes);
            }
        }
    }
}

/// What a sweep has to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// Broken, at this depth and not before: one finding, as `kind/reason`.
    Found(&'static str, &'static str),
    /// The same, and the first repair ends with an error, for this reason.
    Refused(&'static str, &'static str, &'static str),
    /// Intact, as far as HTTP shows it, and why that is so.
    Invisible(&'static str),
    /// No verdict on any object, for this reason.
    Unverified(&'static str),
}

/// A way of breaking that a product has of its own.
pub(crate) struct Own {
    /// What was done, as the table says it.
    pub(crate) what: &'static str,
    pub(crate) apply: fn(&mut Registry, &Pushed),
    pub(crate) expected: Expected,
}
