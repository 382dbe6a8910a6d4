//! One accident each, to a registry with the image `app:v1` of two layers.

use crate::Double;
use crate::image::Image;
use crate::on;
use crate::reply::Reply;

/// A registry with one image in it, the second layer being 300 000 bytes long.
async fn with_image() -> (Double, Image) {
    let double = Double::start().await;
    let long: Vec<u8> = (0..=250_u8).cycle().take(300_000).collect();
    let image = double.image("app", Some("v1"), &[b"a short layer", &long]);
    (double, image)
}

/// A layer cut from 300 000 bytes to 1000, and no cache in between (row 4): HEAD says 1000, the
/// last byte is 416 with `bytes */1000`, the first one is there.
pub async fn truncated_layer() -> (Double, Image) {
    let (double, image) = with_image().await;
    double.truncate_bytes(&image.layers[1], 1000);
    (double, image)
}

/// A link to the manifest with zero bytes (row 5): `500 UNKNOWN` for this one object.
pub async fn empty_link() -> (Double, Image) {
    let (double, image) = with_image().await;
    double.empty_manifest_link("app", &image.digest);
    (double, image)
}

/// A manifest that was altered and is still JSON (row 6): 200 with the digest that was asked for
/// over other bytes.
pub async fn altered_manifest() -> (Double, Image) {
    let (double, image) = with_image().await;
    let bytes = double
        .bytes(&image.digest)
        .expect("the manifest was just stored");
    let altered = String::from_utf8_lossy(&bytes).replacen(
        "\"schemaVersion\":2",
        "\"schemaVersion\":2,\"a\":0",
        1,
    );
    double.replace_bytes(&image.digest, altered);
    (double, image)
}

/// A second tag, `gone`, whose directory is left without its link (row 7): listed, and 404.
pub async fn dangling_tag() -> (Double, Image) {
    let (double, image) = with_image().await;
    double.tag("app", "gone", &image.digest);
    double.remove_tag_link("app", "gone");
    (double, image)
}

/// After so many requests everything is `503 UNAVAILABLE`, as when distribution's health check has
/// failed (row 22).
pub async fn outage_after(requests: usize) -> (Double, Image) {
    let (double, image) = with_image().await;
    double
        .when(on::any().after(requests).before_auth())
        .error(503, "UNAVAILABLE");
    (double, image)
}

/// A push and a deletion between the tag list and what follows it (row 23): `deleted` is listed and
/// gone, `v1` moves to another image.
pub async fn races() -> (Double, Image) {
    let (double, image) = with_image().await;
    double.tag("app", "deleted", &image.digest);
    double.when(on::tags().first(1)).then(|registry, _| {
        registry.remove_tag("app", "deleted");
        registry.image("app", Some("v1"), &[b"the next version"]);
    });
    (double, image)
}

/// A front proxy that has lost its registry (row 27): `502` in HTML for everything.
pub async fn front_proxy_down() -> (Double, Image) {
    let (double, image) = with_image().await;
    double
        .when(on::any().before_auth())
        .reply(Reply::html(502, "502 Bad Gateway"));
    (double, image)
}

/// A front proxy that wants a login (row 27): `200` and a page in HTML for everything.
pub async fn login_page() -> (Double, Image) {
    let (double, image) = with_image().await;
    double
        .when(on::any().before_auth())
        .reply(Reply::html(200, "Sign in"));
    (double, image)
}

/// The first read of each blob ends in the middle, the connection closed; the next one is whole
/// (row 28).
pub async fn closes_once() -> (Double, Image) {
    let (double, image) = with_image().await;
    double
        .when(on::blob().get().first(1).per_path())
        .cut_after(5);
    (double, image)
}
