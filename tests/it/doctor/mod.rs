//! `probe doctor` against registries of every kind: the facts that it finds, and what it leaves alone.

mod caches;
mod logins;
mod products;

use registry_double::Registry;
use registry_probe::doctor::{self, Check, Examination};
use registry_probe::registry::client::{Config, CredentialSource, Endpoint, HttpRegistry, Secret};
use serde_json::Value;

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
        ..config(registry)
    };
    examine_with(registry, config, repositories).await
}

fn config(registry: &Registry) -> Config {
    Config {
        timeout: PATIENCE,
        ..Config::new(Endpoint::parse(&registry.url(), false).expect("an address"))
    }
}

async fn examine_with(registry: &Registry, config: Config, repositories: &[&str]) -> Examination {
    let named = repositories
        .iter()
        .map(|name| name.parse().expect("a name"));
    let named: Vec<_> = named.collect();
    let client = HttpRegistry::new(config).expect("a client");
    let examination = doctor::examine(&client, &named, "").await;
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
    let page = doctor::render(examinations, false);
    page + &doctor::json(examinations)
}

/// Holds the page against a snapshot, with the ports blotted out, which differ from run to run.
fn assert_page(name: &str, examination: &Examination) {
    const BEFORE: &str = "127.0.0.1:";
    let page = doctor::render(std::slice::from_ref(examination), false);
    let mut pieces = page.split(BEFORE);
    let first = pieces.next().unwrap_or_default().to_owned();
    let page = pieces.fold(first, |page, piece| {
        page + BEFORE + "_____" + piece.trim_start_matches(|c: char| c.is_ascii_digit())
    });
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, page) });
}

fn check<'a>(examination: &'a Examination, id: &str) -> &'a Check {
    let check = examination.checks.iter().find(|check| check.id == id);
    check.unwrap_or_else(|| panic!("no {id}: {examination:#?}"))
}

/// What was found, for programs.
fn data<'a>(examination: &'a Examination, id: &str) -> &'a Value {
    &check(examination, id).data
}
