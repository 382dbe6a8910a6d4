//! Where an answer redirects to, as far as it may lead us there.

use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use super::classify::Failure;
use super::ssrf_guard;
use crate::registry::UnverifiedReason;

/// Redirects followed before it is called a circle.
pub(super) const MOST_REDIRECTS: usize = 5;

/// Where a response redirects to, if it does.
pub(super) fn redirect_target(response: &Response, request: &str) -> Result<Option<Url>, Failure> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    target(response.url(), response.headers(), request).map(Some)
}

/// Where a redirect leads that `from` answers `request` with.
pub(crate) fn target(from: &Url, headers: &HeaderMap, request: &str) -> Result<Url, Failure> {
    let refused = |what: &str| {
        let detail = format!("{request} is redirected to {what}");
        Failure::new(UnverifiedReason::Protocol, detail)
    };
    let location = headers.get(LOCATION).and_then(|it| it.to_str().ok());
    let target = location
        .and_then(|location| from.join(location).ok())
        .filter(|target| matches!(target.scheme(), "http" | "https"))
        .ok_or_else(|| refused("no web address"))?;
    if ssrf_guard::may_send_us_to(from, &target) {
        return Ok(target);
    }
    let host = target.host_str().unwrap_or_default();
    Err(refused(&format!("{host}, {}", ssrf_guard::OF_THIS_MACHINE)))
}

/// Whether two web addresses are of one origin. `Url::origin` says the same, and makes a text of each host.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text| Url::parse(text).expect("a URL");
        let urls = [
            "http://a.example/x",
            "http://A.example:80/y?z",
            "https://a.example/x",
            "https://a.example:443/",
            "http://a.example:443/",
            "http://b.example/x",
            "http://127.0.0.1:5000/",
            "http://127.1:5000/",
            "http://[::1]:5000/",
        ];
        for (one, other) in urls.iter().flat_map(|one| urls.map(|other| (*one, other))) {
            let (a, b) = (url(one), url(other));
            assert_eq!(
                is_same_origin(&a, &b),
                a.origin() == b.origin(),
                "{one} {other}"
            );
        }
    }
}
