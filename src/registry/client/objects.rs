//! Manifests, and other documents that are read whole: which requests bring them, and what their
//! answers say.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};

use super::HttpRegistry;
use super::classify::{Failure, Stop};
use super::exchange::Ask;
use super::packed::{is_gzip, unpacked};
use super::reply::{Read, Reply};
use super::scope::Scope;
use crate::oci::{
    Digest, Document, MANIFEST_ACCEPT, Printable, Reference, Repository, Tag, manifest_digest,
};
use crate::registry::{BodyEnd, ManifestBody, Resolved, Unverified, UnverifiedReason, Way};

/// The longest manifest that is read. The specification asks for 4 MB, Gitea takes 10 MiB.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// The longest that is unpacked. As many as there are requests at a time may be.
const LARGEST_UNPACKED: u64 = 4 << 20;
/// How a document is read.
pub(super) const DOCUMENT: Read = Read::Whole {
    cap: LARGEST_MANIFEST,
};

impl HttpRegistry {
    /// Whether a registry has a manifest, by one HEAD.
    ///
    /// # Errors
    ///
    /// What kept it from answering.
    pub async fn has_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, Unverified> {
        let ask = Ask {
            method: Method::HEAD,
            read: Read::Nothing,
            ..self.manifest_ask(repository, &Reference::Digest(digest.clone()))
        };
        let reply = self
            .exchange
            .ask(&ask)
            .await
            .map_err(|failure| failure.why)?;
        let is_other = stated_digest(&reply).is_some_and(|stated| stated != *digest);
        Ok(reply.status == StatusCode::OK && !is_other)
    }

    /// Whether HEAD of a manifest says what it said of this one when that was read.
    pub(crate) async fn manifest_is_still_there(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: &ManifestBody,
    ) -> Option<bool> {
        let heads = &self.habits.manifest_heads;
        if heads.is_given_up() {
            return None;
        }
        let ask = Ask {
            method: Method::HEAD,
            read: Read::Nothing,
            ..self.manifest_ask(repository, &Reference::Digest(digest.clone()))
        };
        let reply = match self.exchange.ask(&ask).await {
            Ok(reply) if reply.status == StatusCode::OK => reply,
            // What is not there is no fault of HEAD.
            Ok(reply) if reply.status == StatusCode::NOT_FOUND => return Some(false),
            Ok(_) => {
                heads.fails();
                return None;
            }
            Err(failure) => {
                // What never arrived says nothing of HEAD.
                if failure.may_be_of_head() {
                    heads.fails();
                }
                return None;
            }
        };
        let media_type = reply.header(CONTENT_TYPE).map(Printable::from);
        let is_length = |length: u64| length == body.bytes.len() as u64;
        // What HEAD does not say contradicts nothing.
        let is_same = stated_digest(&reply).is_none_or(|stated| stated == *digest)
            && reply.content_length().is_none_or(is_length)
            && media_type.is_none_or(|media_type| body.media_type.as_ref() == Some(&media_type));
        if is_same {
            heads.works();
        } else {
            heads.lies();
        }
        Some(is_same)
    }

    pub(crate) async fn resolve_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        way: Way,
    ) -> Result<Resolved, Stop> {
        if way == Way::Cheap && self.habits.wants_tags_by_get() {
            return self.pull_tag(repository, tag, None).await;
        }
        let ask = Ask {
            method: Method::HEAD,
            read: Read::Nothing,
            ..self.manifest_ask(repository, &Reference::Tag(tag.clone()))
        };
        match self.exchange.ask(&ask).await {
            Ok(reply) => {
                let stated = stated_digest(&reply).filter(|_| reply.status.is_success());
                if stated.is_none() || way == Way::Both {
                    // Without a digest, it may be a refusal that only a GET may utter (Nexus).
                    return self.pull_tag(repository, tag, stated).await;
                }
                Ok(Resolved {
                    stated,
                    body: None,
                    by_head: None,
                })
            }
            Err(failure) if failure.may_be_of_head() => {
                let pulled = self.pull_tag(repository, tag, None).await?;
                self.habits.ask_tags_by_get();
                Ok(pulled)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Asks for a tag by GET, and holds what comes against what HEAD said.
    async fn pull_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        head: Option<Digest>,
    ) -> Result<Resolved, Stop> {
        let ask = self.manifest_ask(repository, &Reference::Tag(tag.clone()));
        let reply = self.ask_again_if_cut(&ask).await?;
        let stated = stated_digest(&reply);
        let body = document(reply)?;
        let stated = match &head {
            Some(head) if is_of(&body, head) => Some(head.clone()),
            head => stated.or(head.clone()),
        };
        let is_manifest = |body: &ManifestBody| {
            let media_type = body.media_type.as_deref();
            body.end != BodyEnd::Cut && Document::parse(&body.bytes, media_type).is_ok()
        };
        let mut resolved = match stated {
            Some(stated) if !is_of(&body, &stated) && is_manifest(&body) => {
                Box::pin(self.contradicted(repository, stated, body)).await?
            }
            stated => pulled(stated, body),
        };
        if head.is_some() && resolved.digest() != head {
            self.habits.ask_tags_by_get();
            resolved.by_head = head;
        }
        Ok(resolved)
    }

    /// What a tag leads to whose manifest is another one than its header states. A client that goes by
    /// the tag has what came, unless the registry has nothing better under the digest either.
    async fn contradicted(
        &self,
        repository: &Repository,
        stated: Digest,
        body: ManifestBody,
    ) -> Result<Resolved, Stop> {
        let reference = Reference::Digest(stated.clone());
        match self.read_manifest(repository, &reference).await {
            Ok(altered) if !is_of(&altered, &stated) => Ok(pulled(Some(stated), altered)),
            Ok(_) | Err(Stop::Absent(_)) => Ok(pulled(None, body)),
            Err(failed) => Err(failed),
        }
    }

    pub(crate) fn manifest_ask<'a>(
        &self,
        repository: &'a Repository,
        reference: &Reference,
    ) -> Ask<'a> {
        let url = self.endpoint.manifest(repository, reference);
        Ask::get(url, MANIFEST_ACCEPT, Scope::Pull(repository), DOCUMENT)
    }

    pub(crate) async fn read_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<ManifestBody, Stop> {
        self.read_document(self.manifest_ask(repository, reference))
            .await
    }

    pub(crate) async fn read_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<ManifestBody, Stop> {
        let url = self.endpoint.blob(repository, digest);
        self.read_document(Ask::get(url, "*/*", Scope::Pull(repository), DOCUMENT))
            .await
    }

    async fn read_document(&self, ask: Ask<'_>) -> Result<ManifestBody, Stop> {
        document(self.ask_again_if_cut(&ask).await?)
    }

    /// A body that ends early is asked for once more, on a new connection, before that is believed.
    pub(crate) async fn ask_again_if_cut(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        self.exchange.ask_again_if_cut(ask, &self.fresh).await
    }
}

pub(super) fn document(reply: Reply) -> Result<ManifestBody, Stop> {
    reply.expect_object()?;
    if reply.is_page() {
        return Err(reply.failure().into());
    }
    let is_packed = is_gzip(&reply.headers);
    let announced = reply.content_length().filter(|_| !is_packed);
    let media_type = reply.header(CONTENT_TYPE).map(Printable::from);
    let bytes = if is_packed {
        let Some(bytes) = unpacked(reply.body.bytes, LARGEST_UNPACKED) else {
            let most = LARGEST_UNPACKED >> 20;
            let detail = format!("{} holds more than {most} MiB, compressed", reply.request);
            return Err(Failure::new(UnverifiedReason::TooLarge, detail).into());
        };
        bytes
    } else {
        reply.body.bytes
    };
    Ok(ManifestBody {
        request: reply.request.into(),
        media_type,
        announced,
        end: reply.body.end,
        bytes: bytes.into(),
    })
}

fn pulled(stated: Option<Digest>, body: ManifestBody) -> Resolved {
    Resolved {
        stated,
        body: Some(body),
        by_head: None,
    }
}

/// Whether a manifest has this digest, as far as that can be computed.
fn is_of(body: &ManifestBody, digest: &Digest) -> bool {
    let computed = manifest_digest(&body.bytes, digest);
    computed.is_none_or(|computed| computed == *digest)
}

fn stated_digest(reply: &Reply) -> Option<Digest> {
    let stated = reply.header("docker-content-digest")?;
    stated.trim().parse().ok()
}
