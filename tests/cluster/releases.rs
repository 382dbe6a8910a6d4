//! Releases of the chart: with names as long as Helm lets them be, beside each other, from one set of values to the next, and under a
//! user of the cluster's own choice; and the commands that its notes have.

use std::fs;

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::deployed::{CHART, apply_chart, helm};
use crate::image::only_the_probe;
use crate::jobs::config;
use crate::node::Node;
use crate::support::files::at;
use crate::support::images::Content;
use crate::support::process::wait_until;
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::skopeo;

/// Installs a release, or upgrades it. Gives the notes.
fn release(cluster: &Cluster, namespace: &str, verb: &str, name: &str, values: &Value) -> String {
    let into = tempfile::tempdir().expect("a temporary directory");
    let file = into.path().join("values.yaml");
    fs::write(&file, values.to_string()).expect("it is written");
    let chart = at(CHART);
    let [chart, file] = [&chart, &file].map(|path| path.to_str().expect("a path is text"));
    helm(cluster, namespace, &[verb, name, chart, "--values", file])
}

/// The commands for kubectl in notes, each as its words.
fn commands(notes: &str) -> Vec<Vec<&str>> {
    let lines = notes
        .lines()
        .filter_map(|line| line.strip_prefix("    kubectl "));
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

/// The 63 characters of a pod's host name are enough for the longest name, the minute of a CronJob's Job and the last index.
#[test]
fn a_release_of_the_longest_name_can_run_its_shards() {
    let cluster = cluster();
    let namespace = "long-names";
    cluster.restricted(namespace);
    let name = "r".repeat(53);
    let values = json!({ "mode": "cronjob", "shards": 1000 });
    release(&cluster, namespace, "install", &name, &values);
    let found = cluster.list(namespace, &["cronjobs"]);
    let own = found[0]["metadata"]["name"].as_str().expect("a name");
    // As the controller names it, in minutes since 1970.
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": format!("{own}-99999999"), "namespace": namespace },
        "spec": found[0]["spec"]["jobTemplate"]["spec"],
    });
    let args = ["create", "--dry-run=server", "--filename=-"];
    let output = cluster.try_kubectl(&args, &job.to_string());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn releases_are_beside_each_other_and_go_from_mode_to_mode() {
    let cluster = cluster();
    let namespace = "releases";
    cluster.restricted(namespace);
    let service = json!({ "state": { "enabled": true }, "networkPolicy": { "enabled": true } });
    // Names that Helm takes and a Service does not: with a dot, and with a digit in front, which YAML takes for a number.
    for name in ["team.a", "123"] {
        release(&cluster, namespace, "install", name, &service);
    }
    let labels = |kind: &str, name: &str, path: &str| {
        let found = cluster.get(namespace, &[kind, name]);
        found.pointer(path).expect("it selects").clone()
    };
    for (kind, path) in [
        ("service", "/spec/selector"),
        ("deployment", "/spec/selector/matchLabels"),
        ("networkpolicy", "/spec/podSelector/matchLabels"),
    ] {
        let both = ["team-a-registry-probe", "r-123-registry-probe"];
        let [one, other] = both.map(|name| labels(kind, name, path));
        assert_ne!(one, other, "{kind}");
    }

    let job = json!({ "mode": "cronjob", "state": { "enabled": true } });
    let shards = json!({ "mode": "cronjob", "shards": 4, "state": { "enabled": true } });
    let without = json!({ "mode": "cronjob" });
    for values in [&job, &shards, &without, &service] {
        release(&cluster, namespace, "upgrade", "team.a", values);
    }
    // What is known of broken images outlives a release, and the next one takes it over.
    helm(&cluster, namespace, &["uninstall", "team.a"]);
    let claim = ["persistentvolumeclaim", "team-a-registry-probe-state"];
    let kept = cluster.get(namespace, &claim)["metadata"]["uid"].clone();
    release(&cluster, namespace, "install", "team.a", &service);
    assert_eq!(cluster.get(namespace, &claim)["metadata"]["uid"], kept);
}

#[test]
fn the_commands_of_the_notes_do_what_they_say() {
    let cluster = cluster();
    let namespace = "notes";
    cluster.restricted(namespace);
    let sharded = json!({ "mode": "cronjob", "shards": 4 });
    for (name, values, pods) in [
        ("one", json!({ "mode": "cronjob" }), 1),
        ("four", sharded, 4),
    ] {
        let notes = release(&cluster, namespace, "install", name, &values);
        let found = commands(&notes);
        let [create, logs, secret] = &found[..] else {
            panic!("there are three: {notes}");
        };
        cluster.kubectl(create);
        cluster.kubectl(secret);
        wait_until("the Job has its pods", || {
            let job = cluster.get(namespace, &["job", "first-run"]);
            job["status"]["active"] == pods
        });
        // There is no log of a pod that no node runs, but these are the pods whose logs it would be.
        let chosen = logs.iter().find(|word| word.starts_with("--selector="));
        if let Some(selector) = chosen {
            assert_eq!(cluster.list(namespace, &["pods", selector]).len(), pods);
            for word in ["--tail=-1", "--max-log-requests=4", "--prefix"] {
                assert!(logs.contains(&word), "{notes}");
            }
        } else {
            assert!(pods == 1 && logs.contains(&"job/first-run"), "{notes}");
        }
        cluster.kubectl(&["--namespace", namespace, "delete", "job", "first-run"]);
        let pull = ["secret", "registry-probe-pull"];
        cluster.kubectl(&[&["--namespace", namespace, "delete"], &pull[..]].concat());
    }
    // What the chart does not see may have a Pushgateway and logins.
    for (name, value) in [
        ("existingConfigMap", json!("of-others")),
        ("existingConfigSecret", json!("of-others")),
        (
            "extraEnvFrom",
            json!([{ "secretRef": { "name": "of-others" } }]),
        ),
    ] {
        let values = json!({ "mode": "cronjob", name: value });
        let notes = release(&cluster, namespace, "upgrade", "one", &values);
        for guess in ["No pushGateway", "as nobody"] {
            assert!(!notes.contains(guess), "{name}: {notes}");
        }
    }
    let notes = release(&cluster, namespace, "install", "service", &json!({}));
    let words = commands(&notes).concat();
    for name in ["deployment/", "service/"] {
        let word = words.iter().find(|word| word.starts_with(name));
        let word = word.unwrap_or_else(|| panic!("no {name}: {notes}"));
        cluster.get(namespace, &[word]);
    }
}

/// As OpenShift runs it: the chart's numbers deleted, and others put in their place by the cluster, here by the values.
#[test]
fn a_user_of_the_clusters_own_choice_keeps_state() {
    let cluster = cluster();
    let namespace = "other-user";
    cluster.restricted(namespace);
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("of another user"), "team/app:v1");
    let gateway = Pushgateway::start();
    apply_chart(
        &cluster,
        namespace,
        &json!({
            "mode": "cronjob",
            "pushGateway": format!("http://{}", gateway.address()),
            "config": config(&registry.host()),
            "state": { "enabled": true },
            "podSecurityContext": { "runAsUser": 1_000_660_000, "runAsGroup": null, "fsGroup": 1_000_660_000 },
        }),
    );
    let selector = "app.kubernetes.io/name=registry-probe";
    let mut node = Node::new(&cluster, namespace, selector, only_the_probe());
    for run in ["first", "second"] {
        let from = "--from=cronjob/registry-probe";
        cluster.kubectl(&["--namespace", namespace, "create", "job", from, run]);
        let (end, _) = node.until_end_of(run);
        let pod = node.ended.last().expect("it has ended");
        assert_eq!((end.as_str(), pod.code), ("Complete", 0), "{pod:#?}");
        assert!(!pod.log.contains("state"), "{pod:#?}");
    }
    assert_eq!(gateway.metrics().integrity("tags_checked", &[]), Some(1.0));
}
