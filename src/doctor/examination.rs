//! What an examination of one registry found: what it can do, and what it lets us see.
//!
//! Facts only. What follows from them for a sweep is said in the report.

use std::time::SystemTime;

use super::sample::{CacheSign, Etag, Page, Pull, Range, Sample};
use crate::registry::Certificate;
use crate::registry::Unverified;
use crate::words::words;

/// One registry, as a few requests showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The registry's name as it stands in image references.
    pub registry: String,
    /// The address of its API, which ends in `/v2/`.
    pub address: String,
    /// When it was examined.
    pub at: SystemTime,
    /// What came of greeting it.
    pub contact: Contact,
    /// Who we are to it.
    pub identity: Identity,
    /// How it wants to be told who we are.
    pub wanted: Wanted,
    /// What came of telling it.
    pub login: Login,
    /// The first page of its catalog; `None` if it was not asked for.
    pub catalog: Option<Result<Page, Unverified>>,
    /// The repository that was looked into; `None` if none is known.
    pub sample: Option<Sample>,
    /// Headers that speak of rate limits, by name.
    pub limits: Vec<(String, String)>,
    /// Requests sent.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
}

words! {
    /// What a sweep of this registry can come to.
    Outlook {
        /// It can be swept.
        Ready = "ready",
        /// It answers, and shows nothing that could be swept.
        Blind = "blind",
        /// It cannot be reached, or what answers is no registry.
        Unreachable = "unreachable",
    }
}

/// What came of the first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Something answered as a registry does.
    Answered(Greeting),
    /// Something answered, and not as a registry does.
    Stranger(Greeting, Unverified),
    /// Nothing answered.
    Silence {
        /// What stood in the way.
        why: Unverified,
        /// Whether the same port answers over plain HTTP where TLS was expected.
        speaks_http: bool,
    },
}

impl Contact {
    /// The first answer, if there was one.
    #[must_use]
    pub fn greeting(&self) -> Option<&Greeting> {
        match self {
            Self::Answered(greeting) | Self::Stranger(greeting, _) => Some(greeting),
            Self::Silence { .. } => None,
        }
    }
}

/// The head of the first answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its status.
    pub status: u16,
    /// The version of HTTP, such as `1.1`.
    pub http: &'static str,
    /// The `Server` header.
    pub server: Option<String>,
    /// The `Docker-Distribution-Api-Version` header.
    pub api_version: Option<String>,
    /// Who gave it, as `SCHEME://HOST[:PORT]`, if that is not who was asked.
    pub redirected_to: Option<String>,
    /// What the connection is protected by.
    pub protection: Protection,
}

/// What a connection is protected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: plain HTTP.
    None,
    /// TLS, with this certificate if it could be read.
    Verified(Option<Certificate>),
    /// TLS with a certificate that was not verified, because the caller takes any.
    Unverified(Option<Certificate>),
}

impl Protection {
    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::None => None,
            Self::Verified(certificate) | Self::Unverified(certificate) => certificate.as_ref(),
        }
    }
}

/// Whose credentials are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// None are.
    Nobody,
    /// Those of this user, as the caller gave them.
    Given(String),
    /// Those that docker or podman have stored for this registry.
    Stored,
}

/// How a registry wants to be told who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Not at all.
    Nothing,
    /// By a user's password with every request.
    Password,
    /// By a token from a token service (distribution, spec/auth/token.md).
    Token {
        /// The token service's host.
        host: String,
        /// The name that the registry has there.
        service: Option<String>,
    },
    /// In a way that this program does not speak.
    Other,
}

/// What came of telling the registry who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// It did not ask.
    NotWanted,
    /// It asked, and there was nothing to tell.
    Missing,
    /// It knows us.
    Accepted,
    /// It does not take these credentials.
    Refused(Unverified),
    /// They could not be read, or not be put to the test, for this reason.
    Untried(String),
}

impl Examination {
    /// What a sweep of this registry can come to.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        if !matches!(self.contact, Contact::Answered(_)) {
            return Outlook::Unreachable;
        }
        let sees_tags = |sample: &Sample| sample.tags.is_ok() && !sample.is_closed();
        if self.sample.as_ref().is_some_and(sees_tags) {
            Outlook::Ready
        } else {
            Outlook::Blind
        }
    }

    /// Whether this looks like a pull-through cache.
    #[must_use]
    pub fn cache_sign(&self) -> CacheSign {
        if self.sample.as_ref().and_then(|sample| sample.unknown) == Some(500) {
            return CacheSign::UnknownFails;
        }
        let answers = self.pull().and_then(|pull| pull.blob.as_ref());
        match answers.map(|answers| (&answers.head, &answers.range)) {
            Some((Ok(head), _)) if head.etag == Etag::BareDigest && !head.accepts_ranges => {
                CacheSign::BareEtag
            }
            Some((Ok(head), Range::Ignored | Range::Honoured)) if head.status == 404 => {
                CacheSign::HeadDenies
            }
            _ => CacheSign::None,
        }
    }

    /// What came of pulling an image, if that was tried.
    #[must_use]
    pub fn pull(&self) -> Option<&Pull> {
        self.sample.as_ref()?.pull.as_ref()
    }

    /// The requests of one sweep, if all repositories and images are like the sample and have
    /// nothing in common: one for the catalog, each tag list and each child of an index, two for
    /// each tag and blob.
    #[must_use]
    pub fn requests_of_a_sweep(&self) -> Option<u64> {
        let repositories = self.catalog.as_ref()?.as_ref().ok()?.entries;
        let sample = self.sample.as_ref()?;
        let tags = sample.tags.as_ref().ok()?.entries;
        let image = sample.pull.as_ref()?.get.as_ref().ok()?;
        let of_one_image = 1 + image.manifests + 2 * image.blobs;
        Some(2 + repositories * (1 + tags * of_one_image))
    }
}
