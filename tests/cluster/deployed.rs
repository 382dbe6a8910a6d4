//! What is applied: overlays, kustomizations of one's own as `deploy/kustomize/example` is one, and what Helm makes of the chart.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::image::name;
use crate::support::files::{at, go_tool};
use crate::support::process::{at_home, run, tool};
use crate::support::prometheus::Pushgateway;

pub(crate) const CHART: &str = "deploy/charts/registry-probe";

/// A copy of what is deployed, with kustomizations of one's own in it.
pub(crate) struct Copy {
    directory: TempDir,
}

impl Copy {
    pub(crate) fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for part in ["alerts", "dashboards", "deploy"] {
            run(tool("cp").arg("-r").arg(at(part)).arg(directory.path()));
        }
        Self { directory }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// The folder of an overlay.
    pub(crate) fn overlay(&self, name: &str) -> PathBuf {
        self.path("deploy/kustomize/overlays").join(name)
    }

    /// A kustomization of an overlay and components that moves everything to a namespace; with another configuration if
    /// there is one, and patched.
    pub(crate) fn own(&self, namespace: &str, own: &Own) -> PathBuf {
        let folder = self.path("deploy/kustomize").join(namespace);
        fs::create_dir(&folder).expect("it is made");
        let components = own
            .components
            .iter()
            .map(|name| format!("../components/{name}"));
        let mut kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [format!("../overlays/{}", own.overlay)],
            "components": components.collect::<Vec<_>>(),
            "patches": own.patches,
        });
        if let Some(host) = &own.host_of_image {
            let image = name();
            let (old, tag) = image.rsplit_once(':').expect("it has a tag");
            kustomization["images"] = json!([{ "name": old, "newName": format!("{host}/registry-probe"), "newTag": tag }]);
        }
        if let Some(config) = &own.config {
            fs::write(folder.join("probe.yaml"), config.to_string()).expect("it is written");
            kustomization["configMapGenerator"] = json!([{ "name": "registry-probe", "behavior": "replace", "files": ["probe.yaml"] }]);
        }
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string())
            .expect("it is written");
        folder
    }
}

/// What a kustomization of one's own has.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) overlay: &'static str,
    pub(crate) components: Vec<&'static str>,
    /// The probe's configuration.
    pub(crate) config: Option<Value>,
    /// Where the image is, if not where the overlays have it.
    pub(crate) host_of_image: Option<String>,
    /// As a kustomization has them.
    pub(crate) patches: Vec<Value>,
}

/// A patch of where the probe of a CronJob pushes to.
pub(crate) fn pushes_to(gateway: &Pushgateway, cron_job: &str) -> Value {
    let address = format!("http://{}", gateway.address());
    let variable = json!({ "name": "PROBE_PUSH_GATEWAY", "value": address });
    let container = json!({ "name": "probe", "env": [variable] });
    let job = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    let patch = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": cron_job },
        "spec": { "jobTemplate": job },
    });
    let target = json!({ "kind": "CronJob", "name": cron_job });
    json!({ "target": target, "patch": patch.to_string() })
}

/// Runs Helm against the cluster. Gives what it printed.
pub(crate) fn helm(cluster: &Cluster, namespace: &str, args: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut helm = go_tool("helm");
    helm.args(args)
        .args(["--namespace", namespace])
        .env("KUBECONFIG", cluster.kubeconfig());
    let output = run(at_home(&mut helm, home.path()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !errors.contains("would violate"),
        "helm {args:?}:\n{errors}"
    );
    String::from_utf8(output.stdout).expect("it is text")
}

/// What Helm makes of the chart for a namespace, as a file in that folder.
pub(crate) fn template(cluster: &Cluster, into: &Path, namespace: &str, args: &[&str]) -> PathBuf {
    let chart = at(CHART);
    let template = ["template", "registry-probe", chart.to_str().expect("text")];
    let rendered = helm(cluster, namespace, &[&template, args].concat());
    let file = into.join("rendered.yaml");
    fs::write(&file, rendered).expect("it is written");
    file
}

/// Applies the chart with these values. The namespace is there already.
pub(crate) fn apply_chart(cluster: &Cluster, namespace: &str, values: &Value) {
    let into = tempfile::tempdir().expect("a temporary directory");
    let file = into.path().join("values.yaml");
    fs::write(&file, values.to_string()).expect("it is written");
    let args = ["--skip-tests", "--values", file.to_str().expect("text")];
    cluster.apply(
        "--filename",
        &template(cluster, into.path(), namespace, &args),
    );
}
