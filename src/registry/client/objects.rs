//! Manifests, and other documents that are read whole: which requests bring them, and what their
//! answers say.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};

use super::HttpRegistry;
use super::auth::Scope;
use super::classify::Failure;
use super::exchange::Ask;
use super::packed::{is_gzip, unpacked};
use super::reply::{Read, Reply};
use crate::oci::{
    Digest, Document, MANIFEST_ACCEPT, Printable, Reference, Repository, Tag, manifest_digest,
};
use crate::registry::UnverifiedReason;
use crate::registry::{Answer, BodyEnd, ManifestBody, Refusal, Resolved, Way};

/// The longest manifest that is read. The specification asks for 4 MB, Gitea takes 10 MiB.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// The longest that is unpacked. As many as there are requests at a time may be.
const LARGEST_UNPACKED: u64 = 4 << 20;

impl HttpRegistry {
    pub(crate) async fn resolve_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        way: Way,
    ) -> Answer<Resolved> {
        if way == Way::Cheap && self.habits.wants_tags_by_get() {
            return self.pull_tag(repository, tag, None).await;
        }
        let ask = Ask {
            method: Method::HEAD,
            read: Read::Nothing,
            ..self.manifest_ask(repository, &Reference::Tag(tag.clone()))
        };
        match self.exchange.ask(&ask).await {
            Ok(reply) if reply.status.is_success() && stated_digest(&reply).is_some() => {
                let stated = stated_digest(&reply);
                if way == Way::Both {
                    return self.pull_tag(repository, tag, stated).await;
                }
                Answer::Found(Resolved {
                    stated,
                    body: None,
                    by_head: None,
                })
            }
            // No digest stated, or a refusal that only a GET may utter (Nexus answers HEAD with 404).
            Ok(_) => self.pull_tag(repository, tag, None).await,
            Err(failure) if failure.may_be_of_head() => {
                let answer = self.pull_tag(repository, tag, None).await;
                if matches!(answer, Answer::Found(_)) {
                    self.habits.ask_tags_by_get();
                }
                answer
            }
            Err(failure) => failure.answer(),
        }
    }

    /// Asks for a tag by GET, and holds what comes against what HEAD said.
    async fn pull_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        head: Option<Digest>,
    ) -> Answer<Resolved> {
        let ask = self.manifest_ask(repository, &Reference::Tag(tag.clone()));
        let reply = match self.ask_again_if_cut(&ask).await {
            Ok(reply) => reply,
            Err(failure) => return failure.answer(),
        };
        let stated = stated_digest(&reply);
        let body = match document(reply) {
            Ok(body) => body,
            Err(refused) => return refused.answer(),
        };
        let stated = match &head {
            Some(head) if is_of(&body, head) => Some(head.clone()),
            head => stated.or(head.clone()),
        };
        let is_manifest = |body: &ManifestBody| {
            let media_type = body.media_type.as_deref();
            body.end != BodyEnd::Cut && Document::parse(&body.bytes, media_type).is_ok()
        };
        let resolved = match stated {
            Some(stated) if !is_of(&body, &stated) && is_manifest(&body) => {
                self.contradicted(repository, stated, body).await
            }
            stated => found(stated, body),
        };
        let Answer::Found(mut resolved) = resolved else {
            return resolved;
        };
        if head.is_some() && resolved.digest() != head {
            self.habits.ask_tags_by_get();
            resolved.by_head = head;
        }
        Answer::Found(resolved)
    }

    /// What a tag leads to whose manifest is another one than its header states. A client that goes by
    /// the tag has what came, unless the registry has nothing better under the digest either.
    async fn contradicted(
        &self,
        repository: &Repository,
        stated: Digest,
        body: ManifestBody,
    ) -> Answer<Resolved> {
        let reference = Reference::Digest(stated.clone());
        match self.read_manifest(repository, &reference).await {
            Answer::Found(altered) if !is_of(&altered, &stated) => found(Some(stated), altered),
            Answer::Found(_) | Answer::Absent(_) => found(None, body),
            Answer::Failing(refusal) => Answer::Failing(refusal),
            Answer::Unverified(why) => Answer::Unverified(why),
        }
    }

    pub(crate) fn manifest_ask<'a>(
        &self,
        repository: &'a Repository,
        reference: &Reference,
    ) -> Ask<'a> {
        Ask {
            method: Method::GET,
            url: self.endpoint.manifest(repository, reference),
            accept: MANIFEST_ACCEPT,
            range: None,
            scope: Scope::Pull(repository),
            read: Read::Whole {
                cap: LARGEST_MANIFEST,
            },
        }
    }

    pub(crate) async fn read_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Answer<ManifestBody> {
        self.read_document(self.manifest_ask(repository, reference))
            .await
    }

    pub(crate) async fn read_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Answer<ManifestBody> {
        self.read_document(Ask {
            url: self.endpoint.blob(repository, digest),
            accept: "*/*",
            ..self.manifest_ask(repository, &Reference::Digest(digest.clone()))
        })
        .await
    }

    async fn read_document(&self, ask: Ask<'_>) -> Answer<ManifestBody> {
        match self.ask_again_if_cut(&ask).await {
            Err(failure) => failure.answer(),
            Ok(reply) => match document(reply) {
                Ok(body) => Answer::Found(body),
                Err(refused) => refused.answer(),
            },
        }
    }

    /// A body that ends early is asked for once more, on a new connection, before that is believed.
    pub(crate) async fn ask_again_if_cut(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let reply = self.exchange.ask(ask).await?;
        if reply.body.was_cut() {
            self.fresh.ask(ask).await
        } else {
            Ok(reply)
        }
    }
}

/// What came in place of a document.
enum Refused {
    Absent(Refusal),
    Failed(Failure),
}

impl Refused {
    fn answer<T>(self) -> Answer<T> {
        match self {
            Self::Absent(refusal) => Answer::Absent(refusal),
            Self::Failed(failure) => failure.answer(),
        }
    }
}

fn document(reply: Reply) -> Result<ManifestBody, Refused> {
    if reply.status == StatusCode::NOT_FOUND {
        return Err(Refused::Absent(reply.refusal()));
    }
    if reply.status != StatusCode::OK || reply.is_page() {
        return Err(Refused::Failed(reply.failure()));
    }
    let is_packed = is_gzip(&reply.headers);
    let announced = reply.content_length().filter(|_| !is_packed);
    let media_type = reply.header(CONTENT_TYPE).map(Printable::from);
    let bytes = if is_packed {
        let Some(bytes) = unpacked(reply.body.bytes, LARGEST_UNPACKED) else {
            let most = LARGEST_UNPACKED >> 20;
            let detail = format!("{} holds more than {most} MiB, compressed", reply.request);
            let failure = Failure::new(UnverifiedReason::TooLarge, detail);
            return Err(Refused::Failed(failure));
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

fn found(stated: Option<Digest>, body: ManifestBody) -> Answer<Resolved> {
    Answer::Found(Resolved {
        stated,
        body: Some(body),
        by_head: None,
    })
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
