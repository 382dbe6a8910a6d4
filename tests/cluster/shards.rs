//! The sharded Job: a pod that fails ends no other one.

use registry_probe::oci::Repository;
use registry_probe::report::Shard;
use serde_json::json;

use crate::cluster::cluster;
use crate::deployed::{Copy, Own, pushes_to};
use crate::image::only_the_probe;
use crate::jobs::config;
use crate::node::Node;
use crate::support::images::Content;
use crate::support::nginx::Nginx;
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Shards of the overlay.
const SHARDS: u32 = 4;

/// The shard that a repository belongs to.
fn shard_of(name: &str) -> u32 {
    let name: Repository = name.parse().expect("a name");
    let holds = |index: &u32| Shard::new(*index, SHARDS).is_some_and(|shard| shard.holds(&name));
    (0..SHARDS).find(holds).expect("it belongs to one")
}

#[test]
fn one_index_that_fails_leaves_the_others() {
    let cluster = cluster();
    let namespace = "sharded";
    cluster.restricted(namespace);
    let registry = Registry::start();
    for number in 0..12 {
        let name = format!("team/app-{number}:v1");
        skopeo::push(&registry, &Content::index(&name), &name);
    }
    // One repository cannot be seen, and one shard has it.
    let front = Nginx::plain(&registry, "location /v2/team/app-5/ { return 403; }");
    let failing = shard_of("team/app-5").to_string();
    let gateway = Pushgateway::start();
    let copy = Copy::make();
    let name = "registry-probe-sharded";
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "sharded",
            config: Some(config(&front.host())),
            patches: vec![pushes_to(&gateway, name)],
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let from = format!("--from=cronjob/{name}");
    cluster.kubectl(&[
        "--namespace",
        namespace,
        "create",
        "job",
        &from,
        "first-run",
    ]);

    let selector = "batch.kubernetes.io/job-name=first-run";
    let mut node = Node::new(&cluster, namespace, selector, only_the_probe());
    // The others are in mid-sweep until the Job knows that one has failed.
    node.stop(|index| index != Some(&failing));
    node.until("the Job knows which index has failed", |node| {
        let status = &cluster.get(namespace, &["job", "first-run"])["status"];
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let given_up = conditions
            .filter(|condition| condition["type"] == "FailureTarget")
            .count();
        assert_eq!(given_up, 0, "the Job has given up: {status:#}");
        status["failedIndexes"] == *failing && node.count() == 3
    });
    node.go_on();
    let (end, job) = node.until_end_of("first-run");
    assert_eq!(end, "Failed", "{job:#}");
    assert_eq!(job["status"]["failedIndexes"], *failing);
    assert_eq!(job["status"]["succeeded"], json!(3));
    assert_eq!(node.ended.len(), 4, "no index is tried again");
    for pod in &node.ended {
        let expected = if pod.index == Some(failing.clone()) {
            3
        } else {
            0
        };
        assert_eq!(pod.code, expected, "{pod:#?}");
        assert_eq!(pod.after_signal, None, "{pod:#?}");
    }
    // Each has pushed what it saw, as one of four and of the same run.
    for shard in 0..SHARDS {
        let own = shard.to_string();
        let labels = [("shard", own.as_str())];
        let of = gateway.metrics().integrity("total_shards", &labels);
        assert_eq!(of, Some(f64::from(SHARDS)), "shard {own}");
    }
}
