//! Logins as docker and podman keep them, read by the real binary: its own environment, files and
//! helper programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine as _;
use registry_double::{Basic, Bearer, Double, Reply, on, presets};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A home directory with nothing in it, in which the binary is run.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, config: &Value) -> PathBuf {
        let path = self.path(name);
        let parent = path.parent().expect("it is in the home");
        std::fs::create_dir_all(parent).expect("the directory is made");
        std::fs::write(&path, config.to_string()).expect("the config is written");
        path
    }

    /// Writes a credential helper that notes what it is asked, and answers with these commands.
    fn helper(&self, name: &str, answer: &str) {
        let bin = self.path("bin");
        std::fs::create_dir_all(&bin).expect("the directory is made");
        let path = bin.join(format!("docker-credential-{name}"));
        let log = self.path(&format!("{name}.log"));
        let script = format!(
            "#!/bin/sh\nread -r server || true\necho \"$1 $server\" >> '{}'\n{answer}\n",
            log.display()
        );
        std::fs::write(&path, script).expect("the helper is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("the helper can be run");
    }

    /// What a helper was asked so far.
    fn asked(&self, name: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// One sweep, with an environment of nothing but this home and what is given.
    async fn sweep(
        &self,
        double: &Double,
        environment: &[(&str, &Path)],
        arguments: &[&str],
    ) -> Sweep {
        let output = Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(["--once", "--output", "json", "--confirm-after", "0s"])
            .args(arguments)
            .arg(double.address())
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("HOME", self.0.path())
            .envs(environment.iter().copied())
            .output()
            .await
            .expect("the probe runs");
        Sweep(output)
    }
}

/// What the binary said and how it ended.
struct Sweep(Output);

impl Sweep {
    fn report(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_default()
    }

    /// The verdict, and the reasons of what could not be verified.
    fn told(&self) -> Vec<String> {
        let report = self.report();
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let unverified = report["unverified"].as_array().cloned().unwrap_or_default();
        let reasons = unverified.iter().map(|entry| text(&entry["reason"]));
        std::iter::once(text(&report["verdict"]))
            .chain(reasons)
            .collect()
    }

    /// That a text is nowhere in what was printed.
    fn assert_silent_about(&self, secret: &str) {
        for stream in [&self.0.stdout, &self.0.stderr] {
            let text = String::from_utf8_lossy(stream);
            assert!(!text.contains(secret), "{text}");
        }
    }
}

fn encoded(login: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(login)
}

/// A registry for `user` with the password `hunter2`.
async fn locked() -> Double {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    double.require(Basic::new("user", "hunter2"));
    double
}

const FOUND: &str = r#"echo '{"ServerURL":"x","Username":"user","Secret":"hunter2"}'"#;
const NONE: &str = "echo 'credentials not found in native keychain'; exit 1";

#[tokio::test]
async fn files_in_all_their_places() {
    let double = locked().await;
    let config = json!({"auths": {double.address(): {"auth": encoded("user:hunter2")}}});
    for (place, variable) in [
        (".docker/config.json", None),
        ("docker/config.json", Some(("DOCKER_CONFIG", "docker"))),
        ("auth.json", Some(("REGISTRY_AUTH_FILE", "auth.json"))),
        ("run/containers/auth.json", Some(("XDG_RUNTIME_DIR", "run"))),
        ("xdg/containers/auth.json", Some(("XDG_CONFIG_HOME", "xdg"))),
        (".config/containers/auth.json", None),
    ] {
        let home = Home::new();
        home.write(place, &config);
        let path = variable.map(|(name, value)| (name, home.path(value)));
        let environment: Vec<_> = path
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
            .collect();
        let sweep = home.sweep(&double, &environment, &[]).await;
        assert_eq!(sweep.told(), ["intact"], "{place}");
        sweep.assert_silent_about("hunter2");
    }
    let home = Home::new();
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["unverified", "unauthorized"]);
    assert_eq!(sweep.0.status.code(), Some(3));
    let text = config.to_string();
    let variable = [("DOCKER_AUTH_CONFIG", Path::new(&text))];
    let sweep = home.sweep(&double, &variable, &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    sweep.assert_silent_about("hunter2");
}

#[tokio::test]
async fn an_authfile_that_is_named_is_the_only_one() {
    let double = locked().await;
    let home = Home::new();
    let right = json!({"auths": {double.address(): {"auth": encoded("user:hunter2")}}});
    let wrong = json!({"auths": {double.address(): {"auth": encoded("user:wrong")}}});
    home.write(".docker/config.json", &wrong);
    let path = home.write("mine.json", &right);
    let path = path.to_str().expect("a plain path");
    let sweep = home.sweep(&double, &[], &["--authfile", path]).await;
    assert_eq!(sweep.told(), ["intact"]);
}

#[tokio::test]
async fn helpers_are_asked_in_their_protocol() {
    let double = locked().await;
    for config in [
        json!({"credsStore": "test"}),
        json!({"credHelpers": {double.address(): "test"}}),
        json!({"credHelpers": {double.address(): "test"}, "credsStore": "other"}),
    ] {
        let home = Home::new();
        home.write(".docker/config.json", &config);
        home.helper("test", FOUND);
        home.helper("other", "exit 7");
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        assert_eq!(sweep.told(), ["intact"], "{config}");
        sweep.assert_silent_about("hunter2");
        let asked = home.asked("test");
        assert!(!asked.is_empty() && asked.len() <= 8, "{config}: {asked:?}");
        let about_it = format!("get {}", double.address());
        assert!(
            asked.iter().all(|line| line.starts_with(&about_it)
                || line.starts_with(&format!("get {}/team", double.address()))),
            "{asked:?}"
        );
        // The registry's own name is what the keychain knows; it is among what is asked.
        assert!(asked.contains(&about_it), "{asked:?}");
    }
}

#[tokio::test]
async fn a_helper_that_has_nothing_leaves_it_to_the_rest() {
    let double = locked().await;
    let home = Home::new();
    home.helper("test", NONE);
    home.write(
        ".docker/config.json",
        &json!({"credsStore": "test", "auths": {double.address(): {"auth": encoded("user:hunter2")}}}),
    );
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    assert!(!home.asked("test").is_empty());
}

#[tokio::test]
async fn a_helper_that_fails_is_told_by_name() {
    let double = locked().await;
    for answer in [
        r#"echo '{"Secret":"hunter2"}'; exit 3"#,
        "echo 'not JSON: hunter2'",
        "kill -9 $$",
        "true",
    ] {
        let home = Home::new();
        home.helper("test", answer);
        home.write(".docker/config.json", &json!({"credsStore": "test"}));
        let sweep = home.sweep(&double, &[], &[]).await;
        assert_eq!(sweep.told(), ["unverified", "unauthorized"], "{answer}");
        let report = sweep.report().to_string();
        assert!(report.contains("docker-credential-test"), "{report}");
        sweep.assert_silent_about("hunter2");
    }
    let home = Home::new();
    home.write(".docker/config.json", &json!({"credsStore": "missing"}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["unverified", "unauthorized"]);
}

#[tokio::test]
async fn a_helper_says_in_its_own_words_what_is_wrong() {
    let double = locked().await;
    for answer in [
        "echo 'the keyring is locked'; exit 1",
        "echo 'the keyring is locked' >&2; exit 1",
    ] {
        let home = Home::new();
        home.helper("test", answer);
        let path = home.write(".docker/config.json", &json!({"credsStore": "test"}));
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        assert_eq!(sweep.told(), ["unverified", "unauthorized"], "{answer}");
        let report = sweep.report().to_string();
        let words = [
            "docker-credential-test",
            "the keyring is locked",
            path.to_str().expect("text"),
        ];
        for word in words {
            assert!(report.contains(word), "{word} in {report}");
        }
    }
}

#[tokio::test]
async fn a_helper_that_has_none_is_named_where_a_login_is_wanted() {
    let double = locked().await;
    for answer in [NONE, "echo '{}'"] {
        for config in [
            json!({"credsStore": "test"}),
            json!({"credsStore": "test", "auths": {double.address(): {}}}),
            json!({"credHelpers": {double.address(): "test"}}),
        ] {
            let home = Home::new();
            home.helper("test", answer);
            let path = home.write(".docker/config.json", &config);
            for arguments in [&[][..], &["--repo", "team/app"]] {
                let sweep = home.sweep(&double, &[], arguments).await;
                assert_eq!(sweep.told(), ["unverified", "unauthorized"], "{config}");
                let report = sweep.report();
                let own = if answer == NONE {
                    "credentials not found in native keychain"
                } else {
                    "its answer is empty"
                };
                let file = path.to_str().expect("text");
                for word in ["docker-credential-test", own, file] {
                    let report = report.to_string();
                    assert!(report.contains(word), "{word} in {report}");
                }
                assert_eq!(report["warnings"], json!([]), "{config}");
            }
        }
    }
}

#[tokio::test]
async fn an_open_catalog_is_not_whole_where_a_login_was_meant() {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    for answer in ["echo 'the keyring is locked'; exit 1", NONE] {
        let home = Home::new();
        home.helper("test", answer);
        let config = json!({"credsStore": "test", "auths": {double.address(): {}}});
        home.write(".docker/config.json", &config);
        let sweep = home.sweep(&double, &[], &[]).await;
        assert_eq!(sweep.told(), ["unverified", "unauthorized"], "{answer}");
        let report = sweep.report();
        assert_eq!(report["counts"]["tags"]["checked"], 1, "{report:#}");
        let said = report.to_string();
        assert!(said.contains("docker-credential-test"), "{said}");
        assert!(said.contains(".docker/config.json"), "{said}");
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        assert_eq!(sweep.told(), ["intact"], "{answer}");
    }
}

#[tokio::test]
async fn logins_are_stored_for_the_public_name_too() {
    let double = locked().await;
    let right = json!({"auth": encoded("user:hunter2")});
    let wrong = json!({"auth": encoded("user:wrong")});
    let dialled = double.address();
    for (public, auths) in [
        ("r.example", json!({"r.example": right})),
        ("r.example", json!({"https://r.example": right})),
        ("r.example/mirror", json!({"r.example/mirror": right})),
        ("r.example", json!({"r.example": wrong, dialled: right})),
    ] {
        let home = Home::new();
        let path = home.write("auth.json", &json!({"auths": auths}));
        let path = path.to_str().expect("a plain path");
        let arguments = ["--authfile", path, "--public-name", public];
        let sweep = home.sweep(&double, &[], &arguments).await;
        assert_eq!(sweep.told(), ["intact"], "{public} {auths}");
    }
    let home = Home::new();
    let auths = json!({"r.example/mirror/team": right, "r.example/team": wrong});
    let path = home.write("auth.json", &json!({"auths": auths}));
    let path = path.to_str().expect("a plain path");
    let public = ["--public-name", "r.example/mirror", "--repo", "team/app"];
    let arguments = [&["--authfile", path], &public[..]].concat();
    assert_eq!(
        home.sweep(&double, &[], &arguments).await.told(),
        ["intact"]
    );
}

#[tokio::test]
async fn what_is_public_is_swept_whatever_the_login_files_hold() {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    // It asks for a token, and gives one to everybody.
    double.require(Bearer::anonymous());
    for (config, helper) in [
        (json!(null), "true"),
        (json!({"auths": null, "credHelpers": null}), "true"),
        (json!({"credsStore": "absent"}), "true"),
        (json!({"credsStore": "test"}), "exit 1"),
        (json!({"credsStore": "test"}), "true"),
        (json!({"credsStore": "test"}), "echo '{}'"),
        (
            json!({"credsStore": "test"}),
            "echo 'nothing here, sorry'; exit 1",
        ),
        (
            json!({"auths": {double.address(): {"auth": "???"}}}),
            "true",
        ),
        (json!("no object"), "true"),
    ] {
        let home = Home::new();
        home.helper("test", helper);
        let path = home.write(".docker/config.json", &config);
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        assert_eq!(sweep.told(), ["intact"], "{config} {helper}");
        std::fs::write(&path, "").expect("emptied");
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        assert_eq!(sweep.told(), ["intact"], "{config} {helper}");
        let basic = on::any().header_with("authorization", "Basic");
        assert_eq!(double.count(&basic), 0, "{config}");
    }
}

#[tokio::test]
async fn a_catalog_for_nobody_is_not_whole_where_a_login_was_meant() {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    double.require(Bearer::anonymous());
    let home = Home::new();
    home.helper("test", "echo 'the keyring is locked'; exit 1");
    let store = json!({"credsStore": "test", "auths": {double.address(): {}}});
    home.write(".docker/config.json", &store);
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["unverified", "unauthorized"]);
    let report = sweep.report();
    assert_eq!(report["counts"]["tags"]["checked"], 1, "{report:#}");
    assert!(
        report.to_string().contains("the keyring is locked"),
        "{report:#}"
    );
    // What a file that cannot be read holds is not known.
    std::fs::write(home.path(".docker/config.json"), "{\"auths\":{").expect("written");
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["unverified", "unauthorized"]);
    // A store that nobody used for this registry is no login for it.
    home.write(".docker/config.json", &json!({"credsStore": "test"}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
}

#[tokio::test]
async fn what_is_hidden_without_the_login_is_not_broken() {
    for status in [403, 404] {
        let double = Double::start().await;
        double.image("team/app", Some("v1"), &[b"a layer"]);
        double.require(Bearer::anonymous());
        let hidden = on::any().repository("team/app");
        double.when(hidden).error(status, "DENIED");
        let home = Home::new();
        home.helper("test", "echo 'the keyring is locked'; exit 1");
        let store = json!({"credsStore": "test", "auths": {double.address(): {}}});
        home.write(".docker/config.json", &store);
        let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
        let told = sweep.told();
        assert_eq!(told[0], "unverified", "{status}");
        assert!(told.contains(&"unauthorized".to_owned()), "{told:?}");
        let report = sweep.report().to_string();
        assert!(report.contains("the keyring is locked"), "{report}");
    }
}

#[tokio::test]
async fn a_helper_whose_child_goes_on_has_answered() {
    let double = locked().await;
    let home = Home::new();
    home.helper("test", &format!("sleep 60 & {FOUND}"));
    home.write(".docker/config.json", &json!({"credsStore": "test"}));
    let began = std::time::Instant::now();
    let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
    assert_eq!(sweep.told(), ["intact"]);
    // What would have been waited for is longer than that by far.
    assert!(began.elapsed() < std::time::Duration::from_secs(100));
}

#[tokio::test]
async fn a_helpers_identity_token_is_exchanged_by_post() {
    let double = presets::acr().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    let home = Home::new();
    home.helper(
        "test",
        r#"echo '{"Username":"<token>","Secret":"identity"}'"#,
    );
    home.write(".docker/config.json", &json!({"credsStore": "test"}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    assert!(double.count(&on::token().method("POST")) >= 1);
    assert_eq!(double.count(&on::token().get()), 0);
    assert_eq!(
        double.count(&on::any().header_with("authorization", "identity")),
        0
    );
}

#[tokio::test]
async fn an_identity_token_falls_back_to_get_where_post_is_refused() {
    for status in [400, 401, 404, 405] {
        let double = Double::start().await;
        double.image("team/app", Some("v1"), &[b"a layer"]);
        double.require(Bearer::anonymous().post_refused(status));
        let home = Home::new();
        let entry = json!({"auth": encoded("user:"), "identitytoken": "identity"});
        home.write(
            ".docker/config.json",
            &json!({"auths": {double.address(): entry}}),
        );
        let sweep = home.sweep(&double, &[], &[]).await;
        assert_eq!(sweep.told(), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn keys_with_a_path_are_for_what_is_under_it() {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    double.image("other", Some("v1"), &[b"another"]);
    double.require(
        Bearer::user_only("of-team", "one")
            .user("of-all", "two")
            .deny("nothing"),
    );
    let home = Home::new();
    let of_team = format!("{}/team", double.address());
    let auths = json!({
        of_team: {"auth": encoded("of-team:one")},
        double.address(): {"auth": encoded("of-all:two")},
    });
    home.write(".docker/config.json", &json!({"auths": auths}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    let by = |login: &str, scope: &str| {
        let tokens = on::token().header_with("authorization", &encoded(login));
        double.count(&tokens.param_with("scope", scope))
    };
    assert_eq!(by("of-team:one", "repository:team/app:"), 1);
    assert_eq!(by("of-all:two", "repository:other:"), 1);
    assert_eq!(by("of-all:two", "registry:catalog"), 1);
    assert_eq!(double.count(&on::token()), 3);
}

#[tokio::test]
async fn an_open_registry_is_sent_no_login_and_warns_of_one() {
    let double = Double::start().await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    double.image("team/other", Some("v1"), &[b"another"]);
    let home = Home::new();
    home.helper("test", FOUND);
    // As docker writes it for what a store keeps; without one it says nothing.
    home.write(
        ".docker/config.json",
        &json!({"auths": {double.address(): {}}}),
    );
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.report()["warnings"], json!([]));
    let config = json!({"credsStore": "test", "auths": {double.address(): {}}});
    home.write(".docker/config.json", &config);
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    assert_eq!(sweep.0.status.code(), Some(0));
    let warnings = sweep.report()["warnings"].to_string();
    assert!(warnings.contains("never asked for"), "{warnings}");
    // Whether there is one is to be known; it is shown to nobody.
    assert_eq!(home.asked("test").len(), 1);
    assert_eq!(double.count(&on::any().header("authorization")), 0);

    // Of a store that nobody spoke of for this registry, there is nothing to say.
    home.write(".docker/config.json", &json!({"credsStore": "test"}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.report()["warnings"], json!([]));
    assert_eq!(home.asked("test").len(), 1);

    // Where a login is offered and there is none, the helper is asked once for each repository.
    home.helper("test", NONE);
    double
        .when(on::any())
        .set_header("WWW-Authenticate", "Basic realm=\"x\"");
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
    assert!(double.count(&on::any().header("authorization")) == 0);
    let asked = home.asked("test").len() - 1;
    assert!((1..=3).contains(&asked), "{asked}");
}

/// Sweeps what is public and six repositories with a wrong password, which is refused for each of these.
async fn with_a_wrong_password(double: &Double) {
    let names = (0..6).map(|n| format!("team/app-{n}"));
    let names: Vec<_> = std::iter::once("public".to_owned()).chain(names).collect();
    for name in &names {
        double.image(name, Some("v1"), &[b"a layer"]);
    }
    let home = Home::new();
    let auths = json!({double.address(): {"auth": encoded("user:wrong")}});
    home.write(".docker/config.json", &json!({"auths": auths}));
    let arguments = ["--repo", &names.join(",")];
    let told = home.sweep(double, &[], &arguments).await.told();
    assert!(told.contains(&"unauthorized".to_owned()), "{told:?}");
}

#[tokio::test]
async fn a_wrong_password_is_shown_twice_at_most() {
    let double = Double::start().await;
    double.require(Basic::new("user", "right"));
    with_a_wrong_password(&double).await;
    // With what was asked for, and to find out whether it is about that.
    assert_eq!(double.count(&on::any().header("authorization")), 2);
}

#[tokio::test]
async fn a_wrong_password_is_shown_twice_where_everybody_may_ping() {
    let double = Double::start().await;
    double.require(Basic::new("user", "right"));
    double
        .when(on::ping().before_auth())
        .reply(Reply::json(200, &json!({})));
    with_a_wrong_password(&double).await;
    assert_eq!(double.count(&on::any().header("authorization")), 2);
}

#[tokio::test]
async fn what_is_public_does_not_prove_a_wrong_password() {
    let double = Double::start().await;
    double.require(Basic::new("user", "right"));
    // It is given to everybody, whatever they show.
    double
        .when(on::any().repository("public").before_auth())
        .reply(Reply::json(200, &json!({"name": "public", "tags": []})));
    with_a_wrong_password(&double).await;
    let refused = double.seen(&on::any().header("authorization"));
    let refused = refused.iter().filter(|seen| seen.status == 401).count();
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn a_login_that_is_wrong_for_one_path_is_not_proven_by_another() {
    let double = Double::start().await;
    let names: Vec<_> = (0..12)
        .map(|n| format!("{}/app-{n}", ["right", "wrong"][n % 2]))
        .collect();
    for name in &names {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    double.require(Basic::new("user", "right"));
    let home = Home::new();
    let auths = json!({
        format!("{}/right", double.address()): {"auth": encoded("user:right")},
        format!("{}/wrong", double.address()): {"auth": encoded("user:wrong")},
    });
    let path = home.write("auth.json", &json!({"auths": auths}));
    let path = path.to_str().expect("a plain path");
    let arguments = ["--authfile", path, "--repo", &names.join(",")];
    let sweep = home.sweep(&double, &[], &arguments).await;
    let wrong = on::any().header_with("authorization", &encoded("user:wrong"));
    assert_eq!(double.count(&wrong), 2);
    assert_eq!(sweep.report()["counts"]["tags"]["checked"], 6);
    assert_eq!(sweep.told().len(), 1 + 6, "{:?}", sweep.told());
}

#[tokio::test]
async fn what_is_not_there_does_not_prove_a_wrong_password() {
    let double = Double::start().await;
    double.require(Basic::new("user", "right"));
    double
        .when(on::ping().before_auth())
        .reply(Reply::json(200, &json!({})));
    let gone = on::any().repository("team/app-0").before_auth();
    double.when(gone).error(404, "NAME_UNKNOWN");
    with_a_wrong_password(&double).await;
    let refused = double.seen(&on::any().header("authorization"));
    let refused = refused.iter().filter(|seen| seen.status == 401).count();
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn a_login_that_is_refused_for_some_is_shown_for_the_rest() {
    let names = (0..6).map(|n| format!("team/app-{n}")).collect::<Vec<_>>();
    // Where the ping does not tell a right login from a wrong one, the first that is let in does: repositories
    // are asked for in any order, and two that refuse are enough to give it up.
    for (may_ping, denied) in [(false, 4), (true, 1)] {
        let double = Double::start().await;
        for name in &names {
            double.image(name, Some("v1"), &[name.as_bytes()]);
        }
        double.require(Basic::new("user", "hunter2"));
        for name in &names[1..=denied] {
            // Some say so by a 401, as to who is not known.
            let denied = Reply::error(401, "UNAUTHORIZED", "no right to this");
            let denied = denied.with_header("WWW-Authenticate", "Basic realm=\"x\"");
            double.when(on::any().repository(name)).reply(denied);
        }
        if may_ping {
            double
                .when(on::ping().before_auth())
                .reply(Reply::json(200, &json!({})));
        }
        let home = Home::new();
        let auths = json!({double.address(): {"auth": encoded("user:hunter2")}});
        home.write(".docker/config.json", &json!({"auths": auths}));
        let arguments = ["--concurrency", "1", "--repo", &names.join(",")];
        let sweep = home.sweep(&double, &[], &arguments).await;
        let checked = &sweep.report()["counts"]["tags"]["checked"];
        assert_eq!(*checked, 6 - denied, "{may_ping}: {:?}", sweep.told());
    }
}

#[tokio::test]
async fn an_identity_token_that_is_refused_is_not_posted_again() {
    for status in [400, 401, 404, 405] {
        let double = Double::start().await;
        for n in 0..4 {
            double.image(&format!("team/app-{n}"), Some("v1"), &[b"a layer"]);
        }
        double.require(Bearer::anonymous().post_refused(status));
        let home = Home::new();
        let entry = json!({"identitytoken": "identity"});
        let auths = json!({double.address(): entry});
        home.write(".docker/config.json", &json!({"auths": auths}));
        let sweep = home.sweep(&double, &[], &[]).await;
        assert_eq!(sweep.told(), ["intact"], "{status}");
        assert_eq!(double.count(&on::token().method("POST")), 1, "{status}");
    }
}

#[tokio::test]
async fn the_password_beside_an_identity_token_is_for_who_wants_one() {
    let double = locked().await;
    let home = Home::new();
    let entry = json!({"auth": encoded("user:hunter2"), "identitytoken": "identity"});
    let auths = json!({double.address(): entry});
    home.write(".docker/config.json", &json!({"auths": auths}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["intact"]);
}

#[tokio::test]
async fn keys_are_read_in_capitals_too() {
    let double = locked().await;
    let entry = json!({"Auth": encoded("user:hunter2")});
    for config in [
        json!({"Auths": {double.address(): entry}}),
        json!({"CREDSSTORE": "test"}),
        json!({"credhelpers": {double.address(): "test"}}),
    ] {
        let home = Home::new();
        home.helper("test", r#"echo '{"username":"user","SECRET":"hunter2"}'"#);
        home.write(".docker/config.json", &config);
        let sweep = home.sweep(&double, &[], &[]).await;
        assert_eq!(sweep.told(), ["intact"], "{config}");
    }
}

#[tokio::test]
async fn a_token_service_is_shown_a_wrong_password_once() {
    let double = Double::start().await;
    double.require(Bearer::user_only("user", "right"));
    with_a_wrong_password(&double).await;
    assert_eq!(double.count(&on::token()), 1);
}

#[tokio::test]
async fn a_ping_that_wants_a_login_keeps_nobody_from_what_is_public() {
    let double = locked().await;
    double.open_to_everybody(&["team/app"]);
    let home = Home::new();
    let sweep = home.sweep(&double, &[], &["--repo", "team/app"]).await;
    assert_eq!(sweep.told(), ["intact"]);
}

#[tokio::test]
async fn another_registrys_login_is_not_ours_to_use() {
    let double = locked().await;
    let home = Home::new();
    let auths = json!({"127.0.0.1:1": {"auth": encoded("user:hunter2")}, "127.0.0.1": {"auth": encoded("user:hunter2")}});
    home.write(".docker/config.json", &json!({"auths": auths}));
    let sweep = home.sweep(&double, &[], &[]).await;
    assert_eq!(sweep.told(), ["unverified", "unauthorized"]);
    assert_eq!(double.count(&on::any().header("authorization")), 0);
}
