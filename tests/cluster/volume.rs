//! The volumes of a pod as a kubelet makes them: files of Secrets and ConfigMaps by links, empty folders, and claims.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cluster::Cluster;

/// What files of Secrets and ConfigMaps may be used for if nothing else is said.
const DEFAULT_MODE: u64 = 0o644;

/// A file of a volume.
struct Entry {
    path: String,
    bytes: Vec<u8>,
    mode: u64,
}

/// Where the volumes of one pod are made.
pub(crate) struct Volumes<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    /// The folder of this pod's own.
    pub(crate) own: &'a Path,
    /// The folder of all claims.
    pub(crate) claims: &'a Path,
    /// `fsGroup` of the pod.
    pub(crate) group: Option<u32>,
}

impl Volumes<'_> {
    /// Makes one, and says why the pod has to wait if it cannot be made yet.
    pub(crate) fn make(&self, volume: &Value) -> Result<PathBuf, String> {
        let name = volume["name"].as_str().expect("a volume has a name");
        let at = self.own.join(name);
        let kinds = volume.as_object().expect("an object").keys();
        let kind = kinds.map(String::as_str).find(|key| *key != "name");
        match kind.unwrap_or("emptyDir") {
            "secret" | "configMap" | "projected" => self.files(volume, &at)?,
            "emptyDir" => {
                folder(&at, 0o777);
                self.share(&at);
            }
            "persistentVolumeClaim" => {
                let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
                let claim = claim.expect("a claim has a name");
                let found = self
                    .cluster
                    .find(self.namespace, &["persistentvolumeclaim", claim]);
                found.ok_or(format!("persistentvolumeclaim \"{claim}\" not found"))?;
                let at = self.claims.join(claim);
                if !at.exists() {
                    folder(&at, 0o755);
                    self.share(&at);
                }
                return Ok(at);
            }
            other => panic!("this node knows no volume of kind {other}: {volume}"),
        }
        Ok(at)
    }

    /// Files in a folder of their own, and links to them, so that all of them could be changed at once.
    fn files(&self, volume: &Value, at: &Path) -> Result<(), String> {
        let entries = self.entries(volume)?;
        // Another container of this pod may have had it.
        let _ = fs::remove_dir_all(at);
        folder(at, 0o755);
        let data = at.join("..2026_01_01_00_00_00.1");
        folder(&data, 0o755);
        symlink(data.file_name().expect("it has a name"), at.join("..data")).expect("it is linked");
        for Entry { path, bytes, mode } in entries {
            assert!(
                !path.contains('/'),
                "this node makes no folders in volumes: {path}"
            );
            let file = data.join(&path);
            fs::write(&file, bytes).expect("it is written");
            // The group may read what it owns.
            let mode = if self.group.is_some() {
                mode | 0o440
            } else {
                mode
            };
            chown(&file, None, self.group).expect("it is given to the group");
            set_mode(&file, mode);
            symlink(Path::new("..data").join(&path), at.join(&path)).expect("it is linked");
        }
        Ok(())
    }

    fn entries(&self, volume: &Value) -> Result<Vec<Entry>, String> {
        if let Some(sources) = volume["projected"]["sources"].as_array() {
            let parts = sources.iter().map(|source| self.entries(source));
            let parts: Result<Vec<_>, _> = parts.collect();
            return Ok(parts?.into_iter().flatten().collect());
        }
        let kinds = ["secret", "configMap"];
        let kind = kinds.into_iter().find(|kind| volume[kind].is_object());
        // A token of the service account would be one.
        let kind = kind.unwrap_or_else(|| panic!("this node projects no {volume}"));
        let source = &volume[kind];
        let names = ["secretName", "name"].map(|key| source[key].as_str());
        let name = names.into_iter().flatten().next().expect("it has a name");
        let Some(object) = self
            .cluster
            .find(self.namespace, &[&kind.to_lowercase(), name])
        else {
            let is_optional = source["optional"] == true;
            let absent = format!("{} \"{name}\" not found", kind.to_lowercase());
            return if is_optional {
                Ok(Vec::new())
            } else {
                Err(absent)
            };
        };
        let default = source["defaultMode"].as_u64().unwrap_or(DEFAULT_MODE);
        let data = data(&object);
        let Some(items) = source["items"].as_array() else {
            let entries = data.into_iter().map(|(path, bytes)| Entry {
                path,
                bytes,
                mode: default,
            });
            return Ok(entries.collect());
        };
        let mut entries = Vec::new();
        for item in items {
            let key = item["key"].as_str().expect("an item has a key");
            let found = data.iter().find(|(name, _)| name == key);
            let (_, bytes) = found.ok_or(format!("{kind} {name} has no key {key}"))?;
            entries.push(Entry {
                path: item["path"]
                    .as_str()
                    .expect("an item has a path")
                    .to_owned(),
                bytes: bytes.clone(),
                mode: item["mode"].as_u64().unwrap_or(default),
            });
        }
        Ok(entries)
    }

    /// Gives a folder to the pod's group, as a file system that supports it.
    fn share(&self, at: &Path) {
        if let Some(group) = self.group {
            chown(at, None, Some(group)).expect("it is given to the group");
            let mode = u64::from(fs::metadata(at).expect("it is there").permissions().mode());
            set_mode(at, mode & 0o777 | 0o2775);
        }
    }
}

/// Keys and bytes of a Secret or a ConfigMap.
pub(crate) fn data(object: &Value) -> Vec<(String, Vec<u8>)> {
    let entries = object["data"].as_object().into_iter().flatten();
    let bytes = |value: &Value| {
        let text = value.as_str().expect("data is text");
        if object["kind"] == "Secret" {
            STANDARD.decode(text).expect("data of Secrets is in base64")
        } else {
            text.as_bytes().to_vec()
        }
    };
    entries
        .map(|(key, value)| (key.clone(), bytes(value)))
        .collect()
}

fn folder(at: &Path, mode: u64) {
    fs::create_dir_all(at).expect("it is made");
    set_mode(at, mode);
}

fn set_mode(at: &Path, mode: u64) {
    let mode = u32::try_from(mode).expect("a mode is small");
    fs::set_permissions(at, fs::Permissions::from_mode(mode)).expect("its mode is set");
}
