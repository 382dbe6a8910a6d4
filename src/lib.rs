//! The registry integrity probe as a library: can everything that a container registry advertises
//! really be pulled?
//!
//! The modules are layers, and each imports from the layers below it only; `ARCHITECTURE.md` draws
//! the picture and a test holds it.
//!
//! - [`oci`]: the specifications' words: names, digests, media types, documents.
//! - [`registry`]: the trait, what a registry answers, and [`registry::client`], which asks it over HTTP.
//! - [`report`]: what a sweep came to, as data.
//! - [`sources`]: what others promise: images that documents name.
//! - [`sweep`]: the walk and its judge, which end in a [`report::Sweep`].
//! - [`content`]: what registries hold: what to keep of one, what deletions break, how two differ.
//! - [`render`]: views of it: text, page, metrics, JSON, JUnit, GitHub.
//! - [`doctor`]: what a registry can do, and the page about that.
//! - [`service`]: the process that goes on: schedule, endpoints, push, textfile.
//! - [`cli`]: arguments, settings, exit codes, and the run that puts it all together.

pub mod cli;
pub mod content;
pub mod doctor;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "../fuzz/checks/mod.rs"]
pub mod fuzzing;
pub mod oci;
pub mod registry;
pub mod render;
pub mod report;
pub mod service;
pub mod sources;
pub mod sweep;
mod words;
mod yaml;
