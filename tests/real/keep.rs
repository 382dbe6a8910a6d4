//! What must be kept (`probe keep`), held against what the registry's own garbage collection would take, and what
//! deletions would break.

use std::collections::BTreeSet;
use std::fs;

use crate::support::hand::Hand;
use crate::support::images::{Content, Image};
use crate::support::probe::Probe;
use crate::support::registry::Registry;

/// Indexes that share children, under two tags; an image with a tag of its own; and what nothing leads to.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) tagged: Vec<(&'static str, Content)>,
    pub(crate) untagged: Vec<Content>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let registry = Registry::start();
        let hand = Hand::new(&registry.host());
        let [a, b, c] = [("a", "amd64"), ("b", "arm64"), ("c", "arm64")]
            .map(|(seed, architecture)| Image::new(seed, architecture));
        let tagged = vec![
            ("v1", Content::index_of("one", vec![a.clone(), b])),
            ("v2", Content::index_of("two", vec![a.clone(), c])),
            ("v1-amd64", Content::from(a)),
            ("single", Content::from(Image::new("single", "amd64"))),
        ];
        for (tag, content) in &tagged {
            hand.push("team/app", tag, content);
        }
        hand.push("web", "latest", &tagged[0].1);
        let untagged = vec![
            Content::from(Image::new("old", "amd64")),
            Content::index("old index"),
        ];
        for content in &untagged {
            hand.push("team/app", "moved", content);
        }
        hand.put("team/app", "moved", tagged[3].1.manifest());
        Self {
            registry,
            tagged,
            untagged,
        }
    }

    /// Every manifest that a tag leads to, with its repository, as the list names them.
    fn kept(&self) -> BTreeSet<String> {
        let contents = self
            .tagged
            .iter()
            .flat_map(|(_, content)| content.manifests());
        let app = contents.map(|manifest| format!("team/app@{}", manifest.digest));
        let web = self.tagged[0].1.manifests().into_iter();
        let web = web.map(|manifest| format!("web@{}", manifest.digest));
        app.chain(web).collect()
    }

    /// The digests of the children of indexes.
    fn children(&self) -> BTreeSet<String> {
        let indexes = self.tagged[..2].iter();
        let images = indexes.flat_map(|(_, content)| content.images());
        images.map(|image| image.manifest.digest.clone()).collect()
    }
}

/// The digests in the lines that have this in them.
fn digests(said: &str, mark: &str) -> BTreeSet<String> {
    let lines = said.lines().filter(|line| line.contains(mark));
    let found = lines.filter_map(|line| {
        let at = line.find("sha256:")?;
        line.get(at..at + 71).map(str::to_owned)
    });
    found.collect()
}

#[test]
fn the_list_is_what_tags_lead_to() {
    let shared = Shared::new();
    let outcome = Probe::keep().arg(shared.registry.host()).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    let (above, last) = outcome.stdout.trim_end().rsplit_once('\n').expect("lines");
    let listed: BTreeSet<_> = above.lines().map(str::to_owned).collect();
    assert_eq!(listed, shared.kept());
    assert_eq!(last, format!("# complete {}", listed.len()));
    let json = Probe::keep()
        .json()
        .arg(shared.registry.host())
        .run()
        .json();
    assert_eq!(json["complete"], listed.len());
    assert_eq!(
        json["manifests"].as_array().map(Vec::len),
        Some(listed.len())
    );
}

#[test]
fn garbage_collection_marks_what_is_kept() {
    let shared = Shared::new();
    let outcome = Probe::keep()
        .arg("--blobs")
        .arg(shared.registry.host())
        .run();
    assert_eq!(outcome.code, 0, "{outcome}");
    let kept = digests(&outcome.stdout, "sha256:");
    let manifests = digests(&outcome.stdout, "@sha256:");
    let said = shared.registry.would_collect();
    let (marked, taken) = (
        digests(&said, "marking"),
        digests(&said, "eligible for deletion"),
    );
    assert!(!marked.is_empty() && !taken.is_empty(), "{said}");
    if Registry::follows_indexes() {
        assert_eq!(marked, kept, "{said}");
    } else {
        let lost: BTreeSet<_> = manifests.intersection(&taken).cloned().collect();
        // A child that has a tag of its own is safe there.
        let mut children = shared.children();
        children.remove(&shared.tagged[2].1.manifest().digest);
        // In the other repository it has none.
        let of_web = digests(&said, "manifest eligible for deletion");
        assert!(of_web.is_superset(&children), "{said}");
        let mut all = children;
        all.insert(shared.tagged[2].1.manifest().digest.clone());
        assert_eq!(lost, all, "{said}");
    }
}

#[test]
fn a_check_of_each_child_names_the_tags_that_break() {
    let shared = Shared::new();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("delete");
    for child in shared.children() {
        let mut expected = BTreeSet::new();
        for (tag, content) in &shared.tagged {
            let images = content.images().iter();
            if images.clone().any(|image| image.manifest.digest == child) {
                expected.insert(format!("team/app:{tag}"));
            }
        }
        let host = shared.registry.host();
        fs::write(&path, format!("{host}/team/app@{child}\n")).expect("a list");
        let outcome = Probe::keep()
            .json()
            .arg("--check")
            .arg(&path)
            .arg(&host)
            .run();
        assert_eq!(outcome.code, 1, "{outcome}");
        let json = outcome.json();
        let breaks = json["breaks"].as_array().expect("a list");
        let named = breaks
            .iter()
            .map(|it| it["image"].as_str().expect("text").to_owned());
        assert_eq!(named.collect::<BTreeSet<_>>(), expected, "{outcome}");
    }
    let old = &shared.untagged[0].manifest().digest;
    fs::write(&path, format!("team/app@{old}\nteam/app:gone\n")).expect("a list");
    let outcome = Probe::keep()
        .arg("--check")
        .arg(&path)
        .arg(shared.registry.host())
        .run();
    assert_eq!(outcome.code, 0, "{outcome}");
}

#[test]
fn a_tag_that_is_deleted_by_digest_takes_its_likes() {
    let shared = Shared::new();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("delete");
    fs::write(&path, "team/app:v1-amd64\n").expect("a list");
    let check = |more: &[&str]| {
        let probe = Probe::keep().arg("--check").arg(&path);
        probe.args(more).arg(shared.registry.host()).run()
    };
    assert_eq!(check(&[]).code, 0);
    let outcome = check(&["--delete-by-digest"]);
    assert_eq!(outcome.code, 1, "{outcome}");
    for line in [
        "team/app:v1\n  loses  linux/amd64",
        "team/app:v2\n  loses  linux/amd64",
    ] {
        assert!(outcome.stdout.contains(line), "{outcome}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_blocks_the_list() {
    let mut shared = Shared::new();
    let index = &shared.tagged[0].1.manifest().digest.clone();
    shared.registry.store().halve_data(index);
    shared.registry.restart();
    let outcome = Probe::keep().arg(shared.registry.host()).run();
    assert_eq!(outcome.code, 3, "{outcome}");
    assert_eq!(outcome.stdout, "");
    for place in ["team/app: unreadable", "web: unreadable"] {
        assert!(outcome.stderr.contains(place), "{outcome}");
    }
}

#[test]
fn what_is_not_there_does_not_block_the_list() {
    let mut shared = Shared::new();
    let child = &shared.tagged[0].1.images()[1].manifest.digest;
    let store = shared.registry.store();
    store.remove_revision_link("team/app", child);
    store.remove_tag_link("team/app", "single");
    shared.registry.restart();
    let outcome = Probe::keep().arg(shared.registry.host()).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    // It is named all the same: a repair may bring it back.
    assert!(
        outcome.stdout.contains(&format!("team/app@{child}\n")),
        "{outcome}"
    );
}

#[test]
fn what_pods_run_is_kept_and_told_of() {
    let shared = Shared::new();
    let host = shared.registry.host();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [pods, list] = ["pods.json", "delete"].map(|name| folder.path().join(name));
    let old = &shared.untagged[1];
    let image = format!("{host}/team/app@{}", old.manifest().digest);
    let pod = serde_json::json!({
        "kind": "Pod",
        "metadata": { "namespace": "prod", "name": "web" },
        "spec": { "containers": [{ "name": "app", "image": image }] },
        "status": { "phase": "Running" },
    });
    let written = serde_json::json!({ "kind": "List", "items": [pod] }).to_string();
    fs::write(&pods, written).expect("pods");
    let outcome = Probe::keep().arg("--in-use").arg(&pods).arg(&host).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    let mut expected = shared.kept();
    let manifests = old.manifests().into_iter();
    expected.extend(manifests.map(|manifest| format!("team/app@{}", manifest.digest)));
    let lines = outcome.stdout.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.map(str::to_owned).collect::<BTreeSet<_>>(), expected);

    let child = &old.images()[0].manifest.digest;
    fs::write(&list, format!("team/app@{child}\n")).expect("a list");
    let check = Probe::keep()
        .arg("--in-use")
        .arg(&pods)
        .arg("--check")
        .arg(&list);
    let outcome = check.arg(&host).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(
        outcome.stdout.contains("prod/web, container app"),
        "{outcome}"
    );
    // A source that is away proves nothing.
    let outcome = Probe::keep()
        .args(["--in-use", "/nonexistent"])
        .arg(&host)
        .run();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (3, ""),
        "{outcome}"
    );
}

#[test]
fn what_documents_name_is_kept_and_told_of() {
    let shared = Shared::new();
    let host = shared.registry.host();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [documents, list] = ["all.yaml", "delete"].map(|name| folder.path().join(name));
    let old = shared.untagged[0].manifest();
    let write = |more: &str| {
        let text = format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ namespace: prod, name: nightly }}\nspec:\n  jobTemplate:\n    spec:\n      \
             template:\n        spec:\n          containers:\n            - name: job\n              \
             image: {host}/team/app@{}\n            - name: gone\n              image: {host}/gone/app:v1\n            \
             - name: other\n              image: other.example/app:v1\n{more}",
            old.digest
        );
        fs::write(&documents, text).expect("documents");
    };
    write("");
    let keep = || Probe::keep().arg("--images-from").arg(&documents);
    let outcome = keep().arg(&host).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    let line = format!("team/app@{}\n", old.digest);
    assert!(outcome.stdout.contains(&line), "{outcome}");
    fs::write(&list, &line).expect("a list");
    let outcome = keep().arg("--check").arg(&list).arg(&host).run();
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stdout.contains("CronJob prod/nightly"), "{outcome}");
    // It may be any image.
    write("            - name: new\n              image: \"${IMAGE}\"\n");
    let outcome = keep().arg(&host).run();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (3, ""),
        "{outcome}"
    );
    let outcome = keep().arg("--allow-unresolved").arg(&host).run();
    assert_eq!(outcome.code, 0, "{outcome}");
}
