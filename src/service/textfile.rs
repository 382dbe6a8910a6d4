//! Writes what is known of registries to a file for the node exporter's textfile collector.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::render::metrics;
use crate::report::Record;

/// As much of an older file as is read back.
const LARGEST_FILE: u64 = 64 << 20;

/// Replaces the file at `path` in one step: whoever reads it sees the old text or the new one. What a
/// sweep could not see is taken over from the old one.
///
/// # Errors
///
/// If it cannot be written; then the old one stays as it was.
pub(super) fn write(path: &Path, records: &[Record]) -> Result<(), String> {
    written(path, records).map_err(|error| Unwritten(&error).to_string())
}

fn written(path: &Path, records: &[Record]) -> io::Result<()> {
    let mut records = records.to_vec();
    let is_blind = |record: &Record| record.last.as_ref().is_some_and(|report| !report.complete);
    if records.iter().any(is_blind) {
        let held = read(path)?;
        for record in records.iter_mut().filter(|record| is_blind(record)) {
            metrics::recall(record, &held, &[]);
        }
    }
    let records: Vec<_> = records.iter().collect();
    replace(path, metrics::render(&records).as_bytes())
}

fn read(path: &Path) -> io::Result<String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Replaces the file at `path` in one step: whoever reads it sees the old text or the new one.
///
/// # Errors
///
/// If it cannot be written; then the old one stays as it was.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The collector reads `*.prom` only, so a file that was left half-written is passed over.
    let mut temporary = tempfile::Builder::new()
        .prefix(".probe-")
        .suffix(".tmp")
        .tempfile_in(folder)?;
    temporary.write_all(text)?;
    temporary.as_file().sync_all()?;
    // Others read it: the node exporter runs as a user of its own.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(readable)?;
    temporary.persist(path)?;
    Ok(())
}

/// Why a file was not written, and what to do about it.
pub struct Unwritten<'a>(pub &'a io::Error);

impl fmt::Display for Unwritten<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on that file system"
            }
            io::ErrorKind::ReadOnlyFilesystem => "mount that file system writable",
            io::ErrorKind::PermissionDenied => {
                "let the user that this runs as write to that folder"
            }
            io::ErrorKind::NotFound => "make that folder",
            io::ErrorKind::FileTooLarge => "allow larger files to this process",
            _ => return write!(f, "{error}"),
        };
        write!(f, "{error}; {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_where_it_cannot_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("probe.prom");
        replace(&path, b"old").expect("written");
        replace(&path, b"new").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("there"), b"new");
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .collect();
        assert_eq!(names.len(), 1);
        // A folder cannot be replaced by a file.
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).expect("a folder");
        assert!(replace(&taken, b"new").is_err());
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            2
        );
    }
}
