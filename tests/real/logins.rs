//! Login files as people and clients write them: the probe comes as whom skopeo comes as, or both as nobody.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry_double::{Background, Basic, Bearer, Double, in_background};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Files that are tried at the same time.
const SIDE_BY_SIDE: usize = 4;

/// How a key is written, of a registry at HOST.
const KEYS: [&str; 9] = [
    "HOST",
    "https://HOST",
    "http://HOST",
    "https://HOST/v2/",
    "https://HOST/v1/",
    "HOST/team",
    "HOST/team/app",
    "HOST/other",
    "other.example",
];

/// What a helper does when it is asked.
const HELPERS: [&str; 8] = [
    r#"echo '{"ServerURL":"x","Username":"helper","Secret":"secret"}'"#,
    r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"secret"}'"#,
    "echo 'credentials not found in native keychain'; exit 1",
    "echo 'no such thing here'; exit 1",
    "exit 3",
    "true",
    "echo '{}'",
    "echo nonsense",
];

/// How the two differ on purpose, each with where the other client's way is from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Meant {
    /// Base64 without padding: Go's StdEncoding refuses it, and with it the image (containers/image,
    /// decodeDockerAuth); nothing else can be meant.
    WithoutPadding,
    /// `username` and `password` beside or without `auth`, as docker/cli reads them (types.AuthConfig).
    UserAndPassword,
    /// A `credsStore`: docker's (configfile.getConfiguredCredentialStore), passed over by containers/image.
    Store,
    /// A password of nobody, which skopeo sends.
    WithoutUser,
    /// Several keys that lead to one registry and none that is written as that is: Go's maps have no order, so that
    /// one is taken by chance (containers/image, findAuthentication; docker/cli, fileStore.Get).
    ByChance,
    /// An `identitytoken` beside an `auth` that is none (containers/image reads that first).
    TokenAlone,
}

/// One file, and what is there to be asked beside it.
#[derive(Clone)]
struct Case {
    config: Value,
    helper: Option<&'static str>,
    /// Whether the registry asks for a password, whatever the file holds.
    is_basic: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.config, self.helper)
    }
}

/// Forms of an entry for a user.
fn entries(user: &str) -> Vec<Value> {
    let auth = |text: &str| STANDARD.encode(text);
    let pair = auth(&format!("{user}:secret"));
    let (start, end) = pair.split_at(5);
    vec![
        json!({"auth": pair}),
        json!({"auth": auth(&format!("{user}:secret:with:colons"))}),
        json!({"auth": pair.trim_end_matches('=')}),
        json!({"auth": format!("{start}\n{end}\n")}),
        json!({"auth": auth(&format!("{user}:secret\0\0"))}),
        json!({"username": user, "password": "secret"}),
        json!({"auth": pair, "username": "other", "password": "other"}),
        json!({"auth": pair, "email": "a@b.example"}),
        json!({"auth": ""}),
        json!({"auth": null}),
        json!({}),
        json!({"auth": "???"}),
        json!({"auth": auth("no colon")}),
        json!({"auth": auth(":secret")}),
        json!({"auth": pair, "identitytoken": "identity"}),
        json!({"identitytoken": "identity"}),
        json!({"Auth": pair}),
        json!({"AUTH": pair, "auth": null}),
        json!({"auth": auth("other:secret"), "Auth": pair}),
    ]
}

fn cases() -> Vec<Case> {
    let plain = |config| Case {
        config,
        helper: None,
        is_basic: false,
    };
    let mut cases = vec![
        plain(json!({})),
        plain(json!({"auths": {}})),
        plain(json!({"auths": null})),
        plain(json!({"credHelpers": null, "auths": {}})),
    ];
    // Each form under each key.
    for key in KEYS {
        for entry in entries("user") {
            cases.push(plain(json!({"auths": {key: entry}})));
        }
    }
    // A token beside a password, where a password is wanted.
    for key in KEYS {
        let auth = |text: &str| STANDARD.encode(text);
        for entry in [
            json!({"auth": auth("user:secret"), "identitytoken": "identity"}),
            json!({"auth": auth("user:"), "identitytoken": "identity"}),
            json!({"auth": auth("user:secret"), "IdentityToken": "identity"}),
        ] {
            cases.push(Case {
                is_basic: true,
                ..plain(json!({"auths": {key: entry}}))
            });
        }
    }
    // Other capitals.
    let entry = json!({"auth": STANDARD.encode("user:secret")});
    for table in ["Auths", "AUTHS", "aUTHS"] {
        cases.push(plain(json!({table: {"HOST": entry}})));
    }
    for table in ["credhelpers", "CredHelpers"] {
        cases.push(Case {
            helper: Some(HELPERS[0]),
            ..plain(json!({table: {"HOST": "test"}}))
        });
        cases.push(Case {
            helper: Some("echo '{\"username\":\"helper\",\"SECRET\":\"secret\"}'"),
            ..plain(json!({table: {"HOST": "test"}}))
        });
    }
    // Two keys, each with a user of its own.
    for first in KEYS {
        for second in KEYS.iter().filter(|second| first < **second) {
            let entry = |user: &str| json!({"auth": STANDARD.encode(format!("{user}:secret"))});
            let auths = json!({first: entry(first_word(first)), *second: entry("second")});
            cases.push(plain(json!({"auths": auths})));
        }
    }
    // Each helper, alone and beside an entry.
    for helper in HELPERS {
        let entry = json!({"HOST": {"auth": STANDARD.encode("user:secret")}});
        let of_path = json!({"HOST/team": {"auth": STANDARD.encode("path:secret")}});
        for auths in [json!({}), entry, of_path] {
            for by in [
                json!({"credHelpers": {"HOST": "test"}}),
                json!({"credsStore": "test"}),
            ] {
                let mut config: Map<String, Value> = by.as_object().cloned().expect("an object");
                config.insert("auths".to_owned(), auths.clone());
                cases.push(Case {
                    config: config.into(),
                    helper: Some(helper),
                    is_basic: false,
                });
            }
        }
    }
    cases
}

fn first_word(key: &str) -> &str {
    key.split(':').next().unwrap_or(key)
}

/// Who came to a registry: users, and tokens that stand for them.
type Came = BTreeSet<String>;

/// A registry that lets nobody in, so that a client shows all that it has.
fn registry(wants_token: bool) -> Background<Double> {
    in_background(async move {
        let double = Double::start().await;
        double.image("team/app", Some("v1"), &[b"a layer"]);
        if wants_token {
            double.require(Bearer::anonymous());
        } else {
            double.require(Basic::new("nobody", "at all"));
        }
        double
    })
}

fn came(double: &Double) -> Came {
    let mut came = Came::new();
    for seen in double.requests() {
        let authorization = seen.request.header("authorization").unwrap_or_default();
        if let Some(basic) = authorization.strip_prefix("Basic ") {
            let pair = STANDARD.decode(basic).expect("base64");
            let pair = String::from_utf8_lossy(&pair).into_owned();
            // skopeo's way to come as nobody.
            came.extend(Some(pair).filter(|pair| pair != ":"));
        }
        let body = String::from_utf8_lossy(&seen.request.body).into_owned();
        let token = body
            .split('&')
            .find_map(|field| field.strip_prefix("refresh_token="));
        came.extend(token.map(|token| format!("token {token}")));
    }
    came
}

/// Whom both come as with a file: skopeo, and the probe.
fn try_out(case: &Case) -> (Came, Came) {
    let home = TempDir::new().expect("a temporary directory");
    let text = case.config.to_string();
    let is_token =
        text.contains("identitytoken") || case.helper.is_some_and(|h| h.contains("<token>"));
    let wants_token = is_token && !case.is_basic;
    let double = registry(wants_token);
    let host = double.address().to_owned();
    let file = home.path().join("config.json");
    fs::write(&file, text.replace("HOST", &host)).expect("a file is written");
    if let Some(helper) = case.helper {
        let program = home.path().join("docker-credential-test");
        fs::write(&program, format!("#!/bin/sh\ncat >/dev/null\n{helper}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    }
    let image = format!("{host}/team/app:v1");
    run(
        home.path(),
        "skopeo",
        &["inspect", "--raw", "--tls-verify=false", "--authfile"],
        &file,
        &format!("docker://{image}"),
    );
    let theirs = came(&double);
    double.forget_requests();
    run(
        home.path(),
        env!("CARGO_BIN_EXE_probe"),
        &["verify", "--authfile"],
        &file,
        &image,
    );
    (theirs, came(&double))
}

fn run(home: &Path, program: &str, arguments: &[&str], file: &Path, image: &str) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .arg(image)
        .env_clear()
        .env("HOME", home)
        .env("PATH", format!("{}:{path}", home.display()))
        .output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"));
}

/// How a case differs on purpose, if it does.
fn meant(case: &Case) -> Option<Meant> {
    let text = case.config.to_string();
    let entries = case.config["auths"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let has = |is_so: &dyn Fn(&Value) -> bool| entries.values().any(is_so);
    let auth = |entry: &Value| entry["auth"].as_str().unwrap_or_default().to_owned();
    if has(&|entry| auth(entry).len() % 4 != 0 && !auth(entry).contains(['\n', '?'])) {
        return Some(Meant::WithoutPadding);
    }
    if has(&|entry| auth(entry).is_empty() && entry["username"].is_string()) {
        return Some(Meant::UserAndPassword);
    }
    if has(&|entry| auth(entry).is_empty() && entry["identitytoken"].is_string()) {
        return Some(Meant::TokenAlone);
    }
    if has(&|entry| auth(entry) == STANDARD.encode(":secret")) {
        return Some(Meant::WithoutUser);
    }
    let schemes = entries.keys().filter(|key| key.contains("://HOST"));
    if schemes.count() > 1 {
        return Some(Meant::ByChance);
    }
    text.contains("credsStore").then_some(Meant::Store)
}

#[test]
fn the_probe_comes_as_whom_skopeo_comes_as() {
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut differences = Vec::new();
    let mut met = BTreeSet::new();
    for some in cases.chunks(SIDE_BY_SIDE) {
        let tried: Vec<_> = std::thread::scope(|scope| {
            let tries: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(move || try_out(case)))
                .collect();
            tries
                .into_iter()
                .map(|tried| tried.join().expect("a try ends"))
                .collect()
        });
        for (case, (theirs, ours)) in some.iter().zip(tried) {
            if theirs == ours {
                continue;
            }
            match meant(case) {
                Some(meant) => _ = met.insert(meant),
                None => differences.push(format!("{case}: {theirs:?}, not {ours:?}")),
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // A difference that is none any more goes from the list.
    let all = [
        Meant::WithoutPadding,
        Meant::UserAndPassword,
        Meant::Store,
        Meant::WithoutUser,
        Meant::TokenAlone,
    ];
    let missing = all.iter().filter(|meant| !met.contains(meant));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&Meant>::new());
}
