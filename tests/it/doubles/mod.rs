//! The probe against doubles of the registries that people run and of the accidents that befall
//! them: exactly the expected findings and unverified reasons, and no request that a rule forbids.

mod absence;
mod accidents;
mod answers;
mod attached_memory;
mod auth;
mod blobs;
mod breakdowns;
mod caches;
mod campaign;
mod contradictions;
mod credentials;
mod documents;
mod endings;
mod failures;
mod faults;
mod forms;
mod harmless;
mod images;
mod known_manifests;
mod limits;
mod listing;
mod looks;
mod manifests;
mod manners;
mod offers;
mod pace;
mod probe;
mod products;
mod proofs;
mod races;
mod redirects;
mod referrers;
mod renewal;
mod repairs;
mod requests;
mod rules;
mod scrub;
mod shards;
mod software;
mod tags;
mod unclean;
mod zoo;

pub(crate) use rules::is_test;
