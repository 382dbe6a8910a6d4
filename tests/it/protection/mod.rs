//! Who may read the endpoints, and how: the listener as the service runs it, over real sockets.

mod clients;
mod limits;
mod renewal;
mod support;

use support::{Ask as _, Authority, Files, Server, client, trusting, user};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const TLS: &str = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";

#[tokio::test]
async fn a_password_opens_everything_but_health_which_is_open() {
    let files = Files::new(&format!(
        "basic_auth_users:\n{}",
        user("alice", "wonderland")
    ));
    let server = Server::of(&files).await;
    let client = client().build().expect("a client");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            client.get(server.http(path)).send().status().await,
            Some(200)
        );
    }
    for path in [
        "/metrics",
        "/",
        "/healthz/",
        "/Healthz",
        "//healthz",
        "/nowhere",
        "/metrics?/healthz",
    ] {
        let answer = client
            .get(server.http(path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 401, "{path}");
        let challenge = answer.headers()["www-authenticate"].to_str();
        assert_eq!(
            challenge.ok(),
            Some("Basic realm=\"probe\", charset=\"UTF-8\"")
        );
    }
    for (user, password, expected) in [
        ("alice", "wonderland", 200),
        ("alice", "wonderland", 200),
        ("alice", "Wonderland", 401),
        ("alice", "", 401),
        ("bob", "wonderland", 401),
        ("", "wonderland", 401),
    ] {
        let request = client.get(server.http("/metrics"));
        let request = request.basic_auth(user, Some(password));
        assert_eq!(
            request.send().status().await,
            Some(expected),
            "{user} {password}"
        );
    }
    let request = client.get(server.http("/metrics")).bearer_auth(TOKEN);
    assert_eq!(request.send().status().await, Some(401));
}

#[tokio::test]
async fn a_token_opens_them_too() {
    let files = Files::new("bearer_token_files: [token, other]\n");
    files.write("token", &format!("{TOKEN}\nsecond line\n"));
    files.write("other", "another-token-of-some-length");
    let server = Server::of(&files).await;
    let client = client().build().expect("a client");
    for (token, expected) in [
        (TOKEN, 200),
        ("another-token-of-some-length", 200),
        ("second line", 401),
        ("", 401),
    ] {
        let request = client.get(server.http("/metrics")).bearer_auth(token);
        assert_eq!(request.send().status().await, Some(expected), "{token}");
    }
    let refused = client
        .get(server.http("/metrics"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        refused.headers()["www-authenticate"],
        "Bearer realm=\"probe\""
    );
}

#[tokio::test]
async fn tls_is_spoken_and_nothing_else() {
    let authority = Authority::new();
    let files = Files::new(TLS);
    files.certify(&authority);
    let server = Server::of(&files).await;
    let client = trusting(&authority).build().expect("a client");
    assert_eq!(
        client.get(server.https("/metrics")).send().status().await,
        Some(200)
    );
    assert_eq!(
        client.get(server.http("/metrics")).send().status().await,
        None
    );
    let stranger = trusting(&Authority::new()).build().expect("a client");
    assert_eq!(
        stranger.get(server.https("/metrics")).send().status().await,
        None
    );
    // What went wrong with one client is nothing to the next.
    assert_eq!(
        client.get(server.https("/metrics")).send().status().await,
        Some(200)
    );
}

#[tokio::test]
async fn the_oldest_version_can_be_chosen() {
    let authority = Authority::new();
    for (lowest, expected) in [("TLS12", Some(200)), ("TLS13", None)] {
        let files = Files::new(&format!("{TLS}  min_version: {lowest}\n"));
        files.certify(&authority);
        let server = Server::of(&files).await;
        let old = trusting(&authority).tls_version_max(reqwest::tls::Version::TLS_1_2);
        let old = old.build().expect("a client");
        assert_eq!(
            old.get(server.https("/metrics")).send().status().await,
            expected
        );
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_file() {
    let authority = Authority::new();
    let files = Files::new(TLS);
    let error = || files.protection().err().unwrap_or_default();
    assert!(error().contains("tls.crt"), "{}", error());
    files.certify(&authority);
    assert_eq!(error(), "");
    files.write("tls.key", &authority.issue("127.0.0.1").1);
    assert!(error().contains("tls.key"), "another's key: {}", error());
    files.write("tls.crt", "nothing");
    assert!(error().contains("it holds no certificate"), "{}", error());
    files.write("web.yml", "bearer_token_files: [token]\n");
    assert!(error().contains("token"), "{}", error());
    files.write("token", "hunter2\n");
    assert!(error().contains("at least 16 characters"), "{}", error());
    assert!(!error().contains("hunter2"));
    files.write("web.yml", "tls_server_config: {}\nbasic_auth: {}\n");
    assert!(
        error().contains("web.yml:1: `tls_server_config` has no cert_file"),
        "{}",
        error()
    );
}
