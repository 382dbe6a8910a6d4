//! What must hold for documents that name images, whatever they hold.

use super::{NamedImages, read};
use crate::oci::fuzzing::assert_printable;

/// Documents: each name is there once and is printable, with where it stands, and a list of the images that
/// were found names the same.
pub(crate) fn documents(input: &[u8]) {
    let mut named = NamedImages::default();
    if let Err(error) = read(input, "it", &mut named) {
        assert_printable(&error.why, 300);
        return;
    }
    let unasked = &named.unasked;
    let lists = [
        &named.images,
        &unasked.unresolved,
        &unasked.not_taken,
        &unasked.built,
    ];
    for list in lists {
        let mut texts: Vec<_> = list.iter().map(|name| &name.written).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), list.len());
        for name in list {
            assert!(!name.origins.is_empty());
            for origin in &name.origins {
                assert_printable(&origin.to_string(), 3_000);
            }
        }
    }
    let images: Vec<_> = named
        .images
        .iter()
        .map(|name| name.written.to_string())
        .collect();
    let list = serde_json::to_vec(&images).expect("JSON");
    let mut again = NamedImages::default();
    read(&*list, "list", &mut again).expect("a list of names");
    let again = again.images.iter().map(|name| name.written.to_string());
    let bare = images
        .iter()
        .map(|name| super::reference::bare(name).to_owned());
    let mut seen = std::collections::HashSet::new();
    let bare = bare.filter(|name| !name.is_empty());
    let bare: Vec<_> = bare.filter(|name| seen.insert(name.clone())).collect();
    assert_eq!(again.collect::<Vec<_>>(), bare);
}
