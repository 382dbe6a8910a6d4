//! An answer in plain data: its head, and as much of its body as was to be read.

use std::time::Duration;

use reqwest::header::{AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use reqwest::tls::TlsInfo;
use reqwest::{Response, StatusCode, Version};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::classify::{self, Failure, Stop};
use super::meter::Meter;
use super::packed::{Counted, Counter, is_gzip};
use super::unpack::Unpacking;
use crate::oci::{Digest, Printable};
use crate::registry::UnverifiedReason;
use crate::registry::{BodyEnd, Refusal, Unpack, Unpacked, Unverified};

/// As much of an error's body as is read for its code.
const LARGEST_ERROR: u64 = 64 * 1024;
/// The slowest rate, in bytes a second, at which a long body may come. A registry that trickles
/// would otherwise hold a sweep for as long as it likes.
const SLOWEST_RATE: u64 = 64 * 1024;

/// The longest body of which as many may be held as there are requests at a time. Of longer ones,
/// which are rare, one is read after the other, so that a registry cannot fill the memory with them.
const LARGE: usize = 1 << 20;

/// How much of a body to read.
#[derive(Clone)]
pub(crate) enum Read {
    /// None of it.
    Nothing,
    /// All of it, into memory. A longer one is unverified: `too_large`.
    Whole { cap: u64 },
    /// Count and hash it, up to one byte more than expected.
    Count(Count),
}

/// What is expected of a blob's bytes, and how many of them to read.
#[derive(Clone)]
pub(crate) struct Count {
    /// Those that are expected under 206.
    pub(crate) part: u64,
    /// Those that are expected under any other success, if that is known. Of a body that says to have
    /// another length nothing is read.
    pub(crate) whole: Option<u64>,
    /// The most to read of a whole body.
    pub(crate) most: u64,
    /// The digest whose algorithm to hash by.
    pub(crate) digest: Digest,
    /// How to unpack what comes, if it is to be.
    pub(crate) unpack: Option<Unpack>,
}

/// What was read of a body.
#[derive(Clone, Default)]
pub(crate) struct Body {
    /// The bytes themselves, under [`Read::Whole`] and for errors.
    pub(crate) bytes: Vec<u8>,
    /// What arrived.
    pub(crate) raw: Counted,
    /// What it holds, under [`Read::Count`], if it says to be compressed.
    pub(crate) unpacked: Option<Counted>,
    /// What it unpacks to as a layer, if that was asked for.
    pub(crate) layer: Option<Unpacked>,
    /// Whether anything was to be read at all.
    pub(crate) was_read: bool,
    /// How it ended.
    pub(crate) end: BodyEnd,
}

/// An answer of any status.
#[derive(Clone)]
pub(crate) struct Reply {
    /// The request, as `METHOD PATH`.
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Who gave it, as `SCHEME://HOST[:PORT]`, if that is another than the registry.
    pub(crate) redirected_to: Option<String>,
    pub(crate) version: Version,
    /// The proxy that it came through, if that could have written it: it does not pass through one unread.
    pub(crate) proxy: Option<String>,
    /// The server's certificate, if the connection is encrypted.
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) body: Body,
}

impl Reply {
    /// Whether another host than the registry gave it.
    pub(crate) fn redirected(&self) -> bool {
        self.redirected_to.is_some()
    }

    /// Who gave it, if another than the registry.
    pub(crate) fn storage(&self) -> Option<Printable> {
        self.redirected_to.as_deref().map(Printable::from)
    }

    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length` as it was sent, also in answer to a HEAD.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    pub(crate) fn is_html(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or_default().trim_start();
        media_type
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
    }

    /// Whether it is a web page by its type and its text: Quay answers a ping with `true` as text/html.
    pub(crate) fn is_page(&self) -> bool {
        self.is_html() && self.body.bytes.trim_ascii_start().starts_with(b"<")
    }

    /// The code of an error body. A HEAD has none.
    pub(crate) fn code(&self) -> Option<Printable> {
        classify::error_code(&self.body.bytes)
    }

    pub(crate) fn refusal(&self) -> Refusal {
        Refusal {
            request: (&self.request).into(),
            status: self.status.as_u16(),
            code: self.code(),
            storage: self.storage(),
            is_page: self.is_html(),
        }
    }

    /// A 404 of the registry or of its storage. A 404 web page is that of something in between.
    pub(crate) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && !self.is_html()
    }

    /// Whether it may be the object that was asked for, which comes with 200 alone.
    pub(crate) fn expect_object(&self) -> Result<(), Stop> {
        match self.status {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => Err(Stop::Absent(self.refusal())),
            _ => Err(self.failure().into()),
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        let failure = self.failed();
        let Some(proxy) = &self.proxy else {
            return failure;
        };
        let detail = format!("{}, through {proxy}", failure.why.detail);
        let why = Unverified::new(failure.why.reason, detail).advised(failure.why.advice);
        Failure { why, ..failure }
    }

    fn failed(&self) -> Failure {
        let request = &self.request;
        let detail = match self.status.as_u16() {
            200..=299 if self.is_html() => {
                format!(
                    "{request} answers with a web page: a proxy or login page stands in the way"
                )
            }
            status @ 200..=299 => format!("{request} answers {status}, and clients take 200 only"),
            _ => return classify::refused(&self.refusal()),
        };
        Failure::new(UnverifiedReason::Protocol, detail)
    }
}

/// What reading a body is limited by, and counted with.
pub(super) struct ReadLimits<'a> {
    /// For each piece.
    pub(super) timeout: Duration,
    pub(super) meter: &'a Meter,
    /// Whose turn it is to read a body that takes much memory.
    pub(super) large_bodies: &'a Semaphore,
}

impl Body {
    /// Whether the connection ended before the body did.
    pub(crate) fn was_cut(&self) -> bool {
        self.end == BodyEnd::Cut
    }

    /// Reads as much of a response's body as `read` says, or an error's for its code.
    pub(super) async fn read(
        (response, headers): (Response, &HeaderMap),
        read: &Read,
        request: &str,
        limits: ReadLimits<'_>,
    ) -> Result<Self, Failure> {
        if matches!(read, Read::Nothing) {
            return Ok(Self::default());
        }
        let status = response.status();
        let reader = BodyReader {
            ends_with_connection: ends_with_connection(response.version(), headers),
            response,
            headers,
            request,
            limits,
        };
        match read {
            Read::Nothing => Ok(Self::default()),
            Read::Whole { cap } if status.is_success() => reader.whole(*cap, true).await,
            Read::Count(count) if status == StatusCode::PARTIAL_CONTENT => {
                reader.count(Some(count.part), u64::MAX, count).await
            }
            Read::Count(count) if status.is_success() => {
                let stated = reader.stated_length();
                let is_other = stated.is_some() && count.whole.is_some() && stated != count.whole;
                if count.most == 0 || is_other {
                    return Ok(Self::default());
                }
                let expected = count.whole.or(stated);
                reader.count(expected, count.most, count).await
            }
            Read::Count(_) if status == StatusCode::RANGE_NOT_SATISFIABLE => Ok(Self::default()),
            // Whatever can be had of an error's body will do.
            Read::Whole { .. } | Read::Count(_) => {
                Ok(reader.whole(LARGEST_ERROR, false).await.unwrap_or_default())
            }
        }
    }
}

/// Whether nothing but the end of the connection is to tell where a body ends (RFC 9112, 6.3).
fn ends_with_connection(version: Version, headers: &HeaderMap) -> bool {
    let is_framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    version <= Version::HTTP_11 && !is_framed
}

struct BodyReader<'a> {
    /// Without its headers, which are beside it.
    response: Response,
    headers: &'a HeaderMap,
    ends_with_connection: bool,
    request: &'a str,
    limits: ReadLimits<'a>,
}

impl BodyReader<'_> {
    /// The length of what is compressed says nothing of what that holds.
    fn stated_length(&self) -> Option<u64> {
        let headers = self.headers;
        let stated = headers.get(CONTENT_LENGTH).filter(|_| !is_gzip(headers));
        stated?.to_str().ok()?.trim().parse().ok()
    }

    async fn whole(mut self, cap: u64, is_limit: bool) -> Result<Body, Failure> {
        let mut bytes = Vec::new();
        let mut ends_at = self.ends_at(cap.min(16 * SLOWEST_RATE));
        let mut end = BodyEnd::More;
        let mut turn = None;
        while (bytes.len() as u64) <= cap {
            if turn.is_none() && bytes.len() > LARGE {
                let waits_since = Instant::now();
                turn = self.limits.large_bodies.acquire().await.ok();
                ends_at += waits_since.elapsed();
            }
            match self.chunk(ends_at).await? {
                Chunk::Bytes(chunk) => bytes.extend_from_slice(&chunk),
                Chunk::End(how) => {
                    end = how;
                    break;
                }
            }
        }
        if is_limit && bytes.len() as u64 > cap {
            let (request, most) = (self.request, cap >> 20);
            let detail = format!("{request}: the answer is longer than {most} MiB");
            return Err(Failure::new(UnverifiedReason::TooLarge, detail));
        }
        let raw = Counted {
            received: bytes.len() as u64,
            digest: None,
        };
        Ok(Body {
            bytes,
            raw,
            was_read: true,
            end,
            ..Body::default()
        })
    }

    /// Reads what is expected and one byte more, or `most` of what is longer or of unknown length.
    async fn count(
        mut self,
        expected: Option<u64>,
        most: u64,
        how: &Count,
    ) -> Result<Body, Failure> {
        let is_gzip = is_gzip(self.headers);
        // What is packed on the way, too, is not unpacked here.
        let unpack = how.unpack.clone().filter(|_| !is_gzip);
        let unpacking = unpack.map(|how| Unpacking::start(how, expected));
        let expected = expected.filter(|expected| *expected <= most);
        let stop = expected.map_or(most, |expected| expected.saturating_add(1));
        let mut ends_at = self.ends_at(expected.unwrap_or(most));
        let mut counter = Counter::new(&how.digest, stop, is_gzip);
        let mut end = BodyEnd::More;
        while !counter.is_full() {
            match self.chunk(ends_at).await? {
                Chunk::Bytes(chunk) => {
                    counter.take(&chunk);
                    if let Some(unpacking) = &unpacking {
                        let before = Instant::now();
                        unpacking.take(&chunk).await;
                        // The registry is not slow for it.
                        ends_at += before.elapsed();
                    }
                }
                Chunk::End(how) => {
                    end = how;
                    break;
                }
            }
        }
        let layer = match unpacking {
            Some(unpacking) => Some(unpacking.finish().await),
            None => how.unpack.as_ref().map(|_| Unpacked::Limited),
        };
        let (raw, unpacked) = counter.finish();
        Ok(Body {
            layer,
            raw,
            unpacked,
            was_read: true,
            end,
            ..Body::default()
        })
    }

    fn ends_at(&self, expected: u64) -> Instant {
        Instant::now() + self.limits.timeout + Duration::from_secs(expected / SLOWEST_RATE)
    }

    async fn chunk(&mut self, ends_at: Instant) -> Result<Chunk, Failure> {
        let slow = || {
            let detail = format!("{}: the body stopped coming", self.request);
            Failure::new(UnverifiedReason::Timeout, detail)
        };
        // Whichever is up first: the wait for the next piece, or that for the whole.
        let until = ends_at.min(Instant::now() + self.limits.timeout);
        match tokio::time::timeout_at(until, self.response.chunk()).await {
            Err(_) => Err(slow()),
            Ok(Ok(Some(bytes))) => {
                self.limits.meter.bytes(bytes.len());
                Ok(Chunk::Bytes(bytes))
            }
            Ok(Ok(None)) if self.ends_with_connection => Ok(Chunk::End(BodyEnd::Connection)),
            Ok(Ok(None)) => Ok(Chunk::End(BodyEnd::Whole)),
            Ok(Err(error)) if error.is_timeout() => Err(slow()),
            // Many servers end a TLS connection without saying that they do (rustls#1327).
            Ok(Err(error)) if self.ends_with_connection && classify::is_early_end(&error) => {
                Ok(Chunk::End(BodyEnd::Connection))
            }
            Ok(Err(error)) => {
                tracing::debug!(request = self.request, %error, "the body was cut");
                Ok(Chunk::End(BodyEnd::Cut))
            }
        }
    }
}

enum Chunk {
    Bytes(bytes::Bytes),
    End(BodyEnd),
}
