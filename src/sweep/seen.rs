//! What a visit saw.

use super::judge::Judged;
use super::referrers::Told;
use super::resolve::Pointed;
use super::walk::{NodeId, TagId};
use crate::oci::{Digest, Document, Tag};
use crate::registry::{Depth, ListEnd, Listing, Unverified};
use crate::report::{Outcome, Reason};

/// What a visit saw.
pub(super) enum Seen {
    Tags(Listing<Tag>),
    /// Whether the registry knows the repository.
    IsKnown(bool),
    Resolved(TagId, Result<Pointed, Outcome>),
    /// The last says whether it was pushed since the last sweep, as far as that shows.
    Manifest(NodeId, Digest, Judged, Option<Document>, bool),
    Blob(NodeId, Digest, Depth, Judged),
    /// What is attached to an image. It says nothing of the registry.
    Attached(NodeId, Told),
    /// A blob of a registry that gave itself away as a pull-through cache.
    CachedBlob,
    /// The visit ended without a result: a fault of this program.
    Lost(Unverified),
}

impl Seen {
    /// Whether this may be the sign of an outage: a failure that may pass, or a 5xx.
    pub(super) fn is_trouble(&self) -> bool {
        let outcome = match self {
            Self::Tags(listing) => {
                return matches!(&listing.end, ListEnd::Failed(why) if why.is_transient());
            }
            Self::IsKnown(_)
            | Self::Resolved(_, Ok(_))
            | Self::Attached(..)
            | Self::CachedBlob
            | Self::Lost(_) => return false,
            Self::Resolved(_, Err(outcome)) => outcome,
            Self::Manifest(_, _, judged, _, _) | Self::Blob(_, _, _, judged) => &judged.outcome,
        };
        match outcome {
            Outcome::Unverified(why) => why.is_transient(),
            Outcome::Broken(defect) => defect.reason == Reason::Unreadable,
            Outcome::Intact => false,
        }
    }
}
