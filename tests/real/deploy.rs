//! What `deploy/` holds: manifests by the schemas of Kubernetes and by the rules of the restricted profile,
//! compose, units and pipelines by theirs, and all of it in words that the probe knows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::files::{at, checker, document, names, render, text};
use crate::support::process::{run, tool};

const OVERLAYS: [&str; 6] = [
    "deployment",
    "cronjob",
    "sharded",
    "merged",
    "compare",
    "prometheus-operator",
];

/// The kinds that no schema of Kubernetes knows, each with a test of its own.
const CUSTOM: [&str; 3] = ["PodMonitor", "ServiceMonitor", "PrometheusRule"];

/// An overlay, rendered: the file, and its documents.
fn overlay(name: &str, directory: &tempfile::TempDir) -> (std::path::PathBuf, Vec<Value>) {
    render(
        &format!("deploy/kustomize/overlays/{name}"),
        directory.path(),
    )
}

/// The documents of an overlay.
fn documents(name: &str) -> Vec<Value> {
    overlay(name, &tempfile::tempdir().expect("a temporary directory")).1
}

/// The pods that a document makes.
pub(crate) fn pod(document: &Value) -> Option<&Value> {
    match document["kind"].as_str().expect("it has a kind") {
        "Pod" => Some(document),
        "Deployment" | "Job" => Some(&document["spec"]["template"]),
        "CronJob" => Some(&document["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

/// All pods of all overlays, with the overlay's name.
fn pods() -> Vec<(&'static str, Value)> {
    let mut pods = Vec::new();
    for name in OVERLAYS {
        let documents = documents(name);
        let found: Vec<_> = documents.iter().filter_map(pod).cloned().collect();
        let kinds = if name == "merged" { 2 } else { 1 };
        assert_eq!(found.len(), kinds, "{name} makes {kinds} kind of pod");
        pods.extend(found.into_iter().map(|pod| (name, pod)));
    }
    pods
}

fn validate(file: &Path) -> Output {
    let mut command = checker("kubernetes-validate");
    command.args(["--strict"]).arg(file);
    command.output().expect("it can be started")
}

/// Every document but custom ones has passed by the schema of its kind.
pub(crate) fn assert_valid(name: &str, file: &Path, documents: &[Value]) {
    let output = validate(file);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{said}");
    let passed = said.lines().filter(|line| line.contains(" passed "));
    let known = documents
        .iter()
        .filter(|document| !CUSTOM.contains(&document["kind"].as_str().unwrap_or_default()));
    assert_eq!(passed.count(), known.count(), "{name}:\n{said}");
}

#[test]
fn every_overlay_renders_and_validates_strictly() {
    for name in OVERLAYS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (file, documents) = overlay(name, &directory);
        assert_valid(name, &file, &documents);
        for document in &documents {
            assert_eq!(
                document["metadata"]["namespace"], "registry-probe",
                "{name}"
            );
            // To delete an overlay, or to render it into another namespace, must not touch what is another's.
            assert_ne!(document["kind"], "Namespace", "{name}");
        }
    }
}

#[test]
fn a_typo_does_not_validate() {
    for (right, wrong) in [
        ("readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("concurrencyPolicy: Forbid", "concurrencyPolicy: [Forbid]"),
        ("  schedule:", "  scheduled:"),
    ] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (file, _) = overlay("cronjob", &directory);
        let rendered = std::fs::read_to_string(&file).expect("it can be read");
        assert!(rendered.contains(right), "{right}");
        std::fs::write(&file, rendered.replace(right, wrong)).expect("it is written");
        assert!(!validate(&file).status.success(), "{wrong} is let through");
    }
}

/// All containers of a pod, those that run before the others, too.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
}

/// What a pod does that the restricted Pod Security Standard forbids, or that a probe does without.
pub(crate) fn complaints(pod: &Value) -> Vec<String> {
    let spec = &pod["spec"];
    let context = &spec["securityContext"];
    let mut held = vec![
        ("runAsNonRoot", &context["runAsNonRoot"], json!(true)),
        ("runAsUser", &context["runAsUser"], json!(65532)),
        ("runAsGroup", &context["runAsGroup"], json!(65532)),
        (
            "seccomp",
            &context["seccompProfile"],
            json!({ "type": "RuntimeDefault" }),
        ),
        ("token", &spec["automountServiceAccountToken"], json!(false)),
        ("service links", &spec["enableServiceLinks"], json!(false)),
    ];
    for absent in ["hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"] {
        held.push((absent, &spec[absent], Value::Null));
    }
    for volume in spec["volumes"].as_array().expect("it has volumes") {
        for allowed in ["secret", "configMap"] {
            let other = if allowed == "secret" {
                "configMap"
            } else {
                "secret"
            };
            if volume[allowed].is_object() {
                held.push(("the kind of a volume", &volume[other], Value::Null));
            }
        }
        for forbidden in ["hostPath", "nfs", "csi"] {
            held.push((forbidden, &volume[forbidden], Value::Null));
        }
    }
    for container in containers(pod) {
        let context = &container["securityContext"];
        held.push((
            "escalation",
            &context["allowPrivilegeEscalation"],
            json!(false),
        ));
        held.push(("the root", &context["readOnlyRootFilesystem"], json!(true)));
        held.push((
            "capabilities",
            &context["capabilities"],
            json!({ "drop": ["ALL"] }),
        ));
        for weaker in [
            "privileged",
            "runAsUser",
            "runAsNonRoot",
            "seccompProfile",
            "procMount",
        ] {
            held.push((weaker, &context[weaker], Value::Null));
        }
        for port in container["ports"].as_array().unwrap_or(&Vec::new()) {
            assert!(port["hostPort"].is_null(), "a port of the host");
        }
    }
    let broken = held.iter().filter(|(_, found, wanted)| *found != wanted);
    broken
        .map(|(what, found, wanted)| format!("{what} is {found}, not {wanted}"))
        .collect()
}

#[test]
fn every_pod_is_restricted_and_says_what_it_needs() {
    for (name, pod) in pods() {
        assert_eq!(complaints(&pod), Vec::<String>::new(), "{name}");
        for container in pod["spec"]["containers"].as_array().expect("containers") {
            for limit in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
                let limit = container["resources"].pointer(limit);
                assert!(limit.is_some_and(Value::is_string), "{name}: {container}");
            }
        }
    }
}

#[test]
fn a_weaker_pod_is_complained_about() {
    let (_, pod) = &pods()[0];
    for (path, weaker) in [
        ("/spec/securityContext/runAsNonRoot", json!(false)),
        (
            "/spec/securityContext/seccompProfile/type",
            json!("Unconfined"),
        ),
        (
            "/spec/containers/0/securityContext/readOnlyRootFilesystem",
            json!(false),
        ),
        (
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
        ),
        (
            "/spec/containers/0/securityContext/capabilities",
            json!({ "drop": [] }),
        ),
        (
            "/spec/volumes/0",
            json!({ "name": "auth", "hostPath": { "path": "/" } }),
        ),
        ("/spec/automountServiceAccountToken", json!(true)),
    ] {
        let mut weak = pod.clone();
        *weak.pointer_mut(path).expect("it is there") = weaker;
        assert_eq!(complaints(&weak).len(), 1, "{path}");
    }
}

#[test]
fn the_jobs_do_not_overlap_and_end_by_themselves() {
    for name in ["cronjob", "sharded"] {
        let documents = documents(name);
        let job = documents
            .iter()
            .find(|document| document["kind"] == "CronJob");
        let spec = &job.expect("there is one")["spec"];
        assert_eq!(spec["concurrencyPolicy"], "Forbid");
        let args = &spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"];
        let args: Vec<_> = args.as_array().expect("it has arguments").iter().collect();
        assert!(args.contains(&&json!("--once")) && args.contains(&&json!("--fail-on=unverified")));
        assert!(args.contains(&&json!("--deadline=12m")), "{args:?}");
        // It counts from the Job's start, and pulling the image must not eat the time of the sweep.
        let most = spec["jobTemplate"]["spec"]["activeDeadlineSeconds"].as_u64();
        assert_eq!(most, Some((12 + 10) * 60));
        if name == "sharded" {
            let job = &spec["jobTemplate"]["spec"];
            assert_eq!(job["completionMode"], "Indexed");
            // One that fails must not end the others, which a limit for all, beside it, does.
            assert_eq!(job["backoffLimitPerIndex"], 0);
            assert!(job["backoffLimit"].is_null() && job["maxFailedIndexes"].is_null());
            assert_eq!(spec["schedule"], "*/15 * * * *");
            assert!(args.contains(&&json!("--interval=15m")), "{args:?}");
            let shard = format!("--shard=$(JOB_COMPLETION_INDEX)/{}", job["completions"]);
            assert!(args.contains(&&json!(shard)), "{args:?}");
        }
    }
}

/// What the shards write is what the merge reads, and a report that an earlier run left is told from them.
#[test]
fn the_merge_reads_what_the_shards_write() {
    let documents = documents("merged");
    let job = |name: &str| {
        let mut jobs = documents.iter();
        let job = jobs.find(|document| document["metadata"]["name"] == name);
        job.expect("it is there")["spec"].clone()
    };
    let container = |job: &Value| job["template"]["spec"]["containers"][0].clone();
    let (shards, merge) = (job("registry-probe-shards"), job("registry-probe-merge"));
    assert_eq!(shards["backoffLimitPerIndex"], 0);
    assert_eq!(shards["backoffLimit"], Value::Null);
    let args = container(&shards)["args"].to_string();
    let count = shards["completions"].as_u64().expect("a number");
    assert!(args.contains(&format!("--shard=$(JOB_COMPLETION_INDEX)/{count}")));
    let path = "/reports/$(JOB_COMPLETION_INDEX).json";
    assert!(args.contains(&format!("--report-file=json={path}\"")));
    let environment = container(&shards)["env"].to_string();
    assert!(environment.contains("metadata.labels['batch.kubernetes.io/controller-uid']"));

    assert_eq!(merge["suspend"], true);
    let args = container(&merge)["args"].clone();
    let args = args.as_array().expect("a list").iter();
    let read: Vec<_> = args.filter_map(Value::as_str).collect();
    assert_eq!(read[0], "merge");
    let written =
        (0..count).map(|index| path.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()));
    assert_eq!(read[2..], written.collect::<Vec<_>>());
    for job in [&shards, &merge] {
        let volume = &job["template"]["spec"]["volumes"][0]["persistentVolumeClaim"];
        assert_eq!(volume["claimName"], "registry-probe-reports");
    }
}

/// Custom resources have no schema here: what the operator's API knows of them is written down.
#[test]
fn the_pod_monitor_scrapes_the_port_that_the_pods_have() {
    let documents = documents("prometheus-operator");
    let monitor = documents
        .iter()
        .find(|document| document["kind"] == "PodMonitor");
    let monitor = monitor.expect("there is one");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    let pod = documents.iter().find_map(pod).expect("there is a pod");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        monitor["spec"],
        json!({
            "selector": { "matchLabels": pod["metadata"]["labels"] },
            "podMetricsEndpoints": [{ "port": container["ports"][0]["name"], "interval": "1m" }],
        })
    );
    assert_eq!(
        pod["metadata"]["labels"]["app.kubernetes.io/component"],
        "service"
    );
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
}

#[test]
fn compose_and_pipelines_are_valid() {
    for (schema, file) in [
        ("compose-spec", "deploy/compose/compose.yaml"),
        ("woodpecker-ci", "deploy/ci/woodpecker.yaml"),
        ("github-workflows", "deploy/ci/github-actions.yaml"),
        ("github-workflows", ".github/workflows/ci.yml"),
        ("github-workflows", ".github/workflows/release.yml"),
        ("github-actions", "deploy/ci/verify/action.yml"),
        ("gitlab-ci", "deploy/ci/gitlab-ci.yaml"),
    ] {
        let check = |file: &Path| {
            let mut command = checker("check-jsonschema");
            command
                .arg(format!("--builtin-schema=vendor.{schema}"))
                .arg(file);
            command
        };
        run(&mut check(&at(file)));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let broken = directory.path().join("broken.yaml");
        std::fs::write(&broken, "steps: 1\njobs: 1\nservices: 1\nruns: 1\n")
            .expect("it is written");
        let output = check(&broken).output().expect("it can be started");
        assert!(!output.status.success(), "{schema} lets everything through");
    }
    run(tool("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(at("deploy/compose/prometheus.yaml")));
}

/// A runner has no shell to run commands in where the image is from scratch: the step is the entrypoint.
#[test]
fn every_pipeline_verifies_what_it_pushed() {
    for name in names("deploy/ci", ".yaml") {
        let text = text(&format!("deploy/ci/{name}"));
        let push = text.find("push").expect("it pushes");
        let verify = text.find("verify").expect("it verifies");
        assert!(push < verify, "{name}");
        assert!(
            !text.contains("PASSWORD=$CI") && !text.contains("--password="),
            "{name}"
        );
    }
    let woodpecker = document("deploy/ci/woodpecker.yaml");
    let steps = woodpecker["steps"].as_array().expect("there are steps");
    let verify = steps.last().expect("there are steps");
    assert!(verify["commands"].is_null() && verify["entrypoint"][0] == "/probe");
}

/// `systemd-analyze` with a `/run` of its own, where it notes that it has loaded units.
fn systemd_analyze() -> Command {
    let mut command = tool("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs none /run && exec \"$0\" \"$@\"")
        .arg(tool("systemd-analyze").get_program());
    command
}

#[test]
fn the_units_are_valid() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["registry-probe.service", "registry-probe.timer"] {
        let unit = text(&format!("deploy/systemd/{name}"));
        let probe = format!("ExecStart={} ", env!("CARGO_BIN_EXE_probe"));
        let unit = unit.replace("ExecStart=probe ", &probe);
        std::fs::write(directory.path().join(name), unit).expect("it is written");
    }
    let units =
        ["registry-probe.service", "registry-probe.timer"].map(|n| directory.path().join(n));
    let said = run(systemd_analyze().args(["verify", "--man=no"]).args(&units)).stderr;
    assert_eq!(String::from_utf8_lossy(&said), "");
    run(systemd_analyze()
        .args(["security", "--offline=yes", "--threshold=20"])
        .arg(&units[0]));
}

/// The node exporter runs as another user, who may not enter where the state of a dynamic user lies.
#[test]
fn the_report_of_the_unit_can_be_read_by_others() {
    let unit = text("deploy/systemd/registry-probe.service");
    let of = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name));
    assert_eq!(of("DynamicUser="), None);
    assert_eq!(of("StateDirectoryMode="), Some("0755"));
    let directory = of("StateDirectory=").expect("it has one");
    assert!(unit.contains(&format!(" --textfile=/var/lib/{directory}/")));
    let user = of("User=").expect("it has one");
    let made = text("deploy/systemd/registry-probe.sysusers.conf");
    assert!(
        made.lines()
            .any(|line| line.starts_with(&format!("u {user} ")))
    );
}

/// Every `--option` of the probe in these texts, and every `PROBE_` variable.
fn options(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let said = |line: &&str| !line.trim_start().starts_with('#');
    let text = text.lines().filter(said).collect::<Vec<_>>().join("\n");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words: Vec<&str> = text.split(|c| !is_word(c)).collect();
    let flags = words.iter().filter(|w| w.starts_with("--") && w.len() > 2);
    let variables = words.iter().filter(|w| w.starts_with("PROBE_"));
    (
        flags.map(|flag| (*flag).to_owned()).collect(),
        variables.map(|name| (*name).to_owned()).collect(),
    )
}

#[test]
fn manifests_and_units_use_options_that_the_probe_has() {
    let help = |first: &[&str]| {
        let said = run(Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(first)
            .arg("--help"))
        .stdout;
        String::from_utf8(said).expect("it is text")
    };
    let known =
        options(&(help(&[]) + &help(&["verify"]) + &help(&["merge"]) + &help(&["compare"]))).0;
    let mut used = options(&text("deploy/systemd/registry-probe.service"));
    let mut take = |text: String| {
        let (flags, variables) = options(&text);
        used.0.extend(flags);
        used.1.extend(variables);
    };
    for name in OVERLAYS {
        for document in documents(name) {
            if !CUSTOM.contains(&document["kind"].as_str().unwrap_or_default()) {
                take(document.to_string());
            }
        }
    }
    take(document("deploy/compose/compose.yaml")["services"]["probe"]["command"].to_string());
    // The password's variable has no option, so that it is in no list of processes.
    used.1.remove("PROBE_PASSWORD");
    for flag in used.0 {
        assert!(known.contains(&flag), "the probe has no {flag}");
    }
    for variable in used.1.iter().filter(|name| *name != "PROBE_REGISTRY") {
        let flag = variable.trim_start_matches("PROBE_").to_lowercase();
        let flag = format!("--{}", flag.replace('_', "-"));
        assert!(
            known.contains(&flag),
            "the probe has no {flag} for {variable}"
        );
    }
}
