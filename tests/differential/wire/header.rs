//! A header that is missing, doubled, odd or wrong.

use fastrand::Rng;
use registry_double::{Framing, media_type as t, sha256};

use super::{Told, told};
use crate::image::Stored;

pub(super) fn choose(random: &mut Rng, target: &Stored, stored: &[Stored]) -> Told {
    let (kind, name, values) = named(random, target, stored);
    let own = || format!("{name}, as it is");
    match random.u8(..8) {
        0 | 1 => told(kind, format!("{name} is missing"), move |_, answer| {
            if name == "Content-Length" {
                // The rest of an answer without a length is told by its chunks, or by the end.
                answer.framing = Framing::Chunked;
            }
            answer.drop_header(name);
        }),
        2 => told(kind, format!("{} twice", own()), move |_, answer| {
            let value = answer.header(name).unwrap_or_default().to_owned();
            answer.headers.push((name.to_owned(), value));
        }),
        3 => {
            let value = random.choice(values).expect("there are values");
            let is_first = random.bool();
            let place = if is_first { "before" } else { "behind" };
            told(
                kind,
                format!("{}, and {place} it once more: {value:?}", own()),
                move |_, answer| {
                    let at = if is_first { 0 } else { answer.headers.len() };
                    answer.headers.insert(at, (name.to_owned(), value.clone()));
                },
            )
        }
        _ => {
            let value = random.choice(values).expect("there are values");
            told(kind, format!("{name}: {value}"), move |_, answer| {
                answer.set_header(name, &value);
            })
        }
    }
}

/// A header, and what it may say that is not so.
fn named(
    random: &mut Rng,
    target: &Stored,
    stored: &[Stored],
) -> (&'static str, &'static str, Vec<String>) {
    match random.u8(..16) {
        0..5 => ("header Content-Type", "Content-Type", content_types(target)),
        5 | 6 => ("header Content-Length", "Content-Length", lengths(target)),
        7..10 => (
            "header Docker-Content-Digest",
            "Docker-Content-Digest",
            digests(target, stored),
        ),
        10 => ("header Content-Range", "Content-Range", ranges(target)),
        11 => {
            let values = ["none", "", "chunks", "bytes, none"];
            ("header Accept-Ranges", "Accept-Ranges", list(&values))
        }
        12 => ("header ETag", "Etag", tags(target, stored)),
        13 => {
            let values = [
                "gzip",
                "identity",
                "br",
                "deflate",
                "zstd",
                "aws-chunked",
                "",
                "none",
            ];
            ("header Content-Encoding", "Content-Encoding", list(&values))
        }
        14 => {
            let values = ["/", "", "http://127.0.0.1:1/", "::", "nowhere"];
            ("header Location", "Location", list(&values))
        }
        _ => {
            let values = ["chunked", "identity", "gzip, chunked", "", "odd", "Chunked"];
            (
                "header Transfer-Encoding",
                "Transfer-Encoding",
                list(&values),
            )
        }
    }
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// The digest of something else.
fn another(target: &Stored, stored: &[Stored]) -> String {
    let another = stored.iter().find(|part| part.digest != target.digest);
    another.map_or_else(|| sha256("another"), |part| part.digest.clone())
}

fn lengths(target: &Stored) -> Vec<String> {
    let size = target.bytes.len();
    let mut values = list(&["0", "-1", "1.5", "many", "", "99999999999999999999"]);
    values.extend([size + 1, size.saturating_sub(1), size / 2].map(|length| length.to_string()));
    values.extend([format!("{size}, {size}"), format!("+{size}")]);
    values
}

fn digests(target: &Stored, stored: &[Stored]) -> Vec<String> {
    let own = &target.digest;
    let mut values = list(&["", "latest", "sha256:", "sha256:00", "md5:00"]);
    values.extend([
        another(target, stored),
        sha256("nothing at all"),
        own.to_uppercase(),
        own.replacen("sha256:", "", 1),
        format!("\"{own}\""),
        format!("{own} "),
        own.replacen("sha256", "sha512", 1),
    ]);
    values
}

fn ranges(target: &Stored) -> Vec<String> {
    let size = target.bytes.len();
    let last = size.saturating_sub(1);
    let mut values = list(&[
        "bytes */*",
        "bytes",
        "",
        "0-0/1",
        "items 0-1/2",
        "bytes 5-2/9",
    ]);
    values.extend([
        format!("bytes {last}-{last}/{}", size + 1),
        format!("bytes 0-{last}/*"),
        format!("bytes 0-{last}/{size}"),
        format!("bytes 0-0/{size}"),
        format!("bytes */{size}"),
    ]);
    values
}

fn tags(target: &Stored, stored: &[Stored]) -> Vec<String> {
    let own = &target.digest;
    let mut values = list(&["", "\"\"", "W/\"x\"", "x", "\"x"]);
    values.extend([
        own.clone(),
        another(target, stored),
        format!("\"{own}\""),
        format!("W/\"{own}\""),
    ]);
    values
}

fn content_types(target: &Stored) -> Vec<String> {
    let mut types: Vec<_> = [
        "",
        "text/plain",
        "text/plain; charset=utf-8",
        "text/html",
        "text/html; charset=utf-8",
        "application/json",
        "application/json; charset=utf-8",
        "application/octet-stream",
        "binary/octet-stream",
        "nonsense",
        t::OCI_MANIFEST,
        t::OCI_INDEX,
        t::OCI_ARTIFACT,
        t::OCI_CONFIG,
        t::DOCKER_MANIFEST,
        t::DOCKER_LIST,
        t::DOCKER_SCHEMA1,
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.example.thing.v1+json",
    ]
    .map(str::to_owned)
    .into();
    if let Some(own) = &target.media_type {
        types.retain(|media_type| media_type != own);
        types.extend([
            format!("{own}; charset=utf-8"),
            format!("{own};charset=utf-8;q=1"),
            own.to_uppercase(),
            format!("{own}, {own}"),
            own.replacen("vnd", "vnf", 1),
        ]);
    }
    types
}
