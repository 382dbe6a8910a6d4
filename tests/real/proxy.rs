//! Distribution as a pull-through cache of another registry: nothing is fetched into it that was not there.

use std::collections::BTreeSet;

use crate::support::assertions::assert_intact;
use crate::support::bulk::{self, Push};
use crate::support::images::Content;
use crate::support::probe::{Outcome, Probe};
use crate::support::process::wait_until;
use crate::support::registry::Registry;

/// The repository in which one image is cached and others are not.
const PARTLY: &str = "library/partly";
/// The repository of which the cache has nothing.
const NEVER: &str = "library/never";

/// Blobs that the probe may make a cache fetch before it recognises it.
const TRIPWIRE: usize = 3;

/// A registry, a cache of it, and the one image that somebody pulled through the cache.
struct Pair {
    cache: Registry,
    cached: Content,
    // The cache asks it until the end.
    _upstream: Registry,
}

impl Pair {
    fn new() -> Self {
        let upstream = Registry::start();
        let cached = Content::index("cached");
        let mut pushes = vec![Push::new(PARTLY, "cached", &cached)];
        for repository in [PARTLY, NEVER] {
            for tag in ["v1", "v2", "v3"] {
                let content = Content::index(&format!("{repository} {tag}"));
                pushes.push(Push::new(repository, tag, &content));
            }
        }
        bulk::push_all(&upstream, &pushes);
        let cache = Registry::start_as_cache_of(&upstream);
        pull(&cache, &cached);
        Self {
            cache,
            cached,
            _upstream: upstream,
        }
    }

    /// Blobs that were asked for since the mark, the cached ones left out.
    fn blobs_asked_for(&self, mark: usize) -> BTreeSet<String> {
        let cached: BTreeSet<_> = self.cached.blobs().map(|blob| &blob.digest).collect();
        let entries = self.cache.requests_since(mark);
        let digests = entries
            .iter()
            .filter_map(|entry| entry.path.split_once("/blobs/"));
        digests
            .map(|(_, digest)| digest.to_owned())
            .filter(|digest| !cached.contains(digest))
            .collect()
    }

    /// The same, once there are any: the cache notes a request when its answer has ended, which the probe does not
    /// wait for.
    fn some_blobs_asked_for(&self, mark: usize) -> BTreeSet<String> {
        let asked = || self.blobs_asked_for(mark);
        wait_until("the cache notes a blob", || !asked().is_empty());
        asked()
    }

    /// Manifests and blobs that were asked for since the mark.
    fn objects_asked_for(&self, mark: usize) -> Vec<String> {
        let entries = self.cache.requests_since(mark);
        let is_object = |path: &str| path.contains("/manifests/") || path.contains("/blobs/");
        let paths = entries.into_iter().map(|entry| entry.path);
        paths.filter(|path| is_object(path)).collect()
    }
}

/// Pulls every platform of an image, and waits until the cache has noted when to let go of each part.
fn pull(cache: &Registry, content: &Content) {
    let client = cache.client();
    let mut parts = vec![format!("/v2/{PARTLY}/manifests/cached")];
    for manifest in content.manifests() {
        parts.push(format!("/v2/{PARTLY}/manifests/{}", manifest.digest));
    }
    for blob in content.blobs() {
        parts.push(format!("/v2/{PARTLY}/blobs/{}", blob.digest));
    }
    for part in &parts {
        let answer = client.get(part);
        assert!(answer.status == 200 && answer.whole, "{part}: {answer:?}");
    }
    let digests = content.manifests().into_iter().chain(content.blobs());
    let digests: Vec<_> = digests.map(|blob| blob.digest.as_str()).collect();
    wait_until("the cache has written down what it holds", || {
        let schedule = cache.on_disk("scheduler-state.json");
        digests.iter().all(|digest| schedule.contains(digest))
    });
}

/// Stopped for want of an answer, and the report says what the registry looks like.
fn assert_recognised(outcome: &Outcome) {
    assert_eq!(outcome.code, 3, "{outcome}");
    let report = outcome.report();
    assert_eq!(report.verdict(), "unverified", "{outcome}");
    assert_eq!(report.findings(), [], "{outcome}");
    assert!(
        report.json.to_string().contains("pull-through"),
        "what it looks like: {outcome}"
    );
}

#[test]
fn a_sweep_in_its_mode_leaves_the_disk_of_a_cache_as_it_was() {
    let pair = Pair::new();
    let (before, mark) = (pair.cache.disk(), pair.cache.mark());
    for depth in ["head", "tail", "digest"] {
        let probe = Probe::once().args(["--mode", "pull-through"]);
        let outcome = probe.depth(depth).arg(pair.cache.host()).run();
        let report = assert_intact(&outcome);
        assert_eq!(report.count("repositories/checked"), 1, "{outcome}");
    }
    let probe = Probe::once().args(["--mode", "pull-through", "--repo", PARTLY, "--repo", NEVER]);
    assert_intact(&probe.arg(pair.cache.host()).run());
    assert_eq!(pair.objects_asked_for(mark), [""; 0]);
    assert_eq!(pair.cache.disk(), before);
}

#[test]
fn a_cached_image_by_name_is_checked_without_a_trace() {
    let pair = Pair::new();
    let (before, mark) = (pair.cache.disk(), pair.cache.mark());
    let image = format!("{}/{PARTLY}:cached", pair.cache.host());
    let probe = Probe::verify().args(["--mode", "pull-through", &image]);
    let report = assert_intact(&probe.run());
    assert_eq!(report.count("tags/checked"), 1);
    assert_eq!(report.count("manifests"), 2);
    assert_eq!(pair.blobs_asked_for(mark), BTreeSet::new());
    assert_eq!(pair.cache.disk(), before);
}

#[test]
fn a_cache_that_is_swept_like_a_registry_is_recognised() {
    let pair = Pair::new();
    let mark = pair.cache.mark();
    let outcome = Probe::once().arg(pair.cache.host()).run();
    assert_recognised(&outcome);
    let asked = pair.some_blobs_asked_for(mark);
    assert!(asked.len() <= TRIPWIRE, "{asked:#?}");
}

#[test]
fn a_cache_with_nothing_of_a_repository_is_recognised() {
    let pair = Pair::new();
    let mark = pair.cache.mark();
    let probe = Probe::once().args(["--concurrency", "32", "--repo", NEVER]);
    let outcome = probe.arg(pair.cache.host()).run();
    assert_recognised(&outcome);
    let asked = pair.some_blobs_asked_for(mark);
    assert!(asked.len() <= TRIPWIRE, "{asked:#?}");
}

#[test]
fn the_text_report_says_which_mode_is_meant_for_caches() {
    let pair = Pair::new();
    let outcome = Probe::once_in_text().arg(pair.cache.host()).run();
    assert_eq!(outcome.code, 3, "{outcome}");
    let words = outcome.words();
    assert!(words.contains("pull-through cache"), "{outcome}");
    assert!(words.contains("--mode pull-through"), "{outcome}");
}
