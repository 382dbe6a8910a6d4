//! Credential helpers: an init container copies them onto the PATH of the probe, which logs in with what one says.

use serde_json::json;

use crate::cluster::cluster;
use crate::deployed::apply_chart;
use crate::image::{only_the_probe, with_helper};
use crate::node::Node;
use crate::support::images::Content;
use crate::support::prometheus::Pushgateway;
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

#[test]
fn a_credential_helper_logs_in_for_the_pod_of_a_job() {
    let cluster = cluster();
    let namespace = "helpers";
    cluster.restricted(namespace);
    let login = Login::of_the_tests();
    let registry = Registry::start_with_login(login.clone());
    skopeo::push(&registry, &Content::index("guarded"), "team/guarded:v1");
    let gateway = Pushgateway::start();
    apply_chart(
        &cluster,
        namespace,
        &json!({
            "mode": "cronjob",
            "pushGateway": format!("http://{}", gateway.address()),
            "config": { "confirm-after": "0s", "registries": [{ "registry": registry.host() }] },
            "credentialHelpers": { "image": "registry.example/helpers:1", "registries": { registry.host(): "fake" } },
            "state": { "enabled": true },
        }),
    );
    let into = tempfile::tempdir().expect("a temporary directory");
    let mut images = only_the_probe();
    let helpers = with_helper(into.path(), &login.user, &login.password);
    images.insert("registry.example/helpers:1".to_owned(), helpers);
    let from = "--from=cronjob/registry-probe";
    cluster.kubectl(&["--namespace", namespace, "create", "job", from, "first-run"]);
    let selector = "batch.kubernetes.io/job-name=first-run";
    let mut node = Node::new(&cluster, namespace, selector, images);
    let (end, _) = node.until_end_of("first-run");
    assert_eq!(
        (end.as_str(), node.ended[0].code),
        ("Complete", 0),
        "{:#?}",
        node.ended
    );
    assert_eq!(gateway.metrics().integrity("tags_checked", &[]), Some(1.0));
}
