//! One way of breaking after the other, each in a registry of its own: what a sweep of it says is held to what was
//! done, and the first repair that it names is typed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::product::{Damage, Expected, Outage, Product};
use crate::pushed::{BROKEN, Pushed};
use crate::registry::Registry;
use crate::support::paste::{Shell, actions, commands};
use crate::support::probe::{Outcome, Probe};
use crate::support::report::Finding;
use crate::support::store::listing;

/// How close a sweep looks, the least first.
const DEPTHS: [&str; 3] = ["head", "tail", "digest"];

/// A line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) seen: String,
    pub(crate) repair: String,
}

/// What all trials came to.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    /// What is to be known beside the table.
    pub(crate) notes: Vec<String>,
    /// What was not as it has to be.
    pub(crate) wrong: Vec<String>,
}

impl Found {
    /// Takes in what a trial gives, or how it failed.
    fn add(&mut self, what: &str, trial: impl FnOnce(&mut Self)) {
        let failed = catch_unwind(AssertUnwindSafe(|| trial(self))).err();
        if let Some(failed) = failed {
            let text = failed.downcast_ref::<String>().cloned();
            let text = text.or_else(|| failed.downcast_ref::<&str>().map(|text| (*text).into()));
            self.wrong
                .push(format!("{what}: {}", text.unwrap_or_default()));
        }
    }
}

/// Tries everything that there is to a product.
pub(crate) fn all(product: &'static Product, binary: &Path) -> Found {
    let mut found = Found::default();
    found.add("intact", |found| found.notes.push(intact(product, binary)));
    for (object, expected) in &product.files {
        for (damage, expected) in Damage::ALL.into_iter().zip(expected) {
            let what = format!("the file of {}: {}", object.words(), damage.words());
            let damage = |registry: &mut Registry, pushed: &Pushed| {
                let file = registry.file(BROKEN.0, pushed.digest(*object));
                damage.apply(&file);
            };
            found.add(&what, |found| {
                let row = broken(product, binary, &what, &damage, *expected);
                found.rows.push(row);
            });
        }
    }
    for own in product.own {
        found.add(own.what, |found| {
            let row = broken(product, binary, own.what, &own.apply, own.expected);
            found.rows.push(row);
        });
    }
    found.add("outages", |found| {
        found.rows.extend(outages(product, binary));
    });
    for habit in product.habits {
        found.add("a habit", |found| found.notes.push(habit(binary)));
    }
    found
}

/// A sweep, with a report in JSON.
pub(crate) fn sweep(registry: &Registry, depth: &str) -> Outcome {
    probe(Probe::once(), registry).depth(depth).run()
}

/// The probe with the login and the address of a registry.
pub(crate) fn probe(probe: Probe, registry: &Registry) -> Probe {
    let probe = match registry.login() {
        Some(login) => probe
            .args(["--username", &login.user])
            .password_file(&login.password),
        None => probe,
    };
    probe.arg(registry.host())
}

/// Nothing is found where nothing is broken, and the software is told by its answers. Gives what sweeps leave behind.
fn intact(product: &'static Product, binary: &Path) -> String {
    let registry = Registry::start(product, binary);
    let pushed = Pushed::to(&registry);
    let before = files(&registry);
    for depth in DEPTHS.into_iter().chain(["unpack"]) {
        let outcome = sweep(&registry, depth);
        assert_eq!(outcome.code, 0, "intact at {depth}: {outcome}");
        let report = outcome.report();
        assert_eq!(report.count("tags/checked"), 3, "{outcome}");
        let software = report.json["software"]["name"].as_str().unwrap_or_default();
        assert!(software.starts_with(product.name), "{outcome}");
    }
    assert!(pushed.changed(&registry).is_empty());
    let after = files(&registry);
    let changed = after
        .iter()
        .filter(|(path, hash)| before.get(*path) != Some(hash));
    let lost = before.keys().filter(|path| !after.contains_key(*path));
    let root = registry.directory();
    let mut names: Vec<_> = changed
        .map(|(path, _)| path)
        .chain(lost)
        .map(|path| path.strip_prefix(root).expect("it is below").display())
        .map(|path| format!("`{path}`"))
        .collect();
    names.dedup();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    format!("Files that sweeps of intact images change: {names}.")
}

/// All that a registry keeps, but for what it says.
fn files(registry: &Registry) -> BTreeMap<PathBuf, String> {
    let mut files = listing(registry.directory());
    files.retain(|path, _| !path.ends_with("log"));
    files
}

/// Breaks something, sweeps closer and closer until that shows, and types the first repair.
fn broken(
    product: &'static Product,
    binary: &Path,
    what: &str,
    damage: &dyn Fn(&mut Registry, &Pushed),
    expected: Expected,
) -> Row {
    let mut registry = Registry::start(product, binary);
    let pushed = Pushed::to(&registry);
    damage(&mut registry, &pushed);
    let (mut depth, mut outcome) = (DEPTHS[0], sweep(&registry, DEPTHS[0]));
    for closer in &DEPTHS[1..] {
        if outcome.code == 0 {
            (depth, outcome) = (closer, sweep(&registry, closer));
        }
    }
    let report = outcome.report();
    let said: Vec<_> = report.findings().iter().map(shown).collect();
    let said = format!(
        "{depth}: exit {} {said:?} {:?}",
        outcome.code,
        report.unverified()
    );
    let row = |seen: String, repair: String| Row {
        what: what.to_owned(),
        seen,
        repair,
    };
    match expected {
        Expected::Invisible(why) => {
            assert_eq!(outcome.code, 0, "{said}");
            row(format!("no: {why}"), String::new())
        }
        Expected::Unverified(reason) => {
            assert_eq!(outcome.code, 3, "{said}");
            assert!(
                report.unverified().iter().any(|told| told == reason),
                "{said}"
            );
            row(format!("unverified: `{reason}`"), String::new())
        }
        Expected::Found(least, object) | Expected::Refused(least, object, _) => {
            let wanted = format!("{}:{} {object}", BROKEN.0, BROKEN.1);
            let findings: Vec<_> = report.findings().iter().map(shown).collect();
            assert_eq!(
                (outcome.code, depth, &*findings),
                (1, least, &[wanted][..]),
                "{said}"
            );
            let finding = &report.raw_findings()[0];
            let repair = match expected {
                Expected::Refused(_, _, why) => {
                    format!("{} {why}", refused(&registry, &pushed, finding))
                }
                _ => mend(&mut registry, &pushed, finding),
            };
            row(format!("`{object}`, from `--depth {depth}` on"), repair)
        }
    }
}

fn shown(finding: &Finding) -> String {
    let tags: Vec<_> = finding.tags.iter().map(String::as_str).collect();
    let tags = tags.join(",");
    format!(
        "{}:{tags} {}/{}",
        finding.repository, finding.kind, finding.reason
    )
}

/// The first repair of a finding, and what to type for it in a shell that has the folder of the store under the name
/// that distribution's takes.
fn first_repair(finding: &Value) -> (String, String) {
    let actions = actions(finding);
    let action = actions.first().expect("a repair is offered");
    let script = commands(finding, action);
    let named = "export ZOT_ROOT=\"$REGISTRY_DATA\" PACKAGES=\"$REGISTRY_DATA/packages\"";
    (
        format!("`{}`", action.to_uppercase()),
        format!("{named}\n{script}"),
    )
}

/// Types the first repair of a finding, and looks whether everything is there again.
fn mend(registry: &mut Registry, pushed: &Pushed, finding: &Value) -> String {
    let (action, script) = first_repair(finding);
    shell(registry, pushed).paste(registry, &script);
    let outcome = sweep(registry, "digest");
    assert_eq!(outcome.code, 0, "after {action}:\n{script}\n{outcome}");
    let changed = pushed.changed(registry);
    assert!(changed.is_empty(), "after {action}: {changed:?}");
    action
}

/// Types the first repair of a finding, which has to fail.
fn refused(registry: &Registry, pushed: &Pushed, finding: &Value) -> String {
    let (action, script) = first_repair(finding);
    shell(registry, pushed).refuse(registry, &script);
    action
}

/// The shell of somebody who has the image, and a login that may push it.
fn shell(registry: &Registry, pushed: &Pushed) -> Shell {
    let shell = Shell::new().with_source(pushed.content());
    match registry.login() {
        Some(login) => shell.with_docker_login(&registry.host(), login),
        None => shell,
    }
}

/// Where a registry or its store is away there is no verdict on any object, whether or not anything is known.
fn outages(product: &'static Product, binary: &Path) -> Vec<Row> {
    let stop: Outage = ("it is stopped", Registry::stop);
    let ways = [stop].into_iter().chain(product.outages.iter().copied());
    let row = |(what, apply): Outage| {
        let mut registry = Registry::start(product, binary);
        Pushed::to(&registry).and_more(&registry);
        let state = registry.directory().join("state");
        let known = |registry: &Registry| {
            let probe = probe(Probe::once(), registry).arg("--state").arg(&state);
            probe.run()
        };
        let outcome = known(&registry);
        assert_eq!(outcome.code, 0, "{outcome}");
        apply(&mut registry);
        let mut reasons = Vec::new();
        for outcome in [sweep(&registry, "tail"), known(&registry)] {
            let report = outcome.report();
            assert_eq!(outcome.code, 3, "{what}: {outcome}");
            assert!(report.findings().is_empty(), "{what}: {outcome}");
            reasons.extend(report.unverified());
        }
        reasons.sort();
        reasons.dedup();
        Row {
            what: what.to_owned(),
            seen: format!("unverified: `{}`", reasons.join("`, `")),
            repair: String::new(),
        }
    };
    ways.map(row).collect()
}
