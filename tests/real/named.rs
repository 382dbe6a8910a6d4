//! `probe verify --images-from`: what a chart names is asked for, and nothing else; what of it would fail is said
//! of each object.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

const CHARTS: [&str; 5] = [
    include_str!("charts/web.yaml"),
    include_str!("charts/cleanup.yaml"),
    include_str!("charts/db.yaml"),
    include_str!("charts/backup.yaml"),
    include_str!("charts/platform.yaml"),
];

/// Every image that the charts name, and every place that does.
const NAMED: [(&str, &[&str]); 8] = [
    ("shop/backup:1", &["Backup shop/nightly, spec.image"]),
    (
        "shop/cleanup@DIGEST",
        &["CronJob shop/cleanup, container cleanup"],
    ),
    ("shop/db:16", &["StatefulSet shop/db, container db"]),
    (
        "shop/init:3",
        &[
            "StatefulSet shop/db, container permissions",
            "StatefulSet shop/db, container restore",
        ],
    ),
    (
        "shop/operator:1",
        &["Deployment shop/operator, container operator"],
    ),
    ("shop/proxy:2.1", &["Deployment shop/web, container proxy"]),
    (
        "shop/web:1.4.0",
        &[
            "Deployment shop/web, container app",
            "Platform shop/shop, spec.images.web",
            "Pod shop/cleanup-test, container wget",
        ],
    ),
    (
        "shop/worker:7",
        &[
            "Deployment shop/operator, container operator, env[0].RELATED_IMAGE_WORKER",
            "Platform shop/shop, spec.images.worker",
        ],
    ),
];

/// A registry with all of these, and the charts' output that names them.
fn shop() -> (Registry, BTreeMap<&'static str, Content>, String) {
    let registry = Registry::start();
    let mut charts = CHARTS.concat();
    let mut pushed = BTreeMap::new();
    for (name, _) in NAMED {
        let repository = name.split([':', '@']).next().expect("a repository");
        let content = Content::Image(Image::new(repository, "amd64"));
        let tag = name.replace("@DIGEST", ":5");
        skopeo::push(&registry, &content, &tag);
        if name.ends_with("@DIGEST") {
            charts = charts.replace("DIGEST", &content.manifest().digest);
        }
        pushed.insert(repository, content);
    }
    charts = charts.replace("REGISTRY", &registry.host());
    (registry, pushed, charts)
}

fn place(origin: &Value) -> String {
    let part = |name: &str| origin[name].as_str().map(str::to_owned);
    let (kind, name) = (part("kind").expect("a kind"), part("name").expect("a name"));
    let namespace = part("namespace").expect("a namespace");
    let container = part("container").map(|name| format!(", container {name}"));
    let field = part("field").map(|field| format!(", {field}"));
    let [container, field] = [container, field].map(Option::unwrap_or_default);
    format!("{kind} {namespace}/{name}{container}{field}")
}

/// The images of a report, and the places of each.
fn named(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let images = report["documents"]["images"].as_array().expect("images");
    let images = images.iter().map(|image| {
        let origins = image["origins"].as_array().expect("origins");
        let places = origins.iter().map(place).collect::<BTreeSet<_>>();
        assert_eq!(places.len(), origins.len(), "none twice: {image}");
        (image["image"].as_str().expect("a name").to_owned(), places)
    });
    images.collect()
}

fn verify(charts: &str, form: &str) -> Outcome {
    let probe = Probe::verify_in_text().args(["--images-from", "-", "--output", form]);
    probe.input(charts).run()
}

#[test]
fn a_chart_is_asked_for_by_every_image_and_nothing_else() {
    let (registry, pushed, charts) = shop();
    let mark = registry.mark();
    let outcome = verify(&charts, "json");
    assert_eq!(outcome.code, 0, "{outcome}");
    let report = outcome.json();
    let digest = &pushed["shop/cleanup"].manifest().digest;
    let expected = NAMED.map(|(name, places)| {
        let places = places.iter().map(|&place| place.to_owned());
        (name.replace("DIGEST", digest), places.collect())
    });
    assert_eq!(named(&report), BTreeMap::from(expected));
    assert_eq!(report["counts"]["repositories"]["checked"], 8, "{outcome}");
    let outcomes = report["documents"]["images"].as_array().expect("images");
    assert!(
        outcomes.iter().all(|image| image["outcome"] == "intact"),
        "{outcome}"
    );
    let unasked = &report["documents"]["unasked"];
    let written = |list: &str| -> Vec<_> {
        let list = unasked[list].as_array().expect(list).iter();
        list.map(|name| name["written"].clone()).collect()
    };
    assert_eq!(
        written("not_taken"),
        ["busybox:1.36", "https://shop.example/logo.png"]
    );
    assert!(
        written("unresolved").is_empty() && written("built").is_empty(),
        "{unasked}"
    );
    // Each manifest is asked for as often as if its name had been typed once.
    let requests = registry.requests_since(mark);
    let mark = registry.mark();
    let images = named(&report).into_keys();
    let typed = images.map(|image| format!("{}/{image}", registry.host()));
    let typed = Probe::verify().args(typed).run();
    assert_eq!(typed.code, 0, "{typed}");
    let count = |entries: &[_]| entries.len();
    assert_eq!(count(&requests), count(&registry.requests_since(mark)));
}

#[test]
fn every_object_that_would_fail_is_named_in_every_form() {
    let (mut registry, pushed, charts) = shop();
    let lost = &pushed["shop/web"].images()[0].layers[0].digest;
    registry.store().remove_layer_link("shop/web", lost);
    registry.restart();
    let charts = charts + "---\nservices:\n  site: {image: 'site:${TAG}'}\n  tool: {build: .}\n";
    let (_, places) = NAMED[6];
    for form in ["text", "json", "junit", "github"] {
        let outcome = verify(&charts, form);
        assert_eq!(outcome.code, 1, "{outcome}");
        let said = outcome
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if form == "json" {
            let report = outcome.json();
            let images = report["documents"]["images"].as_array().expect("images");
            let broken = images.iter().filter(|image| image["outcome"] == "broken");
            let broken: Vec<_> = broken
                .map(|image| (&image["image"], &image["why"]))
                .collect();
            assert_eq!(broken.len(), 1, "{outcome}");
            assert_eq!(broken[0].0, "shop/web:1.4.0");
            assert_eq!(broken[0].1, "layer/not_found");
        } else {
            for place in places {
                assert!(said.contains(place), "{form} lacks {place}: {outcome}");
            }
            assert!(!said.contains("shop/db:16 ("), "{outcome}");
        }
        assert!(said.contains("site:${TAG}"), "{form}: {outcome}");
    }
    let text = verify(&charts, "text").stdout;
    assert!(
        text.contains("Would fail: 1 of 8 images that documents name"),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line.chars().count() <= 80 || line.contains("sha256:")),
        "{text}"
    );
}

#[test]
fn every_registry_is_asked_with_its_own_login_or_left_out() {
    let (mirror, other) = (
        Registry::start(),
        Registry::start_with_login(Login::of_the_tests()),
    );
    skopeo::push(&mirror, &Content::index("nginx"), "hub/library/nginx:1.25");
    skopeo::push(&other, &Content::index("app"), "team/app:1");
    let list = format!("nginx:1.25\n{}/team/app:1\n", other.host());
    let map = format!("docker.io={}/hub", mirror.host());
    let verify = || {
        Probe::verify()
            .args(["--images-from", "-", "--map", &map])
            .input(&list)
    };
    // The login of one is sent to no other.
    let Login { user, password } = Login::of_the_tests();
    let with_user = verify().args(["--username", &user]);
    let refused = with_user.password_file(&password).run();
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("is for one registry"), "{refused}");
    let home = tempfile::tempdir().expect("a directory");
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = json!({ "auths": { other.host(): { "auth": auth } } });
    let path = home.path().join("config.json");
    std::fs::write(&path, config.to_string()).expect("the logins are written");
    let stored = verify().arg("--authfile").arg(&path).run();
    assert_eq!(stored.code, 0, "{stored}");
    assert_eq!(stored.reports().len(), 2, "{stored}");
    let one = verify().args(["--only-registry", &mirror.host()]).run();
    assert_eq!(one.code, 0, "{one}");
    let left_out = &one.json()["documents"]["unasked"]["left_out"];
    assert_eq!(left_out[&other.host()], 1, "{one}");
}
