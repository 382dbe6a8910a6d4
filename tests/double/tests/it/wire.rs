//! What really goes over the socket: short bodies, cut connections, stalls.

use std::time::{Duration, Instant};

use registry_double::{Double, Reply, in_background, on};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::client::{client, get, head, try_send};

/// Everything that the server writes until it closes the connection.
async fn raw(double: &Double, path: &str) -> String {
    let mut socket = TcpStream::connect(double.address())
        .await
        .expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", double.address());
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut all = Vec::new();
    let closed = timeout(PATIENCE, socket.read_to_end(&mut all)).await;
    closed
        .expect("the server closes the connection")
        .expect("orderly");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_cut_body_promises_its_length_and_ends_early_at_the_socket() {
    let double = Double::start().await;
    let digest = double.blob("app", "0123456789");
    double.when(on::blob()).cut_after(4);
    let answer = raw(&double, &format!("/v2/app/blobs/{digest}")).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Length: 10\r\n") || head.ends_with("Content-Length: 10"),
        "{head}"
    );
    assert_eq!(body, "0123");
}

#[tokio::test]
async fn nothing_that_was_said_is_lost_when_a_large_body_is_cut() {
    let double = Double::start().await;
    let large: Vec<u8> = (0..=255_u8).cycle().take(20_000_000).collect();
    let digest = double.blob("app", large.clone());
    double.when(on::blob()).cut_after(15_000_000);
    let answer = get(&double, &format!("/v2/app/blobs/{digest}")).await;
    assert!(!answer.whole);
    assert_eq!(answer.header("content-length"), "20000000");
    assert_eq!(answer.body.len(), 15_000_000);
    assert!(answer.body == large[..15_000_000]);
}

#[tokio::test]
async fn a_chunked_body_can_be_cut_too() {
    let double = Double::start().await;
    double.when(on::ping()).reply(
        Reply::status(200)
            .with_body("half of it")
            .without_header("Content-Length")
            .cut_after(4),
    );
    let answer = get(&double, "/v2/").await;
    assert!(!answer.whole);
    assert_eq!(
        (answer.text().as_str(), answer.header("content-length")),
        ("half", "")
    );
}

#[tokio::test]
async fn hanging_up_is_no_answer_and_the_next_request_is_served() {
    let double = Double::start().await;
    double.when(on::ping().first(1)).hang_up();
    let url = format!("{}/v2/", double.url());
    assert!(try_send(client().get(&url)).await.is_err());
    assert_eq!(get(&double, "/v2/").await.status, 200);
    let statuses: Vec<_> = double.requests().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [0, 200]);
}

#[tokio::test]
async fn a_stall_keeps_the_connection_open() {
    let double = Double::start().await;
    let digest = double.blob("app", "0123456789");
    double.when(on::blob()).stall_after(4);
    let mut response = client()
        .get(format!("{}/v2/app/blobs/{digest}", double.url()))
        .send()
        .await
        .expect("a head");
    assert_eq!(
        &response.chunk().await.expect("a chunk").expect("some")[..],
        b"0123"
    );
    assert!(
        timeout(Duration::from_millis(200), response.chunk())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn delays_and_trickles_take_their_time() {
    let double = Double::start().await;
    let digest = double.blob("app", "0123456789");
    double.when(on::ping()).delay(Duration::from_millis(100));
    double
        .when(on::blob())
        .trickle(2, Duration::from_millis(20));
    let begin = Instant::now();
    get(&double, "/v2/").await;
    assert!(begin.elapsed() >= Duration::from_millis(100));
    let begin = Instant::now();
    let answer = get(&double, &format!("/v2/app/blobs/{digest}")).await;
    assert_eq!((answer.text().as_str(), answer.whole), ("0123456789", true));
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn heads_have_a_length_or_none_as_told() {
    let double = Double::start().await;
    let digest = double.blob("app", "0123456789");
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(head(&double, &path).await.header("content-length"), "10");
    double.when(on::blob()).drop_header("Content-Length");
    assert_eq!(
        head(&double, &path).await.headers.get("content-length"),
        None
    );
    double.forget_rules();
    double.when(on::blob()).set_header("Content-Length", "0");
    assert_eq!(head(&double, &path).await.header("content-length"), "0");
}

#[tokio::test]
async fn dropping_it_closes_the_port_and_the_connections() {
    let double = Double::start().await;
    let address = double.address().to_owned();
    let mut idle = TcpStream::connect(&address).await.expect("connected");
    drop(double);
    let mut byte = [0];
    let read = timeout(PATIENCE, idle.read(&mut byte))
        .await
        .expect("closed");
    assert!(matches!(read, Ok(0) | Err(_)));
    assert!(TcpStream::connect(&address).await.is_err());
}

#[test]
fn in_the_background_it_serves_callers_that_block() {
    use std::io::{Read as _, Write as _};
    let double = in_background(Double::start());
    let mut socket = std::net::TcpStream::connect(double.address()).expect("connected");
    socket
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("written");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn the_log_knows_connections_and_concurrency() {
    let double = Double::start().await;
    // Nobody is answered before all have asked: then time passes at once.
    double.when(on::ping()).delay(PATIENCE);
    double
        .when(on::ping().nth(3))
        .then(|_, _| tokio::time::pause());
    futures::future::join_all((0..3).map(|_| get(&double, "/v2/"))).await;
    assert_eq!(double.peak_in_flight(), 3);
    let mut connections: Vec<_> = double
        .requests()
        .iter()
        .map(|seen| seen.request.connection)
        .collect();
    connections.sort_unstable();
    assert_eq!(connections, [1, 2, 3]);
}
