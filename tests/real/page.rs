//! The status page as a person on call meets it: served by the probe, shown by a real browser.

use std::process::Command;

use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::bulk::{self, Push};
use crate::support::http::Client;
use crate::support::images::{Content, Image};
use crate::support::process::{Server, free_port, wait_until};
use crate::support::registry::Registry;

/// An architecture that would take the page over, if it came to be part of its markup. Not longer than
/// the probe shows.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\">&lt;";

/// The probe as a service.
struct Service {
    address: String,
    _server: Server,
    _home: TempDir,
}

impl Service {
    fn watching(registries: &[&Registry]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command
            .env_clear()
            .env("HOME", home.path())
            .args([
                "--listen",
                &address,
                "--interval",
                "1h",
                "--confirm-after",
                "0s",
            ])
            .args(registries.iter().map(|registry| registry.host()));
        let server = Server::spawn(&mut command);
        let client = Client::new(&format!("http://{address}"), None);
        wait_until("the probe listens", || client.answers("/readyz"));
        Self {
            address,
            _server: server,
            _home: home,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for the first sweep of a registry.
    fn swept(&self, registry: &Registry) {
        let client = Client::new(&self.url(""), None);
        let path = format!("/report.json?registry={}", registry.host());
        wait_until("a sweep has ended", || client.get(&path).status == 200);
    }
}

/// An index whose second child is for a hostile platform, and is not there any more.
fn broken_registry() -> (Registry, String) {
    let mut registry = Registry::start();
    let children = vec![Image::new("whole", "amd64"), Image::new("gone", HOSTILE)];
    let content = Content::index_of("hostile", children);
    bulk::push_all(&registry, &[Push::new("team/app", "v1.4.1", &content)]);
    let digest = content.images()[1].manifest.digest.clone();
    registry.store().remove_revision_link("team/app", &digest);
    registry.restart();
    (registry, digest)
}

fn intact_registry() -> Registry {
    let registry = Registry::start();
    let content = Content::index("whole");
    bulk::push_all(&registry, &[Push::new("base/os", "12", &content)]);
    registry
}

#[test]
fn a_person_clicks_through() {
    let ((broken, digest), intact) = (broken_registry(), intact_registry());
    let service = Service::watching(&[&intact, &broken]);
    service.swept(&broken);
    service.swept(&intact);
    let browser = Browser::open(1400, 900);
    browser.visit(&service.url("/"));

    let title = browser.ask("document.title");
    assert_eq!(title, "Broken: 1 of 2 registries · Registry integrity");
    let verdicts =
        browser.ask("[...document.querySelectorAll('.verdict h2')].map(h => h.textContent)");
    let expected = [
        format!("Broken {}", broken.host()),
        format!("Intact {}", intact.host()),
    ];
    assert_eq!(verdicts, serde_json::json!(expected));
    let text = browser.text();
    for told in ["team/app", "v1.4.1", &digest, "404", "skopeo copy --all"] {
        assert!(text.contains(told), "{told} is missing: {text}");
    }

    browser.click(&format!(".overview a[href='#{}']", intact.host()));
    assert_eq!(browser.url(), service.url(&format!("/#{}", intact.host())));
    let top = format!(
        "document.getElementById('{}').getBoundingClientRect().top",
        intact.host()
    );
    let height = browser.ask("innerHeight").as_f64().expect("a number");
    let top = browser.ask(&top).as_f64().expect("a number");
    assert!(
        (0.0..height).contains(&top),
        "its section is in sight: {top}"
    );

    browser.click(".repository pre + button.copy");
    let copied = browser.ask("document.querySelector('button.copy').textContent");
    assert_eq!(copied, "Copied");
    browser.click(".finding h5 a.here");
    let target = browser.ask("document.querySelector(':target').textContent");
    assert!(target.to_string().contains("skopeo copy"), "{target}");
    browser.visit(&service.url("/"));

    browser.click("a[href='metrics']");
    assert!(
        browser
            .text()
            .contains("registry_manifest_integrity_failures{")
    );
    browser.back();
    browser.click("a[href='report.json']");
    assert!(browser.text().contains(&digest));
    browser.back();
    browser.click(&format!("[id='{}'] .links a", intact.host()));
    let text = browser.text();
    assert!(
        text.contains("\"intact\"") && !text.contains(&digest),
        "{text}"
    );
}

#[test]
fn names_from_a_registry_do_not_become_markup() {
    let (broken, _) = broken_registry();
    let service = Service::watching(&[&broken]);
    service.swept(&broken);
    let browser = Browser::open(400, 800);
    browser.visit(&service.url("/"));
    let shown = browser.text();
    assert!(shown.contains(&format!("linux/{HOSTILE}")), "{shown}");
    // The page's own script is the last element of its body.
    for element in [
        "img",
        "script:not(body > script:last-child)",
        "[onerror]",
        "[style]",
    ] {
        let count = browser.ask(&format!("document.querySelectorAll('{element}').length"));
        assert_eq!(count, 0, "{element}");
    }
    assert_ne!(browser.ask("document.title"), "owned");
    let width = browser.ask("document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(width, true, "nothing is wider than a phone");
}

#[test]
fn the_policy_lets_what_is_ours_through_and_nothing_else() {
    let intact = intact_registry();
    let service = Service::watching(&[&intact]);
    service.swept(&intact);
    let browser = Browser::open(1400, 900);
    browser.visit(&service.url("/"));
    let border = "getComputedStyle(document.querySelector('.verdict')).borderLeftWidth";
    assert_eq!(browser.ask(border), "6px", "the stylesheet is in force");
    let refused = |complaints: Vec<String>| {
        let about_policy = |line: &String| line.contains("Content Security Policy");
        complaints
            .into_iter()
            .filter(about_policy)
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(browser.complaints()), Vec::<String>::new());

    browser.ask(
        "document.body.insertAdjacentHTML('beforeend', '<p id=x style=\"color: red\"><img src=/x onerror=\"document.title=1\">')",
    );
    let complaints = refused(browser.complaints());
    assert!(!complaints.is_empty(), "what is not allowed is refused");
    assert_eq!(browser.ask("document.title === '1'"), false);
}

#[test]
fn before_the_first_sweep_nothing_is_said_to_be_well() {
    let registry = intact_registry();
    registry.freeze();
    let service = Service::watching(&[&registry]);
    let browser = Browser::open(400, 800);
    browser.visit(&service.url("/"));
    let text = browser.text();
    assert!(text.contains("No sweep has ended yet"), "{text}");
    assert_eq!(
        browser.ask("document.querySelectorAll('.intact').length"),
        0
    );
}
