//! distribution, `registry:2` and `registry:3`, as its image configures it: with what it remembers of blobs in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::product::{Expected, Object, Own, Product};
use crate::pushed::BROKEN;
use crate::registry::{Place, Registry};
use crate::support::process::run;
use crate::support::store::Store;

use Expected::{Found, Invisible};

pub(crate) const DISTRIBUTION: Product = Product {
    name: "distribution",
    title: "distribution",
    version,
    serve,
    prepare: |_| None,
    file,
    files: [
        (
            Object::Index,
            [
                Found("head", "tag/not_found"),
                Found("head", "tag/unreadable"),
                Found("head", "tag/unreadable"),
                Found("head", "tag/digest_mismatch"),
            ],
        ),
        (
            Object::Child,
            [
                Found("head", "child/not_found"),
                Found("head", "child/unreadable"),
                Found("head", "child/unreadable"),
                Found("head", "child/digest_mismatch"),
            ],
        ),
        (
            Object::Config,
            [
                Found("tail", "config/short_read"),
                Found("tail", "config/short_read"),
                Found("tail", "config/short_read"),
                Found("tail", "config/digest_mismatch"),
            ],
        ),
        (
            Object::Layer,
            [
                Found("tail", "layer/short_read"),
                Found("tail", "layer/short_read"),
                Found("tail", "layer/short_read"),
                Found("digest", "layer/digest_mismatch"),
            ],
        ),
    ],
    own: &[
        Own {
            what: "`_manifests/revisions/…/link` of a platform removed, and no restart",
            apply: |registry, pushed| {
                store(registry).remove_revision_link(BROKEN.0, pushed.digest(Object::Child));
            },
            expected: Invisible("it remembers the link, and clients can pull"),
        },
        Own {
            what: "the same link removed, and a restart",
            apply: |registry, pushed| {
                store(registry).remove_revision_link(BROKEN.0, pushed.digest(Object::Child));
                registry.restart();
            },
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "the same link emptied, and a restart",
            apply: |registry, pushed| {
                store(registry).empty_revision_link(BROKEN.0, pushed.digest(Object::Child));
                registry.restart();
            },
            expected: Found("head", "child/unreadable"),
        },
        Own {
            what: "`_layers/…/link` of a layer removed, and a restart",
            apply: |registry, pushed| {
                store(registry).remove_layer_link(BROKEN.0, pushed.digest(Object::Layer));
                registry.restart();
            },
            expected: Found("head", "layer/not_found"),
        },
        Own {
            what: "`tags/1.0/current/link` removed",
            apply: |registry, _| store(registry).remove_tag_link(BROKEN.0, BROKEN.1),
            expected: Found("head", "tag/not_found"),
        },
        Own {
            what: "the tag's link emptied",
            apply: |registry, _| store(registry).empty_tag_link(BROKEN.0, BROKEN.1),
            expected: Found("head", "tag/unreadable"),
        },
        Own {
            what: "the folder `tags/1.0` removed",
            apply: |registry, _| store(registry).remove_tag(BROKEN.0, BROKEN.1),
            expected: Invisible("the tag leaves the list, as a deleted one does"),
        },
        Own {
            what: "`garbage-collect --delete-untagged`",
            apply: |registry, _| collect(registry),
            expected: Invisible("it follows indexes, and takes nothing that a tag leads to"),
        },
    ],
    outages: &[
        ("its folder is moved away", |registry| {
            store(registry).vanish();
        }),
        ("the folder `blobs` alone is moved away", |registry| {
            store(registry).lose_bytes();
        }),
        ("its folders cannot be read", |registry| {
            store(registry).fail();
        }),
    ],
    habits: &[],
};

fn store(registry: &Registry) -> Store {
    Store::new(&registry.data())
}

fn collect(registry: &mut Registry) {
    registry.stop();
    let configuration = registry.directory().join("config.yml");
    run(Command::new(registry.binary())
        .args(["garbage-collect", "--delete-untagged"])
        .arg(configuration)
        .env_clear());
    registry.restart();
}

fn version(binary: &Path) -> String {
    let said = run(Command::new(binary).arg("--version").env_clear()).stdout;
    let said = String::from_utf8_lossy(&said);
    let last = said.split_whitespace().last().unwrap_or_default();
    last.trim_start_matches('v').to_owned()
}

fn serve(place: &Place<'_>) -> Command {
    let configuration = place.directory.join("config.yml");
    let text = format!(
        "version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {store}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
  secret: only-for-tests
{settings}",
        store = place.store().display(),
        port = place.port,
        settings = place.settings,
    );
    std::fs::write(&configuration, text).expect("a configuration is written");
    let mut command = Command::new(place.binary);
    command.arg("serve").arg(configuration).env_clear();
    command
}

fn file(_repository: &str, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').expect("a digest has an algorithm");
    Path::new("docker/registry/v2/blobs")
        .join(algorithm)
        .join(&hex[..2])
        .join(hex)
        .join("data")
}
