//! Whether an API server takes what is deployed, in a namespace under the restricted Pod Security Standard and without a warning;
//! and what of a namespace an overlay touches.

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::deployed::{CHART, Copy, Own, template};
use crate::support::files::{at, names};
use crate::support::process::wait_until;

/// The overlays, of which each folder is one.
fn overlays() -> Vec<String> {
    let folders = std::fs::read_dir(at("deploy/kustomize/overlays")).expect("it is there");
    let names = folders.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("text"))
        .collect()
}

/// The pods that an object makes.
fn pod(object: &Value) -> Option<&Value> {
    match object["kind"].as_str().expect("it has a kind") {
        "Pod" => Some(object),
        "Deployment" | "Job" => Some(&object["spec"]["template"]),
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

/// Whether a pod of this template is let in. Workloads are only warned of, and it is their pods that are refused.
fn refusal(cluster: &Cluster, namespace: &str, template: &Value) -> Option<String> {
    let known = &template["metadata"];
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "tried", "namespace": namespace,
            "labels": known["labels"], "annotations": known["annotations"],
        },
        "spec": template["spec"],
    });
    let args = ["create", "--dry-run=server", "--filename=-"];
    let output = cluster.try_kubectl(&args, &pod.to_string());
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// All pods of what was applied are let in. Gives how many there are.
fn assert_let_in(
    cluster: &Cluster,
    namespace: &str,
    option: &str,
    path: &std::path::Path,
) -> usize {
    let path = path.to_str().expect("text");
    let printed = cluster.kubectl(&[
        "get",
        option,
        path,
        "--output=json",
        "--namespace",
        namespace,
    ]);
    let found: Value = serde_json::from_str(&printed).expect("kubectl prints JSON");
    let one = [found.clone()];
    let objects = found["items"].as_array().map_or(&one[..], Vec::as_slice);
    let pods: Vec<_> = objects.iter().filter_map(pod).collect();
    for pod in &pods {
        assert_eq!(refusal(cluster, namespace, pod), None, "{path}: {pod:#}");
    }
    pods.len()
}

/// The labels of a namespace.
fn labels(cluster: &Cluster, namespace: &str) -> Value {
    cluster.get("default", &["namespace", namespace])["metadata"]["labels"].clone()
}

/// Nothing of the probe stays in a namespace. What objects own goes a little after them.
fn assert_nothing_is_left(cluster: &Cluster, namespace: &str) {
    let kinds = "deployments,cronjobs,jobs,pods,services,configmaps,serviceaccounts,networkpolicies,\
        persistentvolumeclaims,podmonitors,prometheusrules";
    wait_until("nothing of the probe is left", || {
        let objects = cluster.list(namespace, &[kinds]);
        let mut names = objects
            .iter()
            .map(|object| object["metadata"]["name"].as_str());
        !names.any(|name| name.expect("a name").starts_with("registry-"))
    });
}

/// In the order of docs/deploying.md: the namespace, then an overlay. To delete that leaves the namespace.
#[test]
fn every_overlay_is_taken_and_deleted_under_restricted() {
    let cluster = cluster();
    let copy = Copy::make();
    let namespace = "registry-probe";
    cluster.apply("--kustomize", &copy.path("deploy/kustomize/namespace"));
    let enforce = "pod-security.kubernetes.io/enforce";
    assert_eq!(labels(&cluster, namespace)[enforce], "restricted");
    cluster.restrict(namespace);
    let overlays = overlays();
    assert!(overlays.len() >= 6, "{overlays:?}");
    for overlay in overlays {
        let path = copy.overlay(&overlay);
        cluster.apply("--kustomize", &path);
        let pods = assert_let_in(&cluster, namespace, "--kustomize", &path);
        assert_eq!(pods, if overlay == "merged" { 2 } else { 1 }, "{overlay}");
        let path = path.to_str().expect("text");
        cluster.kubectl(&["delete", "--kustomize", path, "--timeout=120s"]);
        assert_nothing_is_left(&cluster, namespace);
        let phase = &cluster.get("default", &["namespace", namespace])["status"]["phase"];
        assert_eq!(phase, "Active", "{overlay}");
    }
}

/// What the pods of a template cannot start without.
fn needed(template: &Value) -> Vec<[String; 2]> {
    let spec = &template["spec"];
    let text = |name: &Value| name.as_str().expect("text").to_owned();
    let account = [
        "serviceaccount".to_owned(),
        text(&spec["serviceAccountName"]),
    ];
    let volumes = spec["volumes"].as_array().expect("volumes").iter();
    let configs = volumes.map(|volume| &volume["configMap"]["name"]);
    let configs = configs.filter(|name| !name.is_null());
    configs
        .map(|name| ["configmap".to_owned(), text(name)])
        .chain([account])
        .collect()
}

#[test]
fn to_delete_an_overlay_takes_nothing_that_another_needs() {
    let cluster = cluster();
    let namespace = "one-of-several";
    cluster.restricted(namespace);
    let mut applied = Vec::new();
    for overlay in ["deployment", "cronjob", "sharded", "merged", "compare"] {
        let copy = Copy::make();
        let own = Own {
            overlay,
            ..Own::default()
        };
        let folder = copy.own(namespace, &own);
        cluster.apply("--kustomize", &folder);
        applied.push((overlay, copy, folder));
    }
    while let Some((deleted, _copy, folder)) = applied.pop() {
        let path = folder.to_str().expect("text");
        cluster.kubectl(&["delete", "--kustomize", path, "--timeout=120s"]);
        let objects = cluster.list(namespace, &["deployments,cronjobs,jobs"]);
        assert!(objects.len() >= applied.len(), "{objects:#?}");
        for needed in objects.iter().filter_map(pod).flat_map(needed) {
            let [kind, name] = needed.each_ref().map(String::as_str);
            let found = cluster.find(namespace, &[kind, name]);
            assert!(found.is_some(), "{kind} {name} went with {deleted}");
        }
    }
}

/// Each overlay with all components in one's own namespace, where others are, too.
#[test]
fn a_shared_namespace_keeps_its_labels_and_what_is_in_it() {
    let cluster = cluster();
    let copy = Copy::make();
    let namespace = "monitoring";
    cluster.kubectl(&["create", "namespace", namespace]);
    cluster.kubectl(&[
        "label",
        "namespace",
        namespace,
        "team=others",
        "pod-security.kubernetes.io/warn=restricted",
    ]);
    cluster.kubectl(&["--namespace", namespace, "create", "configmap", "of-others"]);
    let before = labels(&cluster, namespace);
    let components = || vec!["authorities", "state", "tls", "network-policy"];
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "prometheus-operator",
            components: components(),
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    assert_eq!(
        assert_let_in(&cluster, namespace, "--kustomize", &folder),
        1
    );
    assert_eq!(labels(&cluster, namespace), before);
    for kind in [
        "networkpolicy",
        "podmonitor",
        "persistentvolumeclaim/registry-probe-state",
    ] {
        cluster.get(namespace, &[kind]);
    }
    let path = folder.to_str().expect("text");
    cluster.kubectl(&["delete", "--kustomize", path, "--timeout=120s"]);
    assert_eq!(labels(&cluster, namespace), before);
    assert_nothing_is_left(&cluster, namespace);
    cluster.get(namespace, &["configmap", "of-others"]);

    let example = copy.path("deploy/kustomize/example");
    cluster.apply("--kustomize", &example);
    assert_eq!(
        assert_let_in(&cluster, namespace, "--kustomize", &example),
        1
    );
    assert_eq!(labels(&cluster, namespace), before);
}

#[test]
fn the_chart_is_taken_with_each_set_of_values() {
    let cluster = cluster();
    let into = tempfile::tempdir().expect("a temporary directory");
    let mut sets = vec![("values".to_owned(), at(&format!("{CHART}/values.yaml")))];
    for name in names(&format!("{CHART}/examples"), ".yaml") {
        let path = at(&format!("{CHART}/examples/{name}"));
        sets.push((name.trim_end_matches(".yaml").to_owned(), path));
    }
    for (name, values) in &sets {
        let namespace = format!("chart-{name}");
        cluster.restricted(&namespace);
        let args = ["--values", values.to_str().expect("text")];
        let file = template(&cluster, into.path(), &namespace, &args);
        cluster.apply("--filename", &file);
        // The pod of `helm test`, too.
        assert_eq!(
            assert_let_in(&cluster, &namespace, "--filename", &file),
            2,
            "{name}"
        );
    }
    assert!(sets.len() > 6);
}

/// What these tests would say of a pod that keeps less to the rules.
#[test]
fn a_pod_that_may_be_root_is_warned_of_and_refused() {
    let cluster = cluster();
    let namespace = "refusals";
    cluster.restricted(namespace);
    let copy = Copy::make();
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "cronjob",
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let context = "/spec/jobTemplate/spec/template/spec/securityContext/runAsNonRoot";
    let patch = json!([{ "op": "remove", "path": context }]).to_string();
    let args = [
        "--namespace",
        namespace,
        "patch",
        "cronjob",
        "registry-probe",
        "--type=json",
        "--patch",
        &patch,
    ];
    let patched = cluster.try_kubectl(&args, "");
    let warning = String::from_utf8_lossy(&patched.stderr);
    assert!(patched.status.success(), "{warning}");
    assert!(
        warning.contains("Warning:") && warning.contains("runAsNonRoot"),
        "{warning}"
    );
    let changed = cluster.get(namespace, &["cronjob", "registry-probe"]);
    let refusal = refusal(&cluster, namespace, pod(&changed).expect("it makes pods"));
    assert!(refusal.is_some_and(|why| why.contains("runAsNonRoot")));
}
