//! zot: a folder for each repository, with an `index.json` of its tags.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::attached;
use crate::distribution::DISTRIBUTION;
use crate::product::{Damage, Expected, Object, Own, Product};
use crate::pushed::{BROKEN, Pushed};
use crate::registry::{Place, Registry};
use crate::support::probe::Probe;
use crate::support::process::{run, tool, wait_until};
use crate::support::skopeo;
use crate::trial::sweep;

use Expected::{Found, Invisible, Refused, Unverified};

pub(crate) const ZOT: Product = Product {
    name: "zot",
    title: "zot",
    version,
    serve,
    prepare: |_| None,
    file,
    files: [
        (
            Object::Index,
            [
                Found("head", "tag/not_found"),
                Found("head", "tag/not_found"),
                Found("head", "tag/unreadable"),
                Found("head", "tag/digest_mismatch"),
            ],
        ),
        (
            Object::Child,
            [
                Found("head", "child/not_found"),
                Found("head", "child/not_found"),
                Found("head", "child/unreadable"),
                Found("head", "child/digest_mismatch"),
            ],
        ),
        (
            Object::Config,
            [
                Found("head", "config/not_found"),
                Found("head", "config/not_found"),
                Found("head", "config/size_mismatch"),
                Found("tail", "config/digest_mismatch"),
            ],
        ),
        (
            Object::Layer,
            [
                Found("head", "layer/not_found"),
                Found("head", "layer/not_found"),
                Found("head", "layer/size_mismatch"),
                Found("digest", "layer/digest_mismatch"),
            ],
        ),
    ],
    own: &[
        Own {
            what: "the tag's entry taken out of `index.json`",
            apply: |registry, _| {
                edit(registry, |entries| entries.retain(|entry| !is_tag(entry)));
            },
            expected: Invisible("the tag leaves the list, as a deleted one does"),
        },
        Own {
            what: "the tag's entry in `index.json` leads to a manifest that is not there",
            apply: |registry, _| {
                edit(registry, |entries| {
                    let mut tags = entries.iter_mut().filter(|entry| is_tag(entry));
                    let entry = tags.next().expect("the tag has an entry");
                    entry["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
                });
            },
            expected: Refused(
                "head",
                "tag/not_found",
                "is refused for an index (400), and so is a deletion (404): take the entry out of `index.json` first",
            ),
        },
        Own {
            what: "`index.json` emptied",
            apply: |registry, _| fs::write(index(registry), "").expect("a file is written"),
            expected: Unverified("registry_error"),
        },
        Own {
            what: "`index.json` removed",
            apply: |registry, _| fs::remove_file(index(registry)).expect("a file is removed"),
            expected: Invisible("the repository leaves the catalog, as a deleted one does"),
        },
        Own {
            what: "`oci-layout` removed",
            apply: |registry, _| {
                let file = registry.data().join(BROKEN.0).join("oci-layout");
                fs::remove_file(file).expect("a file is removed");
            },
            expected: Invisible("the repository leaves the catalog, as a deleted one does"),
        },
        Own {
            what: "the file of a layer deleted that another repository has, too",
            apply: |registry, pushed| {
                let file = registry.file("team/web", pushed.shared());
                fs::remove_file(file).expect("a file is removed");
            },
            expected: Invisible("zot links it again when it is asked for"),
        },
        Own {
            what: "the file of the tag's own manifest deleted, and then its clean-up (`gc`)",
            apply: |registry, pushed| {
                let file = registry.file(BROKEN.0, pushed.digest(Object::Index));
                fs::remove_file(file).expect("a file is removed");
                collect(registry, GC);
            },
            expected: Invisible("`gc` takes the tag out of the list, as a deletion does"),
        },
        Own {
            what: "the file of a platform's manifest deleted, and then its clean-up (`gc`)",
            apply: |registry, pushed| {
                let file = registry.file(BROKEN.0, pushed.digest(Object::Child));
                fs::remove_file(file).expect("a file is removed");
                collect(registry, GC);
            },
            expected: Found("head", "child/not_found"),
        },
        Own {
            what: "retention without a rule for the tag (`keepTags`)",
            apply: |registry, _| collect(registry, RETENTION),
            expected: Invisible("what the rule removes is gone from the list, and nothing else is"),
        },
    ],
    outages: &[("its folder is moved away", |registry| {
        let data = registry.data();
        fs::rename(&data, data.with_extension("gone")).expect("a folder is moved");
    })],
    habits: &[
        pulls_are_counted,
        fetches_on_demand,
        keeps_copies,
        a_tag_that_leads_nowhere_is_mended,
        attached::is_told,
        attached::is_not_hidden_by_a_loss,
    ],
};

/// Its clean-up, at once.
const GC: &str = r#"{"storage": {"gc": true, "gcDelay": "1s", "gcInterval": "1s"}}"#;

/// A rule that goes by pulls.
const PULLED_WITHIN: &str = r#"{"storage": {"retention": {
    "policies": [{"repositories": ["**"], "keepTags": [{"patterns": [".*"], "pulledWithin": "720h"}]}]
}}}"#;

/// Its clean-up, and tags are kept that begin with `v`, or are the latest.
const RETENTION: &str = r#"{"storage": {"gc": true, "gcDelay": "1s", "gcInterval": "1s", "retention": {
    "delay": "1s", "policies": [{"repositories": ["**"], "deleteUntagged": true, "keepTags": [{"patterns": ["v.*", "latest"]}]}]
}}}"#;

/// Lets it clean up the repository, and stops that again.
fn collect(registry: &mut Registry, settings: &str) {
    // Nothing is young enough to be spared.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mark = registry.said().len();
    registry.restart_with(settings);
    let end = format!("completed for {}", registry.data().join(BROKEN.0).display());
    wait_until("it has cleaned up", || {
        registry.said()[mark..].contains(&end)
    });
    registry.restart_with("");
}

/// What a request for a manifest writes where a rule goes by pulls.
fn pulls_are_counted(binary: &Path) -> String {
    let registry = Registry::start_with(&ZOT, binary, PULLED_WITHIN);
    let _ = Pushed::to(&registry);
    let client = registry.client();
    let path = format!("/v2/{}/manifests/{}", BROKEN.0, BROKEN.1);
    let database = || fs::read(registry.data().join("meta.db")).expect("a file is read");
    let counts = |ask: &dyn Fn() -> u16| {
        let before = database();
        assert_eq!(ask(), 200);
        database() != before
    };
    let by_head = counts(&|| client.head(&path).status);
    let by_get = counts(&|| client.get(&path).status);
    assert!(by_get && !by_head, "GET: {by_get}, HEAD: {by_head}");
    "With `pulledWithin` in a rule, a GET of a manifest is written down as a pull (`meta.db`), a HEAD is not.".to_owned()
}

/// Nothing is fetched before somebody says what it is, and that nothing is stored is told as that.
fn fetches_on_demand(binary: &Path) -> String {
    let distribution = tool("docker-registry");
    let mut upstream = Registry::start(&DISTRIBUTION, Path::new(distribution.get_program()));
    let pushed = Pushed::to(&upstream);
    let settings = json!({"extensions": {"sync": {"enable": true, "registries": [{
        "urls": [format!("http://{}", upstream.host())], "onDemand": true, "tlsVerify": false,
        "maxRetries": 1, "retryDelay": "1s", "content": [{"prefix": "**"}],
    }]}}});
    let registry = Registry::start_with(&ZOT, binary, &settings.to_string());
    let fetched = || registry.data().join(BROKEN.0).join("index.json").exists();
    let verify = |mode: &[&str], tag: &str| {
        let image = format!("{}/{}:{tag}", registry.host(), BROKEN.0);
        Probe::verify().args(mode).arg(image).run()
    };
    let outcome = verify(&[], BROKEN.1);
    assert!(outcome.code == 3 && !fetched(), "{outcome}");
    let outcome = verify(&["--mode", "pull-through"], BROKEN.1);
    assert!(outcome.code == 0 && fetched(), "{outcome}");
    let outcome = verify(&[], BROKEN.1);
    assert_eq!(outcome.code, 0, "what is stored is asked for: {outcome}");
    let asked = || registry.said().matches("syncing on demand").count();
    let before = asked();
    assert!(before > 0, "its log has other words: {}", registry.said());
    let page = doctor(&registry);
    assert!(page.contains("not told"), "{page}");
    assert_eq!(asked(), before, "doctor: {page}");
    let compared = compare(&upstream, &registry);
    let others =
        ["team/web", "team/base"].map(|name| registry.data().join(name).join("index.json"));
    assert!(
        !others.iter().any(|path| path.exists()),
        "compare: {compared}"
    );
    assert!(compared.starts_with("UNVERIFIED"), "{compared}");
    by_digest_fetches(&registry, &pushed);
    upstream.stop();
    let outcome = verify(&[], "2.0");
    assert_eq!(outcome.code, 3, "{outcome}");
    let outcome = verify(&["--mode", "pull-through"], "2.0");
    assert_eq!(outcome.code, 3, "{outcome}");
    "With `sync` and `onDemand: true`, it answers as any other zot, so the probe cannot tell. Each request for a tag \
     that is not stored, or that is newer in its upstream, makes it store the whole image, and one for a manifest by its \
     digest makes it store that; lists and requests for blobs do not. So without `--mode`, `probe doctor` asks a zot for \
     no image, and `probe verify`, `compare`, `keep` and `--in-use` for none that is not stored. A child that a stored \
     index has lost is asked for: such a zot fetches it again, and it is intact."
        .to_owned()
}

/// A layer that two repositories have is read in both.
fn keeps_copies(binary: &Path) -> String {
    let registry = Registry::start_with(&ZOT, binary, r#"{"storage": {"dedupe": false}}"#);
    let pushed = Pushed::to(&registry);
    for repository in ["team/web", "team/base"] {
        let file = registry.file(repository, pushed.shared());
        let intact = fs::read(&file).expect("it has a file of its own");
        Damage::Altered.apply(&file);
        for _ in 0..4 {
            let findings = sweep(&registry, "digest").report().findings();
            let seen: Vec<_> = findings.iter().map(|it| &*it.repository).collect();
            assert_eq!(seen, [repository]);
        }
        fs::write(&file, intact).expect("a file is written");
    }
    "With `dedupe: false`, and between `subPaths`, each repository has a file of its own of every blob: the probe reads them all."
        .to_owned()
}

/// What a push does not mend, an editor does.
fn a_tag_that_leads_nowhere_is_mended(binary: &Path) -> String {
    let registry = Registry::start(&ZOT, binary);
    let pushed = Pushed::to(&registry);
    edit(&registry, |entries| {
        let mut tags = entries.iter_mut().filter(|entry| is_tag(entry));
        let entry = tags.next().expect("the tag has an entry");
        entry["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    });
    assert_eq!(sweep(&registry, "head").code, 1);
    edit(&registry, |entries| entries.retain(|entry| !is_tag(entry)));
    let name = format!("{}:{}", BROKEN.0, BROKEN.1);
    skopeo::push(&registry, pushed.content(), &name);
    let outcome = sweep(&registry, "digest");
    assert_eq!(outcome.code, 0, "{outcome}");
    "A tag whose entry in `index.json` leads nowhere takes a push again once the entry is taken out."
        .to_owned()
}

/// Without a mode: all that is in the upstream, and what is stored of it.
fn compare(upstream: &Registry, registry: &Registry) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(["compare", "--confirm-after", "0s"]);
    command.args([upstream.host(), registry.host()]).env_clear();
    let said = command.output().expect("it starts").stdout;
    String::from_utf8_lossy(&said).into_owned()
}

/// A manifest that is asked for by its digest is fetched.
fn by_digest_fetches(registry: &Registry, pushed: &Pushed) {
    let child = pushed.digest(Object::Child);
    let file = registry.data().join(file(BROKEN.0, child));
    fs::remove_file(&file).expect("a child is stored");
    let path = format!("/v2/{}/manifests/{child}", BROKEN.0);
    assert_eq!(registry.client().get(&path).status, 200);
    wait_until("it is stored again", || file.exists());
}

fn doctor(registry: &Registry) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    let said = run(command.arg("doctor").arg(registry.host()).env_clear()).stdout;
    String::from_utf8_lossy(&said).into_owned()
}

fn index(registry: &Registry) -> PathBuf {
    registry.data().join(BROKEN.0).join("index.json")
}

fn is_tag(entry: &Value) -> bool {
    entry["annotations"]["org.opencontainers.image.ref.name"] == BROKEN.1
}

/// Edits what `index.json` lists.
fn edit(registry: &Registry, change: impl FnOnce(&mut Vec<Value>)) {
    let path = index(registry);
    let text = fs::read(&path).expect("a file is read");
    let mut index: Value = serde_json::from_slice(&text).expect("it is JSON");
    change(index["manifests"].as_array_mut().expect("a list"));
    fs::write(path, index.to_string()).expect("a file is written");
}

fn version(binary: &Path) -> String {
    let output = run(Command::new(binary).arg("--version").env_clear());
    let said = [output.stdout, output.stderr].concat();
    let said: Value = serde_json::from_slice(&said).expect("it says a line of JSON");
    said["commit"].as_str().unwrap_or_default().to_owned()
}

fn serve(place: &Place<'_>) -> Command {
    let mut configuration = json!({
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": place.store(), "dedupe": true, "gc": false},
        "http": {"address": "127.0.0.1", "port": place.port.to_string()},
        "log": {"level": "info"},
    });
    if !place.settings.is_empty() {
        let more: Value = serde_json::from_str(place.settings).expect("settings are JSON");
        for (part, settings) in more.as_object().expect("an object") {
            for (name, value) in settings.as_object().expect("an object") {
                configuration[part][name] = value.clone();
            }
        }
    }
    let path = place.directory.join("config.json");
    fs::write(&path, configuration.to_string()).expect("a configuration is written");
    let mut command = Command::new(place.binary);
    command.arg("serve").arg(path).env_clear();
    command
}

fn file(repository: &str, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').expect("a digest has an algorithm");
    Path::new(repository)
        .join("blobs")
        .join(algorithm)
        .join(hex)
}
