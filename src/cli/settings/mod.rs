//! What was meant: arguments, environment and files resolved into the configuration of each part.

mod connect;
mod documents;
mod file;
mod images;
mod print;
mod registries;
mod scope;
mod sources;

pub(super) use connect::connection;
pub(super) use images::{explained, verify};
pub(super) use registries::{Settings, registries, sweep};
pub(super) use scope::parse_repositories;
pub(super) use sources::{Sources, Typed};
