//! How much a repository may promise: an index of a few thousand bytes can name millions of objects, level
//! by level.

use crate::model::{Digest, Document, Obstacle, ObstacleReason};

/// Promises that are followed, besides those for each tag. Real images make some dozens.
const MOST: usize = 20_000;
const MOST_PER_TAG: usize = 100;

/// What the documents of a repository promised so far.
#[derive(Default)]
pub(super) struct Promises(usize);

impl Promises {
    /// Takes up what a document promises. Gives what keeps a part of it from being followed, and
    /// whether that is all of it.
    pub(super) fn take(
        &mut self,
        digest: &Digest,
        document: &Document,
        tags: usize,
    ) -> (Option<Obstacle>, bool) {
        let too_large = |detail| Some(Obstacle::new(ObstacleReason::TooLarge, detail));
        let entries = document.children.len() + document.layers.len();
        if self.0 + entries > MOST + MOST_PER_TAG * tags {
            let detail =
                format!("{digest} and others promise more objects than this many tags can need");
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
