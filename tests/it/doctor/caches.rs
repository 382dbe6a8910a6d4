//! Pull-through caches are recognised, and nothing is stored in them for it.

use registry_double::{on, presets};
use registry_probe::doctor::Outlook;

use registry_probe::registry::client::Config;

use super::{LAYER, assert_page, config, data, examine, examine_with};

#[tokio::test]
async fn distribution_as_a_proxy_is_recognised_before_a_download() {
    let double = presets::distribution_proxy(1_000_000).await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(data(&found, "cache")["sign"], "unknown_fails");
    assert_eq!(found.outlook, Outlook::Ready);
    assert_eq!(
        (double.downloads().len(), double.count(&on::blob())),
        (0, 0)
    );
    assert_eq!(
        (
            double.count(&on::manifest()),
            double.count(&on::manifest().by_tag())
        ),
        (1, 0)
    );
    assert_page("cache", &found);
}

#[tokio::test]
async fn a_cache_that_knows_better_shows_itself_by_a_small_blob() {
    let double = presets::distribution_proxy(1_000_000).await;
    let image = double.image("team/app", Some("v1"), &[LAYER]);
    double
        .when(on::manifest().head().by_digest())
        .error(404, "MANIFEST_UNKNOWN");
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(data(&found, "cache")["sign"], "bare_etag");
    assert_eq!(data(&found, "range")["answer"], "not_asked");
    assert_page("cached_blob", &found);
    // The HEAD makes this cache download twice; it is the config, and not the layer.
    assert_eq!(double.downloads(), [image.config.clone(), image.config]);
    assert_eq!(double.count(&on::blob().get()), 0);
}

#[tokio::test]
async fn a_proxy_project_of_harbor() {
    let double = presets::harbor_proxy().await;
    let image = double.image("team/app", Some("v1"), &[LAYER]);
    // Harbor asks its upstream, and denies what that denies.
    let unknown = on::manifest().head().by_digest();
    double.when(unknown).error(404, "NOT_FOUND");
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(data(&found, "blob")["status"], 404);
    assert_eq!(data(&found, "cache")["sign"], "head_denies");
    assert_eq!(double.downloads(), [image.config]);
}

#[tokio::test]
async fn a_zot_is_asked_for_no_image_while_it_may_be_a_cache() {
    let double = presets::zot().await;
    double.image("team/app", Some("v1"), &[LAYER]);
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(data(&found, "cache")["sign"], "untold");
    assert_eq!(found.outlook, Outlook::Ready);
    assert_eq!(double.count(&on::manifest()), 0);
    assert_page("zot", &found);
    let no_cache = Config {
        spares_upstream: false,
        ..config(&double)
    };
    let found = examine_with(&double, no_cache, &["team/app"]).await;
    assert_eq!(data(&found, "cache")["sign"], "none");
    assert_eq!(data(&found, "range")["answer"], "honoured");
}
