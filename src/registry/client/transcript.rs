//! The heads of a registry's answers, for whoever wants to know how it answers beside what.

use std::sync::{Mutex, PoisonError};

use reqwest::Method;

use super::reply::Reply;

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
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heads) = heads.as_mut().filter(|heads| heads.len() < MOST_HEADS) else {
            return;
        };
        let (method, mut reply) = (method.clone(), reply.clone());
        if reply.status.is_success() {
            reply.body.bytes = Vec::new();
        }
        heads.push(Head { method, reply });
    }

    /// What came since the last time. The first time, that is nothing, and from then on it is kept.
    pub(crate) fn take(&self) -> Vec<Head> {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.replace(Vec::new()).unwrap_or_default()
    }
}
