//! Blobs, ranges, and what damage to them looks like with and without a descriptor cache: the table
//! that was measured on distribution, row by row.

use registry_double::{Algorithm, DescriptorCache, Double, Ranges, sha256};

use crate::client::{Answer, get, head, range, send};

const LENGTH: usize = 300_000;

struct Case {
    double: Double,
    digest: String,
    path: String,
}

async fn case(cache: DescriptorCache) -> Case {
    let double = Double::start().await;
    double.quirks(|quirks| quirks.descriptor_cache = cache);
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(LENGTH).collect();
    let digest = double.blob("app", bytes);
    let path = format!("/v2/app/blobs/{digest}");
    Case {
        double,
        digest,
        path,
    }
}

impl Case {
    async fn head(&self) -> Answer {
        head(&self.double, &self.path).await
    }

    async fn get(&self) -> Answer {
        get(&self.double, &self.path).await
    }

    async fn range(&self, asked: &str) -> Answer {
        range(&self.double, &self.path, asked).await
    }
}

#[tokio::test]
async fn healthy() {
    let case = case(DescriptorCache::Cold).await;
    let answer = case.head().await;
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, "300000")
    );
    assert_eq!(answer.header("docker-content-digest"), case.digest);
    assert_eq!(answer.header("etag"), format!("\"{}\"", case.digest));
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(
        answer.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    assert_eq!(sha256(case.get().await.body), case.digest);
    let last = case.range("bytes=299999-299999").await;
    assert_eq!(
        (last.status, last.body.len(), last.header("content-length")),
        (206, 1, "1")
    );
    assert_eq!(last.header("content-range"), "bytes 299999-299999/300000");
    let beyond = case.range("bytes=300000-300000").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range"), beyond.whole),
        (416, "bytes */300000", true)
    );
    assert_eq!(
        case.range("bytes=-5").await.header("content-range"),
        "bytes 299995-299999/300000"
    );
    let etag = format!("\"{}\"", case.digest);
    assert_eq!(
        send("GET", &case.double, &case.path, &[("if-none-match", &etag)])
            .await
            .status,
        304
    );
}

#[tokio::test]
async fn unknown_and_malformed_digests() {
    let double = Double::start().await;
    let unknown = get(&double, &format!("/v2/app/blobs/{}", sha256("x"))).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "BLOB_UNKNOWN")
    );
    let malformed = get(&double, "/v2/app/blobs/sha256:abc").await;
    assert_eq!(
        (malformed.status, malformed.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    let long = double.blob_as(Algorithm::Sha512, "app", "long");
    assert_eq!(
        get(&double, &format!("/v2/app/blobs/{long}")).await.text(),
        "long"
    );
    let page = get(&double, "/v2/App/tags/list").await;
    assert_eq!(
        (page.status, page.text().as_str()),
        (404, "404 page not found")
    );
}

#[tokio::test]
async fn bytes_missing() {
    let cold = case(DescriptorCache::Cold).await;
    cold.double.remove_bytes(&cold.digest);
    assert_eq!(
        (cold.head().await.status, cold.get().await.status),
        (404, 404)
    );

    let warm = case(DescriptorCache::Warm).await;
    warm.double.remove_bytes(&warm.digest);
    assert_eq!(
        (
            warm.head().await.status,
            warm.head().await.header("content-length")
        ),
        (200, "300000")
    );
    let whole = warm.get().await;
    assert_eq!(
        (whole.status, whole.body.len(), whole.whole),
        (200, 0, false)
    );
    let first = warm.range("bytes=0-0").await;
    assert_eq!(
        (
            first.status,
            first.header("content-length"),
            first.body.len(),
            first.whole
        ),
        (206, "1", 0, false)
    );
    warm.double
        .quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Cold);
    assert_eq!(warm.head().await.status, 404, "a restart clears the cache");
}

#[tokio::test]
async fn zero_bytes() {
    let cold = case(DescriptorCache::Cold).await;
    cold.double.empty_bytes(&cold.digest);
    assert_eq!(
        (
            cold.head().await.status,
            cold.head().await.header("content-length")
        ),
        (200, "0")
    );
    assert_eq!(cold.range("bytes=0-0").await.status, 200);
    let suffix = cold.range("bytes=-1").await;
    assert_eq!(
        (suffix.status, suffix.header("content-range")),
        (206, "bytes 0--1/0")
    );

    let warm = case(DescriptorCache::Warm).await;
    warm.double.empty_bytes(&warm.digest);
    assert_eq!(warm.head().await.header("content-length"), "300000");
    assert_eq!(
        (warm.get().await.body.len(), warm.get().await.whole),
        (0, false)
    );
}

#[tokio::test]
async fn truncated() {
    let cold = case(DescriptorCache::Cold).await;
    cold.double.truncate_bytes(&cold.digest, 1000);
    assert_eq!(cold.head().await.header("content-length"), "1000");
    assert!(cold.range("bytes=0-0").await.whole);
    let last = cold.range("bytes=299999-299999").await;
    assert_eq!(
        (last.status, last.header("content-range")),
        (416, "bytes */1000")
    );

    let warm = case(DescriptorCache::Warm).await;
    warm.double.truncate_bytes(&warm.digest, 1000);
    assert_eq!(warm.head().await.header("content-length"), "300000");
    let whole = warm.get().await;
    assert_eq!((whole.body.len(), whole.whole), (1000, false));
    let first = warm.range("bytes=0-0").await;
    assert_eq!(
        (first.status, first.body.len(), first.whole),
        (206, 1, true),
        "the first byte proves nothing"
    );
    let last = warm.range("bytes=299999-299999").await;
    assert_eq!((last.status, last.body.len(), last.whole), (206, 0, false));
}

#[tokio::test]
async fn a_flipped_bit_is_only_seen_by_hashing() {
    let case = case(DescriptorCache::Cold).await;
    case.double.flip_bit(&case.digest, 7);
    assert_eq!(case.head().await.header("content-length"), "300000");
    let whole = case.get().await;
    assert_eq!(
        (
            whole.status,
            whole.whole,
            whole.header("docker-content-digest")
        ),
        (200, true, case.digest.as_str())
    );
    assert_ne!(sha256(whole.body), case.digest);
}

#[tokio::test]
async fn links_to_blobs() {
    let cold = case(DescriptorCache::Cold).await;
    cold.double.remove_layer_link("app", &cold.digest);
    assert_eq!(cold.head().await.status, 404);
    let cold = case(DescriptorCache::Cold).await;
    cold.double.empty_layer_link("app", &cold.digest);
    assert_eq!(cold.head().await.status, 500);
    for damage in [Double::remove_layer_link_of, Double::empty_layer_link_of] {
        let warm = case(DescriptorCache::Warm).await;
        damage(&warm.double, &warm.digest);
        assert_eq!(sha256(warm.get().await.body), warm.digest);
    }
}

/// Names for the two damages, so that they can be listed.
trait Damages {
    fn remove_layer_link_of(&self, digest: &str);
    fn empty_layer_link_of(&self, digest: &str);
}

impl Damages for Double {
    fn remove_layer_link_of(&self, digest: &str) {
        self.remove_layer_link("app", digest);
    }

    fn empty_layer_link_of(&self, digest: &str) {
        self.empty_layer_link("app", digest);
    }
}

#[tokio::test]
async fn without_ranges_everything_comes() {
    let case = case(DescriptorCache::Cold).await;
    case.double.quirks(|quirks| quirks.ranges = Ranges::Ignored);
    let answer = case.range("bytes=0-0").await;
    assert_eq!(
        (
            answer.status,
            answer.body.len(),
            answer.header("accept-ranges")
        ),
        (200, LENGTH, "")
    );
}

#[tokio::test]
async fn old_go_breaks_its_own_416() {
    let case = case(DescriptorCache::Cold).await;
    case.double
        .quirks(|quirks| quirks.ranges = Ranges::HonouredByOldGo);
    let answer = case.range("bytes=300000-300000").await;
    assert_eq!(
        (answer.status, answer.header("content-length"), answer.whole),
        (416, "300000", false)
    );
    assert_eq!(answer.header("content-range"), "bytes */300000");
}
