//! What is attached to images, on distribution, which keeps no list of it, so that clients keep one under a tag.

use crate::support::attached::{Site, go_through};
use crate::support::registry::Registry;

#[test]
fn attached_deleted_and_missing_by_tags() {
    let registry = Registry::start();
    go_through(&Site {
        host: registry.host(),
        client: registry.client(),
        keeps_lists: false,
    });
}
