//! Heads that flood or drip, and answers that lead where nobody should go.

use std::net::TcpListener;
use std::time::Duration;

use super::run::{sweep, sweep_to_the_deadline, sweep_with};
use super::server::{Body, Said, Server};

#[test]
fn a_flood_of_headers() {
    let many = "X-Flood: x\r\n".repeat(100_000);
    let long = format!("X-Flood: {}\r\n", "x".repeat(20 << 20));
    for headers in [many, long] {
        let server = Server::start(move |_, target| {
            target
                .contains("/manifests/")
                .then(|| Said::new("200 OK", &headers, "{}"))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(3), "{:.2000}", told.output);
    }
}

#[test]
fn a_head_that_drips() {
    let server = Server::start(|_, target| {
        let mut said = Said::json("{}");
        said.body = Body::Dripping(b"{}".to_vec(), Duration::from_millis(200));
        target.contains("/manifests/").then_some(said)
    });
    let told = sweep_to_the_deadline(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn nobody_is_led_to_a_metadata_service() {
    for target_of in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://2852039166/",
        "http://metadata.google.internal/",
    ] {
        let server = Server::start(move |_, target| {
            let headers = format!("Location: {target_of}\r\n");
            target
                .contains("/manifests/")
                .then(|| Said::new("307 Temporary Redirect", &headers, ""))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(3));
        let why = "is redirected to";
        assert!(
            told.output.contains(why),
            "{target_of}: {:.2000}",
            told.output
        );
    }
}

#[test]
fn a_link_to_another_host_is_followed_to_none() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = elsewhere.local_addr().expect("an address");
    elsewhere.set_nonblocking(true).expect("set");
    let server = Server::start(move |_, target| {
        let headers =
            format!("Link: <http://{address}/v2/app/tags/list?last=v1>; rel=\"next\"\r\n");
        let is_first = target.contains("/tags/list") && !target.contains("last=");
        is_first.then(|| Said::new("200 OK", &headers, r#"{"tags":["v0"]}"#))
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(1), "{:.2000}", told.output);
    assert!(elsewhere.accept().is_err(), "somebody came");
}

fn challenge(realm: &str) -> Said {
    let headers = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"\r\n");
    Said::new("401 Unauthorized", &headers, "")
}

#[test]
fn a_token_of_a_megabyte() {
    let server = Server::start(|_, target| {
        let token = || format!(r#"{{"token":"{}"}}"#, "x".repeat(1 << 20));
        if target.starts_with("/token") {
            Some(Said::json(token()))
        } else {
            None
        }
    });
    let realm = format!("http://{}/token", server.address);
    let registry = Server::start(move |_, _| Some(challenge(&realm)));
    let told = sweep(&registry);
    assert_eq!(told.code, Some(3));
    assert!(
        told.output.contains("the answer is too long"),
        "{:.2000}",
        told.output
    );
}

#[test]
fn a_token_service_at_a_metadata_address_gets_no_password() {
    let server = Server::start(|_, _| Some(challenge("http://169.254.169.254/token")));
    let password = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(password.path(), "hunter2").expect("written");
    let file = password.path().to_str().expect("text");
    let told = sweep_with(&server, &["--username", "u", "--password-file", file]);
    assert_eq!(told.code, Some(3));
    let why = "names a token service that is at";
    assert!(told.output.contains(why), "{:.2000}", told.output);
}
