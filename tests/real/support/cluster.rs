//! A cluster that there is not: its pods, as kube-state-metrics shows them and as kubectl prints them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use registry_double::{Background, Double, Reply, in_background, on};
use serde_json::{Value, json};

/// A pod of one container.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) owner: &'static str,
    /// The architecture of its node.
    pub(crate) node: &'static str,
    pub(crate) image: String,
    pub(crate) has_run: bool,
}

impl Pod {
    /// A pod that runs in the namespace `shop`, on a node of this architecture.
    pub(crate) fn new(
        name: &'static str,
        owner: &'static str,
        node: &'static str,
        image: String,
    ) -> Self {
        let has_run = true;
        Self {
            name,
            owner,
            node,
            image,
            has_run,
        }
    }

    /// As kubectl prints it.
    pub(crate) fn json(&self) -> Value {
        let id = if self.has_run { "containerd://0" } else { "" };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": "shop",
                "ownerReferences": [{ "kind": "ReplicaSet", "name": self.owner, "controller": true }],
            },
            "spec": { "nodeName": self.node, "containers": [{ "name": "app", "image": self.image }] },
            "status": {
                "phase": if self.has_run { "Running" } else { "Pending" },
                "containerStatuses": [{ "name": "app", "containerID": id, "imageID": id }],
            },
        })
    }
}

/// What `kubectl get pods,nodes --all-namespaces --output json` prints.
pub(crate) fn list(pods: &[Pod]) -> String {
    let node = |name: &str| {
        json!({ "kind": "Node", "metadata": { "name": name },
                "status": { "nodeInfo": { "architecture": name, "operatingSystem": "linux" } } })
    };
    let nodes = ["amd64", "arm64"].map(node);
    let items: Vec<_> = pods.iter().map(Pod::json).chain(nodes).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// Serves pods in the form of kube-state-metrics' own page.
#[derive(Debug)]
pub(crate) struct KubeStateMetrics {
    double: Background<Double>,
    pods: Arc<Mutex<Vec<Pod>>>,
}

impl KubeStateMetrics {
    pub(crate) fn start(pods: &[Pod]) -> Self {
        let double = in_background(Double::start());
        let pods = Arc::new(Mutex::new(pods.to_vec()));
        let shown = Arc::clone(&pods);
        let show = move |_: &_, _: &_| {
            let shown = shown.lock().expect("nobody panics with it");
            Reply::text(200, &page(&shown)).with_header("content-type", "text/plain; version=0.0.4")
        };
        double.when(on::any()).answer(show);
        Self { double, pods }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        self.double.url().trim_start_matches("http://").to_owned()
    }

    /// Changes what there is.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Pod>)) {
        change(&mut self.pods.lock().expect("nobody panics with it"));
    }
}

/// The metrics that are of interest, as version 2.13 writes them.
fn page(pods: &[Pod]) -> String {
    let mut page = String::from(
        "# HELP kube_node_labels [STABLE] Kubernetes labels converted to Prometheus labels.\n\
         # TYPE kube_node_labels gauge\n",
    );
    for node in ["amd64", "arm64"] {
        let _ = writeln!(
            page,
            "kube_node_labels{{node=\"{node}\",label_kubernetes_io_arch=\"{node}\"}} 1"
        );
    }
    for pod in pods {
        let (name, owner, node, image) = (pod.name, pod.owner, pod.node, &pod.image);
        let own = format!("namespace=\"shop\",pod=\"{name}\",uid=\"uid-{name}\"");
        let id = if pod.has_run { "containerd://0" } else { "" };
        let _ = writeln!(
            page,
            "kube_pod_container_info{{{own},container=\"app\",image_spec=\"{image}\",image=\"{image}\",image_id=\"{id}\",container_id=\"{id}\"}} 1"
        );
        let _ = writeln!(
            page,
            "kube_pod_info{{{own},host_ip=\"10.0.0.1\",pod_ip=\"10.1.0.1\",node=\"{node}\",created_by_kind=\"ReplicaSet\",created_by_name=\"{owner}\",priority_class=\"\",host_network=\"false\"}} 1"
        );
        let _ = writeln!(
            page,
            "kube_pod_owner{{{own},owner_kind=\"ReplicaSet\",owner_name=\"{owner}\",owner_is_controller=\"true\"}} 1"
        );
        let own_phase = if pod.has_run { "Running" } else { "Pending" };
        for phase in ["Pending", "Succeeded", "Failed", "Unknown", "Running"] {
            let is_it = u8::from(phase == own_phase);
            let _ = writeln!(
                page,
                "kube_pod_status_phase{{{own},phase=\"{phase}\"}} {is_it}"
            );
        }
    }
    page
}
