//! No secret leaves the probe but to whom it is for: every output of runs with known secrets is searched
//! for each of them, as it is and encoded.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use registry_double::{Basic, Bearer, Double, Registry, in_background, on, presets};

pub(crate) const USER: &str = "robot-user";
const PROXY_PASSWORD: &str = "pr0xy-word/with+odd=characters";
pub(crate) const PASSWORD: &str = "pa55-word/with+odd=characters";

/// Everything that must not be seen, each with a name that may.
pub(crate) fn secrets(registry: &Registry, storage: &Registry) -> Vec<(String, String)> {
    let mut secrets = vec![("the password".to_owned(), PASSWORD.to_owned())];
    for seen in registry.requests().iter().chain(&storage.requests()) {
        if let Some(header) = seen.header("authorization") {
            let value = header.split(' ').next_back().unwrap_or_default();
            secrets.push(("an authorization".into(), value.to_owned()));
        }
    }
    for seen in storage.requests() {
        for pair in seen
            .query()
            .split('&')
            .filter(|pair| pair.contains("ignature"))
        {
            let value = pair.split('=').next_back().unwrap_or_default();
            secrets.push(("a signature".into(), value.to_owned()));
        }
    }
    secrets.sort();
    secrets.dedup();
    for kind in ["the password", "an authorization", "a signature"] {
        let is_there = secrets
            .iter()
            .any(|(name, value)| name == kind && value.len() > 6);
        assert!(
            is_there,
            "{kind} was never sent: the test searches for nothing"
        );
    }
    secrets
}

/// The secrets that are in a text, as they are or encoded.
pub(crate) fn leaks(text: &str, secrets: &[(String, String)]) -> Vec<String> {
    let mut leaks = Vec::new();
    for (name, secret) in secrets {
        let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let forms = [
            secret.clone(),
            percent,
            STANDARD.encode(secret),
            URL_SAFE.encode(secret),
            STANDARD.encode(format!("{USER}:{secret}")),
            format!("{secret:?}").trim_matches('"').to_owned(),
        ];
        if forms.iter().any(|form| text.contains(form)) {
            leaks.push(name.clone());
        }
    }
    leaks
}

#[test]
fn a_leak_would_be_seen() {
    let secrets = [("the password".to_owned(), PASSWORD.to_owned())];
    let encoded = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for text in [
        PASSWORD,
        &format!("Basic {encoded}"),
        "x=pa55-word%2Fwith%2Bodd%3Dcharacters&",
    ] {
        assert_eq!(leaks(text, &secrets), ["the password"], "{text}");
    }
    assert!(leaks("pa55-word", &secrets).is_empty());
}

/// Runs the binary with the password in a file, and gives its outputs and its arguments while it ran.
fn run(directory: &Path, arguments: &[&str]) -> String {
    let bytes = PROXY_PASSWORD.as_bytes();
    let proxy_password: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .env("TMPDIR", directory)
        .env(
            "ALL_PROXY",
            format!("http://user:{proxy_password}@127.0.0.1:1"),
        )
        // What its libraries would say is not to be had by any means.
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .args(arguments)
        .args(["--username", USER, "--password-file"])
        .arg(directory.join("password"))
        .arg("--client-cert")
        .arg(directory.join("client.pem"))
        .arg("--client-key")
        .arg(directory.join("client.key"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let path = format!("/proc/{}/cmdline", child.id());
    let line = std::fs::read_to_string(path).unwrap_or_default();
    let errors = child.stderr.take().expect("a pipe");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(errors).read_to_string(&mut text);
        text
    });
    let mut text = String::new();
    let mut output = child.stdout.take().expect("a pipe");
    output.read_to_string(&mut text).expect("text");
    child.wait().expect("it ends");
    let errors = errors.join().expect("no panic");
    assert!(
        errors.contains("DEBUG") || arguments.contains(&"--print-config"),
        "{errors}"
    );
    assert!(!errors.contains("TRACE"), "{errors}");
    [line, text, errors].concat()
}

/// A service's pages after its first sweep, and what it logged until then.
fn serve(directory: &Path, registry: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .env("PROBE_PASSWORD", PASSWORD)
        .env("RUST_LOG", "trace")
        .args([
            "--listen",
            "127.0.0.1:0",
            "-vv",
            "--confirm-after",
            "0s",
            "--username",
            USER,
        ])
        .arg("--state")
        .arg(directory.join("state-of-service"))
        .arg(registry)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut text = String::new();
    let mut address = None;
    for line in BufReader::new(child.stderr.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        if let Some((_, url)) = line.split_once("serving http://") {
            address = Some(url.trim().trim_end_matches('/').to_owned());
        }
        text.push_str(&line);
        if address.is_some() && line.contains("swept") {
            break;
        }
    }
    let address = address.expect("it says where it listens");
    for path in ["/", "/metrics", "/report.json", "/healthz"] {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut page = Vec::new();
        stream.read_to_end(&mut page).expect("an answer");
        assert!(page.len() > 20, "{path} says nothing");
        text.push_str(&String::from_utf8_lossy(&page));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    text
}

/// Everything in the files of a directory but the password's own.
fn files(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if !path.ends_with("password") && !path.ends_with("client.key") {
            text.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
    text
}

/// A registry with something broken in it, behind this login, with an object store.
pub(crate) fn broken(
    login: impl Fn(&Double) + Send + 'static,
) -> registry_double::Background<Double> {
    in_background(async move {
        let double = presets::object_storage().await;
        let layer = vec![b'x'; 50_000];
        let image = double.image("app", Some("v1"), &[b"a layer", &layer]);
        double.image("app", Some("v2"), &[b"whole"]);
        double.truncate_bytes(&image.layers[1], 100);
        double
            .companion()
            .when(on::storage().get().nth(2))
            .hang_up();
        login(&double);
        double
    })
}

/// The lines of a client's key, which is written into the folder beside its certificate.
fn write_client(directory: &Path) -> Vec<(String, String)> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["client".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let pem = key.serialize_pem();
    std::fs::write(directory.join("client.pem"), certificate.pem()).expect("written");
    std::fs::write(directory.join("client.key"), &pem).expect("written");
    let lines = pem
        .lines()
        .filter(|line| !line.starts_with("---") && line.len() > 16);
    lines
        .map(|line| ("a key".to_owned(), line.to_owned()))
        .collect()
}

fn search(double: &Double) {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(directory.path().join("password"), PASSWORD).expect("written");
    let mut others = write_client(directory.path());
    assert!(!others.is_empty(), "the key has lines");
    others.push(("the proxy's password".into(), PROXY_PASSWORD.into()));
    let mut text = String::new();
    let url = double.url();
    for output in ["text", "json", "prom", "junit", "github"] {
        let report = format!("{output}={}", at(&format!("report-{output}")));
        text += &run(
            directory.path(),
            &[
                "--once",
                "-vv",
                "--confirm-after",
                "0s",
                "--output",
                output,
                "--report-file",
                &report,
                "--textfile",
                &at("metrics.prom"),
                "--state",
                &at("state"),
                &url,
            ],
        );
    }
    let image = format!("{}/app:v1", double.address());
    text += &run(directory.path(), &["doctor", "-vv", &url]);
    text += &run(
        directory.path(),
        &["verify", "-vv", "--log-format", "json", &image],
    );
    text += &run(directory.path(), &["--once", "-vv", "--print-config", &url]);
    text += &serve(directory.path(), &url);
    // Through a proxy that is away.
    let away = "https://away.invalid:5000";
    text += &run(directory.path(), &["--once", "-vv", away]);
    text += &run(directory.path(), &["doctor", "-vv", away]);
    let push = [
        "--push-gateway",
        "https://gateway.invalid",
        "--push-client-cert",
    ];
    let pair = [&at("client.pem"), "--push-client-key", &at("client.key")];
    let end = ["--once", "-vv", &url];
    text += &run(directory.path(), &[&push[..], &pair, &end].concat());
    let words: Vec<_> = text.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("through the proxy http://127.0.0.1:1 (ALL_PROXY)")
    );
    // What is said when nothing works.
    double
        .when(on::any().before_auth())
        .error(401, "UNAUTHORIZED");
    text += &run(directory.path(), &["--once", "-vv", &url]);
    double.when(on::any().before_auth()).hang_up();
    text += &run(directory.path(), &["--once", "-vv", &url]);
    text += &files(directory.path());
    assert!(
        text.contains("BROKEN") && text.contains("registry_"),
        "nothing to search"
    );
    let mut secrets = secrets(double, double.companion());
    secrets.extend(others);
    let leaks = leaks(&text, &secrets);
    assert!(leaks.is_empty(), "{leaks:?} of {} secrets", secrets.len());
}

#[test]
fn a_password_is_seen_by_the_registry_alone() {
    search(&broken(|double| {
        double.require(Basic::new(USER, PASSWORD));
    }));
}

#[test]
fn tokens_and_signatures_are_seen_by_nobody_else() {
    search(&broken(|double| {
        double.require(Bearer::user_only(USER, PASSWORD));
    }));
}

#[test]
fn a_password_is_not_taken_from_the_command_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .args([
            "--once",
            "--username",
            USER,
            "--password",
            PASSWORD,
            "127.0.0.1:1",
        ])
        .output()
        .expect("it starts");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--password-file"), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
}
