//! From bytes to requests and from answers to bytes: the HTTP server around a registry.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::line::{Line, Scissors};
use crate::registry::Registry;
use crate::reply::{Ending, Length, Reply};
use crate::request::Request;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Accepts connections for ever. Dropping the future closes them all.
pub(crate) async fn serve(listener: TcpListener, registry: Registry) {
    let mut connections = JoinSet::new();
    let mut count = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                count += 1;
                connections.spawn(converse(socket, registry.clone(), count));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers the requests of one connection until either side closes it.
async fn converse(socket: TcpStream, registry: Registry, connection: u64) {
    // Small answers in two writes would otherwise wait for the client's delayed acknowledgement.
    let _ = socket.set_nodelay(true);
    let scissors = Scissors::default();
    let line = TokioIo::new(Line::new(socket, scissors.clone()));
    let service = service_fn(|request| {
        let (registry, scissors) = (registry.clone(), scissors.clone());
        async move { respond(request, &registry, connection, scissors).await }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(line, service);
    // How a connection ends is the client's to notice; cutting one is half of what this server is
    // for.
    let _ = server.await;
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
enum Unanswered {
    /// The registry was told to.
    OnRequest,
    /// The request's own body did not arrive.
    Unread,
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Unanswered {}

async fn respond(
    request: hyper::Request<Incoming>,
    registry: &Registry,
    connection: u64,
    scissors: Scissors,
) -> Result<hyper::Response<Body>, Unanswered> {
    let request = read(request, registry, connection).await?;
    let _in_flight = registry.log().enter();
    let is_head = request.is_head();
    let reply = registry.answer(&request);
    pause(reply.delivery.before_head).await;
    if reply.status == 0 {
        return Err(Unanswered::OnRequest);
    }
    Ok(written(reply, is_head, scissors))
}

/// Reads a request completely, body and all.
async fn read(
    request: hyper::Request<Incoming>,
    registry: &Registry,
    connection: u64,
) -> Result<Request, Unanswered> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let token_path = registry.gate().token_path();
    let mut read = Request::new(
        head.method.as_str(),
        head.uri.path(),
        query,
        token_path.as_deref(),
    );
    for name in head.headers.keys() {
        let values = head
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        read.headers.insert(
            name.as_str().to_owned(),
            values.collect::<Vec<_>>().join(", "),
        );
    }
    read.body = body
        .collect()
        .await
        .map_err(|_| Unanswered::Unread)?
        .to_bytes();
    read.connection = connection;
    Ok(read)
}

/// The head and body as hyper wants them.
fn written(reply: Reply, is_head: bool, scissors: Scissors) -> hyper::Response<Body> {
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        let name = HeaderName::try_from(name.as_str()).expect("a script uses valid header names");
        let value =
            HeaderValue::try_from(value.as_str()).expect("a script uses valid header values");
        response = response.header(name, value);
    }
    // A 204 and a 304 have no body to speak of; saying a length would be wrong or, for hyper,
    // impossible.
    let length = reply
        .content_length()
        .filter(|_| !matches!(reply.status, 204 | 304));
    if let Some(length) = length {
        response = response.header("Content-Length", length);
    }
    let body = if is_head || matches!(reply.status, 204 | 304) {
        Empty::new().boxed_unsync()
    } else {
        body(reply, scissors)
    };
    response
        .body(body)
        .expect("a script uses valid status codes")
}

fn body(mut reply: Reply, scissors: Scissors) -> Body {
    if let Length::Promised(promised) = reply.length {
        let promised = usize::try_from(promised).unwrap_or(usize::MAX);
        if reply.body.len() < promised && reply.delivery.stop.is_none() {
            let end = reply.body.len();
            reply = reply.cut_after(end);
        }
        reply.body.truncate(promised);
    }
    let is_plain = reply.delivery.stop.is_none()
        && reply.delivery.pace.is_none()
        && reply.length != Length::Unsaid;
    if is_plain {
        Full::new(reply.body).boxed_unsync()
    } else {
        script(reply, scissors)
    }
}

/// A body that follows its script: in pieces, and with an end of its own.
fn script(reply: Reply, scissors: Scissors) -> Body {
    let delivery = reply.delivery;
    let mut body = reply.body;
    if let Some((stop, _)) = delivery.stop {
        body.truncate(stop);
    }
    let (size, between) = delivery.pace.unwrap_or((64 * 1024, Duration::ZERO));
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(size.min(rest.len()));
        pause(between).await;
        Some((piece, rest))
    });
    let ending = delivery.stop.map(|(_, ending)| ending);
    let end = stream::once(async move {
        match ending {
            None => return None,
            Some(Ending::Cut) => scissors.cut(),
            Some(Ending::Stall) => {}
        }
        std::future::pending::<Option<Bytes>>().await
    });
    let frames = pieces
        .map(Some)
        .chain(end)
        .filter_map(|piece| async { piece.map(|piece| Ok(Frame::data(piece))) });
    StreamBody::new(frames).boxed_unsync()
}

/// Waits; no time at all takes no time, where the timer would round it up to a millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
