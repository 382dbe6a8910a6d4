//! The clean-up of docs/clean-up.md, run for real: what is left is intact.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::keep::Shared;
use crate::support::assertions::assert_intact;
use crate::support::hand::Hand;
use crate::support::images::Content;
use crate::support::probe::Probe;
use crate::support::process::{at_home, run, tool};

/// A machine on which the script runs: programs of its own come first.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join("bin")).expect("it is made");
        let machine = Self { home };
        let probe = Path::new(env!("CARGO_BIN_EXE_probe"));
        symlink(probe, machine.home.path().join("bin/real-probe")).expect("a link is made");
        machine.program("probe", "PROBE_CONFIRM_AFTER=0s exec real-probe \"$@\"");
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.home.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    fn cleans(&self, kind: &str, variables: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").expect("there is a path");
        let mut shell = tool("sh");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/clean-up.sh");
        shell
            .arg(script)
            .arg(kind)
            .env_clear()
            .env("PATH", format!("{}/bin:{path}", self.home.path().display()))
            .envs(variables.iter().copied())
            .current_dir(self.home.path());
        let output = at_home(&mut shell, self.home.path()).output();
        output.expect("it can be started")
    }
}

fn said(output: &Output) -> String {
    let said = [&output.stdout, &output.stderr];
    said.map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

/// What is on the disk was written two days ago.
fn grow_old(storage: &Path) {
    run(tool("find").arg(storage).args([
        "-name",
        "link",
        "-exec",
        "touch",
        "-d",
        "2 days ago",
        "{}",
        "+",
    ]));
}

#[test]
fn a_clean_up_leaves_every_tag_intact() {
    let mut shared = Shared::new();
    let registry = &mut shared.registry;
    let (host, storage) = (registry.host(), registry.storage());
    let young = Content::index("young");
    let hand = Hand::new(&host);
    // A repository without any tag looks as one that was not listed.
    let unnamed = Content::index("unnamed");
    hand.push("unnamed", "v1", &unnamed);
    registry.store().remove_tag("unnamed", "v1");
    grow_old(&storage);
    hand.push("team/app", "moved", &young);
    hand.put("team/app", "moved", shared.tagged[3].1.manifest());
    let machine = Machine::new();
    // While the list is made, an index is pushed.
    machine.program(
        "probe",
        "PROBE_CONFIRM_AFTER=0s real-probe \"$@\"; status=$?\n\
         [ -e pushed ] || { touch asked; while [ ! -e pushed ]; do sleep 0.05; done; }\n\
         exit $status",
    );
    // A cron job that does not run now uses the one of the old images that is no index.
    let used = shared.untagged[0].manifest();
    let object = serde_json::json!({
        "kind": "CronJob",
        "metadata": { "namespace": "prod", "name": "nightly" },
        "spec": { "jobTemplate": { "spec": { "template": { "spec": { "containers": [
            { "name": "job", "image": format!("{host}/team/app@{}", used.digest) },
        ] } } } } },
    });
    let objects = serde_json::json!({ "kind": "List", "items": [object] }).to_string();
    fs::write(machine.home.path().join("objects.json"), objects).expect("a file");
    machine.program(
        "kubectl",
        "case \"$*\" in *prod*cronjobs*) cat \"$HOME/objects.json\";; *) exit 1;; esac",
    );
    let url = format!("http://{host}");
    let storage = storage.display().to_string();
    let variables = [
        ("REGISTRY", host.as_str()),
        ("URL", &url),
        ("STORAGE", &storage),
        ("CONTEXTS", "prod"),
        ("DELETE", "yes"),
    ];
    let output = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| machine.cleans("registry", &variables));
        let asked = machine.home.path().join("asked");
        crate::support::process::wait_until("it asks what to keep", || {
            asked.exists() || cleaning.is_finished()
        });
        hand.push("team/app", "meanwhile", &Content::index("meanwhile"));
        fs::write(machine.home.path().join("pushed"), "").expect("a mark");
        cleaning.join().expect("it ends")
    });
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let old = shared.untagged[1..].iter().flat_map(Content::manifests);
    let old: Vec<_> = old
        .map(|it| format!("deleted team/app@{}", it.digest))
        .collect();
    let mut deleted: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("deleted"))
        .collect();
    deleted.sort_unstable();
    let mut expected: Vec<_> = old.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(deleted, expected, "{said}");
    registry.restart();
    let outcome = Probe::once().arg(&host).run();
    assert_intact(&outcome);
    let young = registry.client().head(&format!(
        "/v2/team/app/manifests/{}",
        young.manifest().digest
    ));
    assert_eq!(young.status, 200, "what is younger than a day stays");
}

#[test]
fn a_clean_up_stops_where_a_push_needs_what_would_go() {
    let shared = Shared::new();
    let (host, storage) = (shared.registry.host(), shared.registry.storage());
    grow_old(&storage);
    let machine = Machine::new();
    machine.program(
        "probe",
        "PROBE_CONFIRM_AFTER=0s real-probe \"$@\"; status=$?\n\
         [ -e pushed ] || { touch asked; while [ ! -e pushed ]; do sleep 0.05; done; }\n\
         exit $status",
    );
    let url = format!("http://{host}");
    let storage = storage.display().to_string();
    let variables = [
        ("REGISTRY", host.as_str()),
        ("URL", &url),
        ("STORAGE", &storage),
        ("DELETE", "yes"),
    ];
    // The new index has a child that was there, and that nothing led to.
    let old = shared.untagged[0].images()[0].clone();
    let index = Content::index_of("of an old child", vec![old]);
    let output = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| machine.cleans("registry", &variables));
        let asked = machine.home.path().join("asked");
        crate::support::process::wait_until("it asks what to keep", || {
            asked.exists() || cleaning.is_finished()
        });
        Hand::new(&host).put("team/app", "meanwhile", index.manifest());
        fs::write(machine.home.path().join("pushed"), "").expect("a mark");
        cleaning.join().expect("it ends")
    });
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("team/app:meanwhile") && !said.contains("deleted team"),
        "{said}"
    );
    assert_intact(&Probe::once().arg(&host).run());
}

#[test]
fn a_push_between_deletions_stops_those_that_it_needs() {
    let shared = Shared::new();
    let (host, storage) = (shared.registry.host(), shared.registry.storage());
    grow_old(&storage);
    let machine = Machine::new();
    // After the first deletion an index is pushed.
    machine.program(
        "curl",
        &format!(
            "PATH=${{PATH#*:}} curl \"$@\"; status=$?\n\
             [ -e {home}/pushed ] || {{ touch {home}/asked; while [ ! -e {home}/pushed ]; do sleep 0.05; done; }}\n\
             exit $status",
            home = machine.home.path().display()
        ),
    );
    let url = format!("http://{host}");
    let storage = storage.display().to_string();
    let variables = [
        ("REGISTRY", host.as_str()),
        ("URL", &url),
        ("STORAGE", &storage),
        ("DELETE", "yes"),
        ("BATCH", "1"),
    ];
    // Of the images that nothing leads to, the one that would go last.
    let old = shared.untagged.iter().flat_map(Content::images);
    let old = old.max_by_key(|image| image.manifest.digest.clone());
    let old = old.expect("there are some").clone();
    let kept = old.manifest.digest.clone();
    let index = Content::index_of("of an old child", vec![old]);
    let output = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| machine.cleans("registry", &variables));
        let asked = machine.home.path().join("asked");
        crate::support::process::wait_until("it deletes the first", || {
            asked.exists() || cleaning.is_finished()
        });
        Hand::new(&host).put("team/app", "meanwhile", index.manifest());
        fs::write(machine.home.path().join("pushed"), "").expect("a mark");
        cleaning.join().expect("it ends")
    });
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("deleted team/app@"), "{said}");
    assert!(
        !said.contains(&format!("deleted team/app@{kept}")),
        "{said}"
    );
    assert!(said.contains("team/app:meanwhile"), "{said}");
    assert_intact(&Probe::once().arg(&host).run());
}

#[test]
fn a_clean_up_stops_on_a_list_that_is_not_whole() {
    let shared = Shared::new();
    let (host, storage) = (shared.registry.host(), shared.registry.storage());
    grow_old(&storage);
    let url = format!("http://{host}");
    let storage = storage.display().to_string();
    let variables = [
        ("REGISTRY", host.as_str()),
        ("URL", &url),
        ("STORAGE", &storage),
        ("DELETE", "yes"),
    ];
    let machine = Machine::new();
    for keep in [
        "exit 0",
        "echo '# complete 0'",
        "PROBE_CONFIRM_AFTER=0s real-probe \"$@\" | head -n 3",
        "PROBE_CONFIRM_AFTER=0s real-probe \"$@\" | sed 2d",
        "PROBE_CONFIRM_AFTER=0s real-probe \"$@\"; exit 3",
    ] {
        machine.program("probe", keep);
        let output = machine.cleans("registry", &variables);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{keep}: {said}");
        assert!(said.contains("nothing was deleted"), "{keep}: {said}");
    }
    assert_intact(&Probe::once().arg(&host).run());
}

#[test]
fn what_a_lost_index_named_is_not_deleted() {
    let mut shared = Shared::new();
    let (host, storage) = (shared.registry.host(), shared.registry.storage());
    let index = shared.tagged[1].1.clone();
    let store = shared.registry.store();
    // Without its link, distribution 3 has it still.
    store.remove_data(&index.manifest().digest);
    grow_old(&storage);
    let url = format!("http://{host}");
    let storage = storage.display().to_string();
    let machine = Machine::new();
    let cleans = |storage: &str| {
        let variables = [
            ("REGISTRY", host.as_str()),
            ("URL", &url),
            ("STORAGE", storage),
            ("DELETE", "yes"),
        ];
        machine.cleans("registry", &variables)
    };
    let output = cleans(&storage);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("team/app:v2 is not there"), "{text}");
    assert!(text.contains("nothing to delete"), "{text}");
    // Who pushes the index again has all of the image. What was there is remembered until a restart.
    shared.registry.restart();
    Hand::new(&host).put("team/app", "v2", index.manifest());
    assert_intact(&Probe::once().arg(&host).run());

    let output = cleans(&format!("{storage}/nowhere"));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the manifests cannot be listed"), "{text}");
}

#[test]
fn untagged_children_in_ghcr_are_kept() {
    let shared = Shared::new();
    let host = shared.registry.host();
    let machine = Machine::new();
    // The registry stands in for GHCR, and gh answers from a file.
    machine.program(
        "probe",
        &format!(
            "for word; do shift; case $word in ghcr.io) word=http://{host};; esac; set -- \"$@\" \"$word\"; done\n\
             PROBE_CONFIRM_AFTER=0s exec real-probe \"$@\""
        ),
    );
    machine.program(
        "gh",
        "case $* in *DELETE*) echo \"$*\" >> deleted;; *--jq*) cat versions;; *) exit 1;; esac",
    );
    let images = shared.tagged[0]
        .1
        .images()
        .iter()
        .map(|image| &image.manifest);
    let old = shared.untagged[0].manifest();
    let versions = images.chain([old]).enumerate();
    let versions: Vec<_> = versions
        .map(|(id, manifest)| format!("team/app@{} {}", manifest.digest, id + 70))
        .collect();
    let versions = versions.join("\n") + "\n";
    fs::write(machine.home.path().join("versions"), versions).expect("a file");
    let variables = [
        ("OWNER", "orgs/Team"),
        ("PACKAGE", "app"),
        ("DELETE", "yes"),
    ];
    let output = machine.cleans("ghcr", &variables);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        machine.file("deleted"),
        "api -X DELETE /orgs/Team/packages/container/app/versions/72\n",
        "{said}"
    );
}
