//! A registry behind a token service: one token for each repository, renewed in time, and none for what is denied.

use std::time::Duration;

use serde_json::json;

use crate::explain::{by_hand, home, paste, statuses};
use crate::support::assertions::{assert_intact, assert_unverified};
use crate::support::configured::Configured;
use crate::support::hand::Hand;
use crate::support::images::{Content, Image, Layer};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::Login;
use crate::support::report::Report;
use crate::support::slow_front::SlowFront;
use crate::support::token_server::{Asked, IDENTITY_TOKEN, Terms, TokenServer, Who};

const CATALOG: &str = "registry:catalog:*";

/// A registry that asks for tokens, and the service that gives them. The registry goes first.
struct Guarded {
    registry: Configured,
    service: TokenServer,
}

impl Guarded {
    /// `team/app`, `team/public` and `team/tools` with an index and an image each, and `team/secret`, denied.
    fn new(terms: Terms) -> Self {
        Self::with(terms, |hand| {
            for repository in ["team/app", "team/public", "team/secret", "team/tools"] {
                hand.push(repository, "index", &Content::index(repository));
                hand.push(repository, "image", &small_image(repository));
            }
        })
    }

    /// Filled while it is open, and then guarded.
    fn with(terms: Terms, fill: impl FnOnce(&Hand)) -> Self {
        let mut registry = Configured::start();
        fill(&Hand::new(&registry.host()));
        let service = TokenServer::start(registry.directory(), terms);
        registry.restart_with(&service.configuration());
        Self { registry, service }
    }

    /// How often the service was asked for this scope.
    fn asked_for(&self, scope: &str) -> Vec<Asked> {
        let mut book = self.service.book();
        book.retain(|asked| asked.scopes == [scope]);
        book
    }

    /// Runs the probe on it.
    fn sweep(&self, probe: Probe) -> Outcome {
        probe.arg(self.registry.host()).run()
    }
}

fn small_image(seed: &str) -> Content {
    Image::of(seed, "amd64", &[Layer::gzip(seed)]).into()
}

fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// The probe with the user's credentials.
fn logged_in() -> Probe {
    let Login { user, password } = Login::of_the_tests();
    let probe = Probe::once();
    probe.args(["--username", &user]).password_file(&password)
}

/// Which repositories were not checked, and why.
fn unverified(report: &Report) -> Vec<(Option<&str>, &str)> {
    let entries = report.json["unverified"].as_array();
    let entries = entries.expect("unverified is a list");
    entries
        .iter()
        .map(|entry| {
            let reason = entry["reason"].as_str().expect("a reason is text");
            (entry["repository"].as_str(), reason)
        })
        .collect()
}

#[test]
fn everything_is_checked_but_what_is_denied() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let outcome = guarded.sweep(logged_in());
    let report = assert_unverified(&outcome);
    let expected = [(Some("team/secret"), "forbidden")];
    assert_eq!(unverified(&report), expected, "{outcome}");
    assert_eq!(report.count("repositories/listed"), 4, "{outcome}");
    assert_eq!(report.count("repositories/checked"), 3, "{outcome}");
    assert_eq!(report.count("tags/checked"), 6, "{outcome}");

    for repository in ["team/app", "team/public", "team/tools"] {
        let asked = guarded.asked_for(&pull(repository));
        assert_eq!(asked.len(), 1, "one token for {repository}: {asked:#?}");
    }
    let denied = guarded.asked_for(&pull("team/secret"));
    assert!(
        denied.len() <= 2 * 2,
        "twice in each of two looks: {denied:#?}"
    );
    // A token that allows nothing is no error, says the specification.
    assert!(
        denied.iter().all(|asked| asked.status == 200),
        "{denied:#?}"
    );
    assert_eq!(guarded.asked_for(CATALOG).len(), 1);
    let book = guarded.service.book();
    let is_modest = |asked: &Asked| asked.who == Who::User && asked.scopes.len() == 1;
    assert!(book.iter().all(is_modest), "{book:#?}");
    assert_eq!(book.len(), 4 + denied.len(), "and nothing else: {book:#?}");
}

#[test]
fn without_what_is_denied_it_is_intact() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let outcome = guarded.sweep(logged_in().args(["--exclude-repo", "team/secret"]));
    let report = assert_intact(&outcome);
    assert_eq!(report.count("tags/checked"), 6, "{outcome}");
    let denied = guarded.asked_for(&pull("team/secret"));
    assert!(denied.is_empty(), "nobody asks for it: {denied:#?}");
}

/// How long each request takes at least in a sweep that is to last.
const EACH: Duration = Duration::from_millis(45);

/// Sweeps one repository so slowly that tokens of four seconds have to be renewed, and gives the requests for
/// its tokens and how the sweep went.
fn long_sweep(terms: Terms) -> (Vec<Asked>, Outcome) {
    const TAGS: usize = 60;
    let guarded = Guarded::with(terms, |hand| {
        for number in 0..TAGS {
            let tag = format!("v{number}");
            hand.push("team/app", &tag, &small_image(&tag));
        }
    });
    // Four requests for each tag, one after the other: ten seconds and more.
    let front = SlowFront::start(&guarded.registry.host(), EACH);
    let probe = logged_in().args(["--concurrency", "1", "-vv"]);
    let outcome = probe.arg(front.host()).run();
    let report = assert_intact(&outcome);
    assert_eq!(report.count("tags/checked"), TAGS, "{outcome}");
    assert_eq!(report.count("blobs"), 2 * TAGS, "{outcome}");
    assert!(
        outcome.elapsed > Duration::from_secs(10),
        "longer than two tokens: {outcome}"
    );
    (guarded.asked_for(&pull("team/app")), outcome)
}

#[test]
fn short_lived_tokens_are_renewed_before_they_end() {
    let (asked, outcome) = long_sweep(Terms::of_seconds(4));
    assert!(
        asked.len() >= 3,
        "one does not last: {asked:#?} of {outcome}"
    );
    // A slow machine sends fewer requests with a token, and never more than fit into three seconds.
    let with_each = outcome.stderr.split("token request");
    let with_each = with_each.map(|after| after.matches(" answered ").count());
    let most = with_each.max().unwrap_or_default();
    assert!(EACH * u32::try_from(most).expect("some") <= Duration::from_secs(3) + EACH);
    // At three quarters of its life, so never sooner than two seconds after the one before.
    for pair in asked.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_secs(2), "{gap:?} of {asked:#?}");
    }
}

#[test]
fn tokens_that_expire_early_are_renewed_when_refused() {
    let terms = Terms {
        promised: 60,
        ..Terms::of_seconds(4)
    };
    let (asked, outcome) = long_sweep(terms);
    assert!(
        asked.len() >= 2,
        "one does not last: {asked:#?} of {outcome}"
    );
    for pair in asked.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_millis(3900), "{gap:?} of {asked:#?}");
    }
}

/// It could not look for want of the right login, and says what to check.
fn assert_told_what_to_check(outcome: &Outcome) -> Report {
    let report = assert_unverified(outcome);
    let words = outcome.words();
    assert!(words.contains("--username"), "what to check: {outcome}");
    report
}

#[test]
fn a_wrong_password_is_unverified_and_told_what_to_check() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let probe = Probe::once().args(["--username", "sweeper"]);
    let outcome = guarded.sweep(probe.password_file("a-wrong-guess"));
    let report = assert_told_what_to_check(&outcome);
    assert_eq!(report.unverified(), ["unauthorized"], "{outcome}");
    let words = outcome.words();
    assert!(
        !words.contains("a-wrong-guess"),
        "it stays secret: {outcome}"
    );
    let book = guarded.service.book();
    // Many services lock a user out after a few wrong guesses.
    assert_eq!(book.len(), 1, "guessed once: {book:#?}");
    assert_eq!((book[0].who, book[0].status), (Who::Impostor, 401));
}

#[test]
fn a_wrong_password_is_unauthorized_for_each_named_repository() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let probe = Probe::once().args(["--username", "sweeper"]);
    let probe = probe.password_file("a-wrong-guess");
    let probe = probe.args(["--repo", "team/app", "--repo", "team/tools"]);
    let outcome = guarded.sweep(probe);
    let report = assert_told_what_to_check(&outcome);
    let expected = [
        (Some("team/app"), "unauthorized"),
        (Some("team/tools"), "unauthorized"),
    ];
    assert_eq!(unverified(&report), expected, "{outcome}");
    let shown = guarded.service.book().len();
    assert_eq!(shown, 1, "a wrong one is shown once: {outcome}");
}

#[test]
fn anybody_may_check_what_is_public() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let outcome = guarded.sweep(Probe::once().args(["--repo", "team/public"]));
    let report = assert_intact(&outcome);
    assert_eq!(report.count("tags/checked"), 2, "{outcome}");
    let book = guarded.service.book();
    assert_eq!(book.len(), 1, "{book:#?}");
    assert_eq!(book[0].who, Who::Nobody);
}

#[test]
fn without_credentials_the_rest_is_unauthorized() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let probe = Probe::once().args(["--repo", "team/public", "--repo", "team/app"]);
    let outcome = guarded.sweep(probe);
    let report = assert_told_what_to_check(&outcome);
    let expected = [(Some("team/app"), "unauthorized")];
    assert_eq!(unverified(&report), expected, "{outcome}");
    assert_eq!(report.count("tags/checked"), 2, "the public one: {outcome}");
}

#[test]
fn without_credentials_a_refused_catalog_names_the_way_around() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let outcome = guarded.sweep(Probe::once());
    let report = assert_told_what_to_check(&outcome);
    assert_eq!(unverified(&report), [(None, "unauthorized")], "{outcome}");
    assert!(outcome.words().contains("--repo"), "{outcome}");
}

/// The configuration of docker with an identity token for the registry, in a directory of its own.
fn docker_config(guarded: &Guarded, token: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // What `docker login` stores beside an identity token: the user and no password.
    let entry = json!({ "auth": "c3dlZXBlcjo=", "identitytoken": token });
    let config = json!({ "auths": { guarded.registry.host(): entry } });
    let path = directory.path().join("config.json");
    std::fs::write(path, config.to_string()).expect("the configuration is written");
    directory
}

#[test]
fn an_identity_token_is_traded_for_tokens() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let config = docker_config(&guarded, IDENTITY_TOKEN);
    let probe = Probe::once().env("DOCKER_CONFIG", config.path());
    let outcome = guarded.sweep(probe);
    let report = assert_unverified(&outcome);
    let expected = [(Some("team/secret"), "forbidden")];
    assert_eq!(unverified(&report), expected, "{outcome}");
    assert_eq!(report.count("tags/checked"), 6, "{outcome}");
    let book = guarded.service.book();
    let is_traded = |asked: &Asked| asked.method == "POST" && asked.who == Who::User;
    assert!(book.iter().all(is_traded), "{book:#?}");
}

#[test]
fn a_revoked_identity_token_is_unauthorized() {
    let guarded = Guarded::new(Terms::of_seconds(60));
    let config = docker_config(&guarded, "revoked-long-ago");
    let probe = Probe::once().env("DOCKER_CONFIG", config.path());
    let outcome = guarded.sweep(probe.args(["--repo", "team/app"]));
    let report = assert_told_what_to_check(&outcome);
    let expected = [(Some("team/app"), "unauthorized")];
    assert_eq!(unverified(&report), expected, "{outcome}");
    let words = outcome.words();
    assert!(
        !words.contains("revoked-long-ago"),
        "it stays secret: {outcome}"
    );
}

/// The page of an image shows how to get a token, and no token.
#[test]
fn explain_shows_the_step_of_the_token() {
    let guarded = Guarded::new(Terms::of_seconds(300));
    let login = Login::of_the_tests();
    let explain = |repository: &str| {
        let probe = Probe::explain().arg("--username").arg(&login.user);
        probe
            .password_file(&login.password)
            .arg(format!("{}/{repository}:image", guarded.registry.host()))
            .run()
    };
    let outcome = explain("team/app");
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(!outcome.stdout.contains(&login.password), "{outcome}");
    let said = paste(&home(Some(&login)), &by_hand(&outcome));
    assert_eq!(statuses(&said), ["200", "206", "206"], "{outcome}\n{said}");
    // Everybody may pull this one, also who has no login.
    let outcome = explain("team/public");
    let said = paste(&home(None), &by_hand(&outcome));
    assert_eq!(statuses(&said), ["200", "206", "206"], "{outcome}\n{said}");
}
