//! What is attached to images, on a registry that keeps lists of it.

use std::fs;
use std::path::Path;

use crate::registry::Registry;
use crate::support::attached::{APP, SIGNATURE, Site, go_through};
use crate::zot::ZOT;

/// A registry, and how a client attaches things there.
fn zot(binary: &Path) -> (Registry, Site) {
    let registry = Registry::start(&ZOT, binary);
    let site = Site {
        host: registry.host(),
        client: registry.client(),
        keeps_lists: true,
    };
    (registry, site)
}

/// Attached, deleted, dangling, required and missing.
pub(crate) fn is_told(binary: &Path) -> String {
    let (_registry, site) = zot(binary);
    go_through(&site);
    "It keeps lists of what is attached to images: `--referrers` costs one request for each image, and no tags of lists are \
     asked for."
        .to_owned()
}

/// zot answers 404 for what is attached to any image of a repository that has lost a manifest.
pub(crate) fn is_not_hidden_by_a_loss(binary: &Path) -> String {
    let (registry, site) = zot(binary);
    let image = site.image("v1");
    site.attach(&image, SIGNATURE);
    let lost = site.image("v2");
    let digest = lost["digest"].as_str().expect("a digest");
    fs::remove_file(registry.file(APP, digest)).expect("it was there");
    let outcome = site.sweep(&["--require-referrer", "signature"]);
    let findings = outcome.report().findings();
    let reasons: Vec<_> = findings.iter().map(|it| &*it.reason).collect();
    assert_eq!(reasons, ["not_found"], "{outcome}");
    "In a repository that has lost a manifest, it answers 404 for what is attached to any image. A required signature is not \
     called missing there."
        .to_owned()
}
