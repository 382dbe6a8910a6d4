//! Faults of this program: wherever it panics in a sweep, the process goes on, and what was lost is
//! neither intact nor broken.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use registry_double::{Double, on};
use registry_probe::oci::{Digest, Reference, Repository, Tag};
use registry_probe::registry::client::HttpRegistry;
use registry_probe::registry::{Access, Depth, Unverified};
use registry_probe::registry::{
    Answer, BlobLook, Listing, ManifestBody, Registry, Resolved, Traffic, Way,
};
use registry_probe::report::{Record, Sweep, Verdict};

use super::probe::{DEADLINE, Probe, broken, details, skip_waits};
use crate::PATIENCE;

/// Where it panics: in which of the seam's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Ping,
    Repositories,
    Tags,
    Resolve,
    Manifest,
    Blob,
    Reconnected,
}

const METHODS: [Method; 7] = [
    Method::Ping,
    Method::Repositories,
    Method::Tags,
    Method::Resolve,
    Method::Manifest,
    Method::Blob,
    Method::Reconnected,
];

/// A registry in front of a real one that panics once: at one call of one method.
#[derive(Clone)]
struct Faulty {
    http: HttpRegistry,
    method: Method,
    calls_left: Arc<AtomicUsize>,
}

impl Faulty {
    fn called(&self, method: Method) {
        let is_now = method == self.method && self.calls_left.fetch_sub(1, Ordering::Relaxed) == 0;
        assert!(!is_now, "a fault that a test put into {method:?}");
    }
}

impl Registry for Faulty {
    fn ping(&self) -> impl Future<Output = Result<(), Unverified>> + Send {
        self.called(Method::Ping);
        self.http.ping()
    }

    async fn repositories(&self) -> Listing<Repository> {
        self.called(Method::Repositories);
        self.http.repositories().await
    }

    async fn tags(&self, repository: &Repository) -> Listing<Tag> {
        self.called(Method::Tags);
        self.http.tags(repository).await
    }

    async fn resolve(&self, of: &Repository, tag: &Tag, way: Way) -> Answer<Resolved> {
        self.called(Method::Resolve);
        self.http.resolve(of, tag, way).await
    }

    async fn manifest(&self, of: &Repository, reference: &Reference) -> Answer<ManifestBody> {
        self.called(Method::Manifest);
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
        self.called(Method::Blob);
        self.http.blob(repository, digest, size, depth).await
    }

    fn reconnected(&self) -> Self {
        self.called(Method::Reconnected);
        Self {
            http: self.http.reconnected(),
            ..self.clone()
        }
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

/// A registry with a broken layer and much that is intact.
async fn damaged() -> (Double, String) {
    let double = Double::start().await;
    let image = double.image("broken", Some("v1"), &[b"a layer"]);
    for name in ["a", "b", "c"] {
        double.image(name, Some("v1"), &[name.as_bytes()]);
    }
    double.remove_layer_link("broken", &image.layers[0]);
    (double, image.layers[0].clone())
}

/// The repositories that a record knows.
fn names(record: &Record) -> Vec<String> {
    record
        .repositories
        .keys()
        .map(ToString::to_string)
        .collect()
}

fn assert_contained(sweep: &Sweep, truth: &str, what: &str) {
    assert!(!sweep.is_complete(), "{what}: nobody looked at all of it");
    assert_ne!(sweep.verdict(), Verdict::Intact, "{what}");
    let broken = broken(sweep);
    assert!(
        broken.iter().all(|digest| digest == truth),
        "{what}: {broken:?}"
    );
    let details = details(sweep);
    assert!(
        details.contains("fault of this program"),
        "{what}: {details}"
    );
    let is_broken = sweep.repositories.iter().any(|result| {
        result.name.to_string() == "broken" && result.broken == 0 && result.unverified == 0
    });
    assert!(!is_broken, "{what}: what is broken counts as intact");
}

#[tokio::test]
async fn a_panic_anywhere_is_contained_and_told() {
    let (double, truth) = damaged().await;
    let whole = Probe::of(&double).sweep().await;
    assert_eq!(broken(&whole), [truth.as_str()]);
    let mut contained = 0;
    for method in METHODS {
        for calls in [0, 1, 3, 6, 9] {
            let what = format!("{method:?}, call {calls}");
            let calls_left = Arc::new(AtomicUsize::new(calls));
            let left = Arc::clone(&calls_left);
            let probe = Probe::of(&double);
            let put = |http| Faulty {
                http,
                method,
                calls_left,
            };
            let sweep = probe.sweep_behind(put).await;
            // Some methods are not called so often.
            if left.load(Ordering::Relaxed) > calls {
                assert_contained(&sweep, &truth, &what);
                let mut record = Record::new("r");
                record.absorb(whole.clone());
                record.absorb(sweep);
                assert_eq!(names(&record), ["a", "b", "broken", "c"], "{what}");
                assert_eq!(record.failures(), 1, "{what}: what was known stays");
                contained += 1;
            } else {
                assert_eq!(broken(&sweep), [truth.as_str()], "{what}");
            }
        }
    }
    assert!(contained >= 15, "only {contained} panics");
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_while_it_is_in_doubt_is_not_whole() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    // The store is unmounted after the catalog was read; whether it is still there is never answered.
    double.when(on::tags()).error(404, "NAME_UNKNOWN");
    let asked_again = on::any().after(3);
    double.when(asked_again).delay(PATIENCE * 10);
    double.when(on::any().nth(4)).then(skip_waits);
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert!(!sweep.is_complete(), "{sweep:?}");
}
