//! Images in use, as `kubectl get pods,nodes` tells them of nodes that do not all pull the same.

use registry_double::{Double, media_type as t, on};
use serde_json::{Value, json};

use super::{Said, probe};

/// A pod that runs an image on a node, under a policy.
fn pod(image: &str, node: &str, policy: &str) -> Value {
    json!({
        "kind": "Pod",
        "metadata": { "name": format!("on-{node}"), "namespace": "shop" },
        "spec": { "nodeName": node,
                  "containers": [{ "name": "app", "image": image, "imagePullPolicy": policy }] },
        "status": { "phase": "Running", "containerStatuses": [{ "name": "app", "containerID": "containerd://1" }] },
    })
}

fn node(name: &str, os: &str, architecture: &str, kernel: &str) -> Value {
    json!({ "kind": "Node", "metadata": { "name": name }, "status": { "nodeInfo": {
        "operatingSystem": os, "architecture": architecture, "kernelVersion": kernel } } })
}

/// A sweep with these objects of a cluster.
async fn sweep(registry: &Double, items: &[Value], more: &[&str]) -> (Said, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pods.json");
    std::fs::write(&path, json!({ "items": items }).to_string()).expect("written");
    let file = path.to_str().expect("text");
    let own = [
        "--in-use",
        file,
        "--output",
        "json",
        "--confirm-after",
        "0s",
    ];
    let address = [registry.address()];
    let said = probe(&[&["--once"], &own[..], more, &address].concat(), &[]).await;
    let report = serde_json::from_str(&said.stdout).expect("JSON");
    (said, report)
}

/// The findings in use, each as its image, reason and the pods.
fn told(report: &Value) -> Vec<String> {
    let findings = report["in_use"]["findings"].as_array().expect("a list");
    let told = findings.iter().map(|found| {
        let image = found["image"].as_str().expect("a name");
        let image = image.rsplit('/').next().unwrap_or_default();
        let reason = found["reason"].as_str().expect("a word");
        let users = found["workloads"].as_array().expect("a list");
        let pods = users
            .iter()
            .map(|user| user["names"][0].as_str().expect("a name"));
        format!("{image} {reason}: {}", pods.collect::<Vec<_>>().join(" "))
    });
    told.collect()
}

/// Of a mirror that leaves out arm64, in a tag that it lists and one that it does not.
#[tokio::test]
async fn a_mirror_leaves_out_nothing_that_a_node_needs() {
    let double = Double::start().await;
    let amd64 = double.child("linux/amd64", "app", &[b"a layer"]);
    let arm64 = double.child("linux/arm64", "app", &[b"another layer"]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    double.index("app", Some("v1"), &children);
    double.index("app", Some("v2"), &children);
    double.remove_manifest_link("app", &arm64.digest);
    let image = |tag: &str| format!("{}/app:{tag}", double.address());
    let items = [
        node("amd64", "linux", "amd64", ""),
        node("arm64", "linux", "arm64", ""),
        pod(&image("v1"), "amd64", "Always"),
        pod(&image("v1"), "arm64", "Always"),
        pod(&image("v2"), "arm64", "Always"),
        pod(&image("v2"), "unknown", "Always"),
    ];
    let options = ["--mode", "mirror", "--exclude-tag", "v2"];
    let (said, report) = sweep(&double, &items, &options).await;
    let expected = ["app:v1 not_found: on-arm64", "app:v2 not_found: on-arm64"];
    assert_eq!(
        (told(&report), said.code),
        (expected.map(str::to_owned).to_vec(), Some(1))
    );
    assert_eq!(
        (&report["findings"], &report["counts"]["broken"]),
        (&json!([]), &json!(0))
    );
    let asked = double.count(&on::manifest().reference(&arm64.digest));
    assert!(asked >= 3, "{asked}: what is told was seen in two looks");
    // Whoever needs nothing of it is not told.
    let (said, report) = sweep(&double, &[&items[..3], &items[5..]].concat(), &options).await;
    assert_eq!(
        (told(&report), said.code),
        (Vec::new(), Some(0)),
        "{report}"
    );
}

#[tokio::test]
async fn nodes_of_windows_need_the_image_of_their_build() {
    let double = Double::start().await;
    let children = ["10.0.17763.6189", "10.0.20348.2655"].map(|version| {
        let image = double.child("windows/amd64", "app", &[version.as_bytes()]);
        let mut child = image.descriptor("windows/amd64");
        child["platform"]["os.version"] = json!(version);
        (image, child)
    });
    let described = children.each_ref().map(|(_, child)| child);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": described});
    double.manifest_json("app", Some("v1"), &index);
    let image = format!("{}/app:v1", double.address());
    let items = [
        node("old", "windows", "amd64", "10.0.17763.5122"),
        node("new", "windows", "amd64", "10.0.20348.2322"),
        node("newest", "windows", "amd64", "10.0.27000.1"),
        pod(&image, "old", ""),
        pod(&image, "new", ""),
        pod(&image, "newest", ""),
    ];
    let (_, report) = sweep(&double, &items, &[]).await;
    assert_eq!(told(&report), ["app:v1 platform_missing: on-newest"]);
    double.remove_manifest_link("app", &children[1].0.digest);
    let (_, report) = sweep(&double, &items, &[]).await;
    let expected = [
        "app:v1 not_found: on-new",
        "app:v1 platform_missing: on-newest",
    ];
    assert_eq!(told(&report), expected);
}

/// Without a state, the file of an earlier run is all that is known.
#[tokio::test]
async fn a_textfile_keeps_what_was_in_use_while_the_source_is_away() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metrics.prom");
    let options = ["--textfile", path.to_str().expect("text")];
    let image = format!("{}/app:gone", double.address());
    let items = [pod(&image, "n", "Always")];
    let told = || {
        let text = std::fs::read_to_string(&path).expect("metrics");
        text.lines()
            .filter(|line| line.contains("in_use_broken") && !line.contains("dropped"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    sweep(&double, &items, &options).await;
    let before = told();
    assert_eq!(before.len(), 3, "{before:?}");
    for _ in 0..2 {
        // No containers: that is away.
        let (said, report) = sweep(&double, &[], &options).await;
        assert_eq!(
            (said.code, report["in_use"]["away"].is_string()),
            (Some(0), true),
            "{report}"
        );
        assert_eq!(told(), before[1..]);
    }
    // The pod is gone.
    let items = [pod(&format!("{}/app:v1", double.address()), "n", "Always")];
    sweep(&double, &items, &options).await;
    assert_eq!(told(), [""; 0]);
}

#[tokio::test]
async fn what_no_node_pulls_is_no_finding() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let image = |name: &str| format!("{}/{name}", double.address());
    let long = image(&"a".repeat(256));
    let items = [
        pod(&image("app:v1"), "n", "Always"),
        pod(&image("app:local"), "n", "Never"),
        pod(&image("App:v1"), "n", "Always"),
        pod(&image("app:-v1"), "n", "Always"),
        pod(&long, "n", "Always"),
    ];
    let (said, report) = sweep(&double, &items, &[]).await;
    assert_eq!(
        (told(&report), said.code),
        (Vec::new(), Some(0)),
        "{report}"
    );
    let in_use = &report["in_use"];
    assert_eq!(
        (&in_use["images"], &in_use["never_pulled"]),
        (&json!(1), &json!(1))
    );
    let invalid = in_use["invalid"].as_array().expect("a list").iter();
    let invalid: Vec<_> = invalid
        .map(|one| one["image"].as_str().expect("a name"))
        .collect();
    assert_eq!(invalid.len(), 3, "{in_use}");
    // The same image is missed where it is pulled.
    let items = [&items[..], &[pod(&image("app:local"), "m", "IfNotPresent")]].concat();
    let (_, report) = sweep(&double, &items, &[]).await;
    assert_eq!(told(&report), ["app:local not_found: on-m"]);
}
