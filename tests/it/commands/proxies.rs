//! Proxies: who is asked through one, and what is said of one that is in the way.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use registry_double::{Double, Reply, on};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::probe;

const SWEEP: [&str; 4] = ["--once", "--confirm-after", "0s", "--allow-empty"];
const PASSWORD: &str = "pr0xy-hunter2";

#[tokio::test]
async fn a_proxy_that_refuses_is_told_without_its_password() {
    let proxy = Double::start().await;
    proxy.when(on::any()).reply(Reply::text(403, "Filtered"));
    let url = format!("http://user:{PASSWORD}@{}", proxy.address());
    let environment = [("http_proxy", &*url), ("HTTP_PROXY", "")];
    for command in [&SWEEP[..], &["doctor"]] {
        let said = probe(
            &[command, &["-vv", "http://r.example"]].concat(),
            &environment,
        )
        .await;
        let all = said.all();
        let all = all.split_whitespace().collect::<Vec<_>>().join(" ");
        let named = format!("the proxy http://{} (http_proxy)", proxy.address());
        assert!(all.contains(&named), "{all}");
        assert!(!all.contains(PASSWORD), "{all}");
    }
}

#[tokio::test]
async fn what_names_no_proxy_is_an_error_of_who_would_go_through_it() {
    let double = Double::start().await;
    let port = double.address().rsplit_once(':').expect("a port").1;
    let here = format!("127.0.0.1:{port}");
    for odd in ["socks9://user:pr0xy-hunter2@p.example", "::::"] {
        let all = async |arguments: &[&str], code| {
            let said = probe(arguments, &[("ALL_PROXY", odd)]).await;
            let all = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(said.code, Some(code), "{all}");
            assert!(!all.contains(PASSWORD), "{all}");
            all
        };
        let told = "ALL_PROXY names no proxy that can be used";
        let away = all(&[&SWEEP[..], &["http://r.example"]].concat(), 3).await;
        assert!(
            away.contains(told) && away.contains("unset the variable"),
            "{away}"
        );
        assert!(!away.contains("dns"), "nobody is asked: {away}");
        let page = all(&["doctor", "http://r.example"], 3).await;
        assert!(page.contains("ALL_PROXY names none"), "{page}");
        assert!(page.contains(told), "{page}");
        let push = ["--push-gateway", "http://gateway.example", &here];
        let pushed = all(&[&SWEEP[..], &push].concat(), 3).await;
        assert!(
            pushed.contains("--push-gateway is not asked: ALL_PROXY"),
            "{pushed}"
        );
        // No proxy stands before this machine.
        let swept = all(&[&SWEEP[..], &[&here]].concat(), 0).await;
        assert!(!swept.contains("ALL_PROXY"), "{swept}");
    }
}

/// Takes whatever is sent to it, as a Pushgateway does.
async fn gateway() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 1 << 20];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_gateway_on_this_machine_is_not_asked_through_a_proxy() {
    let double = Double::start().await;
    let (address, task) = gateway().await;
    let push = ["--push-gateway", &address.to_string(), double.address()];
    let proxy = [
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
    ];
    let said = probe(&[&SWEEP[..], &push].concat(), &proxy).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let away = ["--push-gateway", "gateway.example", double.address()];
    let said = probe(&[&SWEEP[..], &away].concat(), &proxy).await;
    let all = said.all();
    assert!(
        all.contains("through the proxy http://127.0.0.1:1 (HTTP_PROXY)"),
        "{all}"
    );
    task.abort();
}

/// A SOCKS proxy (RFC 1928, RFC 1929) that wants a login, leads everybody to one address, and notes whom they wanted.
async fn socks(to: String) -> (SocketAddr, Arc<Mutex<Vec<String>>>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let wanted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&wanted);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(relay(stream, to.clone(), Arc::clone(&seen)));
        }
    });
    (address, wanted, task)
}

async fn relay(mut stream: TcpStream, to: String, seen: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let [_, count] = read(&mut stream).await?;
    stream.read_exact(&mut vec![0; count.into()]).await.ok()?;
    stream.write_all(&[5, 2]).await.ok()?;
    let [_, length] = read(&mut stream).await?;
    let user = read_text(&mut stream, length).await?;
    let [length] = read(&mut stream).await?;
    let password = read_text(&mut stream, length).await?;
    let is_known = user == "user" && password == PASSWORD;
    stream.write_all(&[1, u8::from(!is_known)]).await.ok()?;
    let [_, _, _, kind] = read(&mut stream).await?;
    let host = if kind == 3 {
        let [length] = read(&mut stream).await?;
        read_text(&mut stream, length).await?
    } else {
        let [a, b, c, d] = read(&mut stream).await?;
        format!("{a}.{b}.{c}.{d}")
    };
    let [high, low] = read(&mut stream).await?;
    seen.lock()
        .push(format!("{host}:{}", u16::from_be_bytes([high, low])));
    stream
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .ok()?;
    let mut server = TcpStream::connect(to).await.ok()?;
    copy_bidirectional(&mut stream, &mut server).await.ok()?;
    Some(())
}

async fn read<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn read_text(stream: &mut TcpStream, length: u8) -> Option<String> {
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}

#[tokio::test]
async fn a_registry_is_swept_through_a_socks_proxy() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let (address, wanted, task) = socks(double.address().to_owned()).await;
    for scheme in ["socks5h", "socks5"] {
        let url = format!("{scheme}://user:{PASSWORD}@{address}");
        let host = if scheme == "socks5" {
            "192.0.2.7"
        } else {
            "r.example"
        };
        let registry = format!("http://{host}:5000");
        let said = probe(
            &[&SWEEP[..], &["-vv", &registry]].concat(),
            &[("ALL_PROXY", &url)],
        )
        .await;
        assert_eq!(said.code, Some(0), "{}", said.all());
        assert!(!said.all().contains(PASSWORD), "{}", said.all());
        let last = wanted.lock().last().cloned().unwrap_or_default();
        assert_eq!(last, format!("{host}:5000"), "{scheme}");
    }
    task.abort();
    let url = format!("socks5h://user:{PASSWORD}@{address}");
    let said = probe(
        &[&SWEEP[..], &["http://r.example"]].concat(),
        &[("ALL_PROXY", &url)],
    )
    .await;
    let all = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!("through the proxy socks5h://{address} (ALL_PROXY)");
    assert!(all.contains(&expected), "{all}");
    assert!(!all.contains(PASSWORD), "{all}");
}
