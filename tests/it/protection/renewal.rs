//! Files that change while the server runs.

use super::support::{Ask as _, Authority, Files, Server, client, trusting, user};
use super::{TLS, TOKEN};

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_connection() {
    let [old, new] = [Authority::new(), Authority::new()];
    let files = Files::new(TLS);
    files.certify(&old);
    let server = Server::of(&files).await;
    let clients = [&old, &new].map(|authority| trusting(authority).build().expect("a client"));
    let statuses = async || {
        let [first, second] = &clients;
        let url = server.https("/metrics");
        let first = first.get(&url).send().status().await;
        (first, second.get(&url).send().status().await)
    };
    assert_eq!(statuses().await, (Some(200), None));
    // Between the two files of a renewal, what was there goes on.
    let (certificate, key) = new.issue("127.0.0.1");
    files.write("tls.crt", &certificate);
    assert_eq!(statuses().await, (Some(200), None));
    files.write("tls.key", &key);
    assert_eq!(statuses().await, (None, Some(200)));
    std::fs::remove_file(files.path("tls.key")).expect("removed");
    assert_eq!(statuses().await, (None, Some(200)));
}

#[tokio::test]
async fn a_password_that_is_withdrawn_opens_nothing_any_more() {
    let users = |lines: &str| format!("basic_auth_users:\n{lines}");
    let alice = user("alice", "wonderland");
    let files = Files::new(&users(&alice));
    let server = Server::of(&files).await;
    let client = client().build().expect("a client");
    let status = async |user: &str, password: &str| {
        let request = client.get(server.http("/metrics"));
        let request = request.basic_auth(user, Some(password));
        request.send().status().await
    };
    assert_eq!(status("alice", "wonderland").await, Some(200));
    files.write("web.yml", &users(&(user("bob", "builder"))));
    assert_eq!(status("alice", "wonderland").await, Some(401));
    assert_eq!(status("bob", "builder").await, Some(200));
    // Whatever becomes of the file, it does not open anything.
    files.write("token", TOKEN);
    for broken in [
        "",
        "basic_auth_users: {}\n",
        "basic_auth_users:\n  bob: x\n",
        "tls_server_config: [\n",
    ] {
        files.write("web.yml", broken);
        assert_eq!(status("eve", "").await, Some(401), "{broken}");
        assert_eq!(status("bob", "builder").await, Some(200), "{broken}");
    }
    files.write("web.yml", "bearer_token_files: [token]\n");
    assert_eq!(status("bob", "builder").await, Some(401));
    let request = client.get(server.http("/metrics")).bearer_auth(TOKEN);
    assert_eq!(request.send().status().await, Some(200));
}

#[tokio::test]
async fn tls_and_passwords_are_not_dropped_by_a_change() {
    let authority = Authority::new();
    let both = format!("{TLS}basic_auth_users:\n{}", user("alice", "wonderland"));
    let files = Files::new(&both);
    files.certify(&authority);
    let server = Server::of(&files).await;
    let client = trusting(&authority).build().expect("a client");
    for less in [TLS, &both.replace(TLS, "")] {
        files.write("web.yml", less);
        let request = client.get(server.https("/metrics"));
        assert_eq!(request.send().status().await, Some(401), "{less}");
        let request = client.get(server.http("/metrics"));
        assert_eq!(request.send().status().await, None, "{less}");
    }
}
