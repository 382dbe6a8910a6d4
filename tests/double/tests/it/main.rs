//! The double, spoken to over HTTP as a client would.

mod auth;
mod blobs;
mod client;
mod listing;
mod manifests;
mod presets;
mod push;
mod rules;
mod wire;

/// Longer than anything takes on a slow machine: only a test that has failed waits for so long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
