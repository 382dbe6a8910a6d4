//! What is said of a mistake or of what stands in the way: one thing, and what to do about it.

use registry_double::{Double, Reply, on};

use super::tls::{Names, Server};
use super::{broken, probe};

const SWEEP: [&str; 3] = ["sweep", "--confirm-after", "0s"];

async fn swept(arguments: &[&str]) -> String {
    let said = probe(&[&SWEEP[..], arguments].concat(), &[]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    // The report is broken into lines at 80 columns.
    said.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_repository_that_is_not_known_is_not_called_forbidden() {
    let (double, _) = broken().await;
    let repo = ["--repo", "nosuch", double.address()];
    let said = swept(&repo).await;
    let detail = format!("GET http://{}/v2/nosuch/tags/list", double.address());
    for part in [
        "does not know this repository",
        "[unknown_repository]",
        &detail,
        "404 NAME_UNKNOWN",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        !said.contains("forbidden") && !said.contains("may not pull"),
        "{said}"
    );
    let said = probe(&[&["doctor"][..], &repo].concat(), &[]).await;
    assert!(
        said.stdout.contains("[unknown_repository]"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("[protocol]"), "{}", said.stdout);
}

#[tokio::test]
async fn https_to_a_port_of_http_is_told_to_be_http() {
    let double = Double::start().await;
    let url = format!("https://{}", double.address());
    let said = swept(&[&url]).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    assert!(said.contains("write http:// before"), "{said}");
    assert!(!said.contains("--ca-file"), "{said}");
}

#[tokio::test]
async fn http_to_a_port_of_https_is_told_to_be_https() {
    let server = Server::start(&Names::loopback()).await;
    let said = swept(&[&format!("http://{}", server.address)]).await;
    assert!(said.contains("write https:// before"), "{said}");
    // A server of Go's answers what is not encrypted.
    let double = Double::start().await;
    let text = "Client sent an HTTP request to an HTTPS server.\n";
    double.when(on::any()).reply(Reply::text(400, text));
    let said = swept(&[double.address()]).await;
    assert!(said.contains("write https:// before"), "{said}");
    let said = probe(&["doctor", double.address()], &[]).await;
    let said = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("write https:// before"), "{said}");
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_own_way_out() {
    let unknown = Server::start(&Names::loopback()).await;
    let other = Server::start(&Names::of("other.example")).await;
    let ended = Server::start(&Names::loopback().ended()).await;
    for (server, is_trusted, way_out, detail) in [
        (&unknown, false, "--ca-file", "UnknownIssuer"),
        (&other, true, "of other names", "other.example"),
        (&ended, true, "renew the registry's certificate", "expired"),
    ] {
        let url = format!("https://{}", server.address);
        let authority = server.authority().display().to_string();
        let trust = ["--ca-file", authority.as_str(), url.as_str()];
        let said = swept(if is_trusted { &trust } else { &trust[2..] }).await;
        let remedy = said.split("remedy").nth(1).unwrap_or_default();
        assert!(said.contains(detail), "{detail}: {said}");
        assert!(remedy.contains(way_out), "{way_out}: {said}");
        assert_eq!(remedy.contains("--ca-file"), !is_trusted, "{said}");
    }
    // Known or not, it cannot be a server's; and debug text helps nobody.
    let of_authority = Server::start(&Names::loopback().of_authority()).await;
    let (authority, url) = (of_authority.authority(), of_authority.url());
    let authority = authority.display().to_string();
    let trust = ["--ca-file", &*authority, &*url];
    for options in [&trust[..], &trust[2..]] {
        let said = swept(options).await;
        assert!(said.contains("one of an authority (CA:TRUE)"), "{said}");
        assert!(said.contains("CA:FALSE"), "{said}");
        assert!(!said.contains("OtherError"), "{said}");
    }
    let authority = unknown.authority().display().to_string();
    let url = format!("https://{}", unknown.address);
    let said = swept(&["--ca-file", &authority, &url]).await;
    assert!(!said.contains("[tls]"), "{said}");
}

#[tokio::test]
async fn a_missing_login_and_a_refused_one_are_two_things() {
    let double = Double::start().await;
    let challenge = Reply::error(401, "UNAUTHORIZED", "who are you")
        .with_header("WWW-Authenticate", "Basic realm=\"r\"");
    double.when(on::any()).reply(challenge);
    let said = swept(&[double.address()]).await;
    assert!(said.contains("remedy log in: --username"), "{said}");
    let login = [("PROBE_USERNAME", "u"), ("PROBE_PASSWORD", "hunter2")];
    let said = probe(&[&SWEEP[..], &[double.address()]].concat(), &login).await;
    assert!(
        said.stdout.contains("the login is refused"),
        "{}",
        said.all()
    );
    assert!(!said.all().contains("hunter2"), "{}", said.all());
}

#[tokio::test]
async fn a_proxy_that_is_away_is_told_as_one() {
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    let said = probe(&[&SWEEP[..], &["https://r.example"]].concat(), &proxy).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    let said = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "the proxy http://127.0.0.1:1 (HTTPS_PROXY)",
        "look at that proxy",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_not_told_as_a_list() {
    for command in ["verify", "explain"] {
        let said = probe(&[command, "nosuch.invalid/app:v1"], &[]).await;
        assert_eq!(said.code, Some(3), "{}", said.all());
        let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            !text.contains("list of repositories") && !text.contains("list of them"),
            "{text}"
        );
        assert!(text.contains("GET https://nosuch.invalid/v2/"), "{text}");
        assert!(
            text.contains("[dns]") && text.contains("name server"),
            "{text}"
        );
        assert!(text.contains("app"), "{text}");
    }
    let said = swept(&["nosuch.invalid"]).await;
    assert!(said.contains("the registry could not be reached"), "{said}");
}

#[tokio::test]
async fn a_registry_where_an_image_is_expected_asks_nobody() {
    for command in ["verify", "explain"] {
        let said = probe(&[command, "localhost:5101"], &[]).await;
        assert_eq!(said.code, Some(2), "{}", said.all());
        for part in [
            "`localhost:5101/REPOSITORY:TAG`",
            "`probe sweep localhost:5101`",
        ] {
            assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
        }
        assert!(said.stdout.is_empty(), "{}", said.stdout);
    }
}

#[tokio::test]
async fn what_to_try_next_reaches_the_registry_in_the_same_way() {
    let (double, _) = broken().await;
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("pass word").display().to_string();
    std::fs::write(&password, "hunter2\n").expect("written");
    let typed = [
        "doctor",
        "--insecure-skip-tls-verify",
        "--timeout=7s",
        "--username",
        "me",
        "--password-file",
        &password,
        double.address(),
    ];
    let said = probe(&typed, &[("PROBE_CONCURRENCY", "3")]).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!(
        "probe --once --username me --password-file '{password}' --insecure-skip-tls-verify --timeout 7s {}",
        double.address()
    );
    assert!(text.contains(&expected), "{expected}\n{text}");
    assert!(!said.all().contains("hunter2"), "{}", said.all());
    // It can be typed as it stands.
    let command = format!("set -- {expected} && printf '%s\\n' \"$@\"");
    let words = std::process::Command::new("sh")
        .args(["-c", &command])
        .output();
    let words = String::from_utf8(words.expect("a shell").stdout).expect("text");
    assert!(words.lines().any(|word| word == password), "{words}");
}

#[tokio::test]
async fn what_other_programs_call_an_option_is_told_by_its_name() {
    for command in ["sweep", "verify", "explain", "doctor"] {
        let said = probe(&[command, "--json", "r.example/app"], &[]).await;
        assert_eq!(said.code, Some(2), "{}", said.all());
        assert!(
            said.stderr.contains("'--output json'"),
            "{command}: {}",
            said.stderr
        );
        assert!(!said.stderr.contains("--job"), "{command}: {}", said.stderr);
    }
}
