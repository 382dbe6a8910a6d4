//! What kustomizations of one's own make of the overlays and components: each can be put on, and none touches what is another's.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::deploy::{assert_valid, complaints, pod};
use crate::support::files::{go_tool, render, yaml};
use crate::support::process::{at_home, run};

const COMPONENTS: [&str; 4] = ["authorities", "state", "tls", "network-policy"];

/// An overlay with components, in a kustomization of one's own that moves everything into the namespace `monitoring`.
fn own(overlay: &str, components: &[&str]) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let into = directory.path();
    // The copy that the rendering leaves is what this one is written beside.
    render("deploy/kustomize/namespace", into);
    let own = into.join("copy/deploy/kustomize/own");
    fs::create_dir(&own).expect("it is made");
    let components: Vec<_> = components
        .iter()
        .map(|name| format!("../components/{name}"))
        .collect();
    let kustomization = json!({
        "namespace": "monitoring",
        "resources": [format!("../overlays/{overlay}")],
        "components": components,
    });
    fs::write(own.join("kustomization.yaml"), kustomization.to_string()).expect("it is written");
    let mut kustomize = go_tool("kustomize");
    let rendered = run(at_home(kustomize.arg("build").arg(&own), into)).stdout;
    let file = into.join("own.yaml");
    fs::write(&file, rendered).expect("it is written");
    let documents = yaml(&file);
    assert_valid(overlay, &file, &documents);
    documents
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found = documents.iter().find(|document| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("there is a {kind}"))
}

/// The value of a variable of the first container.
fn variable<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let variables = pod["spec"]["containers"][0]["env"].as_array();
    let found = variables.and_then(|all| all.iter().find(|variable| variable["name"] == name));
    found.map_or(&Value::Null, |variable| &variable["value"])
}

/// A volume, and where the first container has it.
fn volume<'a>(pod: &'a Value, name: &str) -> (&'a Value, &'a Value) {
    let named = |list: &'a Value| {
        let mut list = list.as_array().expect("a list").iter();
        list.find(|entry| entry["name"] == name)
            .unwrap_or(&Value::Null)
    };
    let mount = named(&pod["spec"]["containers"][0]["volumeMounts"]);
    (named(&pod["spec"]["volumes"]), &mount["mountPath"])
}

#[test]
fn nothing_of_a_shared_namespace_is_touched() {
    for overlay in [
        "deployment",
        "cronjob",
        "sharded",
        "merged",
        "compare",
        "prometheus-operator",
    ] {
        for document in own(overlay, &[]) {
            assert_ne!(document["kind"], "Namespace", "{overlay}");
            assert_eq!(document["metadata"]["namespace"], "monitoring", "{overlay}");
        }
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_, alone) = render("deploy/kustomize/namespace", directory.path());
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0]["kind"], "Namespace");
    let labels = &alone[0]["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn every_pod_has_the_configuration_and_pulls_with_the_login() {
    for overlay in ["deployment", "cronjob", "sharded", "merged"] {
        let documents = own(overlay, &[]);
        let config = of_kind(&documents, "ConfigMap");
        assert!(config["data"]["probe.yaml"].is_string(), "{overlay}");
        for pod in documents.iter().filter_map(pod) {
            assert_eq!(
                pod["spec"]["imagePullSecrets"],
                json!([{ "name": "registry-probe-pull" }])
            );
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "merge" {
                continue;
            }
            let (volume, path) = volume(pod, "config");
            // A change of the file is a change of the name, so that the pods begin anew.
            assert_eq!(volume["configMap"]["name"], config["metadata"]["name"]);
            assert_eq!(
                variable(pod, "PROBE_CONFIG"),
                &format!("{}/probe.yaml", path.as_str().expect("a path"))
            );
        }
    }
}

/// An authority that is configured and not there keeps a pod waiting; one that is not configured is not asked for.
#[test]
fn authorities_are_either_there_or_not_configured() {
    for overlay in ["deployment", "cronjob", "sharded", "merged", "compare"] {
        for pod in own(overlay, &[]).iter().filter_map(pod) {
            assert_eq!(variable(pod, "PROBE_CA_FILE"), &Value::Null);
        }
        let mut trusting = 0;
        for pod in own(overlay, &["authorities"]).iter().filter_map(pod) {
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "merge" {
                continue;
            }
            let (volume, path) = volume(pod, "authorities");
            assert_eq!(
                volume["configMap"],
                json!({ "name": "registry-probe-authorities" })
            );
            assert_eq!(
                variable(pod, "PROBE_CA_FILE"),
                &format!("{}/ca.crt", path.as_str().expect("a path"))
            );
            trusting += 1;
        }
        assert_eq!(trusting, 1, "{overlay}");
    }
}

#[test]
fn a_state_is_kept_on_a_volume() {
    for (overlay, file) in [
        ("deployment", "state"),
        ("cronjob", "state"),
        ("sharded", "state-$(JOB_COMPLETION_INDEX)"),
    ] {
        let documents = own(overlay, &["state"]);
        let claim = &of_kind(&documents, "PersistentVolumeClaim")["metadata"]["name"];
        let pod = documents.iter().find_map(pod).expect("there is a pod");
        let (volume, path) = volume(pod, "state");
        assert_eq!(&volume["persistentVolumeClaim"]["claimName"], claim);
        let args = pod["spec"]["containers"][0]["args"].to_string();
        let option = format!("--state={}/{file}\"", path.as_str().expect("a path"));
        assert!(args.contains(&option), "{overlay}: {args}");
    }
}

#[test]
fn tls_is_spoken_by_the_kubelet_and_by_prometheus_too() {
    let documents = own("prometheus-operator", &["tls"]);
    let pod = documents.iter().find_map(pod).expect("there is a pod");
    let container = &pod["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
    let (volume, path) = volume(pod, "web");
    assert_eq!(
        variable(pod, "PROBE_WEB_CONFIG"),
        &format!("{}/web.yml", path.as_str().expect("a path"))
    );
    let secret = &volume["secret"]["secretName"];
    assert_eq!(
        pod["metadata"]["annotations"]["prometheus.io/scheme"],
        "https"
    );
    let endpoint = &of_kind(&documents, "PodMonitor")["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["scheme"], "https");
    assert_eq!(&endpoint["tlsConfig"]["ca"]["secret"]["name"], secret);
}

/// Whether a selector takes a pod.
fn selects(selector: &Value, pod: &Value) -> bool {
    let wanted = selector.as_object().expect("labels");
    wanted
        .iter()
        .all(|(label, value)| pod["metadata"]["labels"][label] == *value)
}

/// Pods of Jobs are no endpoints of the Service, and none of the Deployment's; the policy holds all of them.
#[test]
fn selectors_take_the_pods_that_they_mean() {
    let service = own("deployment", &["network-policy"]);
    let selectors = [
        &of_kind(&service, "Service")["spec"]["selector"],
        &of_kind(&service, "Deployment")["spec"]["selector"]["matchLabels"],
    ];
    let policy = &of_kind(&service, "NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    assert_eq!(
        policy["ingress"][0]["ports"],
        json!([{ "port": "metrics" }])
    );
    let mut pods = 0;
    for overlay in ["deployment", "cronjob", "sharded", "merged", "compare"] {
        for pod in own(overlay, &[]).iter().filter_map(pod) {
            for selector in selectors {
                assert_eq!(
                    selects(selector, pod),
                    overlay == "deployment",
                    "{overlay}: {selector}"
                );
            }
            assert!(
                selects(&policy["podSelector"]["matchLabels"], pod),
                "{overlay}"
            );
            pods += 1;
        }
    }
    assert_eq!(pods, 6);
}

#[test]
fn all_components_together_are_restricted_still() {
    for overlay in ["cronjob", "sharded", "prometheus-operator"] {
        for pod in own(overlay, &COMPONENTS).iter().filter_map(pod) {
            assert_eq!(complaints(pod), Vec::<String>::new(), "{overlay}");
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kustomize/components");
    let there = fs::read_dir(folder).expect("it is there").count();
    assert_eq!(there, COMPONENTS.len(), "a component is in no test");
}

/// The example has its own image, namespace and registries, without a change of anything else.
#[test]
fn the_example_of_an_own_kustomization_works() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (file, documents) = render("deploy/kustomize/example", directory.path());
    assert_valid("example", &file, &documents);
    let pod = documents.iter().find_map(pod).expect("there is a pod");
    let image = &pod["spec"]["containers"][0]["image"];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image, &format!("images.example/tools/probe:{version}"));
    let config = of_kind(&documents, "ConfigMap")["data"]["probe.yaml"]
        .as_str()
        .expect("text");
    assert!(
        config.contains("images.example") && !config.contains("registry.example"),
        "{config}"
    );
}
