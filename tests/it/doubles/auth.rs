//! Challenges and token services: what is sent to whom, and how often.

use registry_double::{Basic, Bearer, CatalogAccess, Double, Reply, ScopeShown, TokenField, on};
use registry_probe::report::Verdict;

use super::probe::{Probe, details, told};

/// `one` and `two`, each with an image.
async fn filled() -> Double {
    let double = Double::start().await;
    double.image("one", Some("v1"), &[b"a layer"]);
    double.image("two", Some("v1"), &[b"another"]);
    double
}

const NAMED: [&str; 2] = ["one", "two"];

#[tokio::test]
async fn the_challenge_says_where_the_token_is_and_what_it_is_for() {
    for shown in [
        ScopeShown::Needed,
        ScopeShown::Empty,
        ScopeShown::Absent,
        ScopeShown::Fixed("*".to_owned()),
    ] {
        let double = filled().await;
        let scope = shown.clone();
        double.require(Bearer::anonymous().scope(shown).service("a, \\\"b\\\""));
        let sweep = Probe::of(&double).repositories(&NAMED).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{scope:?}");
        let is_fixed = matches!(scope, ScopeShown::Fixed(_));
        let expected = if is_fixed { 1 } else { 2 };
        assert_eq!(double.count(&on::token()), expected, "{scope:?}");
    }
}

#[tokio::test]
async fn a_right_to_the_catalog_is_asked_for_by_challenge_only() {
    let double = filled().await;
    double.require(Bearer::anonymous().catalog(CatalogAccess::AnyToken));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let catalog = on::token().param_with("scope", "registry:catalog");
    assert_eq!(double.count(&catalog), 0);
}

#[tokio::test]
async fn several_challenges_in_any_form() {
    for (headers, user) in [
        (vec!["Basic realm=\"x\"", "BEARER"], false),
        (vec!["Negotiate", "bearer", "Basic realm=\"x, y\""], false),
        (
            vec!["Digest realm=\"x\", nonce=\"y\"", "BaSiC Realm=\"x\""],
            true,
        ),
    ] {
        let double = filled().await;
        if user {
            double.require(Basic::new("user", "secret"));
        } else {
            double.require(Bearer::anonymous());
        }
        let written = headers.clone();
        double
            .when(on::any().before_auth())
            .edit(move |_, reply| rewrite(reply, &written));
        let probe = Probe::of(&double).login("user", "secret");
        let probe = if user { probe } else { Probe::of(&double) };
        assert_eq!(told(&probe.sweep().await), ["intact"], "{headers:?}");
    }
}

/// Writes the registry's own Bearer challenge among others, in this order.
fn rewrite(reply: Reply, headers: &[&str]) -> Reply {
    let Some(own) = reply.header("www-authenticate").map(str::to_owned) else {
        return reply;
    };
    let mut reply = reply.without_header("WWW-Authenticate");
    for header in headers {
        let is_own = header.eq_ignore_ascii_case("bearer");
        let value = if is_own {
            own.replace("Bearer ", &format!("{header} "))
        } else {
            (*header).to_owned()
        };
        reply = reply.and_header("WWW-Authenticate", &value);
    }
    reply
}

#[tokio::test]
async fn a_token_is_had_by_get_and_password_in_either_field() {
    for field in [TokenField::Token, TokenField::AccessToken, TokenField::Both] {
        let double = filled().await;
        double.require(Bearer::user_only("user", "secret").field(field));
        let sweep = Probe::of(&double).login("user", "secret").sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{field:?}");
        assert_eq!(double.count(&on::token().method("POST")), 0);
        let tokens = on::token().get().header_with("authorization", "Basic ");
        assert_eq!(double.count(&tokens), double.count(&on::token()));
        // The password goes to the token service and nowhere else.
        let elsewhere = on::any().header_with("authorization", "Basic ");
        assert_eq!(double.count(&elsewhere), double.count(&tokens));
    }
}

#[tokio::test]
async fn a_separate_token_service_alone_is_told_the_password() {
    let double = filled().await;
    let service = Double::beside(&double).await;
    let realm = format!("{}/token", service.url());
    double.require(Bearer::user_only("user", "secret").realm(&realm));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(
        double.count(&on::any().header_with("authorization", "Basic")),
        0
    );
    assert_eq!(service.count(&on::token()), 3);
    assert_eq!(service.requests().len(), 3);
}

#[tokio::test]
async fn a_realm_that_is_no_web_address_is_refused() {
    for realm in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/token",
        "nowhere",
        "/token",
    ] {
        let double = filled().await;
        double.require(Bearer::user_only("user", "secret").realm(realm));
        let sweep = Probe::of(&double).login("user", "secret").sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified - protocol"],
            "{realm}"
        );
        assert!(
            details(&sweep).contains("token service"),
            "{}",
            details(&sweep)
        );
        assert_eq!(double.count(&on::any().header("authorization")), 0);
    }
}

#[tokio::test]
async fn a_redirecting_token_service_gets_no_password_elsewhere() {
    let double = filled().await;
    let other = Double::start().await;
    double.require(Bearer::user_only("user", "secret"));
    double.when(on::token()).redirect_to(307, &other);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(sweep.verdict(), Verdict::Unverified);
    assert_eq!(other.count(&on::any().header("authorization")), 0);
}

#[tokio::test]
async fn a_redirect_within_the_token_service_is_followed() {
    for status in [301, 302, 307, 308] {
        let double = filled().await;
        double.require(Bearer::user_only("user", "secret"));
        let first = on::token().matching(|request| request.param("moved").is_none());
        double.when(first).answer(move |_, request| {
            Reply::redirect(status, &format!("/token?{}&moved=1", request.query))
        });
        let sweep = Probe::of(&double).login("user", "secret").sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn a_token_redirect_elsewhere_is_followed_by_nobody_known() {
    let double = filled().await;
    let other = Double::beside(&double).await;
    double.require(Bearer::anonymous());
    double.when(on::token()).redirect_to(307, &other);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert!(other.count(&on::token()) > 0);

    double.require(Bearer::user_only("user", "secret"));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
    let said = details(&sweep);
    assert!(said.contains("which gets no credentials"), "{said}");
    assert_eq!(other.count(&on::any().header("authorization")), 0);
}

#[tokio::test]
async fn a_circle_of_token_redirects_ends() {
    let double = filled().await;
    double.require(Bearer::anonymous());
    double.when(on::token()).redirect(302, "/token");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
    let said = details(&sweep);
    assert!(said.contains("more than 5 times"), "{said}");
}

#[tokio::test]
async fn what_a_challenge_calls_a_repository_is_remembered_for_it() {
    let double = Double::start().await;
    for name in ["gateway/one", "gateway/two"] {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    double.require(Bearer::anonymous().hidden_prefix("gateway/"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let requests = double.requests();
    let refused = requests.iter().filter(|seen| seen.status == 401);
    let refused: Vec<_> = refused.map(ToString::to_string).collect();
    // What the registry wants, the catalog, and each repository's first request.
    assert_eq!(refused.len(), 4, "{refused:?}");
}

#[tokio::test]
async fn the_catalogs_scope_is_named_from_its_second_page_on() {
    let double = Double::start().await;
    for name in ["a", "b", "c", "d"] {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    double.quirks(|quirks| {
        quirks.catalog.max = Some(1);
        quirks.catalog.over_max = registry_double::OverMax::Clamp;
    });
    double.require(Bearer::anonymous());
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let requests = double.requests();
    let refused = requests.iter().filter(|seen| seen.status == 401);
    assert_eq!(refused.count(), 2, "the ping and the first page");
}

#[tokio::test]
async fn a_repository_that_is_denied_is_unverified() {
    let double = filled().await;
    double.require(Bearer::user_only("user", "secret").deny("two"));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified two forbidden"]);
    assert_eq!(
        sweep
            .repositories
            .iter()
            .filter(|r| r.unverified == 0)
            .count(),
        1
    );
    let two = on::token().param_with("scope", "repository:two:");
    // In each of two looks.
    assert!(double.count(&two) <= 2 * 2, "{}", double.count(&two));
    assert!(double.count(&on::any().repository("two")) <= 2 * 4);
}

#[tokio::test]
async fn a_repository_closed_to_anonymous_clients_wants_a_login() {
    let double = filled().await;
    double.require(Bearer::anonymous().user("user", "secret").private("two"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified two unauthorized"]);
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn a_token_that_fails_for_one_repository_hides_it_alone() {
    let each = [
        (400, "forbidden"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "forbidden"),
        (429, "rate_limited"),
        (500, "registry_error"),
        (502, "registry_error"),
        (503, "registry_error"),
    ]
    .map(|(status, reason)| async move {
        let double = filled().await;
        double.require(Bearer::anonymous());
        let refusal = Reply::error(status, "DENIED", "no").with_header("Retry-After", "0");
        double
            .when(on::token().param_with("scope", "repository:two:"))
            .reply(refusal);
        let sweep = Probe::of(&double).sweep().await;
        let why = format!("unverified two {reason}");
        assert_eq!(told(&sweep), ["unverified", &why], "{status}");
        assert!(details(&sweep).contains("token service"));
        // For the catalog, for the other one, and three tries for this one in each of two looks.
        assert!(double.count(&on::token()) <= 2 + 2 * 3, "{status}");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_token_service_that_answers_nonsense_is_unverified() {
    for reply in [
        Reply::html(200, "Sign in"),
        Reply::json(200, &serde_json::json!({})),
        Reply::json(200, &serde_json::json!({"token": ""})),
        Reply::status(204),
    ] {
        let double = filled().await;
        double.require(Bearer::anonymous());
        double.when(on::token()).reply(reply);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["unverified", "unverified - protocol"]);
        assert!(double.count(&on::token()) <= 2);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_for_ever() {
    let double = filled().await;
    double.require(Basic::new("user", "secret"));
    let sweep = Probe::of(&double).login("user", "wrong").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
    assert!(double.requests().len() <= 3, "accounts get locked");
    let said = format!("{sweep:?}");
    assert!(!said.contains("wrong"), "{said}");

    let double = filled().await;
    double.require(Bearer::user_only("user", "secret"));
    let sweep = Probe::of(&double).login("user", "wrong").sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
    assert!(double.count(&on::token()) <= 2, "accounts get locked");
}

#[tokio::test]
async fn no_login_where_one_is_wanted() {
    for auth in [
        registry_double::Auth::from(Basic::new("user", "secret")),
        registry_double::Auth::from(Bearer::user_only("user", "secret")),
    ] {
        let double = filled().await;
        double.require(auth);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["unverified", "unverified - unauthorized"]);
        assert!(double.requests().len() <= 4);
    }
}

#[tokio::test]
async fn a_basic_registry_is_asked_with_the_password_from_then_on() {
    let double = filled().await;
    double.require(Basic::new("user", "secret"));
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let refused = double
        .requests()
        .iter()
        .filter(|seen| seen.status == 401)
        .count();
    assert_eq!(refused, 1, "the ping, which asks what is wanted");
}

#[tokio::test]
async fn credentials_are_not_sent_before_they_are_asked_for() {
    let double = filled().await;
    let sweep = Probe::of(&double).login("user", "secret").sweep().await;
    assert_eq!(told(&sweep)[0], "intact");
    assert_eq!(double.count(&on::any().header("authorization")), 0);
}
