//! Certificates that are meant for one registry: shown to it and trusted of it, and of nobody to whom it sends us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use registry_double::Double;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::tls::{Client, Server};
use super::{Said, probe};

const SWEEP: [&str; 4] = ["--once", "--confirm-after", "0s", "--allow-empty"];

/// A home with what a test puts there.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// The folder of a registry in `certs.d`, as docker and podman lay it out.
    fn certs_d(server: &Server, name: &str) -> PathBuf {
        let folder = Path::new(".config/containers/certs.d");
        folder.join(server.address.to_string()).join(name)
    }

    fn write_certs_d(&self, server: &Server, name: &str, text: &str) -> String {
        self.write(&Self::certs_d(server, name).display().to_string(), text)
    }

    async fn sweep(&self, arguments: &[&str]) -> Said {
        let home = self.0.path().display().to_string();
        probe(&[&SWEEP[..], arguments].concat(), &[("HOME", &home)]).await
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_required() {
    let (client, home) = (Client::new(), Home::new());
    let server = Server::asking(&client, None).await;
    let (url, authority) = (server.url(), server.authority().display().to_string());
    let certificate = home.write("client.pem", &client.certificate);
    let trust = ["--ca-file", &*authority, &*url];
    let said = home.sweep(&trust).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(said.all().contains("--client-cert"), "{}", said.all());
    for key in [&client.key, &client.sec1()] {
        let key = home.write("client.key", key);
        let pair = ["--client-cert", &certificate, "--client-key", &key];
        let said = home.sweep(&[&pair[..], &trust].concat()).await;
        assert_eq!(said.code, Some(0), "{}", said.all());
    }
    let both = home.write("both.pem", &format!("{}{}", client.key, client.certificate));
    let said = home
        .sweep(&[&["--client-cert", &both][..], &trust].concat())
        .await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(
        said.all().contains("everybody on this machine"),
        "{}",
        said.all()
    );
}

#[tokio::test]
async fn a_key_of_another_certificate_is_told_before_anything_else() {
    let (client, home) = (Client::new(), Home::new());
    let certificate = home.write("client.pem", &client.certificate);
    let key = home.write("other.key", &Client::new().key);
    for options in [
        ["--client-cert", "--client-key"],
        ["--push-client-cert", "--push-client-key"],
    ] {
        let pair = [options[0], &*certificate, options[1], &*key];
        let push = ["--push-gateway", "127.0.0.1:1", "127.0.0.1:1"];
        let said = home.sweep(&[&pair[..], &push].concat()).await;
        assert_eq!(said.code, Some(2), "{}", said.all());
        let expected = format!("{} is not that of the certificate in", "other.key");
        assert!(said.all().contains(&expected), "{}", said.all());
        assert!(
            said.all().contains(&format!("{}:", options[1])),
            "{}",
            said.all()
        );
        let said = home.sweep(&[&pair[2..], &push].concat()).await;
        assert!(said.all().contains(options[0]), "{}", said.all());
        assert_eq!(said.code, Some(2), "{}", said.all());
    }
}

#[tokio::test]
async fn unusable_authorities_are_told_by_their_file() {
    let home = Home::new();
    let file = home.write("authority.pem", "no certificate");
    let said = home.sweep(&["--ca-file", &file, "127.0.0.1:1"]).await;
    assert_eq!(said.code, Some(2), "{}", said.all());
    let expected = format!("--ca-file: {file} holds no whole PEM certificate");
    assert!(said.all().contains(&expected), "{}", said.all());
}

#[tokio::test]
async fn nobody_to_whom_a_registry_sends_us_gets_its_certificate() {
    let (client, home) = (Client::new(), Home::new());
    let target = Server::offering(&client).await;
    let server = Server::asking(&client, Some(target.url())).await;
    let both = home.write("both.pem", &format!("{}{}", client.key, client.certificate));
    let authorities = [server.authority(), target.authority()];
    let authorities = authorities.map(|path| fs::read_to_string(path).expect("a file"));
    let authority = home.write("ca.pem", &authorities.concat());
    let url = server.url();
    let said = home
        .sweep(&["--ca-file", &authority, "--client-cert", &both, &url])
        .await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(
        server.shown().iter().all(|shown| *shown),
        "{:?}",
        server.shown()
    );
    let seen = target.shown();
    assert!(
        !seen.is_empty() && seen.iter().all(|shown| !shown),
        "{seen:?}"
    );
}

#[tokio::test]
async fn the_folder_of_a_registry_is_for_that_registry_alone() {
    let (client, home) = (Client::new(), Home::new());
    let target = Server::offering(&client).await;
    let server = Server::asking(&client, None).await;
    let leading_away = Server::asking(&client, Some(target.url())).await;
    let authority_of = |server: &Server| fs::read_to_string(server.authority()).expect("a file");
    for server in [&server, &leading_away] {
        let authorities = authority_of(server) + &authority_of(&target);
        home.write_certs_d(server, "ca.crt", &authorities);
        home.write_certs_d(server, "client.cert", &client.certificate);
        home.write_certs_d(server, "client.key", &client.key);
    }
    let said = home.sweep(&[&server.url()]).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let said = home.sweep(&[&leading_away.url()]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!(
        "sent on to {}: invalid peer certificate: UnknownIssuer",
        target.url()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("certs.d is for the registry alone"), "{text}");
    assert_eq!(target.shown(), [false; 0], "it got as far as a request");
    let path = home.0.path().display().to_string();
    let page = probe(&["doctor", &server.url()], &[("HOME", &path)])
        .await
        .all();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["/ca.crt; client certificate", "/client.cert", "trust"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_of_a_folder_is_told_the_rest_is_used() {
    let (client, home) = (Client::new(), Home::new());
    let server = Server::offering(&client).await;
    let authority = fs::read_to_string(server.authority()).expect("a file");
    home.write_certs_d(&server, "ca.crt", &authority);
    home.write_certs_d(&server, "old.crt", &authority[..authority.len() / 2]);
    home.write_certs_d(&server, "client.cert", &client.certificate);
    let said = home.sweep(&[&server.url()]).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    for part in [
        "old.crt holds no whole PEM certificate",
        "client.cert has no .key",
    ] {
        let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn what_fails_where_a_registry_sends_us_is_told_of_that_host() {
    let (client, home) = (Client::new(), Home::new());
    let target = Server::asking(&client, None).await;
    let server = Server::asking(&client, Some(target.url())).await;
    let both = home.write("both.pem", &format!("{}{}", client.key, client.certificate));
    let authorities = [server.authority(), target.authority()];
    let authorities = authorities.map(|path| fs::read_to_string(path).expect("a file"));
    let authority = home.write("ca.pem", &authorities.concat());
    let url = server.url();
    let said = home
        .sweep(&["--ca-file", &authority, "--client-cert", &both, &url])
        .await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!("sent on to {}", target.url());
    for part in [&*expected, "wants a client certificate, and gets none"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("--client-key"), "that is no remedy: {text}");
}

#[tokio::test]
async fn an_encrypted_proxy_is_shown_no_client_certificate() {
    let (client, home) = (Client::new(), Home::new());
    let proxy = Server::offering(&client).await;
    let both = home.write("both.pem", &format!("{}{}", client.key, client.certificate));
    let authority = proxy.authority().display().to_string();
    let (path, address) = (home.0.path().display().to_string(), proxy.url());
    let environment = [("HOME", &*path), ("HTTPS_PROXY", &*address)];
    let trust = ["--ca-file", &*authority, "https://r.example"];
    let with_pair = [&SWEEP[..], &["--client-cert", &both], &trust].concat();
    let said = probe(&with_pair, &environment).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!("not shown to the proxy {address} (HTTPS_PROXY)");
    assert!(text.contains(&expected), "{text}");
    assert_eq!(proxy.shown(), [false; 0], "it is not even spoken to");
    // Without a certificate it is asked.
    let said = probe(&[&SWEEP[..], &trust].concat(), &environment).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(!proxy.shown().is_empty(), "{}", said.all());
}

#[tokio::test]
async fn what_is_for_https_is_told_to_be_in_vain_over_http() {
    let (client, home) = (Client::new(), Home::new());
    let double = Double::start().await;
    let both = home.write("both.pem", &format!("{}{}", client.key, client.certificate));
    let options = ["--ca-file", &*both, "--client-cert", &both];
    let path = home.0.path().display().to_string();
    for command in [&SWEEP[..], &["doctor"]] {
        let arguments = [command, &options, &[double.address()]].concat();
        let said = probe(&arguments, &[("HOME", &path)]).await;
        let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
        for option in ["--ca-file", "--client-cert"] {
            let expected = format!("{option} is in vain over http");
            assert!(text.contains(&expected), "{text}");
        }
        let said = probe(&[command, &[double.address()]].concat(), &[]).await;
        assert!(!said.all().contains("in vain"), "{}", said.all());
    }
}

#[tokio::test]
async fn half_a_pair_is_told_where_a_certificate_is_required() {
    let (client, home) = (Client::new(), Home::new());
    let server = Server::asking(&client, None).await;
    let authority = fs::read_to_string(server.authority()).expect("a file");
    home.write_certs_d(&server, "ca.crt", &authority);
    home.write_certs_d(&server, "client.cert", &client.certificate);
    let path = home.0.path().display().to_string();
    let (url, image) = (server.url(), format!("{}/app:v1", server.url()));
    let once = [&SWEEP[..], &[&*url]].concat();
    for command in [&once[..], &["verify", &image], &["explain", &image]] {
        let said = probe(command, &[("HOME", &path)]).await;
        assert_eq!(said.code, Some(3), "{command:?}: {}", said.all());
        let text = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
        let told = text.matches("client.cert has no .key").count();
        assert_eq!(told, 1, "{command:?}: {text}");
    }
    // A service says it once, and not with every sweep.
    let serve = ["serve", "--listen", "127.0.0.1:0", "--interval", "1s", &url];
    let mut service = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(serve)
        .env_clear()
        .env("HOME", &path)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let log = service.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(log).lines();
    let (mut swept, mut told) = (0, 0);
    while swept < 3 {
        let line = lines.next_line().await.expect("text").expect("it runs");
        swept += line.matches("CertificateRequired").count();
        told += line.matches("client.cert has no .key").count();
    }
    assert_eq!(told, 1);
}
