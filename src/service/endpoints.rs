//! The HTTP endpoints. They hand out what is ready, and none of them starts any work.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::status::StatusBoard;
use crate::render::page;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";
const JSON_TYPE: &str = "application/json";

/// All endpoints of the service.
pub(super) fn router(board: Arc<StatusBoard>) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/report.json", get(report))
        .route("/healthz", get(healthz))
        // Not "the first sweep is done": nothing could be scraped meanwhile, the registry being down
        // least of all.
        .route(
            "/readyz",
            get(async || answer(StatusCode::OK, TEXT_TYPE, "ready\n")),
        )
        .fallback(async || answer(StatusCode::NOT_FOUND, TEXT_TYPE, "not found; see /\n"))
        .with_state(board)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (status, headers, body.into()).into_response()
}

async fn status_page(State(board): State<Arc<StatusBoard>>) -> Response {
    let page = board.published().page.clone();
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", page);
    if let Ok(policy) = HeaderValue::from_str(page::content_security_policy()) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn metrics(State(board): State<Arc<StatusBoard>>, headers: HeaderMap) -> Response {
    let published = board.published();
    let process_metrics = board.process_metrics.rendered();
    let is_packed = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(takes_gzip);
    let (first, second) = if is_packed {
        (&published.metrics_gzip, process_metrics.gzip)
    } else {
        (&published.metrics, process_metrics.text)
    };
    let length = first.len() + second.len();
    // What was rendered is shared by all answers: a copy for each of many slow readers takes much memory.
    let pieces = [first.clone(), second].map(Ok::<Bytes, Infallible>);
    let body = Body::from_stream(futures::stream::iter(pieces));
    let mut response = answer(StatusCode::OK, METRICS_TYPE, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether one entry of an Accept-Encoding takes gzip: `gzip;q=0` does not (RFC 9110, 12.5.3).
fn takes_gzip(entry: &str) -> bool {
    let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
    let weight = weight.trim().trim_start_matches("q=");
    coding.trim().eq_ignore_ascii_case("gzip")
        && weight.parse().is_ok_and(|weight: f32| weight > 0.0) | weight.is_empty()
}

/// Which report is wanted.
#[derive(serde::Deserialize)]
struct Wanted {
    registry: Option<String>,
}

async fn report(State(board): State<Arc<StatusBoard>>, Query(wanted): Query<Wanted>) -> Response {
    let published = board.published();
    let Some(registry) = wanted.registry else {
        return answer(StatusCode::OK, JSON_TYPE, published.reports.clone());
    };
    match published.report.get(&registry) {
        None => {
            let text = "no such registry is watched; /report.json has all of them\n";
            answer(StatusCode::NOT_FOUND, TEXT_TYPE, text)
        }
        Some(report) if report.is_empty() => {
            let text = "its first sweep has not ended yet\n";
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT_TYPE, text)
        }
        Some(report) => answer(StatusCode::OK, JSON_TYPE, report.clone()),
    }
}

async fn healthz(State(board): State<Arc<StatusBoard>>) -> Response {
    let stuck = board.stuck();
    if stuck.is_empty() {
        return answer(StatusCode::OK, TEXT_TYPE, "ok\n");
    }
    // Anybody may ask, and the names of registries are not for anybody.
    tracing::error!(registries = stuck.join(", "), "a sweep is stuck");
    let text = "a sweep is stuck; the log says which\n";
    answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT_TYPE, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (entry, takes) in [
            ("gzip", true),
            (" GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("*", false),
        ] {
            assert_eq!(takes_gzip(entry), takes, "{entry}");
        }
    }
}
