//! Known manifests as a file, and back: a head, and fields that each begin with their length.

use std::io::{self, Read, Write};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::known_manifests::{ENTRY, Inner, Kept, KnownManifests, REPOSITORY, seconds};
use crate::oci::Digest;

/// What a file of them begins with.
const FORMAT: &[u8] = b"registry-probe manifests 1\n";

impl KnownManifests {
    /// Whether anything changed since this was last called.
    pub fn take_changed(&self) -> bool {
        std::mem::take(&mut self.0.lock().is_changed)
    }

    /// Writes them as a file of the registry of this name. One by one, for a copy would take as much memory again,
    /// and nobody waits for a disk to ask for one.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_to(&self, file: &mut dyn Write, registry: &str) -> io::Result<()> {
        let (is_partial, pulled, digests) = {
            let inner = self.0.lock();
            let digests: Vec<_> = inner.manifests.keys().cloned().collect();
            (inner.is_partial, inner.pulled.clone(), digests)
        };
        file.write_all(FORMAT)?;
        file.write_all(registry.as_bytes())?;
        file.write_all(b"\n")?;
        put(file, &[u8::from(is_partial)])?;
        for (name, read_at) in &pulled {
            put(file, &name.to_be_bytes())?;
            put(file, &read_at.to_be_bytes())?;
        }
        put(file, b"")?;
        for digest in &digests {
            let kept = |inner: &Inner| {
                let kept = inner.manifests.get(digest)?;
                Some((kept.read_at, kept.packed.clone()))
            };
            let Some((read_at, packed)) = kept(&self.0.lock()) else {
                continue;
            };
            put(file, digest.to_string().as_bytes())?;
            put(file, &read_at.to_be_bytes())?;
            put(file, &packed)?;
        }
        Ok(())
    }

    /// What [`Self::write_to`] wrote for the registry of this name. Whatever else is in the file gives fewer.
    ///
    /// # Errors
    ///
    /// If it is no such file, or one of another registry: why.
    pub fn read_from(file: &mut dyn Read, registry: &str) -> Result<Self, String> {
        if !begins_with(file, FORMAT) {
            return Err("it is no list of manifests of this program".to_owned());
        }
        if !begins_with(file, format!("{registry}\n").as_bytes()) {
            return Err("it is of another registry".to_owned());
        }
        let now = seconds(SystemTime::now());
        let mut inner = Inner {
            is_partial: take(file).is_none_or(|is_partial| is_partial != [0]),
            ..Inner::default()
        };
        while let Some(name) = take(file).as_deref().and_then(number)
            && let Some(read_at) = take(file).as_deref().and_then(number)
        {
            if inner.has_room_for(REPOSITORY)
                && inner.pulled.insert(name, now.min(read_at)).is_none()
            {
                inner.bytes += REPOSITORY;
            }
        }
        while let Some(digest) = take(file)
            && let Some(read_at) = take(file).as_deref().and_then(number)
            && let Some(packed) = take(file)
        {
            let digest = std::str::from_utf8(&digest).ok();
            let Some(digest) = digest.and_then(|text| text.parse::<Digest>().ok()) else {
                break;
            };
            let size = packed.len() + ENTRY;
            if !inner.has_room_for(size) {
                break;
            }
            let kept = Kept {
                packed: packed.into_boxed_slice(),
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

/// Adds a field: its length and its bytes.
fn put(file: &mut dyn Write, field: &[u8]) -> io::Result<()> {
    let length = u32::try_from(field.len()).unwrap_or(0);
    file.write_all(&length.to_be_bytes())?;
    file.write_all(&field[..length as usize])
}

/// Takes the next field off; `None` if there is no whole one.
fn take(file: &mut dyn Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    file.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    let mut field = Vec::new();
    // No longer than the file, whatever it says.
    let read = file.take(length.into()).read_to_end(&mut field).ok()?;
    field.shrink_to_fit();
    (read == length as usize).then_some(field)
}

/// Takes off what a file is to begin with. Whether it does.
fn begins_with(file: &mut dyn Read, expected: &[u8]) -> bool {
    let mut there = vec![0; expected.len()];
    file.read_exact(&mut there).is_ok() && there == expected
}

fn number(field: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(field.try_into().ok()?))
}
