//! A body that is cut, emptied, replaced, altered, in chunks, compressed, padded, or without a length.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use registry_double::{Framing, sha256};

use super::page::Page;
use super::{Told, told};
use crate::image::Stored;

pub(super) fn choose(random: &mut Rng, target: &Stored, stored: &[Stored]) -> Told {
    match random.u8(..20) {
        0..5 => cut(random, target),
        5..7 => shorter(random, target),
        7..12 => other(random, target, stored),
        12..15 => in_chunks(random, target),
        15..18 => in_gzip(random),
        18 => to_the_end(random, target),
        _ => stub(random),
    }
}

/// A place in the object.
fn place(random: &mut Rng, target: &Stored) -> usize {
    random.usize(..target.bytes.len().max(1))
}

/// It ends before the length that it says.
fn cut(random: &mut Rng, target: &Stored) -> Told {
    let at = place(random, target);
    match random.u8(..4) {
        0 => told(
            "body cut",
            "ends before it begins, and says its length",
            |_, answer| answer.body.clear(),
        ),
        1 => cut_anew(),
        _ => told(
            "body cut",
            format!("ends after {at} bytes of those that it says"),
            move |_, answer| answer.body.truncate(at),
        ),
    }
}

/// Ends at another place each time.
pub(crate) fn cut_anew() -> Told {
    let answers = AtomicUsize::new(0);
    told(
        "body cut",
        "ends at another place each time",
        move |_, answer| {
            let place = answers.fetch_add(1, Ordering::Relaxed) * 97 + 11;
            answer.body.truncate(place % answer.body.len().max(1));
        },
    )
}

/// It has fewer bytes, and says so.
fn shorter(random: &mut Rng, target: &Stored) -> Told {
    let at = place(random, target);
    if random.bool() {
        return told("body emptied", "has no bytes, and says so", |_, answer| {
            answer.set_body("");
        });
    }
    told(
        "body shorter",
        format!("has only {at} bytes, and says so"),
        move |_, answer| {
            let shorter = answer.body[..at.min(answer.body.len())].to_vec();
            answer.set_body(shorter);
        },
    )
}

/// It has other bytes, or more.
fn other(random: &mut Rng, target: &Stored, stored: &[Stored]) -> Told {
    let at = place(random, target);
    match random.u8(..5) {
        0 | 1 => {
            let page = Page::choose(random);
            let keeps_head = random.bool();
            let head = if keeps_head {
                "its own head"
            } else {
                "a head of that"
            };
            told(
                "body replaced",
                format!("is {page:?} under {head}"),
                move |_, answer| {
                    let before = answer.headers.clone();
                    page.put(answer);
                    if keeps_head && let Some((_, text)) = page.bytes() {
                        answer.headers = before;
                        answer.set_body(text);
                    }
                },
            )
        }
        2 => {
            let others = stored.iter().filter(|other| other.digest != target.digest);
            let other = random.choice(others.collect::<Vec<_>>());
            let other = other.map_or(Vec::new(), |other| other.bytes.clone());
            let words = format!("is that of {}", sha256(&other));
            told("body of another", words, move |_, answer| {
                answer.set_body(other.clone());
            })
        }
        3 => told(
            "body altered",
            format!("has another byte at {at}"),
            move |_, answer| {
                if let Some(byte) = answer.body.get_mut(at) {
                    *byte ^= 1;
                }
            },
        ),
        _ => {
            let padding = random.usize(1..40);
            let is_said = random.bool();
            let said = if is_said {
                "and says so"
            } else {
                "beyond its length"
            };
            told(
                "body padded",
                format!("has {padding} bytes more, {said}"),
                move |_, answer| {
                    let longer = [answer.body.clone(), vec![b'\n'; padding]].concat();
                    if is_said {
                        answer.set_body(longer);
                    } else {
                        answer.body = longer;
                    }
                },
            )
        }
    }
}

fn in_chunks(random: &mut Rng, target: &Stored) -> Told {
    let at = place(random, target);
    match random.u8(..4) {
        0 => told("body chunked", "comes in chunks", |_, answer| {
            answer.framing = Framing::Chunked;
        }),
        1 => {
            let words = format!("comes in chunks and ends after {at} bytes");
            told("body chunked, cut", words, move |_, answer| {
                answer.body.truncate(at);
                answer.framing = Framing::ChunkedWithoutEnd;
            })
        }
        2 => {
            let words = "comes in chunks, whole, without the last one";
            told("body chunked, cut", words, |_, answer| {
                answer.framing = Framing::ChunkedWithoutEnd;
            })
        }
        _ => told(
            "body chunked, cut",
            "comes in no chunk, with the last one",
            |_, answer| {
                answer.body.clear();
                answer.framing = Framing::Chunked;
            },
        ),
    }
}

fn in_gzip(random: &mut Rng) -> Told {
    let kind = "body compressed";
    match random.u8(..3) {
        0 => told(kind, "comes in gzip, and says so", |_, answer| {
            answer.set_body(compressed(&answer.body));
            answer.set_header("Content-Encoding", "gzip");
        }),
        1 => told(
            kind,
            "comes in gzip where that is accepted",
            |request, answer| {
                let accepted = request.header("accept-encoding").unwrap_or_default();
                if accepted.contains("gzip") {
                    answer.set_body(compressed(&answer.body));
                    answer.set_header("Content-Encoding", "gzip");
                }
            },
        ),
        _ => told(kind, "comes in gzip, and does not say so", |_, answer| {
            answer.set_body(compressed(&answer.body));
        }),
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Only the connection ends it, behind the object or within.
fn to_the_end(random: &mut Rng, target: &Stored) -> Told {
    let at = place(random, target);
    if random.bool() {
        return told(
            "body to the end",
            "has no length and ends with the connection",
            |_, answer| {
                answer.drop_header("Content-Length");
            },
        );
    }
    let words = format!("has no length and ends after {at} bytes");
    told("body to the end, cut", words, move |_, answer| {
        answer.drop_header("Content-Length");
        answer.body.truncate(at);
    })
}

/// What is there for everybody and has nothing of the object, range or not.
pub(crate) fn stub(random: &mut Rng) -> Told {
    let pages = [Page::Web, Page::Error, Page::Message, Page::Text];
    let page = *random.choice(&pages).expect("there are pages");
    let how = random.u8(..5);
    let words = match how {
        0 => "is 200 that says its length and has no byte, whatever is asked".to_owned(),
        1 => "is 200 of no chunk, whatever is asked".to_owned(),
        2 => "is 200 that says to have no byte, whatever is asked".to_owned(),
        _ => format!("is 200 with {page:?}, whatever is asked"),
    };
    told("stub", words, move |request, answer| {
        if request.is_head() {
            return;
        }
        answer.status = 200;
        if let Some(total) = answer
            .header("Content-Range")
            .and_then(|range| range.rsplit_once('/'))
        {
            let total = total.1.to_owned();
            answer.set_header("Content-Length", &total);
        }
        answer.drop_header("Content-Range");
        match how {
            0 => answer.body.clear(),
            1 => {
                answer.body.clear();
                answer.framing = Framing::Chunked;
            }
            2 => answer.set_body(""),
            _ => page.put(answer),
        }
    })
}
