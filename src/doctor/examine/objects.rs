//! One image, as far as a sweep would pull it: a manifest by HEAD and GET, and one small blob.

use reqwest::header::{ACCEPT_RANGES, CONTENT_TYPE, ETAG};
use reqwest::{Method, StatusCode};

use super::Doctor;
use crate::doctor::{
    BlobAnswers, BlobHead, Etag, ManifestGet, ManifestHead, Pull, Range, StatedDigest, StatedLength,
};
use crate::oci::{
    Descriptor, Digest, Document, MANIFEST_ACCEPT, MediaKind, Reference, Repository, Tag,
};
use crate::registry::UnverifiedReason;
use crate::registry::client::auth::Scope;
use crate::registry::client::blobs::is_from_cache;
use crate::registry::client::classify::Failure;
use crate::registry::client::exchange::Ask;
use crate::registry::client::objects::LARGEST_MANIFEST;
use crate::registry::client::reply::{Count, Read, Reply};

/// Tags that are tried until the manifest of one can be read.
const MOST_TAGS: usize = 3;
/// Children of an index that are tried until one can be read.
const MOST_CHILDREN: usize = 3;

/// A manifest that was read.
struct Manifest {
    reply: Reply,
    document: Document,
}

/// What there is to pull of an image.
struct Extent {
    manifests: u64,
    blobs: u64,
    /// The least of the blobs that can be asked for.
    smallest: Option<Descriptor>,
}

impl Doctor<'_> {
    /// Asks for a manifest that nobody has. There is nothing in it to store, so that it does not
    /// change a cache; and distribution in proxy mode fails on it, where a registry says 404.
    pub(super) async fn ask_for_unknown(&mut self, repository: &Repository) -> Option<u16> {
        let digest = Digest::sha256(b"registry-probe: no manifest has this for its bytes");
        let ask = self.manifest_ask(repository, &Reference::Digest(digest), Method::HEAD);
        // A failure is what is asked for, and no reason to ask again.
        match self.registry.exchange.authorized(&ask).await {
            Ok(reply) => Some(reply.status.as_u16()),
            Err(failure) => failure.refusal.map(|refusal| refusal.status),
        }
    }

    /// Pulls the first of a few tags that can be pulled, or tells of the first that cannot.
    pub(super) async fn pull(&mut self, repository: &Repository, tags: Vec<Tag>) -> Option<Pull> {
        let mut first = None;
        for tag in in_order(tags).into_iter().take(MOST_TAGS) {
            let pull = self.pull_tag(repository, tag).await;
            if pull.get.is_ok() {
                return Some(pull);
            }
            first.get_or_insert(pull);
        }
        first
    }

    async fn pull_tag(&mut self, repository: &Repository, tag: Tag) -> Pull {
        let reference = Reference::Tag(tag.clone());
        let head = self
            .ask(&self.manifest_ask(repository, &reference, Method::HEAD))
            .await;
        let (get, blob, known) = match self.manifest(repository, &reference).await {
            Err(failure) => (Err(failure.why), None, None),
            Ok(manifest) => {
                let extent = self.extent(repository, &manifest.document).await;
                let blob = match &extent.smallest {
                    Some(blob) => Some(self.blob(repository, blob).await),
                    None => None,
                };
                let get = ManifestGet {
                    digest: stated_digest(&manifest.reply, Some(&manifest)),
                    manifests: extent.manifests,
                    blobs: extent.blobs,
                };
                (Ok(get), blob, Some(manifest))
            }
        };
        let length = known
            .as_ref()
            .map(|manifest| manifest.reply.body.raw.received);
        let head = head
            .map_err(|failure| failure.why)
            .map(|reply| ManifestHead {
                status: reply.status.as_u16(),
                digest: stated_digest(&reply, known.as_ref()),
                length: stated_length(&reply, length),
            });
        Pull {
            tag,
            head,
            get,
            blob,
        }
    }

    fn manifest_ask<'a>(
        &self,
        repository: &'a Repository,
        reference: &Reference,
        method: Method,
    ) -> Ask<'a> {
        let read = if method == Method::HEAD {
            Read::Nothing
        } else {
            Read::Whole {
                cap: LARGEST_MANIFEST,
            }
        };
        Ask {
            method,
            url: self.registry.endpoint.manifest(repository, reference),
            accept: MANIFEST_ACCEPT,
            range: None,
            scope: Scope::Pull(repository),
            read,
        }
    }

    async fn manifest(
        &mut self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Manifest, Failure> {
        let ask = self.manifest_ask(repository, reference, Method::GET);
        let reply = self.ask(&ask).await?;
        if !reply.status.is_success() || reply.is_html() {
            return Err(reply.failure());
        }
        match Document::parse(&reply.body.bytes, reply.header(CONTENT_TYPE)) {
            Ok(document) => Ok(Manifest { reply, document }),
            Err(error) => {
                let detail = format!("{}: the answer is not a manifest ({error})", reply.request);
                let detail = crate::oci::shorten(&detail, 300);
                Err(Failure::new(UnverifiedReason::Protocol, detail))
            }
        }
    }

    /// Counts what a manifest leads to. Of an index, one child stands for all.
    async fn extent(&mut self, repository: &Repository, document: &Document) -> Extent {
        let children: Vec<_> = document
            .children
            .iter()
            .filter(|child| !child.attestation)
            .collect();
        let mut leaf = None;
        for child in children.iter().take(MOST_CHILDREN) {
            let reference = Reference::Digest(child.digest.clone());
            if let Ok(manifest) = self.manifest(repository, &reference).await {
                leaf = Some(manifest.document);
                break;
            }
        }
        let image = leaf.as_ref().unwrap_or(document);
        let blobs = image.config.iter().chain(&image.layers);
        let blobs = blobs.filter(|blob| !blob.is_inline && !blob.is_elsewhere());
        let blobs: Vec<_> = blobs.collect();
        let has_bytes = |blob: &&&Descriptor| blob.size.is_some_and(|size| size > 0);
        Extent {
            manifests: 1 + document.children.len() as u64,
            blobs: blobs.len() as u64 * children.len().max(1) as u64,
            smallest: blobs
                .iter()
                .filter(has_bytes)
                .min_by_key(|blob| blob.size)
                .map(|&blob| blob.clone()),
        }
    }

    /// Asks for a blob by HEAD, and for its last byte. What has just been downloaded by a cache at
    /// our asking is left alone from there on.
    async fn blob(&mut self, repository: &Repository, blob: &Descriptor) -> BlobAnswers {
        let size = blob.size.unwrap_or_default();
        let ask = Ask {
            method: Method::HEAD,
            url: self.registry.endpoint.blob(repository, &blob.digest),
            accept: "*/*",
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Nothing,
        };
        let head = self.ask(&ask).await;
        let mut redirected_to = head
            .as_ref()
            .ok()
            .and_then(|reply| reply.redirected_to.clone());
        let mut range = Range::NotAsked;
        if !head.as_ref().is_ok_and(is_from_cache) {
            let last = size.saturating_sub(1);
            let read = Read::Count(Count {
                part: 1,
                whole: None,
                most: 0,
                digest: blob.digest.clone(),
            });
            let ask = Ask {
                method: Method::GET,
                range: Some((last, last)),
                read,
                ..ask
            };
            let get = self.ask(&ask).await;
            if let Ok(Reply {
                redirected_to: Some(origin),
                ..
            }) = &get
            {
                redirected_to = Some(origin.clone());
            }
            range = range_answer(get);
        }
        let head = head
            .map_err(|failure| failure.why)
            .map(|reply| blob_head(&reply, size));
        BlobAnswers {
            size,
            head,
            redirected_to,
            range,
        }
    }
}

fn blob_head(reply: &Reply, size: u64) -> BlobHead {
    BlobHead {
        status: reply.status.as_u16(),
        length: stated_length(reply, Some(size)),
        etag: reply.header(ETAG).map_or(Etag::Absent, etag),
        accepts_ranges: reply
            .header(ACCEPT_RANGES)
            .is_some_and(|unit| unit.trim() == "bytes"),
    }
}

/// The form of an entity tag (RFC 9110, 8.8.3).
fn etag(text: &str) -> Etag {
    if text.starts_with('"') || text.starts_with("W/\"") {
        Etag::Quoted
    } else if text.parse::<Digest>().is_ok() {
        Etag::BareDigest
    } else {
        Etag::Other
    }
}

fn range_answer(get: Result<Reply, Failure>) -> Range {
    match get {
        Err(failure) => Range::Refused(failure.why),
        Ok(reply) if reply.is_html() => Range::Refused(reply.failure().why),
        Ok(reply) => match (reply.status, reply.body.raw.received) {
            (StatusCode::OK, _) => Range::Ignored,
            (StatusCode::PARTIAL_CONTENT, 0) => Range::Empty,
            (StatusCode::PARTIAL_CONTENT, _) => Range::Honoured,
            _ => Range::Refused(reply.failure().why),
        },
    }
}

/// What `Docker-Content-Digest` says, held against the bytes where they are known.
fn stated_digest(reply: &Reply, known: Option<&Manifest>) -> StatedDigest {
    let Some(stated) = reply.header("docker-content-digest") else {
        return StatedDigest::Absent;
    };
    // The digest of a signed schema 1 manifest leaves its signatures out.
    let known = known.filter(|manifest| manifest.document.kind != MediaKind::Schema1);
    let (Some(manifest), Ok(stated)) = (known, stated.trim().parse::<Digest>()) else {
        return if known.is_some() {
            StatedDigest::Differs
        } else {
            StatedDigest::Unchecked
        };
    };
    match stated.of_same_algorithm(&manifest.reply.body.bytes) {
        None => StatedDigest::Unchecked,
        Some(computed) if computed == stated => StatedDigest::Agrees,
        Some(_) => StatedDigest::Differs,
    }
}

/// What `Content-Length` says. A 0 is none: some proxies put it in the place of what they strip.
fn stated_length(reply: &Reply, known: Option<u64>) -> StatedLength {
    match (reply.content_length(), known) {
        (None | Some(0), _) => StatedLength::Absent,
        (Some(_), None) => StatedLength::Unchecked,
        (Some(stated), Some(known)) if stated == known => StatedLength::Agrees,
        (Some(_), Some(_)) => StatedLength::Differs,
    }
}

/// `latest` first, then from the last name back, which is where the newest versions mostly are.
/// Signatures and the like stand under the digest of what they belong to, and come after images.
fn in_order(mut tags: Vec<Tag>) -> Vec<Tag> {
    let rank = |tag: &Tag| match tag.as_str() {
        "latest" => 0,
        name if name.starts_with("sha256-") => 2,
        _ => 1,
    };
    tags.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.cmp(a)));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_tried_before_what_belongs_to_them() {
        let tags = ["sha256-ab.sig", "v1", "latest", "v2"];
        let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        let order = in_order(tags);
        let order: Vec<_> = order.iter().map(Tag::as_str).collect();
        assert_eq!(order, ["latest", "v2", "v1", "sha256-ab.sig"]);
    }

    #[test]
    fn every_form_of_entity_tag() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (text, expected) in [
            (format!("\"{digest}\"").as_str(), Etag::Quoted),
            ("W/\"x\"", Etag::Quoted),
            (digest, Etag::BareDigest),
            ("x", Etag::Other),
        ] {
            assert_eq!(etag(text), expected, "{text}");
        }
    }
}
