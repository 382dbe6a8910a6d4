//! An answer in plain data: its head, and as much of its body as was to be read.

use std::time::Duration;

use reqwest::header::{AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::tls::TlsInfo;
use reqwest::{Response, StatusCode, Version};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::classify::{self, Failure};
use super::meter::Meter;
use crate::model::{Digest, ObstacleReason};
use crate::registry::Refusal;

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
pub(super) enum Read {
    /// None of it.
    Nothing,
    /// All of it, into memory. A longer one is an obstacle.
    Whole { cap: u64 },
    /// Count and hash it, up to one byte more than expected.
    Count {
        /// What is expected under 206.
        partial: u64,
        /// What is expected under 200; `None` to leave a whole body alone.
        whole: Option<u64>,
        /// The digest whose algorithm to hash by.
        digest: Digest,
    },
}

/// What was read of a body.
#[derive(Default)]
pub(super) struct Body {
    /// The bytes themselves, under [`Read::Whole`] and for errors.
    pub(super) bytes: Vec<u8>,
    /// How many bytes arrived, at most one more than expected.
    pub(super) received: u64,
    /// The digest of what arrived, under [`Read::Count`].
    pub(super) digest: Option<Digest>,
    /// Whether anything was to be read at all.
    pub(super) was_read: bool,
    /// Whether the connection ended before the body did.
    pub(super) was_cut: bool,
}

/// An answer of any status.
pub(super) struct Reply {
    /// The request, as `METHOD PATH`.
    pub(super) request: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Who gave it, as `SCHEME://HOST[:PORT]`, if that is another than the registry.
    pub(super) redirected_to: Option<String>,
    pub(super) version: Version,
    /// The server's certificate, if the connection is encrypted.
    pub(super) tls: Option<TlsInfo>,
    pub(super) body: Body,
}

impl Reply {
    /// Whether another host than the registry gave it.
    pub(super) fn redirected(&self) -> bool {
        self.redirected_to.is_some()
    }

    pub(super) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length` as it was sent, also in answer to a HEAD.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    pub(super) fn is_html(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or_default().trim_start();
        media_type
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
    }

    /// The code of an error body. A HEAD has none.
    pub(super) fn code(&self) -> Option<String> {
        classify::error_code(&self.body.bytes)
    }

    pub(super) fn refusal(&self) -> Refusal {
        Refusal {
            request: self.request.clone(),
            status: self.status.as_u16(),
            code: self.code(),
            redirected: self.redirected(),
            is_page: self.is_html(),
        }
    }

    /// A 404 of the registry or of its storage. A 404 web page is that of something in between.
    pub(super) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && !self.is_html()
    }

    pub(super) fn failure(&self) -> Failure {
        if self.status.is_success() {
            let detail = format!(
                "{} answers with a web page: a proxy or login page stands in the way",
                self.request
            );
            return Failure::new(ObstacleReason::Protocol, detail);
        }
        classify::refused(&self.refusal())
    }
}

impl Body {
    /// Reads as much of a response's body as `read` says, or an error's for its code.
    pub(super) async fn read(
        response: Response,
        read: &Read,
        timeout: Duration,
        request: &str,
        (meter, large): (&Meter, &Semaphore),
    ) -> Result<Self, Failure> {
        let status = response.status();
        let reader = Reader {
            response,
            timeout,
            request,
            meter,
            large,
        };
        match read {
            Read::Nothing => Ok(Self::default()),
            Read::Whole { cap } if status.is_success() => reader.whole(*cap, true).await,
            Read::Count {
                partial, digest, ..
            } if status == StatusCode::PARTIAL_CONTENT => reader.count(*partial, digest).await,
            Read::Count {
                whole: Some(whole),
                digest,
                ..
            } if status.is_success() => reader.count(*whole, digest).await,
            Read::Count { .. }
                if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE =>
            {
                Ok(Self::default())
            }
            // Whatever can be had of an error's body will do.
            Read::Whole { .. } | Read::Count { .. } => {
                Ok(reader.whole(LARGEST_ERROR, false).await.unwrap_or_default())
            }
        }
    }
}

struct Reader<'a> {
    response: Response,
    timeout: Duration,
    request: &'a str,
    meter: &'a Meter,
    large: &'a Semaphore,
}

impl Reader<'_> {
    async fn whole(mut self, cap: u64, is_limit: bool) -> Result<Body, Failure> {
        let mut bytes = Vec::new();
        let mut ends_at = self.ends_at(cap.min(16 * SLOWEST_RATE));
        let mut was_cut = false;
        let mut turn = None;
        while (bytes.len() as u64) <= cap {
            if turn.is_none() && bytes.len() > LARGE {
                let waits_since = Instant::now();
                turn = self.large.acquire().await.ok();
                ends_at += waits_since.elapsed();
            }
            match self.chunk(ends_at).await? {
                Chunk::Bytes(chunk) => bytes.extend_from_slice(&chunk),
                Chunk::End => break,
                Chunk::Cut => {
                    was_cut = true;
                    break;
                }
            }
        }
        if is_limit && bytes.len() as u64 > cap {
            let detail = format!(
                "{}: the answer is longer than {} MiB",
                self.request,
                cap >> 20
            );
            return Err(Failure::new(ObstacleReason::TooLarge, detail));
        }
        let received = bytes.len() as u64;
        Ok(Body {
            bytes,
            received,
            digest: None,
            was_read: true,
            was_cut,
        })
    }

    async fn count(mut self, expected: u64, digest: &Digest) -> Result<Body, Failure> {
        let mut hasher = digest.hasher();
        let ends_at = self.ends_at(expected);
        let mut received = 0;
        let mut was_cut = false;
        while received <= expected {
            match self.chunk(ends_at).await? {
                Chunk::Bytes(chunk) => {
                    received += chunk.len() as u64;
                    if let Some(hasher) = &mut hasher {
                        hasher.update(&chunk);
                    }
                }
                Chunk::End => break,
                Chunk::Cut => {
                    was_cut = true;
                    break;
                }
            }
        }
        let received = received.min(expected.saturating_add(1));
        let digest = hasher.map(crate::model::Hasher::finish);
        Ok(Body {
            bytes: Vec::new(),
            received,
            digest,
            was_read: true,
            was_cut,
        })
    }

    fn ends_at(&self, expected: u64) -> Instant {
        Instant::now() + self.timeout + Duration::from_secs(expected / SLOWEST_RATE)
    }

    async fn chunk(&mut self, ends_at: Instant) -> Result<Chunk, Failure> {
        let slow = || {
            let detail = format!("{}: the body stopped coming", self.request);
            Failure::new(ObstacleReason::Timeout, detail)
        };
        // Whichever is up first: the wait for the next piece, or that for the whole.
        let until = ends_at.min(Instant::now() + self.timeout);
        match tokio::time::timeout_at(until, self.response.chunk()).await {
            Err(_) => Err(slow()),
            Ok(Ok(Some(bytes))) => {
                self.meter.bytes(bytes.len());
                Ok(Chunk::Bytes(bytes))
            }
            Ok(Ok(None)) => Ok(Chunk::End),
            Ok(Err(error)) if error.is_timeout() => Err(slow()),
            Ok(Err(error)) => {
                tracing::debug!(request = self.request, %error, "the body was cut");
                Ok(Chunk::Cut)
            }
        }
    }
}

enum Chunk {
    Bytes(bytes::Bytes),
    End,
    Cut,
}
