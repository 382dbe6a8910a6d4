//! The server's end of connections: accepts them, with TLS where it is configured, and keeps each
//! client's share of memory and time bounded.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{StatusCode, Version};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::protection::{self, Caller, WebProtection};

/// Connections that the kernel keeps until they are accepted, as far as it is allowed to. What is beyond
/// that is dropped, and tried again by its client only after seconds.
const BACKLOG: i32 = 4096;

/// The longest head of a request; a longer one is answered with 431.
const LONGEST_HEAD: usize = 16 * 1024;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, of all clients. Others wait for one of them to end.
    pub connections: usize,
    /// How long a connection lasts at least where others wait: then the oldest gives way.
    pub share: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, and between requests.
    pub head: Duration,
    /// For a connection as a whole, however fast its client reads.
    pub connection: Duration,
    /// For answers that are under way when the server stops.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            share: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            connection: Duration::from_secs(300),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// A socket that listens, and what protects it.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    protection: Option<Arc<WebProtection>>,
    limits: Limits,
}

impl Listener {
    /// Binds an address. Port 0 is any free port. To be called in a runtime.
    ///
    /// # Errors
    ///
    /// As the system says it, such as that the address is in use.
    pub fn bind(
        address: SocketAddr,
        protection: Option<WebProtection>,
        limits: Limits,
    ) -> io::Result<Self> {
        let socket = match (bound(address), address) {
            // A system without IPv6 has every IPv4 address still.
            (Err(error), SocketAddr::V6(every)) if every.ip().is_unspecified() => {
                let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, every.port()));
                let is_busy = error.kind() == io::ErrorKind::AddrInUse;
                if is_busy {
                    return Err(error);
                }
                bound(every).map_err(|_| error)?
            }
            (socket, _) => socket?,
        };
        let socket = TcpListener::from_std(socket.into())?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            protection: protection.map(Arc::new),
            limits,
        })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it can be reached, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let is_encrypted = self.protection.as_ref().is_some_and(|p| p.is_encrypted());
        let scheme = if is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Answers requests by the router until `stop`, then finishes what is under way, within a limit.
    ///
    /// All routes are protected but `/healthz` and `/readyz`. What goes wrong with a connection ends
    /// that connection only.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let router = match &self.protection {
            Some(protection) => protection::protect(router, Arc::clone(protection)),
            None => router,
        };
        let mut places = Places::new(self.limits);
        let mut connections = JoinSet::new();
        while let Some(stream) = stop.run_until_cancelled(accepted(&self.socket)).await {
            let Some(Some(place)) = stop.run_until_cancelled(places.next()).await else {
                break;
            };
            let connection = Connection {
                router: router.clone(),
                limits: self.limits,
                stop: stop.clone(),
            };
            let protection = self.protection.clone();
            places.taken(connections.spawn(async move {
                connection.run(stream, protection).await;
                drop(place);
            }));
            while connections.try_join_next().is_some() {}
        }
        drop(self.socket);
        // Dropping the rest ends it.
        let rest = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.limits.goodbye, rest).await;
    }
}

/// A socket that listens at an address; that of every IPv6 address is at every IPv4 address, too, whatever the
/// system's default is.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if matches!(address, SocketAddr::V6(every) if every.ip().is_unspecified()) {
        socket.set_only_v6(false)?;
    }
    // A restart takes over an address on which old connections still fade.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The places that there are for connections.
struct Places {
    limits: Limits,
    free: Arc<Semaphore>,
    /// Connections, the oldest first, some of which may have ended.
    open: VecDeque<(Instant, AbortHandle)>,
}

impl Places {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            free: Arc::new(Semaphore::new(limits.connections)),
            open: VecDeque::new(),
        }
    }

    /// Waits for a place. If all are taken, one is taken from whoever has had his share of time: who
    /// neither asks nor reads must not keep others out.
    async fn next(&mut self) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.free);
        while let Some((since, oldest)) = self.open.pop_front() {
            if oldest.is_finished() {
                continue;
            }
            tokio::select! {
                biased;
                place = Arc::clone(&free).acquire_owned() => {
                    self.open.push_front((since, oldest));
                    return place.ok();
                }
                () = sleep_until(since + self.limits.share) => oldest.abort(),
            }
            break;
        }
        free.acquire_owned().await.ok()
    }

    fn taken(&mut self, connection: AbortHandle) {
        if self.open.len() > 2 * self.limits.connections {
            self.open.retain(|(_, open)| !open.is_finished());
        }
        self.open.push_back((Instant::now(), connection));
    }
}

/// The next connection. What is wrong with one that was given up by its client is of no interest; when
/// the system is out of descriptors, some time may bring some back.
async fn accepted(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_about_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// What one connection needs.
struct Connection {
    router: Router,
    limits: Limits,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, protection: Option<Arc<WebProtection>>) {
        let _ = stream.set_nodelay(true);
        let tls = match protection {
            None => None,
            Some(protection) => match self.in_time(protection.current()).await {
                Some(loaded) => loaded.tls.clone(),
                None => return,
            },
        };
        let Some(acceptor) = tls else {
            let is_certified = false;
            return self.answer(stream, Caller { is_certified }).await;
        };
        match self.in_time(acceptor.accept(stream)).await {
            Some(Ok(stream)) => {
                // Whoever has shown one that could not be verified has not come this far.
                let is_certified = stream.get_ref().1.peer_certificates().is_some();
                self.answer(stream, Caller { is_certified }).await;
            }
            Some(Err(error)) => tracing::debug!("a TLS handshake failed: {error}"),
            None => tracing::debug!("a TLS handshake was given up"),
        }
    }

    async fn in_time<F: Future>(&self, step: F) -> Option<F::Output> {
        let handshake = timeout(self.limits.handshake, step);
        self.stop.run_until_cancelled(handshake).await?.ok()
    }

    /// Answers all requests of a connection.
    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin, caller: Caller) {
        let router = self.router;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut router = router.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(caller);
            async move {
                if names_one_host(&request) {
                    return router.call(request).await;
                }
                let refusal = (StatusCode::BAD_REQUEST, "one Host header is needed\n");
                Ok(refusal.into_response())
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // How a client left is its own affair.
            _ = connection.as_mut() => return,
            () = self.stop.cancelled() => {}
            () = sleep(self.limits.connection) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.limits.goodbye, connection).await;
    }
}

/// Whether a request says whom it is for, as every one has to since HTTP/1.1 (RFC 9112, 3.2).
fn names_one_host<B>(request: &hyper::Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as Plain;

    use super::*;

    #[tokio::test]
    async fn every_address_is_one_of_either_family() {
        let every = "[::]:0".parse().expect("an address");
        let listener = Listener::bind(every, None, Limits::default()).expect("bound");
        let port = listener.address().port();
        for host in ["127.0.0.1", "::1"] {
            // What this machine does not have cannot be asked.
            let is_there = Plain::bind((host, 0)).is_ok();
            let reached = TcpStream::connect((host, port)).await;
            assert_eq!(reached.is_ok(), is_there, "{host}");
        }
        let again = SocketAddr::new(listener.address().ip(), port);
        let taken = Listener::bind(again, None, Limits::default());
        let error = taken.err().expect("it is taken").kind();
        assert_eq!(error, io::ErrorKind::AddrInUse);
    }
}
