//! Pull-through caches, where looking has a price.

use crate::Double;
use crate::proxy::{Cache, PullThrough};

/// Distribution 2.8 in proxy mode (row 10): a HEAD of an uncached blob downloads it first, at the
/// given speed, and answers with an unquoted entity tag and without `Accept-Ranges`. What is put
/// into it is the upstream's content; `double.upstream(|cache| cache.upstream_fails = true)` turns
/// unknown tags into 404 and everything else into 500.
pub async fn distribution_proxy(bytes_per_second: u64) -> Double {
    let double = Double::start().await;
    let mut cache = PullThrough::new(Cache::Distribution);
    cache.bytes_per_second = Some(bytes_per_second);
    double.pull_through(cache);
    double
}

/// A Harbor proxy project (row 11): an uncached blob is 404 to HEAD and 200 to GET, whole even if a
/// range is asked for.
pub async fn harbor_proxy() -> Double {
    let double = Double::start().await;
    double.pull_through(PullThrough::new(Cache::Harbor));
    double
}
