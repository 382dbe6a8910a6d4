//! A server that says whatever it likes, byte by byte and without end, as no HTTP library would.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use registry_double::sha256;

use crate::PATIENCE;

/// What it says to one request.
pub(super) struct Said {
    pub(super) head: String,
    pub(super) body: Body,
}

pub(super) enum Body {
    Bytes(Vec<u8>),
    /// This again and again, for as long as somebody reads.
    Endless(Vec<u8>),
    /// A byte at a time with this pause, head included.
    Dripping(Vec<u8>, Duration),
}

impl Said {
    pub(super) fn new(status: &str, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            head: format!(
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            ),
            body: Body::Bytes(body),
        }
    }

    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", "Content-Type: application/json\r\n", body)
    }

    pub(super) fn index(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = format!(
            "Content-Type: application/vnd.oci.image.index.v1+json\r\nDocker-Content-Digest: {}\r\n",
            sha256(&body)
        );
        Self::new("200 OK", &headers, body)
    }

    pub(super) fn not_found() -> Self {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        Self::new("404 Not Found", "Content-Type: application/json\r\n", body)
    }

    /// An answer whose body has no end.
    pub(super) fn endless(headers: &str, piece: impl Into<Vec<u8>>) -> Self {
        Self {
            head: format!("HTTP/1.1 200 OK\r\n{headers}\r\n"),
            body: Body::Endless(piece.into()),
        }
    }
}

/// A server that says nothing more from some request on: so much is done before the deadline, and no more
/// on a machine that is fast.
pub(super) struct Silence {
    after: usize,
    requests: AtomicUsize,
}

impl Silence {
    pub(super) fn after(requests: usize) -> Self {
        Self {
            after: requests,
            requests: AtomicUsize::new(0),
        }
    }

    /// To be told of every request; returns only while there are answers.
    pub(super) fn asked(&self) {
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.after {
            thread::sleep(PATIENCE);
        }
    }
}

type Speak = dyn Fn(&str, &str) -> Option<Said> + Send + Sync;

/// The server, on a loopback port of its own. Its threads end with the process.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    gate: Arc<Mutex<()>>,
}

impl Server {
    /// Starts a registry with the tag `v1` in `app`; what `speak` says to a method and a target comes
    /// before what such a registry would.
    pub(super) fn start(
        speak: impl Fn(&str, &str) -> Option<Said> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let gate = Arc::<Mutex<()>>::default();
        let (speak, log): (Arc<Speak>, _) = (Arc::new(speak), Arc::clone(&requests));
        let entry = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (speak, log) = (Arc::clone(&speak), Arc::clone(&log));
                let entry = Arc::clone(&entry);
                thread::spawn(move || {
                    drop(entry.lock());
                    _ = converse(&client, &*speak, &log);
                });
            }
        });
        Self {
            address,
            requests,
            gate,
        }
    }

    /// One whose every manifest is this.
    pub(super) fn with_manifest(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::start(move |_, target| {
            target
                .contains("/manifests/")
                .then(|| Said::index(body.clone()))
        })
    }

    /// Keeps it from answering new clients until this is dropped.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `METHOD TARGET` of all requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no thread panics").clone()
    }
}

fn converse(client: &TcpStream, speak: &Speak, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        log.lock()
            .expect("no thread panics")
            .push(format!("{method} {target}"));
        let said = speak(method, target).unwrap_or_else(|| usual(target));
        say(client, said, method == "HEAD")?;
    }
}

/// What a registry says that has `app:v1` and nothing behind it.
fn usual(target: &str) -> Said {
    match target.split('?').next().unwrap_or_default() {
        "/v2/" => Said::json("{}"),
        "/v2/_catalog" => Said::json(r#"{"repositories":["app"]}"#),
        "/v2/app/tags/list" => Said::json(r#"{"name":"app","tags":["v1"]}"#),
        _ => Said::not_found(),
    }
}

fn say(mut client: &TcpStream, said: Said, is_head: bool) -> std::io::Result<()> {
    match said.body {
        Body::Dripping(body, pause) => {
            for byte in said.head.as_bytes().iter().chain(&body) {
                client.write_all(&[*byte])?;
                thread::sleep(pause);
            }
        }
        _ if is_head => client.write_all(said.head.as_bytes())?,
        Body::Bytes(body) => client.write_all(&[said.head.as_bytes(), &body].concat())?,
        Body::Endless(piece) => {
            client.write_all(said.head.as_bytes())?;
            loop {
                client.write_all(&piece)?;
            }
        }
    }
    Ok(())
}
