//! What was meant: arguments, environment and files resolved into the configuration of each part.

mod compared;
mod connect;
mod contents;
mod documents;
mod file;
mod images;
mod in_use;
mod print;
mod registries;
mod scope;
mod sources;

pub(super) use compared::{CompareSettings, compared};
pub(super) use connect::connection;
pub(super) use contents::{KeepSettings, Named, kept};
pub(super) use images::{explained, verify};
pub(super) use in_use::source as in_use;
pub(super) use registries::{Settings, registries, sweep};
pub(super) use scope::parse_repositories;
pub(super) use sources::{Sources, Typed};
