//! What others than the registry promise: the images that documents name, and those that pods run.

pub mod documents;
pub mod in_use;
pub mod kube_state_metrics;
pub mod pods;

pub use documents::NamedImages;
pub use in_use::InUse;
