//! What kube-state-metrics says of pods, by the answers of Prometheus' query API, each taken up for itself: of a large
//! cluster they are longer than what is kept of them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::in_use::{Container, Gathering, InUse};
use crate::oci::shorten;
use crate::report::Origin;

/// A metric, what it is asked for with, and what is done with its series.
struct Metric {
    /// What it is called where it is missed; empty where it may have no series.
    name: &'static str,
    series: &'static str,
    condition: &'static str,
    /// What is needed of it, besides whose it is.
    labels: &'static str,
    take: fn(&mut Reading, &Labels<'_>),
}

/// Which pods have not finished, whose they are, on which nodes, of which platform these are, which containers ran
/// before, though they may have no id now; and at last the containers.
const METRICS: [Metric; 6] = [
    Metric {
        name: "kube_pod_status_phase",
        series: "kube_pod_status_phase{phase=~\"Pending|Running|Unknown\"",
        condition: " == 1",
        labels: "",
        take: Reading::unfinished,
    },
    Metric {
        name: "kube_pod_owner",
        series: "kube_pod_owner{owner_is_controller!=\"false\"",
        condition: "",
        labels: "owner_kind, owner_name",
        take: Reading::owner,
    },
    Metric {
        name: "kube_pod_info",
        series: "{__name__=\"kube_pod_info\"",
        condition: "",
        labels: "node, exported_node, created_by_kind, created_by_name",
        take: Reading::info,
    },
    Metric {
        name: "kube_node_labels",
        series: "{__name__=~\"kube_node_labels|kube_node_info\"",
        condition: "",
        labels: "node, exported_node, label_kubernetes_io_arch, label_kubernetes_io_os, os_image, kernel_version",
        take: Reading::node,
    },
    Metric {
        name: "",
        series: "{__name__=~\"kube_pod_(init_)?container_status_restarts_total\"",
        condition: " > 0",
        labels: "container, exported_container",
        take: Reading::restarted,
    },
    Metric {
        name: "kube_pod_container_info",
        series: "{__name__=~\"kube_pod_(init_)?container_info\"",
        condition: "",
        labels: "container, exported_container, image, image_spec, image_id, container_id",
        take: Reading::container,
    },
];

/// The systems of nodes that have no label of it.
const WINDOWS: &str = "windows";
const LINUX: &str = "linux";

/// Pods that are kept. Whoever has more than that asks for a part of them (`--in-use-matcher`).
const MOST_PODS: usize = 400_000;

/// What to ask Prometheus for, of the series that `matcher` takes: two replicas of a scrape say the same, and what
/// is not needed takes no room.
#[must_use]
pub fn queries(matcher: Option<&str>) -> Vec<String> {
    let query = |metric: &Metric| {
        let own = "namespace, exported_namespace, pod, exported_pod, uid";
        let by = [own, metric.labels].join(", ");
        let by = by.trim_end_matches(", ");
        let matcher = matcher.map(|matcher| format!(", {matcher}"));
        format!(
            "max by ({by}) ({}{}}}{})",
            metric.series,
            matcher.unwrap_or_default(),
            metric.condition
        )
    };
    METRICS.iter().map(query).collect()
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: Cow<'a, str>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// As VictoriaMetrics says it.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    result: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: Labels<'a>,
    #[serde(rename = "value")]
    _value: IgnoredAny,
}

type Labels<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

/// A label of what is scraped. Where the scrape has a label of that name itself, Prometheus calls it `exported_`.
fn label<'a>(labels: &'a Labels<'_>, name: &str) -> &'a str {
    let get = |name: &str| labels.get(name).map_or("", |value| &**value);
    match get(&format!("exported_{name}")) {
        "" => get(name),
        exported => exported,
    }
}

/// A pod, as all metrics know it: what none of these names can hold is between them.
fn pod(labels: &Labels<'_>) -> String {
    let uid = labels.get("uid").map_or("", |value| &**value);
    [label(labels, "namespace"), label(labels, "pod"), uid].join("/")
}

/// The kind and the name of an owner. `<none>` is what versions of kube-state-metrics say where there is none.
fn owned(labels: &Labels<'_>, kind: &str, name: &str) -> Option<(Box<str>, Box<str>)> {
    let owner = (label(labels, kind), label(labels, name));
    let is_known = |text: &str| !matches!(text, "" | "<none>");
    (is_known(owner.0) && is_known(owner.1)).then(|| (owner.0.into(), owner.1.into()))
}

/// What is known of a pod that has not finished.
#[derive(Default)]
struct Pod {
    owner: Option<(Box<str>, Box<str>)>,
    node: Box<str>,
    restarted: Vec<Box<str>>,
}

/// The images in use in the making, answer by answer.
#[derive(Default)]
pub struct Reading {
    pods: HashMap<Box<str>, Pod>,
    /// Nodes with the system where a label has it, and with their architectures.
    nodes: Vec<[Box<str>; 3]>,
    /// Nodes with their systems, by what these call themselves, and with the versions of their kernels.
    systems: Vec<(Box<str>, &'static str, Box<str>)>,
    /// Of which metrics something was told.
    told: HashSet<&'static str>,
    gathering: Gathering,
    /// Why no more is taken up.
    refused: Option<String>,
}

impl Reading {
    /// Takes up the answer to one of [`queries`], by its number. They come in their order.
    ///
    /// # Errors
    ///
    /// If it is none, or a part of one, or tells of more than is kept.
    pub fn take(&mut self, number: usize, answer: &[u8]) -> Result<(), String> {
        let metric = METRICS.get(number).ok_or("nothing was asked for")?;
        let none = |error: serde_json::Error| {
            let error = shorten(&error.to_string(), 200);
            format!("what it answers is none of Prometheus' query API: {error}")
        };
        let answer: Answer<'_> = serde_json::from_slice(answer).map_err(none)?;
        let warnings = answer.warnings.unwrap_or_default();
        if let Some(warning) = warnings.first() {
            return Err(format!("it answers in part: {}", shorten(warning, 200)));
        }
        if answer.is_partial {
            return Err("it answers in part".to_owned());
        }
        let data = answer.data.filter(|_| answer.status == "success");
        let data = data.ok_or_else(|| format!("it refuses: {}", shorten(&answer.error, 200)))?;
        for series in data.result {
            let series: Series<'_> = serde_json::from_str(series.get()).map_err(none)?;
            (metric.take)(self, &series.metric);
            if let Some(why) = self.refused.take() {
                return Err(why);
            }
        }
        Ok(())
    }

    /// Which of the metrics have no series, by name.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let names = METRICS.iter().map(|metric| metric.name);
        let names = names.filter(|name| !name.is_empty() && !self.told.contains(name));
        names.collect()
    }

    /// The images in use.
    ///
    /// # Errors
    ///
    /// If nothing was told of containers: why.
    pub fn finish(mut self) -> Result<InUse, String> {
        if !self.told.contains("kube_pod_container_info") {
            return Err("it knows no container: does it scrape kube-state-metrics, and does --in-use-matcher match?".into());
        }
        if !self.told.contains("kube_pod_status_phase") {
            return Err(
                "it has no kube_pod_status_phase, which says which pods have finished".into(),
            );
        }
        // Nodes of several clusters may have one name: all that is told of it is handed on.
        let mut told = HashMap::<_, BTreeSet<_>>::new();
        for (name, os, version) in &self.systems {
            told.entry(name).or_default().insert(*os);
            if *os == WINDOWS {
                self.gathering.kernel(name, version);
            }
        }
        for [name, os, architecture] in &self.nodes {
            let labelled = Some(&**os).filter(|os| !os.is_empty());
            let own = told.get(name).filter(|_| labelled.is_none());
            let systems = labelled
                .into_iter()
                .chain(own.into_iter().flatten().copied());
            let is_told = labelled.is_some() || own.is_some();
            for os in systems.chain((!is_told).then_some(LINUX)) {
                self.gathering.node(name, os, architecture);
            }
        }
        Ok(self.gathering.finish())
    }

    fn unfinished(&mut self, labels: &Labels<'_>) {
        self.told.insert("kube_pod_status_phase");
        self.pods.insert(pod(labels).into(), Pod::default());
        if self.pods.len() > MOST_PODS {
            self.refused = Some(format!("it tells of more than {MOST_PODS} pods"));
        }
    }

    fn owner(&mut self, labels: &Labels<'_>) {
        self.told.insert("kube_pod_owner");
        if let Some(pod) = self.pods.get_mut(&*pod(labels)) {
            pod.owner = owned(labels, "owner_kind", "owner_name");
        }
    }

    fn info(&mut self, labels: &Labels<'_>) {
        self.told.insert("kube_pod_info");
        if let Some(pod) = self.pods.get_mut(&*pod(labels)) {
            pod.node = label(labels, "node").into();
            let created = owned(labels, "created_by_kind", "created_by_name");
            pod.owner = pod.owner.take().or(created);
        }
    }

    fn node(&mut self, labels: &Labels<'_>) {
        let of_it = |name| Box::<str>::from(label(labels, name));
        let system = match label(labels, "os_image") {
            "" => None,
            image if image.starts_with("Windows") => Some(WINDOWS),
            _ => Some(LINUX),
        };
        if let Some(os) = system {
            let known = (of_it("node"), os, of_it("kernel_version"));
            self.systems.push(known);
        }
        if !label(labels, "label_kubernetes_io_arch").is_empty() {
            self.told.insert("kube_node_labels");
            let names = ["node", "label_kubernetes_io_os", "label_kubernetes_io_arch"];
            self.nodes.push(names.map(of_it));
        }
    }

    fn restarted(&mut self, labels: &Labels<'_>) {
        if let Some(pod) = self.pods.get_mut(&*pod(labels)) {
            pod.restarted.push(label(labels, "container").into());
        }
    }

    fn container(&mut self, labels: &Labels<'_>) {
        self.told.insert("kube_pod_container_info");
        let Some(pod) = self.pods.get(&*pod(labels)) else {
            return;
        };
        let (name, container) = (label(labels, "pod"), label(labels, "container"));
        let owner = pod.owner.as_ref();
        let (kind, owner) = owner.map_or(("Pod", name), |(kind, name)| (kind, name));
        let written = match label(labels, "image_spec") {
            "" => label(labels, "image"),
            spec => spec,
        };
        let has = |name| !label(labels, name).is_empty();
        let is_restarted = pod.restarted.iter().any(|name| **name == *container);
        let added = self.gathering.add(Container {
            image: written,
            origin: Origin {
                kind: kind.into(),
                namespace: Some(label(labels, "namespace").into()),
                name: Some(owner.into()),
                container: Some(container.into()),
                field: None,
            },
            pod: name,
            node: &pod.node,
            has_run: has("container_id") || has("image_id") || is_restarted,
            may_pull: true,
        });
        self.refused = added.err();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(series: &[Value]) -> Vec<u8> {
        let series = series
            .iter()
            .map(|labels| json!({ "metric": labels, "value": [1.5, "1"] }));
        let series: Vec<_> = series.collect();
        json!({ "status": "success", "data": { "resultType": "vector", "result": series } })
            .to_string()
            .into_bytes()
    }

    fn container(pod: &str, image: &str, id: &str) -> Value {
        json!({ "namespace": "shop", "pod": pod, "uid": pod, "container": "app", "image": image, "container_id": id })
    }

    fn of_pod(pod: &str, more: &Value) -> Value {
        let mut labels = json!({ "namespace": "shop", "pod": pod, "uid": pod });
        for (key, value) in more.as_object().expect("labels") {
            labels[key] = value.clone();
        }
        labels
    }

    /// What answers to all queries come to.
    fn read(answers: &[Vec<u8>]) -> Result<Reading, String> {
        let mut reading = Reading::default();
        for (number, answer) in answers.iter().enumerate() {
            reading.take(number, answer)?;
        }
        Ok(reading)
    }

    fn gather(answers: &[Vec<u8>]) -> Result<InUse, String> {
        read(answers)?.finish()
    }

    fn missing(answers: &[Vec<u8>]) -> Result<Vec<&'static str>, String> {
        read(answers).map(|reading| reading.missing())
    }

    fn whole() -> [Vec<u8>; 6] {
        let mut whole = [
            answer(&[
                container("a", "r.example/app:1", "containerd://1"),
                container("b", "r.example/app:1", "containerd://2"),
                container("done", "r.example/job:1", "containerd://3"),
                json!({ "namespace": "shop", "pod": "c", "uid": "c", "container": "app",
                        "image": "sha256:0", "image_spec": "r.example/typo:1", "container_id": "" }),
                container("back-off", "r.example/pruned:1", ""),
            ]),
            answer(&["a", "b", "c", "back-off"].map(|name| of_pod(name, &json!({})))),
            answer(&["a", "b"].map(|name| {
                of_pod(name, &json!({ "owner_kind": "ReplicaSet", "owner_name": "web-5d" }))
            })),
            answer(&[("a", "n1"), ("b", "n2"), ("c", "")].map(|(name, node)| {
                let created = json!({ "node": node, "created_by_kind": "<none>", "created_by_name": "<none>" });
                of_pod(name, &created)
            })),
            answer(&[json!({ "node": "n1", "label_kubernetes_io_arch": "arm64" })]),
            answer(&[
                of_pod("back-off", &json!({ "container": "app" })),
                of_pod("c", &json!({ "container": "sidecar" })),
            ]),
        ];
        whole.rotate_left(1);
        whole
    }

    #[test]
    fn containers_are_joined_with_owners_and_nodes() {
        let in_use = gather(&whole()).expect("images");
        let names: Vec<_> = in_use.images.keys().map(String::as_str).collect();
        let expected = ["r.example/app:1", "r.example/pruned:1", "r.example/typo:1"];
        assert_eq!(names, expected);
        assert!(in_use.images["r.example/pruned:1"][0].has_run);
        let users = &in_use.images["r.example/app:1"];
        let platforms: Vec<_> = users
            .iter()
            .map(|one| one.platform.as_ref().map(ToString::to_string))
            .collect();
        assert_eq!(platforms, [Some("linux/arm64".to_owned()), None]);
        assert_eq!(
            users[0].origin.to_string(),
            "ReplicaSet shop/web-5d, container app"
        );
        let typo = &in_use.images["r.example/typo:1"][0];
        assert_eq!(
            (typo.has_run, &*typo.origin.to_string()),
            (false, "Pod shop/c, container app")
        );
        assert_eq!(missing(&whole()), Ok(Vec::new()));
    }

    #[test]
    fn labels_of_the_scrape_itself_are_not_those_of_pods() {
        let own = json!({ "namespace": "monitoring", "pod": "ksm-0", "container": "ksm", "uid": "u",
            "exported_namespace": "shop", "exported_pod": "a", "exported_container": "app" });
        let with = |more: Value| {
            let mut labels = own.clone();
            for (key, value) in more.as_object().expect("labels") {
                labels[key] = value.clone();
            }
            labels
        };
        let answers = [
            answer(&[with(json!({}))]),
            answer(&[]),
            answer(&[]),
            answer(&[]),
            answer(&[]),
            answer(&[with(json!({ "image": "r.example/app:1", "image_id": "x" }))]),
        ];
        let in_use = gather(&answers).expect("images");
        let user = &in_use.images["r.example/app:1"][0];
        assert_eq!(user.origin.to_string(), "Pod shop/a, container app");
        assert!(user.has_run);
        let expected = ["kube_pod_owner", "kube_pod_info", "kube_node_labels"];
        assert_eq!(missing(&answers), Ok(expected.to_vec()));
    }

    #[test]
    fn nodes_of_windows_are_known_without_a_label() {
        let mut answers = whole();
        answers[3] = answer(&[
            json!({ "node": "n1", "label_kubernetes_io_arch": "amd64" }),
            json!({ "node": "n1", "os_image": "Windows Server 2022 Datacenter", "kernel_version": "10.0.20348.2322" }),
            json!({ "node": "n2", "label_kubernetes_io_arch": "amd64", "label_kubernetes_io_os": "linux" }),
            json!({ "node": "n2", "os_image": "Debian GNU/Linux 12", "kernel_version": "10.0.1-cloud" }),
        ]);
        let in_use = gather(&answers).expect("images");
        let users = in_use.images["r.example/app:1"].iter();
        let nodes: Vec<_> = users
            .map(|user| {
                let platform = user.platform.as_ref().map(ToString::to_string);
                (
                    platform.unwrap_or_default(),
                    user.os_version.as_deref().map(str::to_owned),
                )
            })
            .collect();
        let windows = ("windows/amd64".to_owned(), Some("10.0.20348".to_owned()));
        assert_eq!(nodes, [windows, ("linux/amd64".to_owned(), None)]);
        answers[3] = answer(&[json!({ "node": "n1", "os_image": "Debian" })]);
        assert_eq!(missing(&answers), Ok(vec!["kube_node_labels"]));
    }

    #[test]
    fn nodes_of_one_name_in_two_clusters_are_not_known() {
        let mut answers = whole();
        let node = json!({ "node": "n1", "label_kubernetes_io_arch": "amd64" });
        let runs = |image: &str, version: &str| json!({ "node": "n1", "os_image": image, "kernel_version": version });
        let windows = runs("Windows Server 2022", "10.0.20348.1");
        let older = runs("Windows Server 2019", "10.0.17763.1");
        let linux = runs("Debian GNU/Linux 12", "6.1.0");
        let mut platform = |told: &[&Value]| {
            let told: Vec<_> = told.iter().copied().chain([&node]).cloned().collect();
            answers[3] = answer(&told);
            let in_use = gather(&answers).expect("images");
            let user = &in_use.images["r.example/app:1"][0];
            let platform = user.platform.as_ref().map(ToString::to_string);
            let build = user.os_version.as_deref().map(str::to_owned);
            (platform.unwrap_or_default(), build.unwrap_or_default())
        };
        let known = |os: &str, build: &str| (os.to_owned(), build.to_owned());
        assert_eq!(platform(&[&windows]), known("windows/amd64", "10.0.20348"));
        assert_eq!(platform(&[&linux]), known("linux/amd64", ""));
        for mixed in [[&windows, &linux], [&linux, &windows]] {
            assert_eq!(platform(&mixed), known("", ""));
        }
        for builds in [[&windows, &older], [&older, &windows]] {
            assert_eq!(platform(&builds), known("windows/amd64", ""));
        }
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        let with = |position: usize, text: &str| {
            let mut answers = whole();
            answers[position] = text.as_bytes().to_vec();
            gather(&answers).expect_err(text)
        };
        let empty = String::from_utf8(answer(&[])).expect("text");
        let success =
            |more: &str| format!("{{\"status\":\"success\",\"data\":{{\"result\":[]}}{more}}}");
        for (position, text, why) in [
            (5, empty.clone(), "knows no container"),
            (0, empty, "no kube_pod_status_phase"),
            (3, success(",\"warnings\":[\"store x is away\"]"), "in part: store x is away"),
            (0, success(",\"isPartial\":true"), "in part"),
            (0, "<html>".into(), "none of Prometheus"),
            (0, String::new(), "none of Prometheus"),
            (0, "{\"status\":\"error\",\"error\":\"bad\\u001b\"}".into(), "refuses: bad\u{fffd}"),
            (0, "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}}".into(), "none of"),
        ] {
            let error = with(position, &text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(gather(&[]).is_err());
        // Notes of Prometheus itself are no warnings.
        let mut answers = whole();
        answers[2] = success(",\"infos\":[\"x\"],\"warnings\":[]").into_bytes();
        assert!(gather(&answers).is_ok());
    }

    #[test]
    fn queries_take_a_matcher() {
        let plain = queries(None);
        assert_eq!(plain.len(), METRICS.len());
        assert_eq!(
            plain[0],
            "max by (namespace, exported_namespace, pod, exported_pod, uid) \
             (kube_pod_status_phase{phase=~\"Pending|Running|Unknown\"} == 1)"
        );
        let matched = queries(Some("cluster=\"prod\""));
        assert!(
            matched
                .iter()
                .all(|query| query.contains(", cluster=\"prod\"}"))
        );
    }
}
