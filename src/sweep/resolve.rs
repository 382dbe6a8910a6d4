//! Which of a repository's tags is asked for by GET, too, and where a tag points to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::form::Form;
use super::judge::{self, Judged};
use super::walk::TagId;
use crate::oci::{Digest, Document, Repository, own_digest};
use crate::registry::{Answer, Resolved};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Outcome, Promised};

const A_MANIFEST: Promised = Promised::Manifest { digest: None };

/// Of so many tags the one that a turn picks: with each turn the next one.
pub(super) fn in_turn(repository: &Repository, tags: usize, turn: u64) -> TagId {
    let mut hasher = DefaultHasher::new();
    repository.hash(&mut hasher);
    let id = hasher.finish().wrapping_add(turn) % (tags.max(1) as u64);
    TagId::try_from(id).unwrap_or_default()
}

/// Where a tag points to, and what was seen there if that came along.
pub(super) struct Pointed {
    pub(super) digest: Digest,
    /// What HEAD names, if that is something else.
    pub(super) by_head: Option<Digest>,
    pub(super) manifest: Option<(Judged, Option<Document>)>,
    /// What GET of the tag says it is: clients go by that, whatever is said of the digest.
    pub(super) form: Option<Form>,
}

/// Judges the answer for a tag. `Ok` is where it points to.
pub(super) fn judge(answer: Answer<Resolved>) -> Result<Pointed, Outcome> {
    let resolved = match answer {
        Answer::Found(resolved) => resolved,
        Answer::Absent(refusal) => return Err(judge::absent(refusal, A_MANIFEST)),
        Answer::Failing(refusal) => return Err(judge::failing(refusal, A_MANIFEST)),
        Answer::Unverified(why) => return Err(Outcome::Unverified(why)),
    };
    let (digest, seen) = match (resolved.stated, resolved.body) {
        (Some(digest), body) => {
            let seen = body.map(|body| judge::manifest(Some(&digest), Answer::Found(body)));
            (digest, seen)
        }
        (None, Some(body)) => {
            let digest = own_digest(&body.bytes);
            match judge::manifest(None, Answer::Found(body)) {
                // Bytes that are no manifest, or not all of one, may be others the next time.
                (judged, None) => return Err(judged.outcome),
                seen => (digest, Some(seen)),
            }
        }
        (None, None) => {
            return Err(Outcome::Unverified(Unverified::new(
                UnverifiedReason::Protocol,
                "the answer for a tag names no manifest",
            )));
        }
    };
    let form = seen.as_ref().and_then(|(judged, _)| judged.form.clone());
    Ok(Pointed {
        digest,
        by_head: resolved.by_head,
        // What is whole is asked for by its digest, too, as clients do.
        manifest: seen.filter(|(judged, _)| judged.outcome != Outcome::Intact),
        form,
    })
}
