//! The tests around the crate, in this process or over loopback: its architecture, its documents,
//! and the real HTTP side and crawl against registries that misbehave. They need nothing but this
//! repository.

mod commands;
mod configuration;
mod doctor;
mod documents;
mod doubles;
mod hostile;
mod protection;
mod screens;
mod secrets;
mod tidy;
mod traces;

use std::time::Duration;

/// Longer than anything takes on a slow machine: only a test that has failed waits for so long.
const PATIENCE: Duration = Duration::from_secs(120);
