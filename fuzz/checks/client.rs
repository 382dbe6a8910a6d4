//! What must hold for everything that is read of an answer, whatever a registry sends.

use std::net::IpAddr;

use base64::Engine as _;
use reqwest::header::{
    HeaderMap, HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{StatusCode, Version};
use serde_json::json;
use url::{Host, Url};

use super::challenge::{Challenge, challenges};
use super::content_range::ContentRange;
use super::login_file::{LoginFile, Rules};
use super::login_helper;
use super::meter::Meter;
use super::packed::Counted;
use super::rate_limiter::{Bounds, Pool};
use super::reply::{Body, Reply};
use super::scope::Scope;
use super::secret::Credentials;
use super::secret::{Secret, basic_header, bearer_header};
use super::{
    Endpoint, certificate as certificates, classify, link as links, page as pages, redirect,
    token as tokens,
};
use crate::oci::fuzzing::assert_printable;
use crate::oci::{Reference, Repository};
use crate::registry::Refusal;

/// Registries that send us elsewhere, and whether they are on this machine.
const REGISTRIES: [(&str, bool); 3] = [
    ("https://registry.example/v2/", false),
    ("http://registry.example:5000/v2/", false),
    ("http://127.0.0.1:5000/v2/", true),
];
/// Longer than anything that is told of one answer.
const LONGEST_DETAIL: usize = 600;

/// The lines of an input as header fields of one name.
fn fields(name: &HeaderName, input: &[u8]) -> HeaderMap {
    let lines = input.split(|b| *b == b'\n');
    let values = lines.filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (name.clone(), value)).collect()
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

/// Fails for an address that only this machine, or this link, can reach.
fn assert_elsewhere(target: &Url, is_local: bool) {
    let address = match target.host().expect("an address on the web") {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            assert!(is_local || name != "localhost", "{target}");
            return;
        }
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => address.to_canonical(),
    };
    let is_link_local = match address {
        IpAddr::V4(address) => address.octets()[..2] == [169, 254],
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    };
    assert!(!is_link_local, "{target}");
    let is_here = address.is_loopback() || address.is_unspecified();
    assert!(is_local || !is_here, "{target}");
}

/// `WWW-Authenticate`: what is read of it is read again when it is written, and no realm leads where a
/// registry may not send us.
pub(crate) fn challenge(input: &[u8]) {
    for challenge in challenges(&fields(&WWW_AUTHENTICATE, input)) {
        let Challenge::Bearer(bearer) = challenge else {
            continue;
        };
        assert!(!bearer.realm.is_empty());
        let parameter = |name: &str, value: &str| {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{escaped}\"")
        };
        let optional = [("service", &bearer.service), ("scope", &bearer.scope)];
        let mut written = vec![parameter("realm", &bearer.realm)];
        written.extend(optional.into_iter().filter_map(|(name, value)| {
            let value = value.as_deref()?;
            assert!(!value.is_empty());
            Some(parameter(name, value))
        }));
        let written = format!("Bearer {}", written.join(","));
        let again = challenges(&fields(&WWW_AUTHENTICATE, written.as_bytes()));
        assert_eq!(again, [Challenge::Bearer(bearer.clone())], "{written}");
        for (registry, is_local) in REGISTRIES {
            match tokens::vet(&url(registry), &bearer.realm) {
                Ok(realm) => {
                    assert!(realm.scheme() == "https" || registry.starts_with("http:"));
                    assert_elsewhere(&realm, is_local);
                }
                Err(why) => assert_printable(&why.detail, LONGEST_DETAIL),
            }
        }
    }
}

/// `Location`: no redirect leads where a registry may not send us.
pub(crate) fn redirect(input: &[u8]) {
    for (registry, is_local) in REGISTRIES {
        let headers = fields(&LOCATION, input);
        match redirect::target(&url(registry), &headers, "GET /v2/") {
            Ok(target) => {
                assert!(matches!(target.scheme(), "http" | "https"), "{target}");
                assert_elsewhere(&target, is_local);
            }
            Err(failure) => assert_printable(&failure.why.detail, LONGEST_DETAIL),
        }
    }
}

/// `Link`: the next page is one of the same list on the same host, whatever the link says.
pub(crate) fn link(input: &[u8]) {
    let headers = fields(&LINK, input);
    let Some(query) = links::next_query(&headers) else {
        return;
    };
    assert!(!query.contains(['#', '>']), "{query}");
    let list = url("https://registry.example:5000/prefix/v2/_catalog");
    let mut page = list.clone();
    page.set_query(Some(&query));
    assert_eq!(page.fragment(), None);
    page.set_query(None);
    assert_eq!(page, list);
    let written = format!("</v2/_catalog?{query}>; rel=\"next\"");
    let again = links::next_query(&fields(&LINK, written.as_bytes()));
    assert_eq!(again.as_ref(), Some(&query), "{written}");
}

/// A file of docker's or podman's: nothing of it is in an error, a helper is a program of that name and
/// nothing else, and credentials that are read are read again when they are written.
pub(crate) fn docker_config(input: &[u8]) {
    let file = match LoginFile::parse(input) {
        Ok(file) => file,
        Err(why) => {
            let place = why.strip_prefix("not a docker config, line ");
            let place = place.and_then(|place| place.split_once(" column "));
            let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            assert!(place.is_some_and(|(line, column)| is_number(line) && is_number(column)));
            return;
        }
    };
    let repository: Repository = "team/app".parse().expect("a name");
    for registry in ["docker.io", "registry.example:5000", "r"] {
        if let Some(helper) = file.helper(registry, Rules::Docker)
            && let Some(program) = login_helper::program(helper.name)
        {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(program.starts_with("docker-credential-") && program.chars().all(is_plain));
        }
        if let Some(entry) = file.entry(registry, Some(&repository))
            && let Ok(Some(found)) = entry.credentials()
        {
            assert!(file.names(registry));
            check_credentials(&found);
        }
    }
}

fn check_credentials(found: &Credentials) {
    assert_eq!(format!("{found:?}"), "[credentials]");
    let Credentials::Password { username, password } = found else {
        return;
    };
    // Base64 of anything can be sent.
    assert!(basic_header(username, password).is_ok());
    let pair = format!("{username}:{}", password.reveal());
    // A colon in a name, an empty one, and NUL bytes around a password cannot be written so.
    let is_padded = password.reveal().trim_matches('\0') != password.reveal();
    if username.contains(':') || username.is_empty() || is_padded {
        return;
    }
    let auth = base64::engine::general_purpose::STANDARD.encode(&pair);
    let written = json!({"auths": {"https://r/v2/": {"auth": auth}}}).to_string();
    let file = LoginFile::parse(written.as_bytes());
    let file = file.unwrap_or_else(|why| panic!("{why}"));
    let entry = file.entry("r", None).expect("what was written by us");
    assert_eq!(entry.credentials(), Ok(Some(found.clone())));
}

/// `Content-Range`: what is taken makes sense, and is taken again when it is written.
pub(crate) fn content_range(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let range = ContentRange::parse(text);
    let written = |total: &str| {
        let bytes = range.bytes.map(|(first, last)| format!("{first}-{last}"));
        format!("bytes {}/{total}", bytes.as_deref().unwrap_or("*"))
    };
    if let Some((first, last)) = range.bytes {
        assert!(first <= last);
        assert!(range.total.is_none_or(|total| last < total));
        let length = range.total.unwrap_or_default();
        assert!(range.is((first, last), length));
        assert!(!range.is((first, last ^ 1), length));
        assert_eq!(range.is((first, last), length ^ 1), range.total.is_none());
    }
    let total = range.total.map(|total| total.to_string());
    let written = written(total.as_deref().unwrap_or("*"));
    assert_eq!(ContentRange::parse(&written), range, "{written}");
}

/// The body of an error: its code is short and printable, and is read again when it is written.
pub(crate) fn envelope(input: &[u8]) {
    let code = classify::error_code(input);
    for status in [400, 401, 404, 429, 500, 503] {
        let refusal = Refusal {
            request: "GET /v2/app/manifests/v1".into(),
            status,
            code: code.clone(),
            storage: None,
            is_page: false,
        };
        let failure = classify::refused(&refusal);
        assert_printable(&failure.why.detail, LONGEST_DETAIL);
    }
    let Some(code) = code else {
        return;
    };
    assert_printable(&code, 65);
    if code.chars().count() <= 64 {
        let written = json!({"errors": [{"code": code}]}).to_string();
        assert_eq!(classify::error_code(written.as_bytes()), Some(code));
    }
}

/// The answer of a token service: a token that lives for a while, and no longer than a day.
pub(crate) fn token(input: &[u8]) {
    let Some(fetched) = tokens::read(input) else {
        return;
    };
    let token = fetched.token.reveal();
    assert!(!token.is_empty());
    assert!(!fetched.lifetime.is_zero() && fetched.lifetime <= tokens::LONGEST_LIFETIME);
    if let Err(why) = bearer_header(&fetched.token) {
        assert!(!why.detail.contains(token) || token.len() < 8, "{why}");
    }
    let written = json!({"access_token": token, "expires_in": fetched.lifetime.as_secs_f64()});
    let again = tokens::read(written.to_string().as_bytes()).expect("what was written by us");
    assert!(again.token == Secret::new(token));
}

/// `Retry-After`: whatever is asked for is a pause that a clock can measure.
pub(crate) fn retry_after(input: &[u8]) {
    let headers = fields(&RETRY_AFTER, input);
    let Some(wait) = classify::retry_after(&headers) else {
        return;
    };
    assert!(wait <= classify::LONGEST_WAIT);
    let bounds = Bounds {
        at_a_time: 1,
        a_second: None,
    };
    let pool = Pool::new(bounds, Meter::new("a"));
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        pool.throttled(status, Some(wait));
        pool.answered(&headers);
        pool.throttled(status, None);
    }
    let seconds = wait.as_secs().to_string();
    let again = classify::retry_after(&fields(&RETRY_AFTER, seconds.as_bytes()));
    assert_eq!(again.map(|wait| wait.as_secs()), Some(wait.as_secs()));
}

fn page_of(bytes: Vec<u8>) -> Reply {
    Reply {
        request: "GET /v2/_catalog".to_owned(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        redirected_to: None,
        version: Version::HTTP_11,
        tls: None,
        proxy: None,
        body: Body {
            raw: Counted {
                received: bytes.len() as u64,
                digest: None,
            },
            bytes,
            ..Body::default()
        },
    }
}

/// A page of a list: an object with the list's own key and no error, and names that lead nowhere else
/// than to what they name.
pub(crate) fn page(input: &[u8]) {
    let app: Repository = "app".parse().expect("a name");
    let reply = page_of(input.to_vec());
    for (key, scope) in [
        ("repositories", Scope::Catalog),
        ("tags", Scope::Pull(&app)),
    ] {
        let entries = match pages::read_page(&reply, &scope) {
            Ok(entries) => entries,
            Err(failure) => {
                assert_printable(&failure.why.detail, LONGEST_DETAIL);
                continue;
            }
        };
        assert!(entries.len() <= pages::MOST_ENTRIES);
        assert_eq!(classify::error_code(input), None);
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(input) {
            let list = value.as_object().and_then(|object| object.get(key));
            assert!(list.is_some_and(|list| list.is_null() || list.is_array()));
        }
        entries
            .iter()
            .flatten()
            .for_each(|text| check_name(text, &app));
        let written = page_of(json!({ key: entries }).to_string().into_bytes());
        assert!(pages::read_page(&written, &scope).is_ok_and(|again| again == entries));
    }
}

fn check_name(text: &str, app: &Repository) {
    let endpoint = Endpoint::parse("https://registry.example/prefix", false).expect("an address");
    if let Ok(repository) = text.parse() {
        let path = endpoint.tags(&repository).path().to_owned();
        assert_eq!(path, format!("/prefix/v2/{text}/tags/list"));
    }
    if let Ok(tag) = text.parse() {
        let target = endpoint.manifest(app, &Reference::Tag(tag));
        assert_eq!(target.path(), format!("/prefix/v2/app/manifests/{text}"));
    }
}

/// A certificate: what is told of it is short and printable.
pub(crate) fn certificate(input: &[u8]) {
    if let Some(certificate) = certificates::parse(input) {
        assert_printable(&certificate.subject, 121);
        assert_printable(&certificate.issuer, 121);
        assert!(certificate.not_after >= std::time::SystemTime::UNIX_EPOCH);
    }
}
