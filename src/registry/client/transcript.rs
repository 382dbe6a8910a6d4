//! The heads of a registry's answers, for whoever wants to know how it answers beside what.

use parking_lot::Mutex;
use reqwest::Method;

use super::reply::{Body, Reply};

/// Answers that are kept until somebody takes them.
const MOST_HEADS: usize = 64;

/// An answer without what it brought. Of a refusal, the body stays, for its code.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) reply: Reply,
}

/// The answers that came since they were last taken; none before somebody asks for them.
#[derive(Default)]
pub(crate) struct Transcript(Mutex<Option<Vec<Head>>>);

impl Transcript {
    pub(super) fn note(&self, method: &Method, reply: &Reply) {
        let mut heads = self.0.lock();
        let Some(heads) = heads.as_mut().filter(|heads| heads.len() < MOST_HEADS) else {
            return;
        };
        let is_refusal = !reply.status.is_success();
        let body = Body {
            bytes: if is_refusal {
                reply.body.bytes.clone()
            } else {
                Vec::new()
            },
            raw: reply.body.raw.clone(),
            unpacked: reply.body.unpacked.clone(),
            layer: None,
            was_read: reply.body.was_read,
            end: reply.body.end,
        };
        heads.push(Head {
            method: method.clone(),
            reply: Reply {
                proxy: reply.proxy.clone(),
                request: reply.request.clone(),
                status: reply.status,
                headers: reply.headers.clone(),
                redirected_to: reply.redirected_to.clone(),
                version: reply.version,
                tls: reply.tls.clone(),
                body,
            },
        });
    }

    /// What came since the last time. The first time, that is nothing, and from then on it is kept.
    pub(crate) fn take(&self) -> Vec<Head> {
        let mut heads = self.0.lock();
        heads.replace(Vec::new()).unwrap_or_default()
    }
}
