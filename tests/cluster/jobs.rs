//! Jobs: from a CronJob to what its pod pushed and how it ended, for a registry that is intact, broken, or away; and the Jobs
//! whose reports are merged.

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::deployed::{Copy, Own, pushes_to};
use crate::image::only_the_probe;
use crate::node::{Ended, Node};
use crate::support::images::Content;
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Starts a run of a CronJob by hand, as docs/deploying.md does, and gives how that ended.
pub(crate) fn run_by_hand(
    cluster: &Cluster,
    namespace: &str,
    cron_job: &str,
    run: &str,
) -> (String, Value, Vec<Ended>) {
    let from = format!("--from=cronjob/{cron_job}");
    cluster.kubectl(&["--namespace", namespace, "create", "job", &from, run]);
    let selector = format!("batch.kubernetes.io/job-name={run}");
    let mut node = Node::new(cluster, namespace, &selector, only_the_probe());
    let (end, job) = node.until_end_of(run);
    (end, job, node.ended)
}

/// A configuration with one registry, and no wait between looks.
pub(crate) fn config(registry: &str) -> Value {
    json!({ "confirm-after": "0s", "registries": [{ "registry": registry }] })
}

#[test]
fn a_job_fails_only_if_it_could_not_do_its_work() {
    let cluster = cluster();
    let namespace = "cron-jobs";
    cluster.restricted(namespace);
    let mut registry = Registry::start();
    let content = Content::index("of a job");
    skopeo::push(&registry, &content, "team/app:v1");
    let gateway = Pushgateway::start();
    let copy = Copy::make();
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "cronjob",
            config: Some(config(&registry.host())),
            patches: vec![pushes_to(&gateway, "registry-probe")],
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let host = registry.host();
    let failures = || {
        let labels = [
            ("job", "registry_integrity_probe"),
            ("instance", host.as_str()),
        ];
        gateway.metrics().integrity("failures", &labels)
    };

    let (end, _, pods) = run_by_hand(&cluster, namespace, "registry-probe", "intact");
    assert_eq!((end.as_str(), pods[0].code), ("Complete", 0), "{pods:#?}");
    assert_eq!(failures(), Some(0.0));

    // What is broken is told by the metrics, and by the log.
    registry
        .store()
        .remove_revision_link("team/app", &content.images()[0].manifest.digest);
    let (end, _, pods) = run_by_hand(&cluster, namespace, "registry-probe", "broken");
    assert_eq!((end.as_str(), pods[0].code), ("Complete", 0), "{pods:#?}");
    assert!(pods[0].log.contains("team/app"), "{pods:#?}");
    assert_eq!(failures(), Some(1.0));

    registry.stop();
    let (end, job, pods) = run_by_hand(&cluster, namespace, "registry-probe", "away");
    assert_eq!((end.as_str(), pods[0].code), ("Failed", 3), "{pods:#?}");
    // The next run is the retry.
    assert_eq!((&job["status"]["failed"], pods.len()), (&json!(1), 1));
}

/// The commands of docs/ci.md: shards onto a volume, and then the Job that was suspended.
#[test]
fn reports_of_shards_are_merged_from_their_volume() {
    let cluster = cluster();
    let namespace = "merged";
    cluster.restricted(namespace);
    let registry = Registry::start();
    for repository in ["a", "b", "c", "d", "e", "f"] {
        skopeo::push(
            &registry,
            &Content::index(repository),
            &format!("team/{repository}:v1"),
        );
    }
    let copy = Copy::make();
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "merged",
            config: Some(config(&registry.host())),
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let mut node = Node::new(
        &cluster,
        namespace,
        "app.kubernetes.io/name=registry-probe",
        only_the_probe(),
    );
    let (end, job) = node.until_end_of("registry-probe-shards");
    assert_eq!(
        (end.as_str(), &job["status"]["succeeded"]),
        ("Complete", &json!(4))
    );
    assert_eq!(node.ended.len(), 4, "the Job that merges is suspended");
    let release = r#"{"spec":{"suspend":false}}"#;
    cluster.kubectl(&[
        "--namespace",
        namespace,
        "patch",
        "job",
        "registry-probe-merge",
        "--patch",
        release,
    ]);
    let (end, _) = node.until_end_of("registry-probe-merge");
    let merged = node.ended.last().expect("it has ended");
    assert_eq!((end.as_str(), merged.code), ("Complete", 0), "{merged:#?}");
    assert!(merged.log.contains("6 repositories"), "{}", merged.log);
}

/// The registries of this overlay are arguments, which a kustomization of one's own replaces.
#[test]
fn a_registry_and_its_mirror_are_compared_by_a_job() {
    let cluster = cluster();
    let namespace = "compare";
    cluster.restricted(namespace);
    let registries = [Registry::start(), Registry::start()];
    for registry in &registries {
        skopeo::push(registry, &Content::index("in both"), "team/app:v1");
    }
    let gateway = Pushgateway::start();
    let container = "/spec/jobTemplate/spec/template/spec/containers/0";
    let replace = |place: usize, registry: &Registry| json!({ "op": "replace", "path": format!("{container}/args/{place}"), "value": registry.host() });
    let arguments = json!([replace(5, &registries[0]), replace(6, &registries[1])]);
    let copy = Copy::make();
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "compare",
            patches: vec![
                json!({ "target": { "kind": "CronJob" }, "patch": arguments.to_string() }),
                pushes_to(&gateway, "registry-probe-compare"),
            ],
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let cron_job = "registry-probe-compare";
    let (end, _, pods) = run_by_hand(&cluster, namespace, cron_job, "first");
    assert_eq!((end.as_str(), pods[0].code), ("Complete", 0), "{pods:#?}");
    for registry in &registries {
        assert!(pods[0].log.contains(&registry.host()), "{pods:#?}");
    }
}
