//! Redirects: followed with the same method, without our credentials, and never remembered.

use std::collections::HashSet;
use std::sync::Mutex;

use registry_double::{Basic, Bearer, Double, Reply, on, presets};
use registry_probe::registry::Depth;
use registry_probe::report::Cause;

use super::manners;
use super::probe::{Probe, details, told};

fn long() -> Vec<u8> {
    vec![b'x'; 100_000]
}

#[tokio::test]
async fn redirects_keep_method_and_range_and_drop_authorization() {
    let by_head = (Depth::Head, ("HEAD", None));
    let by_range = (Depth::Tail, ("GET", Some("bytes=99999-99999")));
    let statuses = [301, 302, 303, 307, 308];
    for (status, (depth, expected)) in statuses
        .into_iter()
        .flat_map(|status| [(status, by_head), (status, by_range)])
    {
        let double = Double::start().await;
        double.require(Basic::new("user", "secret"));
        let image = double.image("app", Some("v1"), &[&long()]);
        let storage = Double::beside(&double).await;
        double
            .when(on::blob())
            .redirect_to_storage(status, &storage);
        let probe = Probe::of(&double).login("user", "secret").depth(depth);
        assert_eq!(told(&probe.sweep().await), ["intact"], "{status}");
        manners::hold(&storage);
        let layer = storage.seen(&on::storage().reference(&image.layers[0]));
        let asked: Vec<_> = layer
            .iter()
            .map(|seen| (seen.method(), seen.header("range")))
            .collect();
        assert_eq!(asked, [expected], "{status}");
        assert_eq!(storage.count(&on::any().header("authorization")), 0);
    }
}

#[tokio::test]
async fn an_address_is_for_one_request() {
    let double = presets::object_storage().await;
    double.image("app", Some("v1"), &[b"a layer", &long()]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let storage = double.companion();
    assert_eq!(
        storage.count(&on::any()),
        double.count(&on::blob()),
        "each look begins at the registry"
    );
    let mut addresses: Vec<_> = storage
        .requests()
        .iter()
        .map(|seen| format!("{} {}?{}", seen.method(), seen.path(), seen.query()))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), storage.count(&on::any()));
}

#[tokio::test]
async fn an_address_that_expires_at_once_is_not_kept() {
    let double = presets::object_storage().await;
    for n in 0..10 {
        double.image("app", Some(&format!("v{n}")), &[format!("{n}").as_bytes()]);
    }
    let used = Mutex::new(HashSet::new());
    let is_expired = on::storage().matching(move |request| {
        let mut used = used.lock().expect("nobody panics with it");
        !used.insert((request.path.clone(), request.query.clone()))
    });
    let expired = Reply::xml_error(403, "AccessDenied");
    double.companion().when(is_expired).reply(expired);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn a_redirect_whose_own_body_does_not_come_is_followed() {
    let double = presets::gitea_with_storage().await;
    double.image("app", Some("v1"), &[b"a layer", &long()]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert!(double.companion().count(&on::storage().get()) > 0);
}

#[tokio::test]
async fn storage_that_refuses_head_is_asked_by_get() {
    for status in [403, 405, 501] {
        let double = presets::object_storage().await;
        double.image("app", Some("v1"), &[b"a layer", &long()]);
        double
            .companion()
            .when(on::storage().head())
            .reply(Reply::xml_error(status, "NotForHead"));
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn a_head_that_leads_nowhere_is_asked_again_by_get() {
    for target in ["http://[nowhere", "/v2/"] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer", &long()]);
        // To no address, or round in a circle.
        double.when(on::any().head()).edit(move |request, _| {
            let to = if target == "/v2/" {
                &request.path
            } else {
                target
            };
            Reply::redirect(308, to)
        });
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{target}");
        double.when(on::blob().get()).error(403, "DENIED");
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep)[0], "unverified", "{target}");
    }
}

#[tokio::test]
async fn what_storage_lacks_is_broken_and_no_signature_is_told() {
    let double = presets::object_storage().await;
    let image = double.image("app", Some("v1"), &[b"a layer", &long()]);
    // The registry's cache believes in it; the bucket has lost it.
    double.quirks(|quirks| quirks.descriptor_cache = registry_double::DescriptorCache::Warm);
    double.remove_bytes(&image.layers[1]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer storage_missing: v1"]
    );
    let said = format!("{sweep:?}");
    assert!(!said.contains("X-Signature"), "{said}");
    assert_eq!(sweep.findings[0].defect.evidence.status, Some(404));
}

#[tokio::test]
async fn storage_that_refuses_a_get_is_unverified() {
    let double = presets::object_storage().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double
        .companion()
        .when(on::storage())
        .reply(Reply::xml_error(403, "AccessDenied"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified app storage_refused"]
    );
    assert!(details(&sweep).contains("storage"), "{}", details(&sweep));
    assert!(!details(&sweep).contains("X-Signature"));
}

/// A registry whose storage has lost a layer that the registry believes to have, and the layer.
async fn with_a_lost_layer() -> (Double, String) {
    let double = presets::object_storage().await;
    double.image("other", Some("v1"), &[b"another", &vec![b'y'; 90_000]]);
    let image = double.image("app", Some("v1"), &[b"a layer", &long()]);
    double.quirks(|quirks| quirks.descriptor_cache = registry_double::DescriptorCache::Warm);
    double.remove_bytes(&image.layers[1]);
    (double, image.layers[1].clone())
}

/// S3 without s3:ListBucket.
#[tokio::test]
async fn storage_that_refuses_what_it_lacks_has_words_of_its_own() {
    for depth in [Depth::Head, Depth::Tail, Depth::Digest] {
        let (double, lost) = with_a_lost_layer().await;
        double
            .companion()
            .when(on::storage().reference(&lost))
            .reply(Reply::xml_error(403, "AccessDenied"));
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified app storage_refused"],
            "{depth}: {}",
            details(&sweep)
        );
        let why = &sweep.unverified[0].why;
        assert!(why.hint().contains("s3:ListBucket"), "{}", why.hint());
        assert!(!why.hint().contains("name"), "{}", why.hint());
        assert_eq!(sweep.counts.repositories.checked, 1);
    }
}

/// Swift, and S3 as a website: what is not there is a 404 web page.
#[tokio::test]
async fn a_page_of_storage_that_delivers_the_rest_is_an_absence() {
    let page = Reply::html(404, "Not Found");
    let (double, lost) = with_a_lost_layer().await;
    let is_lost = on::storage().reference(&lost);
    double.companion().when(is_lost).reply(page.clone());
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer storage_missing: v1"],
        "{}",
        details(&sweep)
    );
    assert_eq!(sweep.cause(&sweep.findings[0]), Cause::RedirectTarget);

    // From something in front of the registry it is one thing, and from the storage another.
    let image = double.image("app", Some("v2"), &[b"a third layer"]);
    let of_front = on::blob().reference(&image.layers[0]);
    double.when(of_front).reply(page);
    let sweep = Probe::of(&double).sweep().await;
    let expected = [
        "finding app layer storage_missing: v1",
        "unverified app protocol",
    ];
    assert_eq!(told(&sweep)[1..], expected, "{}", details(&sweep));
}

#[tokio::test]
async fn a_page_for_everything_is_an_outage() {
    // From the start, and from a moment on.
    for served in [0, 4, 6, 8, 10, 12] {
        let (double, lost) = with_a_lost_layer().await;
        let page = Reply::html(404, "Not Found");
        let storage = double.companion();
        storage
            .when(on::storage().after(served))
            .reply(page.clone());
        storage.when(on::storage().reference(&lost)).reply(page);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep)[0],
            "unverified",
            "{served}: {}",
            details(&sweep)
        );
        assert!(sweep.findings.is_empty(), "{served}");
    }
}

#[tokio::test]
async fn a_page_of_another_storage_than_delivers_is_no_absence() {
    let (double, lost) = with_a_lost_layer().await;
    let stranger = Double::start().await;
    stranger
        .when(on::any())
        .reply(Reply::html(404, "Not Found"));
    double
        .when(on::blob().reference(&lost))
        .redirect_to(307, &stranger);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);
}

#[tokio::test]
async fn storage_that_does_not_answer_gives_away_no_signature() {
    let double = presets::object_storage().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.companion().when(on::storage()).hang_up();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app connect"]);
    assert!(!details(&sweep).contains("X-Signature"));
}

#[tokio::test]
async fn storage_that_is_shorter_than_promised_is_seen() {
    let double = presets::object_storage().await;
    let image = double.image("app", Some("v1"), &[b"a layer", &long()]);
    double.truncate_bytes(&image.layers[1], 1000);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app layer size_mismatch: v1"]
    );
}

#[tokio::test]
async fn redirects_in_a_circle_have_an_end() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    let itself = (*double).clone();
    double
        .when(on::blob().reference(&image.layers[0]))
        .redirect_to(307, &itself);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);
    // By HEAD, by a range and in full, five redirects each, in two looks.
    let count = double.count(&on::blob().reference(&image.layers[0]));
    assert!(count <= 36, "{count}");
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_unverified() {
    for location in ["file:///etc/passwd", "gopher://x/", "http://", ""] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        double.when(on::blob()).redirect(307, location);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep)[..1],
            ["unverified"],
            "{location}: {}",
            details(&sweep)
        );
        assert!(sweep.findings.is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_moved_to_its_own_path_keeps_the_login() {
    let double = Double::start().await;
    double.require(Basic::new("user", "secret"));
    double.image("app", Some("v1"), &[b"a layer"]);
    let itself = (*double).clone();
    // Harbor sends `nginx` to `library/nginx`, at the same address.
    double
        .when(on::manifest().repository("alias"))
        .answer(move |_, request| {
            let path = request.path.replace("/alias/", "/app/");
            Reply::redirect(301, &format!("{}{path}", itself.url()))
        });
    let sweep = Probe::of(&double)
        .login("user", "secret")
        .images(&[("alias", "v1")])
        .sweep()
        .await;
    // The manifest is there; its blobs are asked for under the name that was given.
    assert!(
        double.count(&on::manifest().repository("app").header("authorization")) > 0,
        "{:?}",
        told(&sweep)
    );
    assert_eq!(sweep.counts.manifests, 1);
}

#[tokio::test]
async fn another_registry_gets_one_anonymous_token_exchange() {
    let front = Double::start().await;
    front.require(Basic::new("user", "secret"));
    front.image("app", Some("v1"), &[b"a layer"]);
    let backend = Double::start().await;
    backend.image("app", Some("v1"), &[b"a layer"]);
    backend.require(Bearer::anonymous());
    for matcher in [on::manifest(), on::blob()] {
        front.when(matcher).redirect_to(307, &backend);
    }
    let probe = Probe::of(&front).login("user", "secret").concurrency(1);
    let sweep = probe.sweep().await;
    for seen in backend.requests() {
        let authorization = seen.header("authorization").unwrap_or_default();
        assert!(!authorization.starts_with("Basic"), "{seen}");
    }
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(backend.count(&on::token().header("authorization")), 0);
    assert_eq!(backend.count(&on::token()), 1);
}

#[tokio::test]
async fn the_storage_of_another_registry_gets_no_token_of_it() {
    let front = Double::start().await;
    front.image("app", Some("v1"), &[b"a layer"]);
    let backend = presets::object_storage().await;
    backend.image("app", Some("v1"), &[b"a layer"]);
    backend.require(Bearer::anonymous());
    front.when(on::blob()).redirect_to(307, &backend);
    let sweep = Probe::of(&front).sweep().await;
    manners::hold(backend.companion());
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn another_registry_that_lets_nobody_in_is_not_asked_for_ever() {
    let front = Double::start().await;
    front.require(Basic::new("user", "secret"));
    let image = front.image("app", Some("v1"), &[b"a layer"]);
    let backend = Double::start().await;
    backend.require(Bearer::anonymous().deny("app"));
    front
        .when(on::blob().reference(&image.layers[0]))
        .redirect_to(307, &backend);
    let sweep = Probe::of(&front).login("user", "secret").sweep().await;
    let told = told(&sweep);
    assert_eq!(told[0], "unverified");
    assert!(sweep.findings.is_empty(), "{told:?}");
    assert!(backend.count(&on::token()) <= 2);
    assert_eq!(
        backend.count(&on::any().header_with("authorization", "Basic")),
        0
    );
    assert!(
        backend.requests().len() <= 2 * 8,
        "{}",
        backend.requests().len()
    );
}
