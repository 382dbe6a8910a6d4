//! Clients that are slow, many or endless.

use std::time::Duration;

use registry_probe::service::{Limits, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::TLS;
use super::support::{Ask as _, Authority, Files, Server, client, trusting};
use crate::PATIENCE;

/// Limits that are waited for. Nobody reaches them who sends at once what he has.
fn short() -> Limits {
    Limits {
        handshake: Duration::from_secs(2),
        head: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// Connects, says something, and reads until the server has enough.
async fn cut(server: &Server, text: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server.address).await.ok()?;
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let server = Server::start(None, short()).await;
    let each = [
        "",
        "GET /metrics HT",
        "GET /metrics HTTP/1.1\r\nhost: x\r\nslow: ",
    ]
    .map(async |text| {
        let answer = cut(&server, text).await.expect("an end");
        assert!(!answer.contains("200 OK"), "{text:?}: {answer}");
    });
    futures::future::join_all(each).await;
    let answer = cut(&server, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.expect("an end, after the answer").contains("200 OK"));
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_cut_off() {
    let authority = Authority::new();
    let files = Files::new(TLS);
    files.certify(&authority);
    let server = Server::start(files.protection().ok(), short()).await;
    let each = ["", "\u{16}\u{3}\u{1}", "GET / HTTP/1.1\r\n\r\n"].map(async |text| {
        assert!(cut(&server, text).await.is_some(), "{text:?}");
    });
    futures::future::join_all(each).await;
    let client = trusting(&authority).build().expect("a client");
    assert_eq!(
        client.get(server.https("/metrics")).send().status().await,
        Some(200)
    );
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start(None, Limits::default()).await;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let answer = cut(&server, &head).await.expect("an end");
    assert!(answer.is_empty() || answer.contains("431"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let limits = Limits {
        connections: 2,
        ..short()
    };
    let server = Server::start(None, limits).await;
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(
            TcpStream::connect(server.address)
                .await
                .expect("a connection"),
        );
    }
    let client = client().build().expect("a client");
    assert_eq!(
        client.get(server.http("/metrics")).send().status().await,
        Some(200)
    );
}

#[tokio::test]
async fn a_connection_does_not_last_for_ever() {
    let limits = Limits {
        connection: Duration::from_millis(300),
        goodbye: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start(None, limits).await;
    let answer = cut(&server, "GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(answer.as_deref(), Some(""));
}

#[tokio::test]
async fn running_requests_finish_and_hanging_ones_are_not_waited_for() {
    let limits = Limits {
        goodbye: Duration::from_secs(5),
        ..Limits::default()
    };
    let server = Server::start(None, limits).await;
    let client = client().build().expect("a client");
    let [slow, stuck] = ["/slow", "/stuck"].map(|path| {
        let request = client.get(server.http(path));
        tokio::spawn(async move { request.send().status().await })
    });
    let both = server.arrived.acquire_many(2).await;
    both.expect("they arrive").forget();
    server.stop.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is long since told to stop when the answer is there.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.finish.notify_one();
    timeout(PATIENCE, server.served)
        .await
        .expect("an end")
        .expect("no panic");
    assert_eq!(slow.await.expect("no panic"), Some(200));
    assert_eq!(stuck.await.expect("no panic"), None);
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let server = Server::start(None, Limits::default()).await;
    let second = Listener::bind(server.address, None, Limits::default());
    assert!(second.is_err());
}
