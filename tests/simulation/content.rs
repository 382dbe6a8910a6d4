//! Images as they are pushed: real JSON with real digests, because the walk parses and hashes it.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use registry_probe::oci::Digest;

/// A position in [`Content::objects`].
pub(crate) type ObjectId = usize;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Index,
    Image,
    Config,
    Layer,
}

impl Nature {
    pub(crate) fn is_manifest(self) -> bool {
        matches!(self, Self::Index | Self::Image)
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Index => "application/vnd.oci.image.index.v1+json",
            Self::Image => "application/vnd.oci.image.manifest.v1+json",
            Self::Config => "application/vnd.oci.image.config.v1+json",
            Self::Layer => "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }
}

/// One object, wherever it is linked.
pub(crate) struct Object {
    pub(crate) nature: Nature,
    pub(crate) digest: Digest,
    /// What it consists of; empty for a layer, of which only the length is ever told.
    pub(crate) bytes: Bytes,
    pub(crate) size: u64,
    pub(crate) promises: Vec<ObjectId>,
    /// What an image or a config is for.
    pub(crate) platform: Option<&'static str>,
}

/// All objects that a run may ever see.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) objects: Vec<Object>,
    by_digest: HashMap<Digest, ObjectId>,
}

impl Content {
    pub(crate) fn find(&self, digest: &Digest) -> Option<ObjectId> {
        self.by_digest.get(digest).copied()
    }

    pub(crate) fn is_manifest(&self, id: ObjectId) -> bool {
        self.objects[id].nature.is_manifest()
    }

    /// A layer that no other number has.
    pub(crate) fn layer(&mut self, number: u64) -> ObjectId {
        let text = format!("layer {number}");
        let size = 100 + number % 1000;
        self.add(Nature::Layer, text.as_bytes(), size, Vec::new(), None)
    }

    /// An image of its own config and these layers.
    pub(crate) fn image(
        &mut self,
        number: u64,
        platform: &'static str,
        layers: &[ObjectId],
    ) -> ObjectId {
        let (os, architecture) = platform.split_once('/').expect("a platform has two parts");
        let diff_ids = layers
            .iter()
            .map(|layer| format!(r#""{}""#, self.objects[*layer].digest));
        let diff_ids = diff_ids.collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"os":"{os}","architecture":"{architecture}","number":{number},"rootfs":{{"diff_ids":[{diff_ids}]}}}}"#
        );
        let size = text.len() as u64;
        let config = self.add(
            Nature::Config,
            text.as_bytes(),
            size,
            Vec::new(),
            Some(platform),
        );
        let mut text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":["#,
            Nature::Image.media_type(),
            self.descriptor(config)
        );
        for (position, layer) in layers.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            _ = write!(text, "{comma}{}", self.descriptor(*layer));
        }
        text += "]}";
        let mut promises = vec![config];
        promises.extend(layers);
        let size = text.len() as u64;
        self.add(
            Nature::Image,
            text.as_bytes(),
            size,
            promises,
            Some(platform),
        )
    }

    /// An index of these images.
    pub(crate) fn index(&mut self, children: &[ObjectId]) -> ObjectId {
        let mut text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":["#,
            Nature::Index.media_type()
        );
        for (position, child) in children.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            _ = write!(text, "{comma}{}", self.descriptor(*child));
        }
        text += "]}";
        let size = text.len() as u64;
        self.add(
            Nature::Index,
            text.as_bytes(),
            size,
            children.to_vec(),
            None,
        )
    }

    fn descriptor(&self, id: ObjectId) -> String {
        let object = &self.objects[id];
        let platform = object
            .platform
            .filter(|_| object.nature == Nature::Image)
            .and_then(|platform| platform.split_once('/'))
            .map(|(os, architecture)| {
                format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#)
            });
        format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{}{}}}"#,
            object.nature.media_type(),
            object.digest,
            object.size,
            platform.unwrap_or_default()
        )
    }

    fn add(
        &mut self,
        nature: Nature,
        content: &[u8],
        size: u64,
        promises: Vec<ObjectId>,
        platform: Option<&'static str>,
    ) -> ObjectId {
        let digest = Digest::sha256(content);
        if let Some(known) = self.find(&digest) {
            return known;
        }
        let bytes = if nature == Nature::Layer {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(content)
        };
        let id = self.objects.len();
        self.by_digest.insert(digest.clone(), id);
        self.objects.push(Object {
            nature,
            digest,
            bytes,
            size,
            promises,
            platform,
        });
        id
    }

    /// Whatever a manifest leads to, itself first, each once.
    pub(crate) fn below(&self, root: ObjectId) -> Vec<ObjectId> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            for &promise in &self.objects[id].promises {
                if !found.contains(&promise) {
                    found.push(promise);
                }
            }
            next += 1;
        }
        found
    }

    /// The platforms that a manifest says it is for.
    pub(crate) fn platforms(&self, root: ObjectId) -> Vec<&'static str> {
        let below = self.below(root).into_iter();
        let images = below.filter(|id| self.objects[*id].nature == Nature::Image);
        images.filter_map(|id| self.objects[id].platform).collect()
    }
}
