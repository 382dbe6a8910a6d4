//! What is pushed before anything is broken, and whether it is there again.

use crate::product::Object;
use crate::registry::Registry;
use crate::support::images::{Content, Image, Layer};
use crate::support::skopeo;

/// The repository and the tag that are broken.
pub(crate) const BROKEN: (&str, &str) = ("team/app", "1.0");

/// What was pushed, by its repository and tag.
pub(crate) struct Pushed {
    images: [(&'static str, &'static str, Content); 3],
}

impl Pushed {
    /// An index over two images, which is broken, and two images that have a layer in common, which are not.
    pub(crate) fn to(registry: &Registry) -> Self {
        let shared = Layer::gzip("shared");
        let image = |name: &str| {
            let layers = [shared.clone(), Layer::gzip(name)];
            Content::from(Image::of(name, "amd64", &layers))
        };
        let images = [
            (BROKEN.0, BROKEN.1, Content::index("app")),
            ("team/web", "v7", image("web")),
            ("team/base", "latest", image("base")),
        ];
        for (repository, tag, content) in &images {
            skopeo::push(registry, content, &format!("{repository}:{tag}"));
        }
        Self { images }
    }

    /// As many tags of one image as it takes to tell a store that is away from images that are broken.
    pub(crate) fn and_more(&self, registry: &Registry) {
        let (repository, _, content) = &self.images[1];
        for version in 1..7 {
            skopeo::push(registry, content, &format!("{repository}:v{version}"));
        }
    }

    /// What is broken.
    pub(crate) fn content(&self) -> &Content {
        &self.images[0].2
    }

    /// An object of what is broken.
    pub(crate) fn digest(&self, object: Object) -> &str {
        let image = &self.content().images()[0];
        match object {
            Object::Index => &self.content().manifest().digest,
            Object::Child => &image.manifest.digest,
            Object::Config => &image.config.digest,
            Object::Layer => &image.layers[0].digest,
        }
    }

    /// A layer that both of the others have.
    pub(crate) fn shared(&self) -> &str {
        &self.images[1].2.images()[0].layers[0].digest
    }

    /// The tags that do not lead to what was pushed under them.
    pub(crate) fn changed(&self, registry: &Registry) -> Vec<String> {
        let client = registry.client();
        let is_changed = |(repository, tag, content): &&(&str, &str, Content)| {
            let head = client.head(&format!("/v2/{repository}/manifests/{tag}"));
            head.status != 200 || head.header("docker-content-digest") != content.manifest().digest
        };
        let changed = self.images.iter().filter(is_changed);
        changed
            .map(|(repository, tag, _)| format!("{repository}:{tag}"))
            .collect()
    }
}
