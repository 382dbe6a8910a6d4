//! The commands that the README, the pages in docs and the runbooks tell people to type, typed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::assertions::assert_intact;
use crate::support::files::{at, names, text};
use crate::support::hand::Hand;
use crate::support::images::{Content, Image, Layer, sha256};
use crate::support::nginx::Nginx;
use crate::support::paste::{Shell, commands};
use crate::support::probe::Probe;
use crate::support::process::{at_home, run, tool};
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::skopeo;

pub(crate) const FAILURE: &str = "docs/runbooks/RegistryManifestIntegrityFailure.md";
const STORAGE: &str = "docs/runbooks/RegistryStorageUnavailable.md";

/// The shell commands below this mark in a document.
pub(crate) fn block(document: &str, name: &str) -> String {
    let text = text(document);
    let mark = format!("<!-- test: {name} -->\n```sh\n");
    let (_, after) = text
        .split_once(&mark)
        .unwrap_or_else(|| panic!("{document}: no {mark}"));
    after.split_once("```").expect("it ends").0.to_owned()
}

/// A terminal of somebody on call, with two registries that it trusts: the one that is broken, and one that
/// has the image still.
struct Terminal {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Terminal {
    fn new(registry: &Registry, source: &Registry, digest: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let insecure = |registry: &Registry| {
            format!(
                "[[registry]]\nlocation = \"{}\"\ninsecure = true\n",
                registry.host()
            )
        };
        let trusted = insecure(registry) + &insecure(source);
        let settings = home.path().join(".config/containers");
        fs::create_dir_all(&settings).expect("it is made");
        fs::write(settings.join("registries.conf"), trusted).expect("it is written");
        fs::create_dir(home.path().join("bin")).expect("it is made");
        let terminal = Self {
            home,
            variables: vec![
                ("registry", registry.host()),
                ("url", format!("http://{}", registry.host())),
                ("repository", "team/app".into()),
                ("tag", "1.4".into()),
                ("digest", digest.into()),
                ("source", format!("{}/team/app:1.4", source.host())),
                ("storage", registry.storage().display().to_string()),
            ],
        };
        let link = |program: &Path, name: &str| {
            symlink(program, terminal.bin().join(name)).expect("a link is made");
        };
        link(Path::new(env!("CARGO_BIN_EXE_probe")), "probe");
        link(Path::new(tool("docker-registry").get_program()), "registry");
        terminal
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join("bin")
    }

    /// Types the commands.
    fn types(&self, commands: &str) -> Output {
        let path = std::env::var("PATH").expect("there is a path");
        let mut shell = tool("sh");
        shell
            .args(["-eu", "-c", commands])
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", format!("{}:{path}", self.bin().display()))
            .env("PROBE_CONFIRM_AFTER", "0s")
            .current_dir(self.home.path());
        let shell = at_home(&mut shell, self.home.path());
        shell.output().expect("it can be started")
    }

    /// Types the commands of a document, which all succeed: what they print.
    fn follows(&self, document: &str, name: &str) -> String {
        let output = self.types(&block(document, name));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{name} of {document}:\n{said}{errors}"
        );
        said
    }

    /// Whether `probe verify` as in the runbook finds the image intact.
    fn verifies(&self) -> bool {
        let output = self.types(&block(FAILURE, "verify"));
        let code = output.status.code().expect("it ends by itself");
        assert!(code < 2, "{}", String::from_utf8_lossy(&output.stderr));
        code == 0
    }
}

/// A registry and a copy of it, with an image under `team/app:1.4`.
fn two_registries(content: &Content) -> (Registry, Registry) {
    let (registry, source) = (Registry::start(), Registry::start());
    skopeo::push(&registry, content, "team/app:1.4");
    skopeo::push(&source, content, "team/app:1.4");
    (registry, source)
}

#[test]
fn a_lost_child_is_confirmed_and_pushed_again() {
    let content = Content::index("lost");
    let (mut registry, source) = two_registries(&content);
    let child = &content.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/app", child);
    let terminal = Terminal::new(&registry, &source, child);
    assert_eq!(terminal.follows(FAILURE, "confirm-manifest"), "404\n");
    assert!(!terminal.verifies());
    registry.restart();
    terminal.follows(FAILURE, "push-again");
    assert!(terminal.verifies());
    assert_eq!(terminal.follows(FAILURE, "confirm-manifest"), "200\n");
}

/// Why the runbook leads to the commands of the report: a push by hand does not mend damaged bytes.
#[test]
fn a_push_by_hand_is_skipped_where_bytes_are_damaged() {
    let layer = Layer::plain("damaged");
    let digest = layer.blob.digest.clone();
    let content = Content::from(Image::of("damaged", "amd64", &[layer]));
    let (mut registry, source) = two_registries(&content);
    registry.store().empty_data(&digest);
    let terminal = Terminal::new(&registry, &source, &digest);
    let hash = |digest: &str| format!("{}  -\n", digest.trim_start_matches("sha256:"));
    registry.restart();
    assert_eq!(
        terminal.follows(FAILURE, "confirm-blob"),
        hash(&sha256(b""))
    );
    terminal.follows(FAILURE, "push-again");
    assert!(
        !terminal.verifies(),
        "the push was not skipped: the runbook can be shorter"
    );
    let outcome = Probe::once().arg(registry.host()).run();
    let restart = commands(&outcome.report().raw_findings()[0], "restart");
    let shell = Shell::new().with_source(&content);
    shell.paste(&mut registry, &restart);
    assert!(terminal.verifies());
    assert_eq!(terminal.follows(FAILURE, "confirm-blob"), hash(&digest));
}

#[test]
fn garbage_is_collected_as_the_runbook_says() {
    let layer = Layer::plain("deleted");
    let bytes = layer.blob.digest.clone();
    let deleted = Content::from(Image::of("deleted", "amd64", &[layer]));
    let (mut registry, source) = two_registries(&Content::index("kept"));
    skopeo::push(&registry, &deleted, "team/app:1.5");
    let digest = &deleted.manifest().digest;
    Hand::new(&registry.host()).delete("team/app", digest);
    registry.restart();
    let terminal = Terminal::new(&registry, &source, digest);
    let collect = block(FAILURE, "collect");
    let configuration = registry.configuration().display().to_string();
    let here = collect.replace("/etc/docker/registry/config.yml", &configuration);
    assert_ne!(collect, here);
    let output = terminal.types(&here);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&bytes), "{said}");
    registry.restart();
    let gone = registry
        .client()
        .head(&format!("/v2/team/app/blobs/{bytes}"));
    assert_eq!(gone.status, 404);
    assert_intact(&Probe::once().arg(registry.host()).run());
}

/// What the runbook removes in the stores of Gitea and zot: damaged files, wherever they are, and no others.
#[test]
fn files_of_other_stores_are_removed_only_if_damaged() {
    let name = sha256(b"intact");
    let hex = name.trim_start_matches("sha256:");
    let gitea = format!("{}/{}/{hex}", &hex[..2], &hex[2..4]);
    let zot = ["team/app", "web"].map(|repository| format!("{repository}/blobs/sha256/{hex}"));
    for (test, files) in [("gitea-file", &[gitea][..]), ("zot-files", &zot)] {
        for shell in ["dash", "bash --posix"] {
            for (bytes, stays) in [(&b"intact"[..], true), (b"others", false), (b"", false)] {
                let store = tempfile::tempdir().expect("a temporary directory");
                let at = |file: &String| store.path().join(file);
                let run = || {
                    let script = block(FAILURE, test);
                    let mut words = shell.split(' ');
                    let mut command = tool(words.next().expect("a shell"));
                    command.args(words).args(["-c", &script]);
                    for variable in ["packages", "root"] {
                        command.env(variable, store.path());
                    }
                    command.env("digest", &name).output().expect("it starts")
                };
                // Without a file there is nothing to do.
                run();
                for file in files {
                    fs::create_dir_all(at(file).parent().expect("a folder")).expect("it is made");
                    fs::write(at(file), bytes).expect("it is written");
                }
                let another = store.path().join("another");
                fs::write(&another, "others").expect("it is written");
                run();
                assert!(another.exists());
                for file in files {
                    assert_eq!(at(file).exists(), stays, "{test} in {shell}: {bytes:?}");
                }
            }
        }
    }
}

/// Whoever is paged has to know where a command is meant to run; what is asked of a cluster goes by kubectl.
#[test]
fn every_command_of_a_runbook_says_where_it_runs() {
    let mut blocks = 0;
    for name in names("docs/runbooks", ".md") {
        let page = text(&format!("docs/runbooks/{name}"));
        for block in page.split("```sh\n").skip(1) {
            let block = block.split("```").next().expect("it ends").trim_start();
            let place = block.lines().next().expect("it is not empty");
            assert!(
                ["# on ", "# in "]
                    .iter()
                    .any(|word| place.starts_with(word)),
                "{name}: {place}"
            );
            let is_far = place.starts_with("# in the cluster, from your laptop");
            for line in block.lines().filter(|_| is_far).map(str::trim_start) {
                assert!(
                    !line.starts_with("probe ") && !line.starts_with("curl "),
                    "{name}: {line}"
                );
            }
            // A name of the cluster's DNS means nothing elsewhere.
            assert!(
                is_far || !block.contains("curl --silent http://pushgateway."),
                "{name}"
            );
            blocks += 1;
        }
    }
    assert!(blocks > 40, "{blocks}");
}

#[test]
fn a_storage_that_is_away_is_seen_and_verified_when_it_is_back() {
    let content = Content::index("away");
    let (registry, source) = two_registries(&content);
    let terminal = Terminal::new(&registry, &source, &content.manifest().digest);
    let is_it_so = || terminal.follows(STORAGE, "is-it-so");
    assert_eq!(is_it_so(), "{\"repositories\":[\"team/app\"]}\n200\n");
    registry.store().vanish();
    assert_eq!(is_it_so(), "{\"repositories\":[]}\n404\n");
    let looks = || terminal.types(&block(STORAGE, "what-is-mounted"));
    assert!(!looks().status.success(), "there is nothing to list");
    registry.store().come_back();
    let output = looks();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("team"), "{said}");
    let said = terminal.follows(STORAGE, "verify");
    assert_eq!(said.matches("INTACT").count(), 2, "{said}");
}

#[test]
fn a_repository_is_forgotten_by_hand_and_nothing_else_is() {
    let content = Content::index("forgotten");
    let (mut registry, source) = two_registries(&content);
    skopeo::push(&registry, &content, "team/web:1.4");
    let child = &content.images()[0].manifest.digest;
    for repository in ["team/app", "team/web"] {
        registry.store().remove_revision_link(repository, child);
    }
    let gateway = Pushgateway::start();
    let mut terminal = Terminal::new(&registry, &source, child);
    let state = terminal.home.path().join("state.json");
    terminal.variables.extend([
        ("state", state.display().to_string()),
        ("gateway", format!("http://{}", gateway.address())),
    ]);
    let sweep = |options: &str| {
        let command =
            format!("probe --once --output json --state \"$state\" {options} \"$registry\"");
        let output = terminal.types(&command);
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        (output.status.code(), report)
    };
    assert_eq!(sweep("--push-gateway \"$gateway\"").0, Some(1));
    registry.stop();
    let remembered = || {
        let (code, report) = sweep("");
        let remembered = report["remembered"].as_array().expect("a list").iter();
        let names = remembered.map(|finding| finding["repository"].to_string());
        (code, names.collect::<Vec<_>>())
    };
    let all = ["\"team/app\"", "\"team/web\""].map(String::from);
    assert_eq!(remembered(), (Some(1), all.to_vec()));
    terminal.follows(FAILURE, "forget");
    assert_eq!(remembered(), (Some(1), all[1..].to_vec()));

    let host = registry.host();
    let known = || {
        let held = gateway.metrics();
        held.integrity("failures", &[("registry", host.as_str())])
    };
    assert_eq!(known(), Some(2.0));
    terminal.follows(FAILURE, "forget-group");
    assert_eq!(known(), None);
}

#[test]
fn the_other_commands_of_runbooks_and_of_deploying_work() {
    let content = Content::index("others");
    let (registry, source) = two_registries(&content);
    let mut terminal = Terminal::new(&registry, &source, &content.manifest().digest);
    let said = terminal.follows("docs/runbooks/RegistryCatalogInaccessible.md", "catalog");
    assert_eq!(said, "200\n200\n");
    terminal.follows("docs/ci.md", "verify-a-push");
    terminal.variables.push(("run", "nightly".into()));
    let said = terminal.follows("docs/ci.md", "merge-shards");
    assert!(said.contains("INTACT"), "{said}");
    terminal.follows("README.md", "laptop");

    let front = Nginx::tls(&registry);
    terminal.variables[0].1 = front.host();
    let said = terminal.follows("docs/runbooks/RegistryCertificateExpires.md", "certificate");
    assert!(
        said.contains("notAfter=") && said.contains("CN = localhost"),
        "{said}"
    );

    // A cluster with every form of an image's name: only kubectl is played.
    let pod = |name: &str, phase: &str, image: &str| {
        format!(
            r#"{{"metadata": {{"namespace": "n", "name": "{name}"}}, "status": {{"phase": "{phase}"}},
                "spec": {{"nodeName": "node", "containers": [{{"image": "x/y:1"}}], "initContainers": [{{"image": "{image}"}}]}}}}"#
        )
    };
    let pods = [
        pod("by-tag", "Running", "registry.example/team/app:1.4"),
        pod(
            "by-both",
            "Pending",
            "registry.example/team/app:1.4@sha256:00",
        ),
        pod(
            "by-digest",
            "Running",
            "registry.example/team/app@sha256:00",
        ),
        pod("another", "Running", "registry.example/team/app:1.40"),
        pod("finished", "Succeeded", "registry.example/team/app:1.4"),
    ];
    let script = format!(
        "#!/bin/sh\ncat <<'E'\n{{\"items\": [{}]}}\nE\n",
        pods.join(",")
    );
    let kubectl = terminal.bin().join("kubectl");
    fs::write(&kubectl, script).expect("it is written");
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("it is made a program");
    let said = terminal.follows("docs/runbooks/RegistryBrokenImageInUse.md", "which-pods");
    assert_eq!(said, "n/by-tag on node\nn/by-both on node\n");
    let job = r#"{"spec": {"template": {"spec": {"containers": [{"name": "probe", "args": ["--once"]}]}}}}"#;
    let script = format!("#!/bin/sh\ncase $* in *--dry-run*) echo '{job}' ;; *) cat ;; esac\n");
    fs::write(&kubectl, script).expect("it is written");
    let said = terminal.follows("docs/runbooks/RegistryCatalogInaccessible.md", "doctor-job");
    let asks: Value = serde_json::from_str(&said).expect("it is a Job");
    let container = &asks["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["doctor"]));
    assert_eq!(container["name"], "probe");

    run(tool("cp")
        .arg("-r")
        .arg(at("alerts"))
        .arg(terminal.home.path()));
    terminal.follows("docs/deploying.md", "runbook-url");
    let rules = terminal
        .home
        .path()
        .join("alerts/registry-integrity.rules.yaml");
    let rules = fs::read_to_string(rules).expect("it is there");
    assert!(rules.contains("https://git.example.com/registry-probe/blob/main/docs/runbooks/"));
    let names = text("deploy/names");
    let mut lines = names.lines();
    let before = lines.find_map(|line| line.strip_prefix("runbooks="));
    assert!(!rules.contains(before.expect("they have an address")));
}

/// What is typed against a cluster is at least understood by kubectl, and leads to files that are there.
#[test]
fn kubectl_understands_what_is_created_and_applied() {
    let mut documents = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/runbooks"] {
        let pages = names(folder, ".md").into_iter();
        documents.extend(pages.map(|name| format!("{folder}/{name}")));
    }
    let (mut created, mut applied) = (0, 0);
    for document in documents {
        for line in text(&document).replace("\\\n", "").lines() {
            let line = line.trim_start().trim_start_matches("$ ");
            let Some((_, directory)) = line.split_once(" --kustomize ") else {
                if line.starts_with("kubectl ")
                    && line.contains(" create ")
                    && !line.contains("--from=cronjob")
                    && !line.contains("create --filename")
                {
                    kubectl_creates(line);
                    created += 1;
                }
                continue;
            };
            // A copy that the document has made before.
            let copied = format!("cp -r deploy/kustomize/example {directory}");
            assert!(
                at(directory).join("kustomization.yaml").is_file()
                    || text(&document).contains(&copied),
                "{document}: {line}"
            );
            applied += 1;
        }
    }
    assert!(
        created >= 3 && applied >= 3,
        "{created} created, {applied} applied"
    );
}

/// Runs a command that creates something, without a cluster.
fn kubectl_creates(line: &str) {
    let home = tempfile::tempdir().expect("a temporary directory");
    for name in ["ca.crt", "ca.pem"] {
        fs::write(home.path().join(name), "an authority").expect("it is written");
    }
    let command = line.split('|').next().expect("there is a command").trim();
    let command = if command.contains("--dry-run") {
        command.to_owned()
    } else {
        format!("{command} --dry-run=client --output=yaml")
    };
    let mut shell = Command::new("sh");
    shell
        .args(["-eu", "-c", &command])
        .env("KUBECONFIG", home.path().join("none"))
        .current_dir(home.path());
    let said = run(at_home(&mut shell, home.path()));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let kinds = ["Secret", "ConfigMap", "Namespace"].map(|kind| format!("kind: {kind}"));
    assert!(
        kinds.iter().any(|kind| said.contains(kind)),
        "{line}:\n{said}"
    );
}
