//! Deviations of single answers: their status, their headers, their bodies and the ranges in them. Each
//! holds for all requests of its kind to its object.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use registry_double::{Endpoint, Framing, RawAnswer, Request, media_type as t, sha256};

use crate::image::{COPY, Part, REPOSITORY, Stored, TAG};

/// Changes an answer to a request that it is meant for.
pub(crate) type Change = Arc<dyn Fn(&Request, &mut RawAnswer) + Send + Sync>;

/// A deviation of single answers.
pub(crate) struct Deviation {
    pub(crate) kind: &'static str,
    pub(crate) words: String,
    pub(crate) asked: Asked,
    pub(crate) part: Part,
    pub(crate) change: Change,
}

/// Of the requests for an object, those that are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Any,
    Head,
    Get,
    /// GET without a range.
    Whole,
    Ranged,
    ByTag,
    HeadByTag,
    GetByTag,
    ByDigest,
}

impl Asked {
    fn choose(random: &mut Rng, part: Part, is_blob: bool) -> Self {
        use Asked as A;
        let choices: &[Self] = match part {
            _ if is_blob => &[A::Any, A::Any, A::Head, A::Get, A::Whole, A::Ranged],
            Part::Root => &[
                A::Any,
                A::Any,
                A::Head,
                A::Get,
                A::Get,
                A::ByTag,
                A::HeadByTag,
                A::GetByTag,
                A::ByDigest,
            ],
            _ => &[A::Any, A::Head, A::Get],
        };
        *random.choice(choices).expect("there are choices")
    }

    /// Whether a request for the object is one of these.
    pub(crate) fn is_met_by(self, request: &Request) -> bool {
        let is_ranged = request.header("range").is_some();
        let is_by_tag = request.reference.as_deref() == Some(TAG);
        let is_head = request.is_head();
        match self {
            Self::Any => true,
            Self::Head => is_head,
            Self::Get => !is_head,
            Self::Whole => !is_head && !is_ranged,
            Self::Ranged => !is_head && is_ranged,
            Self::ByTag => is_by_tag,
            Self::HeadByTag => is_head && is_by_tag,
            Self::GetByTag => !is_head && is_by_tag,
            Self::ByDigest => !is_by_tag,
        }
    }
}

/// Whether the request is for this part of the image.
pub(crate) fn is_for(request: &Request, stored: &Stored) -> bool {
    let is_its_endpoint = match request.endpoint {
        Endpoint::Manifest => stored.media_type.is_some(),
        Endpoint::Blob => stored.media_type.is_none(),
        _ => false,
    };
    let reference = request.reference.as_deref().unwrap_or_default();
    let is_its_tag = stored.part == Part::Root && reference == TAG;
    is_its_endpoint
        && request.repository.as_deref() == Some(REPOSITORY)
        && (is_its_tag || reference == stored.digest)
}

/// What is told of a change, and the change.
pub(crate) type Told = (&'static str, String, Change);

pub(crate) fn told(
    kind: &'static str,
    words: impl Into<String>,
    change: impl Fn(&Request, &mut RawAnswer) + Send + Sync + 'static,
) -> Told {
    (kind, words.into(), Arc::new(change))
}

/// Chooses a deviation of the answers about one object.
pub(crate) fn choose(random: &mut Rng, stored: &[Stored]) -> Deviation {
    let parts = stored.iter().filter(|stored| stored.part != Part::Rest);
    let target = random
        .choice(parts.collect::<Vec<_>>())
        .expect("an image has parts");
    let is_blob = target.media_type.is_none();
    let mut asked = Asked::choose(random, target.part, is_blob);
    let (kind, words, change) = match random.u8(..12) {
        0 | 1 => status(random),
        2..6 => header(random, target, stored),
        6 | 7 if is_blob => {
            asked = Asked::Ranged;
            range(random, target)
        }
        _ => body(random, target, stored),
    };
    Deviation::new((kind, words, change), target.part, asked)
}

impl Deviation {
    pub(crate) fn new((kind, words, change): Told, part: Part, asked: Asked) -> Self {
        let words = format!("{part:?}, asked for by {asked:?}: {words}");
        Self {
            kind,
            words,
            asked,
            part,
            change,
        }
    }
}

/// Statuses that an answer may have in place of its own. 429 and 503 ask for patience, which a client
/// does not have and the probe has much of; they have tests of their own.
const STATUSES: [u16; 40] = [
    200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 399, 400,
    401, 402, 403, 404, 405, 406, 409, 410, 412, 413, 414, 415, 416, 418, 451, 500, 501, 502, 504,
    507, 599,
];

fn status(random: &mut Rng) -> Told {
    let status = *random.choice(&STATUSES).expect("there are statuses");
    let page = Page::choose(random);
    let location = (300..400).contains(&status).then(|| random.u8(..5));
    if status == 401 {
        let challenge = *random
            .choice(&[
                None,
                Some("Basic realm=\"x\""),
                Some("Bearer realm=\"nowhere\""),
                Some("Odd"),
            ])
            .expect("there are challenges");
        let words = format!("401, challenge {challenge:?}, with {page:?}");
        return told("status 4xx", words, move |_, answer| {
            answer.status = 401;
            page.put(answer);
            if let Some(challenge) = challenge {
                answer.set_header("WWW-Authenticate", challenge);
            }
        });
    }
    let kind = match status / 100 {
        2 => "status 2xx",
        3 => "status 3xx",
        4 => "status 4xx",
        _ => "status 5xx",
    };
    let to = match location {
        None => "",
        Some(0) => ", without a Location",
        Some(1) => ", to no address",
        Some(2) => ", to itself",
        Some(3) => ", to where nothing is",
        Some(_) => ", to where it is",
    };
    told(
        kind,
        format!("{status}{to}, with {page:?}"),
        move |request, answer| {
            answer.status = status;
            page.put(answer);
            let path = &request.path;
            let location = match location {
                None | Some(0) => return,
                Some(1) => "http://[nowhere".to_owned(),
                Some(2) => path.clone(),
                Some(3) => format!("{path}0"),
                Some(_) => elsewhere(request),
            };
            answer.set_header("Location", &location);
        },
    )
}

/// The same object in the other repository.
fn elsewhere(request: &Request) -> String {
    request
        .path
        .replacen(&format!("/{REPOSITORY}/"), &format!("/{COPY}/"), 1)
}

/// What an answer has for a body that is not the object.
#[derive(Clone, Copy, Debug)]
enum Page {
    ItsOwnBody,
    NoBody,
    Error,
    Message,
    Braces,
    Brackets,
    WebPage,
    Text,
}

impl Page {
    fn choose(random: &mut Rng) -> Self {
        *random
            .choice(&[
                Self::ItsOwnBody,
                Self::NoBody,
                Self::Error,
                Self::Error,
                Self::Message,
                Self::Braces,
                Self::Brackets,
                Self::WebPage,
                Self::Text,
            ])
            .expect("there are pages")
    }

    fn bytes(self) -> Option<(&'static str, &'static str)> {
        const JSON: &str = "application/json";
        Some(match self {
            Self::ItsOwnBody => return None,
            Self::NoBody => ("text/plain", ""),
            Self::Error => (
                JSON,
                "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown error\"}]}\n",
            ),
            Self::Message => (JSON, "{\"message\":\"upstream request timeout\"}"),
            Self::Braces => (JSON, "{}"),
            Self::Brackets => (JSON, "[]"),
            Self::WebPage => ("text/html", "<html><body><h1>Sign in</h1></body></html>"),
            Self::Text => ("text/plain", "no healthy upstream"),
        })
    }

    /// Puts it in place of the body, with its type and without what is said of the object.
    fn put(self, answer: &mut RawAnswer) {
        let Some((media_type, text)) = self.bytes() else {
            return;
        };
        answer.set_body(text);
        answer.set_header("Content-Type", media_type);
        for name in [
            "Docker-Content-Digest",
            "Etag",
            "Content-Range",
            "Accept-Ranges",
        ] {
            answer.drop_header(name);
        }
    }
}

fn header(random: &mut Rng, target: &Stored, stored: &[Stored]) -> Told {
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
    let size = target.bytes.len();
    let last = size.saturating_sub(1);
    let own = &target.digest;
    let other = stored.iter().find(|part| part.digest != *own);
    let other = other.map_or_else(|| sha256("other"), |part| part.digest.clone());
    let list = |values: &[&str]| {
        values
            .iter()
            .map(|value| (*value).to_owned())
            .collect::<Vec<_>>()
    };
    match random.u8(..16) {
        0..5 => ("header Content-Type", "Content-Type", content_types(target)),
        5 | 6 => {
            let mut values = list(&["0", "-1", "1.5", "many", "", "99999999999999999999"]);
            values.extend([size + 1, last, size / 2].map(|length| length.to_string()));
            values.push(format!("{size}, {size}"));
            values.push(format!("+{size}"));
            ("header Content-Length", "Content-Length", values)
        }
        7..10 => {
            let mut values = list(&["", "latest", "sha256:", "sha256:00", "md5:00"]);
            values.extend([
                other,
                sha256("nothing at all"),
                own.to_uppercase(),
                own.replacen("sha256:", "", 1),
                format!("\"{own}\""),
                format!("{own} "),
                own.replacen("sha256", "sha512", 1),
            ]);
            (
                "header Docker-Content-Digest",
                "Docker-Content-Digest",
                values,
            )
        }
        10 => {
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
            ("header Content-Range", "Content-Range", values)
        }
        11 => (
            "header Accept-Ranges",
            "Accept-Ranges",
            list(&["none", "", "chunks", "bytes, none"]),
        ),
        12 => {
            let mut values = list(&["", "\"\"", "W/\"x\"", "x", "\"x"]);
            values.extend([
                own.clone(),
                other,
                format!("\"{own}\""),
                format!("W/\"{own}\""),
            ]);
            ("header ETag", "Etag", values)
        }
        13 => {
            let values = list(&[
                "gzip",
                "identity",
                "br",
                "deflate",
                "zstd",
                "aws-chunked",
                "",
                "none",
            ]);
            ("header Content-Encoding", "Content-Encoding", values)
        }
        14 => {
            let values = list(&["/", "", "http://127.0.0.1:1/", "::", "nowhere"]);
            ("header Location", "Location", values)
        }
        _ => {
            let values = list(&["chunked", "identity", "gzip, chunked", "", "odd", "Chunked"]);
            ("header Transfer-Encoding", "Transfer-Encoding", values)
        }
    }
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

fn range(random: &mut Rng, target: &Stored) -> Told {
    let whole = target.bytes.clone();
    let kind = "range";
    let total = move |answer: &RawAnswer| {
        let range = answer.header("Content-Range").unwrap_or_default();
        range
            .rsplit_once('/')
            .and_then(|(_, total)| total.parse::<u64>().ok())
    };
    let set_total = move |answer: &mut RawAnswer, by: i64| {
        let range = answer
            .header("Content-Range")
            .unwrap_or_default()
            .to_owned();
        if let (Some((part, _)), Some(total)) = (range.rsplit_once('/'), total(answer)) {
            let total = total.saturating_add_signed(by);
            answer.set_header("Content-Range", &format!("{part}/{total}"));
        }
    };
    let status = |status: u16, page: Page| {
        told(kind, format!("{status} with {page:?}"), move |_, answer| {
            answer.status = status;
            page.put(answer);
        })
    };
    match random.u8(..13) {
        0 => {
            let refusals = [
                416, 416, 416, 400, 403, 404, 405, 406, 500, 500, 501, 502, 504,
            ];
            let code = *random.choice(&refusals).expect("there are refusals");
            status(code, Page::choose(random))
        }
        1 => told(
            kind,
            "416 with the total, as of something shorter",
            move |_, answer| {
                let shorter = total(answer).unwrap_or_default() / 2;
                answer.status = 416;
                Page::NoBody.put(answer);
                answer.set_header("Content-Range", &format!("bytes */{shorter}"));
            },
        ),
        2 => told(kind, "200 with the part, and Content-Range", |_, answer| {
            answer.status = 200
        }),
        3 => told(
            kind,
            "200 with the part, and no Content-Range",
            |_, answer| {
                answer.status = 200;
                answer.drop_header("Content-Range");
            },
        ),
        4 => told(
            kind,
            "206 with a total that is one too many",
            move |_, answer| {
                set_total(answer, 1);
            },
        ),
        5 => told(
            kind,
            "206 with a total that is one too few",
            move |_, answer| {
                set_total(answer, -1);
            },
        ),
        6 => told(kind, "206 without Content-Range", |_, answer| {
            answer.drop_header("Content-Range");
        }),
        7 => told(
            kind,
            "206 that says to hold the first bytes",
            move |_, answer| {
                let last = answer.body.len().saturating_sub(1);
                let total = total(answer).unwrap_or_default();
                answer.set_header("Content-Range", &format!("bytes 0-{last}/{total}"));
            },
        ),
        8 => told(kind, "206 with other bytes than it says", |_, answer| {
            answer.body.iter_mut().for_each(|byte| *byte ^= 0x55);
        }),
        9 => told(kind, "200 with everything", move |_, answer| {
            answer.status = 200;
            answer.drop_header("Content-Range");
            answer.set_body(whole.clone());
        }),
        10 => told(kind, "206 with everything", move |_, answer| {
            answer.set_body(whole.clone());
            let last = whole.len().saturating_sub(1);
            answer.set_header("Content-Range", &format!("bytes 0-{last}/{}", whole.len()));
        }),
        11 => told(kind, "206 with no byte", |_, answer| answer.set_body("")),
        _ => told(
            kind,
            "206 that says its length and has no byte",
            |_, answer| {
                answer.body.clear();
            },
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

/// What is there for everybody and has nothing of the object, range or not.
pub(crate) fn stub(random: &mut Rng) -> Told {
    let pages = [Page::WebPage, Page::Error, Page::Message, Page::Text];
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

fn body(random: &mut Rng, target: &Stored, stored: &[Stored]) -> Told {
    let at = random.usize(..target.bytes.len().max(1));
    match random.u8(..21) {
        0 | 1 => told(
            "body cut",
            format!("ends after {at} bytes of those that it says"),
            { move |_, answer| answer.body.truncate(at) },
        ),
        2 => told(
            "body cut",
            "ends before it begins, and says its length",
            |_, answer| {
                answer.body.clear();
            },
        ),
        3 => cut_anew(),
        20 => stub(random),
        4 => told(
            "body shorter",
            format!("has only {at} bytes, and says so"),
            move |_, answer| {
                let shorter = answer.body[..at.min(answer.body.len())].to_vec();
                answer.set_body(shorter);
            },
        ),
        5 => told("body emptied", "has no bytes, and says so", |_, answer| {
            answer.set_body("")
        }),
        6 | 7 => {
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
        8 => {
            let others: Vec<_> = stored
                .iter()
                .filter(|other| other.digest != target.digest)
                .collect();
            let other = random
                .choice(others)
                .map_or(Vec::new(), |other| other.bytes.clone());
            let words = format!("is that of {}", sha256(&other));
            told("body of another", words, move |_, answer| {
                answer.set_body(other.clone())
            })
        }
        9 => told(
            "body altered",
            format!("has another byte at {at}"),
            move |_, answer| {
                if let Some(byte) = answer.body.get_mut(at) {
                    *byte ^= 1;
                }
            },
        ),
        10 => told("body chunked", "comes in chunks", |_, answer| {
            answer.framing = Framing::Chunked
        }),
        11 => told(
            "body chunked, cut",
            format!("comes in chunks and ends after {at} bytes"),
            {
                move |_, answer| {
                    answer.body.truncate(at);
                    answer.framing = Framing::ChunkedWithoutEnd;
                }
            },
        ),
        12 => told(
            "body chunked, cut",
            "comes in chunks, whole, without the last one",
            |_, answer| {
                answer.framing = Framing::ChunkedWithoutEnd;
            },
        ),
        13 => told(
            "body chunked, cut",
            "comes in no chunk, with the last one",
            |_, answer| {
                answer.body.clear();
                answer.framing = Framing::Chunked;
            },
        ),
        14 => told(
            "body compressed",
            "comes in gzip, and says so",
            |_, answer| {
                answer.set_body(compressed(&answer.body));
                answer.set_header("Content-Encoding", "gzip");
            },
        ),
        15 => told(
            "body compressed",
            "comes in gzip where that is accepted",
            |request, answer| {
                if request
                    .header("accept-encoding")
                    .is_some_and(|accepted| accepted.contains("gzip"))
                {
                    answer.set_body(compressed(&answer.body));
                    answer.set_header("Content-Encoding", "gzip");
                }
            },
        ),
        16 => told(
            "body compressed",
            "comes in gzip, and does not say so",
            |_, answer| {
                answer.set_body(compressed(&answer.body));
            },
        ),
        17 => {
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
        18 => told(
            "body to the end",
            "has no length and ends with the connection",
            |_, answer| {
                answer.drop_header("Content-Length");
            },
        ),
        _ => told(
            "body to the end, cut",
            format!("has no length and ends after {at} bytes"),
            {
                move |_, answer| {
                    answer.drop_header("Content-Length");
                    answer.body.truncate(at);
                }
            },
        ),
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}
