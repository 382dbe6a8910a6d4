//! A front that passes everything on, and every request only after a while: a sweep through it is never short.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use super::listening::Listening;

/// A running front.
#[derive(Debug)]
pub(crate) struct SlowFront {
    listening: Listening,
}

impl SlowFront {
    /// Holds back whatever a client sends to `backend` for the time given.
    pub(crate) fn start(backend: &str, delay: Duration) -> Self {
        let backend = backend.to_owned();
        let listening = Listening::start(move |client| {
            // Either side may hang up whenever it likes.
            let _ = pass_on(&client, &backend, delay);
        });
        Self { listening }
    }

    /// The name that images behind it begin with.
    pub(crate) fn host(&self) -> String {
        self.listening.host()
    }
}

/// Carries one connection to its end.
fn pass_on(client: &TcpStream, backend: &str, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(backend)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        // An answer that is cut is for the client to notice.
        let _ = io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut requests, mut to_server) = (client, &server);
    // A request without a body arrives in one piece.
    let mut piece = [0_u8; 16 * 1024];
    loop {
        match requests.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                thread::sleep(delay);
                to_server.write_all(&piece[..length])?;
            }
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
    Ok(())
}
