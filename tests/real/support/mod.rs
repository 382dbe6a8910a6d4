//! The harness: real servers, real clients, surgery on what they stored, and the probe as a process.

pub(crate) mod access_log;
pub(crate) mod assertions;
pub(crate) mod buildah;
pub(crate) mod bulk;
pub(crate) mod certificates;
pub(crate) mod churn;
pub(crate) mod configured;
pub(crate) mod files;
pub(crate) mod hand;
pub(crate) mod http;
pub(crate) mod images;
pub(crate) mod listening;
pub(crate) mod monitoring;
pub(crate) mod nginx;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod service;
pub(crate) mod signing;
pub(crate) mod skopeo;
pub(crate) mod slow_front;
pub(crate) mod store;
pub(crate) mod tarball;
pub(crate) mod token_server;
