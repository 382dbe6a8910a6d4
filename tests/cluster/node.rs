//! What stands for a kubelet: it takes the pods of a namespace, runs their containers as they are described, asks their probes,
//! ends them by SIGTERM, and writes their status. What it does not know fails the test.
//!
//! Pods share the network of this machine, so that one at a time listens on a port, and their addresses are made up. Limits
//! of resources and seccomp are not applied.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, NODE};
use crate::container::{Container, Making, Mount};
use crate::image::Images;
use crate::pod;
use crate::support::process::{PATIENCE, tool};
use crate::volume::Volumes;

/// From one look at the pods to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// The label of the index of a pod in an Indexed Job.
pub(crate) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Which pods, by their index in an Indexed Job.
type Choice<'a> = Box<dyn Fn(Option<&str>) -> bool + 'a>;

/// A node for the pods of a namespace that a selector takes.
pub(crate) struct Node<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    selector: String,
    images: Images,
    directory: TempDir,
    running: BTreeMap<String, Running>,
    /// Which pods are stopped as soon as they run, by their indexes.
    stops: Choice<'a>,
    /// Why pods wait, by their names.
    pub(crate) waiting: BTreeMap<String, String>,
    /// How pods ended, in that order.
    pub(crate) ended: Vec<Ended>,
}

/// A pod whose containers were started.
struct Running {
    pod: Value,
    container: Container,
    initialized: Vec<Value>,
    began: String,
    is_ready: bool,
    /// When it is killed.
    deadline: Option<(Instant, Instant)>,
}

/// How a pod ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) index: Option<String>,
    /// The exit code, which is 128 and the signal's number for what was killed.
    pub(crate) code: i32,
    pub(crate) log: String,
    /// How long that took from SIGTERM on, if it was sent.
    pub(crate) after_signal: Option<Duration>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        namespace: &'a str,
        selector: &str,
        images: Images,
    ) -> Self {
        Self {
            cluster,
            namespace,
            selector: selector.to_owned(),
            images,
            directory: tempfile::tempdir().expect("a temporary directory"),
            running: BTreeMap::new(),
            stops: Box::new(|_| false),
            waiting: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// Lets these pods stand still once they run; the index is that of an Indexed Job.
    pub(crate) fn stop(&mut self, stops: impl Fn(Option<&str>) -> bool + 'a) {
        self.stops = Box::new(stops);
    }

    /// Lets them go on.
    pub(crate) fn go_on(&mut self) {
        self.stops = Box::new(|_| false);
        for running in self.running.values() {
            running.container.signal("CONT");
        }
    }

    /// What the running pods have written so far.
    pub(crate) fn said(&self) -> String {
        let said = self
            .running
            .values()
            .map(|running| running.container.said());
        said.collect::<Vec<_>>().join("\n")
    }

    /// How many pods run now.
    pub(crate) fn count(&self) -> usize {
        self.running.len()
    }

    /// Does its work until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        loop {
            self.turn();
            if is_so(self) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "after {PATIENCE:?} still not so: {what}\nwaiting: {:#?}\nended: {:#?}\nrunning: {}",
                self.waiting,
                self.ended,
                self.said()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Runs the pods of a Job until it has come to its end: that, and the Job.
    pub(crate) fn until_end_of(&mut self, job: &str) -> (String, Value) {
        let mut end = None;
        self.until("the Job has ended", |node| {
            let job = node.cluster.get(node.namespace, &["job", job]);
            let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
            let ends = ["Complete", "Failed"];
            let holding = conditions.filter(|condition| condition["status"] == "True");
            let mut types = holding.filter_map(|condition| condition["type"].as_str());
            let found = types.find(|name| ends.contains(name)).map(str::to_owned);
            end = found.map(|found| (found, job));
            end.is_some()
        });
        end.expect("it is found")
    }

    /// Looks at all pods once, and does for each what comes next.
    fn turn(&mut self) {
        let pods = self
            .cluster
            .list(self.namespace, &["pods", "--selector", &self.selector]);
        let there: BTreeSet<_> = pods.iter().map(uid).collect();
        self.running.retain(|uid, _| there.contains(uid));
        for pod in pods {
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            let goes = pod["metadata"]["deletionTimestamp"].is_string();
            let has_ended = ["Succeeded", "Failed"].contains(&phase);
            if self.running.contains_key(&uid(&pod)) {
                self.attend(&pod, goes);
            } else if pod["spec"]["nodeName"].is_null() {
                // One that is being deleted goes by itself.
                if !goes {
                    self.bind(&pod);
                }
            } else if goes {
                self.remove(&pod);
            } else if !has_ended {
                match self.start(&pod) {
                    Ok(running) => {
                        self.waiting.remove(name(&pod));
                        self.running.insert(uid(&pod), running);
                    }
                    Err(why) => {
                        self.waiting.insert(name(&pod).to_owned(), why);
                    }
                }
            }
        }
    }

    fn bind(&self, pod: &Value) {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "name": name(pod) },
            "target": { "kind": "Node", "name": NODE },
        });
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/binding",
            self.namespace,
            name(pod)
        );
        let args = ["create", "--raw", &path, "--filename=-"];
        self.cluster.kubectl_with(&args, &binding.to_string());
    }

    /// Tells the API server that nothing of a pod is left.
    fn remove(&self, pod: &Value) {
        // What the Job controller has taken away meanwhile is gone.
        let args = ["delete", "pod", name(pod), "--namespace", self.namespace];
        let at_once = [
            "--grace-period=0",
            "--force",
            "--ignore-not-found",
            "--wait=false",
        ];
        let output = self
            .cluster
            .try_kubectl(&[&args[..], &at_once].concat(), "");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn write_status(&self, pod: &Value, status: &Value) {
        let patch = json!({ "status": status }).to_string();
        let args = [
            "patch",
            "pod",
            name(pod),
            "--namespace",
            self.namespace,
            "--type=merge",
        ];
        self.cluster
            .kubectl(&[&args[..], &["--subresource=status", "--patch", &patch]].concat());
    }

    /// Starts the containers of a pod, or says why it has to wait.
    fn start(&mut self, pod: &Value) -> Result<Running, String> {
        let spec = &pod["spec"];
        let containers = spec["containers"].as_array().expect("it has containers");
        assert_eq!(containers.len(), 1, "this node runs one container of a pod");
        let mut initialized = Vec::new();
        for container in spec["initContainers"].as_array().into_iter().flatten() {
            let mut first = self.container(pod, container)?;
            let status = loop {
                if let Some(status) = first.ended() {
                    break status;
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            if !status.success() {
                return Err(format!(
                    "an init container ended with {status}:\n{}",
                    first.said()
                ));
            }
            initialized.push(container_status(
                container,
                false,
                &terminated(0, &now(), &now()),
            ));
        }
        let container = self.container(pod, &containers[0])?;
        if (self.stops)(index(pod).as_deref()) {
            container.signal("STOP");
        }
        let running = Running {
            pod: pod.clone(),
            container,
            initialized,
            began: now(),
            is_ready: containers[0]["readinessProbe"].is_null(),
            deadline: None,
        };
        self.write_status(pod, &self.status_of(&running));
        Ok(running)
    }

    fn container(&self, pod: &Value, container: &Value) -> Result<Container, String> {
        pod::assert_known(container);
        let named = container["image"].as_str().expect("it has an image");
        let image = self
            .images
            .get(named)
            .ok_or(format!("{named}: not found"))?;
        if image.is_private && !pod::may_pull(self.cluster, pod, named) {
            return Err(format!("{named}: authentication required"));
        }
        let own = self.directory.path().join(uid(pod));
        let group = pod["spec"]["securityContext"]["fsGroup"].as_u64();
        let group = group.map(|group| u32::try_from(group).expect("a group is a number"));
        let claims = self.directory.path().join("claims");
        let volumes = Volumes {
            cluster: self.cluster,
            namespace: self.namespace,
            own: &own.join("volumes"),
            claims: &claims,
            group,
        };
        let variables = pod::variables(self.cluster, pod, container, image)?;
        let mut mounts = Vec::new();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            assert!(mount["subPath"].is_null(), "this node knows no subPath");
            let mut known = pod["spec"]["volumes"].as_array().into_iter().flatten();
            let volume = known.find(|volume| volume["name"] == mount["name"]);
            let volume = volume.expect("a mount has a volume");
            mounts.push(Mount {
                source: volumes.make(volume)?,
                target: mount["mountPath"]
                    .as_str()
                    .expect("it has a place")
                    .to_owned(),
                // Kubelets mount these read-only in any case.
                is_read_only: mount["readOnly"] == true
                    || volume["secret"].is_object()
                    || volume["configMap"].is_object(),
            });
        }
        let making = Making {
            image: &image.root,
            own: &own.join(container["name"].as_str().expect("it has a name")),
            is_read_only: pod::security(pod, container, "readOnlyRootFilesystem") == true,
            user: pod::user(pod, container, image)?,
            group,
            mounts,
            words: pod::words(container, image, &variables),
            variables,
        };
        Ok(making.start())
    }

    /// What comes next for a pod that runs.
    fn attend(&mut self, pod: &Value, goes: bool) {
        let uid = uid(pod);
        let mut running = self.running.remove(&uid).expect("it runs");
        if goes && running.deadline.is_none() {
            let grace = pod["metadata"]["deletionGracePeriodSeconds"]
                .as_u64()
                .unwrap_or(30);
            let now = Instant::now();
            running.deadline = Some((now, now + Duration::from_secs(grace)));
            running.container.signal("TERM");
        }
        if let Some(status) = running.container.ended() {
            return self.end(&running, status);
        }
        match running.deadline {
            Some((_, deadline)) if Instant::now() > deadline => running.container.signal("KILL"),
            None if !running.is_ready && asked(pod, "readinessProbe") => {
                running.is_ready = true;
                self.write_status(pod, &self.status_of(&running));
                // A kubelet would end the container; nothing here may come to that.
                let is_alive = asked(pod, "livenessProbe");
                assert!(
                    is_alive,
                    "it is ready and not alive:\n{}",
                    running.container.said()
                );
            }
            _ => {}
        }
        self.running.insert(uid, running);
    }

    /// Writes down how a pod ended.
    fn end(&mut self, running: &Running, status: ExitStatus) {
        let pod = &running.pod;
        let code = status.code().or(status.signal().map(|number| 128 + number));
        let code = code.expect("it has ended");
        let after_signal = running.deadline.map(|(signalled, _)| signalled.elapsed());
        let log = running.container.said();
        // A kubelet would start it again and again.
        let may_end = pod["spec"]["restartPolicy"] == "Never" || after_signal.is_some();
        assert!(may_end, "{} has ended with {code}:\n{log}", name(pod));
        let state = terminated(code, &running.began, &now());
        let container = &pod["spec"]["containers"][0];
        self.write_status(
            pod,
            &json!({
                "phase": if code == 0 { "Succeeded" } else { "Failed" },
                "conditions": conditions(false),
                "containerStatuses": [container_status(container, false, &state)],
            }),
        );
        if after_signal.is_some() {
            self.remove(pod);
        }
        self.ended.push(Ended {
            index: index(pod),
            code,
            log,
            after_signal,
        });
    }

    fn status_of(&self, running: &Running) -> Value {
        // Not one of loopback, which no endpoint may have.
        let address = format!("10.42.0.{}", self.ended.len() + self.running.len() + 2);
        let container = &running.pod["spec"]["containers"][0];
        let state = json!({ "running": { "startedAt": running.began } });
        json!({
            "phase": "Running",
            "startTime": running.began,
            "hostIP": "10.42.0.1",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": conditions(running.is_ready),
            "initContainerStatuses": running.initialized,
            "containerStatuses": [container_status(container, running.is_ready, &state)],
        })
    }
}

/// Whether a probe of the first container is content, or there is none.
fn asked(pod: &Value, probe: &str) -> bool {
    let container = &pod["spec"]["containers"][0];
    let probe = &container[probe];
    if probe.is_null() {
        return true;
    }
    let get = &probe["httpGet"];
    assert!(
        get.is_object(),
        "this node knows no probe but httpGet: {probe}"
    );
    let scheme = get["scheme"]
        .as_str()
        .expect("it has a scheme")
        .to_lowercase();
    let port = pod::port(container, &get["port"]);
    let path = get["path"].as_str().expect("it has a path");
    let seconds = probe["timeoutSeconds"].as_u64().expect("it has a limit");
    let mut curl = tool("curl");
    // No certificate is verified, and no redirect followed to another host.
    curl.args([
        "--silent",
        "--insecure",
        "--noproxy",
        "*",
        "--output",
        "/proc/self/fd/2",
    ])
    .args([
        "--write-out",
        "%{http_code}",
        "--max-time",
        &seconds.to_string(),
    ])
    .arg(format!("{scheme}://127.0.0.1:{port}{path}"));
    let output = curl.output().expect("curl can be started");
    let status = String::from_utf8_lossy(&output.stdout).parse().unwrap_or(0);
    (200..400).contains(&status)
}

fn conditions(is_ready: bool) -> Value {
    let kinds = [
        ("PodScheduled", true),
        ("Initialized", true),
        ("ContainersReady", is_ready),
        ("Ready", is_ready),
    ];
    let condition = |(kind, holds)| {
        let status = if holds { "True" } else { "False" };
        json!({ "type": kind, "status": status, "lastTransitionTime": now() })
    };
    kinds.into_iter().map(condition).collect()
}

fn container_status(container: &Value, is_ready: bool, state: &Value) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "imageID": "", "containerID": "tests://0",
        "ready": is_ready, "restartCount": 0, "state": state,
    })
}

fn terminated(code: i32, began: &str, ended: &str) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": began, "finishedAt": ended } })
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().expect("a pod has a name")
}

fn uid(pod: &Value) -> String {
    let uid = pod["metadata"]["uid"].as_str();
    uid.expect("a pod has an identity").to_owned()
}

fn index(pod: &Value) -> Option<String> {
    pod["metadata"]["annotations"][INDEX]
        .as_str()
        .map(str::to_owned)
}
