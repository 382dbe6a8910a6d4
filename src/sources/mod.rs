//! What others than the registry promise: which images pods run.

pub mod in_use;
pub mod kube_state_metrics;
pub mod pods;

pub use in_use::InUse;
