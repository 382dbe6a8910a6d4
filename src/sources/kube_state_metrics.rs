//! What kube-state-metrics says of pods, by the answers of Prometheus' query API.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::in_use::{Container, Gathering, InUse};
use crate::oci::shorten;
use crate::report::Origin;

/// The containers, which pods have not finished, whose they are, on which nodes, of which platform these are, and
/// which containers ran before, though they may have no id now.
const METRICS: [(&str, &str, &str); 6] = [
    (
        "{__name__=~\"kube_pod_(init_)?container_info\"",
        "",
        "container, exported_container, image, image_spec, image_id, container_id",
    ),
    (
        "kube_pod_status_phase{phase=~\"Pending|Running|Unknown\"",
        " == 1",
        "",
    ),
    (
        "kube_pod_owner{owner_is_controller!=\"false\"",
        "",
        "owner_kind, owner_name",
    ),
    (
        "{__name__=\"kube_pod_info\"",
        "",
        "node, exported_node, created_by_kind, created_by_name",
    ),
    (
        "kube_node_labels{label_kubernetes_io_arch!=\"\"",
        "",
        "node, exported_node, label_kubernetes_io_arch, label_kubernetes_io_os",
    ),
    (
        "{__name__=~\"kube_pod_(init_)?container_status_restarts_total\"",
        " > 0",
        "container, exported_container",
    ),
];

/// What each of them is called where it is missed. Nothing may ever have been restarted.
const NAMES: [&str; 5] = [
    "kube_pod_container_info",
    "kube_pod_status_phase",
    "kube_pod_owner",
    "kube_pod_info",
    "kube_node_labels",
];

/// What to ask Prometheus for, of the series that `matcher` takes: two replicas of a scrape say the same, and what
/// is not needed takes no room.
#[must_use]
pub fn queries(matcher: Option<&str>) -> Vec<String> {
    let query = |(series, condition, labels): &(&str, &str, &str)| {
        let own = "namespace, exported_namespace, pod, exported_pod, uid";
        let by = [own, labels].join(", ");
        let by = by.trim_end_matches(", ");
        let matcher = matcher.map(|matcher| format!(", {matcher}"));
        format!(
            "max by ({by}) ({series}{}}}{condition})",
            matcher.unwrap_or_default()
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
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: Labels<'a>,
    #[serde(rename = "value")]
    _value: IgnoredAny,
}

type Labels<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

/// A pod, as all metrics know it.
type Pod<'a> = (&'a str, &'a str, &'a str);

/// A label of what is scraped. Where the scrape has a label of that name itself, Prometheus calls it `exported_`.
fn label<'a>(labels: &'a Labels<'_>, name: &str) -> &'a str {
    let get = |name: &str| labels.get(name).map_or("", |value| &**value);
    match get(&format!("exported_{name}")) {
        "" => get(name),
        exported => exported,
    }
}

fn pod<'a>(labels: &'a Labels<'_>) -> Pod<'a> {
    let plain = |name| labels.get(name).map_or("", |value: &Cow<'_, str>| &**value);
    (
        label(labels, "namespace"),
        label(labels, "pod"),
        plain("uid"),
    )
}

/// The kind and the name of an owner. `<none>` is what versions of kube-state-metrics say where there is none.
fn owned<'a>(labels: Option<&'a Labels<'_>>, kind: &str, name: &str) -> Option<(&'a str, &'a str)> {
    let labels = labels?;
    let owner = (label(labels, kind), label(labels, name));
    let is_known = |text: &str| !matches!(text, "" | "<none>");
    (is_known(owner.0) && is_known(owner.1)).then_some(owner)
}

/// Which of the metrics have no series in the answers to [`queries`], by name.
///
/// # Errors
///
/// If an answer is none, or a part of one.
pub fn missing(answers: &[Vec<u8>]) -> Result<Vec<&'static str>, String> {
    let answers = parse(answers)?;
    let named = NAMES.into_iter().zip(&answers);
    Ok(named
        .filter(|(_, series)| series.is_empty())
        .map(|(name, _)| name)
        .collect())
}

/// The images in use, by the answers to [`queries`].
///
/// # Errors
///
/// If an answer is none, or a part of one, or tells of no containers: why.
pub fn gather(answers: &[Vec<u8>]) -> Result<InUse, String> {
    let answers = parse(answers)?;
    let [containers, phases, owners, infos, nodes, restarted] = answers.as_slice() else {
        return Err("it did not answer everything".into());
    };
    if containers.is_empty() {
        return Err("it knows no container: does it scrape kube-state-metrics, and does --in-use-matcher match?".into());
    }
    if phases.is_empty() {
        return Err("it has no kube_pod_status_phase, which says which pods have finished".into());
    }
    let mut gathering = Gathering::default();
    for labels in nodes {
        let os = match label(labels, "label_kubernetes_io_os") {
            "" => "linux",
            os => os,
        };
        gathering.node(
            label(labels, "node"),
            os,
            label(labels, "label_kubernetes_io_arch"),
        );
    }
    let unfinished: HashSet<_> = phases.iter().map(pod).collect();
    let owners: HashMap<_, _> = owners.iter().map(|labels| (pod(labels), labels)).collect();
    let infos: HashMap<_, _> = infos.iter().map(|labels| (pod(labels), labels)).collect();
    let in_pod = |labels| (pod(labels), label(labels, "container"));
    let restarted: HashSet<_> = restarted.iter().map(in_pod).collect();
    for labels in containers {
        let key = pod(labels);
        if !unfinished.contains(&key) {
            continue;
        }
        let (namespace, name, _) = key;
        let (info, owner) = (infos.get(&key).copied(), owners.get(&key).copied());
        let owner = owned(owner, "owner_kind", "owner_name");
        let owner = owner.or_else(|| owned(info, "created_by_kind", "created_by_name"));
        let (kind, owner) = owner.unwrap_or(("Pod", name));
        let written = match label(labels, "image_spec") {
            "" => label(labels, "image"),
            spec => spec,
        };
        let has = |name| !label(labels, name).is_empty();
        gathering.add(Container {
            image: written,
            origin: Origin {
                kind: kind.into(),
                namespace: Some(namespace.into()),
                name: Some(owner.into()),
                container: Some(label(labels, "container").into()),
                field: None,
            },
            pod: name,
            node: info.map_or("", |info| label(info, "node")),
            has_run: has("container_id") || has("image_id") || restarted.contains(&in_pod(labels)),
        })?;
    }
    Ok(gathering.finish())
}

fn parse(answers: &[Vec<u8>]) -> Result<Vec<Vec<Labels<'_>>>, String> {
    let one = |bytes| {
        let answer: Answer<'_> = serde_json::from_slice(bytes).map_err(|error| {
            let error = shorten(&error.to_string(), 200);
            format!("what it answers is none of Prometheus' query API: {error}")
        })?;
        let warnings = answer.warnings.unwrap_or_default();
        if let Some(warning) = warnings.first() {
            return Err(format!("it answers in part: {}", shorten(warning, 200)));
        }
        if answer.is_partial {
            return Err("it answers in part".to_owned());
        }
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data
                .result
                .into_iter()
                .map(|series| series.metric)
                .collect()),
            _ => Err(format!("it refuses: {}", shorten(&answer.error, 200))),
        }
    };
    answers.iter().map(|bytes| one(bytes.as_slice())).collect()
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

    fn whole() -> [Vec<u8>; 6] {
        [
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
        ]
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
            answer(&[with(json!({ "image": "r.example/app:1", "image_id": "x" }))]),
            answer(&[with(json!({}))]),
            answer(&[]),
            answer(&[]),
            answer(&[]),
            answer(&[]),
        ];
        let in_use = gather(&answers).expect("images");
        let user = &in_use.images["r.example/app:1"][0];
        assert_eq!(user.origin.to_string(), "Pod shop/a, container app");
        assert!(user.has_run);
        let expected = ["kube_pod_owner", "kube_pod_info", "kube_node_labels"];
        assert_eq!(missing(&answers), Ok(expected.to_vec()));
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
            (0, empty.clone(), "knows no container"),
            (1, empty, "no kube_pod_status_phase"),
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
            plain[1],
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
