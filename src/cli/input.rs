//! Text that is read from files, or from standard input where `-` is named.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::oci::{printable, shorten};

/// Whether a path stands for standard input.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file's name for people.
pub(super) fn name(path: &Path) -> String {
    if is_standard(path) {
        return "standard input".to_owned();
    }
    shorten(&path.display().to_string(), 200)
}

/// The text of a file, if it has no more bytes than `largest`.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, String> {
    let unreadable = |error: io::Error| printable(&format!("it cannot be read: {error}"));
    let bytes = if is_standard(path) {
        capped(io::stdin().lock(), largest)
    } else {
        File::open(path).and_then(|file| capped(file, largest))
    };
    let bytes = bytes.map_err(unreadable)?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {} MiB", largest >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

/// All bytes up to one more than may be.
fn capped(file: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
