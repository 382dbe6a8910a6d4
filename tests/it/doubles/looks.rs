//! Answers that change between two looks, and registries that show nothing: no single answer makes anything
//! intact, broken or forgotten.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use registry_double::{Double, Image, Registry as Served, Reply, Request, on, presets};
use registry_probe::oci::{Digest, Reference, Repository, Tag};
use registry_probe::registry::client::HttpRegistry;
use registry_probe::registry::{Access, Depth, Unverified};
use registry_probe::registry::{
    Answer, BlobLook, Listing, ManifestBody, Registry, Resolved, Traffic, Way,
};
use registry_probe::report::{Mode, Reason, Record, Shard, Sweep};
use registry_probe::sweep::{Empty, Expectations};
use tokio_util::sync::CancellationToken;

use super::probe::{Probe, details, told};

/// The number of looks that were begun so far: each has new connections.
#[derive(Clone, Default)]
struct Looks(Arc<AtomicUsize>);

impl Looks {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether a request belongs to one of these looks, counted from 0.
    fn among(
        &self,
        looks: std::ops::Range<usize>,
    ) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
        let counter = self.clone();
        move |_| looks.contains(&counter.count())
    }

    async fn sweep(&self, probe: Probe<'_>) -> Sweep {
        probe.sweep_behind(|http| self.before(http)).await
    }

    async fn verify(&self, probe: Probe<'_>, expectations: &Expectations) -> Sweep {
        let put = |http| self.before(http);
        probe.verify_behind(expectations, put).await
    }

    fn before(&self, http: HttpRegistry) -> Counted {
        Counted {
            http,
            looks: self.clone(),
        }
    }
}

/// A registry that counts how often it is connected to anew.
#[derive(Clone)]
struct Counted {
    http: HttpRegistry,
    looks: Looks,
}

impl Registry for Counted {
    fn ping(&self) -> impl Future<Output = Result<(), Unverified>> + Send {
        self.http.ping()
    }

    async fn repositories(&self) -> Listing<Repository> {
        self.http.repositories().await
    }

    async fn tags(&self, repository: &Repository) -> Listing<Tag> {
        self.http.tags(repository).await
    }

    async fn resolve(&self, of: &Repository, tag: &Tag, way: Way) -> Answer<Resolved> {
        self.http.resolve(of, tag, way).await
    }

    async fn manifest(&self, of: &Repository, reference: &Reference) -> Answer<ManifestBody> {
        self.http.manifest(of, reference).await
    }

    async fn still_has(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: &ManifestBody,
    ) -> Option<bool> {
        self.http.still_has(repository, digest, body).await
    }

    async fn config(&self, repository: &Repository, digest: &Digest) -> Answer<ManifestBody> {
        self.http.config(repository, digest).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        depth: Depth,
    ) -> Answer<BlobLook> {
        self.http.blob(repository, digest, size, depth).await
    }

    fn reconnected(&self) -> Self {
        self.looks.0.fetch_add(1, Ordering::SeqCst);
        self.looks.before(self.http.reconnected())
    }

    fn notices(&self) -> Vec<String> {
        self.http.notices()
    }

    fn certificate_end(&self) -> Option<SystemTime> {
        self.http.certificate_end()
    }

    fn access(&self) -> Access {
        self.http.access()
    }

    fn traffic(&self) -> Traffic {
        self.http.traffic()
    }
}

/// `app:multi`, an index that lacks one of its two children, beside a neighbour.
async fn lacking_a_child() -> (Double, Image) {
    let double = Double::start().await;
    let amd64 = double.image("app", None, &[b"one"]);
    let arm64 = double.child("linux/arm64", "app", &[b"two"]);
    double.index(
        "app",
        Some("multi"),
        &[("linux/amd64", &amd64), ("linux/arm64", &arm64)],
    );
    double.image("neighbour", Some("v1"), &[b"another"]);
    double.remove_manifest_link("app", &arm64.digest);
    (double, amd64)
}

const LACKS_A_CHILD: [&str; 2] = ["broken", "finding app child not_found: multi"];

/// What passes, and says nothing of the object.
fn passing() -> [Reply; 3] {
    [
        Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        Reply::status(502),
        Reply::error(500, "UNKNOWN", "unknown error"),
    ]
}

/// What is known after one sweep.
async fn known(double: &Double) -> Record {
    let sweep = Probe::of(double).sweep().await;
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep);
    record
}

fn failures(record: &Record, repository: &str) -> Option<u64> {
    let name: Repository = repository.parse().expect("a name");
    record.repositories.get(&name)?.failures
}

#[tokio::test]
async fn verify_reads_what_was_missed_at_first() {
    for reply in passing() {
        let (double, _) = lacking_a_child().await;
        let looks = Looks::default();
        let tag = on::manifest().reference("multi");
        double.when(tag.matching(looks.among(0..1))).reply(reply);
        let probe = Probe::of(&double).images(&[("app", "multi")]);
        let sweep = looks.verify(probe, &Expectations::default()).await;
        assert_eq!(told(&sweep), LACKS_A_CHILD);
        assert!(sweep.counts.indexes + sweep.counts.manifests > 0);
    }
}

#[tokio::test]
async fn verify_expects_of_what_was_missed_at_first() {
    let digest = Digest::sha256(b"another");
    let expectations = [
        Expectations {
            digest: Some(digest),
            ..Expectations::default()
        },
        Expectations {
            platforms: vec!["linux/s390x".parse().expect("a platform")],
            ..Expectations::default()
        },
    ];
    for expectations in expectations {
        let double = Double::start().await;
        let image = double.image("app", None, &[b"one"]);
        double.index("app", Some("multi"), &[("linux/amd64", &image)]);
        let looks = Looks::default();
        let tag = on::manifest().reference("multi");
        double
            .when(tag.matching(looks.among(0..1)))
            .error(404, "MANIFEST_UNKNOWN");
        let probe = Probe::of(&double).images(&[("app", "multi")]);
        let sweep = looks.verify(probe, &expectations).await;
        assert_eq!(
            (sweep.unmet.len(), told(&sweep)),
            (1, vec!["broken".into()])
        );
    }
}

#[tokio::test]
async fn verify_reads_what_comes_while_it_waits() {
    let (double, _) = lacking_a_child().await;
    let looks = Looks::default();
    let tag = on::manifest().reference("multi");
    // Not there for a whole sweep of three looks, nor for the first look of the next.
    double
        .when(tag.matching(looks.among(0..4)))
        .error(404, "MANIFEST_UNKNOWN");
    let expectations = Expectations {
        wait: Duration::from_millis(2500),
        ..Expectations::default()
    };
    let probe = Probe::of(&double).images(&[("app", "multi")]);
    let sweep = looks.verify(probe, &expectations).await;
    let told = told(&sweep);
    assert_eq!(told[..2], LACKS_A_CHILD);
    assert!(told[2].contains("--wait were up"), "{told:?}");
}

#[tokio::test]
async fn what_was_missed_at_first_is_walked() {
    for reply in passing() {
        let (double, whole) = lacking_a_child().await;
        let record = known(&double).await;
        for missed in ["multi", &whole.digest] {
            let looks = Looks::default();
            let asked = on::manifest().reference(missed);
            double
                .when(asked.matching(looks.among(0..1)))
                .reply(reply.clone());
            let sweep = looks.sweep(Probe::of(&double)).await;
            assert_eq!(told(&sweep), LACKS_A_CHILD, "{missed}");
            let mut record = record.clone();
            record.absorb(sweep);
            assert_eq!(failures(&record, "app"), Some(1), "{missed}");
            double.forget_rules();
        }
    }
}

#[tokio::test]
async fn a_layer_below_what_was_missed_at_first_is_found() {
    let double = Double::start().await;
    let image = double.image("app", None, &[b"a layer"]);
    double.index("app", Some("multi"), &[("linux/amd64", &image)]);
    double.image("neighbour", Some("v1"), &[b"another"]);
    double.remove_layer_link("app", &image.layers[0]);
    let looks = Looks::default();
    let child = on::manifest().reference(&image.digest);
    double
        .when(child.matching(looks.among(0..1)))
        .error(404, "MANIFEST_UNKNOWN");
    let sweep = looks.sweep(Probe::of(&double)).await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer not_found: multi"]
    );
}

#[tokio::test]
async fn a_known_failure_outlives_one_good_look() {
    let (double, _) = lacking_a_child().await;
    let mut record = known(&double).await;
    let child = record
        .findings()
        .next()
        .and_then(|known| known.digest.clone());
    let child = child.expect("a child").to_string();
    // One of two replicas has it.
    let whole = double.child("linux/arm64", "app", &[b"two"]);
    assert_eq!(whole.digest, child);
    let looks = Looks::default();
    let asked = on::manifest().get().reference(&child);
    double
        .when(asked.matching(looks.among(1..9)))
        .error(404, "MANIFEST_UNKNOWN");
    let sweep = looks.sweep(Probe::of(&double).knowing(&record)).await;
    assert_eq!(told(&sweep), LACKS_A_CHILD);
    record.absorb(sweep);
    // Mended for good, it is cleared, after all looks agree.
    double.forget_rules();
    let looks = Looks::default();
    let sweep = looks.sweep(Probe::of(&double).knowing(&record)).await;
    assert_eq!((told(&sweep), looks.count()), (vec!["intact".into()], 2));
    record.absorb(sweep);
    assert_eq!(failures(&record, "app"), Some(0));
}

#[tokio::test]
async fn a_404_on_the_way_to_a_list_clears_nothing() {
    for reply in [
        Reply::status(404),
        Reply::text(404, "404 page not found\n"),
        Reply::html(404, "Not Found"),
        Reply::error(404, "NAME_UNKNOWN", "a replica that lacks it"),
    ] {
        let (double, _) = lacking_a_child().await;
        let mut record = known(&double).await;
        double.when(on::tags().repository("app")).reply(reply);
        let sweep = Probe::of(&double).knowing(&record).sweep().await;
        assert!(!sweep.is_complete(), "{:?}", told(&sweep));
        record.absorb(sweep);
        assert_eq!(failures(&record, "app"), Some(1));
    }
}

#[tokio::test]
async fn a_list_that_fails_at_first_is_read_again() {
    for reply in [
        Reply::status(404),
        Reply::error(403, "DENIED", "denied"),
        Reply::status(502),
    ] {
        let (double, _) = lacking_a_child().await;
        let looks = Looks::default();
        let list = on::tags().repository("app");
        double.when(list.matching(looks.among(0..1))).reply(reply);
        let sweep = looks.sweep(Probe::of(&double)).await;
        assert_eq!(told(&sweep), LACKS_A_CHILD);
    }
}

#[tokio::test]
async fn a_list_that_is_shorter_than_known_is_read_again() {
    let (double, _) = lacking_a_child().await;
    double.image("app", Some("whole"), &[b"three"]);
    let record = known(&double).await;
    let looks = Looks::default();
    let list = on::tags().repository("app");
    double
        .when(list.matching(looks.among(0..1)))
        .reply(Reply::json(
            200,
            &serde_json::json!({"name": "app", "tags": ["whole"]}),
        ));
    let sweep = looks.sweep(Probe::of(&double).knowing(&record)).await;
    assert_eq!(told(&sweep), LACKS_A_CHILD);
    // One that is shorter for good is an answer; what is known to be broken is asked for all the same.
    double.forget_rules();
    double.when(on::tags().repository("app")).reply(Reply::json(
        200,
        &serde_json::json!({"name": "app", "tags": ["whole"]}),
    ));
    let sweep = Probe::of(&double).knowing(&record).sweep().await;
    assert_eq!(told(&sweep), LACKS_A_CHILD);
    double.remove_tag("app", "multi");
    let sweep = Probe::of(&double).knowing(&record).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn failures_of_the_second_look_drop_no_suspicion() {
    let (double, _) = presets::dangling_tag().await;
    let looks = Looks::default();
    let tag = on::manifest().reference("gone");
    double
        .when(tag.matching(looks.among(1..2)))
        .reply(Reply::status(502));
    let sweep = looks.sweep(Probe::of(&double)).await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: gone"]);
}

#[tokio::test]
async fn what_a_catalog_leaves_out_is_asked_for() {
    let (double, _) = lacking_a_child().await;
    let mut record = known(&double).await;
    let catalog = Reply::json(200, &serde_json::json!({"repositories": ["neighbour"]}));
    double.when(on::catalog()).reply(catalog);
    for _ in 0..3 {
        let sweep = Probe::of(&double).knowing(&record).sweep().await;
        assert_eq!(told(&sweep), LACKS_A_CHILD);
        record.absorb(sweep);
        assert_eq!(failures(&record, "app"), Some(1));
    }
    // Gone from two catalogs, and its own list with it.
    double
        .when(on::tags().repository("app"))
        .error(404, "NAME_UNKNOWN");
    double
        .when(on::manifest().repository("app"))
        .error(404, "MANIFEST_UNKNOWN");
    for left in [Some(1), None] {
        let sweep = Probe::of(&double).knowing(&record).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        record.absorb(sweep);
        assert_eq!(failures(&record, "app"), left);
    }
}

#[tokio::test]
async fn what_a_catalog_leaves_out_and_hides_is_forgotten_in_time() {
    let (double, _) = lacking_a_child().await;
    let mut record = known(&double).await;
    let catalog = Reply::json(200, &serde_json::json!({"repositories": ["neighbour"]}));
    double.when(on::catalog()).reply(catalog);
    double
        .when(on::any().repository("app"))
        .error(403, "DENIED");
    for left in [Some(1), Some(1), None] {
        let sweep = Probe::of(&double).knowing(&record).sweep().await;
        assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
        record.absorb(sweep);
        assert_eq!(failures(&record, "app"), left);
    }
}

#[tokio::test]
async fn what_the_filters_leave_out_is_forgotten_at_once() {
    let (double, _) = lacking_a_child().await;
    let mut record = known(&double).await;
    let probe = Probe::of(&double).knowing(&record).matching("neigh*");
    record.absorb(probe.sweep().await);
    assert_eq!(failures(&record, "app"), None);
    assert_eq!(failures(&record, "neighbour"), Some(0));
}

#[tokio::test]
async fn a_filter_that_takes_nothing_is_no_verdict() {
    let (double, _) = lacking_a_child().await;
    let unverified = ["unverified", "unverified - nothing_listed"];
    let sweep = Probe::of(&double).matching("tema/*").sweep().await;
    assert_eq!(told(&sweep)[..2], unverified);
    let sweep = Probe::of(&double).tags("v9*").sweep().await;
    assert_eq!(told(&sweep)[..2], unverified);
    let probe = Probe::of(&double).matching("tema/*").empty(Empty::Allowed);
    let allowed = probe.sweep().await;
    assert_eq!(
        told(&allowed),
        [
            "intact",
            "skipped repository_filter 2",
            "warning there was nothing to check"
        ]
    );
}

#[tokio::test]
async fn an_empty_registry_is_fine_where_it_always_was() {
    let double = Double::start().await;
    let service = || Probe::of(&double).empty(Empty::AllowedIfAlwaysSo);
    let intact = ["intact", "warning there was nothing to check"];
    assert_eq!(told(&service().sweep().await), intact);
    double.image("app", Some("v1"), &[b"one"]);
    let record = known(&double).await;
    let empty = Reply::json(200, &serde_json::json!({"repositories": []}));
    double.when(on::catalog()).reply(empty);
    double
        .when(on::any().repository("app"))
        .error(404, "NAME_UNKNOWN");
    let sweep = service().knowing(&record).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - nothing_listed"]);
    assert!(details(&sweep).contains("--allow-empty"));
}

#[tokio::test]
async fn a_shard_without_repositories_of_its_own_is_fine() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"one"]);
    let of_two = |index| {
        let shard = Shard::new(index, 2).expect("a shard");
        Probe::of(&double).shard(shard).sweep()
    };
    for index in 0..2 {
        let told = told(&of_two(index).await);
        assert_eq!(told[0], "intact", "{told:?}");
    }
}

#[tokio::test]
async fn what_a_stop_cuts_short_is_told() {
    let (double, image) = lacking_a_child().await;
    double.remove_layer_link("app", &image.layers[0]);
    let cancel = CancellationToken::new();
    let negative = on::blob().get().reference(&image.layers[0]);
    let (token, is_done) = (cancel.clone(), double.when(negative.first(1)));
    is_done.then(move |_: &Served, _: &Request| {
        let token = token.clone();
        tokio::spawn(async move {
            // The first look goes on for a few requests more.
            tokio::time::sleep(Duration::from_millis(500)).await;
            token.cancel();
        });
    });
    let probe = Probe::of(&double).confirm_after(Duration::from_secs(60));
    let sweep = probe.cancelled_by(&cancel).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app cancelled"]);
    let suspected = sweep.suspected.iter();
    let reasons: Vec<_> = suspected.map(|finding| finding.defect.reason).collect();
    assert!(reasons.contains(&Reason::NotFound), "{reasons:?}");
}

#[tokio::test]
async fn a_kind_that_was_said_is_believed() {
    let double = presets::distribution_proxy(1 << 30).await;
    for n in 0..5 {
        let layer = format!("layer {n}");
        double.image("app", Some(&format!("v{n}")), &[layer.as_bytes()]);
    }
    double.upstream(|cache| cache.hold("app", "something"));
    let sweep = Probe::of(&double)
        .of_a_known_kind()
        .mode(Mode::Private)
        .sweep()
        .await;
    assert_eq!(told(&sweep)[0], "intact", "{:?}", told(&sweep));
}

#[tokio::test]
async fn a_cut_index_of_zot_is_not_a_repository_without_tags() {
    let double = presets::zot().await;
    double.image("app", Some("v1"), &[b"one"]);
    double.image("neighbour", Some("v1"), &[b"another"]);
    let record = known(&double).await;
    double
        .when(on::tags().repository("app"))
        .error(404, "NAME_UNKNOWN");
    let manifests = || on::manifest().repository("app");
    double.when(manifests().head()).reply(Reply::status(500));
    double.when(manifests().get()).error(404, "NAME_UNKNOWN");
    for known in [&Record::new("nothing"), &record] {
        let sweep = Probe::of(&double).knowing(known).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified app registry_error"]
        );
        assert!(
            details(&sweep).contains("NAME_UNKNOWN"),
            "{}",
            details(&sweep)
        );
    }
}

#[tokio::test]
async fn a_repository_without_tags_costs_two_requests_more() {
    let double = Double::start().await;
    for n in 0..10 {
        let name = format!("r{n}");
        double.image(&name, Some("v1"), &[name.as_bytes()]);
        if n % 3 == 0 {
            double.remove_tags_directory(&name);
        }
    }
    let looks = Looks::default();
    let sweep = looks.sweep(Probe::of(&double)).await;
    assert_eq!((told(&sweep), looks.count()), (vec!["intact".into()], 0));
    let absent = on::manifest().reference(&format!("sha256:{}", "0".repeat(64)));
    assert_eq!(double.count(&absent), 4);
    assert_eq!(double.count(&on::tags()), 10 + 4);
    // What was known with tags is not fine without them.
    let whole = Double::start().await;
    whole.image("r0", Some("v1"), &[b"one"]);
    whole.image("r1", Some("v1"), &[b"two"]);
    let record = known(&whole).await;
    whole.remove_manifests_directory("r0");
    let sweep = Probe::of(&whole).knowing(&record).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified r0 registry_error"]);
}

/// Three repositories of three images each.
async fn shelf() -> Double {
    let double = Double::start().await;
    for name in ["a", "b", "c"] {
        for tag in ["v1", "v2", "v3"] {
            let layer = format!("{name} {tag}");
            double.image(name, Some(tag), &[layer.as_bytes()]);
        }
    }
    double
}

#[tokio::test]
async fn a_storage_that_is_away_is_said_once() {
    for (objects, code) in [
        (on::manifest(), "MANIFEST_UNKNOWN"),
        (on::blob(), "BLOB_UNKNOWN"),
    ] {
        let double = shelf().await;
        double.image("a", Some("v4"), &[b"broken"]);
        let mut record = known(&double).await;
        double.when(objects).error(404, code);
        let sweep = Probe::of(&double).knowing(&record).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified - storage_unavailable"]
        );
        assert!(sweep.is_storage_unavailable());
        record.absorb(sweep);
        assert!(
            record
                .repositories
                .values()
                .all(|known| known.failures == Some(0))
        );
    }
    // One that lists nothing any more.
    let double = shelf().await;
    let record = known(&double).await;
    let empty = Reply::json(200, &serde_json::json!({"repositories": []}));
    double.when(on::catalog()).reply(empty);
    double
        .when(on::any().matching(|request| request.repository.is_some()))
        .error(404, "NAME_UNKNOWN");
    let sweep = Probe::of(&double).knowing(&record).sweep().await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified - storage_unavailable"]
    );
}

#[tokio::test]
async fn a_single_image_may_be_plainly_broken() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"one"]);
    double.when(on::manifest()).error(404, "MANIFEST_UNKNOWN");
    let sweep = Probe::of(&double).images(&[("app", "v1")]).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: v1"]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app tag not_found: v1"]);
}

#[tokio::test]
async fn a_page_for_what_nobody_has_is_how_a_storage_says_absent() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"one"]);
    double.image("app", Some("v2"), &[b"another"]);
    double.remove_layer_link("app", &image.layers[0]);
    double.when(on::blob()).edit(|_, reply| match reply.status {
        404 => Reply::html(404, "Not Found"),
        _ => reply,
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app layer not_found: v1"]);
}
