//! What a client kept of an image: whether every byte is right, and whether all is there that the
//! documents name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use registry_double::sha256;
use serde_json::Value;

/// What is kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All that the documents name.
    Whole,
    /// Less than that; what is not there, for instance.
    Partly(String),
    /// Something that is not what its name says.
    Wrong(String),
}

/// In a folder that skopeo wrote: the root, and everything else under its digest.
pub(crate) fn in_folder(folder: &Path, is_root: impl Fn(&[u8]) -> bool) -> Kept {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hex = name.strip_suffix(".manifest.json").unwrap_or(&name);
        if hex.len() == 64 {
            let bytes = fs::read(entry.path()).expect("a file can be read");
            files.insert(format!("sha256:{hex}"), bytes);
        }
    }
    let root = fs::read(folder.join("manifest.json")).expect("the root is there");
    if !is_root(&root) {
        return Kept::Wrong(format!("its root has the bytes of {}", sha256(&root)));
    }
    let wrong = files
        .iter()
        .find(|(digest, bytes)| !is_right(digest, bytes));
    if let Some((digest, bytes)) = wrong {
        return Kept::Wrong(format!("{digest} has the bytes of {}", sha256(bytes)));
    }
    walk(&root, &|digest| files.get(digest).cloned())
}

/// In a store of containerd's, which holds other images besides.
pub(crate) fn in_store(blobs: &Path, root: &str, is_root: impl Fn(&[u8]) -> bool) -> Kept {
    let read = |digest: &str| fs::read(blobs.join(digest.strip_prefix("sha256:")?)).ok();
    let Some(bytes) = read(root).filter(|bytes| is_root(bytes)) else {
        return Kept::Wrong(format!("its root is {root:?}"));
    };
    walk(&bytes, &read)
}

/// Schema 1 has a digest from before it was signed.
fn is_right(digest: &str, bytes: &[u8]) -> bool {
    sha256(bytes) == digest
}

/// From the root down, by what the documents hold and not by what they are called.
fn walk(root: &[u8], read: &dyn Fn(&str) -> Option<Vec<u8>>) -> Kept {
    let mut waiting = vec![root.to_vec()];
    let mut missing = None;
    let mut steps = 0;
    while let Some(document) = waiting.pop() {
        steps += 1;
        let Ok(document) = serde_json::from_slice::<Value>(&document) else {
            return Kept::Partly("a document is not JSON".to_owned());
        };
        for (descriptor, is_document) in named(&document) {
            let digest = ["digest", "blobSum"]
                .iter()
                .find_map(|key| get(descriptor, key)?.as_str());
            let Some(digest) = digest else {
                continue;
            };
            match read(digest) {
                Some(bytes) if !is_right(digest, &bytes) => {
                    return Kept::Wrong(format!("{digest} has the bytes of {}", sha256(&bytes)));
                }
                // No image is that deep.
                Some(bytes) if is_document && steps < 100 => waiting.push(bytes),
                Some(_) => {}
                None => _ = missing.get_or_insert(digest.to_owned()),
            }
        }
    }
    missing.map_or(Kept::Whole, |digest| {
        Kept::Partly(format!("{digest} is not there"))
    })
}

/// The descriptors in a document, and whether each is one of a document.
fn named(document: &Value) -> Vec<(&Value, bool)> {
    let list = |key: &str, is_document| {
        let found = get(document, key).and_then(Value::as_array);
        found
            .into_iter()
            .flatten()
            .map(move |descriptor| (descriptor, is_document))
    };
    let mut named: Vec<_> = list("manifests", true).collect();
    named.extend(
        list("layers", false)
            .chain(list("fsLayers", false))
            .chain(list("blobs", false)),
    );
    named.extend(get(document, "config").map(|config| (config, false)));
    named
}

/// A field as Go reads it: in any case, and the last one counts.
fn get<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    let mut fields = object.as_object()?.iter().rev();
    fields
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A folder with these files under their digests, and a root that names them.
    fn folder(files: &[&str], named: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let hex = sha256(file).replace("sha256:", "");
            fs::write(folder.path().join(hex), file).expect("a file is written");
        }
        let layers: Vec<_> = named
            .iter()
            .map(|name| json!({"digest": sha256(name)}))
            .collect();
        let root = json!({"Layers": layers}).to_string();
        fs::write(folder.path().join("manifest.json"), root).expect("a file is written");
        folder
    }

    #[test]
    fn what_is_missing_or_wrong_is_seen() {
        let kept = |folder: &tempfile::TempDir| in_folder(folder.path(), |_| true);
        assert_eq!(kept(&folder(&["a", "b"], &["a", "b"])), Kept::Whole);
        assert!(matches!(
            kept(&folder(&["a"], &["a", "b"])),
            Kept::Partly(_)
        ));
        let altered = folder(&["a"], &["a"]);
        let hex = sha256("a").replace("sha256:", "");
        fs::write(altered.path().join(hex), "other").expect("a file is written");
        assert!(matches!(kept(&altered), Kept::Wrong(_)));
        let other_root = in_folder(folder(&[], &[]).path(), |_| false);
        assert!(matches!(other_root, Kept::Wrong(_)));
    }
}
