//! Blobs: which requests show what is there, and what their answers prove.

use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG};
use reqwest::{Method, StatusCode};

use super::HttpRegistry;
use super::classify::{Failure, Stop};
use super::content_range::ContentRange;
use super::exchange::Ask;
use super::packed::{Counted, is_gzip};
use super::reply::{Count, Read, Reply};
use super::scope::Scope;
use crate::oci::{Digest, Repository};
use crate::registry::{BlobLook, BlobRead, BodyEnd, Depth, Unpack};

/// Blobs up to this size are read whole where otherwise the last byte would be: it is the same
/// number of requests, and it verifies the digest (configs, mostly).
const SMALL_BLOB: u64 = 16 * 1024;
/// As much as is read of a blob whose last byte is not to be had alone: it shows that bytes come.
const START: u64 = 64 * 1024;

impl HttpRegistry {
    /// Looks at a blob in the cheapest way that shows what `depth` asks for, by one request where its answer
    /// is what a registry sends that has the blob. HEAD and ranges are such ways, and nothing more: what they
    /// refuse or say otherwise than promised is asked for as a client asks for it.
    pub(crate) async fn look_at_blob(
        &self,
        (repository, digest): (&Repository, &Digest),
        size: Option<u64>,
        depth: Depth,
        unpack: Option<Unpack>,
    ) -> Result<BlobLook, Stop> {
        let url = self.endpoint.blob(repository, digest);
        let mut blob = BlobAsk {
            ask: Ask::get(url, "*/*", Scope::Pull(repository), Read::Nothing),
            digest,
            promised: size,
            size,
            most: u64::MAX,
            unpack,
        };
        // A range, or all of it, says what HEAD would.
        let is_asked_by_head = match depth {
            Depth::Head => true,
            Depth::Tail => size.unwrap_or(0) == 0 || self.habits.ranges.is_given_up(),
            Depth::Digest | Depth::Unpack => size.is_none(),
        };
        if !is_asked_by_head {
            return self.get_blob(blob, None, depth).await;
        }
        let head = self.head_of_blob(&blob.ask).await?;
        if let Some(head) = &head {
            let is_from_cache = self.is_from_cache(head);
            if is_from_cache || shows_enough(head, size, depth) {
                return Ok(BlobLook {
                    is_from_cache,
                    ..head_look(head)
                });
            }
            // Some proxies strip the length or state 0, so neither is taken for a length (rule 4).
            let stated = Some(head).filter(|head| is_there(head));
            let stated = stated.and_then(Reply::content_length);
            blob.size = size.or(stated.filter(|length| *length > 0));
        }
        let looked = self.get_blob(blob, head.as_ref(), depth).await;
        if head.is_some() {
            self.habits.heads.works();
        } else if looked.is_ok() {
            self.habits.heads.fails();
        }
        looked
    }

    /// Asks for a blob by GET: for a part of it where that shows enough, and for all of it where a part
    /// leaves a doubt.
    async fn get_blob(
        &self,
        mut blob: BlobAsk<'_>,
        head: Option<&Reply>,
        depth: Depth,
    ) -> Result<BlobLook, Stop> {
        let ranges = &self.habits.ranges;
        let part = blob.size.filter(|size| *size > 0 && depth < Depth::Digest);
        let gave_up = part.is_some() && ranges.is_given_up();
        let mut doubt = None;
        if let Some(size) = part.filter(|_| !gave_up) {
            match self.read_part(&blob, size).await? {
                // A range of which the whole is not told says less than HEAD.
                Part::Shown(look) if look.length.is_none() && look.status == 206 => {
                    if self.is_as_long_by_head(&blob, head, size).await? {
                        return Ok(look);
                    }
                    doubt = Some(None);
                }
                Part::Shown(look) => return Ok(look),
                Part::Denied(failure) if Box::pin(self.is_denied_by_head(&blob, head)).await? => {
                    return Err(failure.into());
                }
                Part::Denied(_) => doubt = Some(None),
                Part::Refused(status) => doubt = Some(status),
            }
        }
        if depth < Depth::Digest && (gave_up || blob.size.is_none()) {
            blob.most = START;
        }
        let look = self.read_whole(&blob).await?;
        if let Some(status) = doubt
            && blob.is_as_promised(&look)
        {
            if status == Some(StatusCode::NOT_FOUND) {
                // One of several replicas may have said so, and then it does again.
                blob.most = START;
                if let Err(Stop::Absent(refusal)) = Box::pin(self.read_whole(&blob)).await {
                    return Err(Stop::Absent(refusal));
                }
            }
            ranges.fails();
        }
        Ok(look)
    }

    /// Whether HEAD states no other length of a blob than `size`.
    async fn is_as_long_by_head(
        &self,
        blob: &BlobAsk<'_>,
        head: Option<&Reply>,
        size: u64,
    ) -> Result<bool, Failure> {
        let asked = match head {
            Some(_) => None,
            None => self.head_of_blob(&blob.ask).await?,
        };
        let head = head.or(asked.as_ref()).filter(|head| is_there(head));
        let stated = head.and_then(Reply::content_length);
        // Some proxies strip the length or state 0 (rule 4).
        Ok(stated.is_none_or(|stated| stated == 0 || stated == size))
    }

    /// Whether a blob may not be asked for by HEAD either: then it may not be had.
    async fn is_denied_by_head(
        &self,
        blob: &BlobAsk<'_>,
        head: Option<&Reply>,
    ) -> Result<bool, Failure> {
        match head {
            Some(head) => Ok(is_denial(head)),
            None => Ok(self
                .head_of_blob(&blob.ask)
                .await?
                .is_some_and(|head| is_denial(&head))),
        }
    }

    fn is_from_cache(&self, reply: &Reply) -> bool {
        self.detect_cache && is_from_cache(reply)
    }

    /// What HEAD says of a blob; `None` where the registry fails on HEAD.
    async fn head_of_blob(&self, get: &Ask<'_>) -> Result<Option<Reply>, Failure> {
        if self.habits.heads.is_given_up() {
            return Ok(None);
        }
        let ask = Ask {
            method: Method::HEAD,
            ..get.clone()
        };
        match self.exchange.ask(&ask).await {
            Ok(head) => Ok(Some(head)),
            Err(failure) if failure.may_be_of_head() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads the last byte, or everything of a small blob, by a range. It shows nothing unless what came
    /// is what a registry sends that has the blob and knows ranges, or sends whole blobs to whoever asks.
    async fn read_part(&self, blob: &BlobAsk<'_>, size: u64) -> Result<Part, Failure> {
        let is_small = size <= SMALL_BLOB;
        let range = (if is_small { 0 } else { size - 1 }, size - 1);
        let ask = Ask {
            range: Some(range),
            read: blob.count(range.1 - range.0 + 1, START),
            ..blob.ask.clone()
        };
        let reply = match self.ask_again_if_cut(&ask).await {
            Err(failure) if failure.why.is_refusal() => return Ok(Part::Denied(failure)),
            Err(failure) if failure.is_of_the_answer() => return Ok(Part::Refused(None)),
            reply => reply?,
        };
        if is_denial(&reply) {
            return Ok(Part::Denied(reply.failure()));
        }
        let refused = Ok(Part::Refused(Some(reply.status)));
        let look = match reply.status {
            StatusCode::PARTIAL_CONTENT if is_that_part(&reply, range, size) => BlobLook {
                read: if is_small {
                    blob.all(&reply)
                } else {
                    BlobRead::End
                },
                length: Some(size).filter(|_| tells_total(&reply)),
                ..head_look(&reply)
            },
            StatusCode::OK => {
                let start = BlobAsk {
                    most: START,
                    ..blob.clone()
                };
                BlobLook {
                    is_from_cache: self.is_from_cache(&reply),
                    ..start.look(&reply)
                }
            }
            _ => return refused,
        };
        if !look.is_from_cache && !blob.is_as_promised(&look) {
            return refused;
        }
        if reply.status == StatusCode::PARTIAL_CONTENT {
            self.habits.ranges.works();
        }
        Ok(Part::Shown(look))
    }

    /// Asks for a blob as a client does, and reads as much of it as is needed.
    async fn read_whole(&self, blob: &BlobAsk<'_>) -> Result<BlobLook, Stop> {
        let ask = Ask {
            read: blob.count(0, blob.most),
            ..blob.ask.clone()
        };
        let reply = self.ask_again_if_cut(&ask).await?;
        reply.expect_object()?;
        Ok(BlobLook {
            is_from_cache: self.is_from_cache(&reply),
            ..blob.look(&reply)
        })
    }
}

/// What came of asking for a part of a blob.
enum Part {
    Shown(BlobLook),
    /// It may not be had.
    Denied(Failure),
    /// Something else came, or a failure of the registry.
    Refused(Option<StatusCode>),
}

/// What is asked of a blob.
#[derive(Clone)]
struct BlobAsk<'a> {
    ask: Ask<'a>,
    digest: &'a Digest,
    /// The length that it is to have, if anything says so but HEAD.
    promised: Option<u64>,
    /// That length, or what HEAD states.
    size: Option<u64>,
    /// The most to read of it.
    most: u64,
    /// How to unpack it, if it is to be.
    unpack: Option<Unpack>,
}

impl BlobAsk<'_> {
    fn count(&self, part: u64, most: u64) -> Read {
        Read::Count(Count {
            part,
            whole: self.promised,
            most,
            digest: self.digest.clone(),
            unpack: self.unpack.clone(),
        })
    }

    /// What an answer shows that is to be the whole blob.
    fn look(&self, reply: &Reply) -> BlobLook {
        let is_longer = self.size.is_none_or(|size| size > self.most);
        let read = match reply.body.end {
            _ if !reply.body.was_read => BlobRead::Nothing,
            BodyEnd::More if is_longer => BlobRead::Start,
            _ => self.all(reply),
        };
        let is_packed = is_gzip(&reply.headers);
        BlobLook {
            read,
            length: reply.content_length().filter(|_| !is_packed),
            unpacked: reply.body.layer.clone(),
            ..head_look(reply)
        }
    }

    /// What a body proves that was read whole. Bytes that say to be compressed are unpacked, as by Go's
    /// clients, unless they are what was promised: some registries say so of what they do not compress
    /// (moby#17595).
    fn all(&self, reply: &Reply) -> BlobRead {
        let raw = &reply.body.raw;
        let unpacked = reply.body.unpacked.as_ref();
        let unpacked = unpacked.filter(|_| raw.digest.as_ref() != Some(self.digest));
        let Counted { received, digest } = unpacked.unwrap_or(raw).clone();
        BlobRead::All {
            received,
            digest,
            end: reply.body.end,
        }
    }

    fn is_as_promised(&self, look: &BlobLook) -> bool {
        let is_size = |length: u64| self.size.is_none_or(|size| size == length);
        !look.is_html
            && look.length.is_none_or(is_size)
            && match &look.read {
                BlobRead::Nothing => false,
                BlobRead::Start | BlobRead::End => true,
                BlobRead::All {
                    received,
                    digest,
                    end,
                } => {
                    let is_it = digest.as_ref().is_none_or(|digest| digest == self.digest);
                    is_size(*received) && is_it && *end != BodyEnd::Cut
                }
            }
    }
}

/// Whether this may be about who asks, and not about what is asked for (ECR says 400).
fn is_denial(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 400 | 401 | 403)
}

fn is_there(head: &Reply) -> bool {
    head.status.is_success() && !head.is_html()
}

/// Whether there is no need to ask for any byte of a blob.
fn shows_enough(head: &Reply, size: Option<u64>, depth: Depth) -> bool {
    let stated = head.content_length();
    is_there(head)
        && match size {
            // There is no byte to read of it.
            Some(0) => stated == Some(0),
            Some(_) => depth == Depth::Head && stated == size,
            None => depth == Depth::Head,
        }
}

/// Whether a 206 is of these bytes, and all of them came.
fn is_that_part(reply: &Reply, range: (u64, u64), size: u64) -> bool {
    let content_range = reply.header(CONTENT_RANGE).map(ContentRange::parse);
    let is_part = content_range.is_some_and(|sent| sent.is(range, size));
    let is_all = reply.body.raw.received == range.1 - range.0 + 1;
    let is_end = matches!(reply.body.end, BodyEnd::Whole | BodyEnd::Connection);
    is_part && is_all && is_end && !is_gzip(&reply.headers)
}

/// Whether a 206 says how long the whole is.
fn tells_total(reply: &Reply) -> bool {
    let content_range = reply.header(CONTENT_RANGE).map(ContentRange::parse);
    content_range.is_some_and(|sent| sent.total.is_some())
}

/// Distribution's pull-through cache answers a blob that it has to download with the bare digest for
/// an Etag, and without ranges (registry/proxy/proxyblobstore.go); for one that is at hand, as any
/// registry does.
pub(crate) fn is_from_cache(head: &Reply) -> bool {
    let etag = head
        .header(ETAG)
        .filter(|etag| etag.parse::<Digest>().is_ok());
    head.status.is_success()
        && !head.redirected()
        && etag.is_some()
        && head.header(ACCEPT_RANGES).is_none()
}

fn head_look(head: &Reply) -> BlobLook {
    BlobLook {
        request: (&head.request).into(),
        status: head.status.as_u16(),
        length: head.content_length(),
        read: BlobRead::Nothing,
        storage: head.storage(),
        is_html: head.is_html(),
        unpacked: None,
        is_from_cache: false,
    }
}
