//! What is known of registries, kept in a file, so that a restart forgets nothing.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Unwritten, replace};
use crate::report::{Record, state};
use crate::sweep::KnownManifests;

/// The largest file that is read. A finding takes about a kilobyte.
const LARGEST_FILE: u64 = 256 << 20;

/// The largest list of manifests that is read: twice what is kept of one.
const LARGEST_MANIFESTS: u64 = 32 << 20;

/// The records in the file at `path`; none if it is not there, or empty, as a crash of the machine or `touch`
/// leaves it.
///
/// # Errors
///
/// If it cannot be read, or holds something else, in a sentence. It is not touched then.
pub fn read(path: &Path) -> Result<Vec<Record>, String> {
    match text(path)? {
        Some(text) => state::parse(&text),
        None => Ok(Vec::new()),
    }
}

/// What the file at `path` holds, if anything.
fn text(path: &Path) -> Result<Option<String>, String> {
    // To open a pipe would wait for somebody who writes into it.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err("it is no plain file".to_owned());
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be read: {error}")),
    };
    let mut text = String::new();
    let read = file.take(LARGEST_FILE).read_to_string(&mut text);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if text.trim_matches(['\0', ' ', '\t', '\r', '\n']).is_empty() {
        tracing::warn!("{} is empty: what is known begins anew", path.display());
        return Ok(None);
    }
    Ok(Some(text))
}

/// Replaces the file at `path` in one step. What it holds of other registries stays in it.
///
/// # Errors
///
/// If it cannot be written, or holds something that is no state: then it stays as it was.
pub(super) fn write(path: &Path, records: &[Arc<Record>]) -> Result<(), String> {
    let is_other = |held: &str| !records.iter().any(|record| record.registry == held);
    let others = others(path, is_other)?;
    let records = records.iter().map(|record| &**record);
    let all: Vec<_> = records.chain(&others).collect();
    let written = replace(path, |file| state::write(file, &all));
    written.map_err(|error| Unwritten(&error).to_string())
}

/// The records of other registries in the file at `path`. Where there is none, which is nearly always, nothing but
/// names is read: the rest takes megabytes.
fn others(path: &Path, is_other: impl Fn(&str) -> bool) -> Result<Vec<Record>, String> {
    let Some(text) = text(path)? else {
        return Ok(Vec::new());
    };
    if !state::names(&text)?.iter().any(|name| is_other(name)) {
        return Ok(Vec::new());
    }
    let mut held = state::parse(&text)?;
    held.retain(|record| is_other(&record.registry));
    Ok(held)
}

/// The manifests of a registry that are kept beside a state file. What cannot be read is none, and logged: each
/// manifest is read once more.
#[must_use]
pub fn read_manifests(state: &Path, registry: &str) -> KnownManifests {
    let path = manifests_path(state, registry);
    let read = || {
        let metadata = match std::fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(KnownManifests::default());
            }
            metadata => metadata.map_err(|error| error.to_string())?,
        };
        if !metadata.is_file() || metadata.len() > LARGEST_MANIFESTS {
            return Err("it is no list of manifests of this program".to_owned());
        }
        let file = std::fs::read(&path).map_err(|error| error.to_string())?;
        KnownManifests::from_file(&file, registry)
    };
    read().unwrap_or_else(|error| {
        let path = path.display();
        tracing::warn!(registry, "{path}: {error}; every manifest is read again");
        KnownManifests::default()
    })
}

/// Keeps the manifests of a registry beside a state file, if any was read since they were kept last.
///
/// # Errors
///
/// If the file cannot be written: why.
pub(super) fn write_manifests(
    state: &Path,
    registry: &str,
    known: &KnownManifests,
) -> Result<(), String> {
    if !known.is_changed() {
        return Ok(());
    }
    let path = manifests_path(state, registry);
    if !is_ours_or_none(&path) {
        let path = path.display();
        return Err(format!(
            "{path} is no list of manifests of this program, and stays as it is"
        ));
    }
    let written = replace(&path, |file| known.write_to(file, registry));
    written.map_err(|error| format!("{}: {}", path.display(), Unwritten(&error)))?;
    known.is_kept();
    Ok(())
}

/// Whether there is nothing at `path`, or a file that this program wrote: no link, for whoever made that may have
/// chosen where it leads.
fn is_ours_or_none(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Err(error) => error.kind() == ErrorKind::NotFound,
        Ok(there) if !there.is_file() => false,
        Ok(there) if there.len() == 0 => true,
        Ok(_) => {
            let mut head = Vec::new();
            let file = std::fs::File::open(path);
            let read = file.and_then(|file| file.take(64).read_to_end(&mut head));
            read.is_ok() && KnownManifests::is_file(&head)
        }
    }
}

/// `STATE.REGISTRY.manifests`; what is neither a letter, a digit, a dot nor a hyphen is `_` and its code: `_3a` for
/// a colon.
fn manifests_path(state: &Path, registry: &str) -> PathBuf {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = registry.bytes().map(|byte| match byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("_{byte:02x}"),
    });
    let mut path = state.as_os_str().to_owned();
    path.push(format!(".{}.manifests", name.collect::<String>()));
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> Arc<Record> {
        Arc::new(Record::new(name))
    }

    fn names(path: &Path) -> Vec<String> {
        let records = read(path).expect("a state");
        records.into_iter().map(|record| record.registry).collect()
    }

    #[test]
    fn other_registries_stay_and_other_files_are_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        assert!(names(&path).is_empty(), "there is none yet");
        write(&path, &[new("a"), new("b")]).expect("written");
        write(&path, &[new("b")]).expect("written again");
        assert_eq!(names(&path), ["b", "a"]);

        std::fs::write(&path, "shopping list").expect("written");
        let error = write(&path, &[new("a")]).expect_err("not ours");
        assert!(error.contains("no state of this program"), "{error}");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text, "shopping list");
        assert!(read(folder.path()).is_err(), "a folder is no state");
    }

    #[test]
    fn manifests_replace_nothing_of_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state.json");
        let path = manifests_path(&state, "r.example:5000");
        assert!(path.ends_with("state.json.r.example_3a5000.manifests"));
        let write = |text: &[u8]| {
            std::fs::write(&path, text).expect("written");
            let known = KnownManifests::default();
            known.is_new_to_its_file();
            write_manifests(&state, "r.example:5000", &known)
        };
        for (held, is_written) in [
            (&b""[..], true),
            (b"registry-probe manifests 1\nother\n", true),
            (b"root:x:0:0", false),
        ] {
            assert_eq!(write(held).is_ok(), is_written);
            let is_same = std::fs::read(&path).expect("there") == held;
            assert_eq!(is_same, !is_written);
        }
        let target = folder.path().join("target");
        std::fs::write(&target, "registry-probe manifests 1\n").expect("written");
        std::fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        let known = KnownManifests::default();
        known.is_new_to_its_file();
        assert!(write_manifests(&state, "r.example:5000", &known).is_err());
        let text = std::fs::read(&target).expect("there");
        assert_eq!(text, b"registry-probe manifests 1\n");
    }

    #[test]
    fn an_empty_file_is_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        // As `touch`, an editor, and a crash of the machine leave it.
        for empty in ["", "\n", "\0\0\0\0"] {
            std::fs::write(&path, empty).expect("written");
            assert!(names(&path).is_empty(), "{empty:?}");
            write(&path, &[new("a")]).expect("written");
            assert_eq!(names(&path), ["a"], "{empty:?}");
        }
    }

    #[test]
    fn a_pipe_is_no_state_and_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        for error in [
            read(&path).expect_err("no state"),
            write(&path, &[]).expect_err("no state"),
        ] {
            assert!(error.contains("no plain file"), "{error}");
        }
    }
}
