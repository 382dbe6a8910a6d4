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
