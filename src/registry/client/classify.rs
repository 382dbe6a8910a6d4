//! The one place that looks at status codes, error bodies and transport errors, and turns them
//! into plain data.

use std::io;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;

use super::way_out::{Whose, advice, chain, tls_error};
use crate::oci::{Printable, shorten};
use crate::registry::{Answer, Refusal};
use crate::registry::{Unverified, UnverifiedReason};

/// The longest wait that a sweep sits out. A registry that asks for more is left alone, and what
/// was to be asked of it is unverified.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Why an exchange yielded nothing to go by.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) why: Unverified,
    /// Set if the registry failed on this very object (5xx): then it may be the object's fault.
    pub(crate) refusal: Option<Refusal>,
    /// How long the registry asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Whether it was asked again already, as often as is worth it.
    pub(crate) is_final: bool,
}

impl Failure {
    pub(crate) fn new(reason: UnverifiedReason, detail: impl Into<Printable>) -> Self {
        Unverified::new(reason, detail).into()
    }

    /// What is left after asking again.
    pub(crate) fn last_word(why: Unverified) -> Self {
        Self {
            is_final: true,
            ..why.into()
        }
    }

    /// Whether GET may yet be answered where HEAD was not: the registry fails on it, or leads nowhere.
    pub(crate) fn may_be_of_head(&self) -> bool {
        self.refusal.is_some() || self.why.reason == UnverifiedReason::Protocol
    }

    /// Whether the registry answered, and failed. What never arrived says nothing of how it was asked.
    pub(crate) fn is_of_the_answer(&self) -> bool {
        use UnverifiedReason as R;
        match self.why.reason {
            R::RegistryError | R::Protocol => true,
            R::Timeout
            | R::Connect
            | R::Tls
            | R::Dns
            | R::Unauthorized
            | R::Forbidden
            | R::StorageRefused
            | R::UnknownRepository
            | R::RateLimited
            | R::Deadline
            | R::Cancelled
            | R::TooLarge
            | R::StorageUnavailable
            | R::NothingListed
            | R::ReadOverdue
            | R::ShardsIncomplete => false,
        }
    }

    /// Whether asking again may help, within as long as a sweep waits.
    pub(crate) fn may_pass(&self) -> bool {
        let waits = self.retry_after.is_none_or(|wait| wait <= LONGEST_PAUSE);
        self.why.is_transient() && !self.is_final && waits
    }
}

/// Why there is nothing of what was asked for.
pub(crate) enum Stop {
    /// The registry says that it does not have it.
    Absent(Refusal),
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<T> From<Result<T, Stop>> for Answer<T> {
    fn from(result: Result<T, Stop>) -> Self {
        match result {
            Ok(found) => Self::Found(found),
            Err(Stop::Absent(refusal)) => Self::Absent(refusal),
            Err(Stop::Failed(failure)) => match failure.refusal {
                Some(refusal) => Self::Failing(refusal),
                None => Self::Unverified(failure.why),
            },
        }
    }
}

impl From<Unverified> for Failure {
    fn from(why: Unverified) -> Self {
        Self {
            why,
            refusal: None,
            retry_after: None,
            is_final: false,
        }
    }
}

/// What a transport error means. `what` names what was being done, such as `GET /v2/`, and `of` whose server it was.
pub(crate) fn transport(error: &reqwest::Error, what: &str, of: Whose) -> Unverified {
    let reason = transport_reason(error);
    let why = Unverified::new(reason, format!("{what}: {}", cause(error)));
    why.advised(advice(error, of))
}

fn transport_reason(error: &reqwest::Error) -> UnverifiedReason {
    if error.is_timeout() {
        return UnverifiedReason::Timeout;
    }
    for cause in chain(error) {
        if tls_error(cause).is_some() {
            return UnverifiedReason::Tls;
        }
        // The resolver's error type is private to the HTTP library; only its words are visible.
        if cause.to_string().starts_with("dns error") {
            return UnverifiedReason::Dns;
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::TimedOut
        {
            return UnverifiedReason::Timeout;
        }
    }
    if error.is_builder() || error.is_redirect() {
        UnverifiedReason::Protocol
    } else {
        UnverifiedReason::Connect
    }
}

/// Whether a connection ended without the words that its protocol has for that.
pub(crate) fn is_early_end(error: &reqwest::Error) -> bool {
    let is_it = |cause: &io::Error| cause.kind() == io::ErrorKind::UnexpectedEof;
    chain(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_it))
}

/// The innermost cause in words: the outer ones repeat the URL, which may carry a signature.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let words = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        chain(error)
            .last()
            .map_or_else(|| "the request failed".to_owned(), ToString::to_string)
    };
    // What rustls says of an answer that is not TLS at all.
    if words.contains("InvalidContentType") {
        return "what answers there does not speak TLS".to_owned();
    }
    if words.contains("UnsupportedSignatureAlgorithm") {
        return "its certificate is signed in a way that is not supported (SHA-1, or an unusual key)"
            .to_owned();
    }
    if words.contains("CaUsedAsEndEntity") {
        return "its certificate is one of an authority (CA:TRUE), and none of a server".to_owned();
    }
    shorten(&words, 200)
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<EnvelopeEntry>,
}

#[derive(Deserialize)]
struct EnvelopeEntry {
    code: String,
}

/// The first error code of an error body (distribution-spec, "Error Codes"). The vocabulary is open,
/// so it stays text; a body in any other form has no code.
pub(crate) fn error_code(body: &[u8]) -> Option<Printable> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    envelope
        .errors
        .into_iter()
        .next()
        .map(|entry| Printable::cut(&entry.code, 64))
}

/// As long as anything that asks for patience is taken to mean. Clocks do not reach to the end of what
/// 64 bits of seconds can say.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), a year at most.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(SystemTime::now()).unwrap_or_default();
    Some(wait.min(LONGEST_WAIT))
}

/// How many more requests a host says that it takes, and in how long that begins anew: the headers of
/// draft-ietf-httpapi-ratelimit-headers, with `X-` as many gateways send them, and without a time as
/// Docker Hub does. A time may be one from now or one since 1970, as GitLab writes it.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<(u32, Option<Duration>)> {
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        text.split([';', ',']).next()?.trim().parse::<u64>().ok()
    };
    // Nearly none says anything of it.
    let mut names = headers.keys().map(HeaderName::as_str);
    if !names.any(|name| name.ends_with("ratelimit-remaining")) {
        return None;
    }
    let either = |name: &str| number(name).or_else(|| number(&format!("x-{name}")));
    let left = either("ratelimit-remaining")?;
    let reset = either("ratelimit-reset").map(Duration::from_secs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let reset = reset.map(|reset| reset.checked_sub(now).unwrap_or(reset));
    // One that is past, and not a time from now that is longer than any.
    let is_sane = |reset: &Duration| *reset < now / 2;
    Some((
        u32::try_from(left).unwrap_or(u32::MAX),
        reset.filter(is_sane),
    ))
}

/// What a status means that is neither a success nor a confirmed "not found".
pub(crate) fn refused(refusal: &Refusal) -> Failure {
    let reason = match refusal.status {
        401 => UnverifiedReason::Unauthorized,
        // 412 is Harbor's policy, 451 the law's: the object is there and we may not see it.
        403 if refusal.storage.is_some() => UnverifiedReason::StorageRefused,
        403 | 407 | 412 | 451 => UnverifiedReason::Forbidden,
        429 => UnverifiedReason::RateLimited,
        500..=599 => UnverifiedReason::RegistryError,
        _ => UnverifiedReason::Protocol,
    };
    let who = match &refusal.storage {
        Some(_) => "the storage behind the registry answers",
        None => "answers",
    };
    let detail = format!("{} {who} {}", refusal.request, status_words(refusal));
    let is_of_proxy = refusal.status == 407;
    let advice = if is_of_proxy {
        Some("the proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT")
    } else if reason == UnverifiedReason::Forbidden {
        of_no_repository(&refusal.request)
    } else {
        None
    };
    // 503 speaks of the service (distribution's health check), never of one object.
    let by_object = reason == UnverifiedReason::RegistryError && refusal.status != 503;
    Failure {
        refusal: by_object.then(|| refusal.clone()),
        ..Unverified::new(reason, detail).advised(advice).into()
    }
}

/// What a person can do about a refusal of what is about no repository.
fn of_no_repository(request: &str) -> Option<&'static str> {
    let path = request.split([' ', '?']).nth(1)?;
    if path.ends_with("/v2/") {
        Some(
            "it lets nobody in who comes from here: look at what stands before it, such as a firewall or a list of \
             allowed addresses",
        )
    } else if path.ends_with("/_catalog") {
        Some(
            "these credentials may not list repositories: give them that right, or name repositories in its place",
        )
    } else {
        None
    }
}

/// A refusal's status in words, with its code: `404 Not Found (BLOB_UNKNOWN)`.
pub(crate) fn status_words(refusal: &Refusal) -> String {
    let name = StatusCode::from_u16(refusal.status)
        .ok()
        .and_then(|s| s.canonical_reason());
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    let code = refusal
        .code
        .as_ref()
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    format!("{}{name}{code}", refusal.status)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_is_left_of_a_quota() {
        let of = |pairs: &[(&'static str, String)]| {
            let pair = |(name, value): &(&'static str, String)| {
                let name = reqwest::header::HeaderName::from_static(name);
                (name, value.parse::<HeaderValue>().expect("a header"))
            };
            remaining(&pairs.iter().map(pair).collect())
        };
        let left = |value: &str| ("ratelimit-remaining", value.to_owned());
        let reset = |value: String| ("ratelimit-reset", value);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[left("76;w=21600")]), Some((76, None)));
        assert_eq!(of(&[left("many")]), None);
        let in_a_minute = Some((5, Some(Duration::from_secs(60))));
        assert_eq!(of(&[left("5"), reset("60".into())]), in_a_minute);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let (_, later) = of(&[left("5"), reset((now + 3600).to_string())]).expect("a quota");
        assert!(later.is_some_and(|later| (1800..=3600).contains(&later.as_secs())));
        assert_eq!(
            of(&[left("5"), reset((now - 60).to_string())]),
            Some((5, None))
        );
    }

    #[test]
    fn error_codes_are_an_open_vocabulary() {
        assert_eq!(
            error_code(br#"{"errors":[{"code":"NEW","message":"x","detail":{}}]}"#),
            Some("NEW".into())
        );
        for body in [
            "",
            "404 page not found",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{"code":1}]}"#,
        ] {
            assert_eq!(error_code(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header value");
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
        assert!(read(&soon).is_some_and(|wait| (1800..=3600).contains(&wait.as_secs())));
        assert_eq!(read("soon"), None);
        for endless in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(read(endless), Some(LONGEST_WAIT), "{endless}");
        }
    }

    #[test]
    fn a_refusal_speaks_of_a_repository_where_it_is_of_one() {
        let hint = |request: &str| {
            let refusal = Refusal {
                request: request.into(),
                status: 403,
                code: None,
                storage: None,
                is_page: false,
            };
            refused(&refusal).why.hint().to_owned()
        };
        let of_repository = "check the repository's name";
        for request in ["GET /v2/", "GET /prefix/v2/", "GET /v2/_catalog?n=100"] {
            let hint = hint(request);
            assert!(!hint.contains(of_repository), "{request}: {hint}");
        }
        for request in ["GET /v2/app/tags/list", "HEAD /v2/v2/manifests/v2"] {
            assert!(hint(request).contains(of_repository), "{request}");
        }
    }

    #[test]
    fn only_a_lasting_5xx_may_be_the_objects_fault() {
        let refusal = |status| Refusal {
            request: "GET /v2/app/manifests/v1".into(),
            status,
            code: None,
            storage: None,
            is_page: false,
        };
        for (status, reason, by_object) in [
            (401, UnverifiedReason::Unauthorized, false),
            (403, UnverifiedReason::Forbidden, false),
            (412, UnverifiedReason::Forbidden, false),
            (429, UnverifiedReason::RateLimited, false),
            (500, UnverifiedReason::RegistryError, true),
            (502, UnverifiedReason::RegistryError, true),
            (503, UnverifiedReason::RegistryError, false),
            (400, UnverifiedReason::Protocol, false),
        ] {
            let failure = refused(&refusal(status));
            assert_eq!(
                (failure.why.reason, failure.refusal.is_some()),
                (reason, by_object),
                "{status}"
            );
        }
    }
}
