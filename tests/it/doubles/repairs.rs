//! What a finding is told with: its cause, what is intact near it, and all that it breaks; and what is
//! exposed to garbage collection. It costs requests only where something is broken.

use registry_double::{Double, Image, Reply, on};
use registry_probe::oci::{Digest, Repository};
use registry_probe::registry::client::{Config, Endpoint};
use registry_probe::report::{Cause, Finding, Report, Sweep};

use registry_probe::service::{RepairSource, look_elsewhere};
use tokio_util::sync::CancellationToken;

use super::probe::{Probe, told};

static LONG: [u8; 50_000] = [b'x'; 50_000];

/// `app`: the indexes `1.1` and `1.2` share a child, and `1.0` has one of its own.
async fn shelf() -> (Double, Image) {
    let double = Double::start().await;
    let shared = double.image("app", None, &[b"shared", &LONG]);
    let other = double.image("app", None, &[b"other"]);
    for tag in ["1.1", "1.2"] {
        double.index("app", Some(tag), &[("linux/amd64", &shared)]);
    }
    double.index("app", Some("1.0"), &[("linux/amd64", &other)]);
    (double, shared)
}

fn only(sweep: &Sweep) -> &Finding {
    let [finding] = sweep.findings.as_slice() else {
        panic!("one finding: {:?}", told(sweep));
    };
    finding
}

fn sibling(finding: &Finding) -> Option<&str> {
    finding.nearby.sibling.as_ref().map(|(tag, _)| tag.as_str())
}

fn copy(finding: &Finding) -> Option<&str> {
    finding.nearby.copy.as_ref().map(Repository::as_str)
}

#[tokio::test]
async fn an_intact_sibling_costs_one_head_and_only_where_needed() {
    let (double, shared) = shelf().await;
    assert_eq!(told(&Probe::of(&double).sweep().await), ["intact"]);
    let tags = |double: &Double| double.count(&on::manifest().by_tag());
    // By HEAD, and one of them by GET.
    assert_eq!(tags(&double), 3 + 1);
    double.forget_requests();

    double.remove_manifest_link("app", &shared.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sibling(only(&sweep)), Some("1.0"));
    // Each tag in the first look, and one of them by GET, too; the two broken ones in two more, again with
    // that GET if it was one of them; and then the sibling.
    let twice = 3 + 1 + 2 * 2 + 1;
    assert!([twice, twice + 2].contains(&tags(&double)));
    assert_eq!(double.count(&on::manifest().head().reference("1.0")), 2);
}

#[tokio::test]
async fn an_older_image_of_another_kind_is_no_sibling() {
    let double = Double::start().await;
    let broken = double.image("app", None, &[b"broken"]);
    let other = double.image("app", None, &[b"other"]);
    double.index("app", Some("1.9"), &[("linux/amd64", &broken)]);
    // Another platform, one image alone, and one platform more.
    double.index("app", Some("1.8"), &[("linux/arm64", &other)]);
    double.image("app", Some("1.7"), &[b"alone"]);
    let both = [("linux/amd64", &other), ("linux/arm64", &other)];
    double.index("app", Some("1.6"), &both);
    double.remove_manifest_link("app", &broken.digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sibling(only(&sweep)), None);
    // What is of no platform, as an attestation, is no part of it.
    let both = [("linux/amd64", &other), ("unknown/unknown", &other)];
    double.index("app", Some("1.5"), &both);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sibling(only(&sweep)), Some("1.5"));
}

fn source(double: &Double, prefix: Option<&str>) -> RepairSource {
    let endpoint = Endpoint::parse(double.address(), true).expect("an address");
    RepairSource {
        http: Config::new(endpoint),
        prefix: prefix.map(|prefix| prefix.parse().expect("a name")),
    }
}

#[tokio::test]
async fn another_registry_is_asked_once_for_what_is_broken() {
    let (double, shared) = shelf().await;
    let backup = Double::start().await;
    let child = backup.image("mirror/app", None, &[b"shared", &LONG]);
    backup.index("mirror/app", Some("1.1"), &[("linux/amd64", &child)]);
    let empty = Double::start().await;
    let sources = [source(&empty, None), source(&backup, Some("mirror"))];
    let cancel = CancellationToken::new();

    let mut sweep = Probe::of(&double).sweep().await;
    look_elsewhere(&mut sweep, &sources, &cancel).await;
    assert_eq!(backup.requests().len() + empty.requests().len(), 0);

    double.remove_manifest_link("app", &shared.digest);
    double.remove_layer_link("app", &shared.layers[1]);
    let mut sweep = Probe::of(&double).sweep().await;
    look_elsewhere(&mut sweep, &sources, &cancel).await;
    let found = only(&sweep).nearby.elsewhere.clone();
    let pointed_to = &only(&sweep).nearby.pointed_to[0];
    let expected = format!(
        "{}/mirror/app@{pointed_to}",
        backup.address().trim_start_matches("http://")
    );
    assert_eq!(found.map(|found| found.image), Some(expected));
    for double in [&backup, &empty] {
        assert_eq!(double.requests().len(), 1);
        assert_eq!(double.count(&on::manifest().head()), 1);
    }
}

#[tokio::test]
async fn what_a_source_refuses_of_one_repository_ends_nothing_else() {
    for status in [401, 403] {
        let (double, backup) = (Double::start().await, Double::start().await);
        for name in ["a", "b"] {
            let image = double.image(name, Some("v1"), &[name.as_bytes()]);
            backup.image(name, Some("v1"), &[name.as_bytes()]);
            double.remove_layer_link(name, &image.layers[0]);
        }
        let refused = on::manifest().repository("a");
        backup.when(refused).error(status, "DENIED");
        let mut sweep = Probe::of(&double).sweep().await;
        let sources = [source(&backup, None)];
        look_elsewhere(&mut sweep, &sources, &CancellationToken::new()).await;
        let found = |finding: &Finding| {
            let elsewhere = &finding.nearby.elsewhere;
            (finding.repository.to_string(), elsewhere.is_some())
        };
        let mut found: Vec<_> = sweep.findings.iter().map(found).collect();
        found.sort();
        let expected = [("a".to_owned(), false), ("b".to_owned(), true)];
        assert_eq!(found, expected, "{status}");
    }
}

#[tokio::test]
async fn a_sibling_that_has_moved_is_none() {
    let (double, shared) = shelf().await;
    double.remove_manifest_link("app", &shared.digest);
    let second_look = on::manifest().get().reference(&shared.digest).nth(2);
    double.when(second_look).then(|registry, _| {
        let moved = on::manifest().reference("1.0");
        registry.when(moved).error(404, "MANIFEST_UNKNOWN");
    });
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sibling(only(&sweep)), None);
}

#[tokio::test]
async fn a_sibling_that_is_broken_or_unknown_itself_is_none() {
    let (double, shared) = shelf().await;
    double.remove_manifest_link("app", &shared.digest);
    double.when(on::manifest().reference("1.0")).hang_up();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sibling(&sweep.findings[0]), None);
}

#[tokio::test]
async fn what_another_repository_holds_is_asked_for_there() {
    let (double, shared) = shelf().await;
    for repository in ["a-first", "z-last"] {
        double.image(repository, Some("1.1"), &[b"shared", &LONG]);
    }
    let layer = &shared.layers[1];
    double.remove_layer_link("app", layer);
    let sweep = Probe::of(&double).sweep().await;
    let from = copy(only(&sweep)).expect("there are two").to_owned();
    assert!(["a-first", "z-last"].contains(&&*from), "{from}");

    // It was intact in the walk, and then it is not any more.
    let blobs = |repository| on::blob().repository(repository).reference(layer);
    for repository in ["a-first", "z-last"] {
        double
            .when(blobs(repository).after(1))
            .error(404, "BLOB_UNKNOWN");
    }
    let sweep = Probe::of(&double).sweep().await;
    let app = sweep
        .findings
        .iter()
        .find(|f| f.repository.as_str() == "app");
    assert_eq!(copy(app.expect("it is still broken")), None);
}

#[tokio::test]
async fn one_object_lost_in_two_repositories_is_one_object() {
    let (double, shared) = shelf().await;
    double.index("app", Some("1.2"), &[("linux/amd64/v2", &shared)]);
    double.image("base", Some("1.1"), &[b"shared"]);
    double.remove_bytes(&shared.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sweep.findings.len(), 2);
    let report = Report::from(sweep);
    let [object] = &report.objects()[..] else {
        panic!("one object: {:?}", report.sweep.findings);
    };
    let digest: Digest = shared.layers[0].parse().expect("a digest");
    assert_eq!(object.digest, Some(&digest));
    let images: Vec<_> = object
        .tags()
        .map(|(name, tag)| format!("{name}:{tag}"))
        .collect();
    assert_eq!(images, ["app:1.1", "app:1.2", "base:1.1"]);
    let platforms: Vec<_> = object.platforms.iter().copied().collect();
    assert_eq!(platforms, ["linux/amd64", "linux/amd64/v2"]);
    assert_eq!((object.references, object.cause), (3, Cause::GcOrRetention));
    assert_eq!(copy(object.first()), None, "it is gone everywhere");
}

/// The cause of what is broken after some damage.
async fn cause(damage: impl FnOnce(&Double, &Image)) -> Cause {
    let (double, shared) = shelf().await;
    damage(&double, &shared);
    let sweep = Probe::of(&double).sweep().await;
    sweep.cause(only(&sweep))
}

#[tokio::test]
async fn causes() {
    let page = "<!DOCTYPE html><title>Log in</title>";
    let poisoned = cause(|double, image| {
        let edit = move |_: &_, reply: Reply| reply.with_body(page);
        let get = on::manifest().get().reference(&image.digest);
        double.when(get).edit(edit);
    });
    assert_eq!(poisoned.await, Cause::ProxyPoisoned);
    let flipped = cause(|double, image| double.flip_bit(&image.digest, 40)).await;
    assert_eq!(flipped, Cause::BitRot);
    let emptied = cause(|double, image| double.empty_bytes(&image.layers[1])).await;
    assert_eq!(emptied, Cause::EmptyFile);
    let cut = cause(|double, image| double.truncate_bytes(&image.layers[1], 9)).await;
    assert_eq!(cut, Cause::Truncated);
    let failing = cause(|double, image| double.empty_layer_link("app", &image.layers[1])).await;
    assert_eq!(failing, Cause::Unknown);
    let alternating = cause(|double, image| {
        let matcher = on::blob()
            .reference(&image.layers[1])
            .per_path()
            .alternate();
        double.when(matcher).error(404, "BLOB_UNKNOWN");
    });
    assert_eq!(alternating.await, Cause::ReplicasDisagree);
}

/// How many manifests each repository has exposed.
fn exposed(sweep: &Sweep) -> Vec<(&str, u64)> {
    let exposed = sweep.exposed.iter();
    exposed
        .map(|exposed| {
            assert_eq!(exposed.digests.len() as u64, exposed.manifests);
            (exposed.repository.as_str(), exposed.manifests)
        })
        .collect()
}

#[tokio::test]
async fn children_that_no_tag_names_are_exposed() {
    let (double, shared) = shelf().await;
    double.image("plain", Some("1.1"), &[b"plain"]);
    assert_eq!(exposed(&Probe::of(&double).sweep().await), [("app", 2)]);
    // By its own name it is safe.
    let again = double.image("app", Some("child"), &[b"shared", &LONG]);
    assert_eq!(again.digest, shared.digest);
    assert_eq!(exposed(&Probe::of(&double).sweep().await), [("app", 1)]);
    // What is lost already is not exposed, and a tag that leads nowhere protects nothing.
    double.remove_tag_link("app", "child");
    double.remove_manifest_link("app", &shared.digest);
    assert_eq!(exposed(&Probe::of(&double).sweep().await), [("app", 1)]);
}

#[tokio::test]
async fn where_not_all_tags_were_seen_exposure_is_not_known() {
    let (double, _) = shelf().await;
    let some = Probe::of(&double).tags("1.*").sweep().await;
    assert_eq!(exposed(&some), [("app", 2)], "all tags match");
    for probe in [
        Probe::of(&double).tags("1.0"),
        Probe::of(&double).tags_per_repository(2),
        Probe::of(&double).images(&[("app", "1.1")]),
    ] {
        assert!(exposed(&probe.sweep().await).is_empty());
    }
    double.when(on::manifest().reference("1.1")).hang_up();
    assert!(exposed(&Probe::of(&double).sweep().await).is_empty());
}
