//! The registry integrity probe as a library: can everything that a container registry advertises
//! really be pulled?
//!
//! The modules are floors, and each imports from the floors below it only; `ARCHITECTURE.md` draws
//! the picture and a test holds it.
//!
//! - [`model`]: the words, which are names, digests, manifests, outcomes and the [`model::Sweep`].
//! - [`registry`]: the one seam, a registry as the walk sees it.
//! - [`http`]: that seam over the OCI Distribution API. [`crawl`]: the walk and its judge. The two
//!   are siblings and do not know each other.
//! - [`report`]: a `Sweep` as text or JSON, and an [`model::Examination`] likewise.
//! - [`service`]: the long-running process, its endpoints, and handing results on.
//! - [`cli`]: arguments, settings, exit codes, and the run that puts it all together.

pub mod cli;
pub mod crawl;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "../fuzz/checks/mod.rs"]
pub mod fuzzing;
pub mod http;
pub mod model;
pub mod registry;
pub mod report;
pub mod service;
mod yaml;
