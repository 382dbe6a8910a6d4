//! Manifests that are bombs, and names that are meant for a terminal or a file system.

use registry_double::sha256;
use serde_json::json;

use super::run::sweep;
use super::server::{Said, Server};

fn child(digest: &str) -> String {
    format!(r#"{{"digest":"{digest}","size":2}}"#)
}

/// An index of as many objects that do not exist, others for each `salt`.
fn wide(salt: usize, entries: usize) -> String {
    let children: Vec<_> = (0..entries)
        .map(|n| child(&format!("sha256:{salt:032x}{n:032x}")))
        .collect();
    format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        children.join(",")
    )
}

#[test]
fn an_index_of_a_hundred_thousand_children() {
    let server = Server::with_manifest(wide(0, 100_000));
    let told = sweep(&server);
    assert_ne!(told.code, Some(0));
}

#[test]
fn an_index_of_indexes_of_thousands_of_children() {
    let inner: Vec<_> = (0..60).map(|salt| wide(salt, 9000)).collect();
    let children: Vec<_> = inner.iter().map(|inner| child(&sha256(inner))).collect();
    let outer = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        children.join(",")
    );
    let by_digest: std::collections::HashMap<_, _> = inner
        .into_iter()
        .map(|inner| (sha256(&inner), inner))
        .collect();
    let server = Server::start(move |_, target| {
        let reference = target.rsplit('/').next().unwrap_or_default();
        let is_outer = reference == "v1" || reference == sha256(&outer);
        let body = if is_outer {
            Some(&outer)
        } else {
            by_digest.get(reference)
        };
        body.filter(|_| target.contains("/manifests/"))
            .map(|body| Said::index(body.clone()))
    });
    let told = sweep(&server);
    assert_ne!(told.code, Some(0), "{:.2000}", told.output);
}

/// Each of hundreds of broken objects breaks each of hundreds of tags.
#[test]
fn hundreds_of_tags_that_share_thousands_of_missing_objects() {
    let body = wide(0, 9000);
    let tags: Vec<_> = (0..800).map(|n| format!("\"t{n:0127}\"")).collect();
    let list = format!(r#"{{"name":"app","tags":[{}]}}"#, tags.join(","));
    let server = Server::start(move |_, target| {
        let reference = target.rsplit('/').next().unwrap_or_default();
        if target.contains("/tags/list") {
            return Some(Said::json(list.clone()));
        }
        let is_there = reference.starts_with('t') || reference == sha256(&body);
        is_there.then(|| Said::index(body.clone()))
    });
    let told = sweep(&server);
    assert_ne!(told.code, Some(0), "{:.2000}", told.output);
}

#[test]
fn indexes_in_indexes_in_indexes() {
    let mut chain = vec![wide(0, 1)];
    for _ in 0..20 {
        let last = chain.last().expect("one");
        let (digest, size) = (sha256(last), last.len());
        let media_type = "application/vnd.oci.image.index.v1+json";
        let child = json!({"mediaType": media_type, "digest": digest, "size": size});
        chain.push(json!({"manifests": [child]}).to_string());
    }
    let server = Server::start(move |_, target| {
        let reference = target.rsplit('/').next().unwrap_or_default();
        let known = chain.iter().find(|body| sha256(body) == reference);
        let body = if reference == "v1" {
            chain.last()
        } else {
            known
        };
        body.filter(|_| target.contains("/manifests/"))
            .map(|body| Said::index(body.clone()))
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(3));
    assert!(
        told.output.contains("nested more than 8 deep"),
        "{:.2000}",
        told.output
    );
}

#[test]
fn json_that_is_nested_without_end() {
    let depth = 2_000_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let depth = depth / open.len();
        for place in ["config", "manifests", "mediaType", "x"] {
            let body = format!(
                r#"{{"{place}":{}0{}}}"#,
                open.repeat(depth),
                close.repeat(depth)
            );
            let told = sweep(&Server::with_manifest(body));
            assert!(
                matches!(told.code, Some(0 | 1 | 3)),
                "{place} {:.2000}",
                told.output
            );
        }
    }
}

#[test]
fn a_manifest_of_millions_of_entries_that_are_none() {
    for place in ["manifests", "layers", "config", "mediaType", "annotations"] {
        let body = format!(r#"{{"{place}":[{}0]}}"#, "0,".repeat(2_000_000));
        let told = sweep(&Server::with_manifest(body));
        assert!(
            matches!(told.code, Some(0 | 1 | 3)),
            "{place} {:.2000}",
            told.output
        );
    }
}

/// Text that would colour, move, retitle or break out, were it printed as it is.
const EVIL: [&str; 8] = [
    "\u{1b}[31mred",
    "\u{1b}]0;title\u{7}",
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "a\r\nb: c",
    "\u{202e}gnp",
    "\0",
    "%2e%2e%2fv2",
];

#[test]
fn names_that_are_no_names() {
    let mut names: Vec<_> = EVIL.iter().map(|&name| name.to_owned()).collect();
    names.push("x".repeat(10_000));
    let lists = names.clone();
    let server = Server::start(move |_, target| {
        let mut list = lists.clone();
        if target.contains("_catalog") {
            list.push("app".into());
            Some(Said::json(json!({"repositories": list}).to_string()))
        } else if target.contains("/tags/list") {
            list.push("v1".into());
            Some(Said::json(json!({"tags": list}).to_string()))
        } else {
            None
        }
    });
    let told = sweep(&server);
    assert_eq!(told.code, Some(1), "{:.2000}", told.output);
    for request in server.requests() {
        let path = request.split('?').next().unwrap_or_default();
        let is_ours =
            ["GET /v2/", "GET /v2/_catalog"].contains(&path) || path.contains(" /v2/app/");
        assert!(is_ours, "{request}");
    }
}

#[test]
fn evil_text_in_every_other_place() {
    for evil in EVIL {
        let index = json!({"manifests": [
            {"digest": format!("sha256:{:064x}", 7), "size": 2, "mediaType": evil,
             "platform": {"os": evil, "architecture": evil}},
            {"digest": evil, "size": 2},
        ]});
        let server = Server::start(move |_, target| {
            let by_digest = format!("sha256:{:064x}", 7);
            let warning = "Warning: 299 - \"\u{9b}31m evil\"\r\n";
            if target.ends_with(&by_digest) {
                let body = json!({"errors": [{"code": evil, "message": evil}]}).to_string();
                return Some(Said::new("404 Not Found", warning, body));
            }
            target
                .contains("/manifests/")
                .then(|| Said::index(index.to_string()))
        });
        let told = sweep(&server);
        assert_eq!(told.code, Some(1), "{:.2000}", told.output);
        assert!(!told.output.contains('\u{202e}'), "{:.2000}", told.output);
    }
}
