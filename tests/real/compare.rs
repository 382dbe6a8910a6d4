//! Two registries compared (`probe compare`): a copy, planted differences, and pushes meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::hand::Hand;
use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::process::wait_until;
use crate::support::prometheus::Pushgateway;
use crate::support::registry::Registry;
use crate::support::skopeo;

const REPOSITORY: &str = "team/app";

/// A registry with an index under each of these tags, and its copy.
fn copied(tags: &[&str]) -> (Registry, Registry, Vec<Content>) {
    let (a, b) = (Registry::start(), Registry::start());
    let hand = Hand::new(&a.host());
    let contents: Vec<_> = tags.iter().map(|tag| Content::index(tag)).collect();
    for (tag, content) in tags.iter().zip(&contents) {
        hand.push(REPOSITORY, tag, content);
    }
    skopeo::sync(&a, &b, REPOSITORY);
    (a, b, contents)
}

/// The differences, as `KIND DIRECTION IMAGE`, or the object in place of the image.
fn differences(outcome: &Outcome) -> BTreeSet<String> {
    let json = outcome.json();
    let found = json["compared"]["differences"].as_array().expect("a list");
    let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let told = found.iter().map(|it| {
        let what = word(&it["object"]).or(word(&it["a"])).expect("text");
        let platform = word(&it["platform"]).unwrap_or_default();
        let (kind, direction) = (word(&it["kind"]), word(&it["direction"]));
        let text = [
            kind.expect("text"),
            direction.expect("text"),
            what,
            platform,
        ]
        .join(" ");
        text.trim().to_owned()
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told.iter().collect::<BTreeSet<_>>().len(),
        told.len(),
        "{outcome}"
    );
    told.into_iter().collect()
}

fn compare(a: &Registry, b: &Registry) -> Probe {
    Probe::compare().arg(a.host()).arg(b.host())
}

#[test]
fn a_copy_is_equal() {
    let (a, b, _) = copied(&["v1", "v2"]);
    let outcome = compare(&a, &b).run();
    assert_eq!(
        (outcome.code, differences(&outcome).len()),
        (0, 0),
        "{outcome}"
    );
    assert_eq!(outcome.json()["verdict"], "equal");
    let image = |registry: &Registry, tag| format!("{}/{REPOSITORY}:{tag}", registry.host());
    let one = Probe::compare().arg(image(&a, "v1")).arg(b.host()).run();
    assert_eq!(one.code, 0, "{one}");
    let other = Probe::compare()
        .arg(image(&a, "v1"))
        .arg(image(&b, "v2"))
        .run();
    assert_eq!(other.code, 1, "{other}");
    assert_eq!(
        differences(&other),
        [format!("digest both {REPOSITORY}:v1")].into()
    );
}

/// Ten differences, each of another sort or direction.
fn plant(a: &mut Registry, b: &mut Registry, contents: &[Content]) -> BTreeSet<String> {
    let hand_b = Hand::new(&b.host());
    let (store_a, store_b) = (a.store(), b.store());
    let tag = |number: usize| format!("{REPOSITORY}:t{number}");
    let mut planted = BTreeSet::new();
    store_b.remove_tag(REPOSITORY, "t0");
    planted.insert(format!("tag a_only {}", tag(0)));
    store_a.remove_tag(REPOSITORY, "t1");
    planted.insert(format!("tag b_only {}", tag(1)));
    hand_b.push(REPOSITORY, "t2", &Content::index("other"));
    planted.insert(format!("digest both {}", tag(2)));
    let fewer = Content::index_of("fewer", vec![contents[3].images()[0].clone()]);
    hand_b.push(REPOSITORY, "t3", &fewer);
    planted.insert(format!("platform a_only {} linux/arm64", tag(3)));
    let mut more = contents[4].images().to_vec();
    more.push(Image::new("riscv", "riscv64"));
    hand_b.push(REPOSITORY, "t4", &Content::index_of("more", more));
    planted.insert(format!("platform b_only {} linux/riscv64", tag(4)));
    let child = |number: usize| contents[number].images()[0].manifest.digest.clone();
    store_b.remove_revision_link(REPOSITORY, &child(5));
    planted.insert(format!("manifest a_only {}", child(5)));
    store_a.remove_revision_link(REPOSITORY, &child(6));
    planted.insert(format!("manifest b_only {}", child(6)));
    let layer = |number: usize| contents[number].images()[0].layers[0].digest.clone();
    store_b.remove_data(&layer(7));
    planted.insert(format!("blob a_only {}", layer(7)));
    store_a.remove_data(&layer(8));
    planted.insert(format!("blob b_only {}", layer(8)));
    let config = contents[9].images()[1].config.digest.clone();
    store_b.remove_data(&config);
    planted.insert(format!("blob a_only {config}"));
    // The registries remember blobs that they were asked for.
    a.restart();
    b.restart();
    planted
}

#[test]
fn ten_planted_differences_are_these_ten() {
    let tags = [
        "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "same",
    ];
    let (mut a, mut b, contents) = copied(&tags);
    let planted = plant(&mut a, &mut b, &contents);
    assert_eq!(planted.len(), 10);
    let outcome = compare(&a, &b).run();
    assert_eq!(differences(&outcome), planted, "{outcome}");
    assert_eq!(outcome.code, 1, "{outcome}");

    // A copy that is under way: each tag is in A first, and in B a little later.
    let (hand_a, hand_b) = (Hand::new(&a.host()), Hand::new(&b.host()));
    let same = contents[10].manifest();
    let is_done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) && number < 20_000 {
                let tag = format!("new-{number}");
                hand_a.put(REPOSITORY, &tag, same);
                std::thread::sleep(Duration::from_millis(30));
                hand_b.put(REPOSITORY, &tag, same);
                number += 1;
            }
            number
        });
        // One is not in B before its list was read, and is there when it is looked at again.
        hand_a.put(REPOSITORY, "late", same);
        let mark = b.mark();
        let list_is_read = || {
            let asked = b.requests_so_far(mark);
            asked.iter().any(|entry| entry.path.ends_with("/tags/list"))
        };
        let outcome = compare(&a, &b).confirm_after("2s").run_while(|_| {
            wait_until("the list of B is read", list_is_read);
            hand_b.put(REPOSITORY, "late", same);
        });
        is_done.store(true, Ordering::Relaxed);
        assert!(pushing.join().expect("pushes") > 10);
        outcome
    });
    assert_eq!(differences(&outcome), planted, "{outcome}");
}

#[test]
fn a_sparse_copy_may_lack_platforms_and_tags() {
    let (a, b) = (Registry::start(), Registry::start());
    let hand_a = Hand::new(&a.host());
    for tag in ["v1", "v2", "v3"] {
        hand_a.push(REPOSITORY, tag, &Content::index(tag));
    }
    let hand_b = Hand::new(&b.host());
    let child = Content::from(Content::index("v1").images()[1].clone());
    hand_b.push("copies/app", "v1", &child);
    let some = Content::index_of("some", vec![Content::index("v2").images()[0].clone()]);
    hand_b.push("copies/app", "v2", &some);
    let sparse = |more: &[&str]| {
        let probe = compare(&a, &b).args(["--sparse", "--map", "team=copies"]);
        probe.args(more).run()
    };
    let outcome = sparse(&[]);
    assert_eq!(outcome.code, 0, "{outcome}");
    assert_eq!(outcome.json()["compared"]["left_out"], 1);
    hand_b.push(
        "copies/app",
        "v1",
        &Content::from(Image::new("other", "amd64")),
    );
    let outcome = sparse(&[]);
    assert_eq!(
        differences(&outcome),
        [format!("digest both {REPOSITORY}:v1")].into()
    );
    let filtered = sparse(&["--tag", "v2"]);
    assert_eq!(filtered.code, 0, "{filtered}");
    let all = compare(&a, &b).args(["--map", "team=copies"]).run();
    assert_eq!(differences(&all).len(), 3, "{all}");
}

#[test]
fn other_bytes_of_the_same_layers_are_converted() {
    let (a, b) = (Registry::start(), Registry::start());
    let content = Content::index("converted");
    skopeo::push(&a, &content, "app:v1");
    skopeo::push_as_docker(&b, &content, "app:v1");
    let outcome = compare(&a, &b).run();
    assert_eq!(outcome.code, 0, "{outcome}");
    assert_eq!(
        outcome.json()["compared"]["converted"],
        serde_json::json!(["app:v1"])
    );
}

#[test]
fn a_copy_that_has_nothing_or_is_away_is_unverified() {
    let (a, mut b) = (Registry::start(), Registry::start());
    for repository in ["app", "web", "tools", "base"] {
        for tag in ["v1", "v2", "v3"] {
            Hand::new(&a.host()).push(repository, tag, &Image::new(tag, "amd64").into());
        }
    }
    let outcome = compare(&a, &b).run();
    assert_eq!(
        (outcome.code, differences(&outcome).len()),
        (3, 0),
        "{outcome}"
    );
    assert!(outcome.stdout.contains("its catalog lists nothing"));
    // Of the other tags nothing is known on that side.
    Hand::new(&b.host()).push("app", "v1", &Image::new("v1", "amd64").into());
    let outcome = compare(&a, &b).run();
    assert_eq!(
        (outcome.code, differences(&outcome).len()),
        (1, 11),
        "{outcome}"
    );
    b.stop();
    let outcome = compare(&a, &b).run();
    assert_eq!(
        (outcome.code, differences(&outcome).len()),
        (3, 0),
        "{outcome}"
    );
}

#[test]
fn metrics_and_the_state_of_a_comparison_are_kept() {
    let (a, mut b, _) = copied(&["v1", "v2"]);
    b.store().remove_tag(REPOSITORY, "v2");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [state, textfile] = ["state", "textfile"].map(|name| folder.path().join(name));
    let gateway = Pushgateway::start();
    let differences_there = || {
        let labels = [("direction", "a_only"), ("kind", "tag")];
        gateway
            .metrics()
            .sum("registry_compare_differences", &labels)
    };
    let hosts = [a.host(), b.host()];
    let compared = || Probe::compare().args(&hosts);
    let run = |grace: &str| {
        let probe = compared().args(["--grace", grace]);
        let probe = probe.arg("--state").arg(&state);
        let probe = probe.args(["--push-gateway", gateway.address()]);
        probe.arg("--textfile").arg(&textfile).run()
    };
    let series = |value: u64| {
        format!(
            "registry_compare_differences{{a=\"{}\",b=\"{}\",direction=\"a_only\",kind=\"tag\"}} {value}\n",
            hosts[0], hosts[1]
        )
    };
    let young = run("1h");
    assert_eq!((young.code, differences(&young).len()), (0, 0), "{young}");
    let metrics = std::fs::read_to_string(&textfile).expect("metrics");
    assert!(metrics.contains(&series(0)), "{metrics}");
    assert!(
        metrics.contains("registry_compare_young_differences"),
        "{metrics}"
    );
    let old = run("0s");
    assert_eq!((old.code, differences(&old).len()), (1, 1), "{old}");
    let metrics = std::fs::read_to_string(&textfile).expect("metrics");
    assert!(metrics.contains(&series(1)), "{metrics}");
    assert_eq!(differences_there(), Some(1.0));
    // A run that cannot see the other side clears nothing: neither with a memory nor without one.
    b.stop();
    let blind = run("0s");
    assert_eq!((blind.code, differences(&blind).len()), (1, 0), "{blind}");
    let forgetful = compared().args(["--push-gateway", gateway.address()]);
    let forgetful = forgetful.arg("--textfile").arg(&textfile).run();
    assert_eq!(forgetful.code, 3, "{forgetful}");
    assert_eq!(differences_there(), Some(1.0));
    let metrics = std::fs::read_to_string(&textfile).expect("metrics");
    assert!(metrics.contains(&series(1)), "{metrics}");
    std::fs::write(&state, "{\"format\":\"registry-probe state\"}").expect("a file");
    assert_eq!(run("0s").code, 2);
}
