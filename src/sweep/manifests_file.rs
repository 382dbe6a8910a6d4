//! Known manifests as a file, and back: a head, and fields that each begin with their length.

use std::io::{self, Write};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::known_manifests::{ENTRY, Inner, Kept, KnownManifests, REPOSITORY, seconds};
use crate::oci::Digest;
use crate::registry::Software;

/// What a file of them begins with.
const FORMAT: &[u8] = b"registry-probe manifests 2\n";

impl KnownManifests {
    /// Whether anything changed since they were kept.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.0.lock().is_changed
    }

    /// Writes them as a file of the registry of this name. One by one, for a copy would take as much memory again,
    /// and nobody waits for a disk to ask for one.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_to(&self, file: &mut dyn Write, registry: &str) -> io::Result<()> {
        let (head, pulled, digests) = {
            let inner = self.0.lock();
            let head = (inner.is_whole, inner.sweep, inner.software);
            let digests: Vec<_> = inner.manifests.keys().cloned().collect();
            (head, inner.pulled.clone(), digests)
        };
        let (is_whole, sweep, software) = head;
        file.write_all(FORMAT)?;
        file.write_all(registry.as_bytes())?;
        file.write_all(b"\n")?;
        put(file, &[u8::from(is_whole)])?;
        put(file, &sweep.to_be_bytes())?;
        put(file, software.map_or("", Software::word).as_bytes())?;
        for (name, read_at) in &pulled {
            put(file, &name.to_be_bytes())?;
            put(file, &read_at.to_be_bytes())?;
        }
        put(file, b"")?;
        for digest in &digests {
            let kept = |inner: &Inner| {
                let kept = inner.manifests.get(digest)?;
                Some((kept.read_at, kept.seen, kept.packed.clone()))
            };
            let Some((read_at, seen, packed)) = kept(&self.0.lock()) else {
                continue;
            };
            put(file, digest.to_string().as_bytes())?;
            put(file, &read_at.to_be_bytes())?;
            put(file, &seen.to_be_bytes())?;
            put(file, &packed)?;
        }
        Ok(())
    }

    /// Whether a file that begins so is one of [`Self::write_to`].
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

    /// What [`Self::write_to`] wrote for the registry of this name. Whatever else is in the file gives fewer.
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
fn put(file: &mut dyn Write, field: &[u8]) -> io::Result<()> {
    let length = u32::try_from(field.len()).unwrap_or(0);
    file.write_all(&length.to_be_bytes())?;
    file.write_all(&field[..length as usize])
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
