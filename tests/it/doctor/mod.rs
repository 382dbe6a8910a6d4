//! `probe doctor` against registries of every kind: the facts that it finds, and what it leaves alone.

mod caches;
mod logins;
mod products;

use registry_double::Registry;
use registry_probe::doctor;
use registry_probe::doctor::{BlobAnswers, Examination, ManifestHead, Page, Pull};
use registry_probe::registry::Unverified;
use registry_probe::registry::client::{Config, CredentialSource, Endpoint, HttpRegistry, Secret};

use crate::PATIENCE;

/// A layer that is longer than any config, and than what a sweep reads whole.
const LAYER: &[u8] = &[7; 20_000];

/// Examines as nobody.
async fn examine(registry: &Registry, repositories: &[&str]) -> Examination {
    examine_as(registry, CredentialSource::None, repositories).await
}

async fn examine_as(
    registry: &Registry,
    credentials: CredentialSource,
    repositories: &[&str],
) -> Examination {
    let config = Config {
        credentials,
        timeout: PATIENCE,
        ..Config::new(Endpoint::parse(&registry.url(), false).expect("an address"))
    };
    let named = repositories
        .iter()
        .map(|name| name.parse().expect("a name"));
    let named: Vec<_> = named.collect();
    let doctor = HttpRegistry::new(config).expect("a client");
    let examination = doctor.examine(&named).await;
    assert_polite(registry, &examination);
    examination
}

fn login(username: &str, password: &str) -> CredentialSource {
    CredentialSource::Given {
        username: username.to_owned(),
        password: Secret::new(password),
    }
}

/// It only reads, asks little, and asks for one thing at a time.
fn assert_polite(registry: &Registry, examination: &Examination) {
    let seen = registry.requests();
    let lines: Vec<_> = seen.iter().map(ToString::to_string).collect();
    let is_reading = |method: &str| matches!(method, "GET" | "HEAD");
    assert!(
        seen.iter().all(|seen| is_reading(seen.method())),
        "{lines:#?}"
    );
    assert!(examination.requests <= 16, "{lines:#?}");
    assert_eq!(registry.peak_in_flight(), 1, "{lines:#?}");
}

/// The page and the JSON, as people and programs get them.
fn shown(examination: &Examination) -> String {
    let examinations = std::slice::from_ref(examination);
    let page = doctor::page::render(examinations, false);
    page + &doctor::json::render(examinations)
}

fn catalog(examination: &Examination) -> &Page {
    let catalog = examination
        .catalog
        .as_ref()
        .expect("the catalog was asked for");
    catalog.as_ref().expect("it is offered")
}

fn refusal(examination: &Examination) -> &Unverified {
    let catalog = examination
        .catalog
        .as_ref()
        .expect("the catalog was asked for");
    catalog.as_ref().expect_err("it is not offered")
}

fn tags(examination: &Examination) -> &Page {
    let sample = examination
        .sample
        .as_ref()
        .expect("a repository was looked into");
    sample.tags.as_ref().expect("its tags are listed")
}

fn pull(examination: &Examination) -> &Pull {
    examination.pull().expect("an image was pulled")
}

fn manifest_head(examination: &Examination) -> &ManifestHead {
    pull(examination).head.as_ref().expect("HEAD is answered")
}

fn blob(examination: &Examination) -> &BlobAnswers {
    pull(examination)
        .blob
        .as_ref()
        .expect("a blob was asked for")
}
