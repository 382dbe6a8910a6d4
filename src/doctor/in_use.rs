//! What a Prometheus tells of the images in use, and what kube-state-metrics has to show besides.

use serde_json::json;

use super::Check;
use super::Outcome::{Fail, Fine, Warn};
use crate::registry::client::QueryApi;
use crate::sources::kube_state_metrics::{gather, missing, queries};

/// Asks for what a sweep would ask for.
pub async fn in_use(api: &QueryApi, matcher: Option<&str>) -> Check {
    match api.ask(&queries(matcher)).await {
        Ok(answers) => told(&answers),
        Err(why) => Check::new("in_use", Fail, &why, json!({ "detail": &why })),
    }
}

fn told(answers: &[Vec<u8>]) -> Check {
    let missing = missing(answers).unwrap_or_default();
    let data = json!({ "missing": missing });
    let check = match gather(answers) {
        Ok(in_use) => {
            let (images, containers) = (in_use.images.len(), in_use.containers);
            let words = format!("{images} images in {containers} containers of unfinished pods");
            let is_all = missing.is_empty() && containers > 0;
            Check::new("in_use", if is_all { Fine } else { Warn }, words, data)
        }
        Err(why) => Check::new("in_use", Fail, why, data),
    };
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
    fn what_is_missing_is_named_with_what_to_do() {
        let empty = br#"{"status":"success","data":{"result":[]}}"#.to_vec();
        let one = |labels: &str| {
            let series = format!("{{\"metric\":{{{labels}}},\"value\":[1,\"1\"]}}");
            format!("{{\"status\":\"success\",\"data\":{{\"result\":[{series}]}}}}").into_bytes()
        };
        let pod = one(r#""namespace":"a","pod":"b","image":"r.example/c""#);
        let all = [
            pod.clone(),
            pod.clone(),
            pod.clone(),
            pod.clone(),
            empty.clone(),
            empty.clone(),
        ];
        let check = told(&all);
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
        let whole = [
            pod.clone(),
            pod.clone(),
            pod.clone(),
            pod,
            node,
            empty.clone(),
        ];
        assert_eq!(told(&whole).outcome, Fine);
        let check = told(&vec![empty; 6]);
        assert_eq!((check.outcome, check.advice.len()), (Fail, 5));
        assert!(check.advice[0].words.contains("scrape kube-state-metrics"));
    }
}
