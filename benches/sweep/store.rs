//! What the registry of the benchmark holds: images for two platforms, some of their layers shared.

use std::fmt;

use super::support::bulk::{self, Inventory, Push};
use super::support::images::{Content, Image, Layer};
use super::support::registry::Registry;

const REPOSITORIES: usize = 100;
const TAGS: usize = 5;
/// Layers of an image that no other has, on top of the one that all of its repository are built on.
const OWN_LAYERS: usize = 2;

/// How many objects a registry promises, each counted once in a repository.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    pub(crate) repositories: usize,
    pub(crate) tags: usize,
    pub(crate) manifests: usize,
    pub(crate) blobs: usize,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} repositories, {} tags, {} manifests, {} configs and layers",
            self.repositories, self.tags, self.manifests, self.blobs
        )
    }
}

/// Pushes everything, a repository at a time so that little is held in memory.
pub(crate) fn fill(registry: &Registry) -> Holds {
    let mut holds = Holds::default();
    for number in 0..REPOSITORIES {
        let pushes: Vec<Push> = (1..=TAGS).map(|tag| image(number, tag)).collect();
        bulk::push_all(registry, &pushes);
        let inventory = Inventory::of(&pushes);
        holds.repositories += inventory.repositories.len();
        holds.tags += inventory.tags.len();
        holds.manifests += inventory.manifests.len();
        holds.blobs += inventory.blobs.len();
    }
    holds
}

/// The image of the last repository that [`break_one_image`] breaks, as a name in the registry.
pub(crate) fn broken_image() -> String {
    let push = image(REPOSITORIES - 1, TAGS);
    format!("{}:{}", push.repository, push.tag)
}

/// An image that stays whole.
pub(crate) fn intact_image() -> String {
    let push = image(0, 1);
    format!("{}:{}", push.repository, push.tag)
}

/// Takes a child of one index away, as a garbage collection does that does not know of indexes.
pub(crate) fn break_one_image(registry: &Registry) {
    let push = image(REPOSITORIES - 1, TAGS);
    let child = &push.content.images()[0].manifest.digest;
    registry
        .store()
        .remove_revision_link(&push.repository, child);
}

fn image(number: usize, tag: usize) -> Push {
    let repository = format!("team{}/app{number:03}", number % 10);
    let children = ["amd64", "arm64"].map(|architecture| {
        let seed = format!("{repository} {tag} {architecture}");
        let mut layers = vec![Layer::gzip(&format!("{repository} base"))];
        layers.extend((0..OWN_LAYERS).map(|own| Layer::gzip(&format!("{seed} {own}"))));
        Image::of(&seed, architecture, &layers)
    });
    let content = Content::index_of(&format!("{repository} {tag}"), children.into());
    Push::new(&repository, &format!("v{tag}"), &content)
}
