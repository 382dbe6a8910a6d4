//! One answer: what it says, and how it goes over the wire, whole or not.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer, healthy or not. Built by chaining: `Reply::error(429, "TOOMANYREQUESTS",
/// "slow").with_header(…)`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code; 0 closes the connection without an answer.
    pub status: u16,
    /// The body that exists; what is promised may differ.
    pub body: Bytes,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) length: Length,
    /// Boxed, because most answers have nothing special about it and all are passed around by
    /// value.
    pub(crate) delivery: Box<Delivery>,
}

/// What `Content-Length` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The length of the body.
    True,
    /// This, whatever the body's length: the connection is closed where the body ends too early.
    Promised(u64),
    /// Nothing: no header for a HEAD, a chunked body for a GET.
    Unsaid,
}

/// How the answer goes over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// How long nothing comes at all.
    pub(crate) before_head: Duration,
    /// Where the body stops before its end, and what happens there.
    pub(crate) stop: Option<(usize, Ending)>,
    /// So many bytes at a time, with this pause after each.
    pub(crate) pace: Option<(usize, Duration)>,
}

/// What happens where a body stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection is closed.
    Cut,
    /// The connection stays open and nothing more comes.
    Stall,
}

impl Reply {
    /// An answer with this status and no body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            body: Bytes::new(),
            headers: Vec::new(),
            length: Length::True,
            delivery: Box::default(),
        }
    }

    /// No answer: the connection is closed.
    pub fn hang_up() -> Self {
        Self::status(0)
    }

    /// The registry's error envelope with one error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"errors": [{"code": code, "message": message}]}),
        )
    }

    /// The registry's error envelope with one error that has a `detail`.
    pub fn error_with(status: u16, code: &str, message: &str, detail: &Value) -> Self {
        Self::json(
            status,
            &json!({"errors": [{"code": code, "message": message, "detail": detail}]}),
        )
    }

    /// A JSON answer; a line break ends it, as in distribution.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::status(status)
            .with_body(format!("{value}\n"))
            .with_header("Content-Type", "application/json; charset=utf-8")
    }

    /// A plain text answer, as from Go's own server.
    pub fn text(status: u16, text: &str) -> Self {
        Self::status(status)
            .with_body(text.to_owned())
            .with_header("Content-Type", "text/plain; charset=utf-8")
            .with_header("X-Content-Type-Options", "nosniff")
    }

    /// A web page, as front proxies send it.
    pub fn html(status: u16, title: &str) -> Self {
        let page = format!(
            "<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
        );
        Self::status(status)
            .with_body(page)
            .with_header("Content-Type", "text/html")
    }

    /// An object store's error document.
    pub fn xml_error(status: u16, code: &str) -> Self {
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>"
        );
        Self::status(status)
            .with_body(document)
            .with_header("Content-Type", "application/xml")
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).with_header("Location", location)
    }

    /// The first value of a header, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a header in place of those of that name. `Content-Length` becomes a promise that the
    /// body need not keep.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        self.without_header(name).and_header(name, value)
    }

    /// Adds a header beside those of that name.
    pub fn and_header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("content-length") {
            return self.promising(value.parse().expect("a length is a number"));
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes away the headers of that name, `Content-Length` too.
    pub fn without_header(mut self, name: &str) -> Self {
        if name.eq_ignore_ascii_case("content-length") {
            self.length = Length::Unsaid;
        }
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces the body, and with it the length.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.length = Length::True;
        self
    }

    /// Says that the body has this length. Where it is shorter, the connection is closed at its
    /// end; where it is longer, the rest is not sent.
    pub fn promising(mut self, length: u64) -> Self {
        self.length = Length::Promised(length);
        self
    }

    /// Changes the errors of the registry's envelope, one by one; any other body stays as it is.
    pub fn telling(self, change: impl Fn(&mut Value)) -> Self {
        let Ok(mut body) = serde_json::from_slice::<Value>(&self.body) else {
            return self;
        };
        let Some(errors) = body["errors"].as_array_mut() else {
            return self;
        };
        errors.iter_mut().for_each(change);
        self.with_body(format!("{body}\n"))
    }

    /// The answer comes only after this time.
    pub fn delayed(mut self, pause: Duration) -> Self {
        self.delivery.before_head = pause;
        self
    }

    /// The connection is closed after so many bytes of the body.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.delivery.stop = Some((bytes, Ending::Cut));
        self
    }

    /// Nothing more comes after so many bytes of the body, and the connection stays open.
    pub fn stalled_after(mut self, bytes: usize) -> Self {
        self.delivery.stop = Some((bytes, Ending::Stall));
        self
    }

    /// The body comes in pieces of so many bytes with a pause after each.
    pub fn trickled(mut self, bytes: usize, pause: Duration) -> Self {
        self.delivery.pace = Some((bytes.max(1), pause));
        self
    }

    /// What `Content-Length` says, if it says anything.
    pub fn content_length(&self) -> Option<u64> {
        match self.length {
            Length::True => Some(self.body.len() as u64),
            Length::Promised(length) => Some(length),
            Length::Unsaid => None,
        }
    }
}
