//! A registry of files that nginx serves: as large as one likes, and faster than any real one.
//!
//! Manifests are files that are named by their digest, and tags are named by the digest that they point
//! to, so that the server can state it without a look. All blobs are one file: at the depths that are
//! measured only their length is looked at.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use registry_probe::oci::Digest;
use tempfile::TempDir;

use super::nginx::{self, BEGINNING};
use super::process::Server;
use super::report::Report;

/// Longer than what the probe reads whole at any depth.
const BLOB: u16 = 20_000;

/// How many objects a registry promises, each counted once in a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holds {
    pub(crate) repositories: usize,
    pub(crate) tags: usize,
    pub(crate) manifests: usize,
    pub(crate) blobs: usize,
}

impl Holds {
    /// What a report says that was checked.
    pub(crate) fn checked(report: &Report) -> Self {
        Self {
            repositories: report.count("repositories/checked"),
            tags: report.count("tags/checked"),
            manifests: report.count("indexes") + report.count("manifests"),
            blobs: report.count("blobs"),
        }
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) repositories: usize,
    /// Tags of each, every one an image of its own.
    pub(crate) tags: usize,
    /// Blobs of each image, of which its repository has no other.
    pub(crate) blobs: usize,
    /// Besides, blobs that all images of a repository share.
    pub(crate) shared: usize,
}

impl Size {
    fn images(self) -> usize {
        self.repositories * self.tags
    }

    /// What a sweep has to find.
    pub(crate) fn holds(self) -> Holds {
        Holds {
            repositories: self.repositories,
            tags: self.images(),
            manifests: self.images(),
            blobs: self.repositories * (self.tags * self.blobs + self.shared),
        }
    }
}

/// The files of a registry, and the server in front of them.
#[derive(Debug)]
pub(crate) struct Static {
    _server: Server,
    _directory: TempDir,
    port: u16,
}

/// What there is to ask for, as paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) tags: Vec<String>,
    pub(crate) manifests: Vec<String>,
    pub(crate) blobs: Vec<String>,
}

impl Static {
    /// Writes the files and starts the server. `paths` takes what there is, if anybody wants to know.
    pub(crate) fn start(size: Size, mut paths: Option<&mut Paths>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        for folder in ["tags", "manifests"] {
            fs::create_dir(root.join(folder)).expect("a folder");
        }
        for first in 0..256 {
            let folder = root.join("manifests").join(format!("{first:02x}"));
            fs::create_dir(folder).expect("a folder");
        }
        fs::write(root.join("blob"), vec![7; usize::from(BLOB)]).expect("a file");
        let names: Vec<_> = (0..size.repositories)
            .map(|number| format!("r{number:06}"))
            .collect();
        let quoted = |names: &[String]| {
            names
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(",")
        };
        fs::write(
            root.join("catalog"),
            format!("{{\"repositories\":[{}]}}", quoted(&names)),
        )
        .expect("a file");
        for name in &names {
            let tags = repository(root, name, size, &mut paths);
            let list = format!("{{\"name\":\"{name}\",\"tags\":[{}]}}", quoted(&tags));
            fs::write(root.join("tags").join(name), list).expect("a file");
        }
        let (server, port) = nginx::serve(root, |port| configuration(root, port));
        Self {
            _server: server,
            _directory: directory,
            port,
        }
    }

    /// One image with one layer, which is this file, and has this digest and length.
    pub(crate) fn with_layer(layer: &Path, digest: &str, length: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#);
        let config_size = config.len();
        let config_digest = Digest::sha256(config.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{config_size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{digest}","size":{length}}}]}}"#
        );
        let manifest_digest = Digest::sha256(manifest.as_bytes()).to_string();
        let hex = manifest_digest.trim_start_matches("sha256:");
        fs::create_dir_all(root.join("manifests").join(&hex[..2])).expect("a folder");
        fs::create_dir(root.join("tags")).expect("a folder");
        let blobs = root.join("blobs");
        fs::create_dir(&blobs).expect("a folder");
        fs::write(
            root.join("manifests").join(&hex[..2]).join(&hex[2..]),
            &manifest,
        )
        .expect("a file");
        fs::write(root.join("catalog"), r#"{"repositories":["large"]}"#).expect("a file");
        let tags = format!(r#"{{"name":"large","tags":["{hex}"]}}"#);
        fs::write(root.join("tags").join("large"), tags).expect("a file");
        fs::write(blobs.join(config_digest.to_string()), config).expect("a file");
        std::os::unix::fs::symlink(layer, blobs.join(digest)).expect("a link");
        let (server, port) = nginx::serve(root, |port| configuration(root, port));
        Self {
            _server: server,
            _directory: directory,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Writes the manifests of a repository, and gives its tags.
fn repository(root: &Path, name: &str, size: Size, paths: &mut Option<&mut Paths>) -> Vec<String> {
    let blob = |seed: String| Digest::sha256(seed.as_bytes()).to_string();
    let shared: Vec<_> = (0..size.shared)
        .map(|number| blob(format!("{name} {number}")))
        .collect();
    let mut tags = Vec::new();
    for tag in 0..size.tags {
        let own = (0..size.blobs).map(|number| blob(format!("{name} {tag} {number}")));
        let blobs: Vec<_> = own.chain(shared.iter().cloned()).collect();
        let manifest = manifest(&blobs);
        let digest = Digest::sha256(manifest.as_bytes()).to_string();
        let hex = digest.trim_start_matches("sha256:");
        let path = root.join("manifests").join(&hex[..2]).join(&hex[2..]);
        fs::write(path, manifest).expect("a file");
        if let Some(paths) = paths {
            let known = if tag == 0 { 0 } else { size.shared };
            paths.tags.push(format!("/v2/{name}/manifests/{hex}"));
            paths
                .manifests
                .push(format!("/v2/{name}/manifests/{digest}"));
            let new = blobs.iter().take(blobs.len() - known);
            paths
                .blobs
                .extend(new.map(|blob| format!("/v2/{name}/blobs/{blob}")));
        }
        tags.push(hex.to_owned());
    }
    tags
}

fn manifest(blobs: &[String]) -> String {
    let mut text = String::from(
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
    );
    let entry = |kind: &str, blob: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{blob}","size":{BLOB}}}"#
        )
    };
    let layers: Vec<_> = blobs[1..]
        .iter()
        .map(|blob| entry("layer.v1.tar+gzip", blob))
        .collect();
    write!(
        text,
        r#""config":{},"layers":[{}]}}"#,
        // What is no image's config is not read whole.
        entry("other.v1+json", &blobs[0]),
        layers.join(",")
    )
    .expect("text takes text");
    text
}

fn configuration(root: &Path, port: u16) -> String {
    let root = root.display();
    format!(
        r#"{BEGINNING}  sendfile on;
  keepalive_requests 1000000;
  types {{ }}
  server {{
    listen 127.0.0.1:{port};
    default_type application/octet-stream;
    location = /v2/ {{ return 200 "{{}}"; }}
    location = /v2/_catalog {{ default_type application/json; alias {root}/catalog; }}
    location ~ "^/v2/([^/]+)/tags/list$" {{ default_type application/json; alias {root}/tags/$1; }}
    location ~ "^/v2/[^/]+/manifests/(?:sha256:)?([0-9a-f][0-9a-f])([0-9a-f]{{62}})$" {{
      default_type application/vnd.oci.image.manifest.v1+json;
      add_header Docker-Content-Digest sha256:$1$2;
      alias {root}/manifests/$1/$2;
    }}
    location ~ "^/v2/large/blobs/(sha256:[0-9a-f]{{64}})$" {{ alias {root}/blobs/$1; }}
    location ~ "^/v2/[^/]+/blobs/sha256:[0-9a-f]{{64}}$" {{ alias {root}/blob; }}
  }}
}}
"#
    )
}
