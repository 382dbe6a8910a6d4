//! Logins that a registry would take and does not insist on: it answers everybody, and more to those
//! who say who they are.

use std::path::PathBuf;

use base64::Engine as _;
use registry_double::{Basic, Bearer, CatalogAccess, Double, Reply, ScopeShown, on};
use registry_probe::report::Sweep;
use serde_json::json;

use super::listing::by_twos;
use super::probe::{Probe, details, told};

const ALL: [&str; 5] = ["public", "team/a", "team/b", "team/c", "team/d"];
/// As zot writes it, without quotes.
const BASIC: &str = "basic realm=";

/// Five repositories, one of which everybody may see; a login lists them all.
async fn filled(auth: impl Into<registry_double::Auth>) -> Double {
    let double = Double::start().await;
    for name in ALL {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    double.require(auth);
    double.open_to_everybody(&["public"]);
    double
}

async fn basic() -> Double {
    filled(Basic::new("user", "secret")).await
}

fn token_challenge(double: &Double) -> String {
    format!(
        r#"Bearer realm="{}/token",service="registry""#,
        double.url()
    )
}

fn anonymous(double: &Double) -> usize {
    double.count(&on::any().without_header("authorization"))
}

/// What is refused to nobody, before the login was taken: at most four at a time. What is public needs none.
fn refused(double: &Double) -> usize {
    let seen = double.requests();
    seen.iter().filter(|seen| seen.status == 401).count()
}

fn assert_all(sweep: &Sweep) {
    assert_eq!(told(sweep), ["intact"], "{}", details(sweep));
    assert_eq!(sweep.counts.repositories.checked, 5);
}

const UNASKED: &str = "warning the login was never asked for, and so not sent";

#[tokio::test]
async fn a_login_is_sent_where_a_challenge_stands_beside_the_ping() {
    for challenge in [BASIC, "Basic realm=\"zot\"", "basic realm=My zot"] {
        let double = basic().await;
        double
            .when(on::ping())
            .set_header("WWW-Authenticate", challenge);
        let sweep = Probe::of(&double).login("user", "secret").sweep().await;
        assert_all(&sweep);
        assert!(refused(&double) <= 4, "{challenge}");

        double.forget_requests();
        let sweep = Probe::of(&double).login("user", "wrong").sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified - unauthorized"],
            "{challenge}"
        );
        assert!(double.requests().len() <= 3, "accounts get locked");
        assert!(!format!("{sweep:?}").contains("wrong"));

        // To nobody it makes no difference.
        double.forget_requests();
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{challenge}");
        assert_eq!(sweep.counts.repositories.checked, 1);
        assert_eq!(anonymous(&double), double.requests().len());
        assert!(double.requests().iter().all(|seen| seen.status < 400));
    }
}

#[tokio::test]
async fn a_login_is_sent_where_only_the_catalog_shows_a_challenge() {
    let double = basic().await;
    by_twos(&double);
    double
        .when(on::catalog())
        .set_header("WWW-Authenticate", BASIC);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_all(&sweep);
    assert!(refused(&double) <= 4);
    let sweep = Probe::of(&double).login("user", "wrong").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);

    // The catalog insists, the ping does not.
    let double = basic().await;
    double
        .when(on::catalog().without_header("authorization").before_auth())
        .reply(Reply::error(401, "UNAUTHORIZED", "who?").with_header("WWW-Authenticate", BASIC));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_all(&sweep);
}

#[tokio::test]
async fn a_token_is_fetched_where_one_is_offered() {
    for scope in [ScopeShown::Absent, ScopeShown::Fixed("*".to_owned())] {
        let bearer = Bearer::user_only("user", "secret").catalog(CatalogAccess::AnyToken);
        let double = filled(bearer.scope(scope.clone())).await;
        by_twos(&double);
        let challenge = match &scope {
            ScopeShown::Fixed(scope) => format!("{},scope=\"{scope}\"", token_challenge(&double)),
            _ => token_challenge(&double),
        };
        double
            .when(on::ping())
            .set_header("WWW-Authenticate", &challenge);
        let sweep = Probe::of(&double).login("user", "secret").sweep().await;
        assert_all(&sweep);
        // The password goes to the token service and nowhere else.
        let passwords = on::any().header_with("authorization", "Basic ");
        assert_eq!(double.count(&passwords), double.count(&on::token()));
        // The ping and, where no scope is named for it, one page that everybody gets.
        assert!(anonymous(&double) <= 2, "{scope:?}");
        assert!(double.count(&on::token()) <= 6, "{scope:?}");

        double.forget_requests();
        let sweep = Probe::of(&double).login("user", "wrong").sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified - unauthorized"],
            "{scope:?}"
        );
        assert!(double.count(&on::token()) <= 2, "accounts get locked");

        // Whoever has no login fetches no token for what is given without.
        double.forget_requests();
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{scope:?}");
        assert_eq!(sweep.counts.repositories.checked, 1);
        assert_eq!(double.count(&on::token()), 0, "{scope:?}");
    }
    // As zot writes it.
    let bearer = Bearer::user_only("user", "secret").catalog(CatalogAccess::AnyToken);
    let double = filled(bearer).await;
    let challenge = format!("bearer realm={}/token", double.url());
    double
        .when(on::ping())
        .set_header("WWW-Authenticate", &challenge);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_all(&sweep);
}

#[tokio::test]
async fn a_catalog_that_is_empty_to_nobody_is_asked_for_by_token() {
    // Quay: the ping insists on a token, the catalog does not.
    let double = Double::start().await;
    for name in ALL {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    by_twos(&double);
    let bearer = Bearer::anonymous().user("user", "secret");
    double.require(bearer.catalog(CatalogAccess::AnyToken));
    let nobody = on::catalog().without_header("authorization").before_auth();
    double
        .when(nobody)
        .reply(Reply::json(200, &json!({"repositories": []})));
    double
        .when(on::token().param_with("scope", "registry:catalog:"))
        .error(400, "INVALID_REQUEST");
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_all(&sweep);
    let catalog = on::catalog().without_header("authorization");
    assert_eq!(double.count(&catalog), 1, "once, and not for each page");
    assert_eq!(double.count(&on::token()), 6);
    // Without a login, nothing is asked for that is not wanted.
    double.forget_requests();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - nothing_listed"]);
    assert_eq!(double.count(&on::token()), 0);
}

#[tokio::test]
async fn a_challenge_beside_any_other_status_is_answered_too() {
    let unknown = Reply::error(404, "NAME_UNKNOWN", "unknown");
    for refusal in [
        Reply::error(403, "DENIED", "no"),
        Reply::status(403),
        unknown,
        Reply::status(404),
    ] {
        let status = refusal.status;
        let double = basic().await;
        let nobody = on::any()
            .repository("team/a")
            .without_header("authorization")
            .before_auth();
        double
            .when(nobody)
            .reply(refusal.with_header("WWW-Authenticate", "Basic realm=\"x\""));
        let named = ["team/a", "public"];
        let probe = Probe::of(&double)
            .repositories(&named)
            .login("user", "secret");
        assert_eq!(told(&probe.sweep().await), ["intact"], "{status}");
        let sweep = Probe::of(&double).repositories(&named).sweep().await;
        assert_eq!(told(&sweep)[0], "unverified", "{status}");
    }
    // The ping, too: with either kind of login.
    let double = basic().await;
    let challenged = Reply::status(403).with_header("WWW-Authenticate", "Basic realm=\"x\"");
    let nobody = on::ping().without_header("authorization").before_auth();
    double.when(nobody.clone()).reply(challenged);
    assert_all(&Probe::of(&double).login("user", "secret").sweep().await);
    let bearer = Bearer::user_only("user", "secret").catalog(CatalogAccess::AnyToken);
    let double = filled(bearer).await;
    let challenged = Reply::status(403).with_header("WWW-Authenticate", &token_challenge(&double));
    double.when(nobody).reply(challenged);
    assert_all(&Probe::of(&double).login("user", "secret").sweep().await);
}

#[tokio::test]
async fn who_asks_for_patience_is_not_asked_again_at_once() {
    let double = basic().await;
    let busy = Reply::error(429, "TOOMANYREQUESTS", "slowly").with_header("Retry-After", "1");
    let busy = busy.with_header("WWW-Authenticate", BASIC);
    double.when(on::catalog().first(1)).reply(busy);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_all(&sweep);
    let [first, second, ..] = &double.seen(&on::catalog())[..] else {
        panic!("it was asked again")
    };
    assert!(second.at.duration_since(first.at).as_millis() >= 900);
}

#[tokio::test]
async fn a_login_that_nobody_asks_for_is_told() {
    let double = basic().await;
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["intact", UNASKED]);
    assert!(sweep.warnings[0].contains("--repo"), "{:?}", sweep.warnings);
    assert_eq!(sweep.counts.repositories.checked, 1);
    assert_eq!(double.count(&on::any().header("authorization")), 0);
    // What it says to do helps.
    let probe = Probe::of(&double)
        .repositories(&ALL)
        .login("user", "secret");
    assert_all(&probe.sweep().await);

    // Asked for only after the catalog was given.
    let double = basic().await;
    double.open_to_everybody(&["public", "team/a"]);
    let nobody = on::any()
        .repository("team/a")
        .without_header("authorization")
        .before_auth();
    let refusal = Reply::error(401, "UNAUTHORIZED", "who?");
    double
        .when(nobody)
        .reply(refusal.with_header("WWW-Authenticate", "Basic realm=\"x\""));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "intact",
            "warning the catalog was given before the login was asked for"
        ]
    );
}

/// A file of docker's or podman's with these logins.
fn authfile(directory: &tempfile::TempDir, logins: &[(&str, &str)]) -> PathBuf {
    let encode = |login: &str| base64::engine::general_purpose::STANDARD.encode(login);
    let auths: serde_json::Map<_, _> = logins
        .iter()
        .map(|(key, login)| ((*key).to_owned(), json!({"auth": encode(login)})))
        .collect();
    let path = directory.path().join("auth.json");
    std::fs::write(&path, json!({ "auths": auths }).to_string()).expect("it is written");
    path
}

#[tokio::test]
async fn a_login_for_some_repositories_is_sent_for_these() {
    for challenge in [Some(BASIC), None] {
        let double = basic().await;
        if let Some(challenge) = challenge {
            double
                .when(on::ping())
                .set_header("WWW-Authenticate", challenge);
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let key = format!("{}/team", double.address());
        let files = [authfile(&directory, &[(&key, "user:secret")])];
        let probe = Probe::of(&double).authfiles(&files).repositories(&ALL);
        assert_all(&probe.sweep().await);
        let sent = double.seen(&on::any().header("authorization"));
        assert!(!sent.is_empty());
        assert!(
            sent.iter()
                .all(|seen| seen.request.path.starts_with("/v2/team/"))
        );
        assert!(refused(&double) <= 4);

        // The catalog is nobody's, so the rest is not seen.
        let sweep = Probe::of(&double).authfiles(&files).sweep().await;
        assert_eq!(told(&sweep), ["intact", UNASKED]);
    }
}

#[tokio::test]
async fn another_registrys_login_is_no_reason_to_warn() {
    let double = basic().await;
    double
        .when(on::ping())
        .set_header("WWW-Authenticate", BASIC);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let longer = format!("{}0", double.address());
    let logins = [
        ("127.0.0.1", "user:secret"),
        ("127.0.0.1:1", "user:secret"),
        (&longer, "user:secret"),
    ];
    let files = [authfile(&directory, &logins)];
    let sweep = Probe::of(&double).authfiles(&files).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(double.count(&on::any().header("authorization")), 0);
}

#[tokio::test]
async fn a_challenge_from_elsewhere_gets_nothing_of_ours() {
    let other = Double::start().await;
    other.image("public", Some("v1"), &[b"a layer"]);
    other
        .when(on::any())
        .set_header("WWW-Authenticate", "Basic realm=\"x\"");
    let double = basic().await;
    double.when(on::catalog()).redirect_to(307, &other);
    double.when(on::ping()).redirect_to(307, &other);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["intact", UNASKED]);
    for registry in [&double, &other] {
        assert_eq!(registry.count(&on::any().header("authorization")), 0);
    }
}

#[tokio::test]
async fn a_refusal_not_about_us_is_passed_on_and_renews_little() {
    let basic = registry_double::Auth::from(Basic::new("user", "secret"));
    let bearer = registry_double::Auth::from(Bearer::user_only("user", "secret"));
    for auth in [basic, bearer] {
        for status in [400, 403] {
            let double = Double::start().await;
            let layers = [&b"a layer"[..]];
            for n in 0..6 {
                double.image(
                    "app",
                    Some(&format!("v{n}")),
                    &[layers[0], format!("{n}").as_bytes()],
                );
            }
            double.require(auth.clone());
            // HEAD shows no code: its GET tells.
            double.when(on::any().head()).reply(Reply::status(status));
            let sized = on::any().matching(|request| request.param("n").is_some());
            double.when(sized).reply(Reply::status(400));
            let probe = Probe::of(&double).login("user", "secret").concurrency(1);
            let sweep = probe.sweep().await;
            assert_eq!(told(&sweep), ["intact"], "{status}: {}", details(&sweep));
            assert_eq!(sweep.counts.tags.checked, 6);
            // The catalog's and the repository's, each renewed in vain once.
            assert!(
                double.count(&on::token()) <= 4,
                "{}",
                double.count(&on::token())
            );
        }
    }
}
