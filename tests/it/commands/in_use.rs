//! Images in use, as a Prometheus tells them that is not always well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use registry_double::{Double, Reply, Request, on, presets};
use serde_json::{Value, json};

use super::tls::{Client, Server};
use super::{Said, probe};

/// What a Prometheus answers to a query, of a pod for each image.
fn answer(query: &str, images: &[String]) -> Reply {
    let series = images.iter().enumerate().map(|(number, image)| {
        let pod = format!("pod-{number}");
        let mut labels = json!({ "namespace": "shop", "pod": pod, "uid": pod });
        if query.contains("container_info") {
            labels["image"] = json!(image);
            labels["container"] = json!("app");
            labels["container_id"] = json!("containerd://0");
        }
        json!({ "metric": labels, "value": [0, "1"] })
    });
    let series: Vec<_> = series.collect();
    Reply::json(
        200,
        &json!({ "status": "success", "data": { "resultType": "vector", "result": series } }),
    )
}

/// A Prometheus that tells of these images.
async fn prometheus(images: &[String]) -> Double {
    let double = Double::start().await;
    let images = images.to_vec();
    let tell = move |_: &_, request: &Request| {
        answer(&request.param("query").unwrap_or_default(), &images)
    };
    double.when(on::any()).answer(tell);
    double
}

async fn sweep(registry: &Double, prometheus: &str, more: &[&str]) -> (Said, Value) {
    let source = format!("prometheus={prometheus}");
    let own = [
        "--in-use",
        &source,
        "--output",
        "json",
        "--confirm-after",
        "0s",
    ];
    let address = [registry.address()];
    let said = probe(&[&["--once"], &own[..], more, &address].concat(), &[]).await;
    let report = serde_json::from_str(&said.stdout).expect("JSON");
    (said, report)
}

/// `app:v1`, and `app:old`, which was deleted.
async fn registry() -> (Double, Vec<String>) {
    let registry = Double::start().await;
    registry.image("app", Some("v1"), &[b"a layer"]);
    let name = |tag: &str| format!("{}/app:{tag}", registry.address());
    let images = vec![name("v1"), name("old"), "other.example/app:1".to_owned()];
    (registry, images)
}

#[tokio::test]
async fn a_deleted_tag_is_asked_for_twice_and_counts_nowhere_else() {
    let (registry, images) = registry().await;
    let prometheus = prometheus(&images).await;
    let (said, report) = sweep(&registry, &prometheus.url(), &[]).await;
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let in_use = &report["in_use"];
    assert_eq!(
        (&in_use["images"], &in_use["images_of_others"]),
        (&json!(2), &json!(1))
    );
    let findings = in_use["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), 1, "{in_use}");
    assert_eq!(findings[0]["image"], json!(images[1]));
    assert_eq!(findings[0]["reason"], "not_found");
    assert!(
        registry.count(&on::manifest().reference("old")) >= 2,
        "nothing is told on one look"
    );
    assert_eq!(report["findings"], json!([]));
    assert_eq!(
        (&report["complete"], &report["counts"]["broken"]),
        (&json!(true), &json!(0))
    );
    // A tag that the filters leave out is used all the same, and a repository is not.
    let (_, report) = sweep(
        &registry,
        &prometheus.url(),
        &["--exclude-tag", "v1", "--allow-empty"],
    )
    .await;
    assert_eq!(
        report["in_use"]["findings"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    assert_eq!(report["in_use"]["unverified"], json!([]));
    let (said, report) = sweep(
        &registry,
        &prometheus.url(),
        &["--exclude-repo", "app", "--allow-empty"],
    )
    .await;
    assert_eq!(
        (said.code, &report["in_use"]["images"]),
        (Some(0), &json!(0)),
        "{report}"
    );
}

#[tokio::test]
async fn a_zot_without_a_mode_keeps_no_verdict_from_the_rest() {
    let registry = presets::zot().await;
    registry.image("app", Some("v1"), &[b"a layer"]);
    let image = registry.image("app", Some("v2"), &[b"another layer"]);
    registry.remove_tag("app", "v2");
    registry.remove_bytes(&image.layers[0]);
    let name = |reference: &str| format!("{}/app{reference}", registry.address());
    let images = [name(":old"), name(&format!("@{}", image.digest))];
    let prometheus = prometheus(&images).await;
    let (said, report) = sweep(&registry, &prometheus.url(), &[]).await;
    let in_use = &report["in_use"];
    assert_eq!(said.code, Some(1), "{in_use}");
    assert_eq!(in_use["findings"][0]["image"], json!(images[1]), "{in_use}");
    let unknown = &in_use["unverified"][0];
    assert_eq!(unknown["image"], json!(images[0]), "{in_use}");
    let detail = unknown["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("say --mode private"), "{detail}");
    assert_eq!(registry.count(&on::manifest().reference("old")), 0);
    // Whoever says what it is learns what was deleted.
    let (_, report) = sweep(&registry, &prometheus.url(), &["--mode", "private"]).await;
    let found = report["in_use"]["findings"].as_array().map(Vec::len);
    assert_eq!(found, Some(2), "{report}");
}

#[tokio::test]
async fn what_could_not_be_judged_is_not_intact() {
    for (status, code, verdict) in [(500, 1, "broken"), (403, 3, "unverified")] {
        let (registry, images) = registry().await;
        let prometheus = prometheus(&images).await;
        let old = on::manifest().reference("old");
        registry
            .when(old)
            .reply(Reply::error(status, "UNKNOWN", "no"));
        let (said, report) = sweep(&registry, &prometheus.url(), &[]).await;
        let seen = (said.code, &report["verdict"], &report["complete"]);
        assert_eq!(
            seen,
            (Some(code), &json!(verdict), &json!(true)),
            "{report}"
        );
    }
}

#[tokio::test]
async fn a_login_is_sent_and_a_refusal_is_told_without_it() {
    let (registry, images) = registry().await;
    let prometheus = prometheus(&images).await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    write("password", "hunter2\n");
    let config = write(
        "http.yaml",
        "basic_auth: { username: probe, password_file: password }\n",
    );
    let options = [
        "--in-use-config",
        &config,
        "--in-use-matcher",
        "cluster=\"prod\"",
    ];
    let (_, report) = sweep(&registry, &prometheus.url(), &options).await;
    assert_eq!(report["in_use"]["away"], Value::Null);
    let with_login = on::any().matching(|request| {
        let is_it = request.header("authorization") == Some("Basic cHJvYmU6aHVudGVyMg==");
        is_it
            && request
                .param("query")
                .is_some_and(|query| query.contains(", cluster=\"prod\"}"))
    });
    assert_eq!(prometheus.count(&with_login), 6);
    prometheus.forget_rules();
    prometheus
        .when(on::any())
        .reply(Reply::text(401, "who are you"));
    let (said, report) = sweep(&registry, &prometheus.url(), &options).await;
    let why = report["in_use"]["away"].as_str().expect("it is away");
    assert!(why.contains("401") && why.contains("who are you"), "{why}");
    assert!(!said.all().contains("hunter2"), "{}", said.all());
}

#[tokio::test]
async fn what_is_known_stays_while_the_source_is_away() {
    let (registry, images) = registry().await;
    let healthy = prometheus(&images).await;
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json");
    let state = ["--state", state.to_str().expect("text")];
    let (_, before) = sweep(&registry, &healthy.url(), &state).await;
    healthy.forget_rules();
    let few = images[..1].to_vec();
    let answers: [(&str, Reply); 4] = [
        (
            "partial",
            Reply::json(
                200,
                &json!({ "status": "success", "warnings": ["a store is away"], "data": { "result": [] } }),
            ),
        ),
        ("none of Prometheus", Reply::html(200, "Sign in")),
        ("knows no container", answer("", &[])),
        ("503", Reply::text(503, "starting")),
    ];
    for (why, reply) in answers {
        healthy.when(on::any()).reply(reply);
        let (said, report) = sweep(&registry, &healthy.url(), &state).await;
        let away = report["in_use"]["away"].as_str().unwrap_or_default();
        let why = if why == "partial" { "in part" } else { why };
        assert!(away.contains(why), "{why}: {away}");
        assert_eq!(
            report["in_use"]["findings"], before["in_use"]["findings"],
            "{why}"
        );
        assert_eq!(
            (said.code, &report["complete"]),
            (Some(1), &json!(true)),
            "{why}"
        );
        healthy.forget_rules();
    }
    // A third of what there was is a part of it.
    healthy
        .when(on::any())
        .answer(move |_, request| answer(&request.param("query").unwrap_or_default(), &few));
    let (_, report) = sweep(&registry, &healthy.url(), &state).await;
    let away = report["in_use"]["away"].as_str().unwrap_or_default();
    assert!(away.contains("1 containers, and of 3 before"), "{away}");
    // It is back, and the pod is gone.
    healthy.forget_rules();
    let two = vec![images[0].clone(), images[2].clone()];
    healthy
        .when(on::any())
        .answer(move |_, request| answer(&request.param("query").unwrap_or_default(), &two));
    let (said, report) = sweep(&registry, &healthy.url(), &state).await;
    assert_eq!(
        (said.code, &report["in_use"]["findings"]),
        (Some(0), &json!([])),
        "{report}"
    );
}

#[tokio::test]
async fn an_answer_that_fails_for_a_moment_is_asked_for_again() {
    let (registry, images) = registry().await;
    let prometheus = Double::start().await;
    let asked = Arc::new(AtomicU64::new(0));
    prometheus.when(on::any()).answer(move |_, request| {
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::hang_up(),
            1 => Reply::text(503, "starting"),
            _ => answer(&request.param("query").unwrap_or_default(), &images),
        }
    });
    let (_, report) = sweep(&registry, &prometheus.url(), &[]).await;
    assert_eq!(report["in_use"]["away"], Value::Null, "{report}");
}

#[tokio::test]
async fn doctor_names_what_a_prometheus_lacks() {
    let (registry, images) = registry().await;
    let prometheus = Double::start().await;
    prometheus.when(on::any()).answer(move |_, request| {
        let query = request.param("query").unwrap_or_default();
        let is_of_nodes = query.contains("kube_node_labels");
        answer(&query, if is_of_nodes { &[] } else { &images })
    });
    let source = format!("prometheus={}", prometheus.url());
    let said = probe(&["doctor", "--in-use", &source, registry.address()], &[]).await;
    let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("3 images in 3 containers"), "{text}");
    assert!(
        text.contains("--metric-labels-allowlist=nodes=[kubernetes.io/arch]"),
        "{text}"
    );
}

#[tokio::test]
async fn certificates_of_a_prometheus_are_those_of_its_own_file() {
    let (registry, _) = registry().await;
    let client = Client::new();
    let server = Server::asking(&client, None).await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    write("client.pem", &client.certificate);
    write("client.key", &client.key);
    let authority = server.authority().display().to_string();
    let away = async |config: &str| {
        let config = write("http.yaml", config);
        let (said, report) = sweep(&registry, &server.url(), &["--in-use-config", &config]).await;
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        report["in_use"]["away"]
            .as_str()
            .expect("it is no Prometheus")
            .to_owned()
    };
    let nobody = away("tls_config: { insecure_skip_verify: false }\n").await;
    assert!(nobody.contains("ca_file in --in-use-config"), "{nobody}");
    let trusted = format!("tls_config:\n  ca_file: {authority}\n");
    let asked = away(&trusted).await;
    assert!(
        asked.contains("cert_file and key_file in --in-use-config"),
        "{asked}"
    );
    let pair = format!("{trusted}  cert_file: client.pem\n  key_file: client.key\n");
    let shown = away(&pair).await;
    assert!(shown.contains("none of Prometheus' query API"), "{shown}");
}
