//! The four outcomes of a check, which are never mixed: intact, broken, unverified, skipped.
//!
//! "Down" never reads as "corrupt", and "could not look" never reads as "fine".

use std::fmt;

use super::cause::Sign;

/// A closed set of values, each with the one word that names it in reports, metrics and JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that names this value in reports, JSON and metric labels.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(super) use words;

/// What came of checking one promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The registry answered, and the answer keeps the promise.
    Intact,
    /// The registry answered, and the answer contradicts the promise.
    Broken(Defect),
    /// We could not find out.
    Unverified(Obstacle),
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
        /// The registry redirects to a storage that does not have the object.
        StorageMissing = "storage_missing",
        /// The registry gives answers that contradict each other.
        Inconsistent = "inconsistent",
    }
}

/// A broken promise: why, and what shows it.
///
/// There is nothing to retry about a defect, so nothing here says whether it is transient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Defect {
    /// What is wrong.
    pub reason: Reason,
    /// Both sources of truth.
    pub evidence: Evidence,
}

impl Defect {
    /// Whether the object is not there, as opposed to damaged.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self.reason, Reason::NotFound | Reason::StorageMissing)
    }
}

/// Who promised what, and what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Evidence {
    /// What was promised, in words.
    pub promised: String,
    /// What was observed, in words.
    pub observed: String,
    /// The request that shows it, as `METHOD PATH`.
    pub request: String,
    /// The status of the answer to that request.
    pub status: Option<u16>,
    /// What the look showed besides, if it tells causes apart.
    pub sign: Option<Sign>,
}

words! {
    /// Why something could not be verified.
    ObstacleReason {
        /// No answer in time.
        Timeout = "timeout",
        /// No connection, or one that was cut.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The host's name did not resolve.
        Dns = "dns",
        /// The registry wants (other) credentials.
        Unauthorized = "unauthorized",
        /// The credentials do not allow this.
        Forbidden = "forbidden",
        /// The registry asks for fewer requests.
        RateLimited = "rate_limited",
        /// The registry itself is in trouble (5xx, and not on one object alone).
        RegistryError = "registry_error",
        /// The answer makes no sense as one of a registry.
        Protocol = "protocol",
        /// The sweep's time was up.
        Deadline = "deadline",
        /// The sweep was told to stop.
        Cancelled = "cancelled",
        /// The answer is larger than any that this program is willing to read.
        TooLarge = "too_large",
        /// Many objects of several repositories were asked for, and not one was there.
        StorageUnavailable = "storage_unavailable",
        /// There was nothing to check, which is also what a registry answers that lost its store.
        NothingListed = "nothing_listed",
    }
}

/// What kept us from finding out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obstacle {
    /// What kind of obstacle.
    pub reason: ObstacleReason,
    /// What happened, for a reader; printable, and free of secrets.
    pub detail: String,
}

impl Obstacle {
    /// An obstacle with its detail.
    #[must_use]
    pub fn new(reason: ObstacleReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    /// Whether asking again might help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use ObstacleReason as R;
        match self.reason {
            // A restart, a fail-over or a lost packet passes; so does a limit.
            R::Timeout | R::Connect | R::Dns | R::RateLimited | R::RegistryError => true,
            // The same certificate, credential or page comes back; and our own limits do not move.
            R::Tls
            | R::Unauthorized
            | R::Forbidden
            | R::Protocol
            | R::Deadline
            | R::Cancelled
            | R::TooLarge
            | R::StorageUnavailable
            | R::NothingListed => false,
        }
    }

    /// Whether another look may come to something else.
    #[must_use]
    pub fn may_change(&self) -> bool {
        use ObstacleReason as R;
        !matches!(self.reason, R::TooLarge | R::Deadline | R::Cancelled)
    }

    /// Whether the registry answered, and refuses this to us.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use ObstacleReason::{Forbidden, Unauthorized};
        matches!(self.reason, Unauthorized | Forbidden)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        use ObstacleReason as R;
        match self.reason {
            R::Timeout => "raise --timeout, lower --concurrency, or look at the registry's load",
            R::Connect => "check that the registry runs and that its host and port are right",
            R::Tls => "name the certificate authority with --ca-file, or check the host name",
            R::Dns => "check the registry's host name and this machine's name server",
            R::Unauthorized => {
                "check the credentials: --username and --password-file, PROBE_USERNAME and PROBE_PASSWORD, or the \
                 docker config that holds this registry's login"
            }
            R::Forbidden => {
                "check the repository's name, and that these credentials may pull from it; or leave \
                 it out"
            }
            R::RateLimited => "lower --concurrency, or sweep less often",
            R::RegistryError => "look at the registry's own log and at its storage",
            R::Protocol => {
                "check that the address is a registry's and not a proxy's or login page's"
            }
            R::Deadline => "raise --deadline, or sweep fewer repositories at a time",
            R::Cancelled => "let the next sweep run to its end",
            R::TooLarge => "look at who pushed this: no image needs it",
            R::StorageUnavailable => {
                "check that the registry's storage is mounted and is the one it had; no image is lost if it is \
                 not"
            }
            R::NothingListed => {
                "check the filters, the credentials and the registry's storage; say --allow-empty if there is \
                 nothing to check"
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

words! {
    /// Why something was left out on purpose.
    Exemption {
        /// A layer that licences keep out of registries.
        ForeignLayer = "foreign_layer",
        /// The content is carried inside its descriptor, and hashes to its digest.
        InlineData = "inline_data",
        /// A digest algorithm that this program cannot compute; existence was checked.
        UnknownAlgorithm = "unknown_algorithm",
        /// A document of a type of its own that holds nothing that is known; it itself was checked.
        UnknownMediaType = "unknown_media_type",
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

words! {
    /// How closely blobs are looked at; each depth includes those before it.
    Depth {
        /// Ask whether the blob is there and how long it is.
        Head = "head",
        /// Also read its last byte, which a stale descriptor cache cannot invent.
        Tail = "tail",
        /// Also read all of it and compute its digest.
        Digest = "digest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        all(ObstacleReason::ALL.iter().map(|w| w.word()).collect());
        all(Exemption::ALL.iter().map(|w| w.word()).collect());
    }

    #[test]
    fn every_obstacle_says_what_to_do() {
        for &reason in ObstacleReason::ALL {
            assert!(!Obstacle::new(reason, "x").hint().is_empty());
        }
    }
}
