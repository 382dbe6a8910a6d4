//! What the real registry answers when its store is damaged: the ground that the other tests stand on.

use crate::support::access_log::Tally;
use crate::support::bulk::{self, Push};
use crate::support::http::{Answer, Client};
use crate::support::images::{Content, Image, Layer, sha256};
use crate::support::nginx::Nginx;
use crate::support::registry::{Login, Registry};
use crate::support::skopeo;

const REPOSITORY: &str = "app";

fn blob(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

fn manifest(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// The layer's last byte, asked for by its absolute position.
fn last_byte(client: &Client, layer: &Layer) -> Answer {
    let last = layer.blob.bytes.len() - 1;
    client.get_range(&blob(&layer.blob.digest), &format!("bytes={last}-{last}"))
}

/// A registry with one image of these layers.
fn registry_with(layers: &[Layer]) -> Registry {
    let registry = Registry::start();
    let image = Image::of(REPOSITORY, "amd64", layers).into();
    skopeo::push(&registry, &image, &format!("{REPOSITORY}:v1"));
    registry
}

#[test]
fn skopeo_and_bulk_pushes_store_the_bytes_as_they_are() {
    let registry = Registry::start();
    let content = Content::index("as they are");
    skopeo::push(&registry, &content, "app:by-skopeo");
    bulk::push_all(&registry, &[Push::new(REPOSITORY, "in-bulk", &content)]);
    let client = registry.client();
    for tag in ["by-skopeo", "in-bulk"] {
        let answer = client.get(&manifest(tag));
        assert_eq!(answer.status, 200);
        assert_eq!(sha256(&answer.body), content.manifest().digest);
        assert_eq!(
            answer.header("docker-content-digest"),
            content.manifest().digest
        );
    }
    for stored in content.blobs() {
        let answer = client.get(&blob(&stored.digest));
        assert!(answer.whole);
        assert_eq!(sha256(&answer.body), stored.digest);
    }
}

#[test]
fn a_cold_cache_sees_damaged_layers() {
    let layers = ["unlinked", "removed", "emptied", "halved", "flipped"].map(Layer::plain);
    let mut registry = registry_with(&layers);
    let [unlinked, removed, emptied, halved, flipped] = layers.each_ref();
    let store = registry.store();
    store.remove_layer_link(REPOSITORY, &unlinked.blob.digest);
    store.remove_data(&removed.blob.digest);
    store.empty_data(&emptied.blob.digest);
    store.halve_data(&halved.blob.digest);
    store.flip_one_bit(&flipped.blob.digest);
    registry.restart();

    let client = registry.client();
    for missing in [unlinked, removed] {
        let path = blob(&missing.blob.digest);
        assert_eq!(client.head(&path).status, 404);
        let answer = client.get(&path);
        assert_eq!(answer.status, 404);
        assert!(String::from_utf8_lossy(&answer.body).contains("BLOB_UNKNOWN"));
    }
    let answer = client.head(&blob(&emptied.blob.digest));
    assert_eq!((answer.status, answer.header("content-length")), (200, "0"));
    let half = (halved.blob.bytes.len() / 2).to_string();
    let answer = client.head(&blob(&halved.blob.digest));
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, half.as_str())
    );
    let answer = last_byte(&client, halved);
    assert_eq!(answer.status, 416);
    assert_eq!(answer.header("content-range"), format!("bytes */{half}"));
    let answer = client.get(&blob(&flipped.blob.digest));
    assert!(answer.whole && answer.body.len() == flipped.blob.bytes.len());
    assert_ne!(sha256(&answer.body), flipped.blob.digest);
}

#[test]
fn a_warm_cache_hides_damaged_layers_from_heads() {
    let layers = ["unlinked", "removed", "emptied", "halved"].map(Layer::plain);
    let registry = registry_with(&layers);
    let client = registry.client();
    for layer in &layers {
        assert_eq!(client.head(&blob(&layer.blob.digest)).status, 200);
    }
    let [unlinked, removed, emptied, halved] = layers.each_ref();
    let store = registry.store();
    store.remove_layer_link(REPOSITORY, &unlinked.blob.digest);
    store.remove_data(&removed.blob.digest);
    store.empty_data(&emptied.blob.digest);
    store.halve_data(&halved.blob.digest);

    for layer in &layers {
        let answer = client.head(&blob(&layer.blob.digest));
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-length"),
            layer.blob.bytes.len().to_string()
        );
    }
    let answer = client.get(&blob(&unlinked.blob.digest));
    assert_eq!(
        sha256(&answer.body),
        unlinked.blob.digest,
        "the link alone is never missed"
    );
    for layer in [removed, emptied, halved] {
        let answer = last_byte(&client, layer);
        assert_eq!((answer.status, answer.header("content-length")), (206, "1"));
        assert!(
            answer.body.is_empty() && !answer.whole,
            "a byte is promised and does not come"
        );
        let answer = client.get(&blob(&layer.blob.digest));
        assert!(answer.status == 200 && !answer.whole, "it ends too early");
    }
    let first = client.get_range(&blob(&halved.blob.digest), "bytes=0-0");
    assert_eq!(
        (first.status, first.body.len(), first.whole),
        (206, 1, true),
        "it proves nothing"
    );
}

#[test]
fn damaged_manifests_answer_404_and_500() {
    let names = [
        "unlinked",
        "removed",
        "emptied",
        "halved",
        "empty-link",
        "altered",
    ];
    let mut registry = Registry::start();
    let contents = names.map(|name| Content::from(Image::new(name, "amd64")));
    for (name, content) in names.iter().zip(&contents) {
        skopeo::push(&registry, content, &format!("{REPOSITORY}:{name}"));
    }
    let digests = contents
        .each_ref()
        .map(|content| content.manifest().digest.as_str());
    let [unlinked, removed, emptied, halved, empty_link, altered] = digests;
    let store = registry.store();
    store.remove_revision_link(REPOSITORY, unlinked);
    store.remove_data(removed);
    store.empty_data(emptied);
    store.halve_data(halved);
    store.empty_revision_link(REPOSITORY, empty_link);
    store.alter_manifest(altered);
    registry.restart();

    let client = registry.client();
    let expected = [404, 404, 500, 500, 500, 200];
    for ((name, digest), status) in names.iter().zip(digests).zip(expected) {
        for reference in [name, digest] {
            let path = manifest(reference);
            let answer = client.get(&path);
            assert_eq!(
                (answer.status, client.head(&path).status),
                (status, status),
                "{path}"
            );
        }
    }
    let answer = client.get(&manifest(altered));
    assert_eq!(
        answer.header("docker-content-digest"),
        altered,
        "it claims what it was asked for"
    );
    assert_ne!(sha256(&answer.body), altered);
}

#[test]
fn damaged_tags_stay_listed() {
    let mut registry = Registry::start();
    let content = Image::new("tags", "amd64").into();
    for tag in ["dangling", "empty", "removed", "whole"] {
        skopeo::push(&registry, &content, &format!("{REPOSITORY}:{tag}"));
    }
    let store = registry.store();
    store.remove_tag_link(REPOSITORY, "dangling");
    store.empty_tag_link(REPOSITORY, "empty");
    store.remove_tag(REPOSITORY, "removed");
    registry.restart();

    let client = registry.client();
    let list = client.get(&format!("/v2/{REPOSITORY}/tags/list")).body;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("a list is JSON");
    let mut tags: Vec<_> = list["tags"].as_array().expect("tags").iter().collect();
    tags.sort_by_key(|tag| tag.as_str());
    assert_eq!(tags, ["dangling", "empty", "whole"]);
    assert_eq!(client.get(&manifest("dangling")).status, 404);
    assert_eq!(client.get(&manifest("empty")).status, 500);
    assert_eq!(client.get(&manifest("whole")).status, 200);
}

#[test]
fn a_disk_that_fails_answers_500_to_everything_but_the_ping() {
    let layers = [Layer::gzip("on a bad disk")];
    let mut registry = registry_with(&layers);
    registry.restart();
    registry.store().fail();
    let client = registry.client();
    assert_eq!(client.get("/v2/").status, 200);
    assert_eq!(client.get("/v2/_catalog").status, 500);
    assert_eq!(
        client.get(&format!("/v2/{REPOSITORY}/tags/list")).status,
        500
    );
    assert_eq!(client.get(&manifest("v1")).status, 500);
    assert_eq!(client.get(&blob(&layers[0].blob.digest)).status, 500);
}

#[test]
fn the_access_log_counts_requests_of_others_than_the_harness() {
    let registry = Registry::start();
    let mark = registry.mark();
    assert_eq!(registry.client().get("/v2/_catalog").status, 200);
    assert_eq!(registry.requests_since(mark), []);
    skopeo::push(&registry, &Image::new("counted", "amd64").into(), "app:v1");
    let entries = registry.requests_since(mark);
    assert!(
        entries
            .iter()
            .all(|entry| entry.agent.starts_with("skopeo/")),
        "{entries:#?}"
    );
    let put = entries
        .iter()
        .find(|entry| entry.path == "/v2/app/manifests/v1");
    let put = put.expect("the manifest is pushed");
    assert_eq!((put.method.as_str(), put.status), ("PUT", 201));
    let tally = Tally::of(&entries);
    assert_eq!((tally.pings, tally.total()), (1, entries.len()), "{tally}");
}

#[test]
fn a_login_is_asked_for_and_a_front_passes_it_on() {
    let registry = Registry::start_with_login(Login::of_the_tests());
    skopeo::push(&registry, &Image::new("guarded", "amd64").into(), "app:v1");
    let front = Nginx::plain(&registry, "location = /v2/_catalog { return 404; }");
    let url = format!("http://{}", front.host());
    let stranger = Client::new(&url, None).get("/v2/");
    assert_eq!(stranger.status, 401);
    assert!(stranger.header("www-authenticate").starts_with("Basic "));
    let friend = Client::new(&url, Some(&Login::of_the_tests()));
    assert_eq!(friend.get(&manifest("v1")).status, 200);
    assert_eq!(friend.get("/v2/_catalog").status, 404);
}
