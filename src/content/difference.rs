//! How two registries differ: what is missing on one side, or other there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::mapping::Pair;
use crate::oci::{Digest, Printable};
use crate::words::words;

words! {
    /// What differs.
    DifferenceKind {
        /// A tag that one side lacks.
        Tag = "tag",
        /// A tag that leads to something else.
        Digest = "digest",
        /// A platform that the index of one side lacks.
        Platform = "platform",
        /// A manifest that one side has lost, or keeps broken.
        Manifest = "manifest",
        /// A config or layer that one side has lost, or keeps broken.
        Blob = "blob",
    }
}

words! {
    /// On which side something is.
    Direction {
        /// A has it, and B does not.
        AOnly = "a_only",
        /// B has it, and A does not.
        BOnly = "b_only",
        /// Both have something, and not the same.
        Both = "both",
    }
}

/// Something that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// On which side it is.
    pub direction: Direction,
    /// The image in A, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub a: String,
    /// What it is called in B.
    pub b: String,
    /// Where A's leads.
    pub a_digest: Option<Digest>,
    /// Where B's leads.
    pub b_digest: Option<Digest>,
    /// The object that one side has lost.
    pub object: Option<Digest>,
    /// The platform that one side lacks.
    pub platform: Option<Printable>,
    /// How many other images of A's repository need that object.
    pub other_images: u64,
}

impl Difference {
    /// What it is known by from one look to the next: not by where tags led, which may go on meanwhile.
    #[must_use]
    pub fn key(&self) -> String {
        let repository = self.a.split([':', '@']).next().unwrap_or_default();
        let what = match (&self.object, &self.platform) {
            (Some(object), _) => format!("{repository}@{object}"),
            (None, Some(platform)) => format!("{} {platform}", self.a),
            (None, None) => self.a.clone(),
        };
        format!("{} {} {what}", self.kind, self.direction)
    }

    /// Where both sides led, if it is about that: a lost object stays lost, whichever image needs it.
    pub(super) fn digests(&self) -> [Option<&Digest>; 2] {
        match self.object {
            Some(_) => [None, None],
            None => [self.a_digest.as_ref(), self.b_digest.as_ref()],
        }
    }
}

/// What came of comparing two registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// How many images were held against each other.
    pub images: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Images with other bytes of the same layers: compressed or described in another way. No differences.
    pub converted: Vec<String>,
    /// Images of A that a sparse copy left out.
    pub left_out: u64,
    /// Objects that neither side has, though both name them.
    pub missing_on_both: u64,
    /// Images of which one side could not say whether it has them.
    pub unverified: u64,
    /// What is to be looked at again.
    #[serde(skip)]
    pub doubtful: BTreeSet<Pair>,
    /// Configs that would tell whether an image was converted: of A, or else of B.
    #[serde(skip)]
    pub unread: BTreeSet<(bool, crate::oci::Repository, Digest)>,
}
