//! Objects that a registry puts off time and again (429, 503), each time with a pause: when to stop asking.

use super::judge::Judged;
use super::seen::Seen;
use super::visit::Visit;
use super::walk::Endpoint;
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::Outcome;

/// Objects of a kind in a row that were put off, each several times with a pause before the next, until no more of
/// them are asked for in this look: a million blobs would take years.
const MOST: u32 = 16;

/// Questions in a row about what is attached to images that were not answered, until no more are put: each may take
/// as long as a request may.
const MOST_UNANSWERED: u32 = 4;

/// How many tags and manifests, and how many blobs, were put off in a row, and for how many images in a row it was
/// not answered what is attached to them.
#[derive(Default)]
pub(super) struct Refusals {
    manifests: u32,
    blobs: u32,
    attached: u32,
}

impl Refusals {
    /// Counts what a visit saw.
    pub(super) fn note(&mut self, seen: &Seen) {
        use UnverifiedReason::{RateLimited, RegistryError};
        let (endpoint, outcome) = match seen {
            Seen::Resolved(_, Ok(_)) => (Endpoint::Manifests, &Outcome::Intact),
            Seen::Resolved(_, Err(outcome)) => (Endpoint::Manifests, outcome),
            Seen::Manifest(_, _, judged, _, _) => (Endpoint::Manifests, &judged.outcome),
            Seen::Blob(_, _, _, judged) => (Endpoint::Blobs, &judged.outcome),
            Seen::Attached(_, told) => {
                let is_answered = told.why().is_none();
                self.attached = if is_answered { 0 } else { self.attached + 1 };
                return;
            }
            Seen::Tags(_) | Seen::IsKnown(_) | Seen::CachedBlob | Seen::Lost(_) => return,
        };
        // What is wrong with one object is a defect; these are about all of them.
        let is_of_all = |why: &Unverified| matches!(why.reason, RateLimited | RegistryError);
        let is_put_off = matches!(outcome, Outcome::Unverified(why) if is_of_all(why));
        let in_a_row = match endpoint {
            Endpoint::Manifests => &mut self.manifests,
            Endpoint::Blobs => &mut self.blobs,
        };
        *in_a_row = if is_put_off { *in_a_row + 1 } else { 0 };
    }

    /// Whether any kind of object is not asked for any more.
    pub(super) fn has_given_up(&self) -> bool {
        self.manifests.max(self.blobs) >= MOST
    }

    /// The visit, or what it would see if its kind of object is not asked for any more.
    pub(super) fn unless_given_up(&self, visit: Visit) -> Visit {
        let put_off = |in_a_row, what| {
            let why = || {
                let detail =
                    format!("not asked for: {MOST} {what} in a row were put off by 429 or 503");
                Unverified::new(UnverifiedReason::RateLimited, detail)
            };
            (in_a_row >= MOST).then(|| Outcome::Unverified(why()))
        };
        let manifest = || put_off(self.manifests, "tags and manifests");
        let seen = match &visit {
            Visit::Resolve { id, .. } => {
                manifest().map(|outcome| Seen::Resolved(*id, Err(outcome)))
            }
            Visit::Manifest { id, digest, .. } => manifest().map(|outcome| {
                Seen::Manifest(*id, digest.clone(), Judged::of(outcome), None, false)
            }),
            Visit::Blob {
                id, digest, plan, ..
            } => put_off(self.blobs, "configs and layers")
                .map(|outcome| Seen::Blob(*id, digest.clone(), plan.depth, Judged::of(outcome))),
            Visit::Attached(ask) if self.attached >= MOST_UNANSWERED => {
                let detail = "not asked for: so many in a row were not answered";
                let why = Unverified::new(UnverifiedReason::RegistryError, detail);
                Some(Seen::Attached(ask.id, ask.question.unanswered(why)))
            }
            Visit::Tags { .. } | Visit::IsKnown { .. } | Visit::Attached(_) | Visit::GivenUp(_) => {
                None
            }
        };
        seen.map_or(visit, |seen| Visit::GivenUp(Box::new(seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    fn blob(reason: Option<UnverifiedReason>) -> Seen {
        let outcome = reason.map_or(Outcome::Intact, |reason| {
            Outcome::Unverified(Unverified::new(reason, "429"))
        });
        Seen::Blob(
            0,
            Digest::sha256(b""),
            crate::registry::Depth::Head,
            Judged::of(outcome),
        )
    }

    #[test]
    fn only_an_unbroken_row_ends_it() {
        use UnverifiedReason::{RateLimited, RegistryError, Timeout};
        for (other, has_given_up) in [
            (Some(RateLimited), true),
            (Some(RegistryError), true),
            // What is slow may be one object.
            (Some(Timeout), false),
            (None, false),
        ] {
            let mut refusals = Refusals::default();
            for number in 0..MOST {
                let reason = if number == 3 {
                    other
                } else {
                    Some(RateLimited)
                };
                refusals.note(&blob(reason));
            }
            assert_eq!(refusals.has_given_up(), has_given_up, "{other:?}");
            assert_eq!(refusals.manifests, 0);
            // An answer that was under way shows that it goes on.
            refusals.note(&blob(None));
            assert!(!refusals.has_given_up());
        }
    }
}
