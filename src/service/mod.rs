//! The long-running process: what it serves over HTTP, and who is let in.

mod guard;
mod listener;
mod protection;
mod tls;
mod web_config;

pub use listener::{Limits, Listener};
pub use protection::Protection;
