//! What a Prometheus tells of the images in use, and what kube-state-metrics has to show besides; or what a file tells.

use serde_json::json;

use super::Check;
use super::Outcome::{Fail, Fine, Warn};
use crate::registry::client::QueryApi;
use crate::sources::InUse;
use crate::sources::kube_state_metrics::{Reading, queries};

/// Asks for what a sweep would ask for.
pub async fn in_use(api: &QueryApi, matcher: Option<&str>) -> Check {
    let mut reading = Reading::default();
    let take = |number, answer: &[u8]| reading.take(number, answer);
    match api.ask(&queries(matcher), take).await {
        Ok(()) => told(reading),
        Err(why) => Check::new("in_use", Fail, &why, json!({ "detail": &why })),
    }
}

/// What a file tells.
#[must_use]
pub fn in_use_of_file(read: Result<InUse, String>) -> Check {
    let has_platforms = |in_use: &InUse| {
        let mut users = in_use.images.values().flatten();
        users.any(|user| user.platform.is_some())
    };
    let lacks_nodes = read.as_ref().is_ok_and(|in_use| !has_platforms(in_use));
    let missing: &[_] = if lacks_nodes { &["nodes"] } else { &[] };
    let check = check(read, missing);
    if lacks_nodes {
        let advice = "it has no nodes of these pods, so that their platforms are not known: write it by `kubectl get \
                      pods,nodes --all-namespaces --output json`";
        return check.care(advice);
    }
    check
}

fn check(read: Result<InUse, String>, missing: &[&str]) -> Check {
    let data = json!({ "missing": missing });
    match read {
        Ok(in_use) => {
            let (images, containers) = (in_use.images.len(), in_use.containers);
            let words = format!("{images} images in {containers} containers of unfinished pods");
            let is_all = missing.is_empty() && containers > 0;
            Check::new("in_use", if is_all { Fine } else { Warn }, words, data)
        }
        Err(why) => Check::new("in_use", Fail, why, data),
    }
}

fn told(reading: Reading) -> Check {
    let missing = reading.missing();
    let check = check(reading.finish(), &missing);
    let advice = missing.iter().map(|name| match *name {
        "kube_node_labels" => {
            "kube_node_labels has no label_kubernetes_io_arch, so that the platforms of nodes are not known: start \
             kube-state-metrics with --metric-labels-allowlist=nodes=[kubernetes.io/arch]"
                .to_owned()
        }
        name => format!(
            "{name} has no series: does Prometheus scrape kube-state-metrics, and does that show this metric?"
        ),
    });
    advice.fold(check, Check::care)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_something_or_why_not() {
        let told = |items: &str| {
            let text = format!("{{\"items\":[{items}]}}");
            in_use_of_file(crate::sources::pods::read(text.as_bytes()))
        };
        let pod = r#"{"spec":{"nodeName":"n","containers":[{"image":"a"}]}}"#;
        let node = r#"{"metadata":{"name":"n"},"status":{"nodeInfo":{"architecture":"arm64","operatingSystem":"linux"}}}"#;
        let whole = told(&format!("{pod},{node}"));
        assert_eq!((whole.outcome, whole.advice.len()), (Fine, 0));
        let without_nodes = told(pod);
        assert_eq!(without_nodes.outcome, Warn);
        assert!(without_nodes.advice[0].words.contains("pods,nodes"));
        let away = in_use_of_file(Err("it is not there".into()));
        assert_eq!((away.outcome, &*away.words), (Fail, "it is not there"));
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let empty = br#"{"status":"success","data":{"result":[]}}"#.to_vec();
        let one = |labels: &str| {
            let series = format!("{{\"metric\":{{{labels}}},\"value\":[1,\"1\"]}}");
            format!("{{\"status\":\"success\",\"data\":{{\"result\":[{series}]}}}}").into_bytes()
        };
        let pod = one(r#""namespace":"a","pod":"b","image":"r.example/c""#);
        // As they are asked for, the containers last.
        let told = |answers: [&Vec<u8>; 6]| {
            let mut reading = Reading::default();
            for (number, answer) in answers.into_iter().enumerate() {
                reading.take(number, answer).expect("an answer");
            }
            told(reading)
        };
        let check = told([&pod, &pod, &pod, &empty, &empty, &pod]);
        assert_eq!(
            (check.outcome, &*check.words),
            (Warn, "1 images in 1 containers of unfinished pods")
        );
        assert_eq!(check.data, json!({ "missing": ["kube_node_labels"] }));
        assert!(
            check.advice[0]
                .words
                .contains("--metric-labels-allowlist=nodes=[kubernetes.io/arch]")
        );
        let node = one(r#""node":"n","label_kubernetes_io_arch":"amd64""#);
        assert_eq!(told([&pod, &pod, &pod, &node, &empty, &pod]).outcome, Fine);
        let check = told([&empty; 6]);
        assert_eq!((check.outcome, check.advice.len()), (Fail, 5));
        assert!(check.advice[0].words.contains("scrape kube-state-metrics"));
    }
}
