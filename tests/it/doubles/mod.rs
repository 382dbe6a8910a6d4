//! The probe against doubles of the registries that people run and of the accidents that befall
//! them: exactly the expected findings and obstacles, and no request that a rule forbids.

mod absence;
mod accidents;
mod auth;
mod blobs;
mod breakdowns;
mod caches;
mod campaign;
mod credentials;
mod endings;
mod failures;
mod faults;
mod forms;
mod images;
mod listing;
mod looks;
mod manifests;
mod manners;
mod offers;
mod pace;
mod probe;
mod products;
mod races;
mod redirects;
mod renewal;
mod repairs;
mod requests;
mod rules;
mod scrub;
mod shards;
mod zoo;

pub(crate) use rules::is_test;
