//! A control plane without nodes, on loopback: etcd, an API server and the controllers. It is there while any test uses it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::certificates::Certificates;
use crate::support::process::{Server, at_home, free_port, run, tool, wait_until};

/// What the tests need of kube-controller-manager. It has no nodes to look after, and no storage to provide.
const CONTROLLERS: &str = "cronjob-controller,job-controller,deployment-controller,replicaset-controller,\
    endpointslice-controller,serviceaccount-controller,namespace-controller,garbage-collector-controller,\
    persistentvolumeclaim-protection-controller";

/// The node that all pods are bound to.
pub(crate) const NODE: &str = "node-of-the-tests";

/// Custom kinds of the Prometheus operator. Their definitions here are our own and take any fields: that the fields are
/// right is held by other tests.
const CUSTOM: [(&str, &str); 3] = [
    ("PodMonitor", "podmonitors"),
    ("ServiceMonitor", "servicemonitors"),
    ("PrometheusRule", "prometheusrules"),
];

static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// A running control plane.
#[derive(Debug)]
pub(crate) struct Cluster {
    // They go in this order, and the directory last.
    _controllers: Server,
    _api: Server,
    _etcd: Server,
    directory: TempDir,
}

/// The control plane of this run; the first test starts it, and the last one ends it.
pub(crate) fn cluster() -> Arc<Cluster> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start());
        *running = Arc::downgrade(&cluster);
        cluster
    })
}

/// A program of those that `KUBEBUILDER_ASSETS` has.
fn asset(name: &str) -> Command {
    let folder = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty());
    let folder = folder.unwrap_or_else(|| {
        panic!("KUBEBUILDER_ASSETS names no folder with `{name}`: CONTRIBUTING.md says what it is")
    });
    let program = Path::new(&folder).join(name);
    assert!(
        program.is_file(),
        "{} is not there: CONTRIBUTING.md says where it comes from",
        program.display()
    );
    Command::new(program)
}

/// Starts a part, with what it says in a file.
fn spawn(directory: &Path, name: &str, args: &[String]) -> Server {
    let log = File::create(directory.join(format!("{name}.log"))).expect("a log is opened");
    let mut command = asset(name);
    command
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file has two handles"))
        .stderr(log);
    Server::spawn(at_home(&mut command, directory))
}

/// The last that a part said.
fn end_of_log(directory: &Path, name: &str) -> String {
    let log = fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

impl Cluster {
    fn start() -> Self {
        for program in [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kubectl",
        ] {
            asset(program);
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path();
        let certificates = Certificates::make(at);
        run(tool("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&certificates.key)
            .arg("-out")
            .arg(at.join("service-accounts.pem")));
        let [client, peer, port] = [free_port(), free_port(), free_port()];
        write_access(at, port, &certificates);
        let etcd = spawn(at, "etcd", &etcd_args(at, client, peer));
        let mut api = spawn(
            at,
            "kube-apiserver",
            &api_args(at, client, port, &certificates),
        );
        wait_until("the API server is ready", || {
            let ended = api.exited().is_some();
            assert!(
                !ended,
                "it has ended:\n{}",
                end_of_log(at, "kube-apiserver")
            );
            let ready = kubectl(at, &["get", "--raw", "/readyz"], "");
            ready.status.success()
        });
        let mut controllers = spawn(
            at,
            "kube-controller-manager",
            &controller_args(at, &certificates),
        );
        let ended = controllers.exited().is_some();
        assert!(!ended, "{}", end_of_log(at, "kube-controller-manager"));
        let cluster = Self {
            _controllers: controllers,
            _api: api,
            _etcd: etcd,
            directory,
        };
        cluster.prepare();
        cluster
    }

    /// The node, and the kinds of the Prometheus operator.
    fn prepare(&self) {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        self.create(&node);
        for (kind, plural) in CUSTOM {
            let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
            self.create(&json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
                "spec": {
                    "group": "monitoring.coreos.com",
                    "scope": "Namespaced",
                    "names": { "kind": kind, "plural": plural },
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": { "openAPIV3Schema": schema },
                    }],
                },
            }));
        }
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=120s",
            "crd",
            "--all",
        ]);
    }

    /// What a client is configured by.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Runs kubectl to its end, however that is.
    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Output {
        kubectl(self.directory.path(), args, input)
    }

    /// Runs kubectl, which has to succeed and not to warn. Gives what it printed.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.kubectl_with(args, "")
    }

    /// The same, with an input.
    pub(crate) fn kubectl_with(&self, args: &[&str], input: &str) -> String {
        let output = self.try_kubectl(args, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "kubectl {args:?} failed:\n{errors}"
        );
        assert!(!errors.contains("Warning:"), "kubectl {args:?}:\n{errors}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    pub(crate) fn create(&self, object: &Value) {
        self.kubectl_with(&["create", "--filename=-"], &object.to_string());
    }

    /// What `kubectl get` gives with these arguments, none if there is nothing of that name.
    pub(crate) fn find(&self, namespace: &str, args: &[&str]) -> Option<Value> {
        let get = [
            "get",
            "--output=json",
            "--ignore-not-found",
            "--namespace",
            namespace,
        ];
        let printed = self.kubectl(&[&get, args].concat());
        (!printed.trim().is_empty())
            .then(|| serde_json::from_str(&printed).expect("kubectl prints JSON"))
    }

    /// The same for what has to be there.
    pub(crate) fn get(&self, namespace: &str, args: &[&str]) -> Value {
        let found = self.find(namespace, args);
        found.unwrap_or_else(|| panic!("there is no {args:?} in {namespace}"))
    }

    /// The items of a list. An empty one is nothing at all to kubectl, which is told to ignore what is not found.
    pub(crate) fn list(&self, namespace: &str, args: &[&str]) -> Vec<Value> {
        let Some(mut found) = self.find(namespace, args) else {
            return Vec::new();
        };
        match found["items"].take() {
            Value::Array(items) => items,
            other => panic!("{args:?} is no list: {other}"),
        }
    }

    /// Makes a namespace that refuses what the restricted Pod Security Standard forbids, and warns of it.
    pub(crate) fn restricted(&self, name: &str) {
        self.kubectl(&["create", "namespace", name]);
        self.restrict(name);
    }

    /// Puts a namespace under the restricted Pod Security Standard, with warnings.
    pub(crate) fn restrict(&self, name: &str) {
        let label = |mode: &str| format!("pod-security.kubernetes.io/{mode}=restricted");
        let (enforce, warn) = (label("enforce"), label("warn"));
        self.kubectl(&["label", "--overwrite", "namespace", name, &enforce, &warn]);
    }

    /// Applies server-side what one of these options names.
    pub(crate) fn apply(&self, option: &str, path: &Path) -> String {
        let path = path.to_str().expect("a path is text");
        self.kubectl(&["apply", "--server-side", option, path])
    }
}

/// Runs a kubectl that keeps its cache there.
fn kubectl(directory: &Path, args: &[&str], input: &str) -> Output {
    let mut command = asset("kubectl");
    at_home(command.args(args), directory)
        .env("KUBECONFIG", directory.join("kubeconfig"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("kubectl can be started");
    let mut standard_input = child.stdin.take().expect("it is piped");
    // One that has failed already reads nothing.
    let _ = standard_input.write_all(input.as_bytes());
    drop(standard_input);
    child.wait_with_output().expect("it ends")
}

/// The one user there is, in a form for the server and in one for clients.
fn write_access(directory: &Path, port: u16, certificates: &Certificates) {
    fs::write(
        directory.join("tokens"),
        "of-the-tests,tests,1,system:masters\n",
    )
    .expect("written");
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "tests" } }],
        "users": [{ "name": "tests", "user": { "token": "of-the-tests" } }],
        "clusters": [{ "name": "tests", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": certificates.authority,
        } }],
    });
    fs::write(directory.join("kubeconfig"), kubeconfig.to_string()).expect("it is written");
}

fn etcd_args(directory: &Path, client: u16, peer: u16) -> Vec<String> {
    vec![
        format!("--data-dir={}", directory.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync".to_owned(),
    ]
}

/// Admission is as it is by default, and so has Pod Security.
fn api_args(directory: &Path, etcd: u16, port: u16, certificates: &Certificates) -> Vec<String> {
    let key = certificates.key.display();
    let at = |name: &str| directory.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // Its own address would be an endpoint, and loopback may be none.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", directory.display()),
        format!("--tls-cert-file={}", certificates.server.display()),
        format!("--tls-private-key-file={key}"),
        "--service-cluster-ip-range=10.43.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", at("service-accounts.pem")),
        format!("--service-account-signing-key-file={key}"),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", at("tokens")),
    ]
}

fn controller_args(directory: &Path, certificates: &Certificates) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", directory.join("kubeconfig").display()),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            certificates.key.display()
        ),
        format!("--root-ca-file={}", certificates.authority.display()),
    ]
}

#[test]
fn a_list_of_nothing_is_empty() {
    let cluster = cluster();
    let pods = ["pods", "--selector", "there=is-none"];
    assert_eq!(cluster.list("default", &pods), Vec::<Value>::new());
}
