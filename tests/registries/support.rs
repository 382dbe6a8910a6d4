//! What `tests/real` has for it, too.

#[path = "../real/support/access_log.rs"]
pub(crate) mod access_log;
#[path = "../real/support/attached.rs"]
pub(crate) mod attached;
#[path = "../real/support/heard.rs"]
pub(crate) mod heard;
#[path = "../real/support/http.rs"]
pub(crate) mod http;
#[path = "../real/support/images.rs"]
pub(crate) mod images;
#[path = "../real/support/paste.rs"]
pub(crate) mod paste;
#[path = "../real/support/probe.rs"]
pub(crate) mod probe;
#[path = "../real/support/process.rs"]
pub(crate) mod process;
#[path = "../real/support/report.rs"]
pub(crate) mod report;
#[path = "../real/support/skopeo.rs"]
pub(crate) mod skopeo;
#[path = "../real/support/store.rs"]
pub(crate) mod store;
#[path = "../real/support/tarball.rs"]
pub(crate) mod tarball;

/// What is pushed to and mended here.
pub(crate) mod registry {
    pub(crate) use crate::registry::{Login, Registry};
}
