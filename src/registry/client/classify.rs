//! The one place that looks at status codes, error bodies and transport errors, and turns them
//! into plain data.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::proxies::LOOK_AT_IT;
use super::ssrf_guard;
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

/// What a transport error means. `what` names what was being done, such as `GET /v2/`.
pub(crate) fn transport(error: &reqwest::Error, what: &str) -> Unverified {
    let reason = transport_reason(error);
    let why = Unverified::new(reason, format!("{what}: {}", cause(error)));
    why.advised(advice(error))
}

/// What a person can do about a transport error that has a way out of its own.
pub(crate) fn advice(error: &reqwest::Error) -> Option<&'static str> {
    chain(error).find_map(way_out)
}

/// What a person can do about a cause that has a way out of its own.
fn way_out(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = tls_error(cause) {
        return of_tls(error);
    }
    let is_no_http = |error: &hyper::Error| error.is_parse();
    if cause.downcast_ref().is_some_and(is_no_http) {
        return Some(SPEAKS_TLS);
    }
    let words = cause.to_string();
    // These error types are private to the HTTP library; only their words are visible.
    if words.starts_with("tunnel error") || words.contains("proxy authorization") {
        Some(LOOK_AT_IT)
    } else if words.ends_with(ssrf_guard::OF_THIS_MACHINE) {
        Some(
            "name the registry by the address that it is at: it may not send us to this machine or network",
        )
    } else {
        None
    }
}

/// For an answer to http that is none, or that says so.
pub(crate) const SPEAKS_TLS: &str =
    "if that port speaks TLS, write https:// before the registry's name";

fn of_tls(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription as A, CertificateError as C, Error as E};
    Some(match error {
        E::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "if that port speaks plain http, write http:// before the registry's name"
        }
        E::InvalidCertificate(C::UnknownIssuer) => {
            "nobody that is trusted here has issued its certificate: name the authority's PEM file with --ca-file"
        }
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "the certificate is of other names: dial one of these, or have it issued for this one"
        }
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "renew the registry's certificate, or set this machine's clock if it is wrong"
        }
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "set this machine's clock, or wait until the registry's certificate begins"
        }
        E::AlertReceived(A::CertificateRequired) => {
            "name a client certificate with --client-cert and --client-key"
        }
        E::AlertReceived(A::BadCertificate | A::UnknownCA | A::CertificateUnknown) => {
            "it does not take this client certificate, or wants one: --client-cert and --client-key name it"
        }
        E::InvalidCertificate(C::Other(why))
            if format!("{why:?}").contains("CaUsedAsEndEntity") =>
        {
            "its certificate is one of an authority (CA:TRUE), which is for issuing others: have one issued for the \
             registry (with openssl req -x509: -addext basicConstraints=critical,CA:FALSE), and name it with --ca-file"
        }
        E::InvalidCertificate(_) => "look at the certificate that the registry shows",
        _ => return None,
    })
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

/// Errors of TLS arrive wrapped in I/O errors, whose own `source` passes them over.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || {
        let io = cause.downcast_ref::<io::Error>()?;
        let inner: &'a (dyn Error + 'static) = io.get_ref()?;
        tls_error(inner)
    };
    cause.downcast_ref().or_else(wrapped)
}

/// Whether a connection ended without the words that its protocol has for that.
pub(crate) fn is_early_end(error: &reqwest::Error) -> bool {
    let is_it = |cause: &io::Error| cause.kind() == io::ErrorKind::UnexpectedEof;
    chain(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_it))
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| {
        (*cause).source()
    })
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
    let advice = is_of_proxy
        .then_some("the proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT");
    // 503 speaks of the service (distribution's health check), never of one object.
    let by_object = reason == UnverifiedReason::RegistryError && refusal.status != 503;
    Failure {
        refusal: by_object.then(|| refusal.clone()),
        ..Unverified::new(reason, detail).advised(advice).into()
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
