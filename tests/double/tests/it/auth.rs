//! Who may ask, and what the others hear.

use std::time::Duration;

use base64::Engine as _;
use registry_double::{Auth, Basic, Bearer, Double, Reply, ScopeShown, TokenField, presets};

use crate::PATIENCE;
use crate::client::{Answer, client, get, send, try_send};

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

async fn with(double: &Double, path: &str, authorization: &str) -> Answer {
    send(
        "GET",
        double,
        path,
        &[("authorization", authorization), crate::client::ACCEPT],
    )
    .await
}

/// Gets a token for a scope, anonymously.
async fn token(double: &Double, scope: &str) -> String {
    let answer = get(double, &format!("/token?service=registry&scope={scope}")).await;
    answer.json()["token"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn protected(auth: impl Into<Auth>) -> Double {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[]);
    double.image("secret", Some("v1"), &[]);
    double.require(auth);
    double
}

#[tokio::test]
async fn basic_wants_the_right_password() {
    let double = protected(Basic::new("user", "pass")).await;
    let refused = get(&double, "/v2/").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "UNAUTHORIZED")
    );
    assert_eq!(
        refused.header("www-authenticate"),
        "Basic realm=\"Registry Realm\""
    );
    assert_eq!(
        with(&double, "/v2/", &basic("user", "wrong")).await.status,
        401
    );
    assert_eq!(
        with(&double, "/v2/_catalog", &basic("user", "pass"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn passwords_run_out() {
    let double = protected(Auth::Open).await;
    let expires_after = |lifetime| {
        let expired = Reply::error(403, "DENIED", "expired");
        Basic::new("AWS", "token").expiring(lifetime, expired)
    };
    double.require(expires_after(PATIENCE));
    assert_eq!(
        with(&double, "/v2/", &basic("AWS", "token")).await.status,
        200
    );
    double.require(expires_after(Duration::from_millis(20)));
    tokio::time::sleep(Duration::from_millis(40)).await;
    let answer = with(&double, "/v2/", &basic("AWS", "token")).await;
    assert_eq!(
        (
            answer.status,
            answer.code().as_str(),
            answer.header("www-authenticate")
        ),
        (403, "DENIED", "")
    );
}

#[tokio::test]
async fn a_token_is_for_its_repository() {
    let double = protected(Bearer::anonymous()).await;
    let challenge = get(&double, "/v2/app/manifests/v1").await;
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"registry\",scope=\"repository:app:pull\"",
        double.url()
    );
    assert_eq!(
        (challenge.status, challenge.header("www-authenticate")),
        (401, expected.as_str())
    );
    let bearer = format!("Bearer {}", token(&double, "repository:app:pull").await);
    assert_eq!(
        with(&double, "/v2/app/manifests/v1", &bearer).await.status,
        200
    );
    let other = with(&double, "/v2/secret/manifests/v1", &bearer).await;
    assert!(
        other
            .header("www-authenticate")
            .ends_with(",error=\"insufficient_scope\"")
    );
    let unknown = with(&double, "/v2/app/manifests/v1", "Bearer made-up").await;
    assert!(
        unknown
            .header("www-authenticate")
            .ends_with(",error=\"invalid_token\"")
    );
    assert_eq!(with(&double, "/v2/", &bearer).await.status, 200);
}

#[tokio::test]
async fn tokens_expire_and_the_answer_differs() {
    let double = protected(Bearer::anonymous()).await;
    let bearer = format!("Bearer {}", token(&double, "repository:app:pull").await);
    assert_eq!(
        with(&double, "/v2/app/tags/list", &bearer).await.status,
        200
    );
    double.expire_tokens();
    let expired = with(&double, "/v2/app/tags/list", &bearer).await;
    assert_eq!(expired.status, 401);
    assert!(expired.header("www-authenticate").contains("invalid_token"));

    let brief = protected(Bearer::anonymous().lifetime(Duration::from_millis(20))).await;
    let bearer = format!("Bearer {}", token(&brief, "repository:app:pull").await);
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(
        with(&brief, "/v2/app/tags/list", &bearer).await.status,
        401,
        "by itself, too"
    );

    let double = presets::ecr_public().await;
    double.image("app", Some("v1"), &[]);
    let bearer = format!("Bearer {}", token(&double, "aws").await);
    assert_eq!(
        with(&double, "/v2/app/tags/list", &bearer).await.status,
        200
    );
    double.expire_tokens();
    let expired = with(&double, "/v2/app/tags/list", &bearer).await;
    assert_eq!((expired.status, expired.code().as_str()), (400, "DENIED"));
    assert_eq!(expired.header("www-authenticate"), "");
}

#[tokio::test]
async fn fewer_rights_or_a_refusal() {
    let double = protected(Bearer::anonymous().private("secret").user("user", "pass")).await;
    let poor = format!("Bearer {}", token(&double, "repository:secret:pull").await);
    let answer = with(&double, "/v2/secret/tags/list", &poor).await;
    assert!(
        answer
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    let rich = with(
        &double,
        "/token?scope=repository:secret:pull",
        &basic("user", "pass"),
    )
    .await
    .json();
    let rich = format!("Bearer {}", rich["token"].as_str().expect("a token"));
    assert_eq!(
        with(&double, "/v2/secret/tags/list", &rich).await.status,
        200
    );
    assert_eq!(
        with(&double, "/token", &basic("user", "wrong"))
            .await
            .status,
        401
    );

    double.require(
        Bearer::anonymous()
            .deny("secret")
            .denial(Reply::error(403, "DENIED", "denied")),
    );
    assert_eq!(
        get(&double, "/token?scope=repository:secret:pull")
            .await
            .status,
        403
    );
    double.require(Bearer::user_only("user", "pass"));
    assert_eq!(
        get(&double, "/token?scope=repository:app:pull")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn the_shape_of_tokens() {
    let double = protected(
        Bearer::anonymous()
            .field(TokenField::AccessToken)
            .saying_lifetime(None),
    )
    .await;
    let token = get(&double, "/token?scope=repository:app:pull")
        .await
        .json();
    assert!(token.get("token").is_none() && token.get("expires_in").is_none());
    assert!(token["access_token"].is_string());

    double.require(
        Bearer::user_only("user", "pass")
            .refresh_token("identity", "user")
            .scope(ScopeShown::Empty),
    );
    assert!(
        get(&double, "/v2/app/tags/list")
            .await
            .header("www-authenticate")
            .ends_with(",scope=\"\"")
    );
    let form = "grant_type=refresh_token&refresh_token=identity&service=registry\
                &scope=repository%3Aapp%3Apull";
    let request = client().post(format!("{}/token", double.url()));
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let issued = try_send(request).await.expect("an answer").json();
    let bearer = format!(
        "Bearer {}",
        issued["access_token"].as_str().expect("a token")
    );
    assert_eq!(
        with(&double, "/v2/app/tags/list", &bearer).await.status,
        200
    );
}

#[tokio::test]
async fn harbor_wants_a_password_for_its_catalog() {
    let double = presets::harbor().await;
    assert!(
        get(&double, "/v2/_catalog")
            .await
            .header("www-authenticate")
            .starts_with("Bearer ")
    );
    let token = get(&double, "/service/token?scope=registry:catalog:*")
        .await
        .json();
    let bearer = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let refused = with(&double, "/v2/_catalog", &bearer).await;
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, "Basic realm=\"harbor\"")
    );
    assert_eq!(
        with(&double, "/v2/_catalog", &basic("admin", "Harbor12345"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_token_service_can_be_elsewhere() {
    let double = protected(Auth::Open).await;
    let tokens = Double::beside(&double).await;
    double.require(Bearer::anonymous().realm(&format!("{}/token", tokens.url())));
    assert!(
        get(&double, "/v2/")
            .await
            .header("www-authenticate")
            .contains(&tokens.url())
    );
    let bearer = format!("Bearer {}", token(&tokens, "repository:app:pull").await);
    assert_eq!(
        with(&double, "/v2/app/tags/list", &bearer).await.status,
        200
    );
    assert_eq!(tokens.requests().len(), 1, "each has its own log");
}

#[tokio::test]
async fn two_challenges_are_two_headers() {
    let double = Double::start().await;
    let scope = ScopeShown::Fixed("*".to_owned());
    double.require(Bearer::anonymous().scope(scope).also_basic("a realm"));
    let answer = get(&double, "/v2/").await;
    let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2);
    assert!(
        challenges[0]
            .to_str()
            .expect("text")
            .contains("scope=\"*\"")
    );
}
