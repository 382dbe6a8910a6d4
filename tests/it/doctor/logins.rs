//! Who we are: what a registry wants to know, whether it takes it, and that nobody else hears of it.

use registry_double::{Basic, Bearer, Double, Reply, on, presets};
use registry_probe::doctor::{Examination, Outlook};
use registry_probe::registry::client::{CredentialSource, LoginStore};
use serde_json::json;

use super::{assert_page, check, data, examine, examine_as, login, shown};

/// What is wanted, and what came of it.
fn found_login(found: &Examination) -> (&str, &str) {
    let login = data(found, "login");
    let word = |key: &str| login[key].as_str().expect("a word");
    (word("wanted"), word("result"))
}

async fn double_with_image() -> Double {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double
}

#[tokio::test]
async fn a_password_that_is_missing() {
    let double = double_with_image().await;
    double.require(Basic::new("sweeper", "hunter2"));
    let found = examine(&double, &[]).await;
    assert_eq!(found_login(&found), ("password", "missing"));
    assert_eq!(data(&found, "login")["is_known"], false);
    assert_eq!((found.outlook, found.requests), (Outlook::Blind, 2));
    assert_page("login_missing", &found);
}

#[tokio::test]
async fn what_is_public_is_seen_where_the_ping_wants_a_password() {
    let double = double_with_image().await;
    let refusal = Reply::error(401, "UNAUTHORIZED", "who?");
    let refusal = refusal.with_header("WWW-Authenticate", "Basic realm=\"x\"");
    double.when(on::ping()).reply(refusal.clone());
    let found = examine(&double, &[]).await;
    assert_eq!(found_login(&found), ("password", "missing"));
    assert_eq!(found.outlook, Outlook::Ready, "{found:#?}");
    assert_eq!(data(&found, "catalog")["entries"], 1);
    assert_page("login_for_the_ping", &found);

    // By name, where the catalog is not for everybody.
    double.when(on::catalog()).reply(refusal);
    let found = examine(&double, &["app"]).await;
    assert_eq!(found.outlook, Outlook::Ready, "{found:#?}");
    assert_eq!(data(&found, "catalog")["reason"], "unauthorized");
}

#[tokio::test]
async fn a_password_that_is_wrong_is_shown_once_and_to_nobody_else() {
    let double = double_with_image().await;
    double.require(Basic::new("sweeper", "hunter2"));
    let found = examine_as(&double, login("sweeper", "swordfish"), &[]).await;
    assert_eq!(found_login(&found).1, "refused", "{found:#?}");
    assert_eq!(data(&found, "login")["is_known"], true);
    assert_eq!(data(&found, "login")["user"], "sweeper");
    assert_eq!(found.outlook, Outlook::Blind);
    assert_eq!(double.count(&on::any().header("authorization")), 1);
    assert!(!shown(&found).contains("swordfish"));
    assert_page("login_refused", &found);
}

#[tokio::test]
async fn a_password_that_is_right() {
    let double = double_with_image().await;
    double.require(Basic::new("sweeper", "hunter2"));
    let found = examine_as(&double, login("sweeper", "hunter2"), &[]).await;
    assert_eq!(
        (found_login(&found).1, found.outlook),
        ("accepted", Outlook::Ready)
    );
    assert!(!shown(&found).contains("hunter2"));
}

#[tokio::test]
async fn a_password_from_the_files_of_docker() {
    let double = double_with_image().await;
    double.require(Basic::new("sweeper", "hunter2"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.json");
    let auths = json!({ "auths": { double.address(): { "auth": "c3dlZXBlcjpodW50ZXIy" } } });
    std::fs::write(&path, auths.to_string()).expect("written");
    let found = examine_as(
        &double,
        CredentialSource::Stored(vec![LoginStore::at(&path)]),
        &[],
    )
    .await;
    assert_eq!(data(&found, "login")["is_known"], true);
    assert_eq!(data(&found, "login")["user"], json!(null));
    assert_eq!(found_login(&found), ("password", "accepted"));

    std::fs::write(&path, "{").expect("written");
    double.forget_requests();
    let found = examine_as(
        &double,
        CredentialSource::Stored(vec![LoginStore::at(path)]),
        &[],
    )
    .await;
    assert_eq!(found_login(&found).1, "untried", "{found:#?}");
    let why = &check(&found, "login").words;
    assert!(why.contains("not a docker config"), "{why}");
}

#[tokio::test]
async fn a_token_service_that_does_not_know_the_user() {
    let double = double_with_image().await;
    double.require(Bearer::anonymous().user("sweeper", "hunter2"));
    let found = examine_as(&double, login("sweeper", "swordfish"), &[]).await;
    assert_eq!(found_login(&found).1, "refused", "{found:#?}");
    assert_eq!(double.count(&on::token()), 1);
    assert_eq!(double.count(&on::catalog()), 0);
}

#[tokio::test]
async fn a_token_service_for_everybody_and_for_users() {
    let double = double_with_image().await;
    double.require(
        Bearer::anonymous()
            .service("double")
            .user("sweeper", "hunter2")
            .private("app"),
    );
    let found = examine(&double, &[]).await;
    assert_eq!(data(&found, "catalog")["entries"], 1);
    assert_eq!(found_login(&found), ("token", "missing"));
    let reason = data(&found, "tags")["reason"].as_str();
    assert!(
        matches!(reason, Some("unauthorized" | "forbidden")),
        "{found:#?}"
    );
    assert_eq!(found.outlook, Outlook::Blind);
    assert_page("closed", &found);

    double.forget_requests();
    let found = examine_as(&double, login("sweeper", "hunter2"), &[]).await;
    assert_eq!(
        (found_login(&found).1, found.outlook),
        ("accepted", Outlook::Ready)
    );
    assert_eq!(data(&found, "manifest")["get"]["digest"], "right");
    let shown = shown(&found);
    assert!(shown.contains(r#""token_service": "double""#), "{shown}");
    let tokens = double.seen(&on::any().header_with("authorization", "Bearer "));
    let token = tokens
        .last()
        .and_then(|seen| seen.header("authorization"))
        .expect("a token");
    assert!(
        !shown.contains(token.trim_start_matches("Bearer ")),
        "{shown}"
    );
}

#[tokio::test]
async fn harbor_wants_a_password_for_its_catalog_alone() {
    let double = presets::harbor().await;
    double.image("library/app", Some("v1"), &[b"a layer"]);
    let found = examine(&double, &[]).await;
    assert_eq!(found_login(&found).0, "token", "{found:#?}");
    assert_eq!(data(&found, "catalog")["reason"], "unauthorized");
    assert_eq!(found.outlook, Outlook::Blind);

    double.forget_requests();
    let found = examine_as(&double, login("admin", "Harbor12345"), &[]).await;
    assert_eq!(found_login(&found).1, "accepted");
    assert_eq!(data(&found, "catalog")["entries"], 1);
    assert_eq!(found.outlook, Outlook::Ready);
}

#[tokio::test]
async fn a_registry_that_lets_everybody_greet_it() {
    let double = double_with_image().await;
    double.require(Basic::new("sweeper", "hunter2"));
    double
        .when(on::ping().before_auth())
        .reply(Reply::json(200, &json!({})));
    let found = examine(&double, &[]).await;
    assert_eq!(found_login(&found), ("password", "missing"));
    let cases = [("hunter2", true), ("swordfish", false)];
    for (password, is_right) in cases {
        double.forget_requests();
        let found = examine_as(&double, login("sweeper", password), &[]).await;
        assert_eq!(found_login(&found).1 == "accepted", is_right, "{found:#?}");
    }
}

#[tokio::test]
async fn a_login_that_nobody_asked_for_is_not_sent() {
    let double = double_with_image().await;
    let found = examine_as(&double, login("sweeper", "hunter2"), &[]).await;
    assert_eq!(found_login(&found), ("nothing", "not_wanted"));
    assert_eq!(double.count(&on::any().header("authorization")), 0);
    assert!(shown(&found).contains("not sent"));
}

#[tokio::test]
async fn whom_the_registry_redirects_to_is_not_told_the_password() {
    let other = double_with_image().await;
    other.require(Bearer::user_only("sweeper", "hunter2"));
    other.open_to_everybody(&[]);
    let challenge = format!("Bearer realm=\"{}/token\"", other.url());
    other
        .when(on::ping())
        .set_header("WWW-Authenticate", &challenge);
    let double = double_with_image().await;
    double.when(on::ping()).redirect_to(307, &other);
    let found = examine_as(&double, login("sweeper", "hunter2"), &[]).await;
    assert_ne!(found_login(&found).1, "accepted", "{found:#?}");
    assert!(shown(&found).contains(&format!("Name {} in its", other.url())));
    for registry in [&double, &other] {
        assert_eq!(registry.count(&on::any().header("authorization")), 0);
    }
}
