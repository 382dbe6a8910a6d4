//! What a registry is taken for, which says what may be absent.

use super::outcome::{Kind, Reason};
use crate::words::words;

words! {
    /// What kind of registry is swept, which decides what an absence means.
    Mode {
        /// One that is pushed to: everything that is promised must be there.
        Private = "private",
        /// A sparse copy: a missing child of an index is counted, not broken.
        Mirror = "mirror",
        /// A cache: as a mirror, and blobs are not asked for, because asking would download them.
        PullThrough = "pull-through",
    }
}

words! {
    /// What an image comes to whose config names another platform than its index, and which may run all the same.
    PlatformMismatch {
        /// It is told.
        Notice = "notice",
        /// It is broken.
        Fail = "fail",
    }
}

words! {
    /// Of which images to ask what is attached.
    Reach {
        /// Of none.
        Off = "off",
        /// Of what a tag, or the caller, names.
        Tagged = "tagged",
        /// Of the children of indexes, too.
        All = "all",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares the values")]
impl Default for Reach {
    fn default() -> Self {
        Self::Off
    }
}

impl Mode {
    /// Whether that says nothing against an object of such a registry. Sparse copies leave children out on
    /// purpose; a cache says 404 and 500 also when its upstream refuses it or cannot be reached.
    #[must_use]
    pub fn excuses(self, kind: Kind, reason: Reason) -> bool {
        match (self, reason) {
            (Self::Mirror, Reason::NotFound) => kind == Kind::Child,
            (Self::PullThrough, Reason::NotFound | Reason::Unreadable) => true,
            (Self::Private | Self::Mirror | Self::PullThrough, _) => false,
        }
    }
}
