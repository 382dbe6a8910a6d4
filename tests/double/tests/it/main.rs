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
