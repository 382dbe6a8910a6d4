//! The probe against real servers: Debian's docker-registry and nginx, images pushed by skopeo and buildah.
//!
//! Left out of plain `cargo test`; `tests/setup.sh` installs what is needed, and a missing server fails the
//! test that needs it. Every test has a registry of its own, on its own port of loopback.

mod alerting;
mod alerts;
mod chart;
mod ci;
mod clean_up;
mod clients;
mod commands;
mod compare;
mod contradictions;
mod credentials;
mod dashboards;
mod deploy;
mod disks;
mod doctor;
mod endpoints;
mod endurance;
mod expectations;
mod explain;
mod fronts;
mod harness;
mod image;
mod in_use;
mod keep;
mod kustomize;
mod logins;
mod merge;
mod named;
mod on_call;
mod one_of_each;
mod outages;
mod page;
mod pasted;
mod proxy;
mod pushing;
mod referrers;
mod repair;
mod requests;
mod scale;
mod schema;
mod second_look;
mod seldom_read;
mod service;
mod shapes;
mod signals;
mod soak;
mod state;
mod support;
mod surroundings;
mod terminal;
mod tokens;
mod verify;
mod warm_cache;
