//! An OCI registry inside the process, healthy by default and answering as distribution 2.8 does,
//! which misbehaves on request.
//!
//! ```
//! use registry_double::{Double, on};
//!
//! # async fn example() {
//! let double = Double::start().await;
//! let image = double.image("app", Some("v1"), &[b"a layer"]);
//! double.truncate_bytes(&image.layers[0], 3);
//! double.when(on::manifest().head().first(2)).error(429, "TOOMANYREQUESTS");
//! // … the client under test talks to double.url() …
//! assert_eq!(double.count(&on::blob().head()), 0);
//! # }
//! ```
//!
//! - [`Double`] is the running server, [`Registry`] everything that can be done to it.
//! - Content is made without HTTP ([`Registry::image`], [`Registry::index`],
//!   [`Registry::populate`]) or pushed over the Distribution API.
//! - Surgery damages storage as real accidents do ([`Registry::remove_bytes`],
//!   [`Registry::remove_manifest_link`], …).
//! - [`Quirks`] are general manners; rules ([`Registry::when`]) are departures for some requests.
//! - [`presets`] are ready-made registries: the products and the accidents that clients meet.

mod auth;
mod content;
mod digest;
mod double;
mod fault;
mod image;
mod line;
mod log;
pub mod on;
pub mod presets;
mod proxy;
mod quirks;
mod raw;
mod registry;
mod reply;
mod request;
mod rule;
mod serve;
mod server;
mod store;
mod surgery;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use auth::{Auth, Basic, Bearer, CatalogAccess, ScopeShown, TokenField};
pub use digest::{Algorithm, sha256};
pub use double::{Background, Double, in_background};
pub use fault::{Fault, FaultProxy, Mishap};
pub use image::{Format, Image, Population, media_type};
pub use log::Seen;
pub use proxy::{Cache, PullThrough};
pub use quirks::{
    Accept, DescriptorCache, LinkWhen, Listing, ManifestReader, Next, OverMax, Quirks, Ranges,
};
pub use raw::{Framing, RawAnswer, RawEdit};
pub use registry::Registry;
pub use reply::Reply;
pub use request::{Endpoint, Request};
pub use rule::When;

/// Locks; a test that panicked while it held the lock is no reason to fail another one.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
