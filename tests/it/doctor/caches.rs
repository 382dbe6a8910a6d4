//! Pull-through caches are recognised, and nothing is stored in them for it.

use registry_double::{on, presets};
use registry_probe::doctor::{CacheSign, Outlook, Range};

use super::{LAYER, blob, examine, shown};

#[tokio::test]
async fn distribution_as_a_proxy_is_recognised_before_a_download() {
    let double = presets::distribution_proxy(1_000_000).await;
    double.image("team/app", Some("v1"), &[b"a layer"]);
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(found.cache_sign(), CacheSign::UnknownFails);
    assert_eq!(found.outlook(), Outlook::Ready);
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
    assert!(shown(&found).contains("--mode pull-through"));
}

#[tokio::test]
async fn a_cache_that_knows_better_shows_itself_by_a_small_blob() {
    let double = presets::distribution_proxy(1_000_000).await;
    let image = double.image("team/app", Some("v1"), &[LAYER]);
    double
        .when(on::manifest().head().by_digest())
        .error(404, "MANIFEST_UNKNOWN");
    let found = examine(&double, &["team/app"]).await;
    assert_eq!(found.cache_sign(), CacheSign::BareEtag);
    assert_eq!(blob(&found).range, Range::NotAsked);
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
    assert_eq!(blob(&found).head.as_ref().map(|head| head.status), Ok(404));
    assert_eq!(found.cache_sign(), CacheSign::HeadDenies);
    assert_eq!(double.downloads(), [image.config]);
}
