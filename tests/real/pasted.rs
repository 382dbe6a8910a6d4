//! The first repair of every finding, pasted: whatever broke, it gives back exactly what was there, or its label
//! says that it does not; it removes nothing that is whole; and without a source it changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fastrand::Rng;
use serde_json::Value;

use crate::support::images::{Blob, Content, Image, Layer};
use crate::support::paste::{Shell, actions, commands};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Registries that are broken and mended; `PROBE_REPAIR_RUNS` says otherwise.
const RUNS: u64 = 8;

/// What was pushed, by the name that it was pushed under.
struct Pushed {
    registry: Registry,
    images: BTreeMap<(String, String), Content>,
    /// A layer that several repositories have.
    shared: String,
}

fn push(seed: u64) -> Pushed {
    let registry = Registry::start();
    let mut images = BTreeMap::new();
    let shared = Layer::gzip(&format!("shared {seed}"));
    let child = |architecture| Image::new(&format!("both {seed}"), architecture);
    let both = vec![child("amd64"), child("arm64")];
    let image = |name: &str| {
        let layers = [shared.clone(), Layer::gzip(&format!("{name} {seed}"))];
        Content::from(Image::of(&format!("{name} {seed}"), "amd64", &layers))
    };
    for (repository, tag, content) in [
        ("team/app", "1.0", Content::index(&format!("app {seed}"))),
        ("team/app", "1.1", Content::index_of("1.1", both.clone())),
        ("team/app", "1.2", Content::index_of("1.2", both)),
        ("team/web", "v6", image("web 6")),
        ("team/web", "v7", image("web 7")),
        ("base", "latest", image("base")),
    ] {
        skopeo::push(&registry, &content, &format!("{repository}:{tag}"));
        images.insert((repository.to_owned(), tag.to_owned()), content);
    }
    Pushed {
        registry,
        images,
        shared: shared.blob.digest,
    }
}

impl Pushed {
    /// Breaks something of one repository, as clean-ups and disks do.
    fn break_one(&self, repository: &str, rng: &mut Rng) {
        let names: Vec<_> = self
            .images
            .keys()
            .filter(|name| name.0 == repository)
            .collect();
        let name @ (_, tag) = names[rng.usize(..names.len())];
        let content = &self.images[name];
        let manifests: Vec<_> = content.manifests().into_iter().collect();
        let manifest = &manifests[rng.usize(..manifests.len())].digest;
        // A file is broken once.
        let is_own = |blob: &&Blob| repository != "base" || blob.digest != self.shared;
        let blobs: Vec<_> = content.blobs().filter(is_own).collect();
        let blob = &blobs[rng.usize(..blobs.len())].digest;
        let any = [manifest, blob][rng.usize(..2)];
        let store = self.registry.store();
        match rng.u8(..9) {
            0 => store.remove_revision_link(repository, manifest),
            1 => store.remove_layer_link(repository, blob),
            2 => store.remove_data(any),
            3 => store.empty_data(any),
            4 => store.halve_data(any),
            5 => store.flip_one_bit(any),
            6 => store.empty_revision_link(repository, manifest),
            7 => store.remove_tag_link(repository, tag),
            _ => store.empty_tag_link(repository, tag),
        }
    }

    fn sweep(&self, more: &[String]) -> Outcome {
        let probe = Probe::once().depth("digest");
        let probe = probe.args(["--software", "distribution-2"]).args(more);
        probe.arg(self.registry.host()).run()
    }

    /// Files of the store that hold what their name says.
    fn whole(&self) -> BTreeSet<PathBuf> {
        let files = self.registry.disk();
        let is_whole = |(path, hash): &(PathBuf, String)| {
            let hex = hash.trim_start_matches("sha256:");
            path.ends_with("data") && path.to_string_lossy().contains(hex)
        };
        let whole = files.into_iter().filter(is_whole);
        whole.map(|(path, _)| path).collect()
    }

    /// Whether all tags of a finding lead to what they led to.
    fn is_as_it_was(&self, finding: &Value) -> bool {
        let repository = finding["repository"].as_str().expect("text");
        let mut tags = finding["tags"].as_array().expect("tags").iter();
        tags.all(|tag| {
            let tag = tag.as_str().expect("text");
            let name = (repository.to_owned(), tag.to_owned());
            let path = format!("/v2/{repository}/manifests/{tag}");
            let head = self.registry.client().head(&path);
            head.status == 200
                && head.header("docker-content-digest") == self.images[&name].manifest().digest
        })
    }
}

/// What tells a finding from the others.
fn identity(finding: &Value) -> String {
    let part = |key: &str| finding[key].to_string();
    ["repository", "digest", "kind", "tags"].map(part).join(" ")
}

/// Pastes the first repair of each finding, one after the other.
fn mend(pushed: &mut Pushed, seed: u64, backup: Option<&Registry>, applets: &[&str]) {
    let from: Vec<_> = backup
        .iter()
        .flat_map(|backup| ["--repair-from".to_owned(), backup.host()])
        .collect();
    // Each repair may mend more than its own finding, and uncover what was behind it.
    for _ in 0..12 {
        let outcome = pushed.sweep(&from);
        let report = outcome.report();
        let Some(finding) = report.raw_findings().first().cloned() else {
            return;
        };
        let actions = actions(&finding);
        assert!(!actions.is_empty(), "seed {seed}: {outcome}");
        let script = commands(&finding, actions[0]);
        let last = finding["tags"].as_array().and_then(|tags| tags.last());
        let tag = last.and_then(Value::as_str).expect("a tag").to_owned();
        let repository = finding["repository"].as_str().expect("text").to_owned();

        let (before, whole) = (pushed.registry.disk(), pushed.whole());
        if script.contains("SOURCE") {
            let refused = Shell::new()
                .with_applets(applets)
                .refuse(&pushed.registry, &script);
            assert!(refused.contains("where the image is"), "{refused}");
            assert_eq!(pushed.registry.disk(), before, "seed {seed}: {script}");
        }
        let shell = Shell::new().with_applets(applets);
        let shell = shell.with_source(&pushed.images[&(repository, tag)]);
        shell.paste(&mut pushed.registry, &script);
        let removed: Vec<_> = whole.difference(&pushed.whole()).cloned().collect();
        assert!(
            removed.is_empty(),
            "seed {seed}: {script} removed {removed:?}"
        );
        let is_same = pushed.is_as_it_was(&finding);
        let after = pushed.sweep(&[]);
        let is_mended = !after
            .report()
            .raw_findings()
            .iter()
            .any(|other| identity(other) == identity(&finding));
        if ["restore", "push"].contains(&actions[0]) {
            assert!(is_same, "seed {seed}: {finding:#}\n{script}");
        }
        assert!(is_mended, "seed {seed}: {finding:#}\n{script}\n{after}");
    }
    panic!("seed {seed}: it is never whole");
}

#[test]
fn the_first_repair_gives_back_what_was_or_says_otherwise() {
    let runs = std::env::var("PROBE_REPAIR_RUNS");
    let runs = runs.map_or(RUNS, |runs| runs.parse().expect("a number"));
    for seed in 0..runs {
        let mut rng = Rng::with_seed(seed);
        let mut pushed = push(seed);
        // Somebody has pulled all of it, mostly: what is remembered has to be reckoned with.
        if rng.u8(..3) > 0 {
            pushed.sweep(&[]);
        }
        let repositories = ["team/app", "team/web", "base"];
        let count = rng.usize(1..4);
        let broken = rng.choose_multiple(repositories, count);
        for name in broken {
            pushed.break_one(name, &mut rng);
        }
        if rng.bool() {
            pushed.registry.restart();
        }
        let backup = rng.bool().then(|| push(seed));
        let applets: &[&str] = if rng.bool() {
            &["sh", "sha256sum", "cut", "rm", "find"]
        } else {
            &[]
        };
        let backup = backup.as_ref().map(|backup| &backup.registry);
        mend(&mut pushed, seed, backup, applets);
    }
}
