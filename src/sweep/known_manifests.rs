//! Manifests that were read before: what is under a digest never changes, so that HEAD is enough to see that
//! one is still there.
//!
//! The bytes themselves are kept, packed, and hashed again before they are believed, so a file that was
//! altered makes a read and no finding.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::judge::{self, Judged};
use crate::oci::{Digest, Document, Printable, Repository};
use crate::registry::{Answer, BodyEnd, ManifestBody, Software};
use crate::report::Outcome;

/// Memory for the manifests of a registry, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// What an entry takes besides its packed bytes: its place in the table, and what the allocator adds.
pub(super) const ENTRY: usize = 160;
/// What is noted of a repository takes.
pub(super) const REPOSITORY: usize = 40;
/// The longest manifest that is kept: one of a thousand layers.
const LONGEST: usize = 256 << 10;

/// The manifests of one registry that were read and found intact, and when. Shared by the sweeps of a process.
#[derive(Debug, Default)]
pub struct KnownManifests(pub(super) Mutex<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) manifests: HashMap<Digest, Kept>,
    /// When a tag of a repository was last read by GET, in seconds since 1970, by a hash of its name.
    pub(super) pulled: HashMap<u64, u64>,
    /// The software that they were read from, as far as that showed.
    pub(super) software: Option<Software>,
    /// The memory that all of them take, as estimated.
    pub(super) bytes: usize,
    /// The number of the sweep.
    pub(super) sweep: u32,
    /// Whether this sweep left something out for want of memory.
    pub(super) is_full: bool,
    /// Whether all that the last sweep reached is known: what is not was pushed since.
    pub(super) is_whole: bool,
    /// Whether anything changed since it was written to a file.
    pub(super) is_changed: bool,
}

#[derive(Debug)]
pub(super) struct Kept {
    /// The Content-Type, a line end, and the bytes; compressed.
    pub(super) packed: Box<[u8]>,
    /// When it was last read by GET, in seconds since 1970.
    pub(super) read_at: u64,
    /// The last sweep that saw it.
    pub(super) seen: u32,
}

/// A manifest that was read before, as it was judged again.
pub(super) struct Remembered {
    pub(super) body: ManifestBody,
    pub(super) judged: Judged,
    pub(super) document: Document,
}

impl KnownManifests {
    /// A sweep begins. Gives whether what is not known is new: the last sweep reached everything, and nothing was
    /// left out.
    pub(super) fn begin(&self) -> bool {
        let mut inner = self.0.lock();
        inner.sweep = inner.sweep.wrapping_add(1);
        inner.is_full = false;
        // What was read later than now was read by a clock that was set back since.
        let now = seconds(SystemTime::now());
        let Inner {
            manifests, pulled, ..
        } = &mut *inner;
        let read_at = manifests.values_mut().map(|kept| &mut kept.read_at);
        for read_at in read_at.chain(pulled.values_mut()) {
            *read_at = now.min(*read_at);
        }
        std::mem::take(&mut inner.is_whole)
    }

    /// A sweep has ended. `is_reached` says that it reached everything.
    pub(super) fn end(&self, is_reached: bool) {
        let mut inner = self.0.lock();
        inner.is_whole = is_reached && !inner.is_full;
        inner.is_changed = true;
    }

    /// The software that the registry ran when that last showed.
    pub(super) fn software(&self) -> Option<Software> {
        self.0.lock().software
    }

    /// Notes which software the registry runs: a later sweep begins before anything shows it.
    pub(super) fn runs(&self, software: Software) {
        let mut inner = self.0.lock();
        if inner.software != Some(software) {
            inner.software = Some(software);
            inner.is_changed = true;
        }
    }

    /// A manifest that was read so lately that it is not due again within `every`.
    pub(super) fn get(&self, digest: &Digest, every: Duration) -> Option<Remembered> {
        let packed = {
            let mut inner = self.0.lock();
            let sweep = inner.sweep;
            let kept = inner.manifests.get_mut(digest)?;
            kept.seen = sweep;
            if is_due(kept.read_at, digest.spread(), every) {
                return None;
            }
            kept.packed.clone()
        };
        let body = unpack(&packed)?;
        let (judged, document) = judge::manifest(Some(digest), Answer::Found(body.clone()));
        // Otherwise it is not what was kept.
        let document = document.filter(|_| judged.outcome == Outcome::Intact)?;
        Some(Remembered {
            body,
            judged,
            document,
        })
    }

    /// Keeps a manifest that was just read by GET and is intact. Gives whether it was not known before, and is now.
    pub(super) fn keep(&self, digest: &Digest, body: &ManifestBody) -> bool {
        if body.bytes.len() > LONGEST || digest.hasher().is_none() {
            return false;
        }
        let now = seconds(SystemTime::now());
        {
            let mut inner = self.0.lock();
            let sweep = inner.sweep;
            if let Some(kept) = inner.manifests.get_mut(digest) {
                (kept.read_at, kept.seen) = (now, sweep);
                inner.is_changed = true;
                return false;
            }
            if inner.is_full {
                return false;
            }
        }
        let Some(packed) = pack(body) else {
            return false;
        };
        let mut inner = self.0.lock();
        let size = packed.len() + ENTRY;
        if inner.manifests.contains_key(digest) || !inner.has_room_for(size) {
            return false;
        }
        let kept = Kept {
            packed,
            read_at: now,
            seen: inner.sweep,
        };
        inner.bytes += size;
        inner.is_changed = true;
        inner.manifests.insert(digest.clone(), kept);
        true
    }

    /// Whether no tag of a repository is due to be read by GET.
    pub(super) fn was_pulled(&self, repository: &Repository, every: Duration) -> bool {
        let name = hash(repository);
        let read_at = self.0.lock().pulled.get(&name).copied();
        read_at.is_some_and(|read_at| !is_due(read_at, name, every))
    }

    /// Notes that a tag of a repository was just read by GET.
    pub(super) fn pulled(&self, repository: &Repository) {
        let mut inner = self.0.lock();
        let (name, now) = (hash(repository), seconds(SystemTime::now()));
        if inner.pulled.contains_key(&name) || inner.has_room_for(REPOSITORY) {
            if inner.pulled.insert(name, now).is_none() {
                inner.bytes += REPOSITORY;
            }
            inner.is_changed = true;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().manifests.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    /// Makes room by forgetting what the last two sweeps did not see, the longest unseen first. What they saw is
    /// not forgotten for what comes later: it would be read again in its place.
    pub(super) fn has_room_for(&mut self, size: usize) -> bool {
        if self.bytes + size <= MOST_BYTES {
            return true;
        }
        if self.is_full {
            return false;
        }
        let age = |kept: &Kept| self.sweep.wrapping_sub(kept.seen);
        let oldest = || self.manifests.values().map(age).max().unwrap_or_default();
        let oldest = if self.is_full { 0 } else { oldest() };
        if oldest < 2 {
            // Nothing can be forgotten in this sweep any more.
            self.is_full = true;
            return false;
        }
        let (sweep, mut freed) = (self.sweep, 0);
        self.manifests.retain(|_, kept| {
            let is_kept = sweep.wrapping_sub(kept.seen) < oldest;
            freed += if is_kept {
                0
            } else {
                kept.packed.len() + ENTRY
            };
            is_kept
        });
        self.bytes -= freed;
        self.bytes + size <= MOST_BYTES
    }
}

/// Whether what was read then is due again, so that all are once in `every`, and not all at once: after half of
/// it and a part of the other half.
fn is_due(read_at: u64, spread: u64, every: Duration) -> bool {
    // What was read later than now was read by a clock that was set back since.
    let Some(age) = seconds(SystemTime::now()).checked_sub(read_at) else {
        return true;
    };
    let half = every.as_secs() / 2;
    let part = (u128::from(spread) * u128::from(half)) >> 64;
    age >= half.saturating_add(u64::try_from(part).unwrap_or(half))
}

fn hash(repository: &Repository) -> u64 {
    let digest = Sha256::digest(repository.as_str());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn pack(body: &ManifestBody) -> Option<Box<[u8]>> {
    let media_type = body.media_type.as_deref().unwrap_or_default();
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(media_type.as_bytes()).ok()?;
    packer.write_all(b"\n").ok()?;
    packer.write_all(&body.bytes).ok()?;
    packer.finish().ok().map(Vec::into_boxed_slice)
}

fn unpack(packed: &[u8]) -> Option<ManifestBody> {
    let mut unpacked = Vec::new();
    let decoder = DeflateDecoder::new(packed);
    decoder
        .take(2 * LONGEST as u64)
        .read_to_end(&mut unpacked)
        .ok()?;
    let end = unpacked.iter().position(|byte| *byte == b'\n')?;
    let media_type = std::str::from_utf8(&unpacked[..end]).ok()?;
    Some(ManifestBody {
        request: Printable::default(),
        media_type: (!media_type.is_empty()).then(|| media_type.into()),
        announced: None,
        end: BodyEnd::Whole,
        bytes: unpacked.split_off(end + 1).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn manifest(number: u32) -> (Digest, ManifestBody) {
        let text = format!(
            r#"{{"schemaVersion":2,"layers":[],"config":{{"mediaType":"x","size":2,
            "digest":"{}"}},"annotations":{{"n":"{number}"}}}}"#,
            Digest::sha256(&number.to_be_bytes())
        );
        let body = ManifestBody {
            request: Printable::default(),
            media_type: Some("application/vnd.oci.image.manifest.v1+json".into()),
            announced: None,
            end: BodyEnd::Whole,
            bytes: text.into(),
        };
        (Digest::sha256(&body.bytes), body)
    }

    fn file_of(known: &KnownManifests, registry: &str) -> Vec<u8> {
        let mut file = Vec::new();
        assert!(known.is_changed());
        known.write_to(&mut file, registry).expect("memory");
        file
    }

    #[test]
    fn what_was_read_is_known_in_the_next_process() {
        let known = KnownManifests::default();
        let ((digest, body), app) = (manifest(1), "app".parse().expect("a name"));
        assert!(!known.begin() && known.get(&digest, DAY).is_none());
        assert!(known.keep(&digest, &body) && !known.keep(&digest, &body));
        known.runs(Software::Distribution3);
        known.pulled(&app);
        known.end(true);
        let file = file_of(&known, "r.example");
        known.is_kept();
        assert!(!known.is_changed());
        let next = KnownManifests::from_file(&file, "r.example").expect("a list");
        assert!(
            next.begin() && next.was_pulled(&app, DAY) && !next.was_pulled(&app, Duration::ZERO)
        );
        assert_eq!(next.software(), Some(Software::Distribution3));
        let remembered = next.get(&digest, DAY).expect("it is known");
        assert_eq!(remembered.body.bytes, body.bytes);
        assert_eq!(remembered.body.media_type, body.media_type);
        assert!(next.get(&digest, Duration::ZERO).is_none(), "it is due");
        assert!(KnownManifests::from_file(&file, "r.exampl").is_err());
    }

    #[test]
    fn a_file_that_was_altered_makes_no_manifest() {
        let known = KnownManifests::default();
        let (digest, body) = manifest(1);
        known.keep(&digest, &body);
        let file = file_of(&known, "r");
        for position in 29..file.len() {
            let mut altered = file.clone();
            altered[position] ^= 1;
            let known = KnownManifests::from_file(&altered, "r").expect("it is of that registry");
            let got = known.get(&digest, DAY);
            assert!(
                got.is_none_or(|got| got.body.bytes == body.bytes),
                "{position}"
            );
        }
        for length in 0..file.len() {
            _ = KnownManifests::from_file(&file[..length], "r");
        }
    }

    #[test]
    fn memory_has_a_bound_and_the_longest_unseen_go_first() {
        let known = KnownManifests::default();
        known.begin();
        let mut count = 0;
        while !known.0.lock().is_full {
            let (digest, body) = manifest(count);
            known.keep(&digest, &body);
            count += 1;
        }
        assert!(known.0.lock().bytes <= MOST_BYTES);
        let (old, new) = (manifest(0), manifest(count));
        let has = |digest: &Digest| known.0.lock().manifests.contains_key(digest);
        assert!(!has(&new.0), "what was seen in this sweep stays");
        for _ in 0..2 {
            known.begin();
            known.get(&old.0, DAY);
        }
        known.keep(&new.0, &new.1);
        assert!(has(&new.0) && has(&old.0) && known.len() == 2);
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off() {
        let known = KnownManifests::default();
        let ((digest, body), app) = (manifest(1), "app".parse().expect("a name"));
        known.keep(&digest, &body);
        known.pulled(&app);
        let in_a_year = seconds(SystemTime::now() + 365 * DAY);
        let mut inner = known.0.lock();
        inner.manifests.get_mut(&digest).expect("kept").read_at = in_a_year;
        inner.pulled.values_mut().for_each(|at| *at = in_a_year);
        drop(inner);
        known.begin();
        let inner = known.0.lock();
        assert!(inner.manifests[&digest].read_at < in_a_year);
        assert!(inner.pulled.values().all(|at| *at < in_a_year));
    }

    #[test]
    fn everything_is_due_once_in_the_period_and_not_at_once() {
        let now = seconds(SystemTime::now());
        let hour = 3600;
        for (age, spread, due) in [
            (11 * hour, 0, false),
            (12 * hour, 0, true),
            (23 * hour, u64::MAX, false),
            (24 * hour, u64::MAX, true),
        ] {
            assert_eq!(is_due(now - age, spread, DAY), due, "{age}");
        }
    }
}
