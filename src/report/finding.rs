//! One broken object of one repository, as the walk gives it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::outcome::{Defect, Kind};
use super::time;
use crate::oci::{Digest, Printable, Repository, Tag};
use crate::registry::Depth;

/// What was seen intact near a broken object: what a repair can rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Nearby {
    /// The manifests that the finding's tags point to, each once.
    pub pointed_to: Vec<Digest>,
    /// The intact tag of the same repository that is the newest of the older versions, and where it points to.
    pub sibling: Option<(Tag, Digest)>,
    /// Another repository in which the same digest was asked for, and was intact.
    pub copy: Option<Repository>,
    /// The image that brings it back, in one of the registries to repair from.
    pub elsewhere: Option<Elsewhere>,
}

/// An image in another registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Elsewhere {
    /// As `HOST/REPOSITORY@DIGEST`.
    pub image: String,
    /// Whether that registry has a certificate to be verified.
    pub is_verified: bool,
}

/// One broken object of one repository, with everything that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Where it is.
    pub repository: Repository,
    /// What was promised.
    pub kind: Kind,
    /// The object; `None` for a tag that leads nowhere.
    pub digest: Option<Digest>,
    /// The media type that was promised for it.
    pub media_type: Option<Printable>,
    /// The length in bytes that was promised for it.
    pub size: Option<u64>,
    /// Every tag that cannot be pulled, or not for every platform, because of it.
    pub tags: Vec<Tag>,
    /// Every tag of an image that it is attached to, or should be, and that can be pulled all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached_to: Vec<Tag>,
    /// The platforms that it breaks, as `os/architecture[/variant]`.
    pub platforms: Vec<Printable>,
    /// A manifest that promises it.
    pub parent: Option<Digest>,
    /// What is wrong, and what shows it.
    #[serde(flatten)]
    pub defect: Defect,
    /// The depth at which this was seen.
    pub depth: Depth,
    /// How many later looks, each on a new connection, agreed with the first.
    pub confirmations: u32,
    /// What was seen intact near it.
    pub nearby: Nearby,
    /// Since when it is broken, where more than this one sweep is known.
    #[serde(flatten)]
    pub bracket: Bracket,
}

/// The two looks between which something broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bracket {
    /// The last whole look at the repository that did not find it.
    #[serde(default, with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub last_intact: Option<SystemTime>,
    /// The first look that did.
    #[serde(default, with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub first_broken: Option<SystemTime>,
}

impl Finding {
    /// Whether what a tag points to is itself what is broken: what it held cannot be read, and it cannot be deleted
    /// by its digest.
    #[must_use]
    pub fn is_root_lost(&self) -> bool {
        let is_broken = |digest: &Digest| Some(digest) == self.digest.as_ref();
        self.nearby.pointed_to.is_empty() || self.nearby.pointed_to.iter().any(is_broken)
    }

    /// Where it stands among the findings of a sweep.
    #[must_use]
    pub fn rank(&self) -> (Repository, Kind, Option<Digest>, Vec<Tag>) {
        let (digest, tags) = (self.digest.clone(), self.tags.clone());
        (self.repository.clone(), self.kind, digest, tags)
    }

    /// Whether it is about what is attached to images, which can be pulled all the same.
    #[must_use]
    pub fn is_of_referrers(&self) -> bool {
        self.tags.is_empty() && !self.attached_to.is_empty() || self.kind == Kind::Referrer
    }

    /// Its tags, with its repository.
    pub fn named_tags(&self) -> impl Iterator<Item = (&Repository, &Tag)> {
        self.tags.iter().map(|tag| (&self.repository, tag))
    }
}
