//! Lists and bodies without end, or with another length than they say.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::run::{sweep, sweep_to_the_deadline};
use super::server::{Body, Said, Server, Silence};

fn is_tags(target: &str) -> bool {
    target.contains("/tags/list")
}

fn is_manifest(target: &str) -> bool {
    target.contains("/manifests/")
}

/// A page of as many new tags, and a link to the next.
fn page(number: usize, entries: usize) -> Said {
    let tags: Vec<_> = (0..entries)
        .map(|n| format!(r#""{}-{n}""#, "t".repeat(100) + &number.to_string()))
        .collect();
    let headers = format!(
        "Link: </v2/app/tags/list?page={}>; rel=\"next\"\r\n",
        number + 1
    );
    let body = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
    Said::new("200 OK", &headers, body)
}

#[test]
fn a_list_that_never_ends() {
    let (pages, silence) = (AtomicUsize::new(0), Silence::after(20_000));
    let server = Server::start(move |_, target| {
        silence.asked();
        is_tags(target).then(|| page(pages.fetch_add(1, Ordering::Relaxed), 1000))
    });
    let told = sweep_to_the_deadline(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn a_list_of_what_is_no_tag_that_never_ends() {
    let pages = AtomicUsize::new(0);
    let server = Server::start(move |_, target| {
        is_tags(target).then(|| {
            let number = pages.fetch_add(1, Ordering::Relaxed);
            let entries: Vec<_> = (0..20_000).map(|n| format!(r#""/{number}/{n}""#)).collect();
            let next = number + 1;
            let headers = format!("Link: </v2/app/tags/list?page={next}>; rel=\"next\"\r\n");
            let body = format!(r#"{{"name":"app","tags":[{}]}}"#, entries.join(","));
            Said::new("200 OK", &headers, body)
        })
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
    assert!(told.output.contains("too_large"), "{:.2000}", told.output);
}

#[test]
fn a_catalog_that_never_ends() {
    let pages = AtomicUsize::new(0);
    let server = Server::start(move |_, target| {
        target.contains("_catalog").then(|| {
            let number = pages.fetch_add(1, Ordering::Relaxed);
            let names: Vec<_> = (0..1000).map(|n| format!(r#""r{number}/{n}""#)).collect();
            let headers = format!("Link: </v2/_catalog?page={}>; rel=\"next\"\r\n", number + 1);
            let body = format!(r#"{{"repositories":[{}]}}"#, names.join(","));
            Said::new("200 OK", &headers, body)
        })
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn a_page_that_never_ends() {
    let server = Server::start(|_, target| {
        is_tags(target).then(|| Said::endless("", r#"{"tags":["a","b","#))
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3));
    assert!(
        told.output.contains("longer than 32 MiB"),
        "{:.2000}",
        told.output
    );
}

#[test]
fn a_page_of_millions_of_entries() {
    for entry in ["0,", r#""a","#, "[[]],"] {
        let server = Server::start(move |_, target| {
            let page = || format!(r#"{{"tags":[{}0]}}"#, entry.repeat(6_000_000 / entry.len()));
            is_tags(target).then(|| Said::json(page()))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(3));
        assert!(
            told.output.contains("250000 entries"),
            "{:.2000}",
            told.output
        );
    }
}

#[test]
fn ten_gigabytes_of_manifest() {
    for headers in ["Content-Length: 10000000000\r\n", "Connection: close\r\n"] {
        let server = Server::start(move |_, target| {
            is_manifest(target).then(|| Said::endless(headers, vec![b' '; 65_536]))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(3));
        assert!(
            told.output.contains("the answer is longer"),
            "{:.2000}",
            told.output
        );
    }
}

#[test]
fn large_manifests_side_by_side() {
    let server = Server::start(|_, target| match target {
        _ if is_tags(target) => {
            let tags: Vec<_> = (0..16).map(|n| format!(r#""v{n}""#)).collect();
            Some(Said::json(format!(r#"{{"tags":[{}]}}"#, tags.join(","))))
        }
        _ if is_manifest(target) => {
            // A byte too long for each, so that all of it is held before it is given up.
            Some(Said::json(vec![b' '; (16 << 20) + 1]))
        }
        _ => None,
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn an_error_that_never_ends() {
    let server = Server::start(|_, target| {
        let mut said = Said::endless("", vec![b'x'; 65_536]);
        said.head = said.head.replace("200 OK", "403 Forbidden");
        is_manifest(target).then_some(said)
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn a_gzip_bomb_that_nobody_asked_for() {
    let server = Server::start(|_, target| {
        let headers =
            "Content-Encoding: gzip\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n";
        // As much of a bomb as can be: bytes that claim to be compressed.
        let bomb = [vec![0x1f, 0x8b, 8, 0], vec![0; 1 << 20]].concat();
        is_manifest(target).then(|| Said::new("200 OK", headers, bomb))
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(1), "{:.2000}", told.output);
    assert!(
        told.output.contains("invalid_manifest"),
        "{:.2000}",
        told.output
    );
}

#[test]
fn a_gzip_bomb_that_is_one() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..500 {
        encoder
            .write_all(&vec![b' '; 1 << 20])
            .expect("memory takes it");
    }
    let bomb = encoder.finish().expect("memory takes it");
    let server = Server::start(move |_, target| {
        let headers = "Content-Encoding: gzip\r\nContent-Type: application/json\r\n";
        let is_object = target.contains("/manifests/") || target.contains("/blobs/");
        is_object.then(|| Said::new("200 OK", headers, bomb.clone()))
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
    assert!(told.output.contains("too_large"), "{:.2000}", told.output);
}

#[test]
fn a_body_that_drips() {
    let server = Server::start(|_, target| {
        let mut said = Said::json(vec![b' '; 1000]);
        said.body = Body::Dripping(vec![b' '; 1000], Duration::from_millis(100));
        is_manifest(target).then_some(said)
    });
    let told = sweep_to_the_deadline(&server);
    assert_eq!(told.code, Some(3), "{:.2000}", told.output);
}

#[test]
fn a_length_that_no_number_holds() {
    for length in [
        "18446744073709551615",
        "-1",
        "99999999999999999999999999",
        "1, 2",
    ] {
        let server = Server::start(move |_, target| {
            let headers = format!("Content-Length: {length}\r\n");
            is_manifest(target).then(|| Said::endless(&headers, vec![b'x'; 4096]))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(3), "{length}: {:.2000}", told.output);
    }
}
