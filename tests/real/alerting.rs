//! From a registry's disk to Alertmanager: the shipped rules, with nothing shortened but their times.

use std::collections::BTreeSet;

use registry_probe::report::Shard;
use serde_json::json;

use crate::support::bulk::{self, Push};
use crate::support::files::{at, text};
use crate::support::images::Content;
use crate::support::monitoring::{Alertmanager, HastyProbe, eventually, in_haste};
use crate::support::process::{free_port, wait_until};
use crate::support::prometheus::Prometheus;
use crate::support::registry::Registry;
use crate::support::skopeo;

const FAILURE: &str = "RegistryManifestIntegrityFailure";
const CATALOG: &str = "RegistryCatalogInaccessible";
const STALE: &str = "RegistryIntegrityProbeStale";
const STORAGE: &str = "RegistryStorageUnavailable";
const MISSING: &str = "RegistryProbeShardMissing";
const IN_USE: &str = "RegistryBrokenImageInUse";
const FELL: &str = "RegistryCoverageFell";

/// Durations become shorter, and nothing else changes.
#[test]
fn rules_in_haste_are_the_same_rules() {
    let rules = "# [1h]\nexpr: max by (a) (m:x:max[75m]) > 0 unless m offset 29m\nfor: 30m\n\
                 time() - m > 3600 or absent_over_time(m[1d]) * 86400\nsummary: 15m, 404\n";
    let hasty = "# [1h]\nexpr: max by (a) (m:x:max[45000ms]) > 0 unless m offset 17400ms\nfor: 18000ms\n\
                 time() - m > 36 or absent_over_time(m[864000ms]) * 864\nsummary: 15m, 404\n";
    assert_eq!(in_haste(rules), hasty);
}

#[test]
fn broken_images_dead_registries_and_probes_reach_alertmanager() {
    let mut registry = Registry::start();
    let image = Content::index("alerting");
    skopeo::push(&registry, &image, "team/app:1.4");
    skopeo::push(&registry, &Content::index("intact"), "team/web:2.0");
    let child = &image.images()[0].manifest.digest;

    let address = format!("127.0.0.1:{}", free_port());
    let host = registry.host();
    let probe = HastyProbe::start(&address, &[&host]);
    let alertmanager = Alertmanager::start(&at("alerts/alertmanager.example.yaml"));
    let rules = [
        in_haste(&text("alerts/registry-integrity.rules.yaml")),
        text("alerts/registry-integrity-more.rules.yaml"),
    ];
    let prometheus = Prometheus::start(&address, &rules, &alertmanager.configuration());
    let fires = |alert: &str, label: &str| {
        let firing = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\", {label}}}");
        !prometheus.query(&firing).is_empty()
    };
    let of_app = format!("registry=\"{host}\", repository=\"team/app\"");
    let of_registry = format!("registry=\"{host}\"");
    eventually("the probe is scraped", || {
        prometheus
            .query("registry_manifest_integrity_failures == 0")
            .len()
            == 2
    });

    // A child's link is removed: the alert arrives, and names the repository.
    registry.store().remove_revision_link("team/app", child);
    eventually("the broken image is told", || {
        alertmanager.has_one(FAILURE, "active")
    });
    let labels = &alertmanager.alerts(FAILURE)[0].0;
    assert_eq!(labels["registry"], host.as_str());
    assert_eq!(labels["repository"], "team/app");
    assert_eq!(labels["severity"], "critical");

    // Repaired: it resolves.
    skopeo::push(&registry, &image, "team/app:1.4");
    eventually("the alert resolves", || {
        alertmanager.alerts(FAILURE).is_empty()
    });
    assert!(!fires(FAILURE, &of_app));

    // Broken again, and then the registry stops: the catalog is told, and the other is withheld.
    registry.store().remove_revision_link("team/app", child);
    eventually("it is told again", || {
        alertmanager.has_one(FAILURE, "active")
    });
    registry.stop();
    eventually("the registry that is down is told", || {
        assert!(fires(FAILURE, &of_app), "a blind run cleared it");
        alertmanager.has_one(CATALOG, "active")
    });
    eventually("the broken image is withheld", || {
        assert!(fires(FAILURE, &of_app), "a blind run cleared it");
        alertmanager.has_one(FAILURE, "suppressed")
    });

    // The registry is back, and still broken.
    registry.restart();
    eventually("what was withheld is told", || {
        assert!(fires(FAILURE, &of_app), "it was resolved in between");
        alertmanager.alerts(CATALOG).is_empty() && alertmanager.has_one(FAILURE, "active")
    });

    // The probe stops.
    drop(probe);
    eventually("the probe that is gone is told", || {
        assert!(fires(FAILURE, &of_app), "silence cleared it");
        alertmanager.has_one(STALE, "active")
    });
    assert!(fires(STALE, &of_registry));
    eventually("the broken image is withheld", || {
        alertmanager.has_one(FAILURE, "suppressed")
    });
}

/// Behind one Prometheus, the freshest shard hides neither that one is dead nor what that one knew.
#[test]
fn a_shard_that_is_killed_is_missed_and_the_others_stand() {
    let registry = Registry::start();
    let image = Content::index("shards");
    // One repository for each of four shards, by what the names are hashed to.
    let names = [
        "team/a", "team/b", "team/c", "team/d", "team/e", "team/f", "team/g", "team/h",
    ];
    let pushes = names.map(|name| Push::new(name, "1", &image));
    bulk::push_all(&registry, &pushes);
    let of = |index: u32| {
        let shard = Shard::new(index, 4).expect("a shard");
        let is_its = |name: &&str| shard.holds(&name.parse().expect("a name"));
        names.into_iter().find(is_its).expect("each shard has one")
    };
    let child = &image.images()[0].manifest.digest;
    for index in [1, 2] {
        registry.store().remove_revision_link(of(index), child);
    }

    let host = registry.host();
    let addresses = [0; 4].map(|_| format!("127.0.0.1:{}", free_port()));
    let mut probes: Vec<_> = (0..4)
        .map(|index: usize| {
            let shard = format!("--shard={index}/4");
            Some(HastyProbe::start(&addresses[index], &[&shard, &host]))
        })
        .collect();
    let mut rules = in_haste(&text("alerts/registry-integrity.rules.yaml"));
    // Nobody is told here, so that the alerts need not wait as long as in the other tests.
    for (from, to) in [("for: 9000ms", "for: 2s"), ("for: 18000ms", "for: 4s")] {
        assert!(rules.contains(from), "{from}");
        rules = rules.replace(from, to);
    }
    let prometheus = Prometheus::start(&addresses.join("', '"), &[rules], "");
    let fires = |alert: &str, label: &str| {
        let firing = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"{label}}}");
        !prometheus.query(&firing).is_empty()
    };
    let failing = |index: u32| {
        let of_it = format!(", repository=\"{}\"", of(index));
        fires(FAILURE, &of_it)
    };
    let swept_twice = "count(registry_probe_sweeps_total{outcome=~\"intact|broken\"} >= 2)";
    prometheus.wait_for(swept_twice, 4.0);
    let swept = "sum(max by (shard) (registry_manifest_integrity_repos_checked))";
    prometheus.wait_for(swept, 8.0);
    let missed = format!("ALERTS{{alertname=\"{MISSING}\"}}");
    assert!(prometheus.query(&missed).is_empty(), "all four run");

    probes[2] = None;
    eventually("the shard that was killed is missed", || fires(MISSING, ""));
    // Complete sweeps of the others clear neither their own findings nor those of the dead one.
    eventually("what it and another one found is told", || {
        failing(1) && failing(2)
    });
    let fresh = prometheus.query("registry_shard:registry_manifest_integrity_total_shards:fresh");
    let fresh: BTreeSet<_> = fresh
        .iter()
        .map(|(labels, count)| {
            (
                labels["shard"].as_str().map(str::to_owned),
                format!("{count}"),
            )
        })
        .collect();
    let others = ["0", "1", "3"].map(|shard| (Some(shard.to_owned()), "4".to_owned()));
    assert_eq!(fresh, BTreeSet::from(others));
}

#[test]
fn a_storage_that_is_away_is_told_once_and_alone() {
    let registry = Registry::start();
    let mut pushes = Vec::new();
    for repository in ["team/app", "team/web", "tools/build"] {
        for tag in ["1", "2", "3"] {
            let content = Content::index(&format!("{repository}:{tag}"));
            pushes.push(Push::new(repository, tag, &content));
        }
    }
    bulk::push_all(&registry, &pushes);
    let child = &pushes[0].content.images()[0].manifest.digest;
    registry.store().remove_revision_link("team/app", child);

    let address = format!("127.0.0.1:{}", free_port());
    let host = registry.host();
    let _probe = HastyProbe::start(&address, &[&host]);
    let alertmanager = Alertmanager::start(&at("alerts/alertmanager.example.yaml"));
    let rules = in_haste(&text("alerts/registry-integrity.rules.yaml"));
    let prometheus = Prometheus::start(&address, &[rules], &alertmanager.configuration());
    eventually("what is broken before is told", || {
        alertmanager.has_one(FAILURE, "active")
    });

    registry.store().lose_bytes();
    eventually("the storage is told", || {
        alertmanager.has_one(STORAGE, "active")
    });
    assert_eq!(
        alertmanager.alerts(STORAGE)[0].0["registry"],
        host.as_str(),
        "it names the registry"
    );
    let failing = "registry_manifest_integrity_failures > 0";
    let known = prometheus.query(failing);
    assert!(
        matches!(&known[..], [(labels, _)] if labels["repository"] == "team/app"),
        "what was known is kept, and nothing is added: {known:?}"
    );
    eventually("what was known is withheld", || {
        alertmanager.has_one(FAILURE, "suppressed")
    });

    registry.store().find_bytes();
    eventually("what was known is told again", || {
        alertmanager.alerts(STORAGE).is_empty() && alertmanager.has_one(FAILURE, "active")
    });
}

/// Which alert withholds the message of which about the same registry.
#[test]
fn messages_are_withheld_where_nothing_can_be_done_yet() {
    let all = [FAILURE, IN_USE, STALE, FELL, CATALOG, STORAGE, MISSING];
    let withholds = |cause: &str, other: &str| match cause {
        STORAGE | CATALOG => [FAILURE, IN_USE, STALE, FELL].contains(&other),
        STALE => [FAILURE, IN_USE].contains(&other),
        MISSING => other == FELL,
        _ => false,
    };
    let alertmanager = Alertmanager::start(&at("alerts/alertmanager.example.yaml"));
    // A registry for each two of them, and one for each alone.
    let mut told = Vec::new();
    for one in all {
        for other in all {
            let registry = format!("{one}-{other}");
            told.extend([(one, registry.clone()), (other, registry)]);
        }
    }
    let named: Vec<_> = told.iter().map(|(name, at)| (*name, at.as_str())).collect();
    alertmanager.told(&named);
    for name in all {
        let mut expected: Vec<_> = all
            .iter()
            .flat_map(|other| [(name, *other), (*other, name)])
            .map(|(one, other)| {
                let cause = if one == name { other } else { one };
                let state = ["active", "suppressed"][usize::from(withholds(cause, name))];
                (format!("{one}-{other}"), state.to_owned())
            })
            .collect();
        expected.sort_unstable();
        expected.dedup();
        wait_until(&format!("{name} is withheld as {expected:?}"), || {
            let alerts = alertmanager.alerts(name).into_iter();
            let pairs = alerts.map(|(labels, state)| {
                let registry = labels["registry"].as_str().expect("it has one");
                (registry.to_owned(), state)
            });
            let mut found: Vec<_> = pairs.collect();
            found.sort_unstable();
            found == expected
        });
    }

    // One shard that is stale says nothing about what the others see.
    let one_shard = [
        json!({ "alertname": STALE, "registry": "shared", "shard": "1" }),
        json!({ "alertname": FAILURE, "registry": "shared", "repository": "team/app" }),
        json!({ "alertname": CATALOG, "registry": "shared-and-down" }),
        json!({ "alertname": FAILURE, "registry": "shared-and-down", "repository": "team/app" }),
    ];
    alertmanager.told_labels(one_shard.into_iter());
    let state = |registry: &str| {
        let alerts = alertmanager.alerts(FAILURE).into_iter();
        let mut of_it = alerts.filter(|(labels, _)| labels["registry"] == registry);
        of_it.next().map(|(_, state)| state)
    };
    wait_until("a failure is withheld where the catalog is told", || {
        state("shared-and-down").as_deref() == Some("suppressed")
    });
    assert_eq!(state("shared").as_deref(), Some("active"));
}
