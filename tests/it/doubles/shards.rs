//! Several probes that share a registry: together they see what one alone would, and nothing twice.

use registry_double::{Double, Reply, on};
use registry_probe::report::{Finding, Shard, SkipReason, Sweep};

use super::probe::Probe;

const SHARDS: u32 = 4;

/// A registry of that many repositories, every fifth of which has lost a layer.
async fn registry(repositories: usize) -> Double {
    let double = Double::start().await;
    for number in 0..repositories {
        let name = format!("team-{}/service-{number}", number % 3);
        let image = double.image(&name, Some("v1"), &[format!("layer {number}").as_bytes()]);
        if number % 5 == 0 {
            double.remove_layer_link(&name, &image.layers[0]);
        }
    }
    double
}

async fn shards(double: &Double) -> Vec<Sweep> {
    let mut sweeps = Vec::new();
    for index in 0..SHARDS {
        let shard = Shard::new(index, SHARDS).expect("a shard");
        sweeps.push(Probe::of(double).shard(shard).sweep().await);
    }
    sweeps
}

fn findings<'a>(sweeps: impl IntoIterator<Item = &'a Sweep>) -> Vec<String> {
    let tell = |finding: &Finding| format!("{} {:?}", finding.repository, finding.digest);
    let mut found: Vec<_> = sweeps
        .into_iter()
        .flat_map(|sweep| &sweep.findings)
        .map(tell)
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn shards_add_up_to_the_whole_and_do_not_overlap() {
    for repositories in [0, 3, 40] {
        let double = registry(repositories).await;
        let whole = Probe::of(&double).sweep().await;
        let parts = shards(&double).await;
        assert_eq!(findings(&parts), findings([&whole]), "{repositories}");
        assert_eq!(findings([&whole]).len(), repositories.div_ceil(5));
        let sum = |count: fn(&Sweep) -> u64| parts.iter().map(count).sum::<u64>();
        assert_eq!(
            sum(|s| s.counts.repositories.listed),
            whole.counts.repositories.listed
        );
        assert_eq!(sum(|s| s.counts.tags.checked), whole.counts.tags.checked);
        assert_eq!(sum(|s| s.counts.manifests), whole.counts.manifests);
        assert_eq!(sum(|s| s.counts.blobs), whole.counts.blobs);
        let mut names: Vec<_> = parts
            .iter()
            .flat_map(|s| &s.repositories)
            .map(|r| &r.name)
            .collect();
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(
            (before, names.len()),
            (repositories, repositories),
            "each belongs to one"
        );
    }
}

/// They belong to nobody's part, and are told once.
#[tokio::test]
async fn names_that_are_none_are_counted_by_one_shard() {
    let double = registry(4).await;
    let names = ["UPPER", "team-0/service-0", "../etc"];
    let catalog = serde_json::json!({ "repositories": names });
    double.when(on::catalog()).reply(Reply::json(200, &catalog));
    let invalid = |sweep: &Sweep| sweep.skipped.get(&SkipReason::InvalidName).copied();
    let whole = Probe::of(&double).sweep().await;
    assert_eq!(invalid(&whole), Some(2));
    let parts = shards(&double).await;
    let counted: Vec<_> = parts.iter().map(invalid).collect();
    assert_eq!(counted, [Some(2), None, None, None]);
}

/// One reading of the catalog is enough for all, where they are given a file of it.
#[tokio::test]
async fn a_list_of_names_is_shared_too() {
    let double = registry(20).await;
    let whole = Probe::of(&double).sweep().await;
    let names: Vec<_> = whole
        .repositories
        .iter()
        .map(|result| result.name.as_str())
        .collect();
    assert_eq!(names.len(), 20);
    let catalogs = double.count(&on::catalog());
    let mut sweeps = Vec::new();
    for index in 0..SHARDS {
        let shard = Shard::new(index, SHARDS).expect("a shard");
        sweeps.push(
            Probe::of(&double)
                .repositories(&names)
                .shard(shard)
                .sweep()
                .await,
        );
    }
    assert_eq!(findings(&sweeps), findings([&whole]));
    let listed: Vec<_> = sweeps
        .iter()
        .map(|sweep| sweep.counts.repositories.listed)
        .collect();
    assert_eq!(listed.iter().sum::<u64>(), 20);
    assert!(listed.iter().all(|count| *count < 20), "{listed:?}");
    assert_eq!(double.count(&on::catalog()), catalogs);
}

#[tokio::test]
async fn repositories_that_come_move_no_others() {
    let places = |sweeps: &[Sweep]| {
        let place = |(index, sweep): (usize, &Sweep)| {
            let names = sweep
                .repositories
                .iter()
                .map(move |result| (result.name.clone(), index));
            names.collect::<Vec<_>>()
        };
        sweeps
            .iter()
            .enumerate()
            .flat_map(place)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = places(&shards(&registry(20).await).await);
    let after = places(&shards(&registry(25).await).await);
    assert_eq!((before.len(), after.len()), (20, 25));
    assert!(
        before
            .iter()
            .all(|(name, index)| after.get(name) == Some(index))
    );
}
