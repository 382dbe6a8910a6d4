//! Plain words for the closed vocabularies, and numbers as people read them.

use std::time::{Duration, SystemTime};

use crate::registry::{Depth, UnverifiedReason};
use crate::report::{Cause, Kind, Mode, Reason, SkipReason};

pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Tag => "tag",
        Kind::Child => "child manifest",
        Kind::Config => "config",
        Kind::Layer => "layer",
        Kind::Manifest => "manifest",
        Kind::Referrer => "attached manifest",
    }
}

/// What is wrong, to be read behind the kind.
pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotFound => "not found",
        Reason::SizeMismatch => "has the wrong size",
        Reason::ShortRead => "arrives incomplete",
        Reason::DigestMismatch => "does not match its digest",
        Reason::Unreadable => "cannot be read",
        Reason::InvalidManifest => "is not a valid manifest",
        Reason::MediaTypeMismatch => "is not of the type that it is said to be",
        Reason::Contradiction => "is contradicted by its config or its index",
        Reason::UnpackFailed => "cannot be unpacked",
        Reason::StorageMissing => "is missing from the storage behind the registry",
        Reason::Inconsistent => "gets contradicting answers",
        Reason::ReferrerMissing => "is required and missing",
    }
}

/// What most likely happened, in a clause.
pub(crate) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::GcOrRetention => "a clean-up took it, or this repository's link to it",
        Cause::StaleDescriptorCache => {
            "the registry's cache remembers what its file no longer holds"
        }
        Cause::EmptyFile => "its file is there, with nothing in it",
        Cause::Truncated => "the end of its file is gone",
        Cause::BitRot => "its file was altered, or the disk fails",
        Cause::ProxyPoisoned => "a proxy or cache keeps something else in its place",
        Cause::PolicyDenied => "it is there, and refused",
        Cause::RedirectTarget => "the storage that the registry redirects to does not have it",
        Cause::ReplicasDisagree => "replicas or caches answer differently",
        Cause::Unknown => "what was seen does not tell",
    }
}

pub(crate) fn unverified(reason: UnverifiedReason) -> &'static str {
    match reason {
        UnverifiedReason::Timeout => "no answer in time",
        UnverifiedReason::Connect => "no connection",
        UnverifiedReason::Tls => "TLS failed",
        UnverifiedReason::Dns => "the host name did not resolve",
        UnverifiedReason::Unauthorized => "not logged in, or the login was refused",
        UnverifiedReason::Forbidden => "these credentials may not pull it",
        UnverifiedReason::StorageRefused => "the storage behind the registry refuses it",
        UnverifiedReason::UnknownRepository => "the registry does not know this repository",
        UnverifiedReason::RateLimited => "the registry asked for fewer requests",
        UnverifiedReason::RegistryError => "the registry itself is in trouble",
        UnverifiedReason::Protocol => "the answer is not one of a registry",
        UnverifiedReason::Deadline => "the time was up",
        UnverifiedReason::Cancelled => "stopped before the end",
        UnverifiedReason::TooLarge => "the answer is too large to read",
        UnverifiedReason::StorageUnavailable => "the registry's storage is away",
        UnverifiedReason::NothingListed => "there was nothing to check",
        UnverifiedReason::ReadOverdue => "bytes of blobs were not read for too long",
        UnverifiedReason::ShardsIncomplete => "the shards' reports do not make one whole",
    }
}

/// What was left out, to be read behind its number.
pub(crate) fn skip_reason(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::ForeignLayer => "foreign layers, which registries need not have",
        SkipReason::Artifact => {
            "manifests that are no images to unpack, not held against their configs"
        }
        SkipReason::UnpackLimit => {
            "layers that unpack to more than is unpacked, and are as their digests say"
        }
        SkipReason::InlineData => "blobs carried inline, in their descriptors, and whole",
        SkipReason::UnknownAlgorithm => "unknown digest algorithms: only existence was checked",
        SkipReason::UnknownMediaType => "unknown manifest types: their contents were not followed",
        SkipReason::RepositoryFilter => "repositories that the filters leave out",
        SkipReason::TagFilter => "tags that the filters leave out",
        SkipReason::TagsPerRepo => "tags beyond --tags-per-repo",
        SkipReason::InvalidName => "listed names that no client could pull by",
        SkipReason::PullThrough => "blobs of a cache, which asking would make it download",
        SkipReason::RangeUnsupported => "blobs whose last byte the registry cannot serve alone",
    }
}

pub(crate) fn depth(depth: Depth, mode: Mode) -> &'static str {
    match depth {
        _ if mode == Mode::PullThrough => "manifests only",
        Depth::Head => "asks for blobs without reading them; a cache can hide damage",
        Depth::Tail => "reads the last byte of every blob",
        Depth::Digest => "reads every blob whole and hashes it",
        Depth::Unpack => "reads every blob whole, hashes it and unpacks layers",
    }
}

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Private => "everything promised must be there",
        Mode::Mirror => "children of an index may be absent",
        Mode::PullThrough => "children may be absent, blobs are not asked for",
    }
}

/// `n` with thousands separators.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `n` of something, such as `1 tag` or `2,000 tags`.
pub(crate) fn many(n: u64, one: &str, more: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { more })
}

/// The verb for `n` of something.
pub(crate) fn was(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// The length of a collection as a number to print.
pub(crate) fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Bytes in decimal units, to one place.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return many(n, "byte", "bytes");
    }
    // In tenths of a unit, and rounded down: 999,999 bytes must not become 1000.0 kB.
    let (mut tenths, mut unit) = (n / 100, 0);
    while tenths >= 10_000 {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A duration to the precision that matters at its size.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What lies between two readings of a clock that may have been set back in between.
pub(crate) fn between(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

/// A time that RFC 3339 can express; it has no words for times before 1970.
pub(crate) fn since_epoch(time: SystemTime) -> SystemTime {
    time.max(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (n, text) in cases {
            assert_eq!(number(n), text);
        }
        assert_eq!(many(1, "tag", "tags"), "1 tag");
        assert_eq!(many(0, "tag", "tags"), "0 tags");
    }

    #[test]
    fn bytes_by_size() {
        let cases = [
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (80_412_345, "80.4 MB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (n, text) in cases {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn durations_by_size() {
        let cases = [
            (7, "7 ms"),
            (4_260, "4.2 s"),
            (192_000, "3 min 12 s"),
            (3_840_000, "1 h 4 min"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        assert_eq!(between(now, SystemTime::UNIX_EPOCH), Duration::ZERO);
    }
}
