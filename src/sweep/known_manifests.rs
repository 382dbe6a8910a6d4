//! Manifests that were read before: what is under a digest never changes, so that HEAD is enough to see that
//! one is still there.
//!
//! The bytes themselves are kept, packed, and hashed again before they are believed, so a file that was
//! altered makes a read and no finding.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::judge::{self, Judged};
use crate::oci::{Digest, Document, Printable, Repository};
use crate::registry::{Answer, BodyEnd, ManifestBody, Registry};
use crate::report::Outcome;
use crate::words::words;

/// Memory for the manifests of a registry, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// What an entry takes besides its packed bytes: its place in the table, and what the allocator adds.
const ENTRY: usize = 160;
/// What is noted of a repository takes.
const REPOSITORY: usize = 40;
/// The longest manifest that is kept: one of a thousand layers.
const LONGEST: usize = 256 << 10;
/// What a file of them begins with.
const FORMAT: &[u8] = b"registry-probe manifests 1\n";

words! {
    /// How manifests are asked for whose bytes are known.
    ManifestMethod {
        /// By HEAD where that is known to be as good, or where GET counts as a pull; by GET elsewhere.
        Auto = "auto",
        /// By GET.
        Get = "get",
        /// By HEAD.
        Head = "head",
    }
}

/// How manifests are asked for that were read before.
#[derive(Clone, Debug)]
pub struct ManifestPolicy {
    /// By which method.
    pub method: ManifestMethod,
    /// In how long a time each is read once all the same.
    pub every: Duration,
    /// Those that were read before; `None` where nothing is remembered.
    pub known: Option<Arc<KnownManifests>>,
}

impl Default for ManifestPolicy {
    /// Nothing is remembered.
    fn default() -> Self {
        Self {
            method: ManifestMethod::Auto,
            every: Duration::ZERO,
            known: None,
        }
    }
}

/// The manifests of one registry that were read and found intact, and when. Shared by the sweeps of a process.
#[derive(Debug, Default)]
pub struct KnownManifests(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    manifests: HashMap<Digest, Kept>,
    /// When a tag of a repository was last read by GET, in seconds since 1970, by a hash of its name.
    pulled: HashMap<u64, u64>,
    /// The memory that all of them take, as estimated.
    bytes: usize,
    /// The number of the sweep.
    sweep: u32,
    /// Whether something was left out or forgotten for want of memory: what is not known may be old.
    is_partial: bool,
    /// Whether anything changed since it was written to a file.
    is_changed: bool,
}

#[derive(Debug)]
struct Kept {
    /// The Content-Type, a line end, and the bytes; compressed.
    packed: Box<[u8]>,
    /// When it was last read by GET, in seconds since 1970.
    read_at: u64,
    /// The last sweep that saw it.
    seen: u32,
}

/// A manifest that was read before, as it was judged again.
pub(super) struct Remembered {
    pub(super) body: ManifestBody,
    pub(super) judged: Judged,
    pub(super) document: Document,
}

impl KnownManifests {
    /// A sweep begins. Gives whether what is not known is new: something is known, and nothing was left out.
    pub(super) fn begin(&self) -> bool {
        let mut inner = self.0.lock();
        inner.sweep = inner.sweep.wrapping_add(1);
        !inner.manifests.is_empty() && !inner.is_partial
    }

    /// Whether a manifest was ever read.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.0.lock().manifests.contains_key(digest)
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

    /// Keeps a manifest that was just read by GET and is intact.
    pub(super) fn keep(&self, digest: &Digest, body: &ManifestBody) {
        if body.bytes.len() > LONGEST || digest.hasher().is_none() {
            return;
        }
        let now = seconds(SystemTime::now());
        {
            let mut inner = self.0.lock();
            let sweep = inner.sweep;
            if let Some(kept) = inner.manifests.get_mut(digest) {
                (kept.read_at, kept.seen) = (now, sweep);
                inner.is_changed = true;
                return;
            }
        }
        let Some(packed) = pack(body) else {
            return;
        };
        let mut inner = self.0.lock();
        let size = packed.len() + ENTRY;
        if inner.manifests.contains_key(digest) || !inner.has_room_for(size) {
            return;
        }
        let kept = Kept {
            packed,
            read_at: now,
            seen: inner.sweep,
        };
        inner.bytes += size;
        inner.is_changed = true;
        inner.manifests.insert(digest.clone(), kept);
    }

    /// Forgets a manifest of which the registry says something else now.
    fn forget(&self, digest: &Digest) {
        let mut inner = self.0.lock();
        if let Some(kept) = inner.manifests.remove(digest) {
            inner.bytes -= kept.packed.len() + ENTRY;
            inner.is_changed = true;
        }
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

    /// Them as a file of the registry of this name; `None` if nothing changed since this was last called.
    #[must_use]
    pub fn to_file(&self, registry: &str) -> Option<Vec<u8>> {
        let mut inner = self.0.lock();
        if !std::mem::take(&mut inner.is_changed) {
            return None;
        }
        let mut file = FORMAT.to_vec();
        file.extend_from_slice(registry.as_bytes());
        file.push(b'\n');
        put(&mut file, &[u8::from(inner.is_partial)]);
        for (name, read_at) in &inner.pulled {
            put(&mut file, &name.to_be_bytes());
            put(&mut file, &read_at.to_be_bytes());
        }
        put(&mut file, b"");
        for (digest, kept) in &inner.manifests {
            put(&mut file, digest.to_string().as_bytes());
            put(&mut file, &kept.read_at.to_be_bytes());
            put(&mut file, &kept.packed);
        }
        Some(file)
    }

    /// What [`Self::to_file`] gave for the registry of this name. Whatever else is in the file gives fewer.
    ///
    /// # Errors
    ///
    /// If it is no such file, or one of another registry: why.
    pub fn from_file(mut file: &[u8], registry: &str) -> Result<Self, String> {
        let rest = file.strip_prefix(FORMAT);
        file = rest.ok_or("it is no list of manifests of this program")?;
        let rest = file.strip_prefix(registry.as_bytes());
        let rest = rest.and_then(|rest| rest.strip_prefix(b"\n"));
        file = rest.ok_or("it is of another registry")?;
        let now = seconds(SystemTime::now());
        let mut inner = Inner {
            is_partial: take(&mut file).is_none_or(|is_partial| is_partial != [0]),
            ..Inner::default()
        };
        while let Some(name) = take(&mut file).and_then(number)
            && let Some(read_at) = take(&mut file).and_then(number)
        {
            if inner.has_room_for(REPOSITORY)
                && inner.pulled.insert(name, now.min(read_at)).is_none()
            {
                inner.bytes += REPOSITORY;
            }
        }
        while let Some(digest) = take(&mut file)
            && let Some(read_at) = take(&mut file).and_then(number)
            && let Some(packed) = take(&mut file)
        {
            let digest = std::str::from_utf8(digest).ok();
            let Some(digest) = digest.and_then(|text| text.parse::<Digest>().ok()) else {
                break;
            };
            let size = packed.len() + ENTRY;
            if !inner.has_room_for(size) {
                break;
            }
            let kept = Kept {
                packed: packed.into(),
                read_at: now.min(read_at),
                seen: 0,
            };
            if inner.manifests.insert(digest, kept).is_none() {
                inner.bytes += size;
            }
        }
        Ok(Self(Mutex::new(inner)))
    }
}

/// What one sweep makes of the manifests that are known.
#[derive(Clone)]
pub(super) struct Recall {
    known: Option<Arc<KnownManifests>>,
    every: Duration,
    method: ManifestMethod,
    /// Whether they are asked for by HEAD, once that is decided.
    is_by_head: Option<bool>,
    /// Whether what is not known is new.
    tells_new: bool,
}

impl Recall {
    /// A sweep begins.
    pub(super) fn begin(policy: &ManifestPolicy) -> Self {
        Self {
            known: policy.known.clone(),
            every: policy.every,
            method: policy.method,
            is_by_head: None,
            tells_new: policy.known.as_ref().is_some_and(|known| known.begin()),
        }
    }

    /// Whether what is known is asked for by HEAD. The registry's software may show itself in the course of a
    /// sweep.
    pub(super) fn is_by_head<R: Registry>(&mut self, registry: &R) -> bool {
        if self.known.is_none() {
            return false;
        }
        if self.is_by_head.is_none() {
            self.is_by_head = match self.method {
                ManifestMethod::Get => Some(false),
                ManifestMethod::Head => Some(true),
                ManifestMethod::Auto => {
                    let software = registry.access().software;
                    software.map(|found| found.name.is_asked_by_head())
                }
            };
        }
        self.is_by_head == Some(true)
    }

    /// The same for what was in doubt, which is read.
    pub(super) fn by_get(self) -> Self {
        Self {
            is_by_head: Some(false),
            ..self
        }
    }

    /// Whether no tag of a repository needs to be read by GET.
    pub(super) fn was_pulled(&self, repository: &Repository) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| known.was_pulled(repository, self.every))
    }

    /// Notes that a tag of a repository was just read by GET.
    pub(super) fn pulled(&self, repository: &Repository) {
        if let Some(known) = &self.known {
            known.pulled(repository);
        }
    }

    /// Whether a manifest was pushed since the last sweep, as far as that shows.
    pub(super) fn is_new(&self, digest: &Digest) -> bool {
        let known = self.known.as_ref().filter(|_| self.tells_new);
        known.is_some_and(|known| !known.has(digest))
    }

    /// Keeps a manifest that was just read by GET and is intact.
    pub(super) fn keep(&self, digest: &Digest, body: &ManifestBody) {
        if let Some(known) = &self.known {
            known.keep(digest, body);
        }
    }

    /// What a manifest is that HEAD shows to be there as it was read; `None` if it has to be read.
    pub(super) async fn look<R: Registry>(
        &self,
        registry: &R,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<(Judged, Document)> {
        let known = self
            .known
            .as_ref()
            .filter(|_| self.is_by_head == Some(true))?;
        let Remembered {
            body,
            judged,
            document,
        } = known.get(digest, self.every)?;
        if registry.still_has(repository, digest, &body).await {
            return Some((judged, document));
        }
        known.forget(digest);
        None
    }
}

impl Inner {
    /// Makes room by forgetting what the last two sweeps did not see, the longest unseen first. What they saw is
    /// not forgotten for what comes later: it would be read again in its place.
    fn has_room_for(&mut self, size: usize) -> bool {
        if self.bytes + size <= MOST_BYTES {
            return true;
        }
        let age = |kept: &Kept| self.sweep.wrapping_sub(kept.seen);
        let oldest = self.manifests.values().map(age).max().unwrap_or_default();
        self.is_partial = true;
        if oldest < 2 {
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
    let age = seconds(SystemTime::now()).saturating_sub(read_at);
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

fn seconds(time: SystemTime) -> u64 {
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

/// Adds a field: its length and its bytes.
fn put(file: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).unwrap_or(0);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&field[..length as usize]);
}

/// Takes the next field off.
fn take<'a>(file: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = file.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (field, rest) = rest.split_at_checked(length)?;
    *file = rest;
    Some(field)
}

fn number(field: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(field.try_into().ok()?))
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

    #[test]
    fn what_was_read_is_known_in_the_next_process() {
        let known = KnownManifests::default();
        let ((digest, body), app) = (manifest(1), "app".parse().expect("a name"));
        assert!(!known.begin() && known.get(&digest, DAY).is_none());
        known.keep(&digest, &body);
        known.pulled(&app);
        let file = known.to_file("r.example").expect("it changed");
        assert_eq!(known.to_file("r.example"), None);
        let next = KnownManifests::from_file(&file, "r.example").expect("a list");
        assert!(
            next.begin() && next.was_pulled(&app, DAY) && !next.was_pulled(&app, Duration::ZERO)
        );
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
        let file = known.to_file("r").expect("it changed");
        for position in FORMAT.len() + 2..file.len() {
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
        while !known.0.lock().is_partial {
            let (digest, body) = manifest(count);
            known.keep(&digest, &body);
            count += 1;
        }
        assert!(known.0.lock().bytes <= MOST_BYTES);
        let (old, new) = (manifest(0), manifest(count));
        assert!(!known.has(&new.0), "what was seen in this sweep stays");
        for _ in 0..2 {
            known.begin();
            known.get(&old.0, DAY);
        }
        known.keep(&new.0, &new.1);
        assert!(known.has(&new.0) && known.has(&old.0) && known.len() == 2);
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
