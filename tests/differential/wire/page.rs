//! What an answer has for a body that is not the object.

use fastrand::Rng;
use registry_double::RawAnswer;

/// What an answer has for a body that is not the object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    Own,
    Nothing,
    Error,
    Message,
    Braces,
    Brackets,
    Web,
    Text,
}

impl Page {
    pub(super) fn choose(random: &mut Rng) -> Self {
        *random
            .choice(&[
                Self::Own,
                Self::Nothing,
                Self::Error,
                Self::Error,
                Self::Message,
                Self::Braces,
                Self::Brackets,
                Self::Web,
                Self::Text,
            ])
            .expect("there are pages")
    }

    pub(super) fn bytes(self) -> Option<(&'static str, &'static str)> {
        const JSON: &str = "application/json";
        Some(match self {
            Self::Own => return None,
            Self::Nothing => ("text/plain", ""),
            Self::Error => (
                JSON,
                "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown error\"}]}\n",
            ),
            Self::Message => (JSON, "{\"message\":\"upstream request timeout\"}"),
            Self::Braces => (JSON, "{}"),
            Self::Brackets => (JSON, "[]"),
            Self::Web => ("text/html", "<html><body><h1>Sign in</h1></body></html>"),
            Self::Text => ("text/plain", "no healthy upstream"),
        })
    }

    /// Puts it in place of the body, with its type and without what is said of the object.
    pub(super) fn put(self, answer: &mut RawAnswer) {
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
