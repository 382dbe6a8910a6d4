//! A registry that answers from memory, at once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use registry_probe::oci::{Digest, Reference, Repository, Tag};
use registry_probe::registry::{Access, Depth, Unverified};
use registry_probe::registry::{
    Answer, BlobLook, BlobRead, BodyEnd, ListEnd, Listing, ManifestBody, Refusal, Registry,
    Resolved, Traffic, Way,
};

const BLOB: u64 = 20_000;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Repositories with images, all of them whole.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Content>);

struct Content {
    repositories: Vec<Repository>,
    tags: HashMap<Repository, Vec<Tag>>,
    by_tag: HashMap<(Repository, Tag), Digest>,
    manifests: HashMap<Digest, Bytes>,
}

/// A manifest with so many blobs, which are named after its seed.
pub(crate) fn manifest(seed: &str, blobs: usize) -> Bytes {
    let entry = |kind: &str, number: usize| {
        let digest = Digest::sha256(format!("{seed} {number}").as_bytes());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{BLOB}}}"#
        )
    };
    let mut text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":["#,
        entry("config.v1+json", 0)
    );
    for number in 1..blobs {
        let comma = if number == 1 { "" } else { "," };
        write!(text, "{comma}{}", entry("layer.v1.tar+gzip", number)).expect("text takes text");
    }
    text.push_str("]}");
    text.into()
}

impl Memory {
    /// So many repositories, tags of each, and blobs of each image.
    pub(crate) fn of(repositories: usize, tags: usize, blobs: usize) -> Self {
        let mut content = Content {
            repositories: Vec::new(),
            tags: HashMap::new(),
            by_tag: HashMap::new(),
            manifests: HashMap::new(),
        };
        for number in 0..repositories {
            let repository: Repository = format!("r{number}").parse().expect("a name");
            for number in 0..tags {
                let tag: Tag = format!("v{number}").parse().expect("a tag");
                let bytes = manifest(&format!("{repository} {tag}"), blobs);
                let digest = Digest::sha256(&bytes);
                content.manifests.insert(digest.clone(), bytes);
                let key = (repository.clone(), tag.clone());
                content.by_tag.insert(key, digest);
                let of_this = content.tags.entry(repository.clone()).or_default();
                of_this.push(tag);
            }
            content.repositories.push(repository);
        }
        Self(Arc::new(content))
    }
}

fn whole<T>(items: Vec<T>) -> Listing<T> {
    Listing::new(items, ListEnd::Whole)
}

fn absent() -> Refusal {
    Refusal {
        request: "GET nothing".into(),
        status: 404,
        code: None,
        storage: None,
        is_page: false,
    }
}

impl Memory {
    fn body(&self, digest: &Digest) -> ManifestBody {
        ManifestBody {
            request: format!("GET {digest}").into(),
            media_type: Some(MANIFEST.into()),
            bytes: self.0.manifests[digest].clone(),
            announced: None,
            end: BodyEnd::Whole,
        }
    }
}

impl Registry for Memory {
    async fn ping(&self) -> Result<(), Unverified> {
        Ok(())
    }

    async fn repositories(&self) -> Listing<Repository> {
        whole(self.0.repositories.clone())
    }

    async fn tags(&self, repository: &Repository) -> Listing<Tag> {
        whole(self.0.tags[repository].clone())
    }

    async fn resolve(&self, repository: &Repository, tag: &Tag, way: Way) -> Answer<Resolved> {
        let digest = &self.0.by_tag[&(repository.clone(), tag.clone())];
        Answer::Found(Resolved {
            stated: Some(digest.clone()),
            body: (way == Way::Both).then(|| self.body(digest)),
            by_head: None,
        })
    }

    async fn manifest(
        &self,
        _repository: &Repository,
        reference: &Reference,
    ) -> Answer<ManifestBody> {
        let Reference::Digest(digest) = reference else {
            return Answer::Absent(absent());
        };
        Answer::Found(self.body(digest))
    }

    async fn still_has(&self, _: &Repository, _: &Digest, _: &ManifestBody) -> Option<bool> {
        Some(true)
    }

    async fn config(&self, _repository: &Repository, _digest: &Digest) -> Answer<ManifestBody> {
        Answer::Absent(absent())
    }

    async fn blob(
        &self,
        _repository: &Repository,
        digest: &Digest,
        _size: Option<u64>,
        _depth: Depth,
    ) -> Answer<BlobLook> {
        Answer::Found(BlobLook {
            request: format!("HEAD {digest}").into(),
            status: 200,
            length: Some(BLOB),
            read: BlobRead::Nothing,
            storage: None,
            is_html: false,
            unpacked: None,
            is_from_cache: false,
        })
    }

    fn reconnected(&self) -> Self {
        self.clone()
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn certificate_end(&self) -> Option<SystemTime> {
        None
    }

    fn access(&self) -> Access {
        Access::default()
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
