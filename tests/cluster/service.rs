//! The Deployment: what its pod waits for, its probes, its Service, and its end; by kustomize and by Helm.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::deployed::{CHART, Copy, Own, apply_chart, helm};
use crate::image::{Images, name, only_the_probe, probe};
use crate::jobs::config;
use crate::node::Node;
use crate::support::certificates::Certificates;
use crate::support::files::at;
use crate::support::http::Client;
use crate::support::images::Content;
use crate::support::nginx::Nginx;
use crate::support::process::tool;
use crate::support::registry::{Login, Registry};
use crate::support::service::Metrics;
use crate::support::skopeo;

const PODS: &str = "app.kubernetes.io/name=registry-probe,app.kubernetes.io/component=service";

/// The code that the probe ends with after SIGTERM. The first process of a container is not ended by a signal that it leaves
/// alone, and one that is killed has 137.
const TERMINATED: i32 = 143;

/// Where the pod of the service listens.
const ADDRESS: &str = "127.0.0.1:9464";

/// One pod at a time listens on the port that all of them have.
fn port() -> MutexGuard<'static, ()> {
    static PORT: Mutex<()> = Mutex::new(());
    PORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the service that runs now has seen of tags.
fn checked() -> Option<f64> {
    let metrics = Client::new(&format!("http://{ADDRESS}"), None).get("/metrics");
    let metrics = Metrics::read(&String::from_utf8(metrics.body).expect("it is text"));
    metrics.integrity("tags_checked", &[])
}

fn is_ready(cluster: &Cluster, namespace: &str) -> bool {
    let deployment = cluster.get(namespace, &["deployment", "registry-probe"]);
    deployment["status"]["readyReplicas"] == 1
}

/// Ends the one pod of a Deployment, and asserts that it ended by itself and in time.
fn assert_ends(cluster: &Cluster, namespace: &str, node: &mut Node) {
    let scale = ["scale", "deployment/registry-probe", "--replicas=0"];
    cluster.kubectl(&[&["--namespace", namespace], &scale[..]].concat());
    node.until("the pod has ended", |node| {
        node.ended.len() == 1 && node.count() == 0
    });
    let end = &node.ended[0];
    assert_eq!(end.code, TERMINATED, "{end:#?}");
    // Of the default grace of 30 seconds, after which it would have been killed.
    assert!(
        end.after_signal
            .is_some_and(|took| took < Duration::from_secs(30)),
        "{end:#?}"
    );
}

/// Where the Service leads to, nothing as long as its controller has not seen it.
fn slice(cluster: &Cluster, namespace: &str) -> Value {
    let service = "kubernetes.io/service-name=registry-probe";
    let slices = cluster.list(namespace, &["endpointslices", "--selector", service]);
    slices.into_iter().next().unwrap_or_default()
}

/// How many pods a selector takes, given as labels.
fn taken(cluster: &Cluster, namespace: &str, labels: &Value) -> usize {
    let labels = labels.as_object().expect("labels").iter();
    let words: Vec<_> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().expect("text")))
        .collect();
    assert!(!words.is_empty(), "it takes everything");
    cluster
        .list(namespace, &["pods", "--selector", &words.join(",")])
        .len()
}

/// The commands of docs/deploying.md, in another order: what is not there yet is waited for.
#[test]
fn a_pod_waits_for_its_login_and_its_authority() {
    let _port = port();
    let cluster = cluster();
    let namespace = "service";
    cluster.restricted(namespace);
    let login = Login::of_the_tests();
    let registry = Registry::start_with_login(login.clone());
    skopeo::push(&registry, &Content::index("guarded"), "team/guarded:v1");
    let front = Nginx::tls(&registry);
    let copy = Copy::make();
    let folder = copy.own(
        namespace,
        &Own {
            overlay: "deployment",
            components: vec!["authorities", "network-policy", "state"],
            config: Some(config(&front.url())),
            // The image is in the same registry, which gives nothing to strangers.
            host_of_image: Some(front.host()),
            ..Own::default()
        },
    );
    cluster.apply("--kustomize", &folder);
    let mut image = probe();
    image.is_private = true;
    let name = name();
    let (_, tag) = name.rsplit_once(':').expect("it has a tag");
    let name = format!("{}/registry-probe:{tag}", front.host());
    let mut node = Node::new(&cluster, namespace, PODS, Images::from([(name, image)]));
    let waits = |node: &Node, why: &str| node.waiting.values().any(|waits| waits.contains(why));
    node.until("the image cannot be pulled", |node| {
        waits(node, "authentication required")
    });

    let create = ["--namespace", namespace, "create"];
    let secret = ["secret", "docker-registry", "registry-probe-pull"];
    let words = [
        format!("--docker-server={}", front.host()),
        format!("--docker-username={}", login.user),
        format!("--docker-password={}", login.password),
    ];
    let words = words.each_ref().map(String::as_str);
    cluster.kubectl(&[&create[..], &secret, &words].concat());
    node.until("the authority is waited for", |node| {
        waits(node, "configmap \"registry-probe-authorities\" not found")
    });
    let file = format!("--from-file=ca.crt={}", front.authority().display());
    cluster.kubectl(
        &[
            &create[..],
            &["configmap", "registry-probe-authorities", &file],
        ]
        .concat(),
    );
    node.until("it is ready", |_| is_ready(&cluster, namespace));
    node.until("the tag was checked", |_| checked() == Some(1.0));

    node.until("the Service leads to the pod", |_| {
        let slice = slice(&cluster, namespace);
        slice["endpoints"][0]["conditions"]["ready"] == true && slice["ports"][0]["port"] == 9464
    });
    assert_ends(&cluster, namespace, &mut node);
}

/// A Job beside the service, in the same namespace and for the same registry.
#[test]
fn pods_of_jobs_are_no_endpoints_of_the_service() {
    let _port = port();
    let cluster = cluster();
    let namespace = "both";
    cluster.restricted(namespace);
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("twice"), "team/app:v1");
    for overlay in ["deployment", "sharded"] {
        let copy = Copy::make();
        let folder = copy.own(
            namespace,
            &Own {
                overlay,
                components: vec!["network-policy"],
                config: Some(config(&registry.host())),
                ..Own::default()
            },
        );
        cluster.apply("--kustomize", &folder);
    }
    let from = "--from=cronjob/registry-probe-sharded";
    cluster.kubectl(&["--namespace", namespace, "create", "job", from, "beside"]);
    let mut node = Node::new(
        &cluster,
        namespace,
        "app.kubernetes.io/name=registry-probe",
        only_the_probe(),
    );
    node.stop(|index| index.is_some());
    node.until("service and shards run", |node| {
        node.count() == 5 && is_ready(&cluster, namespace)
    });

    let get = |kind: &str| cluster.get(namespace, &[kind, "registry-probe"])["spec"].clone();
    assert_eq!(taken(&cluster, namespace, &get("service")["selector"]), 1);
    assert_eq!(
        taken(
            &cluster,
            namespace,
            &get("deployment")["selector"]["matchLabels"]
        ),
        1
    );
    assert_eq!(
        taken(
            &cluster,
            namespace,
            &get("networkpolicy")["podSelector"]["matchLabels"]
        ),
        5
    );
    node.until("the controller has seen all of them", |_| {
        let running = cluster.list(
            namespace,
            &["pods", "--field-selector=status.phase=Running"],
        );
        running.len() == 5
    });
    node.until("the Service leads to one pod, of five", |_| {
        let slice = slice(&cluster, namespace);
        slice["endpoints"].as_array().map(Vec::len) == Some(1)
    });
}

/// A Secret `registry-probe-web`, as the component and the chart take it: TLS, and a token for all but the probes.
fn protect(cluster: &Cluster, namespace: &str) {
    let into = tempfile::tempdir().expect("a temporary directory");
    let certificates = Certificates::make(into.path());
    let web = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\nbearer_token_files: [token]\n";
    fs::write(into.path().join("web.yml"), web).expect("it is written");
    fs::write(into.path().join("token"), "only-for-the-tests\n").expect("it is written");
    let own = |name: &str| into.path().join(name);
    let files = [
        ("web.yml", own("web.yml")),
        ("token", own("token")),
        ("tls.crt", certificates.server),
        ("tls.key", certificates.key),
        ("ca.crt", certificates.authority),
    ];
    let files = files.map(|(name, path)| format!("--from-file={name}={}", path.display()));
    let create = [
        "--namespace",
        namespace,
        "create",
        "secret",
        "generic",
        "registry-probe-web",
    ];
    cluster.kubectl(&[&create[..], &files.each_ref().map(String::as_str)].concat());
}

#[test]
fn with_tls_the_kubelet_asks_by_https() {
    let _port = port();
    let cluster = cluster();
    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("behind tls"), "team/app:v1");
    for namespace in ["tls-by-kustomize", "tls-by-helm"] {
        cluster.restricted(namespace);
        protect(&cluster, namespace);
        if namespace == "tls-by-helm" {
            apply_chart(
                &cluster,
                namespace,
                &json!({
                    "config": config(&registry.host()),
                    "webConfig": { "existingSecret": "registry-probe-web" },
                    "networkPolicy": { "enabled": true },
                }),
            );
        } else {
            let copy = Copy::make();
            let folder = copy.own(
                namespace,
                &Own {
                    overlay: "prometheus-operator",
                    components: vec!["tls"],
                    config: Some(config(&registry.host())),
                    ..Own::default()
                },
            );
            cluster.apply("--kustomize", &folder);
            let monitor = cluster.get(namespace, &["podmonitor", "registry-probe"]);
            assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["scheme"], "https");
        }
        let mut node = Node::new(&cluster, namespace, PODS, only_the_probe());
        node.until("it is ready", |_| is_ready(&cluster, namespace));
        let metrics = |scheme: &str, header: &str| {
            let mut curl = tool("curl");
            curl.args([
                "--silent",
                "--insecure",
                "--noproxy",
                "*",
                "--output",
                "/proc/self/fd/2",
            ])
            .args(["--write-out", "%{http_code}", "--header", header])
            .arg(format!("{scheme}://{ADDRESS}/metrics"));
            let output = curl.output().expect("curl can be started");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_ne!(metrics("http", "X-None: 0"), "200", "{namespace}");
        assert_eq!(metrics("https", "X-None: 0"), "401", "{namespace}");
        assert_eq!(
            metrics("https", "Authorization: Bearer only-for-the-tests"),
            "200",
            "{namespace}"
        );
        assert_ends(&cluster, namespace, &mut node);
    }
}

/// The commands of docs/deploying.md and of the chart's notes.
#[test]
fn helm_installs_tests_and_uninstalls_the_chart() {
    let _port = port();
    let cluster = cluster();
    let namespace = "by-helm";
    cluster.restricted(namespace);
    let mut registry = Registry::start();
    skopeo::push(&registry, &Content::index("by helm"), "team/app:v1");
    let into = tempfile::tempdir().expect("a temporary directory");
    let values = into.path().join("values.yaml");
    fs::write(
        &values,
        json!({ "config": config(&registry.host()) }).to_string(),
    )
    .expect("written");
    let chart = at(CHART);
    let [chart, values] = [&chart, &values].map(|path| path.to_str().expect("text"));
    helm(
        &cluster,
        namespace,
        &["install", "registry-probe", chart, "--values", values],
    );
    let mut node = Node::new(
        &cluster,
        namespace,
        "app.kubernetes.io/instance=registry-probe",
        only_the_probe(),
    );
    node.until("it is ready", |_| is_ready(&cluster, namespace));
    node.until("the tag was checked", |_| checked() == Some(1.0));
    std::thread::scope(|scope| {
        let test = scope.spawn(|| helm(&cluster, namespace, &["test", "registry-probe"]));
        node.until("helm has seen its test end", |_| test.is_finished());
        let said = test.join().expect("the test succeeds");
        assert!(said.contains("Succeeded"), "{said}");
    });
    let doctor = &node.ended[0];
    assert_eq!(doctor.code, 0, "{doctor:#?}");
    assert!(doctor.log.contains("catalog"), "{doctor:#?}");
    // Without the registry the test fails, and its log says why.
    registry.stop();
    std::thread::scope(|scope| {
        let test = scope.spawn(|| helm(&cluster, namespace, &["test", "registry-probe"]));
        node.until("helm has seen its test end", |_| test.is_finished());
        assert!(test.join().is_err(), "{:#?}", node.ended);
    });
    let doctor = node.ended.last().expect("it has ended");
    assert_eq!(doctor.code, 3, "{doctor:#?}");
    assert!(doctor.log.contains("UNREACHABLE"), "{doctor:#?}");
    helm(&cluster, namespace, &["uninstall", "registry-probe"]);
    node.until("the pod has gone", |node| node.count() == 0);
    let end = node.ended.last().expect("it has ended");
    assert_eq!(
        (end.code, end.after_signal.is_some()),
        (TERMINATED, true),
        "{end:#?}"
    );
}
