//! What is different about each product is what is found.

use registry_double::{Double, OverMax, Population, Reply, on, presets};
use registry_probe::doctor::{
    CacheSign, Contact, Etag, Login, NextPage, Outlook, PageSize, Protection, Range, StatedDigest,
    StatedLength, Wanted,
};
use registry_probe::registry::UnverifiedReason;

use super::{
    LAYER, blob, catalog, examine, examine_as, login, manifest_head, pull, refusal, shown, tags,
};

fn with_image(double: &Double, repository: &str) {
    double.image(repository, Some("v1"), &[LAYER]);
}

#[tokio::test]
async fn distribution_2() {
    let double = presets::distribution28().await;
    let image = double.image("team/app", None, &[LAYER]);
    double.index(
        "team/app",
        Some("v1"),
        &[("linux/amd64", &image), ("linux/arm64", &image)],
    );
    double.blob("empty", "a layer without an image");
    let found = examine(&double, &[]).await;

    let Contact::Answered(greeting) = &found.contact else {
        panic!("{found:#?}")
    };
    assert_eq!((greeting.status, greeting.http), (200, "1.1"));
    assert_eq!(greeting.api_version.as_deref(), Some("registry/2.0"));
    assert_eq!(greeting.protection, Protection::None);
    assert_eq!(
        (&found.wanted, &found.login),
        (&Wanted::Nothing, &Login::NotWanted)
    );
    assert_eq!(
        (catalog(&found).entries, catalog(&found).is_all()),
        (2, true)
    );
    assert_eq!(catalog(&found).size, PageSize::Accepted);
    // The first repository has no tag, and so the second is looked into.
    assert_eq!((tags(&found).entries, tags(&found).is_all()), (1, true));
    assert_eq!(
        found.sample.as_ref().and_then(|sample| sample.unknown),
        Some(404)
    );
    let head = manifest_head(&found);
    assert_eq!((head.status, head.digest), (200, StatedDigest::Agrees));
    assert_eq!(head.length, StatedLength::Agrees);
    let get = pull(&found).get.as_ref().expect("GET is answered");
    assert_eq!(
        (get.digest, get.manifests, get.blobs),
        (StatedDigest::Agrees, 3, 4)
    );
    let answers = blob(&found);
    let head = answers.head.as_ref().expect("HEAD is answered");
    assert_eq!((head.status, head.length), (200, StatedLength::Agrees));
    assert_eq!((head.etag, head.accepts_ranges), (Etag::Quoted, true));
    assert_eq!(
        (&answers.range, &answers.redirected_to),
        (&Range::Honoured, &None)
    );
    assert_eq!(
        (found.cache_sign(), found.outlook()),
        (CacheSign::None, Outlook::Ready)
    );
    assert_eq!(
        found.requests_of_a_sweep(),
        Some(2 + 2 * (1 + (1 + 3 + 2 * 4)))
    );
    assert_eq!((found.limits.len(), found.requests), (0, 10));
}

#[tokio::test]
async fn a_page_size_that_is_refused() {
    let double = presets::distribution28().await;
    double.quirks(|quirks| {
        quirks.catalog.max = Some(500);
        quirks.catalog.over_max = OverMax::Refuse(400, "PAGINATION_NUMBER_INVALID");
    });
    double.populate(Population {
        repositories: 101,
        layers: 1,
        ..Population::default()
    });
    let found = examine(&double, &[]).await;
    let refused = "400 Bad Request (PAGINATION_NUMBER_INVALID)";
    assert_eq!(catalog(&found).size, PageSize::Refused(refused.into()));
    assert_eq!(
        (catalog(&found).entries, &catalog(&found).next),
        (100, &NextPage::Relative)
    );
    assert!(!catalog(&found).is_all());
    assert_eq!(found.outlook(), Outlook::Ready);
}

#[tokio::test]
async fn quay() {
    let double = presets::quay().await;
    double.populate(Population {
        repositories: 101,
        ..Population::default()
    });
    let found = examine(&double, &[]).await;
    let Wanted::Token { host, service } = &found.wanted else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (host.as_str(), service.as_deref()),
        (double.address(), Some("quay.internal"))
    );
    assert_eq!(found.login, Login::Missing);
    assert_eq!(catalog(&found).entries, 100);
    assert_eq!(
        catalog(&found).next,
        NextPage::OtherHost("quay.internal".into())
    );
    assert_eq!(blob(&found).redirected_to, Some(double.companion().url()));
    assert_eq!(blob(&found).range, Range::Honoured);
    // Once as nobody, and once with the token that this made it ask for.
    assert_eq!(double.count(&on::catalog()), 2);
    assert_eq!(found.outlook(), Outlook::Ready);
}

#[tokio::test]
async fn gitea() {
    let double = presets::gitea().await;
    with_image(&double, "owner/app");
    let found = examine(&double, &[]).await;
    assert!(matches!(found.wanted, Wanted::Token { .. }), "{found:#?}");
    assert_eq!(tags(&found).next, NextPage::Relative);
    let head = blob(&found).head.as_ref().expect("HEAD is answered");
    assert_eq!(
        (head.length, head.accepts_ranges),
        (StatedLength::Absent, false)
    );
    assert_eq!(blob(&found).range, Range::Ignored);
    assert_eq!(found.cache_sign(), CacheSign::None);
    assert!(shown(&found).contains("--depth digest"));
}

#[tokio::test]
async fn ghcr() {
    let double = presets::ghcr().await;
    with_image(&double, "owner/app");
    let found = examine(&double, &[]).await;
    assert_eq!(refusal(&found).reason, UnverifiedReason::Protocol);
    assert!(refusal(&found).detail.contains("404"), "{found:#?}");
    assert_eq!(found.outlook(), Outlook::Blind);
    assert!(shown(&found).contains("--repos-file"));

    double.forget_requests();
    let found = examine(&double, &["owner/app"]).await;
    assert_eq!(found.outlook(), Outlook::Ready);
    // The store refuses HEAD, and hands the blob out all the same.
    assert_eq!(blob(&found).head.as_ref().map(|head| head.status), Ok(403));
    assert_eq!(blob(&found).range, Range::Honoured);
    assert_eq!(blob(&found).redirected_to, Some(double.companion().url()));
    assert_eq!(found.cache_sign(), CacheSign::None);
}

#[tokio::test]
async fn docker_hub() {
    let double = presets::docker_hub().await;
    with_image(&double, "library/app");
    let found = examine(&double, &["library/app"]).await;
    assert!(refusal(&found).is_refusal(), "{found:#?}");
    let limits = [
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "76;w=21600"),
    ];
    let limits = limits.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found.limits, limits);
    // Where Docker Hub saw us come from is nobody's business.
    assert!(!shown(&found).contains("192.0.2.1"));
    assert_eq!(blob(&found).redirected_to, Some(double.companion().url()));
    assert_eq!(found.outlook(), Outlook::Ready);
}

#[tokio::test]
async fn gar() {
    let double = presets::gar().await;
    with_image(&double, "project/app");
    let found = examine(&double, &[]).await;
    assert_eq!(
        (catalog(&found).entries, found.outlook()),
        (0, Outlook::Blind)
    );
    assert!(shown(&found).contains("An empty catalog proves nothing"));

    double.forget_requests();
    let found = examine(&double, &["project/app"]).await;
    assert_eq!(
        (catalog(&found).entries, found.outlook()),
        (0, Outlook::Ready)
    );
}

#[tokio::test]
async fn ecr() {
    let double = presets::ecr().await;
    with_image(&double, "app");
    let found = examine_as(&double, login("AWS", "token"), &[]).await;
    assert_eq!(
        (&found.wanted, &found.login),
        (&Wanted::Password, &Login::Accepted)
    );
    assert_eq!(manifest_head(&found).digest, StatedDigest::Agrees);
    let get = pull(&found).get.as_ref().map(|get| get.digest);
    assert_eq!(get, Ok(StatedDigest::Absent));
    assert_eq!(blob(&found).redirected_to, Some(double.companion().url()));
}

#[tokio::test]
async fn nexus() {
    let double = presets::nexus().await;
    with_image(&double, "app");
    let found = examine(&double, &[]).await;
    assert_eq!(manifest_head(&found).status, 404);
    assert!(pull(&found).get.is_ok(), "{found:#?}");
    assert_eq!(found.outlook(), Outlook::Ready);
    assert!(shown(&found).contains("asks by GET where HEAD says 404"));
}

#[tokio::test]
async fn an_object_store_and_its_secrets() {
    let double = presets::object_storage().await;
    with_image(&double, "app");
    let found = examine(&double, &[]).await;
    assert_eq!(blob(&found).redirected_to, Some(double.companion().url()));
    assert_eq!(blob(&found).range, Range::Honoured);
    let signed = double.companion().requests();
    assert!(!signed.is_empty());
    let shown = shown(&found);
    assert!(
        !shown.contains("X-Signature") && !shown.contains("X-Expires"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_tag_that_leads_nowhere_is_not_the_last_word() {
    let double = presets::distribution28().await;
    with_image(&double, "app");
    double
        .when(on::manifest().reference("v2"))
        .error(404, "MANIFEST_UNKNOWN");
    let image = double.image("app", None, &[b"other"]);
    double.tag("app", "v2", &image.digest);
    let found = examine(&double, &[]).await;
    assert_eq!(pull(&found).tag.as_str(), "v1");
    assert!(pull(&found).get.is_ok());
}

#[tokio::test]
async fn a_last_byte_that_does_not_come() {
    let double = presets::stale_descriptor_cache().await;
    let image = double.image("app", Some("v1"), &[LAYER]);
    double.remove_bytes(&image.config);
    let found = examine(&double, &[]).await;
    assert_eq!(blob(&found).head.as_ref().map(|head| head.status), Ok(200));
    assert_eq!(blob(&found).range, Range::Empty);
}

#[tokio::test]
async fn a_web_page_is_no_registry() {
    let double = Double::start().await;
    double.when(on::any()).reply(Reply::html(200, "Sign in"));
    let found = examine(&double, &[]).await;
    assert!(matches!(found.contact, Contact::Stranger(..)), "{found:#?}");
    assert_eq!((found.outlook(), found.requests), (Outlook::Unreachable, 1));
}

#[tokio::test]
async fn nobody_there() {
    let double = Double::start().await;
    double.when(on::any()).hang_up();
    let found = examine(&double, &[]).await;
    assert!(
        matches!(
            found.contact,
            Contact::Silence {
                speaks_http: false,
                ..
            }
        ),
        "{found:#?}"
    );
    assert_eq!(found.outlook(), Outlook::Unreachable);
}
