//! Deviations of single answers: their status, their headers, their bodies and the ranges in them. Each
//! holds for all requests of its kind to its object.

mod body;
mod header;
mod page;
mod range;
mod status;

use std::sync::Arc;

use fastrand::Rng;
use registry_double::{Endpoint, RawAnswer, Request};

use crate::image::{Part, REPOSITORY, Stored, TAG};

pub(crate) use body::{cut_anew, stub};

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
        0 | 1 => status::choose(random),
        2..6 => header::choose(random, target, stored),
        6 | 7 if is_blob => {
            asked = Asked::Ranged;
            range::choose(random, target)
        }
        _ => body::choose(random, target, stored),
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
