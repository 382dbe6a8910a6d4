//! The Helm chart: every documented set of values, rendered, by the schemas of Kubernetes, by the restricted profile, and by what the
//! probe takes; the alerts that it makes; and credential helpers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::deploy::{assert_valid, complaints, containers, pod};
use crate::support::assertions::assert_intact;
use crate::support::files::{at, checker, document, go_tool, names, text, yaml};
use crate::support::images::Content;
use crate::support::probe::Probe;
use crate::support::process::{at_home, run, tool};
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

const CHART: &str = "deploy/charts/registry-probe";

/// What Helm makes of the chart with these arguments, as a file below that directory and as documents.
fn render(into: &Path, args: &[&str]) -> (std::path::PathBuf, Vec<Value>) {
    let mut helm = go_tool("helm");
    helm.args(["template", "registry-probe"])
        .arg(at(CHART))
        .args(["--namespace", "registry-probe"]);
    let rendered = run(at_home(helm.args(args), into)).stdout;
    let file = into.join("rendered.yaml");
    fs::write(&file, rendered).expect("it is written");
    let documents = yaml(&file)
        .into_iter()
        .filter(|document| !document.is_null())
        .collect();
    (file, documents)
}

fn documents(args: &[&str]) -> Vec<Value> {
    render(
        tempfile::tempdir().expect("a temporary directory").path(),
        args,
    )
    .1
}

/// The chart's own values, and those of each example.
fn all() -> Vec<(String, Vec<Value>)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut all = Vec::new();
    let mut take = |name: &str, args: &[&str]| {
        let (file, documents) = render(directory.path(), args);
        assert_valid(name, &file, &documents);
        all.push((name.to_owned(), documents));
    };
    take("values.yaml", &[]);
    for name in names(&format!("{CHART}/examples"), ".yaml") {
        let values = at(&format!("{CHART}/examples/{name}"));
        take(
            &name,
            &["--values", values.to_str().expect("a path is text")],
        );
    }
    all
}

#[test]
fn every_example_is_valid_restricted_and_taken_by_the_probe() {
    let examples = all();
    assert!(examples.len() > 6);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, documents) in &examples {
        // The test of `helm test`, and what the chart is for.
        let pods: Vec<_> = documents.iter().filter_map(pod).collect();
        assert_eq!(pods.len(), 2, "{name}");
        for pod in &pods {
            assert_eq!(complaints(pod), Vec::<String>::new(), "{name}");
            for container in containers(pod) {
                let limit = container["resources"].pointer("/limits/memory");
                assert!(limit.is_some_and(Value::is_string), "{name}: {container}");
            }
        }
        let config = documents
            .iter()
            .find_map(|document| document["data"]["probe.yaml"].as_str());
        let file = directory.path().join("probe.yaml");
        fs::write(&file, config.expect("it has a configuration")).expect("it is written");
        let args = &pods[0]["spec"]["containers"][0]["args"];
        let args = args.as_array().expect("arguments").iter();
        let args = args.map(|arg| arg.as_str().expect("text"));
        run(Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(args.map(|arg| arg.replace("$(JOB_COMPLETION_INDEX)", "0")))
            .arg("--config")
            .arg(&file)
            .arg("--print-config"));
    }
}

/// What Chart.yaml says of the oldest Kubernetes holds, but for shards, of which docs/deploying.md says more.
#[test]
fn the_oldest_kubernetes_of_the_chart_knows_every_field() {
    let chart = document(&format!("{CHART}/Chart.yaml"));
    let range = chart["kubeVersion"].as_str().expect("it has a range");
    let oldest = range.trim_start_matches(">=").trim_end_matches("-0");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut refused = Vec::new();
    for name in names(&format!("{CHART}/examples"), ".yaml") {
        let values = at(&format!("{CHART}/examples/{name}"));
        let values = values.to_str().expect("a path is text");
        let args = ["--values", values, "--kube-version", oldest];
        let (file, _) = render(directory.path(), &args);
        let mut validate = checker("kubernetes-validate");
        validate.args(["--strict", "-k", oldest]).arg(file);
        let output = validate.output().expect("it can be started");
        if !output.status.success() {
            refused.push((name, String::from_utf8_lossy(&output.stdout).into_owned()));
        }
    }
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let (name, why) = &refused[0];
    assert!(
        name == "sharded.yaml" && why.contains("backoffLimitPerIndex"),
        "{refused:#?}"
    );
}

/// Selectors of a Service, a Deployment and a monitor leave out the pod of `helm test`.
#[test]
fn the_service_leads_to_the_service_alone() {
    for (name, documents) in all() {
        let selectors = documents
            .iter()
            .filter_map(|document| match document["kind"].as_str() {
                Some("Service") => Some(&document["spec"]["selector"]),
                Some("Deployment" | "ServiceMonitor") => {
                    Some(&document["spec"]["selector"]["matchLabels"])
                }
                _ => None,
            });
        for selector in selectors {
            assert_eq!(selector["app.kubernetes.io/component"], "service", "{name}");
        }
    }
}

#[test]
fn at_15_minutes_the_alerts_are_those_of_the_plain_files() {
    let documents = documents(&["--set", "prometheusRule.enabled=true"]);
    let rule = documents
        .iter()
        .find(|document| document["kind"] == "PrometheusRule");
    let groups = &rule.expect("there is one")["spec"]["groups"];
    let plain = ["registry-integrity", "registry-integrity-more"]
        .map(|name| document(&format!("alerts/{name}.rules.yaml"))["groups"][0].clone());
    assert_eq!(*groups, json!(plain));
}

#[test]
fn the_windows_of_the_alerts_follow_from_the_interval() {
    let script = at("deploy/charts/tests/windows.sh");
    let mut command = tool(script.to_str().expect("a path is text"));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env(
        "PATH",
        format!("{}:{path}", at("target/go-tools").display()),
    );
    let said = String::from_utf8(run(&mut command).stdout).expect("it is text");
    for line in [
        "15m: ",
        "60m: ",
        "90m: ",
        "1h30m: as 90m",
        "480m: ",
        "360m: ",
        "15m for 6h: fails, as it should",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
}

#[test]
fn alerts_are_changed_by_values() {
    let documents = documents(&[
        "--set",
        "prometheusRule.enabled=true,prometheusRule.disabled={RegistryCoverageFell},prometheusRule.alertLabels.team=images",
        "--set",
        "prometheusRule.severities.RegistryCertificateExpires=critical,prometheusRule.thresholds.certificateDays=30",
        "--set",
        "prometheusRule.for.RegistryCertificateExpires=3h,prometheusRule.runbooks=https://wiki.example,prometheusRule.labels.release=prom",
    ]);
    let rule = documents
        .iter()
        .find(|document| document["kind"] == "PrometheusRule")
        .expect("there is one");
    assert_eq!(rule["metadata"]["labels"]["release"], "prom");
    let alerts: Vec<_> = rule["spec"]["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .filter(|rule| rule["alert"].is_string())
        .collect();
    let alert = |name: &str| alerts.iter().find(|alert| alert["alert"] == name);
    assert!(alert("RegistryCoverageFell").is_none());
    let expires = alert("RegistryCertificateExpires").expect("it is there");
    assert_eq!(
        expires["labels"],
        json!({ "severity": "critical", "team": "images" })
    );
    assert_eq!(expires["for"], "3h");
    assert!(
        expires["expr"]
            .as_str()
            .expect("text")
            .contains("30 * 86400")
    );
    for alert in &alerts {
        assert_eq!(alert["labels"]["team"], "images");
        let runbook = alert["annotations"]["runbook_url"].as_str().expect("text");
        assert!(
            runbook.starts_with("https://wiki.example/docs/runbooks/"),
            "{runbook}"
        );
    }
}

/// What the schema knows and no value has could never be found by anybody, and is forgotten when it changes.
#[test]
fn the_schema_and_the_values_have_the_same_keys() {
    let schema: Value =
        serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))).expect("JSON");
    let values = document(&format!("{CHART}/values.yaml"));
    let mut keys = 0;
    let mut open = vec![(&schema, &values, String::new())];
    while let Some((mut part, value, path)) = open.pop() {
        if let Some(reference) = part["$ref"].as_str() {
            part = schema
                .pointer(reference.trim_start_matches('#'))
                .expect("it is defined");
        }
        let Some(properties) = part["properties"].as_object() else {
            continue;
        };
        if path != ".config" {
            assert_eq!(part["additionalProperties"], false, "{path}");
        }
        for (key, part) in properties {
            // `global` is Helm's, `enabled` that of a chart that depends on this one, and claims are rare.
            if ["global", "claims"].contains(&key.as_str()) || (path.is_empty() && key == "enabled")
            {
                continue;
            }
            assert!(!value[key].is_null(), "values.yaml has no {path}.{key}");
            open.push((part, &value[key], format!("{path}.{key}")));
            keys += 1;
        }
    }
    assert!(keys > 80, "{keys}");
}

/// The two containers' commands, run here: the first copies the helper, and the probe logs in with what it says.
#[test]
fn a_credential_helper_is_copied_and_asked() {
    let registry = Registry::start_with_login(Login::of_the_tests());
    skopeo::push(&registry, &Content::index("guarded"), "team/guarded:v1");
    let Login { user, password } = Login::of_the_tests();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let into = directory.path();
    let (image, shared, auth) = (into.join("image"), into.join("shared"), into.join("auth"));
    for folder in [&image, &shared, &auth] {
        fs::create_dir(folder).expect("it is made");
    }
    // Static, as it has to be in an image that has no libraries.
    let source = format!(
        "#include <stdio.h>\nint main(void) {{ char host[999]; if (!fgets(host, 999, stdin)) return 1;\n\
         puts(\"{{\\\"Username\\\":\\\"{user}\\\",\\\"Secret\\\":\\\"{password}\\\"}}\"); return 0; }}\n"
    );
    fs::write(into.join("helper.c"), source).expect("it is written");
    run(tool("cc")
        .arg("-static")
        .arg("-o")
        .arg(image.join("docker-credential-fake"))
        .arg(into.join("helper.c")));

    let values = json!({
        "mode": "cronjob",
        "config": { "confirm-after": "0s", "registries": [registry.host()] },
        "credentialHelpers": { "image": "registry.example/helpers:1", "registries": { registry.host(): "fake" } },
    });
    fs::write(into.join("values.yaml"), values.to_string()).expect("it is written");
    let (_, documents) = render(
        into,
        &["--values", into.join("values.yaml").to_str().expect("text")],
    );
    let data = |key: &str| {
        let found = documents
            .iter()
            .find_map(|document| document["data"][key].as_str());
        found.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    fs::write(auth.join("config.json"), data("config.json")).expect("it is written");
    fs::write(into.join("probe.yaml"), data("probe.yaml")).expect("it is written");

    let pod = documents
        .iter()
        .find(|document| document["kind"] == "CronJob")
        .and_then(pod);
    let spec = &pod.expect("there is a pod")["spec"];
    let command: Vec<String> =
        serde_json::from_value(spec["initContainers"][0]["command"].clone()).expect("words");
    let here = |text: &str| {
        text.replace("/usr/local/bin", image.to_str().expect("text"))
            .replace("/credential-helpers", shared.to_str().expect("text"))
            .replace("/etc/registry-probe/auth", auth.to_str().expect("text"))
            .replace("/etc/registry-probe/config", into.to_str().expect("text"))
    };
    run(tool(&command[0]).args(command[1..].iter().map(|word| here(word))));

    let mut probe = Probe::once();
    for variable in spec["containers"][0]["env"].as_array().expect("variables") {
        let value = here(variable["value"].as_str().expect("text"));
        probe = probe.env(variable["name"].as_str().expect("text"), value);
    }
    let report = assert_intact(&probe.run());
    assert_eq!(report.count("tags/checked"), 1);
}
