//! Gitea: files under their digests in `packages`, and a database (here SQLite) that says whose they are.

mod database;
mod habits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::product::{Expected, Object, Own, Product};
use crate::pushed::BROKEN;
use crate::registry::{Login, Place, Registry};
use crate::support::process::run;

use Expected::{Found, Invisible, Refused};
use database::{blob, collect, database, delete, forget_digest, lock, of_hash, rule, sql};

pub(crate) const GITEA: Product = Product {
    name: "gitea",
    title: "Gitea",
    version,
    serve,
    prepare,
    file,
    files: [
        (
            Object::Index,
            [
                Found("head", "tag/not_found"),
                Found("head", "tag/short_read"),
                Found("head", "tag/short_read"),
                Found("head", "tag/digest_mismatch"),
            ],
        ),
        (
            Object::Child,
            [
                Found("head", "child/not_found"),
                Found("head", "child/short_read"),
                Found("head", "child/short_read"),
                Found("head", "child/digest_mismatch"),
            ],
        ),
        (
            Object::Config,
            [
                Found("head", "config/not_found"),
                Found("tail", "config/short_read"),
                Found("tail", "config/short_read"),
                Found("tail", "config/digest_mismatch"),
            ],
        ),
        (
            Object::Layer,
            [
                Found("head", "layer/not_found"),
                Found("tail", "layer/short_read"),
                Found("tail", "layer/short_read"),
                Found("digest", "layer/digest_mismatch"),
            ],
        ),
    ],
    own: &[
        Own {
            what: "the file of a layer cut after more than its first 64 KiB",
            apply: |registry, pushed| {
                let path = registry.file(BROKEN.0, pushed.digest(Object::Layer));
                let bytes = fs::read(&path).expect("a file is read");
                fs::write(path, &bytes[..80 << 10]).expect("a file is written");
            },
            expected: Found("digest", "layer/short_read"),
        },
        Own {
            what: "the manifest of a platform deleted by its API, although an index names it",
            apply: |registry, pushed| {
                let child = pushed.digest(Object::Child);
                let path = format!("/v2/{}/manifests/{child}", BROKEN.0);
                assert_eq!(registry.client().delete(&path).status, 202);
            },
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "the row of a platform's manifest deleted from `package_version`",
            apply: |registry, pushed| {
                let child = pushed.digest(Object::Child);
                delete(registry, "package_version", &format!("version = '{child}'"));
            },
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "the row of the tag deleted from `package_version`",
            apply: |registry, _| {
                delete(
                    registry,
                    "package_version",
                    &format!("version = '{}'", BROKEN.1),
                );
            },
            expected: Invisible("the tag leaves the list, as a deleted one does"),
        },
        Own {
            what: "the row of a layer deleted from `package_file`",
            apply: |registry, pushed| {
                delete(registry, "package_file", &blob(pushed, Object::Layer));
            },
            expected: Found("head", "layer/not_found"),
        },
        Own {
            what: "the row of the tag's own manifest deleted from `package_file`",
            apply: |registry, pushed| {
                delete(registry, "package_file", &blob(pushed, Object::Index));
            },
            expected: Found("head", "tag/not_found"),
        },
        Own {
            what: "the row of a layer deleted from `package_blob`",
            apply: |registry, pushed| {
                delete(registry, "package_blob", &of_hash(pushed, Object::Layer));
            },
            expected: Refused(
                "head",
                "layer/unreadable",
                "is refused (500), as a deletion is: its database has to be mended first",
            ),
        },
        Own {
            what: "the row of a platform's manifest deleted from `package_blob`",
            apply: |registry, pushed| {
                delete(registry, "package_blob", &of_hash(pushed, Object::Child));
            },
            expected: Found("head", "child/unreadable"),
        },
        Own {
            what: "the row of the tag's own manifest deleted from `package_blob`",
            apply: |registry, pushed| {
                delete(registry, "package_blob", &of_hash(pushed, Object::Index));
            },
            expected: Found("head", "tag/unreadable"),
        },
        Own {
            what: "another size of a layer in `package_blob`",
            apply: |registry, pushed| {
                let layer = of_hash(pushed, Object::Layer);
                sql(
                    registry,
                    &format!("UPDATE package_blob SET size = size + 1 WHERE {layer}"),
                );
            },
            expected: Refused(
                "head",
                "layer/size_mismatch",
                "is refused (`size invalid`): its database has to be mended first",
            ),
        },
        Own {
            what: "the digest of a layer deleted from `package_property`",
            apply: |registry, pushed| forget_digest(registry, pushed, Object::Layer),
            expected: Found("head", "layer/not_found"),
        },
        Own {
            what: "the digest of the manifest of a platform deleted from `package_property`",
            apply: |registry, pushed| forget_digest(registry, pushed, Object::Child),
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "the digest of the tag's own manifest deleted from `package_property`",
            apply: |registry, pushed| forget_digest(registry, pushed, Object::Index),
            expected: Found("head", "tag/not_found"),
        },
        Own {
            what: "`container.manifest.tagged` of the tag deleted from `package_property`",
            apply: |registry, _| {
                delete(
                    registry,
                    "package_property",
                    "name = 'container.manifest.tagged' AND ref_id IN (\
                    SELECT id FROM package_version WHERE version = '1.0')",
                );
            },
            expected: Invisible(
                "the tag leaves the list, as a deleted one does; who asks for it still gets it",
            ),
        },
        Own {
            what: "the media type of the tag's own manifest deleted from `package_property`",
            apply: |registry, pushed| {
                let file = blob(pushed, Object::Index);
                delete(
                    registry,
                    "package_property",
                    &format!(
                        "name = 'container.mediatype' AND ref_type = 1 AND ref_id IN (SELECT id FROM package_file WHERE {file})"
                    ),
                );
            },
            expected: Found("head", "tag/media_type_mismatch"),
        },
        Own {
            what: "`container.manifest.reference` of a platform deleted, and a clean-up rule that keeps the newest version",
            apply: |registry, pushed| {
                let child = pushed.digest(Object::Child);
                let which = format!("name = 'container.manifest.reference' AND value = '{child}'");
                delete(registry, "package_property", &which);
                rule(registry, "keep_count", "1");
                collect(registry);
            },
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "a clean-up rule that keeps the newest version of each image",
            apply: |registry, _| {
                rule(registry, "keep_count", "1");
                collect(registry);
            },
            expected: Invisible("it keeps what the index names"),
        },
        Own {
            what: "a clean-up rule that removes what matches `1.*|sha256:.*`",
            apply: |registry, _| {
                rule(registry, "remove_pattern", "'1.*|sha256:.*'");
                collect(registry);
            },
            expected: Invisible("what the rule removes is gone from the list, and nothing else is"),
        },
        Own {
            what: "`cleanup_packages` without a rule",
            apply: |registry, _| collect(registry),
            expected: Invisible("it takes what no version has"),
        },
    ],
    outages: &[
        ("the folder `packages` is moved away", |registry| {
            fs::rename(packages(registry), registry.directory().join("gone"))
                .expect("a folder is moved");
        }),
        (
            "another, empty volume is mounted at `packages`",
            |registry| {
                fs::rename(packages(registry), registry.directory().join("gone"))
                    .expect("a folder is moved");
                fs::create_dir(packages(registry)).expect("a folder is made");
            },
        ),
        ("the folder `packages` cannot be read", |registry| {
            fs::rename(packages(registry), registry.directory().join("gone"))
                .expect("a folder is moved");
            fs::write(packages(registry), "").expect("a file is written");
        }),
        ("its database is locked", |registry| lock(registry)),
        ("its database is emptied while it runs", |registry| {
            fs::write(database(registry), "").expect("a file is written");
        }),
        ("its database is moved away, and a restart", |registry| {
            registry.stop();
            fs::remove_file(database(registry)).expect("a file is removed");
            registry.restart();
        }),
    ],
    habits: &[
        habits::downloads_are_counted,
        habits::shows_what_a_user_may_see,
        habits::a_lost_row_is_mended,
    ],
};

fn packages(registry: &Registry) -> PathBuf {
    registry.data().join("packages")
}

fn version(binary: &Path) -> String {
    let said = run(Command::new(binary).arg("--version").env_clear()).stdout;
    let said = String::from_utf8_lossy(&said);
    let third = said.split_whitespace().nth(2);
    third.unwrap_or_default().to_owned()
}

/// A command of its own, which finds git and nothing of the caller's.
fn command(place: &Place<'_>) -> Command {
    let mut command = Command::new(place.binary);
    command
        .env_clear()
        .env("HOME", place.directory)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(place.directory);
    command
}

fn serve(place: &Place<'_>) -> Command {
    let configuration = place.directory.join("app.ini");
    // It does not run as root unless it is told to.
    let text = format!(
        "WORK_PATH = {directory}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
APP_DATA_PATH = {store}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {directory}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = only-for-tests
[indexer]
ISSUE_INDEXER_TYPE = db
[log]
LEVEL = warn
[cron.update_checker]
ENABLED = false
[cron.update_mirrors]
ENABLED = false
{settings}",
        directory = place.directory.display(),
        store = place.store().display(),
        port = place.port,
        settings = place.settings,
    );
    fs::write(&configuration, text).expect("a configuration is written");
    let mut command = command(place);
    command.args(["web", "--config"]).arg(configuration);
    command
}

/// The owner of all that is pushed.
#[expect(clippy::unnecessary_wraps, reason = "other products have no login")]
fn prepare(place: &Place<'_>) -> Option<Login> {
    let login = Login {
        user: "team".to_owned(),
        password: "only-for-tests".to_owned(),
    };
    let mut command = command(place);
    command
        .args(["admin", "user", "create", "--username", &login.user])
        .args(["--password", &login.password, "--email", "team@example.com"])
        .args(["--must-change-password=false", "--config"])
        .arg(place.directory.join("app.ini"));
    run(&mut command);
    Some(login)
}

fn file(_repository: &str, digest: &str) -> PathBuf {
    let (_, hex) = digest.split_once(':').expect("a digest has an algorithm");
    Path::new("packages")
        .join(&hex[..2])
        .join(&hex[2..4])
        .join(hex)
}
