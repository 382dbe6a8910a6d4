//! Clients that show certificates.

use reqwest::{ClientBuilder, Identity};

use super::support::{Ask as _, Authority, Files, Server, trusting};
use super::{TLS, TOKEN};

fn showing(client: ClientBuilder, authority: &Authority) -> reqwest::Client {
    let (certificate, key) = authority.issue("prometheus");
    let identity = Identity::from_pem(format!("{certificate}{key}").as_bytes()).expect("PEM");
    client.identity(identity).build().expect("a client")
}

fn files(server: &Authority, clients: &Authority, rest: &str) -> Files {
    let files = Files::new(&format!("{TLS}  client_ca_file: clients.pem\n{rest}"));
    files.certify(server);
    files.write("clients.pem", &clients.pem());
    files
}

#[tokio::test]
async fn one_that_is_required_is_not_asked_of_a_kubelet() {
    let [authority, clients] = [Authority::new(), Authority::new()];
    let files = files(
        &authority,
        &clients,
        "  client_auth_type: RequireAndVerifyClientCert\n",
    );
    let server = Server::of(&files).await;
    let nobody = trusting(&authority).build().expect("a client");
    assert_eq!(
        nobody.get(server.https("/healthz")).send().status().await,
        Some(200)
    );
    assert_eq!(
        nobody.get(server.https("/metrics")).send().status().await,
        Some(403)
    );
    let known = showing(trusting(&authority), &clients);
    assert_eq!(
        known.get(server.https("/metrics")).send().status().await,
        Some(200)
    );
    let stranger = showing(trusting(&authority), &authority);
    assert_eq!(
        stranger.get(server.https("/metrics")).send().status().await,
        None
    );
}

#[tokio::test]
async fn a_given_one_is_verified_and_does_not_replace_a_token() {
    let [authority, clients] = [Authority::new(), Authority::new()];
    let rest = "  client_auth_type: VerifyClientCertIfGiven\nbearer_token_files: token\n";
    let files = files(&authority, &clients, rest);
    files.write("token", TOKEN);
    let server = Server::of(&files).await;
    let known = showing(trusting(&authority), &clients);
    assert_eq!(
        known.get(server.https("/metrics")).send().status().await,
        Some(401)
    );
    let nobody = trusting(&authority).build().expect("a client");
    for client in [known, nobody] {
        let request = client.get(server.https("/metrics")).bearer_auth(TOKEN);
        assert_eq!(request.send().status().await, Some(200));
    }
    let stranger = showing(trusting(&authority), &authority);
    assert_eq!(
        stranger.get(server.https("/metrics")).send().status().await,
        None
    );
}
