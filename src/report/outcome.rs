//! The four outcomes of a check, which are never mixed: intact, broken, unverified, skipped.
//!
//! "Down" never reads as "corrupt", and "could not look" never reads as "fine".

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use crate::registry::Unverified;
use crate::words::words;

/// What came of checking one promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The registry answered, and the answer keeps the promise.
    Intact,
    /// The registry answered, and the answer contradicts the promise.
    Broken(Defect),
    /// We could not find out.
    Unverified(Unverified),
}

words! {
    /// What was promised: an edge of the content-addressed graph, named by its end.
    Kind {
        /// A tag promises a manifest.
        Tag = "tag",
        /// An index promises its children.
        Child = "child",
        /// An image manifest promises its config.
        Config = "config",
        /// An image manifest promises its layers.
        Layer = "layer",
        /// The caller named a manifest by its digest.
        Manifest = "manifest",
        /// A list of what is attached to an image promises it.
        Referrer = "referrer",
    }
}

impl Kind {
    /// Whether a blob was promised, and not a manifest.
    #[must_use]
    pub fn is_blob(self) -> bool {
        matches!(self, Self::Config | Self::Layer)
    }
}

words! {
    /// In which way a promise is broken.
    Reason {
        /// The registry says that it does not have the object.
        NotFound = "not_found",
        /// The object has another length than promised.
        SizeMismatch = "size_mismatch",
        /// The registry announces the promised length and delivers fewer bytes, none included.
        ShortRead = "short_read",
        /// The bytes do not hash to the promised digest.
        DigestMismatch = "digest_mismatch",
        /// The registry fails on this object, time and again, while it answers for its neighbours.
        Unreadable = "unreadable",
        /// The bytes are as promised and are no manifest that could be pulled.
        InvalidManifest = "invalid_manifest",
        /// It is another kind of document than its header, its index or it itself says, so that clients
        /// refuse it.
        MediaTypeMismatch = "media_type_mismatch",
        /// Its config or its index says otherwise than it does, so that it cannot be unpacked or run.
        Contradiction = "contradiction",
        /// The bytes are as promised and are no layer that clients can unpack.
        UnpackFailed = "unpack_failed",
        /// The registry redirects to a storage that does not have the object.
        StorageMissing = "storage_missing",
        /// The registry gives answers that contradict each other.
        Inconsistent = "inconsistent",
        /// Nothing of a type is attached to an image of which that is required.
        ReferrerMissing = "referrer_missing",
    }
}

/// A broken promise: why, and what shows it.
///
/// There is nothing to retry about a defect, so nothing here says whether it is transient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Defect {
    /// What is wrong.
    pub reason: Reason,
    /// What shows it.
    // Boxed: there is one outcome for each object.
    pub evidence: Box<Evidence>,
}

impl Defect {
    /// Whether the object is not there, as opposed to damaged.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self.reason, Reason::NotFound | Reason::StorageMissing)
    }
}

words! {
    /// Why something was left out on purpose.
    SkipReason {
        /// A layer that licences keep out of registries.
        ForeignLayer = "foreign_layer",
        /// The content is carried inside its descriptor, and hashes to its digest.
        InlineData = "inline_data",
        /// A digest algorithm that this program cannot compute; existence was checked.
        UnknownAlgorithm = "unknown_algorithm",
        /// A document of a type of its own that holds nothing that is known; it itself was checked.
        UnknownMediaType = "unknown_media_type",
        /// A manifest that is none of an image to be unpacked; it is not held against its config.
        Artifact = "artifact",
        /// A layer that unpacks to more than is unpacked; its digest was checked.
        UnpackLimit = "unpack_limit",
        /// A repository that the filters leave out.
        RepositoryFilter = "repository_filter",
        /// A tag that the filters leave out.
        TagFilter = "tag_filter",
        /// A tag beyond `--tags-per-repo`.
        TagsPerRepo = "tags_per_repo",
        /// A name in a listing that no client could pull by.
        InvalidName = "invalid_name",
        /// A blob of a pull-through cache, where asking would download it.
        PullThrough = "pull_through",
        /// The last byte was not read because the registry does not serve it alone; the first ones were.
        RangeUnsupported = "range_unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::UnverifiedReason;

    #[test]
    fn words_are_unique_metric_label_values() {
        let all = |words: Vec<&'static str>| {
            let mut unique = words.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), words.len());
            assert!(words.iter().all(|w| {
                w.bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
            }));
        };
        all(Kind::ALL.iter().map(|w| w.word()).collect());
        all(Reason::ALL.iter().map(|w| w.word()).collect());
        all(UnverifiedReason::ALL.iter().map(|w| w.word()).collect());
        all(SkipReason::ALL.iter().map(|w| w.word()).collect());
    }
}
