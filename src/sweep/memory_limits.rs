//! Limits of what a sweep keeps in memory: how many objects a repository may promise, and how many tags
//! the suspicions may name.

use crate::oci::{Digest, Document};
use crate::registry::{Unverified, UnverifiedReason};

/// Tags and platforms that the suspicions of a sweep name in all. Where thousands of tags share thousands
/// of broken objects, each of these would name each of those; and each name takes more than a kilobyte until
/// it is in a report, if it is as long as names may be.
const MOST_NAMED: usize = 50_000;
/// Tags that a suspicion names where there is room for no more.
const FEWEST_NAMED: usize = 10;

/// How many tags the suspicions of a sweep may name yet.
pub(super) struct NamesLimit {
    left: usize,
    /// Suspicions of one walk that do not name all their tags.
    short: u64,
}

impl Default for NamesLimit {
    fn default() -> Self {
        Self {
            left: MOST_NAMED,
            short: 0,
        }
    }
}

impl NamesLimit {
    /// Begins with another walk.
    pub(super) fn begin(&mut self) {
        self.short = 0;
    }

    /// How many tags or platforms the next suspicion may name.
    pub(super) fn most(&self) -> usize {
        self.left.max(FEWEST_NAMED)
    }

    /// Notes how many a suspicion names, and whether it would have named more.
    pub(super) fn take(&mut self, named: usize, is_cut: bool) {
        self.left = self.left.saturating_sub(named);
        self.short += u64::from(is_cut);
    }

    /// What keeps a walk's suspicions from naming all their tags, if something does.
    pub(super) fn why(&self) -> Option<Unverified> {
        let detail = || {
            format!(
                "{} broken objects are shared by more tags than there is room for: each is reported with \
                 {FEWEST_NAMED} or more of them",
                self.short
            )
        };
        (self.short > 0).then(|| Unverified::new(UnverifiedReason::TooLarge, detail()))
    }
}

/// Promises that are followed, besides those for each tag. Real images make some dozens.
const MOST: usize = 20_000;
const MOST_PER_TAG: usize = 100;
/// And those that are followed whatever the tags: each takes some hundred bytes of memory.
const MOST_IN_ALL: usize = 3_000_000;

/// What the documents of a repository promised so far.
#[derive(Default)]
pub(super) struct PromiseLimit(usize);

impl PromiseLimit {
    /// Takes up what a document promises. Gives what keeps a part of it from being followed, and
    /// whether that is all of it.
    pub(super) fn take(
        &mut self,
        digest: &Digest,
        document: &Document,
        tags: usize,
    ) -> (Option<Unverified>, bool) {
        let too_large = |detail| Some(Unverified::new(UnverifiedReason::TooLarge, detail));
        let entries = document.children.len() + document.layers.len();
        let most = MOST_IN_ALL.min(MOST + MOST_PER_TAG * tags);
        if self.0 + entries > most {
            let detail = format!(
                "{digest} and others promise more than the {most} objects that are followed for {tags} tags"
            );
            return (too_large(detail), true);
        }
        self.0 += entries;
        if document.left_out == 0 {
            return (None, false);
        }
        let more = document.left_out;
        let detail = format!("{digest} names {more} entries more than any image needs");
        (too_large(detail), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_for_any_number_of_tags() {
        let entry = |number: usize| {
            let digest = Digest::sha256(&number.to_le_bytes());
            format!(r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":1}}"#)
        };
        let layers: Vec<_> = (0..100).map(entry).collect();
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            layers[0],
            layers[1..].join(",")
        );
        let digest = Digest::sha256(text.as_bytes());
        let document = Document::parse(text.as_bytes(), None).expect("a manifest");
        let followed = |tags: usize| {
            let mut promises = PromiseLimit::default();
            let follows = |_: &usize| promises.take(&digest, &document, tags).0.is_none();
            let times = (0..tags + 1000).take_while(follows).count();
            times * (document.children.len() + document.layers.len())
        };
        assert!((2_000..=120_000).contains(&followed(1000)));
        assert!(followed(250_000) <= MOST_IN_ALL);
        assert!(followed(250_000) > MOST_IN_ALL - 1000);
    }
}
