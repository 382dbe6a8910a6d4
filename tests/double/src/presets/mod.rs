//! Ready-made registries: the products and the accidents that clients meet. Each says what is
//! different about it.
//!
//! Products come empty, accidents come with the image `app:v1` in the state that they are about.
//! All of them can be changed further with everything that [`Registry`](crate::Registry) offers.

mod accidents;
mod caches;
mod distribution;
mod products;
mod tokens;
mod zoo;

pub use accidents::{
    altered_manifest, closes_once, dangling_tag, empty_link, front_proxy_down, login_page,
    outage_after, races, truncated_layer,
};
pub use caches::{distribution_proxy, harbor_proxy};
pub use distribution::{
    accept_strict, debian_distribution, distribution3, distribution28, distribution31,
    object_storage, stale_descriptor_cache, stale_manifest_cache,
};
pub use products::{
    acr, artifactory, docker_hub, ecr, gar, ghcr, gitea, gitea_with_storage, gitlab, harbor, nexus,
    quay, zot,
};
pub use tokens::{ecr_expiring, ecr_public, short_tokens};
pub use zoo::{Zoo, zoo};
