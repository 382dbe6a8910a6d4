//! What pods run, held against a registry: what a pull would not give them again, whom it hurts, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bulk::{self, Push};
use crate::support::cluster::{KubeStateMetrics, Pod, list};
use crate::support::files::text;
use crate::support::http::Client;
use crate::support::images::{Content, Image};
use crate::support::many::{Paths, Size, Static};
use crate::support::monitoring::{HASTE, HastyProbe, eventually, in_haste};
use crate::support::peak::run_watched;
use crate::support::probe::{Outcome, Probe};
use crate::support::process::free_port;
use crate::support::prometheus::Prometheus;
use crate::support::registry::Registry;

const IN_USE: &str = "RegistryBrokenImageInUse";

/// A registry, and ten pods of it: five that could start again, four that could not, and one that never ran.
struct Scene {
    registry: Registry,
    pods: Vec<Pod>,
    /// An intact image in use, which may break.
    web: Content,
}

impl Scene {
    fn new() -> Self {
        let mut registry = Registry::start();
        let [web, old, api, job, moved] = ["web", "old", "api", "job", "moved"].map(Content::index);
        let single = Content::index_of("single", vec![Image::new("single amd64", "amd64")]);
        let layered: Content = Image::new("layered", "amd64").into();
        let pushes = [
            Push::new("team/web", "1", &web),
            Push::new("team/web", "2", &Content::index("web two")),
            Push::new("team/web", "old", &old),
            Push::new("team/api", "1", &api),
            Push::new("team/api", "2", &moved),
            Push::new("team/job", "latest", &job),
            Push::new("team/single", "1", &single),
            Push::new("team/layered", "1", &layered),
        ];
        bulk::push_all(&registry, &pushes);
        let host = registry.host();
        let by_digest = |content: &Content| content.manifest().digest.clone();
        let gone = by_digest(&moved);
        let of = |name, owner, node, image: String| {
            Pod::new(name, owner, node, format!("{host}/team/{image}"))
        };
        let mut pods = vec![
            of("web-1", "web", "amd64", "web:1".into()),
            of("web-2", "web", "arm64", "web:1".into()),
            of("api-1", "api", "arm64", format!("api@{}", by_digest(&api))),
            of("job-1", "job", "amd64", "job".into()),
            of(
                "single-1",
                "single",
                "amd64",
                format!("single:1@{}", by_digest(&single)),
            ),
            of("deleted-tag", "deleted-tag", "amd64", "web:old".into()),
            of(
                "deleted-digest",
                "deleted-digest",
                "amd64",
                format!("api@{gone}"),
            ),
            of("no-platform", "no-platform", "arm64", "single:1".into()),
            of("lost-layer", "lost-layer", "amd64", "layered:1".into()),
            of("never-ran", "never-ran", "amd64", "web:typo".into()),
        ];
        pods[9].has_run = false;
        let store = registry.store();
        store.remove_tag("team/web", "old");
        store.remove_tag("team/api", "2");
        store.remove_revision_link("team/api", &gone);
        store.remove_data(&layered.images()[0].layers[0].digest);
        registry.restart();
        Self {
            registry,
            pods,
            web,
        }
    }

    /// Asserts exactly the four findings, each with its pod, and one notice. What is listed is told once.
    fn assert_told(&self, report: &Value) {
        let in_use = &report["in_use"];
        assert_eq!(in_use["away"], Value::Null, "{in_use}");
        let told = |list: &str| -> BTreeMap<String, String> {
            let findings = in_use[list].as_array().expect("a list").iter();
            let told = findings.map(|found| {
                let workloads = found["workloads"].as_array().expect("a list");
                let pods: Vec<_> = workloads
                    .iter()
                    .map(|user| format!("{}/{} {}", user["namespace"], user["name"], user["names"]))
                    .collect();
                let word = |key: &str| found[key].as_str().expect("text");
                let image = word("image")
                    .trim_start_matches(&self.registry.host())
                    .to_owned();
                let what = format!("{}/{} {}", word("kind"), word("reason"), pods.join(", "));
                (image, what.replace('"', ""))
            });
            told.collect()
        };
        let gone = self.pods[6].image.trim_start_matches(&self.registry.host());
        let expected = [
            (
                "/team/web:old",
                "tag/not_found shop/deleted-tag [deleted-tag]",
            ),
            (
                gone,
                "manifest/not_found shop/deleted-digest [deleted-digest]",
            ),
            (
                "/team/single:1",
                "child/platform_missing shop/no-platform [no-platform]",
            ),
            (
                "/team/layered:1",
                "layer/not_found shop/lost-layer [lost-layer]",
            ),
        ];
        let expected = expected.map(|(image, what)| (image.to_owned(), what.to_owned()));
        assert_eq!(told("findings"), BTreeMap::from(expected));
        let typo = (
            "/team/web:typo".to_owned(),
            "tag/not_found shop/never-ran [never-ran]".to_owned(),
        );
        assert_eq!(told("never_ran"), BTreeMap::from([typo]));
        let findings = report["findings"].as_array().expect("a list");
        assert_eq!(findings.len(), 1, "only what is listed counts: {report}");
        assert_eq!(findings[0]["in_use"][0]["name"], "lost-layer");
        assert_eq!(report["complete"], true);
    }
}

fn with_file(scene: &Scene, run: Probe) -> Outcome {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), list(&scene.pods)).expect("it is written");
    run.arg("--in-use")
        .arg(file.path())
        .arg(scene.registry.host())
        .run()
}

#[test]
fn pods_that_could_not_start_again_are_told_by_their_owners() {
    let mut scene = Scene::new();
    let outcome = with_file(&scene, Probe::once());
    assert_eq!(outcome.code, 1, "{outcome}");
    scene.assert_told(&outcome.json());

    let outcome = with_file(&scene, Probe::once_in_text());
    for said in [
        "In use: 4 pods of 4 owners could not start again, for 4 images that cannot",
        "shop: ReplicaSet deleted-tag, 1 pod: deleted-tag",
        "no image for linux/arm64, but for linux/amd64",
        "web:typo never ran and cannot be pulled",
    ] {
        assert!(outcome.stdout.contains(said), "{said}: {outcome}");
    }

    // What is not listed alone breaks the promise to the pods, and nothing else.
    scene.pods.retain(|pod| pod.name != "lost-layer");
    let outcome = with_file(
        &scene,
        Probe::once().args(["--exclude-repo", "team/layered"]),
    );
    assert_eq!(outcome.code, 1, "{outcome}");
    assert_eq!(outcome.json()["findings"], json!([]));
    scene
        .pods
        .retain(|pod| !["deleted-tag", "deleted-digest", "no-platform"].contains(&pod.name));
    let outcome = with_file(
        &scene,
        Probe::once().args(["--exclude-repo", "team/layered"]),
    );
    assert_eq!(outcome.code, 0, "what never ran is a notice: {outcome}");
    assert_eq!(
        outcome.json()["in_use"]["never_ran"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_source_that_is_away_changes_nothing_about_the_registry() {
    let registry = Registry::start();
    bulk::push_all(
        &registry,
        &[Push::new("team/web", "1", &Content::index("web"))],
    );
    let nowhere = format!("prometheus=http://127.0.0.1:{}", free_port());
    let run = |fail_on: &str| {
        let options = ["--in-use", &nowhere, "--fail-on", fail_on];
        Probe::once().args(options).arg(registry.host()).run()
    };
    let outcome = run("broken,unverified");
    assert_eq!(outcome.code, 0, "{outcome}");
    let report = outcome.json();
    assert_eq!(
        (&report["verdict"], &report["complete"]),
        (&json!("intact"), &json!(true))
    );
    assert!(report["in_use"]["away"].is_string());
    assert_eq!(run("broken,unverified,in-use-source").code, 3);
}

#[test]
fn pods_are_paged_while_and_after_prometheus_tells_of_them() {
    let scene = Scene::new();
    let cluster = KubeStateMetrics::start(&scene.pods);
    let source = Prometheus::scraping(&cluster.address());
    let address = format!("127.0.0.1:{}", free_port());
    let rules = [
        in_haste(&text("alerts/registry-integrity.rules.yaml")),
        in_haste(&text("alerts/registry-integrity-more.rules.yaml")),
    ];
    let prometheus = Prometheus::start(&address, &rules, "");
    let host = scene.registry.host();
    source.wait_for("count(kube_pod_container_info)", 10.0);
    let in_use = format!("prometheus={}", source.url());
    let _probe = HastyProbe::start(&address, &["--in-use", &in_use, &host]);
    let client = Client::new(&format!("http://{address}"), None);
    let report =
        || -> Value { serde_json::from_slice(&client.get("/report.json").body).expect("JSON") };
    let firing = |alert: &str| {
        prometheus.query(&format!(
            "ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}"
        ))
    };
    eventually("the four are told", || firing(IN_USE).len() == 4);
    scene.assert_told(&report());
    let images: BTreeSet<_> = firing(IN_USE)
        .into_iter()
        .map(|(labels, _)| {
            assert_eq!(
                (&labels["namespace"], &labels["registry"]),
                (&json!("shop"), &json!(host))
            );
            labels["image"].as_str().expect("text").to_owned()
        })
        .collect();
    let expected = (5..9).map(|position| scene.pods[position].image.clone());
    assert_eq!(images, expected.collect());

    // An image that is used no more goes out.
    cluster.change(|pods| pods.retain(|pod| pod.name != "deleted-tag"));
    eventually("what is not in use is told no more", || {
        firing(IN_USE).len() == 3
    });

    // The source goes away, and then a layer of an image that was intact.
    drop(source);
    let away_since = Instant::now();
    prometheus.wait_for("registry_manifest_integrity_in_use_source_up", 0.0);
    let lost = &scene.web.images()[0].layers[0].digest;
    scene.registry.store().remove_data(lost);
    let failure = "RegistryManifestIntegrityFailure";
    let of_web = |alert: &str| {
        firing(alert)
            .iter()
            .any(|(labels, _)| labels["repository"] == "team/web")
    };
    eventually("the layer is told", || of_web(failure));
    let three_hours = Duration::from_secs(3 * 3600 / HASTE);
    eventually("the source is told, and three hours have passed", || {
        assert_eq!(firing(IN_USE).len(), 3, "what was known stays");
        away_since.elapsed() > three_hours && firing("RegistryInUseSourceAway").len() == 1
    });
    assert!(firing("RegistryIntegrityProbeStale").is_empty());
    let report = report();
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!(
        report["in_use"]["findings"].as_array().map(Vec::len),
        Some(3)
    );
}

/// The list of a cluster of 5,000 images is read by the way: it costs no request, and no memory to speak of.
#[test]
fn sixty_megabytes_of_pods_cost_no_request_and_little_memory() {
    let size = Size {
        repositories: 200,
        tags: 25,
        blobs: 2,
        shared: 0,
    };
    let mut paths = Paths::default();
    let registry = Static::start(size, Some(&mut paths));
    let host = registry
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let images: Vec<_> = paths
        .tags
        .iter()
        .filter_map(|path| path.strip_prefix("/v2/")?.split_once("/manifests/"))
        .map(|(repository, tag)| format!("{host}/{repository}:{tag}"))
        .collect();
    assert_eq!(images.len(), 5_000);
    let mut file = String::from("{\"apiVersion\":\"v1\",\"items\":[");
    let filler = "x".repeat(6_000);
    for (number, image) in images.iter().chain(&images).enumerate() {
        let mut pod = Pod::new("pod", "owner", "amd64", image.clone()).json();
        pod["metadata"]["name"] = json!(format!("pod-{number}"));
        pod["metadata"]["ownerReferences"][0]["name"] = json!(format!("owner-{}", number % 5_000));
        pod["metadata"]["annotations"] = json!({ "applied": filler });
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(file, "{comma}{pod:#}");
    }
    file.push_str("],\"kind\":\"List\"}");
    assert!(file.len() > 60_000_000, "{}", file.len());
    let pods = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(pods.path(), file).expect("it is written");

    let sweep = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probe"));
        command.env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR"));
        command.args(["--once", "--output", "json", "--quiet", "--depth", "head"]);
        let (peak, output) = run_watched(command.args(more).arg(registry.url()));
        let report: Value = serde_json::from_slice(&output).expect("a report in JSON");
        (peak, report)
    };
    let (without, alone) = sweep(&[]);
    let path = pods.path().to_str().expect("text");
    let (peak, report) = sweep(&["--in-use", path]);
    assert_eq!(report["in_use"]["images"], 5_000, "{}", report["in_use"]);
    assert_eq!(report["in_use"]["containers"], 10_000);
    assert_eq!(report["verdict"], "intact");
    assert_eq!(report["in_use"]["unverified"], json!([]));
    assert_eq!(report["counts"]["requests"], alone["counts"]["requests"]);
    assert!(peak < 64 * 1024, "{peak} KiB, and {without} KiB without");
}
