//! A proxy before a registry that does to its answers what networks do: it refuses, resets, stalls,
//! trickles, cuts, repeats, alters and swallows them, from a given exchange on and for as many.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::locked;

/// What is done to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset, and new ones are refused for this long.
    Refuse(Duration),
    /// The connection is reset before anything is answered.
    ResetBeforeHead,
    /// The connection is reset when the head was sent.
    ResetAfterHead,
    /// So many bytes of the answer come, head included, and then nothing.
    Stall(usize),
    /// The answer comes so many bytes at a time, with a pause after each.
    Trickle(usize, Duration),
    /// The connection is closed in good order after so many bytes of the body.
    CutBody(usize),
    /// The answer comes twice.
    Duplicate,
    /// This byte of the body (counted round) is changed by this mask.
    Corrupt(usize, u8),
    /// The other side has forgotten the connection: it neither answers nor ends it.
    HalfOpen,
    /// Every connection is like that, for this long.
    BlackHole(Duration),
}

impl Fault {
    /// The word for it in summaries.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse(_) => "refuse",
            Self::ResetBeforeHead => "reset before head",
            Self::ResetAfterHead => "reset after head",
            Self::Stall(_) => "stall",
            Self::Trickle(..) => "trickle",
            Self::CutBody(_) => "cut body",
            Self::Duplicate => "duplicate",
            Self::Corrupt(..) => "corrupt",
            Self::HalfOpen => "half-open",
            Self::BlackHole(_) => "black hole",
        }
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub struct Mishap {
    /// What.
    pub fault: Fault,
    /// The first exchange that it befalls, counted from 1 over all connections.
    pub first: usize,
    /// How many exchanges in a row it befalls.
    pub exchanges: usize,
}

/// The proxy, on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    /// Bound and never listening, so that the port stays ours while connections are refused.
    _port: TcpSocket,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    mishap: Mishap,
    exchanges: AtomicUsize,
    is_black: AtomicBool,
    refuse: Notify,
    struck: Mutex<Vec<String>>,
}

impl FaultProxy {
    /// Starts one before the server at `upstream`, as `HOST:PORT`.
    pub fn start(upstream: &str, mishap: Mishap) -> Self {
        let port = bound(([127, 0, 0, 1], 0).into()).expect("a loopback port is free");
        let address = port.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            mishap,
            exchanges: AtomicUsize::new(0),
            is_black: AtomicBool::new(false),
            refuse: Notify::new(),
            struck: Mutex::default(),
        });
        let listener = listen(address).expect("the port is ours");
        let server = tokio::spawn(accept(listener, address, Arc::clone(&shared)));
        Self {
            address,
            shared,
            server,
            _port: port,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The exchanges so far.
    pub fn exchanges(&self) -> usize {
        self.shared.exchanges.load(Ordering::Relaxed)
    }

    /// The request lines of the exchanges that were befallen so far.
    pub fn struck(&self) -> Vec<String> {
        locked(&self.shared.struck).clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bound(address)?.listen(256)
}

async fn accept(mut listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { _ = converse(client, &shared).await });
                }
            }
            () = shared.refuse.notified() => {
                drop(listener);
                if let Fault::Refuse(time) = shared.mishap.fault {
                    tokio::time::sleep(time).await;
                }
                listener = listen(address).expect("the port is ours still");
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection: request by request, each with what becomes of it.
async fn converse(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(&shared.upstream).await?);
    while let Some(request) = read_head(&mut client).await? {
        let body = read_body(&mut client, length(&request).unwrap_or(0)).await?;
        if shared.is_black.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let fault = shared.next(&request);
        match fault {
            Some(Fault::Refuse(_)) => {
                client.get_ref().set_zero_linger()?;
                shared.refuse.notify_one();
                return Ok(());
            }
            Some(Fault::ResetBeforeHead) => return client.get_ref().set_zero_linger(),
            Some(Fault::HalfOpen) => return std::future::pending().await,
            Some(Fault::BlackHole(time)) => {
                shared.is_black.store(true, Ordering::Relaxed);
                tokio::time::sleep(time).await;
                shared.is_black.store(false, Ordering::Relaxed);
                return std::future::pending().await;
            }
            _ => {}
        }
        server
            .write_all(&[request.as_bytes(), &body].concat())
            .await?;
        let answer = Answer::read(&mut server, request.starts_with("HEAD ")).await?;
        let goes_on = answer.send(client.get_mut(), fault).await?;
        if !goes_on || answer.is_last {
            return Ok(());
        }
    }
    Ok(())
}

impl Shared {
    /// Counts an exchange, and says what befalls it.
    fn next(&self, request: &str) -> Option<Fault> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        let Mishap {
            fault,
            first,
            exchanges,
        } = self.mishap;
        let is_struck = number >= first && number - first < exchanges;
        if is_struck {
            let line = request.lines().next().unwrap_or_default();
            locked(&self.struck).push(line.to_owned());
        }
        is_struck.then_some(fault)
    }
}

/// A registry's answer as it came.
struct Answer {
    head: String,
    body: Vec<u8>,
    /// Whether the registry closed the connection behind it.
    is_last: bool,
}

impl Answer {
    async fn read(server: &mut BufReader<TcpStream>, is_to_head: bool) -> io::Result<Self> {
        let Some(head) = read_head(server).await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let promised = length(&head);
        let body = match promised {
            _ if is_to_head => Vec::new(),
            Some(length) => read_body(server, length).await?,
            None if head.to_ascii_lowercase().contains("chunked") => read_chunks(server).await?,
            None => Vec::new(),
        };
        let is_short = !is_to_head && promised.is_some_and(|length| body.len() < length);
        Ok(Self {
            is_last: is_short || head.to_ascii_lowercase().contains("connection: close"),
            head,
            body,
        })
    }

    /// Sends it with what befalls it, and says whether the connection goes on.
    async fn send(&self, client: &mut TcpStream, fault: Option<Fault>) -> io::Result<bool> {
        let mut whole = [self.head.as_bytes(), &self.body].concat();
        let head = self.head.len();
        match fault {
            Some(Fault::ResetAfterHead) => {
                client.write_all(self.head.as_bytes()).await?;
                // Lets the head arrive: a reset takes away what was not read yet.
                tokio::time::sleep(Duration::from_millis(20)).await;
                client.set_zero_linger()?;
                return Ok(false);
            }
            Some(Fault::Stall(bytes)) => {
                client.write_all(&whole[..bytes.min(whole.len())]).await?;
                // All of it was sent: nothing stalls.
                if bytes < whole.len() {
                    return std::future::pending().await;
                }
            }
            Some(Fault::Trickle(bytes, pause)) => {
                for piece in whole.chunks(bytes.max(1)) {
                    client.write_all(piece).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Some(Fault::CutBody(bytes)) => {
                let end = (head + bytes).min(whole.len());
                client.write_all(&whole[..end]).await?;
                return Ok(false);
            }
            Some(Fault::Duplicate) => client.write_all(&whole.repeat(2)).await?,
            Some(Fault::Corrupt(byte, mask)) => {
                if !self.body.is_empty() {
                    whole[head + byte % self.body.len()] ^= mask;
                }
                client.write_all(&whole).await?;
            }
            _ => client.write_all(&whole).await?,
        }
        Ok(true)
    }
}

/// Everything up to the empty line; nothing where the connection has ended.
async fn read_head(from: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        if from.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        if head.ends_with("\r\n\r\n") {
            return Ok(Some(head));
        }
    }
}

fn length(head: &str) -> Option<usize> {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    };
    head.lines().find_map(value)
}

/// So many bytes, or fewer where the connection ends.
async fn read_body(from: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).await?;
    Ok(body)
}

/// A chunked body as it came.
async fn read_chunks(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            return Ok(body);
        }
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        body.extend_from_slice(line.as_bytes());
        body.extend(read_body(from, size + 2).await?);
        if size == 0 {
            return Ok(body);
        }
    }
}
