//! Tests of settings from all sources together: which wins, and what is said of those that cannot be
//! used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{LogFormat, OutputArg};
use super::job::{Job, load};
use super::settings::Typed;
use super::surroundings::Surroundings;
use crate::registry::Depth;
use crate::registry::client::{CredentialSource, LoginStore};
use crate::report::{Mode, Record};
use crate::service::Target;
use crate::sweep::{RequiredReferrer, Source};

/// A configuration file in a directory of its own.
struct Configured {
    directory: tempfile::TempDir,
}

impl Configured {
    fn by(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("probe.yaml"), text).expect("written");
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Runs with this file, whose path is `probe.yaml` in what comes back.
    fn job(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Job, String> {
        let file = self.path("probe.yaml").display().to_string();
        let config = ("PROBE_CONFIG", file.as_str());
        let around = Surroundings::with(environment.iter().chain([&config]));
        let words = ["probe"].iter().chain(arguments).map(Into::into);
        let typed = Typed::parse(words.collect()).map_err(|error| error.to_string())?;
        let directory = format!("{}/", self.directory.path().display());
        load(&typed, &around).map_err(|error| error.to_string().replace(&directory, ""))
    }

    fn targets(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Vec<Target> {
        match self.job(arguments, environment) {
            Ok(Job::Sweep(settings)) => settings.targets,
            Ok(_) => panic!("{arguments:?}: not a sweep"),
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    fn printed(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        match self.job(&[arguments, &["--print-config"]].concat(), environment) {
            Ok(Job::Print(text)) => {
                let text = String::from_utf8_lossy(&text);
                text.replace(&format!("{}/", self.directory.path().display()), "")
            }
            Ok(_) => panic!("{arguments:?}: not a configuration"),
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    fn error(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        self.job(arguments, environment).err().unwrap_or_default()
    }
}

const TWO: &str = "\
once: true
depth: head
tags-per-repo: 3
exclude-tag: [ci-*, tmp]
registries:
  - registry: http://a.example:5000
    depth: digest
    username: u
    password-file: a.password
  - registry: b.example
    mode: mirror
    tags-per-repo: 7
    exclude-tag: []
    concurrency: 2
  - c.example
";

fn two() -> Configured {
    let two = Configured::by(TWO);
    two.write("a.password", "secret-of-a\n");
    two
}

#[test]
fn each_registry_has_its_own_options() {
    let targets = two().targets(&[], &[]);
    let names: Vec<_> = targets.iter().map(|t| t.policy.registry.as_str()).collect();
    assert_eq!(names, ["a.example:5000", "b.example", "c.example"]);
    let [a, b, c] = &targets[..] else {
        panic!("three")
    };
    assert!(!a.http.endpoint.is_https() && b.http.endpoint.is_https());
    assert_eq!(
        [a, b, c].map(|t| t.policy.depth),
        [Depth::Digest, Depth::Head, Depth::Head]
    );
    assert_eq!(
        [a, b, c].map(|t| t.policy.mode),
        [Mode::Private, Mode::Mirror, Mode::Private]
    );
    let tags = [a, b, c].map(|t| t.policy.scope.tags_per_repository);
    assert_eq!(tags, [Some(3), Some(7), Some(3)]);
    assert_eq!([a, b, c].map(|t| t.http.concurrency.get()), [8, 2, 8]);
    let is_login = |t: &Target| matches!(t.http.credentials, CredentialSource::Given { .. });
    assert_eq!([a, b, c].map(is_login), [true, false, false]);
    // An empty list of one registry takes back that of all.
    let takes = |t: &Target| t.policy.scope.tags.takes("ci-1");
    assert_eq!([a, b, c].map(takes), [false, true, false]);
}

#[test]
fn flags_win_over_environment_entry_top_and_default() {
    let depths = |arguments: &[&str], environment: &[(&str, &str)]| {
        let targets = two().targets(arguments, environment);
        [targets[0].policy.depth, targets[1].policy.depth]
    };
    assert_eq!(depths(&[], &[]), [Depth::Digest, Depth::Head]);
    let environment = [("PROBE_DEPTH", "tail")];
    assert_eq!(depths(&[], &environment), [Depth::Tail; 2]);
    assert_eq!(
        depths(&["--depth", "digest"], &environment),
        [Depth::Digest; 2]
    );
    // A variable that is empty says nothing.
    assert_eq!(
        depths(&[], &[("PROBE_DEPTH", "")]),
        [Depth::Digest, Depth::Head]
    );
    let none = Configured::by("");
    assert_eq!(
        none.targets(&["--once", "r.example"], &[])[0].policy.depth,
        Depth::Tail
    );
}

#[test]
fn the_old_names_win_over_the_file_and_not_over_the_new_names() {
    let tags = |environment: &[(&str, &str)]| {
        let target = two().targets(&[], environment).remove(0);
        target.policy.scope.tags_per_repository
    };
    assert_eq!(tags(&[("TAGS_PER_REPO", "5")]), Some(5));
    let both = [("TAGS_PER_REPO", "5"), ("PROBE_TAGS_PER_REPO", "6")];
    assert_eq!(tags(&both), Some(6));
}

#[test]
fn booleans_are_true_and_false_in_every_source() {
    let plain = Configured::by("once: true\nplain-http: true\nregistries: [r.example]\n");
    let is_https =
        |environment: &[(&str, &str)]| plain.targets(&[], environment)[0].http.endpoint.is_https();
    assert!(!is_https(&[]));
    assert!(is_https(&[("PROBE_PLAIN_HTTP", "false")]));
    assert!(!is_https(&[("PROBE_PLAIN_HTTP", "1")]));
}

#[test]
fn registries_that_are_named_choose_among_the_entries() {
    let targets = two().targets(&["a.example:5000", "d.example"], &[]);
    let [a, d] = &targets[..] else { panic!("two") };
    assert_eq!(a.policy.depth, Depth::Digest);
    assert!(!a.http.endpoint.is_https(), "the entry knows the scheme");
    assert_eq!(
        (d.policy.registry.as_str(), d.policy.depth),
        ("d.example", Depth::Head)
    );
    let typed = two().targets(&["https://a.example:5000"], &[]);
    assert!(typed[0].http.endpoint.is_https(), "unless one is typed");
    let old = two().targets(&[], &[("REGISTRY_HOST", "b.example")]);
    assert_eq!((old.len(), old[0].policy.mode), (1, Mode::Mirror));
}

#[test]
fn a_single_image_and_an_examination_use_the_registrys_entry() {
    let targets = two().targets(&["verify", "a.example:5000/app:1", "b.example/app"], &[]);
    assert_eq!(targets[0].policy.depth, Depth::Digest);
    assert!(!targets[0].http.endpoint.is_https());
    assert_eq!(targets[1].http.concurrency.get(), 2);
    // What is about the process is about the process that sweeps.
    let json = Configured::by("output: json\nregistries: [r]\n");
    assert!(
        matches!(json.job(&["verify", "r/a"], &[]), Ok(Job::Sweep(s)) if s.report.output == OutputArg::Text)
    );
    assert!(matches!(two().job(&["doctor"], &[]), Ok(Job::Examine(_))));
}

#[test]
fn of_two_logins_the_one_from_the_greater_source_is_taken() {
    let login = |text: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let configured = Configured::by(&format!("once: true\n{text}"));
        configured.write("password", "p");
        configured.write("auth.json", "{}");
        let arguments: Vec<_> = arguments
            .iter()
            .map(|a| a.replace("DIR", &configured.directory.path().display().to_string()))
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        match configured
            .targets(&arguments, environment)
            .remove(0)
            .http
            .credentials
        {
            CredentialSource::Given { username, .. } => username,
            CredentialSource::Stored(stores) => {
                let name = |store: &LoginStore| {
                    let place = store.place.to_string();
                    place.rsplit('/').next().map(str::to_owned)
                };
                stores.iter().filter_map(name).collect()
            }
            CredentialSource::None => String::new(),
        }
    };
    let top = "username: top\npassword-file: password\nregistries: [r]\n";
    let entry = "username: top\npassword-file: password\nregistries: [{registry: r, authfile: auth.json}]\n";
    let file = "authfile: auth.json\nregistries: [r]\n";
    let old = [("REG_USER", "old"), ("REG_PASS", "p")];
    assert_eq!(login(top, &[], &[]), "top");
    assert_eq!(login(entry, &[], &[]), "auth.json");
    assert_eq!(login(entry, &[], &old), "old");
    assert_eq!(
        login(top, &["--authfile", "DIR/auth.json"], &old),
        "auth.json"
    );
    assert_eq!(login(file, &[], &old), "old");
    assert_eq!(
        login(file, &["--username", "flag"], &[("PROBE_PASSWORD", "p")]),
        "flag"
    );
    assert_eq!(login(top, &["--password-stdin"], &[]), "top");
}

#[test]
fn each_command_says_how_often_registries_are_swept() {
    let is_service = |text: &str, arguments: &[&str]| {
        let configured = Configured::by(text);
        match configured.job(arguments, &[]) {
            Ok(Job::Sweep(settings)) => settings.service.is_some(),
            Ok(_) => panic!("{arguments:?}: not a sweep"),
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    };
    let once = "once: true\nregistries: [r.example]\n";
    let ever = "registries: [r.example]\noutput: json\n";
    assert!(!is_service(once, &[]) && is_service(ever, &[]));
    assert!(!is_service(ever, &["sweep"]) && !is_service(ever, &["--once"]));
    assert!(is_service(once, &["serve"]) && is_service(once, &["serve", "s.example"]));
    let Ok(Job::Sweep(settings)) = Configured::by(ever).job(&["sweep"], &[]) else {
        panic!("a sweep")
    };
    assert_eq!(settings.report.output, OutputArg::Json);
}

#[test]
fn the_service_listens_on_this_machine_unless_told_otherwise() {
    let listen = |environment: &[(&str, &str)]| {
        let configured = Configured::by("registries: [r.example]\n");
        let Ok(Job::Sweep(settings)) = configured.job(&["serve"], environment) else {
            panic!("a service")
        };
        settings.service.expect("a service").listen.to_string()
    };
    assert_eq!(listen(&[]), "127.0.0.1:9464");
    assert_eq!(listen(&[("PROBE_LISTEN", ":9000")]), "[::]:9000");
    let ipv4 = "0.0.0.0:9000";
    assert_eq!(listen(&[("PROBE_LISTEN", ipv4)]), ipv4);
    let error = two().error(&["serve"], &[("PROBE_LISTEN", "localhost")]);
    assert!(
        error.contains("PROBE_LISTEN: `localhost`: expected IP:PORT"),
        "{error}"
    );
}

#[test]
fn the_variable_takes_several_registries() {
    let file = Configured::by("once: true\n");
    let environment = [
        (
            "PROBE_REGISTRY",
            "a.example:5000, https://b.example,registry,",
        ),
        ("REGISTRY_SCHEME", "http"),
    ];
    let targets = file.targets(&[], &environment);
    let seen = targets.iter().map(|target| {
        let endpoint = &target.http.endpoint;
        (endpoint.name().to_owned(), endpoint.is_https())
    });
    let expected = [
        ("a.example:5000", false),
        ("b.example", true),
        ("registry", false),
    ];
    let expected = expected.map(|(name, is_https)| (name.to_owned(), is_https));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

#[test]
fn an_option_may_need_one_from_another_source() {
    let file = Configured::by("once: true\nscrub-every: 7days\nregistries: [r]\n");
    let targets = file.targets(&["--scrub-max-bytes", "20GB"], &[]);
    assert!(targets[0].schedules.digest.is_some());
}

#[test]
fn an_environment_password_wins_over_a_configured_file() {
    let configured =
        Configured::by("once: true\nusername: u\npassword-file: gone\nregistries: [r]\n");
    assert_eq!(configured.targets(&[], &[("PROBE_PASSWORD", "p")]).len(), 1);
    let error = configured.error(&[], &[]);
    assert!(
        error.starts_with("probe.yaml:3: `password-file`: gone cannot be read"),
        "{error}"
    );
}

#[test]
fn what_is_in_force_is_a_file_that_says_the_same() {
    let configured = two();
    let environment = [
        ("REG_USER", "who"),
        ("REG_PASS", "hunter2"),
        ("PROBE_TIMEOUT", "5s"),
        ("PROBE_ALLOW_EMPTY", "1"),
    ];
    let printed = configured.printed(&["--mode", "mirror"], &environment);
    for expected in [
        "once: true # probe.yaml:1\n",
        "output: text # default\n",
        "fail-on: [broken, unverified] # default\n",
        "  - registry: http://a.example:5000 # probe.yaml:6\n",
        "    depth: digest # probe.yaml:7\n",
        "    depth: head # probe.yaml:2\n",
        "    exclude-tag: [\"ci-*\", tmp] # probe.yaml:4\n",
        "    mode: mirror # flag\n",
        "    timeout: 5s # PROBE_TIMEOUT\n",
        "    username: who # REG_USER\n",
        "    # password: hidden, from REG_PASS\n",
        "    plain-http: false # default\n",
        "    allow-empty: true # PROBE_ALLOW_EMPTY\n",
    ] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
    assert!(
        !printed.contains("hunter2") && !printed.contains("secret"),
        "{printed}"
    );
    let without_sources = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split(" #").next().unwrap_or_default());
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let again = Configured::by(&printed).printed(&[], &[("REG_PASS", "hunter2")]);
    assert_eq!(without_sources(&again), without_sources(&printed));
}

#[test]
fn unusable_values_are_told_with_place_and_what_is_allowed() {
    for (text, expected) in [
        (
            "once: true\ndpeth: head\n",
            "probe.yaml:2: `dpeth` is not understood: the keys are",
        ),
        (
            "depth: deep\nregistries: [r]",
            "probe.yaml:1: `depth`: `deep` is not one of head, tail, digest",
        ),
        (
            "registries:\n  - registry: r\n    software: docker\n",
            "probe.yaml:3: `software`: `docker` is not one of distribution-2, distribution-3, zot, gitea, harbor, \
             gitlab, quay, nexus, artifactory, docker-hub, ghcr, ecr, gar, acr",
        ),
        (
            "registries:\n  - registry: r\n    depth: [head]\n",
            "probe.yaml:3: `depth` takes one value, not a list",
        ),
        (
            "registries:\n  - registry: r\n    concurrency: 0\n",
            "probe.yaml:3: `concurrency`: `0`: ",
        ),
        (
            "registries:\n  - registry: r\n    timeout: 0s\n",
            "probe.yaml:3: `timeout`: `0s`: it must be longer",
        ),
        (
            "registries:\n  - registry: r\n    output: json\n",
            "probe.yaml:3: `output` is about the whole process",
        ),
        (
            "registries:\n  - registry: r\n    tags: x\n",
            "probe.yaml:3: `tags` is not understood",
        ),
        (
            "registries:\n  - depth: head\n",
            "probe.yaml:2: no `registry: HOST[:PORT]`",
        ),
        (
            "registries:\n  - registry: ftp://r\n",
            "probe.yaml:2: `registry`: not a registry's address",
        ),
        (
            "registries:\n  - registry: https://u:hunter2@r\n",
            "probe.yaml:2: `registry`: not a registry's address",
        ),
        (
            "registries:\n  - r\n  - https://r\n",
            "probe.yaml:3: r has an entry in line 2 already",
        ),
        (
            "registries: r\n",
            "probe.yaml:1: `registries` must be a list",
        ),
        ("registries: []\n", "probe.yaml:1: `registries` is empty"),
        (
            "plain-http: yes\n",
            "probe.yaml:1: `plain-http` must be true or false",
        ),
        (
            "password-stdin: true\n",
            "probe.yaml:1: `password-stdin` can only be given on the command line",
        ),
        ("fail-on: []\n", "probe.yaml:1: `fail-on` is an empty list"),
        ("depth:\n", "probe.yaml:1: `depth` has no value"),
        (
            "depth: head\ndepth: tail\n",
            "probe.yaml:2: `depth` stands in line 1 already",
        ),
        ("- a\n", "probe.yaml:1: a configuration must be a mapping"),
        ("repo: A\nregistries: [r]\n", "probe.yaml:1: `repo`: `A`"),
        (
            "authfile: a\nusername: u\nregistries: [r]\n",
            "probe.yaml:2: `username`: cannot be used with --authfile",
        ),
        ("once: true\n", "no registry is named"),
        (
            "scrub-max-bytes: 1GB\nregistries: [r]\n",
            "probe.yaml:1: `scrub-max-bytes`: limits --scrub-every or --read-depth",
        ),
        ("job: ''\nregistries: [r]\n", "probe.yaml:1: `job`: "),
    ] {
        let error = Configured::by(text).error(&["--once"], &[]);
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    for (variable, value, expected) in [
        (
            "PROBE_DEPTH",
            "deep",
            "PROBE_DEPTH: `deep` is not one of head, tail, digest",
        ),
        ("PROBE_CONCURRENCY", "0", "PROBE_CONCURRENCY: `0`: "),
        ("TAGS_PER_REPO", "all", "TAGS_PER_REPO: `all`: "),
        ("PROBE_REPO", "A", "PROBE_REPO: `A`"),
        (
            "PROBE_CONFIG",
            "/nonexistent",
            "/nonexistent: cannot be read",
        ),
    ] {
        let around = Surroundings::with(&[(variable, value)]);
        let words = ["probe", "--once", "r.example"].map(Into::into).to_vec();
        let typed = Typed::parse(words).expect("usable as typed");
        let error = load(&typed, &around).err().map(|e| e.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_service_is_configured_at_the_top_names_by_registry() {
    let text = "interval: 5m\nlisten: 127.0.0.1:0\nweb-config: web.yml\nlog-format: json\n\
                push-gateway: http://gateway.example:9091\n\
                registries:\n  - {registry: a, instance: main}\n  - b\n";
    let configured = Configured::by(text);
    let Ok(Job::Sweep(settings)) = configured.job(&[], &[]) else {
        panic!("a service")
    };
    let names: Vec<_> = settings
        .targets
        .iter()
        .map(|t| t.policy.registry.as_str())
        .collect();
    assert_eq!(names, ["main", "b"]);
    assert_eq!(settings.report.log_format, LogFormat::Json);
    assert!(settings.publish.gateway.is_some());
    let service = settings.service.expect("a service");
    assert_eq!(service.interval, Duration::from_secs(300));
    assert_eq!(service.web_config, Some(configured.path("web.yml")));
    for (text, environment, expected) in [
        (
            "instance: x\nregistries: [a, b]",
            vec![],
            "probe.yaml:1: `instance`: names one",
        ),
        (
            "registries: [a, b]",
            vec![("REGISTRY_INSTANCE", "x")],
            "REGISTRY_INSTANCE: names one",
        ),
        (
            "registries: [a, {registry: b, instance: a}]",
            vec![],
            "a is named twice",
        ),
        (
            "push-gateway: ftp://x\nregistries: [a]",
            vec![],
            "probe.yaml:1: `push-gateway`: no web",
        ),
        (
            "push-gateway: 'ftp://u:hunter2@x'\nregistries: [a]",
            vec![],
            "probe.yaml:1: `push-gateway`",
        ),
    ] {
        let error = Configured::by(text).error(&[], &environment);
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{text}: {error}"
        );
    }
    let printed = configured.printed(&[], &[("PUSHGATEWAY", "http://u:hunter2@gateway.example")]);
    assert!(
        printed.contains("push-gateway: http://hidden@gateway.example # PUSHGATEWAY"),
        "{printed}"
    );
}

#[test]
fn a_pages_address_takes_paths_and_holds_no_login() {
    let configured = Configured::by("registries: [a]\n");
    for (given, expected) in [
        ("https://probe.example", "https://probe.example/"),
        (
            "http://ops.example:8080/probe",
            "http://ops.example:8080/probe/",
        ),
        ("http://ops.example/probe//", "http://ops.example/probe/"),
    ] {
        let Ok(Job::Sweep(settings)) = configured.job(&["--external-url", given], &[]) else {
            panic!("a service")
        };
        let service = settings.service.expect("a service");
        assert_eq!(service.external_url.as_deref(), Some(expected));
    }
    for unusable in [
        "probe.example",
        "ftp://probe.example",
        "https://u:hunter2@probe.example",
        "https://probe.example/?token=hunter2",
        "https://probe.example/#hunter2",
    ] {
        let environment = [("PROBE_EXTERNAL_URL", unusable)];
        let error = configured.error(&[], &environment);
        assert!(
            error.starts_with("PROBE_EXTERNAL_URL: no web address") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn paths_are_relative_to_the_file_that_they_stand_in() {
    let configured = Configured::by("once: true\nauthfile: logins/auth.json\nregistries: [r]\n");
    std::fs::create_dir(configured.path("logins")).expect("a directory");
    configured.write("logins/auth.json", "{}");
    let target = configured.targets(&[], &[]).remove(0);
    let expected = configured.path("logins/auth.json");
    let expected = expected.display().to_string();
    assert!(Path::new(&expected).is_absolute());
    assert!(
        matches!(target.http.credentials, CredentialSource::Stored(stores)
            if stores.len() == 1 && stores[0].place.to_string() == expected)
    );
}

#[test]
fn a_file_names_repositories_whatever_editor_wrote_it() {
    let configured = Configured::by("registries: [{registry: r.example}]");
    for text in [
        "team/app\nteam/tools # ours\n",
        "\u{feff}team/app\r\n\r\n  team/tools\r\n",
    ] {
        configured.write("names", text);
        let path = configured.path("names").display().to_string();
        let targets = configured.targets(&["--once", "--repos-file", &path], &[]);
        let named = ["team/app", "team/tools"].map(|name| name.parse().expect("a name"));
        let source = Source::Repositories(named.into());
        assert_eq!(targets[0].policy.scope.source, source, "{text:?}");
    }
}

#[test]
fn what_has_changed_is_seen_by_the_next_load() {
    let configured = Configured::by("once: true\nregistries: [a]\n");
    assert_eq!(configured.targets(&[], &[]).len(), 1);
    configured.write("probe.yaml", "once: true\nregistries: [a, b]\n");
    assert_eq!(configured.targets(&[], &[]).len(), 2);
}

/// Text that YAML could take for something else, in any order.
const ODD: &[&str] = &[
    "a", "Z", "0", "1.10", "-", " ", "#", ": ", ":", "'", "\"", "\\", "\n", "\t", "*", "&", "!",
    "|", ">", "%", "@", "`", "{", "}", "?", "~", "null", "true", "no", "=", "\u{1b}", "\u{7f}",
    "\u{85}", "\u{a0}", "\u{2028}", "\u{feff}", "é", "😀", "$(x)", "://", "<<", "---", "...",
];

/// The settings that a configuration shows, without where they come from.
fn values(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines
        .map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value))
        .collect()
}

#[test]
fn what_is_printed_is_read_as_the_same_settings() {
    let nothing = Configured::by("");
    let mut usable = 0;
    for seed in 0..1500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut odd = || -> String {
            let pieces = 0..random.usize(1..5);
            let piece = |_| *random.choice(ODD).expect("some");
            pieces.map(piece).collect()
        };
        let mut arguments = vec!["--once".to_owned(), "r.example".to_owned()];
        for option in ["job", "instance", "repo", "exclude-tag", "username"] {
            arguments.push(format!("--{option}={}", odd()));
        }
        // Where a relative path leads depends on who names it.
        arguments.push(format!("--textfile=/{}", odd()));
        let mut time = |option: &str| {
            let unit = *random
                .choice(&["ms", "s", "m", "h", "days", "us"])
                .expect("some");
            let (whole, rest) = (random.u32(1..3_000), random.u32(1..60));
            arguments.push(format!("--{option}={whole}{unit} {rest}ns"));
        };
        for option in [
            "confirm-after",
            "interval",
            "timeout",
            "deadline",
            "scrub-every",
        ] {
            time(option);
        }
        let depth = *random.choice(&["head", "tail", "digest"]).expect("some");
        arguments.push(format!("--depth={depth}"));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let password = [("PROBE_PASSWORD", "p")];
        let arguments = [&arguments[..], &["--print-config"]].concat();
        let Ok(Job::Print(first)) = nothing.job(&arguments, &password) else {
            continue;
        };
        usable += 1;
        let first = String::from_utf8(first).expect("text");
        let second = Configured::by(&first).printed(&[], &password);
        assert_eq!(values(&second), values(&first), "seed {seed}\n{first}");
    }
    assert!(usable > 150, "{usable}");
}

#[test]
fn each_registry_is_shown_with_the_line_that_names_it() {
    let printed = two().printed(&[], &[]);
    for line in [
        "  - registry: http://a.example:5000 # probe.yaml:6\n",
        "  - registry: b.example # probe.yaml:10\n",
        "  - registry: c.example # probe.yaml:15\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

const PUBLIC: &str = "\
registries:
  - {registry: 'http://registry:5000', public-name: r.example/mirror, plain-http: true}
  - {registry: s.example, instance: second, public-name: public.example}
  - t.example
";

#[test]
fn an_instance_wins_over_a_public_name_and_that_over_the_rest() {
    let targets = Configured::by(PUBLIC).targets(&["sweep"], &[]);
    let names: Vec<_> = targets.iter().map(|t| t.policy.registry.as_str()).collect();
    assert_eq!(names, ["r.example/mirror", "second", "t.example"]);
    let dialled: Vec<_> = targets.iter().map(|t| t.http.endpoint.name()).collect();
    assert_eq!(dialled, ["registry:5000", "s.example", "t.example"]);
}

#[test]
fn a_public_name_is_of_one_registry() {
    let two = Configured::by("registries: [a, b]");
    let environment = [("PROBE_PUBLIC_NAME", "r.example")];
    let error = two.error(&["sweep"], &environment);
    assert!(error.contains("PROBE_PUBLIC_NAME: names one"), "{error}");
    let flag = ["verify", "--public-name", "r.example", "a.x/b", "c.x/d"];
    let error = two.error(&flag, &[]);
    assert!(error.contains("--public-name: names one"), "{error}");
    let error = two.error(&["sweep", "--public-name", "registry", "x.y"], &[]);
    assert!(
        error.contains("--public-name") && error.contains("Docker Hub"),
        "{error}"
    );
}

/// What is in a pod's environment is about the registry there, and an image is often of another.
#[test]
fn the_scheme_of_an_image_is_that_of_the_connection() {
    let file = Configured::by("");
    for (image, is_https) in [
        ("https://localhost:5000/app:v1", true),
        ("localhost:5000/app:v1", false),
    ] {
        let target = file.targets(&["verify", image], &[]).remove(0);
        assert_eq!(target.http.endpoint.is_https(), is_https);
        assert_eq!(target.http.endpoint.name(), "localhost:5000");
    }
}

#[test]
fn of_two_public_names_the_longer_one_is_meant() {
    let one = "{registry: 'http://one:5000', public-name: r.example}";
    let two = "{registry: 'http://two:5000', public-name: r.example/mirror}";
    for entries in [[one, two], [two, one]] {
        let file = Configured::by(&format!("registries: [{}]\n", entries.join(", ")));
        for (image, registry) in [
            ("r.example/mirror/app:v1", "two:5000"),
            ("r.example/app:v1", "one:5000"),
        ] {
            let target = file.targets(&["verify", image], &[]).remove(0);
            assert_eq!(target.http.endpoint.name(), registry, "{image}");
        }
    }
}

#[test]
fn images_of_a_public_name_are_asked_for_where_its_registry_is() {
    let seen = |configured: &Configured, image: &str, environment: &[(&str, &str)]| {
        let mut targets = configured.targets(&["verify", image], environment);
        let target = targets.remove(0);
        let Source::Images(images) = target.policy.scope.source else {
            panic!("images")
        };
        let scheme = if target.http.endpoint.is_https() {
            "https"
        } else {
            "http"
        };
        let dialled = format!("{scheme}://{}/{}", target.http.endpoint.name(), images[0].0);
        (dialled, target.policy.registry)
    };
    let file = Configured::by(PUBLIC);
    let nothing = Configured::by("");
    let pod = [
        ("PROBE_REGISTRY", "http://registry:5000"),
        ("PROBE_PUBLIC_NAME", "r.example"),
    ];
    for (configured, image, environment, dialled, name) in [
        (
            &file,
            "r.example/mirror/app:v1",
            &[][..],
            "http://registry:5000/app",
            "r.example/mirror",
        ),
        (
            &file,
            "r.example/mirrors/app",
            &[],
            "https://r.example/mirrors/app",
            "r.example",
        ),
        (
            &file,
            "registry:5000/app",
            &[],
            "http://registry:5000/app",
            "r.example/mirror",
        ),
        (
            &file,
            "t.example/app",
            &[],
            "https://t.example/app",
            "t.example",
        ),
        (
            &nothing,
            "r.example/app",
            &pod,
            "http://registry:5000/app",
            "r.example",
        ),
        (
            &nothing,
            "other.example/app",
            &pod,
            "https://other.example/app",
            "other.example",
        ),
        (
            &nothing,
            "other.example/app",
            &pod[1..],
            "https://other.example/app",
            "r.example",
        ),
    ] {
        let (was_dialled, label) = seen(configured, image, environment);
        assert_eq!(
            (was_dialled.as_str(), label.as_str()),
            (dialled, name),
            "{image}"
        );
    }
}

#[test]
fn what_is_known_by_an_address_goes_on_under_a_public_name() {
    let configured = Configured::by(PUBLIC);
    let names = |held: &[&str]| -> Vec<String> {
        let records: Vec<_> = held.iter().copied().map(Record::new).collect();
        configured.write("state.json", &crate::report::state::render(&records));
        let state = configured.path("state.json").display().to_string();
        let Ok(Job::Sweep(settings)) = configured.job(&["sweep", "--state", &state], &[]) else {
            panic!("a sweep")
        };
        let known = settings.known.into_iter();
        known.map(|record| record.registry).collect()
    };
    assert_eq!(
        names(&["registry:5000", "t.example"]),
        ["r.example/mirror", "t.example"]
    );
    // What is known by the new name is newer.
    let both = ["registry:5000", "r.example/mirror"];
    assert_eq!(names(&both), both);
}

#[test]
fn what_has_to_be_attached_is_said_for_some_repositories() {
    let configured = Configured::by(
        "\
require-referrer:
  - {type: signature, repo: team/*, grace: 30m}
  - type: application/spdx+json
    repo: [base, team/api]
  - attestation
registries:
  - a.example
  - registry: b.example
    require-referrer: []
",
    );
    let of = |arguments: &[&str]| {
        let targets = configured.targets(arguments, &[]);
        let rules = targets.iter().map(|target| {
            let rules = target.policy.referrers.required.iter();
            let rule = |rule: &RequiredReferrer| format!("{} {:?}", rule.what, rule.grace);
            rules.map(rule).collect::<Vec<_>>()
        });
        (
            rules.collect::<Vec<_>>(),
            targets[0].policy.referrers.has_memory,
        )
    };
    let all = [
        "signature 1800s",
        "application/spdx+json 0ns",
        "attestation 0ns",
    ];
    let all: Vec<_> = all.map(str::to_owned).into();
    assert_eq!(of(&[]), (vec![all.clone(), Vec::new()], true));
    assert!(!of(&["--once"]).1, "one sweep remembers nothing");
    assert!(of(&["--once", "--state", "/s"]).1);
    let printed = configured.printed(&[], &[]);
    assert!(
        printed.contains("signature;repo=team/*;grace=30m"),
        "{printed}"
    );
    for (entry, said) in [
        ("{repo: a}", "an entry has no `type`"),
        ("{type: signature, tag: v1}", "`tag` is not understood"),
        (
            "{type: signed}",
            "not signature, attestation, sbom or a media type",
        ),
        ("{type: signature, grace: soon}", "grace: "),
    ] {
        let text = format!("registries: [a.example]\nrequire-referrer: [{entry}]\n");
        let error = Configured::by(&text).error(&[], &[]);
        assert!(
            error.contains("probe.yaml:2") && error.contains(said),
            "{entry}: {error}"
        );
    }
}
