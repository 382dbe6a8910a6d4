//! Manifests and blobs: which requests show what is there, and what their answers say.

use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use reqwest::{Method, StatusCode};

use super::HttpRegistry;
use super::auth::Scope;
use super::classify::Failure;
use super::content_range::ContentRange;
use super::exchange::Ask;
use super::reply::{Read, Reply};
use crate::model::{Depth, Digest, MANIFEST_ACCEPT, Reference, Repository, Tag};
use crate::registry::{Answer, BlobLook, BlobRead, ManifestBody, Resolved};

/// The longest manifest that is read. The specification asks for 4 MB, Gitea takes 10 MiB.
pub(super) const LARGEST_MANIFEST: u64 = 16 << 20;
/// Blobs up to this size are read whole where otherwise the last byte would be: it is the same
/// number of requests, and it verifies the digest (configs, mostly).
const SMALL_BLOB: u64 = 16 * 1024;

impl HttpRegistry {
    pub(super) async fn resolve_tag(&self, repository: &Repository, tag: &Tag) -> Answer<Resolved> {
        let reference = Reference::Tag(tag.clone());
        let ask = Ask {
            method: Method::HEAD,
            url: self.endpoint.manifest(repository, &reference),
            accept: MANIFEST_ACCEPT,
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Nothing,
        };
        let reply = match self.exchange.ask(&ask).await {
            Ok(reply) => reply,
            Err(failure) => return failure.answer(),
        };
        if reply.status.is_success()
            && let Some(Ok(digest)) = reply
                .header("docker-content-digest")
                .map(|d| d.trim().parse())
        {
            return Answer::Found(Resolved::Digest(digest));
        }
        // No digest stated, or a refusal that only a GET may utter (Nexus answers HEAD with 404).
        match self.read_manifest(repository, &reference).await {
            Answer::Found(body) => Answer::Found(Resolved::Manifest(body)),
            Answer::Absent(refusal) => Answer::Absent(refusal),
            Answer::Failing(refusal) => Answer::Failing(refusal),
            Answer::Unknown(obstacle) => Answer::Unknown(obstacle),
        }
    }

    pub(super) async fn read_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Answer<ManifestBody> {
        self.read_document(Ask {
            method: Method::GET,
            url: self.endpoint.manifest(repository, reference),
            accept: MANIFEST_ACCEPT,
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Whole {
                cap: LARGEST_MANIFEST,
            },
        })
        .await
    }

    pub(super) async fn read_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Answer<ManifestBody> {
        self.read_document(Ask {
            method: Method::GET,
            url: self.endpoint.blob(repository, digest),
            accept: "*/*",
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Whole {
                cap: LARGEST_MANIFEST,
            },
        })
        .await
    }

    async fn read_document(&self, ask: Ask<'_>) -> Answer<ManifestBody> {
        match self.ask_again_if_cut(&ask).await {
            Err(failure) => failure.answer(),
            Ok(reply) if reply.status == StatusCode::NOT_FOUND => Answer::Absent(reply.refusal()),
            Ok(reply) if !reply.status.is_success() || reply.is_html() => reply.failure().answer(),
            Ok(reply) => Answer::Found(ManifestBody {
                request: reply.request.clone(),
                media_type: reply.header(CONTENT_TYPE).map(str::to_owned),
                cut_from: reply
                    .body
                    .was_cut
                    .then(|| reply.content_length().unwrap_or_default()),
                bytes: reply.body.bytes.into(),
            }),
        }
    }

    /// A body that ends early is asked for once more, on a new connection, before that is believed.
    pub(super) async fn ask_again_if_cut(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let reply = self.exchange.ask(ask).await?;
        if reply.body.was_cut {
            self.fresh.ask(ask).await
        } else {
            Ok(reply)
        }
    }

    pub(super) async fn look_at_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        depth: Depth,
    ) -> Answer<BlobLook> {
        let ask = Ask {
            method: Method::HEAD,
            url: self.endpoint.blob(repository, digest),
            accept: "*/*",
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Nothing,
        };
        let head = match self.exchange.ask(&ask).await {
            Ok(reply) => reply,
            Err(failure) => return failure.answer(),
        };
        // Some proxies strip the length or state 0, so neither is taken for a length (rule 4).
        let stated = head.content_length().filter(|length| *length > 0);
        let is_there = head.status.is_success() && !head.is_html();
        let is_as_promised = is_there && size.is_none_or(|size| stated.unwrap_or_default() == size);
        match size.or(stated) {
            _ if self.detect_cache && is_from_cache(&head) => Answer::Found(BlobLook {
                is_from_cache: true,
                ..head_look(&head, size)
            }),
            // No end to read, or none that is known.
            Some(0) | None if is_there => Answer::Found(head_look(&head, size)),
            _ if is_as_promised && depth == Depth::Head => Answer::Found(head_look(&head, size)),
            // What HEAD says or refuses is only believed after a GET says it, too.
            size => self.read_blob(ask, digest, size.unwrap_or(1), depth).await,
        }
    }

    /// Reads the last byte, or everything where the blob is small or `depth` says so.
    async fn read_blob(
        &self,
        head: Ask<'_>,
        digest: &Digest,
        size: u64,
        depth: Depth,
    ) -> Answer<BlobLook> {
        let is_whole = depth == Depth::Digest || size <= SMALL_BLOB;
        let range = match (depth, is_whole) {
            (Depth::Digest, _) => None,
            (_, true) => Some((0, size.saturating_sub(1))),
            (_, false) => Some((size - 1, size - 1)),
        };
        let ask = Ask {
            method: Method::GET,
            range,
            read: Read::Count {
                partial: if is_whole { size } else { 1 },
                whole: is_whole.then_some(size),
                digest: digest.clone(),
            },
            ..head
        };
        match self.ask_again_if_cut(&ask).await {
            Err(failure) => failure.answer(),
            Ok(reply) if reply.status == StatusCode::NOT_FOUND => Answer::Absent(reply.refusal()),
            Ok(reply)
                if reply.status.is_success()
                    || reply.status == StatusCode::RANGE_NOT_SATISFIABLE =>
            {
                Answer::Found(get_look(&reply, ask.range, is_whole))
            }
            Ok(reply) => reply.failure().answer(),
        }
    }
}

/// Distribution's pull-through cache answers a blob that it has to download with the bare digest for
/// an Etag, and without ranges (registry/proxy/proxyblobstore.go); for one that is at hand, as any
/// registry does.
pub(super) fn is_from_cache(head: &Reply) -> bool {
    let etag = head
        .header(ETAG)
        .filter(|etag| etag.parse::<Digest>().is_ok());
    head.status.is_success()
        && !head.redirected()
        && etag.is_some()
        && head.header(ACCEPT_RANGES).is_none()
}

fn head_look(head: &Reply, size: Option<u64>) -> BlobLook {
    BlobLook {
        request: head.request.clone(),
        status: head.status.as_u16(),
        // An empty blob's length may be left out.
        length: head.content_length().or(size.filter(|size| *size == 0)),
        read: None,
        range_ignored: false,
        is_html: head.is_html(),
        is_from_cache: false,
    }
}

fn get_look(reply: &Reply, range: Option<(u64, u64)>, is_whole: bool) -> BlobLook {
    let body = &reply.body;
    let content_range = reply.header(CONTENT_RANGE).map(ContentRange::parse);
    let total = content_range.and_then(|content_range| content_range.total);
    let (length, wanted) = match (reply.status, range) {
        (StatusCode::PARTIAL_CONTENT, Some((first, last))) => (total, last - first + 1),
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => (total, 0),
        _ => (
            reply.content_length(),
            reply.content_length().unwrap_or(body.received),
        ),
    };
    // RFC 9110, 14.2 and 15.3.7: a server may ignore a range, and may send another part than it was
    // asked for if it says so. That part shows nothing of the one that was to be seen.
    let is_other_part = reply.status == StatusCode::PARTIAL_CONTENT
        && range
            .zip(content_range)
            .is_some_and(|(asked, sent)| sent.is_other_than(asked));
    // The digest says something only of a whole body.
    let is_all = is_whole && !body.was_cut;
    let read = (body.was_read && !is_other_part).then(|| BlobRead {
        wanted,
        received: body.received,
        digest: body.digest.clone().filter(|_| is_all),
    });
    let is_ignored = range.is_some() && reply.status == StatusCode::OK && read.is_none();
    BlobLook {
        request: reply.request.clone(),
        status: reply.status.as_u16(),
        length,
        range_ignored: is_ignored || is_other_part,
        read,
        is_html: reply.is_html(),
        is_from_cache: false,
    }
}
