//! What a sweep asks, request by request, where much is shared: everything once, and nothing else.

use std::collections::BTreeMap;

use registry_double::{Double, Image, on};
use registry_probe::registry::Depth;

use super::probe::{Probe, told};

/// Long enough to be read by its last byte only.
static LONG: [u8; 20_000] = [7; 20_000];

/// What has to be asked of `app`: its tags by HEAD, its manifests by GET, its blobs by HEAD and (at
/// `tail`) by a ranged GET, each once; and the lists before it. The tag whose turn it is, `pulled`, is asked
/// for by GET, too.
fn at_least(
    depth: Depth,
    tags: &[&str],
    pulled: &str,
    manifests: &[&str],
    blobs: &[&str],
) -> Vec<String> {
    let ask = |method: &str, kind: &str, names: &[&str]| -> Vec<String> {
        let path = |name: &&str| format!("{method} /v2/app/{kind}/{name}");
        names.iter().map(path).collect()
    };
    let mut all = vec![
        "GET /v2/".to_owned(),
        "GET /v2/_catalog".to_owned(),
        "GET /v2/app/tags/list".to_owned(),
    ];
    all.extend(ask("HEAD", "manifests", tags));
    all.extend(ask("GET", "manifests", manifests));
    all.extend(ask("GET", "manifests", &[pulled]));
    let method = if depth == Depth::Tail { "GET" } else { "HEAD" };
    all.extend(ask(method, "blobs", blobs));
    all.sort_unstable();
    all
}

/// Sweeps at both depths, and holds what was asked against what has to be asked.
async fn asks_no_more(double: &Double, tags: &[&str], manifests: &[&str], blobs: &[&str]) {
    for depth in [Depth::Head, Depth::Tail] {
        double.forget_requests();
        let sweep = Probe::of(double).depth(depth).concurrency(8).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{depth}");
        let mut asked: Vec<_> = double
            .requests()
            .iter()
            .map(|seen| format!("{} {}", seen.method(), seen.path()))
            .collect();
        asked.sort_unstable();
        let by_get = double.seen(&on::manifest().get().by_tag());
        let [pulled] = by_get.as_slice() else {
            panic!("one tag by GET: {by_get:?}");
        };
        let pulled = pulled.request.reference.as_deref().expect("a tag");
        let expected = at_least(depth, tags, pulled, manifests, blobs);
        assert_eq!(counted(&asked), counted(&expected), "{depth}");
        assert_eq!(sweep.counts.requests, expected.len() as u64, "{depth}");
    }
}

/// How often each was asked.
fn counted(asked: &[String]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for request in asked {
        *counted.entry(request.as_str()).or_default() += 1;
    }
    counted
}

/// The configs and layers of some images, each once.
fn blobs<'a>(images: &[&'a Image]) -> Vec<&'a str> {
    let of_one = |image: &&'a Image| {
        let layers = image.layers.iter().map(String::as_str);
        layers.chain([image.config.as_str()]).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = images.iter().flat_map(of_one).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test]
async fn a_child_that_indexes_share_is_asked_for_once() {
    let double = Double::start().await;
    let shared = double.image("app", None, &[&LONG, b"of the shared child"]);
    let (first, second) = (
        double.child("linux/arm64", "app", &[b"of the first"]),
        double.child("linux/arm64", "app", &[b"of the second"]),
    );
    let indexes = [(&first, "v1"), (&second, "v2")].map(|(own, tag)| {
        let children = [("linux/amd64", &shared), ("linux/arm64", own)];
        double.index("app", Some(tag), &children)
    });
    double.tag("app", "the-child-itself", &shared.digest);
    let manifests = [
        indexes[0].as_str(),
        &indexes[1],
        &shared.digest,
        &first.digest,
        &second.digest,
    ];
    let blobs = blobs(&[&shared, &first, &second]);
    let tags = ["v1", "v2", "the-child-itself"];
    asks_no_more(&double, &tags, &manifests, &blobs).await;
}

#[tokio::test]
async fn a_layer_that_images_share_is_asked_for_once() {
    let double = Double::start().await;
    let tags = ["v1", "v2", "v3", "v4", "v5"];
    let images = tags.map(|tag| {
        let own = format!("only in {tag}");
        // Twice in one image, as builders do with empty layers.
        double.image("app", Some(tag), &[&LONG, own.as_bytes(), &LONG])
    });
    let manifests = images.each_ref().map(|image| image.digest.as_str());
    let blobs = blobs(&images.each_ref());
    asks_no_more(&double, &tags, &manifests, &blobs).await;
}

#[tokio::test]
async fn what_many_tags_point_to_is_asked_for_once() {
    let double = Double::start().await;
    let image = double.image("app", Some("latest"), &[&LONG]);
    let more: Vec<_> = (0..50).map(|number| format!("v1.{number}")).collect();
    for tag in &more {
        double.tag("app", tag, &image.digest);
    }
    let mut tags: Vec<_> = more.iter().map(String::as_str).collect();
    tags.push("latest");
    asks_no_more(&double, &tags, &[&image.digest], &blobs(&[&image])).await;
}
