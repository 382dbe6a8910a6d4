//! Clients of the endpoints that are many, slow or malicious: everyone is answered or refused, nothing is
//! asked of a registry for their sake, and what they cost is bounded.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use registry_double::{Background, Double, Population, in_background};
use registry_probe::service::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::http::block_on;
use crate::support::process::{PATIENCE, run, tool};
use crate::support::service::Service;

const SCRAPES: usize = 10_000;
/// What a process that serves takes at most, whoever asks.
const MOST_KILOBYTES: u64 = 128 * 1024;

fn registry() -> Background<Double> {
    in_background(async {
        let double = Double::start().await;
        double.populate(Population {
            repositories: 100,
            tags: 1,
            ..Population::default()
        });
        double
    })
}

/// A number from a process's status, such as `VmHWM`.
fn status(service: &Service, name: &str) -> u64 {
    let path = format!("/proc/{}/status", service.id());
    let text = fs::read_to_string(path).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("it is there").parse().expect("a number")
}

fn descriptors(service: &Service) -> usize {
    let path = format!("/proc/{}/fd", service.id());
    fs::read_dir(path).expect("it runs").count()
}

/// Sends bytes and reads to the end of the answer.
fn say(service: &Service, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    // It may have been refused before the end.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn odd_requests_are_answered_properly_and_start_nothing() {
    let double = registry();
    let service = Service::start([double.url()]);
    let before = double.requests().len();
    let long = "a".repeat(10_000);
    let endless = "a".repeat(70_000);
    let flood = "x-more: y\r\n".repeat(300);
    let host = "Host: evil.example\r\n";
    for (line, headers, allowed) in [
        ("GET /metrics HTTP/1.1", host, &[200][..]),
        ("HEAD /metrics HTTP/1.1", host, &[200]),
        ("GET /metrics HTTP/1.0", "", &[200]),
        ("GET http://evil.example/metrics HTTP/1.1", host, &[200]),
        ("GET http://evil.example:99/evil HTTP/1.1", host, &[404]),
        ("GET /../../etc/passwd HTTP/1.1", host, &[404]),
        ("GET /metrics/../../etc/passwd HTTP/1.1", host, &[404]),
        ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", host, &[404]),
        ("GET /..%2f..%2fetc/passwd HTTP/1.1", host, &[404]),
        ("GET //metrics HTTP/1.1", host, &[404]),
        ("GET /metrics%00 HTTP/1.1", host, &[404]),
        ("GET /sweep HTTP/1.1", host, &[404]),
        (
            "GET /report.json?registry=evil.example HTTP/1.1",
            host,
            &[404],
        ),
        (
            "GET /report.json?registry=%ff%fe HTTP/1.1",
            host,
            &[400, 404],
        ),
        (
            "GET /report.json?registry=a&registry=b HTTP/1.1",
            host,
            &[400],
        ),
        (
            &format!("GET /report.json?registry={long} HTTP/1.1"),
            host,
            &[404],
        ),
        (&format!("GET /{endless} HTTP/1.1"), host, &[414, 431]),
        ("GET /metrics HTTP/1.1", &format!("{host}{flood}"), &[431]),
        ("GET /metrics HTTP/1.1", "", &[400]),
        ("GET /metrics HTTP/1.1", "Host: a\r\nHost: b\r\n", &[400]),
        ("GET /metrics HTTP/1.1", "Host: a\r\nbroken\r\n", &[400]),
        ("GET /metrics HTTP/9.9", host, &[400, 505]),
        ("POST /metrics HTTP/1.1", host, &[405]),
        ("PUT /report.json HTTP/1.1", host, &[405]),
        ("DELETE / HTTP/1.1", host, &[405]),
        ("TRACE /metrics HTTP/1.1", host, &[405]),
        ("BREW / HTTP/1.1", host, &[405]),
        ("get /metrics HTTP/1.1", host, &[405]),
        ("OPTIONS * HTTP/1.1", host, &[404, 405]),
        ("CONNECT evil.example:443 HTTP/1.1", host, &[400, 404, 405]),
        ("\u{16}\u{3}\u{1}\u{0}", "", &[400]),
    ] {
        let request = format!("{line}\r\n{headers}Connection: close\r\n\r\n");
        let answer = say(&service, request.as_bytes());
        let shown: String = line.chars().take(60).collect();
        let code = answer
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse::<u16>().ok());
        let code = code.unwrap_or_else(|| panic!("{shown}: no answer: {answer}"));
        assert!(allowed.contains(&code), "{shown}: {answer}");
        assert!(
            !answer.contains("evil"),
            "{shown}: what they say is not repeated: {answer}"
        );
        assert!(!answer.contains("root:"), "{shown}: {answer}");
    }
    // A body that never comes is not waited for.
    let start = Instant::now();
    let request = format!("GET /healthz HTTP/1.1\r\n{host}Content-Length: 100\r\n\r\n1");
    assert!(say(&service, request.as_bytes()).contains("200 OK"));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(
        double.requests().len(),
        before,
        "no endpoint asks a registry"
    );
    assert!(!service.log().contains("panicked"), "{}", service.log());
}

/// What a path is answered with.
async fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Asks among many until the answer is whole, and has this in it. On a slow machine somebody may lose his
/// place to those who wait, and comes again; but not before he has had his share of time.
async fn ask_among_many(address: String, path: &str, part: &str) -> Result<(), String> {
    loop {
        let began = Instant::now();
        let answer = ask(&address, path).await;
        let is_whole = |text: &String| text.starts_with("HTTP/1.1 200") && text.contains(part);
        if answer.as_ref().is_ok_and(is_whole) {
            return Ok(());
        }
        if began.elapsed() < Limits::default().share {
            return Err(format!("after {:?}: {answer:?}", began.elapsed()));
        }
    }
}

async fn scrape(address: String) -> Result<(), String> {
    let scrape = ask_among_many(address, "/metrics", "process_open_fds");
    let answered = tokio::time::timeout(PATIENCE * 5, scrape).await;
    answered.unwrap_or_else(|_| Err("never answered".into()))
}

#[test]
fn ten_thousand_scrapes_at_once_are_all_answered_within_bounds() {
    let own = std::process::id().to_string();
    run(tool("prlimit").args(["--pid", &own, "--nofile=20000:20000"]));
    let double = registry();
    let service = Service::start([double.url()]);
    let before = double.requests().len();
    let is_over = Arc::new(AtomicBool::new(false));
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Acquire) {
                most = most.max(descriptors(&service));
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let health = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let address = service.address().to_owned();
                let told = block_on(ask_among_many(address, "/healthz", "ok"));
                told.expect("health is told");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let outcomes = block_on(async {
            let address = service.address().to_owned();
            let scrapes: Vec<_> = (0..SCRAPES)
                .map(|_| tokio::spawn(scrape(address.clone())))
                .collect();
            futures::future::join_all(scrapes).await
        });
        is_over.store(true, Ordering::Release);
        let failed: Vec<_> = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.expect("no panic").err())
            .collect();
        assert!(
            failed.is_empty(),
            "{} of {SCRAPES}: {:?}",
            failed.len(),
            failed.first()
        );
        health.join().expect("health is always told");
        watch.join().expect("it can be watched")
    });
    let peak = status(&service, "VmHWM");
    assert!(peak < MOST_KILOBYTES, "{peak} kB at the peak");
    assert!(most < 350, "{most} descriptors");
    assert_eq!(
        double.requests().len(),
        before,
        "no endpoint asks a registry"
    );
}

#[test]
fn clients_that_hold_every_place_keep_nobody_out() {
    let double = registry();
    let service = Service::start([double.url()]);
    let many = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000);
    let idle: Vec<_> = (0..600)
        .map(|number| {
            let mut stream = TcpStream::connect(service.address()).expect("the kernel accepts");
            let begin = match number {
                0..400 => many.as_str(),
                400..500 => "GET /metrics HTTP/1.1\r\nHost: x\r\nslow: ",
                _ => "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n1",
            };
            stream.set_nonblocking(true).expect("a socket can be told");
            // As much as fits; none of them ever reads.
            let _ = stream.write(begin.as_bytes());
            stream
        })
        .collect();
    // Once every 2 s, one share of time, 256 of those who wait get their turn. Without that the first of them
    // would keep their places for longer than a client waits here.
    assert!(PATIENCE < Limits::default().connection);
    for _ in 0..20 {
        assert_eq!(service.get("/healthz").status, 200);
    }
    let peak = status(&service, "VmHWM");
    assert!(peak < MOST_KILOBYTES, "{peak} kB at the peak");
    drop(idle);
    assert!(!service.log().contains("panicked"), "{}", service.log());
}
