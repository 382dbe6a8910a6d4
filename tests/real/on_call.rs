//! What somebody on call goes through: an image breaks, an alert arrives that names it, the runbook's first
//! command shows the repair, that is pasted, and the alert resolves. With a page, and without one.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::{FAILURE as RUNBOOK, block};
use crate::support::files::text;
use crate::support::http::Client;
use crate::support::images::Content;
use crate::support::monitoring::{Alertmanager, HASTE, HastyProbe, eventually, in_haste};
use crate::support::paste::{Shell, first_repair};
use crate::support::probe::{Outcome, Probe};
use crate::support::process::{free_port, wait_until};
use crate::support::prometheus::{Prometheus, Pushgateway};
use crate::support::registry::Registry;
use crate::support::skopeo;
use crate::support::webhook::Webhook;

const FAILURE: &str = "RegistryManifestIntegrityFailure";

/// A registry with two images, and the one of them that will break.
fn registry() -> (Registry, Content) {
    let registry = Registry::start();
    let image = Content::index("on call");
    skopeo::push(&registry, &image, "team/app:1.4");
    skopeo::push(&registry, &Content::index("intact"), "team/web:2.0");
    (registry, image)
}

/// What the probe dials, with what else it takes to call it so, and what people call it.
fn names(registry: &Registry) -> (Vec<String>, String) {
    let dialled = registry.host();
    let name = dialled.replace("127.0.0.1", "localhost");
    let arguments = [dialled, "--public-name".to_owned(), name.clone()];
    (arguments.into(), name)
}

fn hasty_rules() -> [String; 1] {
    [in_haste(&text("alerts/registry-integrity.rules.yaml"))]
}

fn all_are_known_to_be_intact(prometheus: &Prometheus) -> bool {
    let intact = prometheus.query("registry_manifest_integrity_failures == 0");
    intact.len() == 2
}

/// The one alert that has arrived about `team/app` of a registry, by a page of its own: what it describes.
fn paged(webhook: &Webhook, name: &str) -> String {
    let page = json!({ "registry": name, "repository": "team/app" });
    for notification in webhook.received("/pages") {
        assert_eq!(notification["groupLabels"], page);
    }
    let alerts = webhook.pages(FAILURE, "firing");
    let alert = alerts.last().expect("it was awaited");
    assert_eq!(alert["labels"]["registry"], name);
    let annotation = |key: &str| alert["annotations"][key].as_str().expect("it has one");
    assert!(annotation("runbook_url").ends_with(RUNBOOK));
    let described = annotation("description").to_owned();
    let image = format!("such as {name}/team/app:1.4.");
    assert!(described.contains(&image), "{image}: {described}");
    described
}

/// Exactly the image that was pushed is there again.
fn assert_restored(registry: &Registry, image: &Content) {
    let head = registry.client().head("/v2/team/app/manifests/1.4");
    let digest = head.header("docker-content-digest");
    assert_eq!(digest, image.manifest().digest);
}

#[test]
fn an_alert_leads_to_the_page_and_the_page_to_the_repair() {
    let (mut registry, image) = registry();
    let (mut arguments, name) = names(&registry);
    let address = format!("127.0.0.1:{}", free_port());
    let page = format!("http://{address}/");
    arguments.extend(["--external-url".to_owned(), page.clone()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let _probe = HastyProbe::start(&address, &arguments);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::telling(&webhook);
    let told = alertmanager.configuration();
    let prometheus = Prometheus::start(&address, &hasty_rules(), &told);
    eventually("all is intact", || all_are_known_to_be_intact(&prometheus));

    let child = &image.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/app", child);
    let client = Client::new(&format!("http://{address}"), None);
    eventually("the page shows it", || {
        String::from_utf8_lossy(&client.get("/").body).contains(child)
    });
    eventually("somebody is paged", || {
        !webhook.pages(FAILURE, "firing").is_empty()
    });
    let described = paged(&webhook, &name);
    assert_eq!(described.split_whitespace().last(), Some(page.as_str()));

    let shell = Shell::new().with_source(&image);
    let set = format!("page='{page}'\nregistry='{name}'\nrepository=team/app\n");
    let said = shell.paste(&mut registry, &(set + &block(RUNBOOK, "page")));
    let first: Vec<_> = said.lines().take_while(|line| !line.is_empty()).collect();
    assert!(
        first[0].starts_with("# child/not_found, breaks 1.4: "),
        "{said}"
    );
    assert!(first[1].starts_with("# PUSH: "), "{said}");
    shell.paste(&mut registry, &first.join("\n"));
    assert_restored(&registry, &image);
    eventually("the alert resolves", || {
        !webhook.pages(FAILURE, "resolved").is_empty()
    });
}

/// Runs that come as a CronJob's do, in haste, and the log that kubectl has of the last one.
struct CronJob {
    arguments: Vec<String>,
    due: Instant,
    last: Option<Outcome>,
    logs: TempDir,
}

impl CronJob {
    fn new(mut arguments: Vec<String>, gateway: &Pushgateway) -> Self {
        let more = ["--push-gateway", gateway.address(), "--fail-on=unverified"];
        arguments.extend(more.map(str::to_owned));
        Self {
            arguments,
            due: Instant::now(),
            last: None,
            logs: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Runs it if it is time.
    fn tick(&mut self) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + Duration::from_secs(15 * 60 / HASTE);
        let outcome = Probe::once_in_text().args(&self.arguments).run();
        assert_eq!(outcome.code, 0, "a finding fails no Job: {outcome}");
        fs::write(self.logs.path().join("log"), &outcome.stdout).expect("a log is written");
        self.last = Some(outcome);
    }

    /// A kubectl that knows two runs of it, of which the second is the last.
    fn kubectl(&self) -> String {
        let log = self.logs.path().join("log");
        format!(
            "#!/bin/sh\ncase \"$*\" in\n\
             '--namespace registry-probe get jobs '*) printf 'job.batch/%s\\n' run-1 run-2 ;;\n\
             '--namespace registry-probe logs job/run-2') cat '{}' ;;\n\
             *) exit 64 ;;\nesac\n",
            log.display()
        )
    }
}

#[test]
fn an_alert_of_a_job_leads_to_its_log_and_the_repair() {
    let (mut registry, image) = registry();
    let (arguments, name) = names(&registry);
    let gateway = Pushgateway::start();
    let mut job = CronJob::new(arguments, &gateway);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::telling(&webhook);
    let told = alertmanager.configuration();
    let prometheus = Prometheus::of_gateway(&gateway, &hasty_rules(), &told);
    eventually("all is intact", || {
        job.tick();
        all_are_known_to_be_intact(&prometheus)
    });

    let child = &image.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/app", child);
    eventually("somebody is paged", || {
        job.tick();
        !webhook.pages(FAILURE, "firing").is_empty()
    });
    let described = paged(&webhook, &name);
    assert!(!described.contains("http"), "it has no page: {described}");
    assert!(described.contains("the log of its last run"), "{described}");

    let shell = Shell::new()
        .with_source(&image)
        .with_program("kubectl", &job.kubectl());
    let said = shell.paste(&mut registry, &block(RUNBOOK, "log"));
    let last = job.last.as_ref().expect("it has run");
    assert_eq!(said, last.stdout);
    shell.paste(&mut registry, &first_repair(last));
    assert_restored(&registry, &image);
    eventually("the alert resolves", || {
        job.tick();
        !webhook.pages(FAILURE, "resolved").is_empty()
    });
}

/// What the example for Alertmanager says of itself: whatever is told of a repository is one page.
#[test]
fn there_is_one_page_for_each_repository() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::telling(&webhook);
    let of = |name: &str, registry: &str, repository: &str, namespace: &str| {
        let mut labels = json!({
            "alertname": name, "registry": registry, "repository": repository,
            "namespace": namespace, "severity": "critical",
        });
        // Alertmanager takes an empty label for none, as Prometheus does.
        labels
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| value != "");
        labels
    };
    let in_use = "RegistryBrokenImageInUse";
    let alerts = [
        of(FAILURE, "a.example", "team/app", ""),
        of(in_use, "a.example", "team/app", "shop"),
        of(in_use, "a.example", "team/app", "staging"),
        of(FAILURE, "a.example", "team/web", ""),
        of(FAILURE, "b.example", "team/app", ""),
        of("RegistryStorageUnavailable", "c.example", "", ""),
    ];
    alertmanager.told_labels(alerts.iter().cloned());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let page_of = |labels: &Value| (text(&labels["registry"]), text(&labels["repository"]));
    let expected: BTreeSet<_> = alerts.iter().map(page_of).collect();
    assert_eq!(expected.len(), 4);
    let expected_alerts = alerts.len();
    wait_until("every alert is told", || {
        let pages = webhook.received("/pages").into_iter();
        let alerts = pages.flat_map(|one| one["alerts"].as_array().expect("a list").clone());
        let told: BTreeSet<_> = alerts.map(|alert| alert["labels"].to_string()).collect();
        told.len() == expected_alerts
    });
    let pages = webhook.received("/pages");
    let found: BTreeSet<_> = pages
        .iter()
        .map(|one| page_of(&one["groupLabels"]))
        .collect();
    assert_eq!(found, expected);
    let names = pages
        .iter()
        .filter_map(|one| one["groupLabels"].as_object());
    assert!(
        names
            .flat_map(|labels| labels.keys())
            .all(|name| name != "alertname")
    );
}
