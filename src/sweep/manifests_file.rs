//! Known manifests as a file, and back: a head, and fields that each begin with their length.

use std::time::SystemTime;

use parking_lot::Mutex;

use super::known_manifests::{ENTRY, Inner, Kept, KnownManifests, REPOSITORY, seconds};
use crate::oci::Digest;
use crate::registry::Software;

/// What a file of them begins with.
const FORMAT: &[u8] = b"registry-probe manifests 2\n";

impl KnownManifests {
    /// Them as a file of the registry of this name; `None` if nothing changed since they were kept.
    #[must_use]
    pub fn to_file(&self, registry: &str) -> Option<Vec<u8>> {
        let inner = self.0.lock();
        if !inner.is_changed {
            return None;
        }
        let mut file = FORMAT.to_vec();
        file.extend_from_slice(registry.as_bytes());
        file.push(b'\n');
        put(&mut file, &[u8::from(inner.is_whole)]);
        put(&mut file, &inner.sweep.to_be_bytes());
        put(
            &mut file,
            inner.software.map_or("", Software::word).as_bytes(),
        );
        for (name, read_at) in &inner.pulled {
            put(&mut file, &name.to_be_bytes());
            put(&mut file, &read_at.to_be_bytes());
        }
        put(&mut file, b"");
        for (digest, kept) in &inner.manifests {
            put(&mut file, digest.to_string().as_bytes());
            put(&mut file, &kept.read_at.to_be_bytes());
            put(&mut file, &kept.seen.to_be_bytes());
            put(&mut file, &kept.packed);
        }
        Some(file)
    }

    /// Whether a file that begins so is one of [`Self::to_file`].
    #[must_use]
    pub fn is_file(head: &[u8]) -> bool {
        // Of this version or another one.
        let version = FORMAT.len() - 2;
        head.starts_with(&FORMAT[..version])
    }

    /// As after a sweep, which is to be kept.
    #[cfg(test)]
    pub(crate) fn is_new_to_its_file(&self) {
        self.0.lock().is_changed = true;
    }

    /// Notes that they were written to a file.
    pub fn is_kept(&self) {
        self.0.lock().is_changed = false;
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
            is_whole: take(&mut file) == Some(&[1]),
            sweep: take(&mut file).and_then(small).unwrap_or_default(),
            software: take(&mut file).and_then(software),
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
            && let Some(seen) = take(&mut file).and_then(small)
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
                seen,
            };
            if inner.manifests.insert(digest, kept).is_none() {
                inner.bytes += size;
            }
        }
        Ok(Self(Mutex::new(inner)))
    }
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

fn small(field: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

fn software(field: &[u8]) -> Option<Software> {
    let is_it = |software: &&Software| software.word().as_bytes() == field;
    Software::ALL.iter().find(is_it).copied()
}

fn number(field: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(field.try_into().ok()?))
}
